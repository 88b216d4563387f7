//! The world `provider`, as the rooms above see it: typed words, and every answer checked.
//!
//! A component's answer is hostile until it was read: counts and lengths are bounded, names are
//! names, and a plan may only touch what sends a CLI to the addresses of its own profile.

mod guard;
mod read;

use std::collections::BTreeMap;

pub use aiw_core::provider::{
    CliTarget, Entry, Health, KeyState, Model, Need, Overlay, Passing, Plan, Preset, Profile, ProviderInfo, Value,
    Variable,
};
use aiw_core::{CliKind, Family, Secret};

use crate::bindings::v0_1::exports::aiw::plugin::adapter;
use crate::component::{BoundSecret, Component, Purpose, Reach};
use crate::error::CallError;
use crate::host::refusal;

/// What a call for a provider may reach: its addresses, and by them alone the secrets that it has.
fn reach(profile: &Profile, secrets: &BTreeMap<String, Secret>) -> Reach {
    let urls: Vec<String> = profile.base_urls.values().cloned().collect();
    let secrets = secrets.iter().filter(|(name, _)| profile.secrets.contains(*name));
    let bound = |value: &Secret| BoundSecret { value: value.clone(), urls: urls.clone() };
    Reach { secrets: secrets.map(|(name, value)| (name.clone(), bound(value))).collect(), urls, ..Reach::default() }
}

impl Component {
    /// What the component can speak to.
    pub async fn provider_info(&self) -> Result<ProviderInfo, CallError> {
        let reach = Reach::default();
        let answer = self.adapter(&reach, Purpose::Answer, async |adapter, store| adapter.call_describe(store).await);
        read::info(answer.await?).map_err(|why| self.misbehaved(format!("describes itself with {why}")))
    }

    /// What a CLI must be started with. The component can neither ask for an address nor start a
    /// task meanwhile.
    pub async fn launch_plan(&self, profile: &Profile, target: &CliTarget) -> Result<Plan, CallError> {
        let (given, wanted) = (profile_to_wit(profile), target_to_wit(target));
        let reach = Reach::default();
        let answer = self.adapter(&reach, Purpose::Plan, async |adapter, store| {
            adapter.call_launch_plan(store, &given, &wanted).await
        });
        let plan = answer.await?.map_err(refusal)?;
        let plan = read::plan(plan, profile).and_then(|plan| guard::check(&plan, profile, target.cli).map(|()| plan));
        plan.map_err(|why| self.misbehaved(format!("made a launch plan that {why}")))
    }

    /// Asks the far end once: is it there, is the key good? Secrets of other names than the
    /// profile's are left out.
    pub async fn check_provider(
        &self,
        profile: &Profile,
        secrets: &BTreeMap<String, Secret>,
    ) -> Result<Health, CallError> {
        let given = profile_to_wit(profile);
        let reach = reach(profile, secrets);
        let answer =
            self.adapter(&reach, Purpose::Answer, async |adapter, store| adapter.call_check(store, &given).await);
        Ok(read::health(answer.await?.map_err(refusal)?))
    }

    /// The models that the far end offers.
    pub async fn provider_models(
        &self,
        profile: &Profile,
        secrets: &BTreeMap<String, Secret>,
    ) -> Result<Vec<Model>, CallError> {
        let given = profile_to_wit(profile);
        let reach = reach(profile, secrets);
        let answer =
            self.adapter(&reach, Purpose::Answer, async |adapter, store| adapter.call_models(store, &given).await);
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

fn profile_to_wit(profile: &Profile) -> adapter::Profile {
    let base_url = |(family, url): (&Family, &String)| adapter::BaseUrl {
        family: family_to_wit(*family),
        url: url.trim_end_matches('/').to_owned(),
    };
    adapter::Profile {
        name: profile.name.to_string(),
        preset: profile.preset.clone(),
        base_urls: profile.base_urls.iter().map(base_url).collect(),
        model: profile.model.clone(),
        secrets: profile.secrets.iter().cloned().collect(),
    }
}

fn target_to_wit(target: &CliTarget) -> adapter::CliTarget {
    adapter::CliTarget {
        cli: match target.cli {
            CliKind::Claude => adapter::Cli::Claude,
            CliKind::Codex => adapter::Cli::Codex,
            CliKind::Gemini => adapter::Cli::Gemini,
        },
        version: target.version.clone(),
        model: target.model.clone(),
    }
}
