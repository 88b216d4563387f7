//! What needs a person, for all views: one list, the most urgent first, computed from the records of each part.
//!
//! A new source is one row of [`SOURCES`]. Looking starts nothing and asks nobody on the network.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use aiw_core::{one_line, pluralize, shell_quote_printable};
use aiw_home::{Home, HomeError, Problem};
use aiw_launch::describe_state;
use aiw_processes::{EventHook, Manager, ProcessStatus, RunState};
use aiw_providers::{health_key, load_health_records};
use aiw_routing::Records;
use aiw_tasks::{Outcome, State, Task};
use schemars::JsonSchema;
use serde::Serialize;

use crate::attention_state::{AttentionState, DoctorProblem, LastDoctor};
use crate::doctor;
use crate::feed::Topic;
use crate::tasks;

/// The topics whose changes may change the list.
pub const ATTENTION_TOPICS: [Topic; 7] =
    [Topic::Tasks, Topic::Processes, Topic::Servers, Topic::Providers, Topic::Usage, Topic::Documents, Topic::Events];

/// The most entries of one source. More are one entry with their number.
const MAX_ITEMS_PER_SOURCE: usize = 50;

/// The longest sentence, and the longest command.
const MAX_TEXT_LEN: usize = 400;

/// The most muted entries that are kept. The oldest go first.
const MAX_MUTED: usize = 500;

aiw_core::string_enum! {
    /// How urgent an entry is.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Severity {
        /// Something does not work until somebody acts.
        Error = "error",
        /// Something should be looked at.
        Warning = "warning",
    }
}

/// Something that needs a person
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AttentionItem {
    /// Its id, by which it is muted. It is another one once something about it changes
    pub id: String,
    /// `error` or `warning`
    #[schemars(with = "String")]
    pub severity: Severity,
    /// The part that it is about: `mcp`, `processes`, `tasks`, `providers`, `budgets`, `sync`, `ci`, or a part of `aiw doctor`
    pub source: String,
    /// The problem, as a sentence
    pub problem: String,
    /// The command that resolves it, in backticks, and what that does
    pub next: String,
    /// The page of the dashboard that shows it: `/tasks/2yg1`
    pub link: String,
    /// When it was found, if it is of the last `aiw doctor`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked_at: Option<String>,
    /// Whether it is about another project than that of the directory.
    #[serde(skip)]
    pub is_elsewhere: bool,
    /// Whether it is muted: it is shown with the muted ones alone
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub muted: bool,
}

/// What needs a person
#[warn(missing_docs)]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Attention {
    /// The entries, the most urgent first
    pub items: Vec<AttentionItem>,
    /// How many others are muted
    pub muted: usize,
}

/// `aiw attention mute`, `unmute`
#[warn(missing_docs)]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AttentionMute {
    /// The ids that were muted, or are not any more
    pub ids: Vec<String>,
}

/// Why an entry can't be muted.
#[derive(Debug, thiserror::Error)]
pub enum AttentionError {
    /// The state can't be read or written.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// There is no such entry.
    #[error("nothing with the id `{}` needs attention", one_line(.0, 80))]
    NotFound(String),
}

impl aiw_core::Diagnostic for AttentionError {
    fn diagnostic_source(&self) -> Option<&dyn aiw_core::Diagnostic> {
        aiw_core::forward_diagnostic!(self, Home)
    }

    fn own_hint(&self) -> Option<String> {
        matches!(self, Self::NotFound(_)).then(|| "`aiw attention list --muted` shows the ids".to_owned())
    }
}

/// A part that knows what needs a person: its name, the page of the dashboard, and the look at it.
type Source = (&'static str, &'static str, fn(&Home, &Path) -> Vec<Found>);

/// Something that a source found.
struct Found {
    problem: Problem,
    severity: Severity,
    /// The thing that it is about, as the rest of the page's path.
    subject: Option<String>,
    /// What makes it another entry, although its sentence is the same.
    state: String,
    is_elsewhere: bool,
}

impl Found {
    fn about(subject: impl Into<String>, problem: Problem) -> Self {
        Self { subject: Some(subject.into()), ..Self::from(problem) }
    }
}

impl From<Problem> for Found {
    fn from(problem: Problem) -> Self {
        Self { problem, severity: Severity::Error, subject: None, state: String::new(), is_elsewhere: false }
    }
}

