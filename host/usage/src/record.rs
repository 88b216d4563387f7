//! One line of a book.

use aiw_core::{CliKind, ProcessId};
use aiw_home::{HomeError, ModelPrice, Settings};
use serde::{Deserialize, Serialize};

/// The highest believable cost, in US dollars. A higher number is not taken for a cost.
const MAX_COST_USD: f64 = 1e6;

/// Returns a cost that somebody says, if it can be one.
pub fn plausible_cost(said: Option<f64>) -> Option<f64> {
    said.filter(|cost| (0.0..=MAX_COST_USD).contains(cost))
}

/// Where the numbers of a booking come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UsageSource {
    /// The gateway: one request.
    Gateway,
    /// The CLI's own stream: a whole task.
    Cli,
}

/// Tokens of one request, or of several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct TokenCounts {
    /// Read, without those out of a cache or into one.
    pub input: u64,
    /// Read out of a cache.
    pub cached: u64,
    /// Read and put into a cache, where the vendor counts that.
    pub cache_written: u64,
    /// Of those put into a cache, those that stay for an hour, which costs more.
    #[serde(skip_serializing_if = "is_none")]
    pub cache_written_1h: u64,
    /// Written, thoughts included.
    pub output: u64,
    /// Of the written ones, thoughts.
    pub thinking: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_none(tokens: &u64) -> bool {
    *tokens == 0
}

impl TokenCounts {
    /// No request uses more of any kind. Servers and CLIs may say anything.
    pub const MAX_TOKENS: u64 = 100_000_000;

    /// Returns all that was read and written.
    pub fn total(&self) -> u64 {
        self.total_input().saturating_add(self.output)
    }

    /// Returns all that was read.
    pub fn total_input(&self) -> u64 {
        self.input.saturating_add(self.cached).saturating_add(self.cache_written)
    }

    /// Returns their cost in US dollars.
    #[expect(clippy::cast_precision_loss, reason = "the numbers are far below 2^53, and money is rounded anyway")]
    pub fn cost(&self, price: &ModelPrice) -> f64 {
        let hour = self.cache_written_1h.min(self.cache_written);
        let parts = [
            (self.input, price.input),
            (self.cached, price.cached),
            (self.cache_written - hour, price.cache_written),
            (hour, price.cache_written_1h),
            (self.output, price.output),
        ];
        parts.iter().map(|(tokens, price)| *tokens as f64 * price / 1e6).sum()
    }
}

/// The usage of one request, or of one task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Line")]
pub struct UsageRecord {
    /// When the request was sent or the task ended, in milliseconds since 1970.
    pub at: u64,
    /// Where the numbers come from.
    pub source: UsageSource,
    /// The CLI, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cli: Option<CliKind>,
    /// The provider that answered; none for the CLI's own login.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The pool that chose the provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// The model that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<ProcessId>,
    /// The directory that the run works in. Private runs have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// For a private run, the names of the budgets that hold for its directory.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<String>,
    /// The tokens.
    #[serde(flatten)]
    pub tokens: TokenCounts,
    /// The cost in US dollars, where it was known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// Whether the answer broke off: the numbers are those until then.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// Whether the tokens are an estimate: the provider has not counted them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
    /// Whether the request is open: all of this is expected, and a later line says how it ended.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub open: bool,
    /// Where the line of the open request stands in its month that this one takes the place of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closes: Option<u64>,
}

/// A booking as it is read. Of a flattened field, serde would keep each value before it is read.
#[derive(Deserialize)]
struct Line {
    at: u64,
    source: UsageSource,
    #[serde(default)]
    cli: Option<CliKind>,
    #[serde(default)]
    provider: Option<String>,
    #[serde(default)]
    pool: Option<String>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    task: Option<ProcessId>,
    #[serde(default)]
    project: Option<String>,
    #[serde(default)]
    budgets: Vec<String>,
    #[serde(default)]
    input: u64,
    #[serde(default)]
    cached: u64,
    #[serde(default)]
    cache_written: u64,
    #[serde(default)]
    cache_written_1h: u64,
    #[serde(default)]
    output: u64,
    #[serde(default)]
    thinking: u64,
    #[serde(default)]
    cost_usd: Option<f64>,
    #[serde(default)]
    truncated: bool,
    #[serde(default)]
    estimated: bool,
    #[serde(default)]
    open: bool,
    #[serde(default)]
    closes: Option<u64>,
}

impl From<Line> for UsageRecord {
    fn from(line: Line) -> Self {
        let Line {
            at,
            source,
            cli,
            provider,
            pool,
            model,
            task,
            project,
            budgets,
            cost_usd,
            truncated,
            estimated,
            open,
            closes,
            ..
        } = line;
        let Line { input, cached, cache_written, cache_written_1h, output, thinking, .. } = line;
        let tokens = TokenCounts { input, cached, cache_written, cache_written_1h, output, thinking };
        Self {
            at,
            source,
            cli,
            provider,
            pool,
            model,
            task,
            project,
            budgets,
            tokens,
            cost_usd,
            truncated,
            estimated,
            open,
            closes,
        }
    }
}

impl UsageRecord {
    /// Begins a booking of now.
    pub fn new(source: UsageSource, tokens: TokenCounts) -> Self {
        Self {
            at: aiw_home::now_millis(),
            source,
            cli: None,
            provider: None,
            pool: None,
            model: None,
            task: None,
            project: None,
            budgets: Vec::new(),
            tokens,
            cost_usd: None,
            truncated: false,
            estimated: false,
            open: false,
            closes: None,
        }
    }

    /// Returns whether nothing was used.
    pub(crate) fn is_empty(&self) -> bool {
        self.tokens.total() == 0 && self.cost_usd.is_none_or(|cost| cost == 0.0)
    }

    /// Returns the cost: as it was booked, else by the prices of today.
    ///
    /// # Errors
    ///
    /// A price in the settings is not what it should be.
    pub fn cost(&self, settings: &Settings) -> Result<Option<f64>, HomeError> {
        if let Some(cost) = plausible_cost(self.cost_usd) {
            return Ok(Some(cost));
        }
        let Some(model) = &self.model else { return Ok(None) };
        Ok(settings.model_price(model)?.map(|price| self.tokens.cost(&price)))
    }
}
