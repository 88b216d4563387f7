//! Processes of the project: how they stand, what they write, starting and stopping them.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aiw_app::feed::Topic;
use aiw_app::own_executable;
use aiw_app::phrases::{self, elapsed_since_rfc3339, format_duration, format_time_until};
use aiw_core::pluralize;
use aiw_processes::{
    FollowFrom, LogEntry, Manager, ProcessError, ProcessLogs, ProcessStatus, ProcessSummary, RunState, StartResults,
    StartedProcess,
};
use parking_lot::Mutex;

use crate::context::AppContext;
use crate::output::OutputLine;
use crate::page::{
    Action, Column, Detail, ListContent, LogHandle, LogReader, LogUpdate, Outcome, Page, PageDescriptor, Row,
};
use crate::paint::{Fact, TextStyle};
use crate::progress::error_line;
use crate::prompter::TuiPrompter;
use crate::screen::TerminalProgram;

/// How many lines of output are shown beside the list.
const MAX_LINES: usize = 300;

/// How many lines of logs are read for the whole screen.
const MAX_EXPANDED_LINES: usize = 10_000;

/// The processor time that a process had used, in milliseconds, and when that was looked at.
type UsedTime = (Instant, u64);

/// The page of processes.
pub(crate) struct ProcessesPage {
    ground: Arc<AppContext>,
    used: Mutex<HashMap<String, UsedTime>>,
}

impl ProcessesPage {
    pub(crate) fn new(ground: Arc<AppContext>) -> Self {
        Self { ground, used: Mutex::default() }
    }
}

/// Returns what manages the processes of the client's project.
pub(super) fn manager(ground: &AppContext) -> Result<Manager, String> {
    let manager = Manager::open_in(ground.home(), ground.client.cwd()).map_err(|e| error_line(&e))?;
    Ok(manager.with_executable(own_executable().map_err(|e| error_line(&e))?))
}

/// The screen in words.
pub(super) static PAGE: PageDescriptor = PageDescriptor {
    title: "Processes",
    slug: "processes",
    cli_command: "aiw ps --stats",
    topics: &[Topic::Processes],
    columns: &[
        Column::new("ID"),
        Column::state("STATE"),
        Column::optional("PORTS"),
        Column::optional("CPU"),
        Column::optional("MEMORY"),
        Column::optional("UP"),
        Column::optional("RESTARTS"),
        Column::optional("PID"),
        Column::new("WHY OR COMMAND"),
    ],
    empty_message: "no processes: `aiw process add ID -- COMMAND` defines one in `.ichimi/processes.kdl`; e opens that file",
    actions: &[
        Action::new('s', "start", "start it, and what it needs"),
        Action::new('x', "stop", "stop it: asks").with_confirmation("Stop `{}`? (y/N)"),
        Action::new('r', "restart", "stop it and start it as it is defined now"),
        Action::single('a', "attach", "put its terminal, or its log and input, in this one; Ctrl-] comes back"),
        Action::new('L', "log", "its log on the whole screen, or those of all that are marked"),
        Action::global('A', "all logs", "the logs of all processes as one, with their names"),
        Action::global('u', "up", "start all that start by themselves"),
        Action::global('D', "down", "stop all of the project: asks")
            .with_confirmation("Stop all processes of the project? (y/N)"),
        Action::global('e', "edit", "edit the project's file in your editor"),
    ],
    ..PageDescriptor::EMPTY
};

