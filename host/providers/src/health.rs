//! Whether providers answer, as they were checked from time to time.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use aiw_core::provider::KeyState;
use aiw_home::{ExclusiveLock, Home, HomeError, Mode, Provider, SecretRef, now_rfc3339, read_capped, replace};
use futures::StreamExt;
use futures::stream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ProviderComponentError, ProviderError, Providers, account, secrets};

/// The most providers that are checked at once.
const MAX_PARALLEL_CHECKS: usize = 4;

/// How long a provider may take to answer.
const HEALTH_CHECK_TIMEOUT: Duration = Duration::from_secs(20);

/// The longest file, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The last check of a provider
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProviderHealth {
    /// When it was
    pub checked: String,
    /// Whether the provider answered as it should; null if aiw could not ask it, or the answer did not say
    pub healthy: Option<bool>,
    /// The problem, or the reason why it could not be asked; null if there is none
    pub problem: Option<String>,
    /// Whether it answered when it was asked last, in this check or before
    #[serde(default)]
    pub last: Option<bool>,
}

/// A change between two checks of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthChange {
    /// It fails now, for this reason.
    Failed(String),
    /// It answers again.
    Recovered,
}

/// The last checks of all providers, by [`health_key`].
pub type HealthRecords = BTreeMap<String, ProviderHealth>;

impl ProviderHealth {
    fn of(answer: Result<(), &'static str>) -> Self {
        Self {
            checked: now_rfc3339(),
            healthy: Some(answer.is_ok()),
            problem: answer.err().map(str::to_owned),
            last: Some(answer.is_ok()),
        }
    }

    fn unasked(problem: String) -> Self {
        Self { checked: now_rfc3339(), healthy: None, problem: Some(problem), last: None }
    }

    /// Returns it with what is known from the check before.
    #[must_use]
    pub fn with_previous(self, before: Option<&Self>) -> Self {
        let last = self.last.or_else(|| before?.last);
        Self { last, ..self }
    }

    /// Returns what has changed since the check before. An answer to the first check does not count as one, and what
    /// could not be asked says nothing.
    pub fn change_since(&self, before: Option<&Self>) -> Option<HealthChange> {
        match (before.and_then(|before| before.last), self.healthy?) {
            (Some(false), true) => Some(HealthChange::Recovered),
            (None | Some(true), false) => Some(HealthChange::Failed(self.problem.clone().unwrap_or_default())),
            (Some(false), false) | (None | Some(true), true) => None,
        }
    }
}

/// Returns the directory of the state of providers.
pub fn health_dir(home: &Home) -> PathBuf {
    home.root().join("health")
}

fn path(home: &Home) -> PathBuf {
    health_dir(home).join("providers.json")
}

/// Returns the key of a provider among the checks: its id, which another one with its name doesn't have.
pub fn health_key(provider: &Provider) -> &str {
    provider.id.as_deref().unwrap_or(provider.name.as_str())
}

/// Returns the last checks. A file that makes no sense is one without any.
///
/// # Errors
///
/// The file can't be read: it is a link, for example.
pub fn load_health_records(home: &Home) -> Result<HealthRecords, HomeError> {
    let bytes = read_capped(&path(home), MAX_FILE_BYTES)?;
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default())
}

/// Records whether a provider has accepted its key for a request. Returns the change, if it is one: a provider that was never
/// checked is taken to work.
///
/// # Errors
///
/// `providers.json` can't be read, or the home can't be written.
pub fn record_key_state(home: &Home, provider: &str, is_accepted: bool) -> Result<Option<HealthChange>, HomeError> {
    let file = home.providers()?;
    let Some(provider) = file.providers().iter().find(|known| known.name.as_str() == provider) else { return Ok(None) };
    let _lock = lock_records(home)?;
    let (mut records, key) = (load_health_records(home)?, health_key(provider));
    let before = records.get(key);
    if is_accepted && before.is_none_or(|before| before.healthy != Some(false)) {
        return Ok(None);
    }
    let now = ProviderHealth::of(if is_accepted { Ok(()) } else { Err(KEY_REFUSED) }).with_previous(before);
    let change = now.change_since(before);
    records.insert(key.to_owned(), now);
    write_health_records(home, &records)?;
    Ok(change)
}

/// The problem of a provider that does not accept its key.
const KEY_REFUSED: &str = "it refuses the key";

/// Keeps the checks of a round, but for what was recorded of a provider since it was checked. A check that could not ask says
/// nothing against a refusal.
///
/// # Errors
///
/// The home can't be written.
pub fn save_health_records(home: &Home, mut round: HealthRecords) -> Result<(), HomeError> {
    let _lock = lock_records(home)?;
    for (key, known) in load_health_records(home)? {
        if let Some(checked) = round.get_mut(&key)
            && (known.checked > checked.checked || checked.healthy.is_none() && known.healthy == Some(false))
        {
            *checked = known;
        }
    }
    write_health_records(home, &round)
}