const SOURCES: [Source; 7] = [
    ("mcp", "/servers", servers),
    ("processes", "/processes", processes),
    ("tasks", "/tasks", ended_tasks),
    ("providers", "/providers", providers),
    ("budgets", "/usage", budgets),
    ("sync", "/sync", sync),
    ("ci", "/ci", ci),
];

impl Attention {
    /// Looks at each part, as it is for the directory. A part that can't be read is an entry, and stops no other.
    pub fn collect(home: &Home, cwd: &Path) -> Self {
        let (shown, muted) = Self::all(home, cwd).into_iter().partition(|item| !item.muted);
        let muted: Vec<AttentionItem> = muted;
        Self { items: shown, muted: muted.len() }
    }

    /// Returns the entries with those that are muted.
    pub fn collect_with_muted(home: &Home, cwd: &Path) -> Self {
        let items = Self::all(home, cwd);
        Self { muted: items.iter().filter(|item| item.muted).count(), items }
    }

    fn all(home: &Home, cwd: &Path) -> Vec<AttentionItem> {
        let state = AttentionState::load(home);
        let mut items = Vec::new();
        for (source, page, look) in SOURCES {
            let found = look(home, cwd).into_iter().map(|found| item(source, page, found));
            let (muted, mut shown): (Vec<_>, Vec<_>) = found.partition(|item| state.muted.contains(&item.id));
            let rest = shown.len().saturating_sub(MAX_ITEMS_PER_SOURCE);
            shown.truncate(MAX_ITEMS_PER_SOURCE);
            items.extend(shown);
            if rest > 0 {
                let problem = Problem::new(format!("{rest} more like these"), "aiw attention mute ID");
                let problem = problem.with_purpose("hides those that you know");
                items.push(item(source, page, Found { severity: Severity::Warning, ..Found::from(problem) }));
            }
            items.extend(muted.into_iter().take(MAX_MUTED));
        }
        items.extend(state.doctor.iter().flat_map(|last| found_by_doctor(last, cwd)));
        for item in &mut items {
            item.muted = state.muted.contains(&item.id);
        }
        let mut seen = HashSet::new();
        items.retain(|item| seen.insert(item.id.clone()));
        // Stable: the sources have an order of their own.
        items.sort_by_key(|item| item.severity);
        items
    }

    /// Mutes entries until they change, or shows them again.
    ///
    /// # Errors
    ///
    /// There is no such entry, or the state can't be written.
    pub fn set_muted(home: &Home, cwd: &Path, ids: &[String], muted: bool) -> Result<AttentionMute, AttentionError> {
        let known = Self::all(home, cwd);
        if let Some(unknown) = ids.iter().find(|id| !known.iter().any(|item| item.id == **id)) {
            return Err(AttentionError::NotFound(unknown.clone()));
        }
        AttentionState::edit(home, |state| {
            state.muted.retain(|id| !ids.contains(id));
            if muted {
                state.muted.extend(ids.iter().collect::<BTreeSet<_>>().into_iter().cloned());
            }
            let excess = state.muted.len().saturating_sub(MAX_MUTED);
            state.muted.drain(..excess);
        })?;
        Ok(AttentionMute { ids: ids.to_vec() })
    }
}

fn item(source: &str, page: &str, found: Found) -> AttentionItem {
    let Found { problem: Problem { problem, next }, severity, subject, state, is_elsewhere } = found;
    // A command that is shown in another way than it is written is another command.
    let is_plain = one_line(&next, MAX_TEXT_LEN) == next;
    let link = match &subject {
        Some(subject) => format!("{page}/{}", percent_encode(subject)),
        None => page.to_owned(),
    };
    AttentionItem {
        id: id(source, &problem, &state),
        severity,
        source: source.to_owned(),
        problem: one_line(&problem, MAX_TEXT_LEN),
        next: if is_plain { next } else { "`aiw doctor`".to_owned() },
        link,
        checked_at: None,
        is_elsewhere,
        muted: false,
    }
}

/// Returns the id of a problem: its source, and a digest of its sentence and its state.
fn id(source: &str, problem: &str, state: &str) -> String {
    let digest = aiw_extensions::sha256_hex(format!("{source}\0{problem}\0{state}").as_bytes());
    format!("{source}-{}", &digest[..10])
}

fn percent_encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

