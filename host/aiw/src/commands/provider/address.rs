//! Addresses of providers, as they are typed and kept.

use aiw_core::provider::Preset;
use aiw_core::{CliKind, Family, one_line};

use crate::failure::Failure;

/// An address as it is kept; a bad one is not repeated where it may hold a secret.
pub fn base_url(text: &str) -> Result<String, Failure> {
    aiw_home::base_url(text).map_err(|why| match text.contains(['@', '?', '#']) {
        true => Failure::user(format!("the address {why}")),
        false => Failure::user(format!("`{}` {why}", one_line(text, 120))),
    })
}

/// The families that an address is for, each with the address as its CLI wants it: with `/v1`
/// for the OpenAI API, without for the others.
pub fn addresses(
    family: Option<Family>,
    url: &str,
    preset: &Preset,
    wanted: &[CliKind],
) -> Result<Vec<(Family, String)>, Failure> {
    if let Some(family) = family {
        return match preset.base_urls.contains_key(&family) {
            true => Ok(vec![(family, url.to_owned())]),
            false => Err(Failure::user(format!("`{}` does not speak the API `{family}`", preset.id))),
        };
    }
    let families: Vec<Family> = match wanted {
        [] => preset.base_urls.keys().copied().collect(),
        wanted => wanted.iter().map(|cli| cli.family()).filter(|f| preset.base_urls.contains_key(f)).collect(),
    };
    match families.as_slice() {
        [family] => Ok(vec![(*family, url.to_owned())]),
        // Of these alone nothing is known.
        _ if preset.id == "custom" && wanted.is_empty() => {
            let failure = Failure::user("which API is spoken there was not said");
            Err(failure.with_hint(format!(
                "`--base-url anthropic={url}`, `openai=…` or `gemini=…`; or name the CLIs with `--clis`"
            )))
        }
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

/// Whether an address is this machine's.
pub fn is_loopback(url: &str) -> bool {
    match url::Url::parse(url).ok().as_ref().and_then(url::Url::host) {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aiw_core::provider::Need;

    #[test]
    fn an_address_is_kept_plain_and_a_bad_one_is_not_repeated_with_its_secrets() {
        assert_eq!(base_url("https://h:8443/v1/").ok().as_deref(), Some("https://h:8443/v1"));
        for bad in
            ["", "h/v1", "https://u:canary@h/x", "https://u:canary@x@h/?a=@b", "u:canary@h", "https://h/?key=canary"]
        {
            let failure = base_url(bad).expect_err(bad);
            assert!(!failure.message().contains("canary"), "{}", failure.message());
        }
    }

    #[test]
    fn one_address_is_for_all_apis_of_a_preset_each_in_its_own_form() {
        let preset = |id: &str| Preset {
            id: id.into(),
            label: String::new(),
            base_urls: Family::ALL.map(|family| (family, None)).into(),
            token: Need::Optional,
            token_page: None,
            model: None,
        };
        let all = addresses(None, "http://h/v1", &preset("litellm"), &[]).ok().unwrap();
        assert_eq!(
            all,
            [
                (Family::Anthropic, "http://h".to_owned()),
                (Family::Openai, "http://h/v1".into()),
                (Family::Gemini, "http://h".into())
            ]
        );
        assert!(addresses(None, "http://h", &preset("custom"), &[]).is_err());
        let one = addresses(None, "http://h/x", &preset("custom"), &[CliKind::Codex]).ok().unwrap();
        assert_eq!(one, [(Family::Openai, "http://h/x".to_owned())]);
        let one = addresses(Some(Family::Gemini), "http://h", &preset("custom"), &[]).ok().unwrap();
        assert_eq!(one, [(Family::Gemini, "http://h".to_owned())]);
    }
}
