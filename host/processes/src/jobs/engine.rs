//! The rounds of the daemon: what it looks at, and when.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aiw_core::ProcessState;
use aiw_events::{EventKind, EventSubject, HomeEvent};
use aiw_home::{Home, make_private_dir, now_millis, rfc3339};
use aiw_supervisor::{DaemonRecord, Sources, Watch};

use super::hooks::{POLL_INTERVAL, ProjectHooks};
use super::record::MonitoredJobs;
use super::restarts::RestartQueue;
use super::schedule::{Schedule, ScheduleCheck};
use super::watched::{ProcessFileWatch, SharedWatcher};
use crate::error::ProcessError;
use crate::manager::{CRON_ACTOR, LoadedDefinitions, Manager, ProcessInfo, WATCH_ACTOR};
use crate::project::ProcessProject;

/// How often all is looked at, whatever happened: a clock that was set, and a machine that slept, tell nobody.
const FULL_RESCAN_INTERVAL: Duration = Duration::from_secs(20);
/// The most events that are read at once.
const MAX_EVENTS_PER_READ: usize = 1000;
/// The time of a change may be that of the kernel's last tick. In milliseconds.
const KERNEL_TICK_MS: u64 = 10;
/// How long after the end of a project's last process its last event may come.
const LAST_EVENT_GRACE: Duration = Duration::from_secs(3);
/// How soon what could not be done is tried again: a disk may be full, and a supervisor suspended.
pub(super) const RETRY_DELAY: Duration = Duration::from_secs(5);
/// Why nothing of a file starts by itself.
const NOT_ALLOWED: &str = "the project's file is not allowed as it is now, or can't be used";

