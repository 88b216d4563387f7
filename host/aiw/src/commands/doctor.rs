//! `aiw doctor`

use std::path::Path;

use aiw_app::servers::profiles;
use aiw_app::{current_dir, planners};
use aiw_core::{ErrorKind, counted, one_line, quoted, shell_word_in_line};
use aiw_home::{Home, Settings};
use aiw_offer::{Toolset, own_tools};
use aiw_orchestrator::Workflows;
use aiw_routing::{LOST, Records, ServerPlaces};
use schemars::JsonSchema;
use serde::Serialize;

use super::{history_doctor, process};
use crate::failure::Failure;
use crate::output::Output;

/// `aiw doctor`
#[derive(Serialize, JsonSchema)]
pub struct Doctor {
    /// What was looked at
    pub parts: Vec<CheckedPart>,
}

/// A part of aiw in `aiw doctor`
#[derive(Serialize, JsonSchema)]
pub struct CheckedPart {
    /// `home`, `processes`, `mcp`, `workflows` or `history`
    pub name: &'static str,
    /// What there is, in a few words
    pub summary: String,
    /// The problems
    pub problems: Vec<FoundProblem>,
}

/// A problem in `aiw doctor`
#[derive(Serialize, JsonSchema)]
pub struct FoundProblem {
    /// The problem, as a sentence
    pub problem: String,
    /// What to do about it; null if there is no obvious step
    pub next: Option<String>,
}

impl FoundProblem {
    fn new(problem: impl Into<String>, next: impl Into<String>) -> Self {
        Self { problem: problem.into(), next: Some(next.into()) }
    }
}

impl From<Failure> for FoundProblem {
    fn from(failure: Failure) -> Self {
        Self { problem: failure.message().to_owned(), next: failure.hint().map(str::to_owned) }
    }
}

pub fn doctor(home: &Home, output: &Output) -> Result<(), Failure> {
    let parts = vec![files(home), processes(home), servers(home), workflows(home), history(home)];
    for part in &parts {
        output.line(format!("{:<10} {}", part.name, part.summary));
        for found in &part.problems {
            output.line(format!("  {}", found.problem));
            if let Some(next) = &found.next {
                output.line(format!("    → {next}"));
            }
        }
    }
    let count = parts.iter().map(|part| part.problems.len()).sum::<usize>();
    if count == 0 {
        output.line("no problems");
    }
    let failure =
        (count > 0).then(|| Failure::new(ErrorKind::User, format!("{} found", counted(count, "problem"))).with_code(1));
    output.conclude(Doctor { parts }, failure)
}

/// aiw's own files: whether others can write them, and whether they can be read.
fn files(home: &Home) -> CheckedPart {
    let mut problems: Vec<FoundProblem> = Vec::new();
    problems.extend(open_to_others(home.root()));
    problems.extend(unwritable(home.root()));
    match home.settings() {
        Err(e) => problems.push(Failure::from(e).into()),
        Ok(settings) => problems.extend(in_settings(&settings)),
    }
    let read = [
        home.providers().err().map(Failure::from),
        home.plugins().err().map(Failure::from),
        home.extensions_lock().err().map(Failure::from),
        home.registry_settings().err().map(Failure::from),
    ];
    problems.extend(read.into_iter().flatten().map(FoundProblem::from));
    if planners::lacks_key(home) {
        let problem = "the key of the model that plans jobs is missing";
        problems.push(FoundProblem::new(problem, "`aiw planner show` says where it should be"));
    }
    let (values, unreadable) = home.vault().values();
    problems.extend(unreadable.iter().map(|error| {
        let next = error.hint().unwrap_or_else(|| "`aiw secret set NAME` stores it again".to_owned());
        FoundProblem::new(error.to_string(), next)
    }));
    let summary = format!("{}, {}", home.root().display(), counted(values.len(), "secret"));
    CheckedPart { name: "home", summary, problems }
}

/// Whoever can write there decides what aiw runs.
fn open_to_others(root: &Path) -> Option<FoundProblem> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(root).ok()?.permissions().mode();
    (mode & 0o022 != 0).then(|| {
        let root = root.to_string_lossy();
        FoundProblem::new("others can write to aiw's home", format!("`chmod go-w {}`", aiw_core::shell_word(&root)))
    })
}

/// The problems in `settings.json`.
fn in_settings(settings: &Settings) -> Vec<FoundProblem> {
    let mcp = settings.mcp();
    let toolsets = mcp.as_ref().ok().and_then(|mcp| Toolset::named(mcp.toolsets.as_deref()?).err());
    let toolsets = toolsets.map(|e| Failure::user(format!("`mcp.toolsets` in settings.json: {e}")).with_hint(e.hint()));
    let read = [settings.planner().err(), settings.history().err(), mcp.err(), settings.budgets().err()];
    let read = read.into_iter().flatten().map(Failure::from).chain(toolsets).map(FoundProblem::from);
    let unknown = settings.unknown_keys().into_iter().map(|key| FoundProblem {
        problem: format!("`{}` in settings.json means nothing", one_line(&key.path, 120)),
        next: key.meant.map(|meant| format!("did you mean `{}`?", one_line(&meant, 120))),
    });
    read.chain(unknown).collect()
}

