//! The rounds of the resident: what it looks at, and when.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aiw_core::ProcessState;
use aiw_events::{EventKind, EventSubject, HomeEvent};
use aiw_home::{Home, make_private_dir, now_millis, rfc3339};
use aiw_supervisor::{Sources, Watch};

use super::hooks::{Hooks, LOOKS, Recent};
use super::record::{Attended, directory};
use super::schedule::{Look, Schedule};
use super::watched::{Ears, FileWatch};
use crate::error::ProcessError;
use crate::manager::{BY_CRON, BY_WATCH, Known, Loaded, Manager};
use crate::project::ProcessProject;

/// How often all is looked at, whatever happened: a clock that was set, and a machine that slept, tell nobody.
const LOOK_ANYWAY: Duration = Duration::from_secs(20);
/// The most events that are read at once.
const EVENTS: usize = 1000;
/// The time of a change may be that of the kernel's last tick. In milliseconds.
const TICK: u64 = 10;
/// How long after the end of a project's last process its last event may come.
const SETTLES: Duration = Duration::from_secs(3);
/// How soon what could not be done is tried again: a disk may be full, and a supervisor suspended.
const AGAIN: Duration = Duration::from_secs(5);

/// Attends to the processes of all projects, as long as this process lives. `aiw` is the executable whose `shim` command
/// supervises what is started, and `say` says what is wrong.
///
/// # Errors
///
/// The home can't be listened to.
pub fn attend(home: &Home, aiw: &Path, say: fn(&str)) -> Result<Infallible, ProcessError> {
    let watch = Arc::new(Watch::new()?);
    let waker = watch.clone();
    let mut ears = Ears::new(move || waker.wake());
    let (records, events) = (directory(home), home.root().join("events"));
    make_private_dir(&records)?;
    make_private_dir(&events)?;
    let listen = || {
        let mut sources = Sources::default();
        sources.directories.extend([(records.clone(), false), (events.clone(), true)]);
        watch.listen(sources);
    };
    listen();
    let mut projects: BTreeMap<PathBuf, Attending> = BTreeMap::new();
    let (mut looked, mut is_due) = (Instant::now(), true);
    loop {
        if is_due {
            // One of them may have been removed meanwhile.
            listen();
            looked = Instant::now();
            let (all, gone): (Vec<_>, Vec<_>) = Attended::all(home).into_iter().partition(|one| one.project.is_dir());
            for one in gone {
                say(&format!("`{}` is gone, and nothing of it starts any more", one.project.display()));
                let project = ProcessProject::known(one.project);
                if let Err(error) = Attended::change(home, &project, Attended::forget) {
                    say(&error.to_string());
                }
            }
            let all: BTreeMap<PathBuf, Attended> = all.into_iter().map(|one| (one.project.clone(), one)).collect();
            for project in projects.keys().filter(|known| !all.contains_key(*known)).cloned().collect::<Vec<_>>() {
                projects.remove(&project).into_iter().for_each(|gone| gone.end(&mut ears));
            }
            for (directory, attended) in all {
                if let Some(known) = projects.get_mut(&directory) {
                    known.take_in(attended);
                    continue;
                }
                match Attending::of(home, aiw, attended, say) {
                    Ok(project) => drop(projects.insert(directory, project)),
                    // Its directory may be back later.
                    Err(error) => say(&error.to_string()),
                }
            }
            for project in projects.values_mut() {
                if let Err(error) = project.refresh(&mut ears) {
                    project.complain(&error.to_string());
                }
            }
        }
        let mut next = LOOK_ANYWAY.saturating_sub(looked.elapsed());
        for project in projects.values_mut() {
            next = next.min(project.step(&mut ears));
        }
        let changes = watch.wait(Some(next.max(Duration::from_millis(1))));
        is_due = !changes.is_empty() || looked.elapsed() >= LOOK_ANYWAY;
    }
}

/// A project that is attended to.
struct Attending {
    manager: Manager,
    attended: Attended,
    loaded: Loaded,
    watches: BTreeMap<String, FileWatch>,
    /// The times of processes, each with its pattern.
    schedules: BTreeMap<String, (String, Schedule)>,
    hooks: Hooks,
    /// When the position of events could not be saved: that in memory counts, and is saved later.
    unsaved: Option<Instant>,
    /// Since when nothing of it runs, for which a program could run.
    over_since: Option<Instant>,
    /// Whether this is the first look: times that came while no resident was awake count.
    is_first: bool,
    /// The restarts for changed files.
    restarts: Recent,
    /// The last complaint.
    complaint: Option<String>,
    say: fn(&str),
}

