//! Everything that speaks an API of the AI CLIs but is not its vendor: gateways, compatible providers, and servers
//! on this machine. Each takes its key as `Authorization: Bearer`.

mod presets;

use aiw_extension::{Account, Error, Health, Intent, Listing, Model, Need, Provider, ProviderInfo, Target};

struct Gateway;

impl Provider for Gateway {
    fn describe() -> ProviderInfo {
        ProviderInfo {
            label: "Gateways, compatible providers and local servers".to_owned(),
            presets: presets::all().into_iter().map(|gateway| gateway.preset).collect(),
        }
    }

    fn plan(account: &Account, target: &Target) -> Result<Intent, Error> {
        let intent = Intent::new(account, target)?;
        let needs = presets::find(account).is_some_and(|gateway| gateway.preset.token == Need::Required);
        if needs { intent.needs_secret(account) } else { Ok(intent) }
    }

    fn check(account: &Account) -> Result<Health, Error> {
        listing(account, |gateway| gateway.key_check_url.or(gateway.models_url))?.check()
    }

    fn models(account: &Account) -> Result<Vec<Model>, Error> {
        listing(account, |gateway| gateway.models_url)?.models()
    }
}

/// Returns the gateway's own listing, unless the user has changed the preset's addresses.
fn listing(account: &Account, place: impl Fn(&presets::Gateway) -> Option<&'static str>) -> Result<Listing, Error> {
    let listing = Listing::new(account)?;
    let own = presets::find(account).filter(|gateway| gateway.preset.base_urls == account.base_urls);
    Ok(match own.as_ref().and_then(place) {
        Some(url) => listing.at(url),
        None => listing,
    })
}

aiw_extension::export_provider!(Gateway, manifest = "manifest.json");

#[cfg(test)]
mod tests {
    use super::*;
    use aiw_extension::{BaseUrl, Family};

    fn account(preset: &str) -> Account {
        let base_urls =
            presets::all().into_iter().find(|gateway| gateway.preset.id == preset).unwrap().preset.base_urls;
        let (name, preset) = (preset.to_owned(), preset.to_owned());
        Account { name, preset, base_urls, model: None, secrets: Vec::new() }
    }

    #[test]
    fn a_gateway_that_was_moved_is_asked_where_it_is() {
        let models = |account: &Account| listing(account, |gateway| gateway.models_url).unwrap().url;
        let mut deepseek = account("deepseek");
        assert_eq!(models(&deepseek), "https://api.deepseek.com/models");
        let url = "https://mirror.example/anthropic".to_owned();
        deepseek.base_urls = vec![BaseUrl { family: Family::Anthropic, url }];
        assert_eq!(models(&deepseek), "https://mirror.example/anthropic/v1/models?limit=1000");
    }

    #[test]
    fn a_list_that_anybody_may_read_says_nothing_of_a_key() {
        let openrouter =
            listing(&account("openrouter"), |gateway| gateway.key_check_url.or(gateway.models_url)).unwrap();
        assert_eq!(openrouter.url, "https://openrouter.ai/api/v1/key");
    }

    #[test]
    fn what_a_gateway_names_is_where_it_is_itself() {
        let origin = |url: &str| url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
        for gateway in presets::all() {
            for url in gateway.models_url.into_iter().chain(gateway.key_check_url) {
                let own = gateway.preset.base_urls.iter().any(|at| origin(&at.url) == origin(url));
                assert!(own, "{url}: the secret is bound to the addresses of `{}`", gateway.preset.id);
            }
        }
    }
}