impl Page for ProcessesPage {
    fn descriptor(&self) -> &'static PageDescriptor {
        &PAGE
    }

    fn list(&self, _: &str) -> Result<ListContent, String> {
        let ground = &*self.ground;
        let (answer, problem) = manager(ground)?.ps(false, true).map_err(|e| error_line(&e))?;
        let now = Instant::now();
        let mut used = self.used.lock();
        let share = |process: &ProcessSummary| {
            let cpu = process.usage.as_ref()?.cpu_ms;
            let (before, then) = used.insert(process.id.clone(), (now, cpu))?;
            share(cpu.checked_sub(then)?, now.duration_since(before))
        };
        let shares: Vec<Option<f64>> = answer.processes.iter().map(share).collect();
        let rows = answer.processes.iter().zip(shares).map(|(process, share)| row(process, share));
        let lives = answer.processes.iter().any(|process| process.state.is_alive());
        let rests = answer.processes.iter().any(|process| !process.state.is_alive() && process.can_start());
        let listed = ListContent::new(rows.collect(), problem.map(|problem| error_line(&problem)));
        Ok(listed.disable_key_if('u', !rests).disable_key_if('D', !lives))
    }

    fn detail(&self, id: &str) -> Detail {
        let ground = &*self.ground;
        let looked = manager(ground).and_then(|manager| {
            let status = manager.get(id).map_err(|e| error_line(&e))?;
            // One that was never started has no log.
            let log = manager.log(id).ok();
            let lines = log.as_ref().map(|log| log.tail(MAX_LINES)).transpose().map_err(|e| e.to_string())?;
            let lines = lines.unwrap_or_default();
            let detail = detail(&ProcessSummary::new(&status));
            let lines = lines.iter().map(|line| OutputLine::from_entry(line, 0)).collect();
            Ok(Detail { lines, log_dir: log.map(|log| log.directory().to_owned()), ..detail })
        });
        looked.unwrap_or_else(Detail::from_error)
    }

    fn run_action(&self, key: char, id: &str, person: &TuiPrompter) -> Result<Outcome, String> {
        self.run_action_on(key, &[id.to_owned()], person)
    }

    fn run_action_on(&self, key: char, ids: &[String], person: &TuiPrompter) -> Result<Outcome, String> {
        let ground = &*self.ground;
        let manager = manager(ground)?;
        if ['s', 'r', 'u'].contains(&key) {
            manager.reconcile().map_err(|e| error_line(&e))?;
        }
        let first = ids.first().map_or("", String::as_str);
        let said = match key {
            's' => started(ground.block_on(manager.start(ids, person, person))?)?,
            'r' => started(ground.block_on(manager.restart(ids, person, person))?)?,
            'u' => started(ground.block_on(manager.start(&[], person, person))?)?,
            'x' => stopped(&manager, ids)?,
            'D' => stopped(&manager, &[])?,
            'a' => return Ok(Outcome::Run(TerminalProgram::from_aiw_args(["process", "attach", "--", first])?)),
            'e' => return Ok(Outcome::Run(TerminalProgram::from_aiw_args(["process", "edit"])?)),
            _ => {
                let title = match ids {
                    [] => "all processes: their last lines".to_owned(),
                    [id] => format!("{id}: its last lines; `aiw logs {id}` prints all that is kept"),
                    ids => format!("{}: their last lines", ids.join(", ")),
                };
                return Ok(Outcome::Log(title, LogHandle::new(ProcessLogReader::new(manager, ids)?)));
            }
        };
        Ok(Outcome::Message(said))
    }
}

/// Reads the logs of processes as one.
struct ProcessLogReader {
    manager: Manager,
    /// The ids of the processes; none for all of the project.
    ids: Vec<String>,
    logs: ProcessLogs,
    /// The directories of the logs that were opened: a process that is started anew has another one.
    directories: HashSet<PathBuf>,
    /// The ids of the processes that have lines, in the order of their sources.
    names: Vec<String>,
    /// When the newest line of each of them was written, in milliseconds since 1970.
    latest: Vec<u64>,
    is_read: bool,
}