/// The problem that keeps every command from writing.
fn unwritable(root: &Path) -> Option<FoundProblem> {
    /// A few transcripts, logs and bookings fit into that.
    const LITTLE: u64 = 16 << 20;
    let disk = rustix::fs::statvfs(root).ok()?;
    let left = disk.f_bavail.saturating_mul(disk.f_frsize);
    let path = root.display();
    if disk.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
        let problem = format!("`{path}` is on a disk that can only be read");
        return Some(FoundProblem::new(problem, "let it be written, or set AIW_HOME to another directory"));
    }
    if let Err(e) = rustix::fs::access(root, rustix::fs::Access::WRITE_OK) {
        let problem = format!("you can't write in `{path}`: {}", std::io::Error::from(e));
        return Some(FoundProblem::new(problem, "`ls -ld` shows whose it is; AIW_HOME names another directory"));
    }
    let is_full = left < LITTLE || (disk.f_files > 0 && disk.f_favail == 0);
    is_full.then(|| {
        let (left, files) = (left >> 20, disk.f_favail);
        let problem = format!("the disk of `{path}` is full: {left} MiB and {files} files are left");
        FoundProblem::new(problem, "make room; `cache/` in it can be deleted at any time")
    })
}

/// The kept scripts as they are written. Whether their tools are there, `aiw workflow list` says.
fn workflows(home: &Home) -> CheckedPart {
    let workflows = Workflows::new(home.clone());
    let listed = workflows.list();
    let lock = workflows.lock();
    let approved = |name| lock.as_ref().ok().and_then(|lock| lock.workflows.get(name));
    let mut problems: Vec<FoundProblem> = Vec::new();
    for found in &listed {
        let name = &found.name;
        match &found.workflow {
            Err(problem) => problems.push(FoundProblem {
                problem: format!("workflow `{name}` can't be used: it {problem}"),
                next: Some(format!("edit `{}`", found.path.display())),
            }),
            Ok(kept) if approved(name).is_some_and(|approved| approved.sha256 != kept.sha256) => {
                problems.push(FoundProblem::new(
                    format!("workflow `{name}` was edited after you approved it, so it does not run"),
                    format!("`aiw workflow approve {name}` shows it and asks"),
                ));
            }
            Ok(_) => {}
        }
    }
    let summary = match listed.len() {
        0 => "no workflows".to_owned(),
        count => counted(count, "workflow"),
    };
    problems.extend(lock.err().map(|e| FoundProblem::from(Failure::from(e))));
    CheckedPart { name: "workflows", summary, problems }
}

fn processes(home: &Home) -> CheckedPart {
    let (summary, problems) = match process::manager(home) {
        Err(failure) => ("can't be looked at".to_owned(), vec![failure.into()]),
        Ok(manager) => {
            let (all, running, problems) = manager.check();
            let problems = problems.into_iter().map(|found| FoundProblem { problem: found.problem, next: found.next });
            (format!("{all} in this project, {running} running"), problems.collect())
        }
    };
    CheckedPart { name: "processes", summary, problems }
}

/// The servers as they are written. Whether they work is for `aiw mcp doctor`, which starts them.
fn servers(home: &Home) -> CheckedPart {
    let read = current_dir().map_err(Failure::from).and_then(|cwd| Ok(ServerPlaces::of(home.clone(), &cwd).read()?));
    let (servers, problems) = match read {
        Ok(read) => read,
        Err(failure) => {
            return CheckedPart { name: "mcp", summary: "can't be read".to_owned(), problems: vec![failure.into()] };
        }
    };
    let left_out = problems.into_iter().map(|problem| FoundProblem { problem, next: None });
    let (mut problems, records) = (left_out.collect::<Vec<_>>(), Records::new(home.clone()));
    for found in &servers {
        let (key, name) = (quoted(&found.key), shell_word_in_line(&found.key));
        problems.extend(found.server.as_ref().err().map(|problem| {
            let next = format!("`aiw mcp show {name}` shows its entry");
            FoundProblem::new(format!("server {key} can't be used: it {problem}"), next)
        }));
        if records.is_lost(&found.key) || records.load(&found.key).is_some_and(|record| record.lost) {
            let next = format!("look at them with `aiw mcp tools {name}`; `aiw mcp approve {name}` accepts them");
            problems.push(FoundProblem::new(format!("of the server {key}, {LOST}"), next));
        }
    }
    let idle = idle_denials(home).unwrap_or_else(|failure| vec![failure.message().to_owned()]).into_iter();
    problems.extend(idle.map(|problem| FoundProblem::new(problem, "`aiw mcp profile list`")));
    let summary = match servers.len() {
        0 => "no servers".to_owned(),
        count => format!("{}; `aiw mcp doctor` starts and checks them", counted(count, "server")),
    };
    CheckedPart { name: "mcp", summary, problems }
}

fn idle_denials(home: &Home) -> Result<Vec<String>, Failure> {
    let cwd = current_dir()?;
    Ok(profiles::idle_denials(home, &cwd, &profiles::profiles(home, &cwd)?, own_tools())?)
}

fn history(home: &Home) -> CheckedPart {
    let (summary, problems) = match history_doctor::found(home) {
        Err(failure) => ("can't be read".to_owned(), vec![failure.into()]),
        Ok(found) => {
            let mut problems = Vec::new();
            if found.hooks.iter().any(|status| status.installed && status.disabled) {
                problems.push(FoundProblem::new(
                    "hooks of the history are switched off by `disableAllHooks` in Claude Code's settings",
                    "take it out there, or `aiw history hooks uninstall`",
                ));
            }
            if !found.skipped.is_empty() {
                let many = counted(found.skipped.len(), "transcript");
                problems.push(FoundProblem::new(
                    format!("{many} could not be read whole"),
                    "`aiw history doctor` names them",
                ));
            }
            let hooks = if found.hooks_installed { "hooks installed" } else { "no hooks" };
            let unread = if found.unread == 0 { String::new() } else { format!(", {} not read yet", found.unread) };
            (format!("{}{unread}, {hooks}", counted(found.transcripts, "transcript")), problems)
        }
    };
    CheckedPart { name: "history", summary, problems }
}
