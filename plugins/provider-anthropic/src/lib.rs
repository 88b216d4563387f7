//! Anthropic itself: Claude Code with a key from the Console.

use aiw_extension::{Account, Error, Family, Health, Intent, Listing, Model, Preset, Provider, ProviderInfo, Target};

struct Anthropic;

impl Provider for Anthropic {
    /// <https://platform.claude.com/docs/en/api/overview>
    fn describe() -> ProviderInfo {
        ProviderInfo::new("Anthropic").preset(
            Preset::new("anthropic", "Anthropic")
                .at(Family::Anthropic, "https://api.anthropic.com")
                .token_page("https://console.anthropic.com/settings/keys"),
        )
    }

    fn plan(account: &Account, target: &Target) -> Result<Intent, Error> {
        Ok(Intent::new(account, target)?.needs_secret(account)?.as_api_key())
    }

    fn check(account: &Account) -> Result<Health, Error> {
        Listing::new(account)?.with_x_api_key().check()
    }

    fn models(account: &Account) -> Result<Vec<Model>, Error> {
        Listing::new(account)?.with_x_api_key().models()
    }
}

aiw_extension::export_provider!(Anthropic, manifest = "manifest.json");