impl Attending {
    fn of(home: &Home, aiw: &Path, attended: Attended, say: fn(&str)) -> Result<Self, ProcessError> {
        let project = ProcessProject::find(&attended.project)?;
        if project.directory() != attended.project {
            let problem = "is the directory of no project any more";
            return Err(ProcessError::Directory { id: "resident".into(), path: attended.project, problem });
        }
        Ok(Self {
            manager: Manager::open(home, project)?.with_executable(aiw.to_owned()),
            attended,
            loaded: Loaded::default(),
            watches: BTreeMap::new(),
            schedules: BTreeMap::new(),
            hooks: Hooks::default(),
            unsaved: None,
            over_since: None,
            is_first: true,
            restarts: Recent::default(),
            complaint: None,
            say,
        })
    }

    /// Takes in what commands have said.
    fn take_in(&mut self, attended: Attended) {
        let before = std::mem::replace(&mut self.attended, attended);
        if self.unsaved.is_some() && self.attended.has_hooks {
            (self.attended.position, self.attended.by_hooks) = (before.position, before.by_hooks);
        }
    }

    fn end(self, ears: &mut Ears) {
        self.watches.into_values().for_each(|watch| watch.end(ears));
    }

    /// Says once in the resident's log what is wrong.
    fn complain(&mut self, what: &str) {
        if self.complaint.as_deref() != Some(what) {
            (self.say)(&format!("{}: {what}", self.attended.project.display()));
            self.complaint = Some(what.to_owned());
        }
    }

    fn change(&self, change: impl FnOnce(&mut Attended)) -> Result<(), ProcessError> {
        Ok(Attended::change(&self.manager.home, &self.manager.project, change)?)
    }

    /// Adds the event that a process was not started at its time.
    fn tell(&self, kind: EventKind, id: &str, why: impl Into<String>) {
        self.manager.clone().on_behalf_of(BY_CRON).tell(kind, id, Some(why.into()));
    }

    /// Takes in what commands and processes have said since the last round.
    fn refresh(&mut self, ears: &mut Ears) -> Result<(), ProcessError> {
        let needs_file = self.attended.has_hooks || !self.attended.scheduled.is_empty();
        let loaded = if needs_file { self.manager.load() } else { Ok(Loaded::default()) };
        let is_usable = loaded.as_ref().is_ok_and(|loaded| !loaded.is_to_be_allowed());
        self.loaded = loaded.as_ref().ok().filter(|_| is_usable).cloned().unwrap_or_default();
        if needs_file && !is_usable {
            let why = loaded.err().map_or_else(|| "the file is not allowed as it is now".to_owned(), |e| e.to_string());
            self.complain(&format!("nothing of it starts by itself: {why}"));
        }
        self.hooks.keep(if self.attended.has_hooks { &self.loaded.hooks } else { &[] });
        self.hear();
        self.refresh_watches(ears);
        self.refresh_schedules(is_usable);
        self.leave_what_is_gone(is_usable)?;
        if self.attended.has_hooks && self.hooks.is_empty() {
            let all = self.manager.list_running()?;
            let is_over = !all.iter().any(|status| status.state.is_alive());
            let is_over = is_over && self.attended.watched.is_empty() && self.attended.scheduled.is_empty();
            // A process has ended before its last event is written.
            match self.over_since.filter(|_| is_over) {
                Some(since) if since.elapsed() >= SETTLES => self.change(|attended| attended.has_hooks = false)?,
                Some(_) => {}
                None => self.over_since = is_over.then(Instant::now),
            }
        }
        Ok(())
    }