fn servers(home: &Home, cwd: &Path) -> Vec<Found> {
    let problems = match doctor::server_problems(home, cwd) {
        Ok(problems) => problems,
        Err(e) => return vec![Problem::from_diagnostic(&e, "aiw mcp list").into()],
    };
    let records = Records::new(home.clone());
    let found = |(server, problem): (Option<String>, Problem)| {
        // What was muted was these definitions, and not the next ones.
        let record = server.as_ref().and_then(|server| records.load(server));
        let state = record.map(|record| format!("{:?}", record.changes())).unwrap_or_default();
        Found { subject: server, state, ..Found::from(problem) }
    };
    problems.into_iter().map(found).collect()
}

fn processes(home: &Home, cwd: &Path) -> Vec<Found> {
    let manager = match Manager::open_in(home, cwd) {
        Ok(manager) => manager,
        Err(e) => return vec![Problem::from_diagnostic(&e, "aiw ps").into()],
    };
    let mut found = Vec::new();
    match manager.load() {
        Err(e) => found.push(Problem::from_diagnostic(&e, "aiw process edit").into()),
        Ok(loaded) if loaded.needs_approval() => {
            let file = manager.project().file();
            let state = std::fs::read(&file).map(|bytes| aiw_extensions::sha256_hex(&bytes)).unwrap_or_default();
            let problem = format!("`{}` waits for your consent: nothing that it declares starts", file.display());
            let problem = Problem::new(problem, "aiw up").with_purpose("shows it, and asks");
            found.push(Found { severity: Severity::Warning, state, ..Found::from(problem) });
        }
        Ok(_) => {}
    }
    let own = manager.project().directory();
    let mut all = manager.list_all().unwrap_or_default();
    // Those of a directory that is gone can't be started again.
    all.retain(|status| status.project == own || status.project.is_dir());
    all.sort_by_key(|status| status.project != own);
    found.extend(all.iter().filter_map(|status| failed_process(status, own)));
    found
}

fn failed_process(status: &ProcessStatus, own: &Path) -> Option<Found> {
    let what = match status.state {
        RunState::Failed => "has failed",
        RunState::CrashLooping => "crashes again and again",
        RunState::Unhealthy => "fails its probe",
        _ => return None,
    };
    let reason = status.reason().map(|reason| format!(" ({})", one_line(&reason, 200))).unwrap_or_default();
    let is_own = status.project == own;
    let kind = if status.id.starts_with(EventHook::PREFIX) { "hook" } else { "process" };
    let id = shell_quote_printable(&status.id);
    let (place, command, purpose) = match is_own {
        true => (String::new(), format!("aiw logs {id}"), "shows what it wrote"),
        false => (format!(" of `{}`", status.project.display()), "aiw ps --all".to_owned(), "lists it"),
    };
    let sentence = format!("{kind} `{}`{place} {what}{reason}", one_line(&status.id, 80));
    // After a restart, another failure is another entry.
    let state = status.record.as_ref().map(|record| format!("{:?}", record.started)).unwrap_or_default();
    Some(Found {
        subject: is_own.then(|| status.id.clone()),
        state,
        is_elsewhere: !is_own,
        ..Found::from(Problem::new(sentence, command).with_purpose(purpose))
    })
}

fn ended_tasks(home: &Home, _: &Path) -> Vec<Found> {
    let listed = match tasks::open(home, false).and_then(|tasks| tasks.list()) {
        Ok(listed) => listed,
        Err(e) => return vec![Problem::from_diagnostic(&e, "aiw task list").into()],
    };
    // Who stopped one knows that it has ended.
    let unseen = listed.iter().rev().filter(|task| task.state == State::Ended && task.unread && !task.stopped);
    let (failed, done): (Vec<&Task>, Vec<&Task>) = unseen.partition(|task| task.outcome != Some(Outcome::Succeeded));
    let mut found: Vec<Found> = failed.into_iter().map(failed_task).collect();
    if let [task] = done[..] {
        let sentence = format!("the task `{}` of {} has a result that you have not seen", task.id, task.about.cli);
        let problem = Problem::new(sentence, format!("aiw task show {}", task.id)).with_purpose("shows it");
        found.push(Found { severity: Severity::Warning, ..Found::about(task.id.to_string(), problem) });
    } else if !done.is_empty() {
        let sentence = format!("{} ended since you last looked", pluralize(done.len(), "task"));
        let problem = Problem::new(sentence, "aiw task list").with_purpose("lists them");
        found.push(Found { severity: Severity::Warning, ..Found::from(problem) });
    }
    found
}

