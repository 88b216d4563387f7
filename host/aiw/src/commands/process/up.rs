//! `aiw up`: what processes write, each line behind its name, until all have ended or a signal comes.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aiw_core::{one_line, shown_line};
use aiw_processes::{Definition, Follow, FollowFrom, Loaded, Manager, ProcessError, Started, State};
use aiw_servers::visible;

use super::log::Name;
use super::{Goal, allowed, counted, described, looked_after, own, path, sorted, told, wait, warn_of_limits};
use crate::cli::process::UpArgs;
use crate::failure::Failure;
use crate::output::{self, Output};
use crate::{runtime, terminal};

/// How often it is looked whether something has ended, or the file has changed.
const ROUND: Duration = Duration::from_millis(500);

/// How long the last lines may take to be shown after a signal.
const LAST_LINES: Duration = Duration::from_secs(2);

/// `aiw up`
pub fn up(args: &UpArgs, output: &Output) -> Result<(), Failure> {
    let manager = looked_after()?;
    let loaded = allowed(&manager, args.yes, output)?;
    warn_of_limits(&manager, &loaded, &args.ids, output);
    if args.wait {
        let (started, failures) = sorted(manager.up(&own()?, &loaded, &args.ids)?, output);
        let ids: Vec<String> = started.into_iter().map(|started| started.status.id).collect();
        let waited = wait(&ids, Goal::Up, args.timeout, output);
        return failures.first.map_or(waited, Err);
    }
    if args.detach || output.is_json() {
        return told(manager.up(&own()?, &loaded, &args.ids)?, output);
    }
    // From here on, Ctrl-C stops what this command starts.
    let signals = counted()?;
    let (started, failures) = sorted(manager.up(&own()?, &loaded, &args.ids)?, output);
    if let Some(failure) = failures.first {
        if started.is_empty() {
            return Err(failure);
        }
        output.note(format!("error: {failure}"));
    }
    let is_coloured = !args.no_color && output::color_on(&std::io::stdout());
    let mut view = View {
        manager: &manager,
        output,
        signals: &signals,
        is_coloured,
        shown: BTreeMap::new(),
        width: 0,
        trouble: None,
    };
    started.iter().try_for_each(|started| view.add(started))?;
    view.run(loaded, &args.ids)
}

/// What new definitions change, by id.
struct Difference {
    starts: Vec<String>,
    restarts: Vec<String>,
    stops: Vec<String>,
    /// New and changed definitions of what neither runs nor starts.
    others: Vec<String>,
}

/// A process that is shown.
struct Shown {
    log: Follow,
    name: Name,
    /// Whether this command has started it, and stops it at its end.
    is_ours: bool,
    has_ended: bool,
}

struct View<'a> {
    manager: &'a Manager,
    output: &'a Output,
    /// How many signals have come.
    signals: &'a AtomicUsize,
    is_coloured: bool,
    shown: BTreeMap<String, Shown>,
    /// The width of the longest name.
    width: usize,
    /// Why what was lost could not be started again.
    trouble: Option<String>,
}

