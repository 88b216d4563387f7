//! From a provider in `providers.json` and its preset to what a component is asked with.

use aiw_core::CliKind;
use aiw_core::provider::{Need, Preset, Profile};
use aiw_home::Provider;

/// The profile: the user's addresses and model, else the preset's.
pub fn profile(provider: &Provider, preset: &Preset) -> Profile {
    let mut base_urls = provider.base_urls.clone();
    for (family, url) in &preset.base_urls {
        if let Some(url) = url {
            base_urls.entry(*family).or_insert_with(|| url.clone());
        }
    }
    Profile {
        name: provider.name.clone(),
        preset: provider.preset.clone(),
        base_urls,
        model: provider.model.clone().or_else(|| preset.model.clone()),
        secrets: provider.secret_refs().map(|(name, _)| name.to_owned()).collect(),
    }
}

/// The CLIs that a provider may be used with: it has an address of their API, and the user did
/// not mean it for others.
pub fn clis(provider: &Provider, preset: &Preset) -> Vec<CliKind> {
    CliKind::ALL.into_iter().filter(|cli| misfit(provider, preset, *cli).is_none()).collect()
}

/// Why a provider does not fit a CLI, as the end of a sentence.
pub(crate) fn misfit(provider: &Provider, preset: &Preset, cli: CliKind) -> Option<String> {
    let family = cli.family();
    let meant = provider.clis.as_ref().is_none_or(|clis| clis.contains(&cli));
    let address =
        provider.base_urls.contains_key(&family) || preset.base_urls.get(&family).is_some_and(Option::is_some);
    match (meant, address, preset.base_urls.contains_key(&family)) {
        (true, true, true) => None,
        (false, ..) => Some("it is meant for other CLIs".into()),
        (_, _, false) => Some(format!("it does not speak the API of `{cli}` ({family})")),
        (_, false, true) => Some(format!(
            "it has no address for the API of `{cli}`; `aiw provider edit {} --base-url {family}=URL` gives it one",
            provider.name
        )),
    }
}

/// Whether it lacks the token that its preset needs.
pub(crate) fn lacks_token(provider: &Provider, preset: &Preset) -> bool {
    preset.token == Need::Required && provider.token.is_none() && provider.secrets.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aiw_core::Family;

    fn preset(urls: &[(Family, Option<&str>)]) -> Preset {
        Preset {
            id: "p".into(),
            label: "P".into(),
            base_urls: urls.iter().map(|(family, url)| (*family, url.map(str::to_owned))).collect(),
            token: Need::Required,
            token_page: None,
            model: Some("preset-model".into()),
        }
    }

    #[test]
    fn the_users_address_beats_the_presets() {
        let preset = preset(&[(Family::Anthropic, Some("https://a")), (Family::Openai, None)]);
        let mut provider = Provider::new("x".parse().unwrap(), "p");
        assert_eq!(clis(&provider, &preset), [CliKind::Claude]);
        assert!(misfit(&provider, &preset, CliKind::Codex).unwrap().contains("--base-url openai=URL"));
        assert!(misfit(&provider, &preset, CliKind::Gemini).unwrap().contains("does not speak"));
        provider.base_urls.insert(Family::Openai, "https://b".into());
        provider.clis = Some(vec![CliKind::Codex]);
        assert_eq!(clis(&provider, &preset), [CliKind::Codex]);
        let profile = profile(&provider, &preset);
        assert_eq!(profile.base_urls[&Family::Anthropic], "https://a");
        assert_eq!(
            (profile.base_urls[&Family::Openai].as_str(), profile.model.as_deref()),
            ("https://b", Some("preset-model"))
        );
    }
}
