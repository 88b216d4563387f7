//! `models`: how much models read and write.

use aiw_core::one_line;
use serde_json::Value;

use super::Settings;
use crate::HomeError;

/// How much a model reads and writes, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ModelLimits {
    /// The most tokens that it reads: `context`.
    pub context: Option<u32>,
    /// The most tokens of an answer: `output`.
    pub output: Option<u32>,
}

/// What vendors say of their models, by the beginning of the name. A later line with the same beginning and more of it counts.
/// Models of the CLIs' own vendors are left out: their CLIs know them.
const KNOWN: [(&str, u32, u32); 22] = [
    // https://api-docs.deepseek.com/quick_start/pricing
    ("deepseek-chat", 131_072, 8_192),
    ("deepseek-reasoner", 131_072, 65_536),
    // https://docs.z.ai/guides/llm
    ("glm-4.5", 131_072, 98_304),
    ("glm-4.6", 204_800, 131_072),
    ("glm-4.7", 204_800, 131_072),
    // https://platform.moonshot.ai/docs
    ("kimi-k2", 262_144, 32_768),
    ("kimi-latest", 131_072, 16_384),
    // https://platform.minimax.io/docs
    ("minimax-m2", 204_800, 131_072),
    // https://help.aliyun.com/zh/model-studio/models
    ("qwen3-coder", 262_144, 65_536),
    ("qwen3-max", 262_144, 65_536),
    ("qwen-plus", 131_072, 32_768),
    // https://docs.mistral.ai/getting-started/models
    ("devstral", 131_072, 32_768),
    ("mistral-large", 131_072, 32_768),
    // https://console.groq.com/docs/models
    ("llama-3.3-70b", 131_072, 32_768),
    ("openai/gpt-oss", 131_072, 65_536),
    ("gpt-oss", 131_072, 32_768),
    // https://platform.openai.com/docs/models, for other CLIs than Codex
    ("gpt-4o", 128_000, 16_384),
    ("gpt-4.1", 1_047_576, 32_768),
    ("gpt-5", 400_000, 128_000),
    // https://ai.google.dev/gemini-api/docs/models, for other CLIs than Gemini's
    ("gemini-2.5", 1_048_576, 65_536),
    ("gemini-3", 1_048_576, 65_536),
    // https://docs.x.ai/docs/models
    ("grok-4", 256_000, 64_000),
];

impl Settings {
    /// Returns the limits of a model: what `models` says of its name, or of the longest beginning followed by `*`, else what its
    /// vendor says.
    ///
    /// # Errors
    ///
    /// An entry of `models` is not what it should be.
    pub fn model_limits(&self, model: &str) -> Result<ModelLimits, HomeError> {
        let invalid = |problem: String| HomeError::invalid(self.document.path(), problem);
        let own = match self.document.get(&["models"]) {
            Some(Value::Object(entries)) => {
                let fits = entries.iter().filter(|(name, _)| is_for(name, model));
                fits.max_by_key(|(name, _)| (!name.ends_with('*'), name.len()))
            }
            _ => None,
        };
        let known = KNOWN.iter().filter(|(start, ..)| bare(model).starts_with(start) || model.starts_with(start));
        let known = known.max_by_key(|(start, ..)| start.len());
        let known = known.map_or_else(ModelLimits::default, |(_, context, output)| ModelLimits {
            context: Some(*context),
            output: Some(*output),
        });
        let Some((name, entry)) = own else { return Ok(known) };
        let number = |key: &str| match entry.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                let number = value.as_u64().and_then(|number| u32::try_from(number).ok()).filter(|number| *number > 0);
                let name = one_line(name, 80);
                let problem = format!("has `models.{name}.{key}`, which is not a number of tokens");
                number.map(Some).ok_or_else(|| invalid(problem))
            }
        };
        Ok(ModelLimits { context: number("context")?.or(known.context), output: number("output")?.or(known.output) })
    }
}

fn is_for(pattern: &str, model: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == model, |start| model.starts_with(start))
}

/// Routers put the vendor before the name: `deepseek/deepseek-chat`.
fn bare(model: &str) -> &str {
    model.rsplit('/').next().unwrap_or(model)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_the_user_says_beats_the_table_and_the_name_beats_its_beginning() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("settings.json");
        let limits = |text: &str, model: &str| {
            fs::write(&path, text).unwrap();
            Settings::load(&path)?.model_limits(model)
        };
        let of = |context, output| ModelLimits { context, output };
        assert_eq!(limits("{}", "deepseek-chat").unwrap(), of(Some(131_072), Some(8_192)));
        assert_eq!(limits("{}", "deepseek/deepseek-reasoner:free").unwrap(), of(Some(131_072), Some(65_536)));
        assert_eq!(limits("{}", "mine").unwrap(), of(None, None));
        let own = r#"{"models": {"mi*": {"context": 5}, "mine": {"context": 7, "output": 3}, "deepseek-chat": {"output": 9}}}"#;
        assert_eq!(limits(own, "mine").unwrap(), of(Some(7), Some(3)));
        assert_eq!(limits(own, "mind").unwrap(), of(Some(5), None));
        assert_eq!(limits(own, "deepseek-chat").unwrap(), of(Some(131_072), Some(9)));
        for wrong in
            [r#"{"models": []}"#, r#"{"models": {"m": {"context": 0}}}"#, r#"{"models": {"m": {"output": "x"}}}"#]
        {
            assert!(limits(wrong, "m").is_err(), "{wrong}");
        }
    }
}
