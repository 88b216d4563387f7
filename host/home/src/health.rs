//! What is wrong with a home. Looking changes nothing.

use std::fmt::Display;
use std::path::Path;
use std::time::{Duration, Instant};

use aiw_core::{Diagnostic, one_line, shell_quote_printable};
use schemars::JsonSchema;
use serde::Serialize;

#[cfg(unix)]
use crate::files::{is_readable_by_others, is_searchable_by_others, is_writable_by_others};
use crate::paths::LOCK;
use crate::{ExecutionContext, Home, HomeError, Settings, edit_command, is_held, lock_holder};

/// A problem in `aiw doctor`
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Problem {
    /// The problem, as a sentence
    pub problem: String,
    /// The command that mends it, in backticks, and what that does
    pub next: String,
}

impl Problem {
    /// Returns a problem, and the one command that mends it: a line for a shell.
    pub fn new(problem: impl Into<String>, command: impl Display) -> Self {
        Self { problem: problem.into(), next: format!("`{command}`") }
    }

    /// Says what the command does, as the rest of a sentence.
    #[must_use]
    pub fn with_purpose(mut self, does: &str) -> Self {
        self.next = format!("{} {does}", self.next);
        self
    }

    /// Says it in other words, which name what it means.
    #[must_use]
    pub fn with_message(self, problem: &str) -> Self {
        Self { problem: problem.to_owned(), ..self }
    }

    /// Returns the problem that an error tells, with the command that the error knows, else with `otherwise`.
    pub fn from_diagnostic(error: &dyn Diagnostic, otherwise: impl Display) -> Self {
        Self::new(error.to_string(), error.fix().unwrap_or_else(|| otherwise.to_string()))
    }
}

impl From<HomeError> for Problem {
    fn from(error: HomeError) -> Self {
        Self::from_diagnostic(&error, "aiw status")
    }
}

impl Home {
    /// Looks whether others can write to the home, and whether its files can be read. Returns how many secrets there
    /// are, and the problems.
    pub fn check(&self) -> (usize, Vec<Problem>) {
        let mut problems: Vec<Problem> = open_to_others(self.root()).into_iter().collect();
        problems.extend(unwritable(self.root()));
        problems.extend(exposed(self));
        problems.extend(held_lock(self));
        match self.settings() {
            Err(e) => problems.push(e.into()),
            Ok(settings) => problems.extend(in_settings(&settings, self.context())),
        }
        let read = [
            self.providers().err(),
            self.plugins().and_then(|plugins| plugins.all()).err(),
            self.extensions_lock().err(),
            self.models_lock().err(),
            self.workflows_lock().err(),
            self.registry_settings().err(),
            self.registry_lock().err(),
        ];
        problems.extend(read.into_iter().flatten().map(Problem::from));
        let journal = self.damaged_journal();
        if journal.exists() {
            let (shown, word) = (journal.display(), journal.to_string_lossy());
            let sentence =
                format!("an unfinished change could not be finished, because its journal was damaged: `{shown}`");
            problems.push(
                Problem::new(sentence, format!("rm {}", shell_quote_printable(&word))).with_purpose("forgets it"),
            );
        }
        let (values, unreadable) = self.vault().values();
        problems.extend(unreadable.iter().map(|error| Problem::from_diagnostic(error, "aiw secret list")));
        (values.len(), problems)
    }
}

/// Whoever can write there decides what aiw runs.
#[cfg(unix)]
fn open_to_others(root: &Path) -> Option<Problem> {
    let close = format!("chmod go-w {}", shell_quote_printable(&root.to_string_lossy()));
    is_writable_by_others(root).then(|| Problem::new("others can write to aiw's home", close))
}

/// Files that only their owner may read, and that others can get at.
#[cfg(unix)]
fn exposed(home: &Home) -> Vec<Problem> {
    let root = home.root();
    if !is_searchable_by_others(root) {
        return Vec::new();
    }
    let files = [("providers.json", "your providers"), ("mcp-token", "the token of `aiw mcp serve --http`")];
    let files = files.into_iter().map(|(name, what)| (root.join(name), what));
    let all = files.chain([(root.join("vault"), "your secrets")]);
    let problem = |(path, what): (std::path::PathBuf, &str)| {
        let close = format!("chmod go-rwx {}", shell_quote_printable(&path.to_string_lossy()));
        is_readable_by_others(&path)
            .then(|| Problem::new(format!("others can read `{}`: {what}", path.display()), close))
    };
    all.filter_map(problem).collect()
}

