//! `aiw up`: what processes write, each line behind its name, until all have ended or a signal comes.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aiw_app::feed::{Feed, Topic, TopicSubscription};
use aiw_core::one_line;
use aiw_home::Home;
use aiw_processes::{
    FollowFrom, LoadedDefinitions, Manager, ProcessError, ProcessLogs, ProcessSummaries, RunState, StartedProcess,
    WaitFor,
};
use parking_lot::Mutex;

use super::log::format_entry_with_id;
use super::opened::open_reconciled;
use super::started::{report, split_results};
use super::wait_each;
use crate::ask::TerminalPrompter;
use crate::cli::process::UpArgs;
use crate::failure::CliError;
use crate::output::{self, Output};
use crate::runtime::Signals;
use crate::{runtime, terminal};
use aiw_app::phrases::format_time_until;

/// How long the last lines may take to be shown after a signal.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// `aiw up`
pub fn up(args: &UpArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    let manager = open_reconciled(home)?;
    let person = TerminalPrompter::new(output, args.yes);
    let loaded = runtime::new_runtime()?.block_on(manager.load_with_consent(&args.ids, &person, output))?;
    if args.wait {
        let (started, failures) = split_results(manager.up(&loaded, &args.ids)?, output);
        let ids: Vec<String> = started.into_iter().map(|started| started.status.id).collect();
        let (processes, not_up) = wait_each(&ids, &WaitFor::Up, args.timeout, home, output)?;
        return output.set_json_or_error(ProcessSummaries { processes }, failures.first_error.or(not_up));
    }
    if args.detach || output.is_json() {
        return report(manager.up(&loaded, &args.ids)?, output);
    }
    // From here on, Ctrl-C stops what this command starts.
    let changes = Feed::open(home).changes(&[Topic::Processes])?;
    changes.follow_file(&manager.project().file());
    let waker = changes.waker();
    let signals = Signals::listen_with_callback(move || waker.wake())?;
    let ours = Arc::<Mutex<BTreeSet<String>>>::default();
    let (begun, stops) = (ours.clone(), manager.clone());
    signals.set_finish_callback(move || {
        let ids: Vec<String> = begun.lock().iter().cloned().collect();
        // No ids would be all of them. Nobody reads what went wrong.
        if !ids.is_empty() {
            let _ = stops.down(&ids);
        }
    });
    let (started, failures) = split_results(manager.up(&loaded, &args.ids)?, output);
    if let Some(failure) = failures.first_error {
        if started.is_empty() {
            return Err(failure);
        }
        output.note(format!("error: {failure}"));
    }
    let is_coloured = !args.no_color && output::has_color(&std::io::stdout());
    let (logs, shown) = (ProcessLogs::default(), Vec::new());
    let (manager, signals) = (&manager, &signals);
    // They are shown once they run, and taken off their times at the end.
    let waits = |one: &&StartedProcess| one.status.next_run_at.is_some() && !one.status.state.is_alive();
    let scheduled: Vec<String> = started.iter().filter(waits).map(|one| one.status.id.clone()).collect();
    for one in started.iter().filter(waits) {
        let next = one.status.next_run_at.as_deref().and_then(format_time_until).unwrap_or_default();
        output.note(format!("`{}` starts {next}", one.status.id));
    }
    ours.lock().extend(scheduled.iter().cloned());
    let (meanwhile, since) = (BTreeSet::new(), aiw_home::now_millis());
    let mut view = View {
        manager,
        output,
        changes,
        signals,
        is_coloured,
        logs,
        processes: shown,
        ours,
        scheduled,
        since,
        restart_error: None,
        meanwhile,
    };
    started.iter().filter(|one| !waits(one)).try_for_each(|started| view.add(started))?;
    view.run(loaded, &args.ids)
}

/// A process that is shown.
struct ShownProcess {
    id: String,
    has_ended: bool,
}

