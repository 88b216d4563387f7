//! `models`: how much models read and write, and what they cost.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::Settings;
use crate::{HomeError, entry};

/// How much a model reads and writes, as far as it is known.
#[warn(missing_docs)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ModelLimits {
    /// The most tokens that it reads: `context`.
    #[serde(deserialize_with = "tokens")]
    pub context: Option<u32>,
    /// The most tokens of an answer: `output`.
    #[serde(deserialize_with = "tokens")]
    pub output: Option<u32>,
}

fn tokens<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    const MAX_TOKENS: u64 = u32::MAX as u64;
    entry::number::<1, MAX_TOKENS, _, _>(deserializer).map(Some)
}

/// The price of a model, in US dollars for a million tokens: `price`.
#[warn(missing_docs)]
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(from = "Written")]
pub struct ModelPrice {
    /// Read: `input`.
    pub input: f64,
    /// Read from the cache: `cached`. Like `input` where it is not said.
    pub cached: f64,
    /// Put into the cache: `cache_written`. Like `input` where it is not said.
    pub cache_written: f64,
    /// Put into the cache for an hour: `cache_written_1h`. Twice `input` where it is not said and putting into the
    /// cache costs more than reading, as Anthropic has it, else like `cache_written`.
    pub cache_written_1h: f64,
    /// Written, thoughts included: `output`.
    pub output: f64,
}

impl ModelPrice {
    const fn of(input: f64, cached: f64, cache_written: f64, output: f64) -> Self {
        let cache_written_1h = if cache_written > input { 2.0 * input } else { cache_written };
        Self { input, cached, cache_written, cache_written_1h, output }
    }
}

/// A price as it is written.
#[derive(Deserialize, JsonSchema)]
struct Written {
    #[serde(deserialize_with = "dollars")]
    input: f64,
    #[serde(default, deserialize_with = "dollars")]
    cached: Option<f64>,
    #[serde(default, deserialize_with = "dollars")]
    cache_written: Option<f64>,
    #[serde(default, deserialize_with = "dollars")]
    cache_written_1h: Option<f64>,
    #[serde(deserialize_with = "dollars")]
    output: f64,
}

fn dollars<'de, D: Deserializer<'de>, T: From<f64>>(deserializer: D) -> Result<T, D::Error> {
    entry::dollars::<1_000_000, _, _>(deserializer)
}

impl From<Written> for ModelPrice {
    fn from(written: Written) -> Self {
        let or_input = |given: Option<f64>| given.unwrap_or(written.input);
        let price = Self::of(written.input, or_input(written.cached), or_input(written.cache_written), written.output);
        Self { cache_written_1h: written.cache_written_1h.unwrap_or(price.cache_written_1h), ..price }
    }
}