impl View<'_> {
    /// Shows a process from now on.
    fn add(&mut self, Started { status, is_new, .. }: &Started) -> Result<(), Failure> {
        if let Some(known) = self.shown.get_mut(&status.id) {
            // Its log goes on.
            known.has_ended = false;
            known.is_ours |= is_new;
        } else if let Ok(log) = self.manager.log(&status.id) {
            // What it wrote before is for `aiw logs`.
            let since = status.record.as_ref().map_or(0, |record| record.started);
            let log = log.follow(FollowFrom::Since(since)).map_err(ProcessError::from)?;
            let name = Name::new(&status.id, self.shown.len());
            self.shown.insert(status.id.clone(), Shown { log, name, is_ours: *is_new, has_ended: false });
            self.width = self.width.max(status.id.len());
        }
        Ok(())
    }

    /// Shows what is written until all have ended, or a signal comes. Then what this command has started is stopped; a
    /// second signal ends it at once.
    fn run(&mut self, mut loaded: Loaded, ids: &[String]) -> Result<(), Failure> {
        let own = own()?;
        let mut looked = Instant::now();
        while self.signals.load(Ordering::Relaxed) == 0 && self.shown.values().any(|shown| !shown.has_ended) {
            let wrote = self.print()?;
            if looked.elapsed() >= ROUND {
                let trouble = self.manager.look_after(&own).err().map(|error| error.to_string());
                if let Some(new) = trouble.as_ref().filter(|_| trouble != self.trouble) {
                    self.output.note(format!("error: {new}"));
                }
                self.trouble = trouble;
                self.follow_file(&mut loaded, ids)?;
                for (id, shown) in &mut self.shown {
                    // What it wrote last is shown before it counts as ended.
                    if !wrote {
                        shown.has_ended = !self.manager.get(id).is_ok_and(|status| status.state.is_alive());
                    }
                }
                looked = Instant::now();
            }
            if !wrote {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        let was_stopped = self.signals.load(Ordering::Relaxed) > 0;
        if was_stopped {
            let ours: Vec<String> =
                self.shown.iter().filter(|(_, shown)| shown.is_ours).map(|(id, _)| id.clone()).collect();
            if ours.is_empty() {
                let what = "what ran before goes on: `aiw down` stops it";
                return Err(Failure::declined(what).with_code(130));
            }
            self.output.note("stopping: press Ctrl-C again to end them at once");
            self.stop(ours)?;
        }
        // What others have started may write for ever.
        let last = Instant::now() + LAST_LINES;
        while self.print()? && (!was_stopped || Instant::now() < last) {}
        if was_stopped { Err(Failure::declined("stopped").with_code(130)) } else { self.ended() }
    }

    /// Prints what is new. Returns whether there was anything.
    fn print(&mut self) -> Result<bool, Failure> {
        let mut wrote = false;
        for shown in self.shown.values_mut() {
            let entries = shown.log.next(Duration::ZERO).map_err(ProcessError::from)?;
            wrote |= !entries.is_empty();
            let lines = entries.iter().map(|entry| shown.name.before(entry, self.width, self.is_coloured));
            let text: String = lines.collect();
            if std::io::stdout().lock().write_all(text.as_bytes()).is_err() {
                // Nobody reads any more.
                self.signals.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(wrote)
    }

    /// Follows the project's file: says what has changed in it, and carries that out if the user says so.
    fn follow_file(&mut self, loaded: &mut Loaded, ids: &[String]) -> Result<(), Failure> {
        let mut new = match self.manager.reload(loaded) {
            None => return Ok(()),
            Some(Ok(new)) => new,
            Some(Err(error)) => {
                self.output.note(format!("what runs goes on as before, because {error}"));
                return Ok(());
            }
        };
        let Difference { starts, restarts, stops, others } = self.difference(loaded, &new, ids);
        let is_to_be_allowed = new.is_to_be_allowed();
        if starts.is_empty() && restarts.is_empty() && stops.is_empty() {
            // The rest is for the next command, or for the next question.
            return Ok(());
        }
        self.output.note(format!("`{}` has changed:", path(&self.manager.project().file())));
        let says = |id: &String, what: &str| {
            self.output.note(format!("  `{id}` {what}"));
            for line in new.definitions.get(id).map(|(definition, _)| described(id, definition)).unwrap_or_default() {
                self.output.note(format!("    {}", shown_line(&visible(&line))));
            }
        };
        starts.iter().for_each(|id| says(id, "is new or has changed, and starts:"));
        restarts.iter().for_each(|id| says(id, "runs, and is restarted:"));
        stops.iter().for_each(|id| says(id, "runs, is no longer defined, and stops"));
        // A yes allows the whole file.
        others.iter().for_each(|id| says(id, "is new or has changed, and stays as it is for now:"));
        let question = if is_to_be_allowed { "Allow this file, and do that?" } else { "Do that?" };
        if !self.confirmed(question)? {
            self.output.note("everything runs as before: `aiw restart ID` or the next `aiw up` asks again");
            return Ok(());
        }
        let allowed = self.manager.allow(&mut new).map_err(Failure::from);
        let result = allowed
            .and_then(|()| self.carry_out(&new, [starts, restarts.clone()].concat(), [restarts, stops].concat()));
        match result {
            Ok(()) => *loaded = new,
            // What is wrong with one must not end the others. The next change shows what is still to be done.
            Err(failure) => {
                self.output
                    .note(format!("error: {failure}: not everything was done, and `aiw restart ID` does the rest"));
            }
        }
        Ok(())
    }

    /// What would start, restart and stop with new definitions.
    fn difference(&self, old: &Loaded, new: &Loaded, ids: &[String]) -> Difference {
        // Somebody else may have started it again just now.
        let runs = |id: &String| {
            self.shown.contains_key(id) && self.manager.get(id).is_ok_and(|status| status.state.is_alive())
        };
        let is_wanted = |id: &String, definition: &Definition| match ids {
            [] => definition.auto_start,
            ids => ids.contains(id),
        };
        let (mut starts, mut restarts, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for (id, (definition, _)) in &new.definitions {
            match old.definitions.get(id) {
                None if is_wanted(id, definition) => starts.push(id.clone()),
                Some((before, _)) if before == definition => {}
                Some(_) if runs(id) => restarts.push(id.clone()),
                Some((before, _)) if is_wanted(id, definition) && !is_wanted(id, before) => starts.push(id.clone()),
                _ => others.push(id.clone()),
            }
        }
        let is_gone =
            |id: &&String| old.definitions.contains_key(*id) && !new.definitions.contains_key(*id) && runs(id);
        Difference { starts, restarts, stops: self.shown.keys().filter(is_gone).cloned().collect(), others }
    }

    fn carry_out(&mut self, new: &Loaded, starts: Vec<String>, stops: Vec<String>) -> Result<(), Failure> {
        // What can't be started again is not stopped.
        self.manager.check_start(new, &starts)?;
        self.stop(stops)?;
        if !starts.is_empty() {
            for (_, started) in self.manager.up(&own()?, new, &starts)? {
                self.add(&started?)?;
            }
        }
        Ok(())
    }

    /// Asks on a terminal; a signal is a no.
    fn confirmed(&self, question: &str) -> Result<bool, Failure> {
        if !terminal::can_ask() {
            return Ok(false);
        }
        terminal::forget_typed();
        let runtime = runtime::blocking()?;
        let answer = runtime.block_on(async {
            let signalled = async {
                while self.signals.load(Ordering::Relaxed) == 0 {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            };
            tokio::select! {
                answer = terminal::confirm(question, "--yes", false) => answer.ok(),
                () = signalled => None,
            }
        });
        // A thread that still reads the terminal must not hold the process.
        runtime.shutdown_background();
        // A signal, the end of input, or what is no text, is a no, and has ended no line.
        Ok(answer.unwrap_or_else(|| {
            terminal::tell("");
            false
        }))
    }

    /// What is said when all have ended.
    fn ended(&self) -> Result<(), Failure> {
        let mut failed = Vec::new();
        for id in self.shown.keys() {
            let status = self.manager.get(id)?;
            if status.state == State::Failed {
                failed.push(format!("`{id}` ({})", status.reason().unwrap_or_else(|| "failed".into())));
            }
        }
        match failed.is_empty() {
            true => Ok(()),
            false => Err(Failure::user(format!("failed: {}", one_line(&failed.join(", "), 1000))).with_code(1)),
        }
    }

    /// Stops processes side by side, and shows what they write. At the second signal each gets SIGKILL.
    fn stop(&mut self, ids: Vec<String>) -> Result<(), Failure> {
        if ids.is_empty() {
            return Ok(());
        }
        let manager = self.manager;
        std::thread::scope(|scope| {
            let stopping = scope.spawn(|| manager.down(&ids));
            let mut killed = false;
            while !stopping.is_finished() {
                if self.signals.load(Ordering::Relaxed) > 1 && !killed {
                    killed = true;
                    for id in &ids {
                        // One that has ended meanwhile is what was wanted.
                        let _ = manager.signal(id, 9);
                    }
                }
                self.print()?;
                std::thread::sleep(Duration::from_millis(20));
            }
            match stopping.join() {
                Ok(Ok(results)) => {
                    results.into_iter().try_for_each(|(_, result)| result.map(drop)).map_err(Failure::from)
                }
                Ok(Err(error)) => Err(error.into()),
                Err(_) => Ok(()),
            }
        })
    }
}