    /// Reads the events that programs are to run for.
    fn hear(&mut self) {
        if !self.attended.has_hooks {
            return;
        }
        let project = self.attended.project.clone();
        let is_ours = |event: &HomeEvent| event.of == EventSubject::Process && event.project.as_ref() == Some(&project);
        let before = self.attended.clone();
        loop {
            let events = self.manager.events();
            let page = events.read(self.attended.position, EVENTS, is_ours).unwrap_or_default();
            for event in &page.events {
                self.hooks.hear(event, &self.loaded, &mut self.attended, self.say);
            }
            if page.events.is_empty() || page.next == self.attended.position {
                self.attended.position = page.next.max(self.attended.position);
                break;
            }
            self.attended.position = page.next;
        }
        // An event is forgotten before its program runs, so that none runs twice.
        let is_to_save = self.unsaved.map_or(self.attended != before, |at| at.elapsed() >= AGAIN);
        if is_to_save {
            let Attended { position, by_hooks, .. } = self.attended.clone();
            let saved = self.change(|attended| (attended.position, attended.by_hooks) = (position, by_hooks));
            self.unsaved = saved.as_ref().is_err().then(Instant::now);
            if let Err(error) = saved {
                self.complain(&error.to_string());
            }
        }
    }

    /// Attends no more to what is not defined so any more, or was removed.
    fn leave_what_is_gone(&self, is_usable: bool) -> Result<(), ProcessError> {
        let has_times = |id: &String| self.loaded.get(id).is_some_and(|(definition, _)| definition.cron.is_some());
        let scheduled = self.attended.scheduled.keys().filter(|id| is_usable && !has_times(id));
        let watched = self.attended.watched.iter().filter(|id| self.manager.supervised(id).is_none());
        let gone: BTreeSet<&str> = scheduled.chain(watched).map(String::as_str).collect();
        self.manager.leave_alone(|id| gone.contains(id), false).map(drop)
    }

    /// Listens to the files of processes that run, or that have ended by themselves.
    fn refresh_watches(&mut self, ears: &mut Ears) {
        let mut wanted = BTreeMap::new();
        for id in &self.attended.watched {
            let Some(Known { about, record }) = self.manager.supervised(id) else { continue };
            let is_left = record.state == ProcessState::Ended && record.stopped;
            if let Some(watch) = about.definition.watch.filter(|_| record.is_since_boot() && !is_left) {
                wanted.insert(id.clone(), (watch, record));
            }
        }
        let is_same = |id: &String, known: &FileWatch| wanted.get(id).is_some_and(|(watch, _)| watch == known.of());
        let gone: Vec<String> =
            self.watches.iter().filter(|(id, known)| !is_same(id, known)).map(|(id, _)| id.clone()).collect();
        for id in gone {
            self.watches.remove(&id).into_iter().for_each(|watch| watch.end(ears));
        }
        for (id, (watch, record)) in wanted {
            if self.watches.contains_key(&id) {
                continue;
            }
            match FileWatch::new(ears, &self.attended.project, &watch) {
                Ok((watch, sentence)) => {
                    // What changed before anybody listened.
                    if record.running_since.is_some_and(|began| watch.newest() + TICK > began) {
                        watch.note();
                    }
                    if let Some(sentence) = sentence {
                        (self.say)(&format!("`{id}`: {sentence}"));
                        let _ = self.manager.processes.remark(record.id, &sentence);
                    }
                    self.watches.insert(id, watch);
                }
                Err(problem) => self.complain(&format!("`{id}` {problem}")),
            }
        }
    }

    fn refresh_schedules(&mut self, is_usable: bool) {
        let mut before = std::mem::take(&mut self.schedules);
        let is_first = std::mem::take(&mut self.is_first);
        // A file that is not allowed for a while, and another time, make up for nothing.
        let scheduled = self.attended.scheduled.iter().filter(|_| is_usable);
        for (id, looked) in scheduled {
            let Some(text) = self.loaded.get(id).and_then(|(definition, _)| definition.cron.clone()) else { continue };
            let known = before.remove(id).filter(|(known, _)| *known == text);
            let from = if is_first { *looked } else { now_millis() };
            let schedule = known.map_or_else(|| Schedule::after(&text, from), |(_, known)| Ok(known));
            if let Ok(schedule) = schedule {
                self.schedules.insert(id.clone(), (text, schedule));
            }
        }
    }

    /// Does what is due. Returns when to come again.
    fn step(&mut self, ears: &mut Ears) -> Duration {
        let next = self.look_at_files(ears).min(self.look_at_clock());
        if self.hooks.is_empty() {
            return next;
        }
        self.hooks.run(&self.manager, self.say);
        if self.hooks.is_empty() { next } else { next.min(LOOKS) }
    }

