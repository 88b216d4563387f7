//! The world `provider`, as other crates see it: typed, with every answer checked.
//!
//! A component's answer is hostile until it is checked. Counts and lengths are limited, names must be valid, and an
//! intent may use only what its account has.

#[cfg(test)]
mod fuzz;
mod read;

use std::collections::BTreeMap;

pub use aiw_core::provider::{
    Account, Auth, Header, Health, Intent, KeyState, Model, Models, Need, Preset, ProviderInfo, Target, Tuning, Value,
};
use aiw_core::{Api, Family, Secret};

use crate::bindings::v0_1::exports::aiw::plugin::adapter;
use crate::budget::{BoundSecret, Purpose};
use crate::component::{Component, Reach};
use crate::error::CallError;
use crate::host::refusal;

/// Returns what a call for a provider may reach: its addresses, and its secrets bound to those addresses.
fn reach(account: &Account, secrets: &BTreeMap<String, Secret>) -> Reach {
    let urls = |granted: bool| {
        let of = account.base_urls.iter().filter(move |(family, _)| account.granted.contains(family) == granted);
        of.map(|(_, url)| url.clone()).collect::<Vec<_>>()
    };
    let all: Vec<String> = account.base_urls.values().cloned().collect();
    let secrets = secrets.iter().filter(|(name, _)| account.secrets.contains(*name));
    let bound = |value: &Secret| BoundSecret { value: value.clone(), urls: all.clone() };
    Reach {
        secrets: secrets.map(|(name, value)| (name.clone(), bound(value))).collect(),
        urls: urls(true),
        public_urls: urls(false),
        ..Reach::default()
    }
}

impl Component {
    /// Returns what the component can speak to.
    pub async fn provider_info(&self) -> Result<ProviderInfo, CallError> {
        let reach = Reach::default();
        let answer =
            self.adapter(&reach, Purpose::Pure("describe"), async |adapter, store| adapter.call_describe(store).await);
        read::info(answer.await?).map_err(|why| self.misbehaved(format!("describes itself with {why}")))
    }

    /// Returns what to tell a CLI. During this call, the component cannot send requests or start tasks.
    pub async fn plan(&self, account: &Account, target: &Target) -> Result<Intent, CallError> {
        let (given, wanted) = (account_to_wit(account), target_to_wit(target));
        let reach = Reach::default();
        let answer =
            self.adapter(&reach, Purpose::Plan, async |adapter, store| adapter.call_plan(store, &given, &wanted).await);
        let intent = answer.await?.map_err(refusal)?;
        read::intent(intent, account).map_err(|why| self.misbehaved(format!("made a plan that {why}")))
    }

    /// Asks the far end once whether it is reachable and whether the key is good. Secrets that the account does not
    /// name are left out.
    pub async fn check_provider(
        &self,
        account: &Account,
        secrets: &BTreeMap<String, Secret>,
    ) -> Result<Health, CallError> {
        let given = account_to_wit(account);
        let reach = reach(account, secrets);
        let answer =
            self.adapter(&reach, Purpose::Answer, async |adapter, store| adapter.call_check(store, &given).await);
        Ok(read::health(answer.await?.map_err(refusal)?))
    }

    /// Returns the models that the far end offers.
    pub async fn provider_models(
        &self,
        account: &Account,
        secrets: &BTreeMap<String, Secret>,
    ) -> Result<Vec<Model>, CallError> {
        let given = account_to_wit(account);
        let reach = reach(account, secrets);
        let answer =
            self.adapter(&reach, Purpose::Answer, async |adapter, store| adapter.call_list_models(store, &given).await);
        let models = answer.await?.map_err(refusal)?;
        read::models(models).map_err(|why| self.misbehaved(format!("names models with {why}")))
    }
}

fn family_to_wit(family: Family) -> adapter::Family {
    match family {
        Family::Anthropic => adapter::Family::Anthropic,
        Family::Openai => adapter::Family::Openai,
        Family::Gemini => adapter::Family::Gemini,
    }
}

fn api_to_wit(api: Api) -> adapter::Api {
    match api {
        Api::Messages => adapter::Api::Messages,
        Api::Responses => adapter::Api::Responses,
        Api::ChatCompletions => adapter::Api::ChatCompletions,
        Api::GenerateContent => adapter::Api::GenerateContent,
    }
}

fn account_to_wit(account: &Account) -> adapter::Account {
    let base_url = |(family, url): (&Family, &String)| adapter::BaseUrl {
        family: family_to_wit(*family),
        url: url.trim_end_matches('/').to_owned(),
    };
    adapter::Account {
        name: account.name.to_string(),
        preset: account.preset.clone(),
        base_urls: account.base_urls.iter().map(base_url).collect(),
        model: account.model.clone(),
        secrets: account.secrets.iter().cloned().collect(),
    }
}

fn target_to_wit(target: &Target) -> adapter::Target {
    adapter::Target {
        cli: target.cli.to_string(),
        version: target.version.clone(),
        speaks: target.speaks.iter().copied().map(api_to_wit).collect(),
        model: target.model.clone(),
    }
}