#[cfg(not(unix))]
fn exposed(_: &Home) -> Vec<Problem> {
    Vec::new()
}

/// How long a lock may be held before that is a problem. A change takes milliseconds.
const HELD_LOCK_GRACE_PERIOD: Duration = Duration::from_secs(1);

/// A lock of the home that somebody keeps.
fn held_lock(home: &Home) -> Option<Problem> {
    let path = home.root().join(LOCK);
    let begun = Instant::now();
    while is_held(&path) {
        if begun.elapsed() >= HELD_LOCK_GRACE_PERIOD {
            let (holder, next) = match lock_holder(&path) {
                Some(pid) => (format!("process {pid}"), format!("kill {pid}")),
                None => {
                    ("another process".to_owned(), format!("lsof {}", shell_quote_printable(&path.to_string_lossy())))
                }
            };
            let problem = format!("{holder} holds `{}`, so no command can change anything", path.display());
            return Some(
                Problem::new(problem, next).with_purpose("ends it; the next command finishes or undoes its change"),
            );
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    None
}

/// The problems in `settings.json`.
fn in_settings(settings: &Settings, around: &ExecutionContext) -> Vec<Problem> {
    let read = [
        settings.planner(around).err(),
        settings.history().err(),
        settings.mcp().err(),
        settings.budgets().err(),
        settings.health().err(),
        settings.ci().err(),
        settings.sync().err(),
        settings.tasks().err(),
        settings.updates().err(),
    ];
    let unknown = settings.unknown_keys().into_iter().map(|key| {
        let meant =
            key.suggestion.map(|meant| format!("; did you mean `{}`?", one_line(&meant, 120))).unwrap_or_default();
        let problem = format!("`{}` in settings.json means nothing{meant}", one_line(&key.path, 120));
        Problem::new(problem, edit_command(settings.document().path()))
    });
    let path = settings.document().path();
    let markets = settings.problems().iter().map(|problem| Problem::new(problem.as_str(), edit_command(path)));
    read.into_iter().flatten().map(Problem::from).chain(markets).chain(unknown).collect()
}

#[cfg(unix)]
fn path_text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The problem that keeps every command from writing.
#[cfg(unix)]
fn unwritable(root: &Path) -> Option<Problem> {
    /// A few transcripts, logs and bookings fit into that.
    const MIN_FREE_BYTES: u64 = 16 << 20;
    let disk = rustix::fs::statvfs(root).ok()?;
    let left = disk.f_bavail.saturating_mul(disk.f_frsize);
    let path = root.display();
    if disk.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
        let problem = format!("`{path}` is on a disk that can only be read");
        return Some(Problem::new(problem, "export AIW_HOME=/DIRECTORY").with_purpose("names another directory"));
    }
    if let Err(e) = rustix::fs::access(root, rustix::fs::Access::WRITE_OK) {
        let problem = format!("you can't write in `{path}`: {}", std::io::Error::from(e));
        let word = shell_quote_printable(&path_text(root)).into_owned();
        return Some(Problem::new(problem, format!("sudo chown -R \"$(id -u)\" {word} && chmod -R u+rwX {word}")));
    }
    let is_full = left < MIN_FREE_BYTES || (disk.f_files > 0 && disk.f_favail == 0);
    is_full.then(|| {
        let (left, files) = (left >> 20, disk.f_favail);
        let problem = format!("the disk of `{path}` is full: {left} MiB and {files} files are left");
        let cache = path_text(&root.join("cache"));
        Problem::new(problem, format!("rm -rf {}", shell_quote_printable(&cache)))
            .with_purpose("takes what is made again")
    })
}

#[cfg(not(unix))]
fn open_to_others(_: &Path) -> Option<Problem> {
    None
}

#[cfg(not(unix))]
fn unwritable(_: &Path) -> Option<Problem> {
    None
}