fn failed_task(task: &Task) -> Found {
    let note = task.note.as_ref().map(|note| format!(": {}", one_line(note, 200))).unwrap_or_default();
    let sentence = format!("the task `{}` of {} {}{note}", task.id, task.about.cli, describe_state(task));
    let problem = Problem::new(sentence, format!("aiw task show {}", task.id)).with_purpose("shows its last lines");
    Found::about(task.id.to_string(), problem)
}

fn providers(home: &Home, _: &Path) -> Vec<Found> {
    let file = match home.providers() {
        Ok(file) => file,
        Err(e) => return vec![Problem::from(e).into()],
    };
    let mut found: Vec<Found> = doctor::provider_problems(home, &file)
        .into_iter()
        .map(|(name, problem)| Found { subject: name, ..Found::from(problem) })
        .collect();
    let health = load_health_records(home).unwrap_or_default();
    for provider in file.providers() {
        let Some(last) = health.get(health_key(provider)).filter(|last| last.healthy == Some(false)) else { continue };
        let reason = last.problem.as_deref().unwrap_or("it fails");
        let sentence = format!("the provider `{}` does not work: {}", provider.name, one_line(reason, 200));
        let problem =
            Problem::new(sentence, format!("aiw provider test {}", provider.name)).with_purpose("asks it again");
        found.push(Found::about(provider.name.as_str(), problem));
    }
    found
}

fn budgets(home: &Home, _: &Path) -> Vec<Found> {
    // Without one, the log of usage is not read.
    if home.settings().and_then(|settings| settings.budgets()).is_ok_and(|budgets| budgets.is_empty()) {
        return Vec::new();
    }
    let (list, loss) = match crate::budgets::list(home) {
        Ok(read) => read,
        Err(e) => return vec![Problem::from_diagnostic(&e, "aiw budget list").into()],
    };
    let exceeded = list.budgets.iter().filter(|budget| budget.is_exceeded()).map(|budget| {
        let then = if budget.blocks { "nothing that counts for it starts" } else { "runs go on" };
        let sentence = format!("the budget `{}` is used up: {then}", one_line(&budget.name, 80));
        let problem = Problem::new(sentence, "aiw budget list").with_purpose("shows what was spent");
        let severity = if budget.blocks { Severity::Error } else { Severity::Warning };
        Found { severity, ..Found::from(problem) }
    });
    let loss =
        loss.iter().map(|loss| Problem::new(loss.to_string(), "aiw budget repair").with_purpose("counts on from here"));
    exceeded.chain(loss.map(Found::from)).collect()
}

fn sync(home: &Home, _: &Path) -> Vec<Found> {
    let count = aiw_sync::unresolved_conflicts(home);
    if count == 0 {
        return Vec::new();
    }
    let sentence = format!("{} between this machine and others", pluralize(count, "conflict"));
    vec![Problem::new(sentence, "aiw sync pull").with_purpose("asks about each").into()]
}

fn ci(home: &Home, cwd: &Path) -> Vec<Found> {
    let monitored = aiw_ci::list_monitored_branches(home);
    let here = monitored.iter().filter(|branch| cwd.starts_with(&branch.project));
    here.flat_map(|branch| branch.failed_runs.iter().map(move |run| (branch, run)))
        .map(|(branch, run)| {
            let of = branch.branch.as_ref().map(|name| format!(" of `{name}`")).unwrap_or_default();
            let sentence = format!("{run}{of} has failed at {}", branch.repository);
            Problem::new(sentence, "aiw ci logs --failed").with_purpose("shows why").into()
        })
        .collect()
}

/// The parts of `aiw doctor` that depend on the directory in which it runs.
const DIRECTORY_PARTS: [&str; 2] = ["roles", "trust"];

/// Returns what the last `aiw doctor` found in the parts that have no source of their own.
fn found_by_doctor(last: &LastDoctor, cwd: &Path) -> impl Iterator<Item = AttentionItem> {
    let is_here = last.directory == cwd;
    let has_source = |part: &str| SOURCES.iter().any(|(name, ..)| *name == part);
    let is_shown = move |found: &&DoctorProblem| {
        !has_source(&found.part) && (is_here || !DIRECTORY_PARTS.contains(&found.part.as_str()))
    };
    last.problems.iter().filter(is_shown).map(|DoctorProblem { part, problem, next }| {
        let problem = Problem { problem: problem.clone(), next: next.clone() };
        let found = Found { severity: Severity::Warning, ..Found::from(problem) };
        AttentionItem { checked_at: Some(last.checked_at.clone()), ..item(part, "/settings", found) }
    })
}
