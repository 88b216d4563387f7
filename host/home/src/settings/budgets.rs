//! `budgets`: how much requests to models may cost.

use std::path::PathBuf;

use aiw_core::one_line;
use serde_json::{Value, json};

use super::Settings;
use crate::HomeError;

/// The unit of a budget.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum BudgetLimit {
    /// US dollars: `usd`.
    Dollars(f64),
    /// Tokens, read and written: `tokens`.
    Tokens(u64),
}

/// How long a budget lasts. Periods begin at midnight in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BudgetPeriod {
    /// `day`
    Day,
    /// `month`
    Month,
}

impl BudgetPeriod {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Day, Self::Month];

    /// Returns its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

impl std::str::FromStr for BudgetPeriod {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|period| period.as_str() == text)
            .ok_or_else(|| "expected `day` or `month`".to_owned())
    }
}

/// How much requests may cost in a day or a month.
#[derive(Debug, Clone, PartialEq)]
pub struct Budget {
    /// Its name.
    pub name: String,
    /// How much.
    pub limit: BudgetLimit,
    /// In which time.
    pub period: BudgetPeriod,
    /// Only what this provider, or this pool, was asked.
    pub provider: Option<String>,
    /// Only what was asked in this directory or below.
    pub project: Option<PathBuf>,
    /// Whether nothing new begins once it is used up; otherwise that is only said.
    pub refuses: bool,
}

impl Budget {
    /// The error is the end of a sentence.
    fn from_json(name: &str, value: &Value) -> Result<Self, String> {
        let limit = match (&value["usd"], &value["tokens"]) {
            (usd, Value::Null) if !usd.is_null() => {
                let usd = usd.as_f64().filter(|usd| (0.0..=1e9).contains(usd));
                BudgetLimit::Dollars(usd.ok_or("has a `usd` that is not a number of dollars")?)
            }
            (Value::Null, tokens) if !tokens.is_null() => {
                BudgetLimit::Tokens(tokens.as_u64().ok_or("has `tokens` that are not a number")?)
            }
            _ => return Err("has neither `usd` nor `tokens`, or both".into()),
        };
        let text = |key: &str| match &value[key] {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text.clone())),
            _ => Err(format!("has a `{key}` that is not text")),
        };
        let period = text("per")?.and_then(|per| per.parse().ok()).ok_or("has no `per` that is `day` or `month`")?;
        let refuses = match text("then")?.as_deref() {
            None | Some("warn") => false,
            Some("refuse") => true,
            Some(_) => return Err("has a `then` that is neither `warn` nor `refuse`".into()),
        };
        let project = text("project")?.map(PathBuf::from);
        if project.as_ref().is_some_and(|project| !project.is_absolute()) {
            return Err("has a `project` that is not an absolute path".into());
        }
        Ok(Self { name: name.to_owned(), limit, period, provider: text("provider")?, project, refuses })
    }

    fn to_json(&self) -> Value {
        let mut fields = serde_json::Map::new();
        match self.limit {
            BudgetLimit::Dollars(usd) => fields.insert("usd".into(), json!(usd)),
            BudgetLimit::Tokens(tokens) => fields.insert("tokens".into(), json!(tokens)),
        };
        fields.insert("per".into(), self.period.as_str().into());
        fields.extend(self.provider.clone().map(|provider| ("provider".to_owned(), provider.into())));
        fields.extend(self.project.as_ref().map(|project| ("project".to_owned(), json!(project))));
        fields.insert("then".into(), if self.refuses { "refuse" } else { "warn" }.into());
        fields.into()
    }
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
            Budget::from_json(name, value).map_err(|problem| {
                let name = one_line(name, 60);
                HomeError::invalid(self.document.path(), format!("has a budget `{name}` that {problem}"))
            })
        };
        entries.iter().map(budget).collect()
    }

    /// Adds or replaces a budget.
    pub fn set_budget(&mut self, budget: &Budget) -> Result<(), HomeError> {
        self.document.set(&["budgets", &budget.name], &budget.to_json())
    }

    /// Gives budgets the new name of their provider. Returns whether there are any.
    pub fn rename_in_budgets(&mut self, provider: &str, new: &str) -> Result<bool, HomeError> {
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
            refuses: true,
        };
        let month = Budget {
            name: "month".into(),
            limit: BudgetLimit::Tokens(7),
            period: BudgetPeriod::Month,
            provider: None,
            project: None,
            refuses: false,
        };
        let text = json!({"budgets": {"day": day.to_json(), "month": month.to_json()}}).to_string();
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
            r#"{"usd": 1, "per": "day", "then": "stop"}"#,
            r#"{"usd": 1, "per": "day", "project": "here"}"#,
            r#"{"usd": 1, "per": "day", "provider": 7}"#,
            "7",
        ] {
            let error = budgets(&format!(r#"{{"budgets": {{"b": {wrong}}}}}"#)).unwrap_err().to_string();
            assert!(error.contains("budget"), "{wrong}: {error}");
        }
    }
}
