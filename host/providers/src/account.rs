//! Turns a provider in `providers.json` and its preset into the account that a component gets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aiw_core::provider::{Account, Preset, Requirement};
use aiw_core::{Api, CliKind, Family};
use aiw_home::{Provider, new_provider_id, origin};

use crate::{PresetEntry, ProviderError};

/// The account: the user's addresses and model, else the preset's.
///
/// An address that the preset gained since the user agreed to it is left out.
///
/// # Errors
///
/// If the preset now points elsewhere than when the user agreed to it: secrets don't follow automatically.
pub fn account(provider: &Provider, known: &PresetEntry) -> Result<Account, ProviderError> {
    let preset = &known.preset;
    let mut account = unchecked_account(provider, known);
    if is_unpinned(provider) {
        return Ok(account);
    }
    let agreed = approved_origins(provider);
    for (family, now) in preset_origins(provider, preset) {
        match provider.origins.get(&family) {
            Some(pinned) if origin(pinned) != now => {
                return Err(ProviderError::UrlChanged {
                    provider: provider.name.to_string(),
                    preset: preset.id.clone(),
                    pinned: pinned.clone(),
                    now,
                });
            }
            None if !agreed.contains(&now) => {
                account.base_urls.remove(&family);
                account.trusted_families.remove(&family);
            }
            _ => {}
        }
    }
    Ok(account)
}

/// Where the user agreed that a provider's secrets go: what was typed, and where the preset pointed then.
pub fn approved_origins(provider: &Provider) -> BTreeSet<String> {
    let pinned = provider.origins.iter().filter(|(family, _)| !provider.base_urls.contains_key(family));
    pinned.chain(&provider.base_urls).map(|(_, url)| origin(url)).collect()
}

/// Returns the account wherever the preset points: for lists, and if no secret is sent.
pub fn unchecked_account(provider: &Provider, known: &PresetEntry) -> Account {
    let mut base_urls = provider.base_urls.clone();
    for (family, url) in &known.preset.base_urls {
        if let Some(url) = url {
            base_urls.entry(*family).or_insert_with(|| url.clone());
        }
    }
    Account {
        name: provider.name.clone(),
        preset: provider.preset.clone(),
        trusted_families: match known.bundled {
            true => base_urls.keys().copied().collect(),
            false => provider.base_urls.keys().copied().collect(),
        },
        base_urls,
        model: provider.model.clone().or_else(|| known.preset.model.clone()),
        secrets: provider.secret_refs().map(|(name, _)| name.to_owned()).collect(),
    }
}

/// Where the preset's own addresses point, as far as the provider uses them.
fn preset_origins(provider: &Provider, preset: &Preset) -> BTreeMap<Family, String> {
    let used = preset.base_urls.iter().filter(|(family, _)| !provider.base_urls.contains_key(family));
    used.filter_map(|(family, url)| Some((*family, origin(url.as_deref()?)))).collect()
}

/// Records where the preset points now and gives the provider its id: the user agrees to both. Returns whether
/// anything changed.
pub fn pin(provider: &mut Provider, preset: &Preset) -> bool {
    let (id, origins) = (provider.id.clone(), preset_origins(provider, preset));
    let changes = id.is_none() || provider.origins != origins;
    provider.id = Some(id.unwrap_or_else(new_provider_id));
    provider.origins = origins;
    changes
}

/// Whether nothing was ever [`pin`]ned: a handwritten entry.
pub fn is_unpinned(provider: &Provider) -> bool {
    provider.id.is_none()
}

/// An AI CLI, and the APIs that it speaks, the preferred one first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CliApis {
    /// The CLI.
    pub cli: CliKind,
    /// Its APIs.
    pub apis: &'static [Api],
    /// The variables that aiw itself sets for it under a provider.
    pub managed_env_vars: &'static [&'static str],
    /// The characters that it can't send in a header's value.
    pub forbidden_header_chars: &'static [char],
}

impl CliApis {
    /// The family whose address the CLI uses first.
    pub(crate) fn family(&self) -> Option<Family> {
        self.apis.first().map(|api| api.family())
    }
}

/// The AI CLIs that providers are for, in listing order.
#[derive(Debug, Clone)]
pub struct ServedClis(Arc<[CliApis]>);

impl ServedClis {
    /// These CLIs.
    pub fn new(clis: impl Into<Arc<[CliApis]>>) -> Self {
        Self(clis.into())
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = CliKind> + '_ {
        self.0.iter().map(|known| known.cli)
    }

