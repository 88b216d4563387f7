//! The Gemini API itself: Gemini CLI with a key of AI Studio.

use aiw_extension::{Access, CliTarget, Error, Family, Plan, Preset, Profile, Provider, ProviderInfo};

struct Google;

impl Provider for Google {
    /// <https://ai.google.dev/api>
    fn describe() -> ProviderInfo {
        ProviderInfo::new("Google Gemini API").preset(
            Preset::new("google", "Google Gemini API")
                .at(Family::Gemini, "https://generativelanguage.googleapis.com")
                .token_page("https://aistudio.google.com/apikey"),
        )
    }

    fn launch_plan(profile: &Profile, target: &CliTarget) -> Result<Plan, Error> {
        Ok(Access::new(profile, target)?.needs_secret()?.plan())
    }
}

aiw_extension::export_provider!(Google, manifest = "manifest.json");
