//! Provider addresses as users type them.

use aiw_core::Family;
use aiw_core::provider::Preset;

use crate::{CliApis, ProviderError};

/// An address in its stored form. The error doesn't repeat one that may contain a secret.
pub(crate) fn base_url(text: &str) -> Result<String, ProviderError> {
    aiw_home::base_url(text).map_err(|problem| ProviderError::InvalidUrl {
        shown: (!text.contains(['@', '?', '#'])).then(|| text.to_owned()),
        problem: problem.to_owned(),
    })
}

/// The families that an address is for, each with the address in the form that the API's CLIs expect: with `/v1` for
/// OpenAI's, without for the others.
pub(crate) fn resolve_base_urls(
    family: Option<Family>,
    url: &str,
    preset: &Preset,
    wanted: &[CliApis],
) -> Result<Vec<(Family, String)>, ProviderError> {
    if let Some(family) = family {
        return match preset.base_urls.contains_key(&family) {
            true => Ok(vec![(family, url.to_owned())]),
            false => Err(ProviderError::UnsupportedApi { preset: preset.id.clone(), family }),
        };
    }
    let families: Vec<Family> = match wanted {
        [] => preset.base_urls.keys().copied().collect(),
        wanted => wanted.iter().filter_map(CliApis::family).filter(|f| preset.base_urls.contains_key(f)).collect(),
    };
    match families.as_slice() {
        [family] => Ok(vec![(*family, url.to_owned())]),
        // Only the address of a custom provider is known.
        _ if preset.id == "custom" && wanted.is_empty() => Err(ProviderError::AmbiguousApi { url: url.to_owned() }),
        families => {
            let root = url.strip_suffix("/v1").unwrap_or(url);
            let of = |family: &Family| match family {
                Family::Openai => (*family, format!("{root}/v1")),
                Family::Anthropic | Family::Gemini => (*family, root.to_owned()),
            };
            Ok(families.iter().map(of).collect())
        }
    }
}

/// Whether an address, as written, is on this machine.
pub(crate) fn is_loopback(url: &str) -> bool {
    url::Url::parse(url).is_ok_and(|url| aiw_core::is_loopback(&url))
}

/// Whether an address, as written, is on this machine or a private network.
pub(crate) fn is_private(url: &str) -> bool {
    let is_private = |address: std::net::IpAddr| !aiw_core::is_public(address);
    match url::Url::parse(url).ok().as_ref().and_then(url::Url::host) {
        Some(url::Host::Domain(_)) => is_loopback(url),
        Some(url::Host::Ipv4(address)) => is_private(address.into()),
        Some(url::Host::Ipv6(address)) => is_private(address.into()),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aiw_core::provider::Requirement;
    use aiw_core::{Api, CliKind};

    #[test]
    fn an_address_is_kept_plain_and_a_bad_one_is_not_repeated_with_its_secrets() {
        assert_eq!(base_url("https://h:8443/v1/").ok().as_deref(), Some("https://h:8443/v1"));
        for bad in
            ["", "h/v1", "https://u:canary@h/x", "https://u:canary@x@h/?a=@b", "u:canary@h", "https://h/?key=canary"]
        {
            let error = base_url(bad).expect_err(bad).to_string();
            assert!(!error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn one_address_is_for_all_apis_of_a_preset_each_in_its_own_form() {
        let preset = |id: &str| Preset {
            id: id.into(),
            label: String::new(),
            base_urls: Family::ALL.map(|family| (family, None)).into(),
            token: Requirement::Optional,
            token_page: None,
            model: None,
        };
        let all = resolve_base_urls(None, "http://h/v1", &preset("litellm"), &[]).ok().unwrap();
        assert_eq!(
            all,
            [
                (Family::Anthropic, "http://h".to_owned()),
                (Family::Openai, "http://h/v1".into()),
                (Family::Gemini, "http://h".into())
            ]
        );
        assert!(resolve_base_urls(None, "http://h", &preset("custom"), &[]).is_err());
        let codex = CliApis {
            cli: CliKind::Codex,
            apis: &[Api::Responses],
            managed_env_vars: &[],
            forbidden_header_chars: &[],
        };
        let one = resolve_base_urls(None, "http://h/x", &preset("custom"), &[codex]).ok().unwrap();
        assert_eq!(one, [(Family::Openai, "http://h/x".to_owned())]);
        let one = resolve_base_urls(Some(Family::Gemini), "http://h", &preset("custom"), &[]).ok().unwrap();
        assert_eq!(one, [(Family::Gemini, "http://h".to_owned())]);
    }
}
