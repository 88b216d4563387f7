//! A run that goes through the gateway.

use std::sync::Arc;

use aiw_core::provider::{Account, Auth, Intent, Tuning};
use aiw_core::{Api, CliKind, ProviderName};
use aiw_dialects::translation_losses;

use crate::clis::AiCli;
use crate::gateway::{GatewayAccess, GatewayCredentials};

/// The name of the secret that a CLI shows to the gateway.
pub(crate) const GATEWAY_TOKEN_NAME: &str = "gateway";

/// How a run gets into the gateway, and what happens there.
pub(crate) struct GatewayRoute {
    pub(crate) access: Arc<dyn GatewayAccess>,
    pub(crate) admission: GatewayCredentials,
    /// The CLI's API.
    pub(crate) client_api: Api,
    /// The API of the provider, or of each member of the pool, by their names.
    pub(crate) upstreams: Vec<(ProviderName, Api)>,
    /// The pool, if it is one.
    pub(crate) pool: Option<ProviderName>,
}

impl GatewayRoute {
    /// Returns the account and the intent as the CLI sees them: the gateway is the provider.
    pub(crate) fn rewrite_for_cli(&self, cli: &dyn AiCli, account: &Account, intent: &Intent) -> (Account, Intent) {
        let family = self.client_api.family();
        let path = if matches!(self.client_api, Api::Responses | Api::ChatCompletions) { "/v1" } else { "" };
        let mut account = account.clone();
        account.name = self.pool.clone().unwrap_or(account.name);
        account.base_urls = [(family, format!("http://{}{path}", self.admission.address))].into();
        account.trusted_families = [family].into();
        account.secrets = [GATEWAY_TOKEN_NAME.to_owned()].into();
        let is_translated = self.pool.is_some() || self.upstreams.iter().any(|(_, api)| *api != self.client_api);
        let tuning = match is_translated {
            // What one server lacks, the gateway leaves out.
            true => Tuning {
                context_tokens: intent.tuning.context_tokens.filter(|_| cli.kind() != CliKind::Gemini),
                output_tokens: intent.tuning.output_tokens.filter(|_| cli.kind() == CliKind::Claude),
                timeout_seconds: intent.tuning.timeout_seconds.filter(|_| cli.kind() != CliKind::Gemini),
                ..Tuning::default()
            },
            false => intent.tuning,
        };
        let auth = match self.client_api {
            Api::GenerateContent => Auth::ApiKey(GATEWAY_TOKEN_NAME.to_owned()),
            _ => Auth::Bearer(GATEWAY_TOKEN_NAME.to_owned()),
        };
        let seen = Intent { api: self.client_api, auth, headers: Vec::new(), tuning, ..intent.clone() };
        (account, seen)
    }

    /// Says in sentences what gets lost.
    pub(crate) fn losses(&self) -> Vec<&'static str> {
        let mut all: Vec<&'static str> = Vec::new();
        for loss in self.upstreams.iter().flat_map(|(_, api)| translation_losses(self.client_api, *api)) {
            if !all.contains(&loss) {
                all.push(loss);
            }
        }
        all
    }

    /// Returns what the upstreams speak, for people.
    pub(crate) fn describe_upstream_apis(&self) -> String {
        let mut spoken: Vec<&str> = Vec::new();
        for (_, api) in &self.upstreams {
            if !spoken.contains(&api.label()) {
                spoken.push(api.label());
            }
        }
        spoken.join(" or ")
    }
}
