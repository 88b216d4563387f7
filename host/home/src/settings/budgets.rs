//! `budgets`: how much requests to models may cost.

use std::path::{Path, PathBuf};

use aiw_core::one_line;
use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::Settings;
use crate::{HomeError, entry};

/// The unit of a budget.
#[warn(missing_docs)]
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum BudgetLimit {
    /// US dollars: `usd`.
    #[serde(rename = "usd", deserialize_with = "dollars")]
    Dollars(f64),
    /// Tokens, read and written: `tokens`.
    #[serde(rename = "tokens", deserialize_with = "tokens")]
    Tokens(u64),
}

aiw_core::string_enum! {
    /// How long a budget lasts. Periods begin at midnight in UTC.
    #[warn(missing_docs)]
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    pub enum BudgetPeriod, "period" {
        /// `day`
        Day = "day",
        /// `month`
        Month = "month",
    }
}

/// How much requests may cost in a day or a month.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Budget {
    /// Its name.
    #[serde(skip_serializing)]
    #[schemars(skip)]
    pub name: String,
    /// How much.
    #[serde(flatten)]
    pub limit: BudgetLimit,
    /// In which time.
    #[serde(rename = "per", deserialize_with = "entry::string_enum")]
    pub period: BudgetPeriod,
    /// Only what this provider, or this pool, was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Only what was asked in this directory or below.
    #[serde(default, deserialize_with = "directory", skip_serializing_if = "Option::is_none")]
    pub project: Option<PathBuf>,
    /// Whether nothing new begins once it is used up; otherwise that is only said.
    #[serde(default, rename = "action", deserialize_with = "blocks", serialize_with = "action")]
    #[schemars(with = "String")]
    pub blocks: bool,
}

impl Budget {
    /// Reads a name as it is typed.
    ///
    /// # Errors
    ///
    /// The form that it must have.
    pub fn read_name(text: &str) -> Result<String, String> {
        let is_good = (1..=64).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if is_good { Ok(text.to_owned()) } else { Err("expected 1 to 64 of `A-Z a-z 0-9 . _ -`".into()) }
    }

    /// Reads dollars as they are typed.
    ///
    /// # Errors
    ///
    /// The form that they must have.
    pub fn read_dollars(text: &str) -> Result<f64, String> {
        let number = text.trim_start_matches('$').parse::<f64>().ok().filter(|usd| (0.0..=1e9).contains(usd));
        number.ok_or_else(|| "expected a number of dollars: `20` or `2.50`".into())
    }

    /// The error is the end of a sentence.
    fn read(name: &str, entry: &Value) -> Result<Self, String> {
        if entry["usd"].is_null() == entry["tokens"].is_null() {
            return Err("has neither `usd` nor `tokens`, or both".into());
        }
        entry::read_named(name, entry)
    }
}

// An error in a field that is flattened has no place.

fn dollars<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    entry::dollars::<1_000_000_000, _, _>(deserializer)
        .map_err(|error| D::Error::custom(format!("has a `usd` that {error}")))
}

fn tokens<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    u64::deserialize(deserializer).map_err(|_| D::Error::custom("has `tokens` that are not a number"))
}

fn directory<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    let path: String = entry::text(deserializer, |path| Path::new(path).is_absolute(), "an absolute path")?;
    Ok(Some(path.into()))
}

fn blocks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let word: String = entry::text(deserializer, |word| ["warn", "block"].contains(&word), "`warn` or `block`")?;
    Ok(word == "block")
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn action<S: Serializer>(refuses: &bool, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(if *refuses { "block" } else { "warn" })
}

impl Settings {
    /// Returns the budgets: `budgets`, by name.
    ///
    /// # Errors
    ///
    /// One of them is not what it should be. None is left out: it may be the one that keeps a bill small.
    pub fn budgets(&self) -> Result<Vec<Budget>, HomeError> {
        let Some(Value::Object(entries)) = self.document.get(&["budgets"]) else { return Ok(Vec::new()) };
        let budget = |(name, value): (&String, &Value)| {
            Budget::read(name, value).map_err(|problem| {
                let name = one_line(name, 60);
                HomeError::invalid(self.document.path(), format!("has a budget `{name}` that {problem}"))
            })
        };
        entries.iter().map(budget).collect()
    }

    /// Adds or replaces a budget.
    pub fn set_budget(&mut self, budget: &Budget) -> Result<(), HomeError> {
        // A path that is not UTF-8 can't be written.
        let fields = serde_json::to_value(budget);
        let fields = fields.map_err(|e| HomeError::invalid(self.document.path(), e.to_string()))?;
        self.document.set(&["budgets", &budget.name], &fields)
    }

    /// Gives budgets the new name of their provider. Returns whether there are any.
    pub fn rename_budget_provider(&mut self, provider: &str, new: &str) -> Result<bool, HomeError> {
        let mut concerned = self.budgets()?;
        concerned.retain(|budget| budget.provider.as_deref() == Some(provider));
        for budget in &concerned {
            self.set_budget(&Budget { provider: Some(new.to_owned()), ..budget.clone() })?;
        }
        Ok(!concerned.is_empty())
    }

    /// Removes a budget. Returns whether it was there.
    pub fn remove_budget(&mut self, name: &str) -> Result<bool, HomeError> {
        self.document.remove(&["budgets", name])
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_budget_is_read_as_it_was_written_or_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("settings.json");
        let budgets = |text: &str| {
            fs::write(&path, text).unwrap();
            Settings::load(&path).and_then(|settings| settings.budgets())
        };
        let day = Budget {
            name: "day".into(),
            limit: BudgetLimit::Dollars(2.5),
            period: BudgetPeriod::Day,
            provider: Some("router".into()),
            project: Some("/p".into()),
            blocks: true,
        };
        let month = Budget {
            name: "month".into(),
            limit: BudgetLimit::Tokens(7),
            period: BudgetPeriod::Month,
            provider: None,
            project: None,
            blocks: false,
        };
        let text = json!({"budgets": {"day": day, "month": month}}).to_string();
        assert_eq!(budgets(&text).unwrap(), [day, month]);
        assert!(budgets("{}").unwrap().is_empty());
        for wrong in [
            r#"{"per": "day"}"#,
            r#"{"usd": 1}"#,
            r#"{"usd": 1, "tokens": 1, "per": "day"}"#,
            r#"{"usd": -1, "per": "day"}"#,
            r#"{"usd": "1", "per": "day"}"#,
            r#"{"tokens": 1.5, "per": "day"}"#,
            r#"{"usd": 1, "per": "week"}"#,
            r#"{"usd": 1, "per": "day", "action": "stop"}"#,
            r#"{"usd": 1, "per": "day", "project": "here"}"#,
            r#"{"usd": 1, "per": "day", "provider": 7}"#,
            "7",
        ] {
            let error = budgets(&format!(r#"{{"budgets": {{"b": {wrong}}}}}"#)).unwrap_err().to_string();
            assert!(error.contains("budget"), "{wrong}: {error}");
        }
    }
}