impl ProcessLogReader {
    fn new(manager: Manager, ids: &[String]) -> Result<Self, String> {
        let mut reader = Self {
            manager,
            ids: ids.to_vec(),
            logs: ProcessLogs::default(),
            directories: HashSet::new(),
            names: Vec::new(),
            latest: Vec::new(),
            is_read: false,
        };
        let started = reader.started()?;
        let from = FollowFrom::Tail(MAX_EXPANDED_LINES / started.len().max(1));
        started.iter().try_for_each(|one| reader.open(one, from))?;
        Ok(reader)
    }

    /// Returns the processes that were started.
    fn started(&self) -> Result<Vec<ProcessStatus>, String> {
        let mut all = self.manager.list_running().map_err(|e| error_line(&e))?;
        all.retain(|one| one.record.is_some() && (self.ids.is_empty() || self.ids.contains(&one.id)));
        Ok(all)
    }

    /// Opens the log of a process, unless it is open, or was read to its end. `from` is where a new one begins.
    fn open(&mut self, process: &ProcessStatus, from: FollowFrom) -> Result<(), String> {
        let log = self.manager.log(&process.id).map_err(|e| error_line(&e))?;
        let known = self.names.iter().position(|name| *name == process.id);
        let is_new = self.directories.insert(log.directory().to_owned());
        let is_open = self.logs.directories().any(|open| open == log.directory());
        if is_open || !is_new && !process.state.is_alive() {
            return Ok(());
        }
        let latest = known.and_then(|at| self.latest.get(at)).filter(|_| !is_new);
        let from = latest.map_or(from, |latest| FollowFrom::Since(latest + 1));
        self.logs.push(process.id.clone(), log.follow(from).map_err(|e| e.to_string())?);
        if known.is_none() {
            self.names.push(process.id.clone());
            self.latest.push(0);
        }
        Ok(())
    }

    fn lines(&mut self, ids: &[String], new: Vec<(usize, LogEntry)>) -> Vec<OutputLine> {
        let mut lines = Vec::with_capacity(new.len());
        for (n, entry) in new {
            let source = self.names.iter().position(|name| Some(name) == ids.get(n)).unwrap_or_default();
            if let Some(latest) = self.latest.get_mut(source) {
                *latest = entry.time.max(*latest);
            }
            lines.push(OutputLine::from_entry(&entry, source));
        }
        lines
    }
}

impl LogReader for ProcessLogReader {
    fn read(&mut self, has_changed: bool) -> Result<LogUpdate, String> {
        if has_changed {
            let started = self.started()?;
            started.iter().try_for_each(|one| self.open(one, FollowFrom::Start))?;
        }
        let ids = self.logs.ids();
        let (mut lines, mut has_more) = (Vec::new(), true);
        // What is written faster than it is read is read on with the next change.
        while has_more && lines.len() <= MAX_EXPANDED_LINES {
            let (new, has_read) = self.logs.next(&|_| true).map_err(|e| error_line(&e))?;
            lines.extend(self.lines(&ids, new));
            has_more = has_read;
        }
        let directories: Vec<PathBuf> = self.logs.directories().map(Path::to_owned).collect();
        // Whether one has ended is a change of processes.
        let may_have_ended = has_changed || !std::mem::replace(&mut self.is_read, true);
        if may_have_ended && !has_more && !ids.iter().any(|id| self.manager.is_alive(id)) {
            // A last line may have no line break.
            let rest = std::mem::take(&mut self.logs).finish();
            lines.extend(self.lines(&ids, rest));
        }
        let names = if self.ids.len() == 1 { Vec::new() } else { self.names.clone() };
        Ok(LogUpdate { lines, names, directories })
    }
}

/// Returns which share of a processor is used, in percent.
fn share(cpu_ms: u64, time: Duration) -> Option<f64> {
    let millis = time.as_secs_f64() * 1e3;
    (millis >= 100.0).then(|| cpu_ms as f64 / millis * 100.0)
}

fn tone(state: RunState) -> TextStyle {
    match state {
        RunState::Running => TextStyle::Good,
        RunState::Failed | RunState::Unhealthy | RunState::CrashLooping => TextStyle::Bad,
        RunState::Starting | RunState::Stopping => TextStyle::Warn,
        _ => TextStyle::Plain,
    }
}

