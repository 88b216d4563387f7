//! Newer versions of AI CLIs. The npm registry is asked only when a person asks, and once a day at most.

use std::collections::BTreeMap;

use aiw_core::Reporter;
use aiw_home::{Home, Mode, now_millis, read_capped, replace, rfc3339};
use aiw_launch::{DetectedCli, SearchPath, detect, npm_package, update_command};
use aiw_net::{NetError, Policy};
use schemars::JsonSchema;
use semver::Version;
use serde::{Deserialize, Serialize};

use crate::installation::{UpdateError, fetch_version};

/// The registry of npm.
const NPM_REGISTRY_URL: &str = "https://registry.npmjs.org";

/// How long an answer is good, in milliseconds.
const CACHE_TTL_MS: u64 = 24 * 3600 * 1000;

/// A version of an AI CLI, and the newest one.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CliUpdate {
    /// `claude`, `codex` or `gemini`
    pub kind: &'static str,
    /// The version that is installed; null if it is not known
    pub version: Option<String>,
    /// The newest version
    pub newest: String,
    /// Whether the newest version is newer
    pub is_newer: bool,
    /// The command that updates it as it was installed; null if that is not known
    pub update: Option<String>,
    /// When the registry was asked, in RFC 3339 format
    pub asked: String,
}

impl CliUpdate {
    /// Returns the lines that say so, the second one with the command that updates it if there is a newer version.
    pub fn lines(&self) -> Vec<String> {
        let version = self.version.as_deref().unwrap_or("of an unknown version");
        if !self.is_newer {
            return vec![format!("{} {version}: the newest is {}", self.kind, self.newest)];
        }
        let how = || "update it as you installed it".to_owned();
        let update = self.update.as_ref().map_or_else(how, |update| format!("`{update}`"));
        vec![format!("{} {version}: {} is out", self.kind, self.newest), format!("  → {update}")]
    }
}

/// The newest version of a CLI, as the registry said.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Newest {
    version: String,
    /// When, in milliseconds since 1970.
    asked: u64,
}

/// Returns what is known of newer versions of the CLIs that are installed. What was not asked today is asked now.
///
/// # Errors
///
/// The settings don't let it, or the registry gives no answer.
pub async fn outdated(home: &Home, sink: &dyn Reporter) -> Result<Vec<CliUpdate>, UpdateError> {
    let settings = home.settings()?.updates()?;
    if !settings.check {
        return Err(UpdateError::Disabled);
    }
    let mut policy = Policy::public();
    // An address that was typed may be on this machine.
    settings.npm_url.iter().for_each(|url| policy.grant_url(url));
    let base = settings.npm_url.as_deref().unwrap_or(NPM_REGISTRY_URL).trim_end_matches('/').to_owned();
    let mut known = load(home);
    let found = detect(&SearchPath::from_context(home.context()), Some(home));
    let now = now_millis();
    let (mut news, mut problems): (Vec<CliUpdate>, Vec<(&str, UpdateError)>) = (Vec::new(), Vec::new());
    for cli in found.iter().filter(|cli| cli.path.is_some()) {
        let kind = cli.kind.as_str();
        let is_fresh = |newest: &Newest| newest.asked <= now && now - newest.asked < CACHE_TTL_MS;
        let is_asked = problems.iter().all(|(_, problem)| !is_of_registry(problem));
        if is_asked && !known.get(kind).is_some_and(is_fresh) {
            sink.step(format!("asking for the newest version of {kind}"));
            match fetch_version(format!("{base}/{}/latest", npm_package(cli.kind)), &policy).await {
                Ok(version) => {
                    known.insert(kind.to_owned(), Newest { version: version.to_string(), asked: now });
                    save(home, &known);
                }
                Err(e) => problems.push((kind, e)),
            }
        }
        news.extend(known.get(kind).map(|newest| of(cli, newest)));
    }
    let failed = if news.is_empty() { problems.pop() } else { None };
    for (kind, problem) in problems {
        sink.note(if is_of_registry(&problem) { problem.to_string() } else { format!("{kind}: {problem}") });
    }
    failed.map_or(Ok(news), |(_, problem)| Err(problem))
}

/// Whether the registry can't be asked for any CLI.
fn is_of_registry(problem: &UpdateError) -> bool {
    matches!(
        problem,
        UpdateError::Timeout { .. } | UpdateError::Net(NetError::Unavailable { .. } | NetError::Denied { .. })
    )
}

/// Returns what is known of a newer version of a CLI from the last time that somebody asked. Nothing is sent.
pub fn cached_update(home: &Home, cli: &DetectedCli) -> Option<CliUpdate> {
    load(home).get(cli.kind.as_str()).map(|newest| of(cli, newest)).filter(|news| news.is_newer)
}

fn of(cli: &DetectedCli, newest: &Newest) -> CliUpdate {
    let parsed = |text: &str| text.parse::<Version>().ok();
    let own = cli.version.as_deref().and_then(parsed);
    CliUpdate {
        kind: cli.kind.as_str(),
        version: cli.version.clone(),
        newest: newest.version.clone(),
        is_newer: own.zip(parsed(&newest.version)).is_some_and(|(own, newest)| newest > own),
        update: update_command(cli),
        asked: rfc3339(newest.asked),
    }
}

fn load(home: &Home) -> BTreeMap<String, Newest> {
    let bytes = read_capped(&home.cache("cli-news.json"), 1 << 16).ok().flatten();
    bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// Keeps the answers. If that fails, the registry is asked again.
fn save(home: &Home, known: &BTreeMap<String, Newest>) {
    if let (Ok(()), Ok(bytes)) = (home.make_dir(&home.cache("")), serde_json::to_vec(known)) {
        let _ = replace(&home.cache("cli-news.json"), &bytes, Mode::Private);
    }
}