struct View<'a> {
    manager: &'a Manager,
    output: &'a Output,
    /// The subscription that wakes it.
    changes: TopicSubscription,
    signals: &'a Signals,
    is_coloured: bool,
    logs: ProcessLogs,
    /// In the order of the logs.
    processes: Vec<ShownProcess>,
    /// What this command has started, and stops at its end.
    ours: Arc<Mutex<BTreeSet<String>>>,
    /// The processes that start at their times.
    scheduled: Vec<String>,
    /// When the command began, in milliseconds since 1970.
    since: u64,
    /// Why what was lost could not be started again.
    restart_error: Option<String>,
    /// Topics that changed while processes were being stopped.
    meanwhile: BTreeSet<Topic>,
}

impl View<'_> {
    /// Shows a process from now on.
    fn add(&mut self, StartedProcess { status, is_new, .. }: &StartedProcess) -> Result<(), CliError> {
        if *is_new {
            self.ours.lock().insert(status.id.clone());
        }
        if let Some(known) = self.processes.iter_mut().find(|shown| shown.id == status.id) {
            // Its log goes on.
            known.has_ended = false;
        } else if let Ok(log) = self.manager.log(&status.id) {
            self.changes.follow_directory(log.directory());
            // What it wrote before is for `aiw logs`.
            let since = status.record.as_ref().map_or(0, |record| record.started);
            let log = log.follow(FollowFrom::Since(since)).map_err(ProcessError::from)?;
            self.logs.push(status.id.clone(), log);
            self.processes.push(ShownProcess { id: status.id.clone(), has_ended: false });
        }
        Ok(())
    }

    /// Shows what is written until all have ended, or a signal comes. Then what this command has started is stopped; a
    /// second signal ends it at once.
    fn run(&mut self, mut loaded: LoadedDefinitions, ids: &[String]) -> Result<(), CliError> {
        let mut topics = BTreeSet::from([Topic::Processes, Topic::Files]);
        let (mut is_known, mut looked) = (false, Instant::now());
        while !self.signals.has_received() {
            let wrote = self.print()?;
            let is_due = self.restart_error.is_some() && looked.elapsed() >= Manager::RETRY_DELAY;
            if topics.contains(&Topic::Processes) || is_due {
                (is_known, looked) = (false, Instant::now());
                self.look_after();
            }
            if topics.contains(&Topic::Files) {
                self.follow_file(&mut loaded, ids)?;
                // It has printed, and waited for what it stopped.
                topics = std::mem::take(&mut self.meanwhile);
                topics.insert(Topic::Processes);
                continue;
            }
            // What it wrote last is shown before it counts as ended.
            if !is_known && !wrote {
                is_known = true;
                self.add_scheduled()?;
                for shown in &mut self.processes {
                    shown.has_ended = !self.manager.is_alive(&shown.id);
                }
                if self.scheduled.is_empty() && self.processes.iter().all(|shown| shown.has_ended) {
                    break;
                }
            }
            topics = self.changes.wait(match wrote {
                true => Some(Duration::ZERO),
                false => self.restart_error.is_some().then_some(Manager::RETRY_DELAY),
            });
        }
        let was_stopped = self.signals.has_received();
        if was_stopped {
            let ours: Vec<String> = self.ours.lock().iter().cloned().collect();
            if ours.is_empty() {
                let what = "what ran before goes on: `aiw down` stops it";
                return Err(CliError::declined(what).with_code(self.signals.exit_code()));
            }
            self.output.note("stopping: press Ctrl-C again to end them at once");
            self.stop(&ours)?;
        }
        // What others have started may write for ever.
        let last = Instant::now() + DRAIN_TIMEOUT;
        while self.print()? && (!was_stopped || Instant::now() < last) {}
        if was_stopped { Err(CliError::declined("stopped").with_code(self.signals.exit_code())) } else { self.ended() }
    }

    /// Shows what has been started at its time.
    fn add_scheduled(&mut self) -> Result<(), CliError> {
        for id in self.scheduled.clone() {
            let status = self.manager.get(&id)?;
            let is_shown = self.processes.iter().any(|shown| shown.id == id);
            let has_run = status.record.as_ref().is_some_and(|record| record.started >= self.since);
            if has_run && !is_shown {
                self.add(&StartedProcess { status, is_new: true, is_outdated: false })?;
            }
        }
        Ok(())
    }

    /// Starts again what was lost and is to run always.
    fn look_after(&mut self) {
        let trouble = self.manager.reconcile().err().map(|error| error.to_string());
        if let Some(new) = trouble.as_ref().filter(|_| trouble != self.restart_error) {
            self.output.note(format!("error: {new}"));
        }
        self.restart_error = trouble;
    }

    /// Prints what is new. Returns whether there was anything.
    fn print(&mut self) -> Result<bool, ProcessError> {
        let (new, has_read) = self.logs.next(&|_| true)?;
        let ids = self.logs.ids();
        let text: String =
            new.iter().map(|(n, entry)| format_entry_with_id(&ids, *n, entry, self.is_coloured)).collect();
        if std::io::stdout().lock().write_all(text.as_bytes()).is_err() {
            // Nobody reads any more.
            self.signals.request_shutdown();
        }
        Ok(has_read)
    }

    /// Follows the project's file: says what has changed in it, and carries that out if the user says so.
    fn follow_file(&mut self, loaded: &mut LoadedDefinitions, ids: &[String]) -> Result<(), CliError> {
        let (manager, output) = (self.manager, self.output);
        let change = match manager.detect_changes(loaded, ids, &self.logs.ids()) {
            Ok(None) => return Ok(()),
            Ok(Some(change)) => change,
            Err(error) => {
                output.note(format!("what runs goes on as before, because {error}"));
                return Ok(());
            }
        };
        let (mut person, signals, waker) = (TerminalPrompter::new(output, false), self.signals, self.changes.waker());
        person.prompt_on_stderr = true;
        let runtime = runtime::new_runtime()?;
        let mut stop = |ids: Vec<String>| self.stop(&ids);
        let started = runtime.block_on(async {
            tokio::select! {
                started = manager.apply_changes(loaded, change, &person, output, &mut stop) => started,
                // A signal is a no, and has ended no line.
                () = async { while !signals.has_received() { waker.notified().await } } => {
                    terminal::print_prompt_line("");
                    Vec::new()
                }
            }
        });
        // A thread that still reads the terminal must not hold the process.
        runtime.shutdown_background();
        started.iter().try_for_each(|started| self.add(started))
    }

    /// Returns the result once all processes have ended.
    fn ended(&self) -> Result<(), CliError> {
        let mut failed = Vec::new();
        for ShownProcess { id, .. } in &self.processes {
            let status = self.manager.get(id)?;
            if status.state == RunState::Failed {
                failed.push(format!("`{id}` ({})", status.reason().unwrap_or_else(|| "failed".into())));
            }
        }
        match failed.is_empty() {
            true => Ok(()),
            false => Err(CliError::user(format!("failed: {}", one_line(&failed.join(", "), 1000))).with_code(1)),
        }
    }

    /// Stops processes side by side, and shows what they write. At the second signal each gets SIGKILL.
    fn stop(&mut self, ids: &[String]) -> Result<(), ProcessError> {
        if ids.is_empty() {
            return Ok(());
        }
        let (manager, waker, is_over) = (self.manager, self.changes.waker(), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let stopping = scope.spawn(|| {
                let stopped = manager.down(ids);
                is_over.store(true, Ordering::Release);
                waker.wake();
                stopped
            });
            let mut killed = false;
            while !is_over.load(Ordering::Acquire) {
                if self.signals.count() > 1 && !killed {
                    killed = true;
                    for id in ids {
                        // One that has ended meanwhile is what was wanted.
                        let _ = manager.signal(id, 9);
                    }
                }
                let wrote = self.print()?;
                self.meanwhile.extend(self.changes.wait(wrote.then_some(Duration::ZERO)));
            }
            match stopping.join() {
                Ok(results) => results?.into_iter().try_for_each(|(_, result)| result.map(drop)),
                Err(_) => Ok(()),
            }
        })
    }
}