/// Returns a process in the list.
pub(super) fn row(process: &ProcessSummary, share: Option<f64>) -> Row {
    let usage = process.usage.as_ref();
    let why = process.reason_text();
    let next = process.next_run_at.as_deref().and_then(format_time_until);
    let cells = [
        process.id.clone(),
        process.state.to_string(),
        process.ports.iter().map(u16::to_string).collect::<Vec<_>>().join(" "),
        share.map(|share| format!("{share:.0} %")).unwrap_or_default(),
        usage.map(|used| format!("{} MB", used.memory >> 20)).unwrap_or_default(),
        process.started_at.as_deref().and_then(elapsed_since_rfc3339).map(up).or(next).unwrap_or_default(),
        if process.restarts > 0 { process.restarts.to_string() } else { String::new() },
        process.pid.map(|pid| pid.to_string()).unwrap_or_default(),
        if why.is_empty() { process.command.clone() } else { why },
    ];
    let keys = match (process.state.is_alive(), process.can_start()) {
        (true, true) => "xraL",
        (true, false) => "xaL",
        (false, true) => "sL",
        (false, false) => "L",
    };
    Row::new(process.id.clone(), tone(process.state), keys, cells)
}

/// Returns how long a process has been up: to the minute, so that nothing is drawn each second.
fn up(time: Duration) -> String {
    if time.as_secs() < 60 { "< 1m".to_owned() } else { format_duration(Duration::from_secs(time.as_secs() / 60 * 60)) }
}

/// Returns what is known of a process.
pub(super) fn detail(process: &ProcessSummary) -> Detail {
    let mut facts = vec![Fact::title(&process.id)];
    let mut fact = |label, text: String| {
        if !text.is_empty() {
            facts.push(Fact::new(label, text));
        }
    };
    let state = match process.reason.as_deref() {
        Some(reason) => format!("{}: {reason}", process.state),
        None => process.state.to_string(),
    };
    fact("state", state);
    fact("command", format!("{}{}", if process.shell { "shell: " } else { "" }, process.command));
    fact("ready", process.ready.map(|is| if is { "yes" } else { "not yet" }).unwrap_or_default().to_owned());
    fact("restart", format!("{}, {} so far", process.restart, pluralize(process.restarts, "restart")));
    fact("group", process.group.clone().unwrap_or_default());
    fact("started", process.started.clone().unwrap_or_default());
    fact("ended", process.ended.clone().unwrap_or_default());
    fact("next", process.next_run_at.clone().unwrap_or_default());
    for cause in process.restart_reasons.iter().rev().take(3) {
        fact("again", format!("{} {}", cause.time, cause.reason));
    }
    Detail::new(facts)
}

/// Says what was started.
fn started(results: StartResults) -> Result<String, String> {
    let one = |(id, result): (String, Result<StartedProcess, ProcessError>)| {
        result.map(|one| phrases::format_started(&one)).map_err(|e| format!("{id}: {}", error_line(&e)))
    };
    let all = results.into_iter().map(one).collect::<Result<Vec<_>, _>>()?;
    Ok(if all.is_empty() { "nothing starts by itself".to_owned() } else { all.join(", ") })
}

/// Stops processes, or all, and says which.
fn stopped(manager: &Manager, ids: &[String]) -> Result<String, String> {
    // What can't be started again keeps nothing from being stopped.
    let _ = manager.reconcile();
    let mut names = Vec::new();
    for (id, result) in manager.down(ids).map_err(|e| error_line(&e))? {
        if result.map_err(|e| format!("{id}: {}", error_line(&e)))? {
            names.push(id);
        }
    }
    Ok(if names.is_empty() { "nothing ran".to_owned() } else { format!("stopped {}", names.join(", ")) })
}
