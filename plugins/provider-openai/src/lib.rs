//! OpenAI itself: Codex with a key of the platform.

use aiw_extension::{Access, CliTarget, Error, Family, Plan, Preset, Profile, Provider, ProviderInfo};

struct OpenAi;

impl Provider for OpenAi {
    /// <https://platform.openai.com/docs/api-reference>
    fn describe() -> ProviderInfo {
        ProviderInfo::new("OpenAI").preset(
            Preset::new("openai", "OpenAI")
                .at(Family::Openai, "https://api.openai.com/v1")
                .token_page("https://platform.openai.com/api-keys"),
        )
    }

    fn launch_plan(profile: &Profile, target: &CliTarget) -> Result<Plan, Error> {
        Ok(Access::new(profile, target)?.needs_secret()?.plan())
    }
}

aiw_extension::export_provider!(OpenAi, manifest = "manifest.json");
