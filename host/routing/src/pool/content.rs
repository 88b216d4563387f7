//! Requests about prompts and resources, each to the server that has them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aiw_core::quoted;
use aiw_mcp::{Call, RpcError};
use futures::StreamExt;
use futures::future::BoxFuture;
use serde_json::{Map, Value};

use super::{MAX_PARALLEL_STARTS, Pool};
use crate::definition::ToolDefinition;
use crate::error::PoolError;
use crate::offered::{CatalogItem, claims};
use crate::slot::Slot;
use crate::uris::{UriClaim, is_qualified, qualify_uri, unqualify_uri};

/// How long a resource that is not known may keep its reader waiting for the lists of servers.
const READ_LISTS_TIMEOUT: Duration = Duration::from_secs(20);

impl Pool {
    /// Gets a prompt by the name that the client knows.
    pub fn get_prompt<'a>(
        &'a self,
        mut params: Map<String, Value>,
        call: &'a Call,
    ) -> BoxFuture<'a, Result<Value, PoolError>> {
        Box::pin(async move {
            let wanted = params.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
            let prompts = self.prompts();
            let Some(prompt) = prompts.iter().find(|prompt| prompt.proxied_name == wanted) else {
                return Err(RpcError::invalid_params(&format!("there is no prompt `{wanted}`")).into());
            };
            params.insert("name".into(), prompt.definition["name"].clone());
            self.inner.slot(&prompt.server)?.send_request("prompts/get", without_meta(params), Some(call)).await
        })
    }

    /// Sends a request about a resource (`resources/read`, `resources/subscribe`) to the server that has it.
    pub fn request_resource<'a>(
        &'a self,
        method: &'a str,
        mut params: Map<String, Value>,
        call: &'a Call,
    ) -> BoxFuture<'a, Result<Value, PoolError>> {
        Box::pin(async move {
            let uri = params.get("uri").and_then(Value::as_str).unwrap_or_default().to_owned();
            let found = match self.server_of(&uri) {
                Err(PoolError::Rpc(e)) if e.code == RpcError::RESOURCE_NOT_FOUND => {
                    self.read_lists().await;
                    self.server_of(&uri)
                }
                found => found,
            };
            let (slot, own) = found?;
            let before = match method {
                "resources/subscribe" => slot.relay.subscribe(&own, &uri),
                "resources/unsubscribe" => {
                    slot.relay.unsubscribe(&own);
                    None
                }
                _ => None,
            };
            let is_marked = own != uri;
            params.insert("uri".into(), own.as_str().into());
            let asked = slot.send_request(method, without_meta(params), Some(call)).await;
            if asked.is_err() && method == "resources/subscribe" {
                // An earlier subscription goes on.
                match before {
                    Some(uri) => drop(slot.relay.subscribe(&own, &uri)),
                    None => slot.relay.unsubscribe(&own),
                }
            }
            let mut answer = asked?;
            // What was asked for under its server's name is answered under it.
            if is_marked && let Some(contents) = answer.get_mut("contents").and_then(Value::as_array_mut) {
                for content in contents {
                    if let Some(uri) = content.get("uri").and_then(Value::as_str) {
                        content["uri"] = qualify_uri(slot.key(), uri).into();
                    }
                }
            }
            Ok(answer)
        })
    }

    /// Reads the lists of the servers whose resources are not known yet: those of a server are read after its tools.
    async fn read_lists(&self) {
        let is_unread = |slot: &Arc<Slot>| slot.is_offered() && slot.record().is_none_or(|record| !record.is_whole);
        let unread: Vec<_> = self.inner.slots().into_iter().filter(is_unread).collect();
        let reading = futures::stream::iter(unread).for_each_concurrent(MAX_PARALLEL_STARTS, |slot| async move {
            // It may not work.
            let _ = slot.refresh().await;
        });
        let _ = tokio::time::timeout(READ_LISTS_TIMEOUT, reading).await;
    }

    /// Returns the resources of apps that allowed tools name, each with its server.
    fn ui_resources(&self) -> Vec<(String, String)> {
        let of = |slot: &Arc<Slot>| {
            let record = slot.is_offered().then(|| slot.record()).flatten();
            let of = |tool: &ToolDefinition| Some((slot.key().to_owned(), tool.ui_resource()?.to_owned()));
            let named = record.iter().flat_map(|record| record.accepted_tools());
            named.filter(|tool| self.profile_allows(slot.key(), tool)).filter_map(of).collect::<Vec<_>>()
        };
        self.inner.slots().iter().flat_map(of).collect()
    }

    /// The server that has a resource, and the URI there.
    fn server_of(&self, uri: &str) -> Result<(Arc<Slot>, String), PoolError> {
        let (resources, templates) = self.content();
        // The resource of an app that a tool names may be in no list, and its server's others may not be allowed.
        let apps = self.ui_resources();
        if is_qualified(uri) {
            let mut servers: Vec<&str> =
                resources.iter().chain(&templates).map(|offered| offered.server.as_str()).collect();
            servers.dedup();
            let own = |server: &str| unqualify_uri(server, uri);
            let listed = servers.iter().find_map(|server| Some((*server, own(server)?.into_owned())));
            let of_app = || {
                let app = apps.iter().find(|(server, resource)| own(server).as_deref() == Some(resource));
                app.map(|(server, resource)| (server.as_str(), resource.clone()))
            };
            let Some((server, own)) = listed.or_else(of_app) else {
                return Err(RpcError::resource_not_found(uri).into());
            };
            return Ok((self.inner.slot(server)?, own));
        }
        let apps = apps.iter().map(|(server, resource)| UriClaim::resource(server, resource));
        let covering = claims(&resources, &templates).chain(apps).filter(|claim| claim.covers(uri));
        let owners: BTreeSet<&str> = covering.map(|claim| claim.server).collect();
        match Vec::from_iter(owners)[..] {
            [] => Err(RpcError::resource_not_found(uri).into()),
            [server] => Ok((self.inner.slot(server)?, uri.to_owned())),
            [one, two, ..] => Err(RpcError::invalid_params(&format!(
                "several servers could answer for this URI: ask for {} or {}",
                quoted(&qualify_uri(one, uri)),
                quoted(&qualify_uri(two, uri))
            ))
            .into()),
        }
    }

    /// Completes an argument of a prompt or of a resource template.
    pub fn complete<'a>(
        &'a self,
        mut params: Map<String, Value>,
        call: &'a Call,
    ) -> BoxFuture<'a, Result<Value, PoolError>> {
        Box::pin(async move {
            let reference = params.get("ref").cloned().unwrap_or_default();
            let none =
                || PoolError::from(RpcError::invalid_params("`ref` names no prompt or resource template of a server"));
            let server = if reference["type"] == "ref/prompt" {
                let prompts = self.prompts();
                let prompt =
                    prompts.iter().find(|prompt| reference["name"] == prompt.proxied_name.as_str()).ok_or_else(none)?;
                params["ref"]["name"] = prompt.definition["name"].clone();
                prompt.server.clone()
            } else {
                let templates = self.templates();
                let is_it = |template: &&CatalogItem<Value>| template.definition["uriTemplate"] == reference["uri"];
                let server = templates.iter().find(is_it).map(|template| template.server.clone()).ok_or_else(none)?;
                if let Some(own) = reference["uri"].as_str().and_then(|uri| unqualify_uri(&server, uri)) {
                    params["ref"]["uri"] = own.into_owned().into();
                }
                server
            };
            self.inner.slot(&server)?.send_request("completion/complete", without_meta(params), Some(call)).await
        })
    }
}

/// The request's metadata is the caller's, and is added where the request is sent.
fn without_meta(mut params: Map<String, Value>) -> Map<String, Value> {
    params.shift_remove("_meta");
    params
}
