//! The models of a route, for clients that ask for them.

use std::time::Duration;

use aiw_core::is_valid_model_name;
use aiw_dialects::{Api, FailureKind, UpstreamFailure, models_path};
use aiw_net::{HttpRequest, Policy};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::exchange::{add_upstream_headers, read_body, read_failure};
use crate::gateway::Gateway;
use crate::route::{GatewayRoute, Upstream};

/// How long a provider may take to list its models.
const LIST_MODELS_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest list that is read, in bytes and in models. Routers have hundreds.
const MAX_LIST_BYTES: usize = 8 << 20;
const MAX_MODELS: usize = 2_000;

/// The lists of all APIs, as far as they are read.
#[derive(Deserialize)]
struct ModelLists {
    data: Option<Vec<ListedModel>>,
    /// Google's field. Some routers send both.
    models: Option<Vec<ListedModel>>,
}

#[derive(Deserialize)]
struct ListedModel {
    id: Option<String>,
    /// The id, as Google calls it. Routers send a name for people beside their id.
    name: Option<String>,
}

impl Gateway {
    /// Returns the models that you chose for a route's providers, else those that the providers list.
    pub(crate) async fn models(&self, route: &GatewayRoute) -> Result<Vec<String>, UpstreamFailure> {
        let known = route.models();
        if !known.is_empty() {
            return Ok(known.into_iter().map(str::to_owned).collect());
        }
        let (mut all, mut failed): (Vec<String>, _) = (Vec::new(), None);
        for member in &route.members {
            match tokio::time::timeout(LIST_MODELS_TIMEOUT, self.listed(member)).await {
                Ok(Ok(models)) => all.extend(models),
                Ok(Err(failure)) => failed = Some(failure),
                Err(_) => {
                    let said = format!("provider `{}` does not list its models in time", member.provider);
                    failed = Some(UpstreamFailure::new(FailureKind::Timeout, said));
                }
            }
        }
        match failed.filter(|_| all.is_empty()) {
            Some(failure) => Err(failure),
            None => Ok(all),
        }
    }

    async fn listed(&self, upstream: &Upstream) -> Result<Vec<String>, UpstreamFailure> {
        let mut policy = Policy::public();
        if upstream.is_granted {
            policy.grant_url(&upstream.url);
        }
        let headers = add_upstream_headers(upstream, vec![("accept".to_owned(), "application/json".to_owned())]);
        let url = format!("{}{}", upstream.url, models_path(upstream.api));
        let request = HttpRequest { headers, secret_headers: upstream.secrets(), ..HttpRequest::new(url) };
        let mut answer = self.client.open(&policy, &request, LIST_MODELS_TIMEOUT).await.map_err(|e| {
            let said = upstream.mask_text(&e.without_paths().to_string());
            UpstreamFailure::new(
                FailureKind::Upstream,
                format!("provider `{}` can't be reached: {said}", upstream.provider),
            )
        })?;
        if !(200..300).contains(&answer.status) {
            return Err(read_failure(&mut answer, upstream).await);
        }
        let body = read_body(&mut answer, MAX_LIST_BYTES).await?;
        let Ok(listed) = aiw_core::from_foreign_json::<ModelLists>(&body) else {
            let said = format!("provider `{}` lists its models in a way that aiw does not know", upstream.provider);
            return Err(UpstreamFailure::new(FailureKind::Upstream, said));
        };
        let listed = listed.data.filter(|data| !data.is_empty()).or(listed.models);
        let names = listed.into_iter().flatten().filter_map(|model| model.id.or(model.name));
        let names = names.map(|name| name.strip_prefix("models/").map(str::to_owned).unwrap_or(name));
        Ok(names
            .filter(|name| is_valid_model_name(name) && upstream.mask_text(name) == *name)
            .take(MAX_MODELS)
            .collect())
    }
}

/// Formats a list of models.
pub(crate) fn format_model_list(dialect: Api, models: &[String]) -> Vec<u8> {
    let answer = match dialect {
        Api::GenerateContent => {
            let one = |name: &String| json!({"name": format!("models/{name}"), "supportedGenerationMethods": ["generateContent"]});
            json!({"models": models.iter().map(one).collect::<Vec<_>>()})
        }
        _ => {
            let all: Vec<Value> = models.iter().map(|name| format_model(name)).collect();
            json!({"object": "list", "data": all, "has_more": false})
        }
    };
    answer.to_string().into_bytes()
}

/// Formats a model as OpenAI and Anthropic do: each reads its own fields.
pub(crate) fn format_model(name: &str) -> Value {
    json!({"id": name, "object": "model", "created": 0, "owned_by": "aiw", "type": "model", "display_name": name})
}