/// Attends to the processes of all projects, as long as this process lives. `aiw` is the executable whose `shim` command
/// supervises what is started, and `say` says what is wrong.
///
/// # Errors
///
/// The home can't be listened to.
pub fn run_jobs(home: &Home, aiw: &Path, say: fn(&str)) -> Result<Infallible, ProcessError> {
    let watch = Arc::new(Watch::new()?);
    let waker = watch.clone();
    let mut ears = SharedWatcher::new(move || waker.wake());
    let (records, events) = (MonitoredJobs::directory(home), home.root().join("events"));
    make_private_dir(&records)?;
    make_private_dir(&events)?;
    let listen = || {
        let mut sources = Sources::default();
        sources.directories.extend([(records.clone(), false), (events.clone(), true)]);
        watch.listen(sources);
    };
    listen();
    let mut projects: BTreeMap<PathBuf, MonitoringState> = BTreeMap::new();
    let (mut looked, mut is_due) = (Instant::now(), true);
    loop {
        if is_due {
            // One of them may have been removed meanwhile.
            listen();
            looked = Instant::now();
            let (all, gone): (Vec<_>, Vec<_>) =
                MonitoredJobs::list(home).into_iter().partition(|one| one.project.is_dir());
            for one in gone {
                say(&format!("`{}` is gone, and nothing of it starts any more", one.project.display()));
                let project = ProcessProject::known(one.project);
                if let Err(error) = MonitoredJobs::change(home, &project, MonitoredJobs::clear) {
                    say(&error.to_string());
                }
            }
            let all: BTreeMap<PathBuf, MonitoredJobs> = all.into_iter().map(|one| (one.project.clone(), one)).collect();
            for project in projects.keys().filter(|known| !all.contains_key(*known)).cloned().collect::<Vec<_>>() {
                projects.remove(&project).into_iter().for_each(|gone| gone.end(&mut ears));
            }
            for (directory, attended) in all {
                if let Some(known) = projects.get_mut(&directory) {
                    known.take_in(attended);
                    continue;
                }
                match MonitoringState::of(home, aiw, attended, &watch, say) {
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
        let mut next = FULL_RESCAN_INTERVAL.saturating_sub(looked.elapsed());
        for project in projects.values_mut() {
            next = next.min(project.step(&mut ears));
        }
        let changes = watch.wait(Some(next.max(Duration::from_millis(1))));
        is_due = !changes.is_empty() || looked.elapsed() >= FULL_RESCAN_INTERVAL;
    }
}

/// A project that is attended to.
struct MonitoringState {
    manager: Manager,
    monitored: MonitoredJobs,
    loaded: LoadedDefinitions,
    watches: Vec<WatchGroup>,
    /// The times of processes, each with its pattern.
    schedules: BTreeMap<String, (String, Schedule)>,
    hooks: ProjectHooks,
    /// When the position of events could not be saved: that in memory counts, and is saved later.
    unsaved: Option<Instant>,
    /// Since when nothing of it runs, for which a program could run.
    over_since: Option<Instant>,
    /// Whether this is the first look: times that came while no daemon was awake count.
    is_first: bool,
    restarts: RestartQueue,
    /// Why processes were not started when they were to be, as it was told last, each with the beginning of the life in which
    /// that was.
    held_back: BTreeMap<String, (String, Option<u64>)>,
    /// The last complaint.
    last_error: Option<String>,
    say: fn(&str),
}

/// Processes that watch the same files: these are listened to, and looked at, once.
struct WatchGroup {
    files: ProcessFileWatch,
    ids: BTreeSet<String>,
    /// Why not all files can be listened to.
    sentence: Option<String>,
}

impl MonitoringState {
    fn of(
        home: &Home,
        aiw: &Path,
        attended: MonitoredJobs,
        waker: &Arc<Watch>,
        say: fn(&str),
    ) -> Result<Self, ProcessError> {
        let project = ProcessProject::discover(&attended.project)?;
        if project.directory() != attended.project {
            let problem = "is the directory of no project any more";
            return Err(ProcessError::Directory { id: "daemon".into(), path: attended.project, problem });
        }
        Ok(Self {
            manager: Manager::open(home, project)?.with_executable(aiw.to_owned()),
            monitored: attended,
            loaded: LoadedDefinitions::default(),
            watches: Vec::new(),
            schedules: BTreeMap::new(),
            hooks: ProjectHooks::default(),
            unsaved: None,
            over_since: None,
            is_first: true,
            restarts: RestartQueue::with_waker(waker.clone()),
            held_back: BTreeMap::new(),
            last_error: None,
            say,
        })
    }

    /// Takes in what commands have said.
    fn take_in(&mut self, attended: MonitoredJobs) {
        let before = std::mem::replace(&mut self.monitored, attended);
        if self.unsaved.is_some() && self.monitored.has_hooks {
            self.monitored.merge_daemon_state(before);
        }
    }

    fn end(self, ears: &mut SharedWatcher) {
        self.watches.into_iter().for_each(|group| group.files.stop(ears));
    }

    /// Says once in the daemon's log what is wrong.
    fn complain(&mut self, what: &str) {
        if self.last_error.as_deref() != Some(what) {
            (self.say)(&format!("{}: {what}", self.monitored.project.display()));
            self.last_error = Some(what.to_owned());
        }
    }

    fn change(&self, change: impl FnOnce(&mut MonitoredJobs)) -> Result<(), ProcessError> {
        Ok(MonitoredJobs::change(&self.manager.home, &self.manager.project, change)?)
    }

    /// Tells once why a process is not started now: as an event, and in its log with what an event doesn't say. Each life of it
    /// is told anew.
    fn hold_back(&mut self, id: &str, by: &str, phrase: &str, sentence: &str) {
        let known = self.manager.process_info(id).map(|known| known.record);
        let life = known.as_ref().and_then(|record| record.running_since);
        let told = (format!("{phrase}: {sentence}"), life);
        if self.held_back.get(id) == Some(&told) {
            return;
        }
        if let Some(record) = known.filter(|_| !sentence.is_empty()) {
            let _turn = self.manager.home.lock_start();
            let _ = self.manager.processes.add_remark(record.id, sentence);
        }
        self.manager.clone().with_actor(by).log_event(EventKind::StartSkipped, id, Some(phrase.to_owned()));
        self.held_back.insert(id.to_owned(), told);
    }

    /// Takes in what commands and processes have said since the last round.
    fn refresh(&mut self, ears: &mut SharedWatcher) -> Result<(), ProcessError> {
        let needs_file = self.monitored.has_hooks || !self.monitored.scheduled.is_empty();
        let loaded = if needs_file { self.manager.load() } else { Ok(LoadedDefinitions::default()) };
        let is_usable = loaded.as_ref().is_ok_and(|loaded| !loaded.needs_approval());
        self.loaded = loaded.as_ref().ok().filter(|_| is_usable).cloned().unwrap_or_default();
        if needs_file && !is_usable {
            let why = loaded.err().map_or_else(|| NOT_ALLOWED.to_owned(), |e| e.to_string());
            self.complain(&format!("nothing of it starts by itself: {why}"));
            for id in self.monitored.scheduled.keys().cloned().collect::<Vec<_>>() {
                self.hold_back(&id, CRON_ACTOR, NOT_ALLOWED, "");
            }
        } else {
            self.held_back.retain(|_, (told, _)| !told.starts_with(NOT_ALLOWED));
        }
        self.hooks.retain_hooks(if self.monitored.has_hooks { &self.loaded.hooks } else { &[] });
        self.hear();
        self.refresh_watches(ears);
        self.refresh_schedules(is_usable);
        self.leave_what_is_gone(is_usable)?;
        if self.monitored.has_hooks && self.hooks.is_empty() {
            let all = self.manager.list_running()?;
            let is_over = !all.iter().any(|status| status.state.is_alive());
            let is_over = is_over && self.monitored.watched.is_empty() && self.monitored.scheduled.is_empty();
            // A process has ended before its last event is written.
            match self.over_since.filter(|_| is_over) {
                Some(since) if since.elapsed() >= LAST_EVENT_GRACE => {
                    self.change(|attended| attended.has_hooks = false)?
                }
                Some(_) => {}
                None => self.over_since = is_over.then(Instant::now),
            }
        }
        Ok(())
    }

    /// Reads the events that programs are to run for.
    fn hear(&mut self) {
        if !self.monitored.has_hooks {
            return;
        }
        let project = self.monitored.project.clone();
        let is_ours =
            |event: &HomeEvent| event.subject == EventSubject::Process && event.project.as_ref() == Some(&project);
        let before = self.monitored.clone();
        self.hooks.record_exits(&self.manager);
        loop {
            let events = self.manager.events();
            let page = events.read(self.monitored.position, MAX_EVENTS_PER_READ, is_ours).unwrap_or_default();
            for event in &page.events {
                self.hooks.handle_event(event, &self.loaded, &mut self.monitored, &self.manager);
            }
            if page.events.is_empty() || page.next == self.monitored.position {
                self.monitored.position = page.next.max(self.monitored.position);
                break;
            }
            self.monitored.position = page.next;
        }
        // An event is forgotten before its program runs, so that none runs twice.
        let is_to_save = self.unsaved.map_or(self.monitored != before, |at| at.elapsed() >= RETRY_DELAY);
        if is_to_save {
            self.save();
        }
    }

    /// Saves what the daemon itself knows of the project.
    fn save(&mut self) {
        let own = self.monitored.clone();
        let saved = self.change(|attended| attended.merge_daemon_state(own));
        self.unsaved = saved.as_ref().is_err().then(Instant::now);
        if let Err(error) = saved {
            self.complain(&error.to_string());
        }
    }

    /// Attends no more to what is not defined so any more, or was removed.
    fn leave_what_is_gone(&self, is_usable: bool) -> Result<(), ProcessError> {
        let has_times = |id: &String| self.loaded.get(id).is_some_and(|(definition, _)| definition.cron.is_some());
        let scheduled = self.monitored.scheduled.keys().filter(|id| is_usable && !has_times(id));
        let watched = self.monitored.watched.iter().filter(|id| self.manager.process_info(id).is_none());
        let gone: BTreeSet<&str> = scheduled.chain(watched).map(String::as_str).collect();
        self.manager.stop_monitoring(|id| gone.contains(id), false).map(drop)
    }

    /// Listens to the files of processes that run, or that have ended by themselves.
    fn refresh_watches(&mut self, ears: &mut SharedWatcher) {
        let mut wanted = BTreeMap::new();
        for id in &self.monitored.watched {
            let Some(ProcessInfo { labels: about, record }) = self.manager.process_info(id) else { continue };
            let is_left = record.state == ProcessState::Ended && record.stopped;
            if let Some(watch) = about.definition.watch.filter(|_| record.is_from_current_boot() && !is_left) {
                wanted.insert(id.clone(), (watch, record));
            }
        }
        for group in &mut self.watches {
            group.ids.retain(|id| wanted.get(id).is_some_and(|(watch, _)| watch == group.files.files()));
        }
        self.restarts.retain(|id| wanted.contains_key(id));
        for gone in self.watches.extract_if(.., |group| group.ids.is_empty()) {
            gone.files.stop(ears);
        }
        for (id, (watch, record)) in wanted {
            if self.watches.iter().any(|group| group.ids.contains(&id)) {
                continue;
            }
            let at = match self.watches.iter().position(|group| *group.files.files() == watch) {
                Some(at) => at,
                None => match ProcessFileWatch::new(ears, &self.monitored.project, &watch) {
                    Ok((files, sentence)) => {
                        self.watches.push(WatchGroup { files, ids: BTreeSet::new(), sentence });
                        self.watches.len() - 1
                    }
                    Err(problem) => {
                        self.hold_back(&id, WATCH_ACTOR, "its files can't be watched", &format!("it {problem}"));
                        continue;
                    }
                },
            };
            let group = &mut self.watches[at];
            // What changed before anybody listened.
            if record.running_since.is_some_and(|began| group.files.last_change() + KERNEL_TICK_MS > began) {
                self.restarts.schedule(&id, watch.debounce);
            }
            if let Some(sentence) = &group.sentence {
                (self.say)(&format!("`{id}`: {sentence}"));
                let _ = self.manager.processes.add_remark(record.id, sentence);
            }
            group.ids.insert(id);
        }
    }

    fn refresh_schedules(&mut self, is_usable: bool) {
        let mut before = std::mem::take(&mut self.schedules);
        let is_first = std::mem::take(&mut self.is_first);
        // A file that is not allowed for a while, and another time, make up for nothing.
        let scheduled = self.monitored.scheduled.iter().filter(|_| is_usable);
        for (id, looked) in scheduled {
            let Some(text) = self.loaded.get(id).and_then(|(definition, _)| definition.cron.clone()) else { continue };
            let known = before.remove(id).filter(|(known, _)| *known == text);
            let from = if is_first { *looked } else { now_millis() };
            let schedule = known.map_or_else(|| Schedule::from_cron(&text, from), |(_, known)| Ok(known));
            if let Ok(schedule) = schedule {
                self.schedules.insert(id.clone(), (text, schedule));
            }
        }
    }

    /// Does what is due. Returns when to come again.
    fn step(&mut self, ears: &mut SharedWatcher) -> Duration {
        let next = self.look_at_files(ears).min(self.look_at_clock());
        if self.hooks.is_empty() {
            return next;
        }
        let problems = self.monitored.hook_problems.clone();
        self.hooks.run(&mut self.monitored, &self.manager);
        if self.monitored.hook_problems != problems {
            self.save();
        }
        if self.hooks.is_empty() { next } else { next.min(POLL_INTERVAL) }
    }

    /// Has started again what watches files that have changed. Returns when to look again.
    fn look_at_files(&mut self, ears: &mut SharedWatcher) -> Duration {
        let mut next = FULL_RESCAN_INTERVAL;
        for WatchGroup { files, ids, .. } in &mut self.watches {
            match files.drain_events(ears) {
                Some(Duration::ZERO) => ids.iter().for_each(|id| self.restarts.schedule(id, Duration::ZERO)),
                Some(left) => {
                    next = next.min(left);
                    // It is started again when all is quiet.
                    ids.iter().for_each(|id| self.restarts.cancel(id));
                }
                None => {}
            }
            next = files.next_poll().map_or(next, |at| next.min(at.saturating_duration_since(Instant::now())));
        }
        for (id, problem) in self.restarts.take_failures() {
            match self.manager.process_info(&id).map(|known| known.record.state) {
                // It has ended meanwhile.
                None | Some(ProcessState::Ended) => self.restarts.schedule(&id, Duration::ZERO),
                Some(_) => self.restart_later(&id, "its supervisor does not answer", &problem),
            }
        }
        for id in self.restarts.take_due() {
            if self.restarts.is_rate_limited(&id) {
                let times = RestartQueue::MAX_PER_MINUTE;
                let why = format!("{times} times in a minute are enough; what it changes itself is left out with `!`");
                self.restart_later(&id, "it was started again too often", &why);
            } else if let Err(error) = self.has_changed(&id) {
                self.restart_later(&id, "it can't be started", &error.to_string());
            }
        }
        next.min(self.restarts.next_delay())
    }

    /// Has a process started again later, and tells why not now.
    fn restart_later(&mut self, id: &str, phrase: &str, why: &str) {
        self.restarts.schedule(id, RETRY_DELAY);
        self.hold_back(id, WATCH_ACTOR, phrase, &format!("it is started again later for a changed file: {why}"));
    }

    /// Starts what is due. Returns when to look again.
    fn look_at_clock(&mut self) -> Duration {
        let now = now_millis();
        let looks = self.schedules.iter_mut().map(|(id, (_, schedule))| (id.clone(), schedule.check(now)));
        let told: BTreeMap<String, ScheduleCheck> = looks.filter(|(_, look)| *look != ScheduleCheck::NotDue).collect();
        for (id, look) in &told {
            match look {
                ScheduleCheck::NotDue => {}
                ScheduleCheck::Missed(due) => {
                    let why = Some(format!("it was due at {}", rfc3339(*due)));
                    self.manager.clone().with_actor(CRON_ACTOR).log_event(EventKind::Missed, id, why);
                }
                ScheduleCheck::Due(due) => self.is_due(id, *due),
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
        let dues = self.schedules.values().filter_map(|(_, schedule)| schedule.next_due());
        dues.map(|due| Duration::from_millis(due.saturating_sub(now_millis())))
            .fold(FULL_RESCAN_INTERVAL, Duration::min)
    }

    /// Has a process started again whose files have changed.
    fn has_changed(&mut self, id: &str) -> Result<(), ProcessError> {
        let Some(ProcessInfo { record, .. }) = self.manager.process_info(id) else { return Ok(()) };
        match (record.state, record.running_since) {
            (ProcessState::Ended, _) if record.stopped => {}
            // Its supervisor is gone, and with it the environment that it had.
            (ProcessState::Ended, _) => {
                self.start(id, WATCH_ACTOR)?;
                self.restarts.record(id);
                self.held_back.remove(id);
            }
            // It has not begun yet, and will find the files as they are.
            (_, None) => {}
            (_, Some(life)) => self.restarts.request_restart(id, &self.manager, record.id, life),
        }
        Ok(())
    }

    /// Starts a process at its time.
    fn is_due(&mut self, id: &str, due: u64) {
        let known = self.manager.process_info(id).map(|known| known.record);
        // It was started, and whoever did it was killed before it said so.
        if known.as_ref().is_some_and(|record| record.is_from_current_boot() && record.started >= due) {
            return;
        }
        if known.as_ref().is_some_and(|record| record.is_from_current_boot() && record.state != ProcessState::Ended) {
            return self.hold_back(id, CRON_ACTOR, "it still runs", "");
        }
        match self.start(id, CRON_ACTOR) {
            Ok(()) => drop(self.held_back.remove(id)),
            Err(error) => {
                let place = if known.is_some() { "aiw logs" } else { "aiw process start" };
                let phrase = format!("it can't be started: `{place} {id}` says why");
                self.hold_back(id, CRON_ACTOR, &phrase, &format!("it can't be started at its time: {error}"));
            }
        }
    }

    fn start(&self, id: &str, by: &str) -> Result<(), ProcessError> {
        let manager = self.manager.clone().with_actor(by);
        let loaded = manager.load()?;
        let results = manager.start_named(&loaded, &[id.to_owned()])?;
        if results.is_empty() { Ok(()) } else { crate::start::single_result(id, results).map(drop) }
    }
}