/// List prices, as vendors' pages have them, by the name without its date. The next version of a model has another
/// price, so a beginning is not enough.
const MODEL_PRICES: [(&str, ModelPrice); 59] = [
    // https://docs.claude.com/en/docs/about-claude/pricing
    ("claude-opus-4", ModelPrice::of(15.0, 1.5, 18.75, 75.0)),
    ("claude-opus-4-0", ModelPrice::of(15.0, 1.5, 18.75, 75.0)),
    ("claude-opus-4-1", ModelPrice::of(15.0, 1.5, 18.75, 75.0)),
    ("claude-opus-4-5", ModelPrice::of(5.0, 0.5, 6.25, 25.0)),
    ("claude-opus-4-6", ModelPrice::of(5.0, 0.5, 6.25, 25.0)),
    ("claude-opus-4.5", ModelPrice::of(5.0, 0.5, 6.25, 25.0)),
    ("claude-opus-4.6", ModelPrice::of(5.0, 0.5, 6.25, 25.0)),
    ("claude-sonnet-4", ModelPrice::of(3.0, 0.3, 3.75, 15.0)),
    ("claude-sonnet-4-0", ModelPrice::of(3.0, 0.3, 3.75, 15.0)),
    ("claude-sonnet-4-5", ModelPrice::of(3.0, 0.3, 3.75, 15.0)),
    ("claude-sonnet-4.5", ModelPrice::of(3.0, 0.3, 3.75, 15.0)),
    ("claude-haiku-4.5", ModelPrice::of(1.0, 0.1, 1.25, 5.0)),
    ("claude-haiku-4-5", ModelPrice::of(1.0, 0.1, 1.25, 5.0)),
    ("claude-opus-4-7", ModelPrice::of(5.0, 0.5, 6.25, 25.0)),
    ("claude-opus-5-5", ModelPrice::of(4.0, 0.2, 5.0, 20.0)),
    ("claude-sonnet-5", ModelPrice::of(2.0, 0.2, 2.5, 10.0)),
    ("claude-sonnet-5-5", ModelPrice::of(2.0, 0.1, 2.5, 10.0)),
    ("claude-haiku-5-5", ModelPrice::of(0.1, 0.01, 0.125, 0.5)),
    ("claude-fable-5-1", ModelPrice::of(10.0, 0.25, 12.5, 50.0)),
    ("claude-3-7-sonnet", ModelPrice::of(3.0, 0.3, 3.75, 15.0)),
    ("claude-3-5-haiku", ModelPrice::of(0.8, 0.08, 1.0, 4.0)),
    // https://platform.openai.com/docs/pricing, for prompts of usual length
    ("gpt-6-astra", ModelPrice::of(10.0, 1.0, 12.5, 50.0)),
    ("gpt-6-sol", ModelPrice::of(2.0, 0.2, 2.5, 10.0)),
    ("gpt-6-luna", ModelPrice::of(0.1, 0.01, 0.125, 0.5)),
    ("gpt-6.1-sol", ModelPrice::of(2.0, 0.1, 2.5, 10.0)),
    ("gpt-6.1-terra", ModelPrice::of(1.0, 0.05, 1.25, 5.0)),
    ("gpt-5.6-terra", ModelPrice::of(2.0, 0.2, 2.0, 12.0)),
    ("gpt-5.6-luna", ModelPrice::of(0.2, 0.02, 0.2, 1.2)),
    ("gpt-5", ModelPrice::of(1.25, 0.125, 1.25, 10.0)),
    ("gpt-5-mini", ModelPrice::of(0.25, 0.025, 0.25, 2.0)),
    ("gpt-5-nano", ModelPrice::of(0.05, 0.005, 0.05, 0.4)),
    ("gpt-5.1", ModelPrice::of(1.25, 0.125, 1.25, 10.0)),
    ("gpt-5.1-codex", ModelPrice::of(1.25, 0.125, 1.25, 10.0)),
    ("gpt-5.1-codex-mini", ModelPrice::of(0.25, 0.025, 0.25, 2.0)),
    ("gpt-5.2", ModelPrice::of(1.75, 0.175, 1.75, 14.0)),
    ("gpt-4o", ModelPrice::of(2.5, 1.25, 2.5, 10.0)),
    ("gpt-4o-mini", ModelPrice::of(0.15, 0.075, 0.15, 0.6)),
    ("gpt-4.1", ModelPrice::of(2.0, 0.5, 2.0, 8.0)),
    ("gpt-4.1-mini", ModelPrice::of(0.4, 0.1, 0.4, 1.6)),
    ("gpt-4.1-nano", ModelPrice::of(0.1, 0.025, 0.1, 0.4)),
    ("o3", ModelPrice::of(2.0, 0.5, 2.0, 8.0)),
    ("o4-mini", ModelPrice::of(1.1, 0.275, 1.1, 4.4)),
    // https://ai.google.dev/gemini-api/docs/pricing
    ("gemini-2.5-pro", ModelPrice::of(1.25, 0.125, 1.25, 10.0)),
    ("gemini-2.5-flash", ModelPrice::of(0.3, 0.03, 0.3, 2.5)),
    ("gemini-2.5-flash-lite", ModelPrice::of(0.1, 0.01, 0.1, 0.4)),
    ("gemini-3-pro", ModelPrice::of(2.0, 0.2, 2.0, 12.0)),
    ("gemini-3-flash", ModelPrice::of(0.5, 0.05, 0.5, 3.0)),
    // https://api-docs.deepseek.com/quick_start/pricing
    ("deepseek-chat", ModelPrice::of(0.28, 0.028, 0.28, 0.42)),
    ("deepseek-reasoner", ModelPrice::of(0.28, 0.028, 0.28, 0.42)),
    // https://docs.z.ai/guides/overview/pricing
    ("glm-4.5", ModelPrice::of(0.6, 0.11, 0.6, 2.2)),
    ("glm-4.5-air", ModelPrice::of(0.2, 0.03, 0.2, 1.1)),
    ("glm-4.6", ModelPrice::of(0.6, 0.11, 0.6, 2.2)),
    ("glm-4.7", ModelPrice::of(0.6, 0.11, 0.6, 2.2)),
    // https://platform.moonshot.ai/docs/pricing
    ("kimi-k2", ModelPrice::of(0.6, 0.15, 0.6, 2.5)),
    ("kimi-k2-turbo", ModelPrice::of(1.15, 0.15, 1.15, 8.0)),
    // https://platform.minimax.io/docs/pricing
    ("minimax-m2", ModelPrice::of(0.3, 0.03, 0.375, 1.2)),
    // https://docs.x.ai/docs/models
    ("grok-4", ModelPrice::of(3.0, 0.75, 3.0, 15.0)),
    ("grok-4-fast", ModelPrice::of(0.2, 0.05, 0.2, 0.5)),
    ("grok-code-fast", ModelPrice::of(0.2, 0.02, 0.2, 1.5)),
];