    /// Has started again what watches files that have changed. Returns when to look again.
    fn look_at_files(&mut self, ears: &mut Ears) -> Duration {
        let (mut next, mut changed) = (LOOK_ANYWAY, Vec::new());
        for (id, watch) in &mut self.watches {
            match watch.look(ears) {
                Some(Duration::ZERO) => changed.push(id.clone()),
                Some(left) => next = next.min(left),
                None => {}
            }
            next = watch.poll().map_or(next, |at| next.min(at.saturating_duration_since(Instant::now())));
        }
        for id in changed {
            let why = match self.restarts.is_full(&id) {
                true => {
                    let times = Recent::MOST;
                    let why =
                        format!("{times} times in a minute are enough; what it changes itself is left out with `!`");
                    if let Some(Known { record, .. }) = self.manager.supervised(&id) {
                        let _ = self.manager.processes.remark(record.id, &later(&why));
                    }
                    why
                }
                false => match self.has_changed(&id) {
                    Ok(true) => {
                        self.restarts.add(id);
                        continue;
                    }
                    Ok(false) => continue,
                    Err(error) => error.to_string(),
                },
            };
            self.complain(&format!("`{id}`: {}", later(&why)));
            self.watches.get(&id).into_iter().for_each(|watch| watch.note_later(AGAIN));
            next = next.min(AGAIN);
        }
        next
    }

    /// Starts what is due. Returns when to look again.
    fn look_at_clock(&mut self) -> Duration {
        let now = now_millis();
        let looks = self.schedules.iter_mut().map(|(id, (_, schedule))| (id.clone(), schedule.look(now)));
        let told: BTreeMap<String, Look> = looks.filter(|(_, look)| *look != Look::Early).collect();
        for (id, look) in &told {
            match look {
                Look::Early => {}
                Look::Missed(due) => self.tell(EventKind::Missed, id, format!("it was due at {}", rfc3339(*due))),
                Look::Due(due) => self.is_due(id, *due),
            }
        }
        if !told.is_empty() {
            let noted = self.change(|attended| {
                for (_, looked) in attended.scheduled.iter_mut().filter(|(id, _)| told.contains_key(*id)) {
                    *looked = now;
                }
            });
            if let Err(error) = noted {
                self.complain(&error.to_string());
            }
        }
        let dues = self.schedules.values().filter_map(|(_, schedule)| schedule.due());
        dues.map(|due| Duration::from_millis(due.saturating_sub(now_millis()))).fold(LOOK_ANYWAY, Duration::min)
    }

    /// Has a process started again whose files have changed. Returns whether it is.
    fn has_changed(&self, id: &str) -> Result<bool, ProcessError> {
        let Some(Known { record, .. }) = self.manager.supervised(id) else { return Ok(false) };
        match (record.state, record.running_since) {
            (ProcessState::Ended, _) if record.stopped => return Ok(false),
            // Its supervisor is gone, and with it the environment that it had.
            (ProcessState::Ended, _) => self.start(id, BY_WATCH)?,
            // It has not begun yet, and will find the files as they are.
            (_, None) => return Ok(false),
            (_, Some(life)) => self.manager.processes.restart(record.id, life)?,
        }
        Ok(true)
    }

    /// Starts a process at its time.
    fn is_due(&self, id: &str, due: u64) {
        let known = self.manager.supervised(id).map(|known| known.record);
        // It was started, and whoever did it was killed before it said so.
        if known.as_ref().is_some_and(|record| record.is_since_boot() && record.started >= due) {
            return;
        }
        if known.is_some_and(|record| record.is_since_boot() && record.state != ProcessState::Ended) {
            return self.tell(EventKind::HeldBack, id, "it still runs");
        }
        if let Err(error) = self.start(id, BY_CRON) {
            (self.say)(&format!("{}: `{id}` could not be started: {error}", self.attended.project.display()));
            self.tell(EventKind::HeldBack, id, "it can't be started: `aiw process start` says why");
        }
    }

    fn start(&self, id: &str, by: &str) -> Result<(), ProcessError> {
        let manager = self.manager.clone().on_behalf_of(by);
        let loaded = manager.load()?;
        let results = manager.start_named(&loaded, &[id.to_owned()])?;
        if results.is_empty() { Ok(()) } else { crate::start::result_of(id, results).map(drop) }
    }
}

/// Returns the sentence about a restart that has to wait.
fn later(why: &str) -> String {
    format!("it is started again later for a changed file: {why}")
}
