//! Anthropic itself: Claude Code with a key of the Console.

use aiw_extension::{
    Access, CliTarget, Error, Family, Health, Listing, Model, Plan, Preset, Profile, Provider, ProviderInfo,
};

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

    fn launch_plan(profile: &Profile, target: &CliTarget) -> Result<Plan, Error> {
        Ok(Access::new(profile, target)?.needs_secret()?.with_x_api_key().plan())
    }

    fn check(profile: &Profile) -> Result<Health, Error> {
        Listing::new(profile)?.with_x_api_key().check()
    }

    fn models(profile: &Profile) -> Result<Vec<Model>, Error> {
        Listing::new(profile)?.with_x_api_key().models()
    }
}

aiw_extension::export_provider!(Anthropic, manifest = "manifest.json");