/// The vendors' limits of their models, by the beginning of the name. The line with the longest beginning counts.
/// Models of the CLIs' own vendors are left out: their CLIs know them.
const MODEL_LIMITS: [(&str, u32, u32); 22] = [
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
    /// Returns the limits of a model: what `models` says of its name, or of the longest beginning followed by `*`, else
    /// what its vendor says.
    ///
    /// # Errors
    ///
    /// An entry of `models` is not what it should be.
    pub fn model_limits(&self, model: &str) -> Result<ModelLimits, HomeError> {
        let known =
            MODEL_LIMITS.iter().filter(|(start, ..)| bare(model).starts_with(start) || model.starts_with(start));
        let known = known.max_by_key(|(start, ..)| start.len());
        let known = known.map_or_else(ModelLimits::default, |(_, context, output)| ModelLimits {
            context: Some(*context),
            output: Some(*output),
        });
        let Some(name) = self.model_entry(model, |_| true) else { return Ok(known) };
        let own: ModelLimits = self.entry(&["models", name])?;
        Ok(ModelLimits { context: own.context.or(known.context), output: own.output.or(known.output) })
    }

    /// Returns what a model costs: what `models` says, else its vendor's list price. `None` if neither is known.
    ///
    /// # Errors
    ///
    /// An entry of `models` is not what it should be.
    pub fn model_price(&self, model: &str) -> Result<Option<ModelPrice>, HomeError> {
        if let Some(name) = self.model_entry(model, |entry| !entry["price"].is_null()) {
            return self.entry(&["models", name, "price"]).map(Some);
        }
        // What a router gives away is marked so.
        if model.ends_with(":free") {
            return Ok(Some(ModelPrice::of(0.0, 0.0, 0.0, 0.0)));
        }
        let name = bare(model).split(':').next().unwrap_or_default();
        Ok(MODEL_PRICES.iter().find(|(known, _)| is_version_of(name, known)).map(|(_, price)| *price))
    }

    /// Returns the name in `models` that is for a model: its own, else the longest beginning of it.
    fn model_entry(&self, model: &str, is_wanted: impl Fn(&Value) -> bool) -> Option<&str> {
        let entries = self.document.get(&["models"])?.as_object()?;
        let fits = entries.iter().filter(|(name, entry)| is_for(name, model) && is_wanted(entry));
        fits.map(|(name, _)| name.as_str()).max_by_key(|name| (!name.ends_with('*'), name.len()))
    }
}

fn is_for(pattern: &str, model: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == model, |start| model.starts_with(start))
}

/// Returns whether a name is another one, with or without a date: `gpt-4o-2024-08-06`, `claude-haiku-4-5-20251001`,
/// `gemini-2.5-pro-preview`, `kimi-k2-0905-preview`.
fn is_version_of(name: &str, known: &str) -> bool {
    let Some(rest) = name.strip_prefix(known) else { return false };
    let rest = rest.trim_end_matches("-preview").trim_end_matches("-latest");
    let date: String = rest.chars().filter(char::is_ascii_digit).collect();
    let is_date = rest.starts_with(['-', '@'])
        && rest[1..].bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
        && matches!(date.len(), 4 | 6 | 8);
    rest.is_empty() || is_date
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

    #[test]
    fn a_price_is_the_users_else_the_vendors_else_unknown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("settings.json");
        let price = |text: &str, model: &str| {
            fs::write(&path, text).unwrap();
            Settings::load(&path)?.model_price(model)
        };
        let output = |text, model| price(text, model).unwrap().map(|price| price.output);
        assert_eq!(output("{}", "claude-opus-4-5-20251101"), Some(25.0));
        assert_eq!(output("{}", "claude-opus-4-1-20250805"), Some(75.0));
        assert_eq!(output("{}", "kimi-k2-0905-preview"), Some(2.5));
        // The next version may cost anything.
        for next in ["gpt-5.5", "claude-opus-5", "claude-sonnet-4-7-20270101", "deepseek-chat-v9", "gpt-5-mini-x"] {
            assert_eq!(output("{}", next), None, "{next}");
        }
        assert_eq!(output("{}", "anthropic/claude-sonnet-4.5"), Some(15.0));
        assert_eq!(output("{}", "deepseek/deepseek-chat:free"), Some(0.0));
        assert_eq!(output("{}", "mine"), None);
        let own = r#"{"models": {"mine": {"context": 5}, "mi*": {"price": {"input": 1, "output": 2}}}}"#;
        assert_eq!(price(own, "mine").unwrap(), Some(ModelPrice::of(1.0, 1.0, 1.0, 2.0)));
        let hour = |prices: &str| {
            let own = format!(r#"{{"models": {{"m": {{"price": {{"input": 4, "output": 9{prices}}}}}}}}}"#);
            price(&own, "m").unwrap().map(|price| price.cache_written_1h)
        };
        assert_eq!(hour(r#", "cache_written": 5"#), Some(8.0));
        assert_eq!(hour(r#", "cache_written": 5, "cache_written_1h": 6"#), Some(6.0));
        assert_eq!((hour(""), hour(r#", "cache_written": 2"#)), (Some(4.0), Some(2.0)));
        for wrong in [r#"{"input": 1}"#, r#"{"input": -1, "output": 2}"#, r#"{"input": "1", "output": 2}"#, "7"] {
            assert!(price(&format!(r#"{{"models": {{"m": {{"price": {wrong}}}}}}}"#), "m").is_err(), "{wrong}");
        }
    }
}
