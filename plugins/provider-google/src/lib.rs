//! The Gemini API itself: Gemini CLI with a key from AI Studio.

use aiw_extension::{Account, Error, Family, Intent, Preset, Provider, ProviderInfo, Target};

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

    fn plan(account: &Account, target: &Target) -> Result<Intent, Error> {
        Intent::new(account, target)?.needs_secret(account)
    }
}

aiw_extension::export_provider!(Google, manifest = "manifest.json");