fn lock_records(home: &Home) -> Result<ExclusiveLock, HomeError> {
    home.make_dir(&health_dir(home))?;
    ExclusiveLock::acquire(&health_dir(home).join("records.lock"))
}

fn write_health_records(home: &Home, book: &HealthRecords) -> Result<(), HomeError> {
    replace(&path(home), &serde_json::to_vec(book).unwrap_or_default(), Mode::Private)
}

impl Providers {
    /// Checks all providers, a few at a time, without asking a model anything. The key of one is read for its check.
    ///
    /// # Errors
    ///
    /// `providers.json` can't be read.
    pub async fn check_each(&self) -> Result<Vec<(Provider, ProviderHealth)>, ProviderError> {
        let file = self.file()?;
        let checks =
            file.providers().iter().map(|provider| async { (provider.clone(), self.health_of(provider).await) });
        Ok(stream::iter(checks).buffer_unordered(MAX_PARALLEL_CHECKS).collect().await)
    }

    async fn health_of(&self, provider: &Provider) -> ProviderHealth {
        // A process of which a home has one does not have the variables of those who start runs.
        let variable = provider.secret_refs().find_map(|(_, reference)| match reference {
            SecretRef::Variable(name) => Some(name),
            SecretRef::Vault(_) => None,
        });
        if let Some(name) = variable {
            return ProviderHealth::unasked(format!("its key is in the variable `{name}`, and not in the vault"));
        }
        ProviderHealth::of(match tokio::time::timeout(HEALTH_CHECK_TIMEOUT, self.ask(provider)).await {
            Err(_) => Err("it does not answer in time"),
            Ok(Ok(KeyState::Refused)) if !provider.headers.is_empty() => {
                return ProviderHealth::unasked("a check does not send its own headers".into());
            }
            Ok(Ok(KeyState::Refused)) => Err(KEY_REFUSED),
            Ok(Ok(KeyState::Unknown)) if provider.secret_refs().next().is_some() => {
                return ProviderHealth::unasked("it answers, and does not say whether it accepts the key".into());
            }
            Ok(Ok(KeyState::Accepted | KeyState::Unknown)) => Ok(()),
            Ok(Err(error)) => Err(phrase(&error)),
        })
    }

    /// Asks a provider whether it accepts its key.
    async fn ask(&self, provider: &Provider) -> Result<KeyState, ProviderError> {
        let known = self.find_preset(provider).await?;
        let (account, secrets) = (account(provider, &known)?, secrets(&self.home, provider)?);
        Ok(self.components.check(&known.component, &account, &secrets).await?.key)
    }
}

/// Returns what is wrong, in words of ours: those of a provider may quote anything.
fn phrase(error: &ProviderError) -> &'static str {
    match error {
        ProviderError::SecretNotFound { .. } => "its key is missing",
        ProviderError::SecretUnreadable { .. } => "its key can't be read",
        ProviderError::Component(
            ProviderComponentError::Unreachable { .. } | ProviderComponentError::Unresolved { .. },
        ) => "it can't be reached",
        ProviderError::Component(ProviderComponentError::Component { .. }) => "it does not answer as it should",
        _ => "it can't be asked as it is set up",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health(healthy: Option<bool>) -> ProviderHealth {
        ProviderHealth { checked: now_rfc3339(), healthy, problem: Some("it is away".into()), last: healthy }
    }

    #[test]
    fn only_a_change_between_two_answers_is_one() {
        let fails = || Some(HealthChange::Failed("it is away".into()));
        for (before, after, change) in [
            (None, Some(true), None),
            (None, Some(false), fails()),
            (Some(None), Some(true), None),
            (Some(None), Some(false), fails()),
            (Some(Some(true)), Some(true), None),
            (Some(Some(true)), Some(false), fails()),
            (Some(Some(false)), Some(false), None),
            (Some(Some(false)), Some(true), Some(HealthChange::Recovered)),
            (Some(Some(false)), None, None),
            (Some(Some(true)), None, None),
        ] {
            let before = before.map(health);
            assert_eq!(health(after).change_since(before.as_ref()), change, "{before:?} → {after:?}");
            // A check in between that could not be made changes nothing.
            let between = health(None).with_previous(before.as_ref());
            assert_eq!(health(after).change_since(Some(&between)), change, "{before:?} → ? → {after:?}");
        }
    }

    #[test]
    fn what_is_kept_is_read_again_and_nonsense_is_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path());
        assert_eq!(load_health_records(&home).unwrap(), HealthRecords::new());
        let book: HealthRecords = [("a".to_owned(), health(Some(false)))].into();
        save_health_records(&home, book.clone()).unwrap();
        assert_eq!(load_health_records(&home).unwrap(), book);
        std::fs::write(path(&home), "{").unwrap();
        assert_eq!(load_health_records(&home).unwrap(), HealthRecords::new());
    }
}
