//! OpenAI itself: Codex with a key from the OpenAI platform.

use aiw_extension::{Account, Api, Error, Family, Intent, Preset, Provider, ProviderInfo, Target};

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

    fn plan(account: &Account, target: &Target) -> Result<Intent, Error> {
        // OpenAI's models get their reasoning back in Responses only, so that comes before Chat Completions.
        let mut target = target.clone();
        target.speaks.sort_by_key(|api| *api == Api::ChatCompletions);
        Intent::new(account, &target)?.needs_secret(account)
    }
}

aiw_extension::export_provider!(OpenAi, manifest = "manifest.json");