    /// Returns those of the CLIs that it can serve, with their APIs.
    pub(crate) fn for_clis(&self, clis: &[CliKind]) -> Vec<CliApis> {
        clis.iter().filter_map(|cli| self.0.iter().find(|known| known.cli == *cli).copied()).collect()
    }

    fn apis(&self, cli: CliKind) -> &'static [Api] {
        self.0.iter().find(|known| known.cli == cli).map(|known| known.apis).unwrap_or_default()
    }

    /// The CLIs that a provider can be used with directly: it has an address for their API, and the user didn't reserve it
    /// for others. All others reach it through the gateway.
    pub fn direct_clis(&self, provider: &Provider, preset: &Preset) -> Vec<CliKind> {
        let is_direct = |cli: &CliKind| {
            let speaks = |api: &&Api| provider.supports_api(**api);
            let mut apis = self.apis(*cli).iter().filter(speaks);
            !is_reserved(provider, *cli) && apis.any(|api| has_address(provider, preset, api.family()))
        };
        self.all().filter(is_direct).collect()
    }

    /// The CLIs that reach a provider through the gateway.
    pub(crate) fn gateway_clis(&self, provider: &Provider, preset: &Preset) -> Vec<CliKind> {
        let direct = self.direct_clis(provider, preset);
        let is_translated =
            |cli: &CliKind| !direct.contains(cli) && self.incompatibility_reason(provider, preset, *cli).is_none();
        self.all().filter(is_translated).collect()
    }

    /// The CLIs that a preset works with: those whose API it speaks.
    pub fn clis_for_preset(&self, preset: &Preset) -> Vec<CliKind> {
        self.all().filter(|cli| self.family_for(*cli, preset).is_some()).collect()
    }

    /// Returns the CLIs that reach a provider of a preset through the gateway: all that don't speak its API.
    pub(crate) fn gateway_clis_for_preset(&self, preset: &Preset) -> Vec<CliKind> {
        self.all().filter(|cli| self.family_for(*cli, preset).is_none()).collect()
    }

    /// Errors if the only address that a CLI could use is one that the user has not agreed to.
    pub fn check_url_approved(
        &self,
        account: &Account,
        provider: &Provider,
        preset: &Preset,
        cli: CliKind,
    ) -> Result<(), ProviderError> {
        if !account.base_urls.is_empty() {
            return Ok(());
        }
        let own = self.apis(cli).iter().map(|api| api.family());
        let added = own.chain(Family::ALL).find_map(|family| preset.base_urls.get(&family)?.as_deref());
        Err(ProviderError::UrlAdded {
            provider: provider.name.to_string(),
            preset: preset.id.clone(),
            cli,
            now: added.map(origin).unwrap_or_default(),
        })
    }

    /// The family of a CLI's first API that a preset has an address for.
    fn family_for(&self, cli: CliKind, preset: &Preset) -> Option<Family> {
        self.apis(cli).iter().map(|api| api.family()).find(|family| preset.base_urls.contains_key(family))
    }

    /// Why a provider doesn't work with a CLI, as the end of a sentence. One that speaks another API does: through the gateway.
    pub fn incompatibility_reason(&self, provider: &Provider, preset: &Preset, cli: CliKind) -> Option<String> {
        if is_reserved(provider, cli) {
            return Some("it is meant for other CLIs".into());
        }
        if Family::ALL.into_iter().any(|family| has_address(provider, preset, family)) {
            return None;
        }
        let family = self.family_for(cli, preset).or_else(|| preset.base_urls.keys().next().copied());
        Some(match family {
            Some(family) => {
                let name = &provider.name;
                format!("it has no address; `aiw provider edit {name} --base-url {family}=URL` gives it one")
            }
            None => "it has no address".into(),
        })
    }
}

fn is_reserved(provider: &Provider, cli: CliKind) -> bool {
    provider.clis.as_ref().is_some_and(|clis| !clis.contains(&cli))
}

fn has_address(provider: &Provider, preset: &Preset, family: Family) -> bool {
    provider.base_urls.contains_key(&family) || preset.base_urls.get(&family).is_some_and(Option::is_some)
}

