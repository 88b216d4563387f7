//! Pools: several providers under one name.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use aiw_core::{ProviderName, is_valid_model_name};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};

use super::{CLI_LOGIN_NAME, said};
use crate::entry;

aiw_core::string_enum! {
    /// How a pool chooses a member for a new session. A session stays with its member while that works.
    #[warn(missing_docs)]
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "kebab-case")]
    pub enum PoolStrategy, "order" {
        /// The first member that works: `priority`.
        #[default]
        Priority = "priority",
        /// The next one each time: `round-robin`.
        RoundRobin = "round-robin",
        /// The one with the fewest open requests: `least-busy`.
        LeastBusy = "least-busy",
    }
}

/// A member of a pool.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "Value")]
pub struct PoolMember {
    /// The provider.
    pub provider: ProviderName,
    /// The model for it, in place of the provider's own.
    pub model: Option<String>,
}

/// `PROVIDER`, or `PROVIDER=MODEL`.
impl FromStr for PoolMember {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, model) = text.split_once('=').map_or((text, None), |(name, model)| (name, Some(model)));
        let provider = name.parse().map_err(said)?;
        match model {
            Some(model) if !is_valid_model_name(model) => Err("expected `PROVIDER` or `PROVIDER=MODEL`".into()),
            model => Ok(Self { provider, model: model.map(str::to_owned) }),
        }
    }
}

/// As it is read.
impl fmt::Display for PoolMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.model {
            Some(model) => write!(f, "{}={model}", self.provider),
            None => write!(f, "{}", self.provider),
        }
    }
}

impl TryFrom<Value> for PoolMember {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let (name, model) = match &value {
            Value::String(name) => (name.as_str(), None),
            Value::Object(fields) => {
                let name = fields.get("provider").and_then(Value::as_str).ok_or("has no `provider`")?;
                let model = match fields.get("model") {
                    None | Some(Value::Null) => None,
                    Some(model) => Some(
                        model
                            .as_str()
                            .filter(|model| is_valid_model_name(model))
                            .map(str::to_owned)
                            .ok_or("has a `model` that is not a valid model name")?,
                    ),
                };
                (name, model)
            }
            _ => return Err("is neither a name nor an object".into()),
        };
        if name == CLI_LOGIN_NAME {
            return Err(format!("is `{CLI_LOGIN_NAME}`, which means the CLI's own configuration"));
        }
        Ok(Self { provider: name.parse().map_err(said)?, model })
    }
}

impl Serialize for PoolMember {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.model {
            None => self.provider.serialize(serializer),
            Some(model) => json!({"provider": self.provider, "model": model}).serialize(serializer),
        }
    }
}

/// Several providers or accounts under one name.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProviderPool {
    /// Its name, which no provider has.
    #[serde(skip_serializing)]
    #[schemars(skip)]
    pub name: ProviderName,
    /// Its members, the preferred one first; none twice.
    #[schemars(length(min = 1, max = Self::MAX_MEMBERS))]
    pub members: Vec<PoolMember>,
    /// How it chooses.
    #[serde(default, deserialize_with = "entry::string_enum", rename = "strategy")]
    pub order: PoolStrategy,
}

impl ProviderPool {
    /// The most members.
    pub const MAX_MEMBERS: usize = 32;

    /// The error is the end of a sentence.
    pub(super) fn read(name: &str, entry: &Value) -> Result<Self, String> {
        if name == CLI_LOGIN_NAME {
            return Err(format!("is called `{CLI_LOGIN_NAME}`, which means the CLI's own configuration"));
        }
        let pool: Self = entry::read_named(name, entry)?;
        pool.problem().map_or(Ok(pool), Err)
    }

    /// Returns what is wrong with the members, as the end of a sentence.
    pub fn problem(&self) -> Option<String> {
        let distinct: BTreeSet<&PoolMember> = self.members.iter().collect();
        if self.members.is_empty() || self.members.len() > Self::MAX_MEMBERS {
            return Some(format!("needs 1 to {} members", Self::MAX_MEMBERS));
        }
        (distinct.len() < self.members.len()).then(|| "has a member twice".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use crate::Home;

    const FILE: &str = r#"{
  "version": 1,
  "default": "work",
  "providers": {"a": {"preset": "custom"}, "b": {"preset": "custom", "models": {"small": "b-s", "codex": "b-c"}}},
  "pools": {
    "work": {"members": ["a", {"provider": "b", "model": "m"}], "strategy": "round-robin", "mine": 1},
    "a": {"members": ["b"]},
    "empty": {"members": []},
    "twice": {"members": ["a", "a"]},
    "odd": {"members": ["a"], "strategy": "dice"}
  }
}
"#;

    #[test]
    fn what_is_good_is_read_and_what_is_not_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path());
        std::fs::write(home.providers_path(), FILE).unwrap();
        let mut file = home.providers().unwrap();
        let work = file.pool("work").unwrap().unwrap().clone();
        assert_eq!((work.members.len(), work.order), (2, super::PoolStrategy::RoundRobin));
        assert_eq!(work.members[1].model.as_deref(), Some("m"));
        assert_eq!(file.providers()[1].models.len(), 2);
        assert!(file.pool("none").unwrap().is_none() && file.has("work") && file.has("a") && !file.has("odd"));
        for (name, said) in
            [("a", "like a provider"), ("empty", "1 to 32 members"), ("twice", "twice"), ("odd", "`strategy`")]
        {
            let error = file.pool(name).unwrap_err().to_string();
            assert!(error.contains(said), "{name}: {error}");
        }
        // A new name of a member reaches the pool, and the default goes with the pool.
        assert!(file.rename("a", &"c".parse().unwrap()).unwrap());
        file.save(&home.lock().unwrap()).unwrap();
        let mut file = home.providers().unwrap();
        assert_eq!(file.pool("work").unwrap().unwrap().members[0].provider.as_str(), "c");
        assert!(std::fs::read_to_string(home.providers_path()).unwrap().contains("\"mine\": 1"));
        assert!(file.remove_pool("work").unwrap());
        assert_eq!(file.default_for(aiw_core::CliKind::Claude), None);
    }
}