/// Whether it lacks the token that its preset needs.
pub fn lacks_token(provider: &Provider, preset: &Preset) -> bool {
    preset.token == Requirement::Required && provider.token.is_none() && provider.secrets.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preset(urls: &[(Family, Option<&str>)]) -> Preset {
        Preset {
            id: "p".into(),
            label: "P".into(),
            base_urls: urls.iter().map(|(family, url)| (*family, url.map(str::to_owned))).collect(),
            token: Requirement::Required,
            token_page: None,
            model: Some("preset-model".into()),
        }
    }

    fn known(preset: Preset) -> PresetEntry {
        PresetEntry { component: "c".parse().unwrap(), bundled: false, preset }
    }

    fn clis() -> ServedClis {
        let apis: [(CliKind, &'static [Api]); 3] = [
            (CliKind::Claude, &[Api::Messages]),
            (CliKind::Codex, &[Api::Responses]),
            (CliKind::Gemini, &[Api::GenerateContent]),
        ];
        ServedClis::new(apis.map(|(cli, apis)| CliApis {
            cli,
            apis,
            managed_env_vars: &[],
            forbidden_header_chars: &[],
        }))
    }

    #[test]
    fn the_users_address_beats_the_presets() {
        let preset = preset(&[(Family::Anthropic, Some("https://a")), (Family::Openai, None)]);
        let mut provider = Provider::new("x".parse().unwrap(), "p");
        assert_eq!(clis().direct_clis(&provider, &preset), [CliKind::Claude]);
        // All others reach it through the gateway, wherever it has an address at all.
        assert_eq!(clis().incompatibility_reason(&provider, &preset, CliKind::Codex), None);
        let nowhere = self::preset(&[(Family::Openai, None)]);
        assert!(
            clis()
                .incompatibility_reason(&provider, &nowhere, CliKind::Gemini)
                .unwrap()
                .contains("--base-url openai=URL")
        );
        provider.api = Some(Api::ChatCompletions);
        assert_eq!(clis().direct_clis(&provider, &preset), []);
        // What the user gave for another family speaks that family's API.
        provider.base_urls = [(Family::Anthropic, "https://m".into()), (Family::Openai, "https://b".into())].into();
        assert_eq!(clis().direct_clis(&provider, &preset), [CliKind::Claude]);
        provider.base_urls.clear();
        provider.api = None;
        provider.base_urls.insert(Family::Openai, "https://b".into());
        provider.clis = Some(vec![CliKind::Codex]);
        assert_eq!(clis().direct_clis(&provider, &preset), [CliKind::Codex]);
        let account = account(&provider, &known(preset)).unwrap();
        assert_eq!(account.base_urls[&Family::Anthropic], "https://a");
        assert_eq!(
            (account.base_urls[&Family::Openai].as_str(), account.model.as_deref()),
            ("https://b", Some("preset-model"))
        );
        // Only what the user typed may be a private address.
        assert_eq!(account.trusted_families, [Family::Openai].into());
    }

    #[test]
    fn a_preset_that_leads_elsewhere_is_no_account_until_it_is_pinned_again() {
        let mut provider = Provider::new("x".parse().unwrap(), "p");
        let before = preset(&[(Family::Anthropic, Some("https://a/x")), (Family::Openai, None)]);
        assert!(is_unpinned(&provider) && pin(&mut provider, &before) && !is_unpinned(&provider));
        assert!(!pin(&mut provider, &before));
        let id = provider.id.clone();
        // Another path at the same place is not a move.
        account(&provider, &known(preset(&[(Family::Anthropic, Some("https://a/y"))]))).unwrap();
        for url in ["https://b/x", "http://a/x", "https://a:8443/x"] {
            let moved = preset(&[(Family::Anthropic, Some(url))]);
            let error = account(&provider, &known(moved)).unwrap_err();
            assert!(matches!(error, ProviderError::UrlChanged { .. }), "{url}: {error}");
        }
        let moved = preset(&[(Family::Anthropic, Some("https://b/x"))]);
        assert!(pin(&mut provider, &moved) && account(&provider, &known(moved)).is_ok());
        assert_eq!(provider.id, id);
        // An address that is added later is unused unless it points where the user already agreed.
        let gained = |url| preset(&[(Family::Anthropic, Some("https://b/x")), (Family::Gemini, Some(url))]);
        let with = account(&provider, &known(gained("https://evil/x"))).unwrap();
        assert_eq!(with.base_urls.keys().collect::<Vec<_>>(), [&Family::Anthropic]);
        clis().check_url_approved(&with, &provider, &gained("https://evil/x"), CliKind::Gemini).unwrap();
        let nothing = Account { base_urls: BTreeMap::new(), ..with };
        let refused = clis().check_url_approved(&nothing, &provider, &gained("https://evil/x"), CliKind::Gemini);
        assert!(matches!(refused, Err(ProviderError::UrlAdded { now, .. }) if now == "https://evil"));
        let with = account(&provider, &known(gained("https://b/y"))).unwrap();
        assert_eq!(with.base_urls[&Family::Gemini], "https://b/y");
        // The preset can't move the user's own address.
        provider.base_urls.insert(Family::Anthropic, "https://mine".into());
        account(&provider, &known(before)).unwrap();
    }
}
