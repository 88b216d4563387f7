//! What has changed, by topic: one stream for all views, which sleeps in the kernel until there is something to say.
//!
//! ```no_run
//! # use aiw_app::feed::{Feed, Topic};
//! # fn f(home: &aiw_home::Home) -> Result<(), aiw_app::AppError> {
//! let changes = Feed::open(home).changes(&[Topic::Processes])?;
//! loop {
//!     // Look first: what changes from now on is told.
//!     let topics = changes.wait(None);
//! #   drop(topics);
//! }
//! # }
//! ```

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use aiw_events::EventLog;
use aiw_home::Home;
use aiw_orchestrator::RunRecords;
use aiw_processes::Manager;
use aiw_tasks::{ProcessChange, ProcessScope, Sources, TaskError, Tasks, Watch};
use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;

use crate::AppError;

/// How often the end of a supervisor is told again, each [`Sources::FALLBACK_POLL_INTERVAL`]: somebody may hold its lock at the
/// first look, which then can't tell that it is dead.
const MAX_EXIT_RENOTIFICATIONS: u8 = 3;

/// How long changes are collected: many at once are told together.
const COALESCE_WINDOW: Duration = Duration::from_millis(20);

/// A kind of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// Tasks start, change their state, or are removed or reported.
    Tasks,
    /// Processes of any project start or change their state, or are defined in the home.
    Processes,
    /// Declared MCP servers, and what is known of them.
    Servers,
    /// API providers and secrets.
    Providers,
    /// The usage and cost of requests.
    Usage,
    /// Plugins and extensions.
    Plugins,
    /// Events of the home.
    Events,
    /// Workflows, and traces of their runs.
    Workflows,
    /// Any document of the home.
    Documents,
    /// The files that this subscriber follows.
    Files,
    /// Writes in the directories that this subscriber follows.
    Logs,
}

impl Topic {
    fn of_followed(file: Option<&OsStr>) -> Self {
        if file.is_some() { Self::Files } else { Self::Logs }
    }
}

/// The changes of one home. Nothing is listened to, and no thread runs, before somebody subscribes.
#[derive(Debug, Clone)]
pub struct Feed(Arc<SharedFeed>);

#[derive(Debug)]
struct SharedFeed {
    home: Home,
    state: Mutex<FeedState>,
}

#[derive(Debug, Default)]
struct FeedState {
    subscribers: Vec<Weak<Subscriber>>,
    running: Option<Arc<Watch>>,
    sources: Vec<FeedSource>,
    /// The directories of the sources but those of what runs.
    roots: BTreeSet<PathBuf>,
    /// Directories that can't be listened to, and when they were told last.
    unheard: BTreeSet<PathBuf>,
    last_sent: Option<Instant>,
    /// Whether something runs.
    runs: bool,
    /// How often what runs is told again, because a supervisor has died.
    again: u8,
    /// When what runs was told last.
    last_check: Option<Instant>,
}

/// A directory, or a file in it, and what its change means.
#[derive(Debug)]
struct FeedSource {
    /// The path that it is about, whether it is there or not.
    path: PathBuf,
    directory: PathBuf,
    /// The file that counts; all if there is none.
    file: Option<OsString>,
    topic: Topic,
    /// The subscriber that follows it, if it is not a topic of the home.
    only: Weak<Subscriber>,
    /// Whether its change shows what else is to be listened to.
    is_root: bool,
    counts_writes: bool,
}

/// A topic that has changed, and the subscriber that it is told to, if it is not a topic of the home.
type ToldTopic = (Topic, Weak<Subscriber>);

#[derive(Debug, Default)]
struct Subscriber {
    topics: BTreeSet<Topic>,
    /// Files, and directories without one.
    followed: Mutex<BTreeSet<(PathBuf, Option<OsString>)>>,
    pending: Mutex<PendingTopics>,
    is_there: Condvar,
    notify: Notify,
}

#[derive(Debug, Default)]
struct PendingTopics {
    topics: BTreeSet<Topic>,
    is_woken: bool,
}

impl Subscriber {
    fn tell(&self, topics: impl IntoIterator<Item = Topic>) {
        let mut pending = self.pending.lock();
        pending.topics.extend(topics.into_iter().filter(|topic| self.topics.contains(topic)));
        if !pending.topics.is_empty() || pending.is_woken {
            self.is_there.notify_all();
            self.notify.notify_one();
        }
    }
}

/// A subscription to topics. It holds each topic once, however many changes there were.
#[derive(Debug)]
pub struct TopicSubscription {
    feed: Feed,
    subscriber: Arc<Subscriber>,
}

/// Ends the sleep of a subscriber, from another thread.
#[derive(Debug, Clone)]
pub struct Waker(Arc<Subscriber>);

impl Waker {
    /// Ends the sleep, or the next one.
    pub fn wake(&self) {
        self.0.pending.lock().is_woken = true;
        self.0.tell([]);
    }

    /// Completes at the next change. It is told later.
    pub async fn notified(&self) {
        self.0.notify.notified().await;
    }
}

impl TopicSubscription {
    /// Follows a file too, which may not exist yet.
    pub fn follow_file(&self, file: &Path) {
        if let (Some(directory), Some(name)) = (file.parent(), file.file_name()) {
            self.follow(directory.to_owned(), Some(name.to_owned()));
        }
    }

    /// Follows the files in a directory too, and what is written to them.
    pub fn follow_directory(&self, directory: &Path) {
        self.follow(directory.to_owned(), None);
    }

    fn follow(&self, directory: PathBuf, file: Option<OsString>) {
        if self.subscriber.followed.lock().insert((directory, file)) {
            let mut state = self.feed.0.state.lock();
            state.listen_at_once(&self.feed.0.home);
        }
    }

    /// Returns what ends the sleep of this subscriber.
    pub fn waker(&self) -> Waker {
        Waker(self.subscriber.clone())
    }

    /// Waits for changes since the last ones, for [`Waker::wake`], or for the time limit. Returns the topics.
    pub fn wait(&self, limit: Option<Duration>) -> BTreeSet<Topic> {
        let mut pending = self.subscriber.pending.lock();
        let is_idle = |pending: &mut PendingTopics| pending.topics.is_empty() && !pending.is_woken;
        let there = &self.subscriber.is_there;
        match limit {
            None => there.wait_while(&mut pending, is_idle),
            Some(limit) => drop(there.wait_while_for(&mut pending, is_idle, limit)),
        }
        std::mem::take(&mut *pending).topics
    }

    /// Does what [`Self::wait`] does, without a thread.
    pub async fn next(&self) -> BTreeSet<Topic> {
        loop {
            // A change from here on leaves a permit.
            let pending = std::mem::take(&mut *self.subscriber.pending.lock());
            if pending.is_woken || !pending.topics.is_empty() {
                return pending.topics;
            }
            self.subscriber.notify.notified().await;
        }
    }
}

impl Drop for TopicSubscription {
    fn drop(&mut self) {
        let mut state = self.feed.0.state.lock();
        let is_other = |other: &Weak<Subscriber>| !std::ptr::eq(other.as_ptr(), Arc::as_ptr(&self.subscriber));
        state.subscribers.retain(is_other);
        match state.subscribers.is_empty() {
            true => {
                // The thread ends.
                let running = std::mem::take(&mut *state).running;
                running.iter().for_each(|watch| watch.wake());
            }
            false if !self.subscriber.followed.lock().is_empty() => state.listen_at_once(&self.feed.0.home),
            false if !self.subscriber.topics.is_subset(&state.topics()) => state.listen_at_once(&self.feed.0.home),
            false => {}
        }
    }
}

impl Feed {
    /// Returns the changes of a home.
    pub fn open(home: &Home) -> Self {
        Self(Arc::new(SharedFeed { home: home.clone(), state: Mutex::default() }))
    }

    /// Subscribes to topics. What changes from now on is told. This looks at the files of the topics, and takes a
    /// millisecond or more.
    ///
    /// # Errors
    ///
    /// This process may open no more files, or start no more threads.
    pub fn changes(&self, topics: &[Topic]) -> Result<TopicSubscription, AppError> {
        let topics = topics.iter().copied().chain([Topic::Files, Topic::Logs]).collect();
        let subscriber = Arc::new(Subscriber { topics, ..Subscriber::default() });
        let mut state = self.0.state.lock();
        if state.running.is_none() {
            let watch = Arc::new(Watch::new().map_err(TaskError::from)?);
            let (shared, theirs) = (Arc::downgrade(&self.0), watch.clone());
            let thread = std::thread::Builder::new().name("aiw-feed".into()).stack_size(1 << 20);
            thread.spawn(move || run(&shared, &theirs)).map_err(|source| AppError::Thread { source })?;
            state.running = Some(watch);
        }
        let known = state.topics();
        state.subscribers.push(Arc::downgrade(&subscriber));
        if !subscriber.topics.is_subset(&known) {
            state.listen_at_once(&self.0.home);
        }
        drop(state);
        Ok(TopicSubscription { feed: self.clone(), subscriber })
    }
}

/// Tells the subscribers what changes, until there are none.
fn run(shared: &Weak<SharedFeed>, watch: &Arc<Watch>) {
    let running = |state: &FeedState| state.running.as_ref().is_some_and(|running| Arc::ptr_eq(running, watch));
    loop {
        let limit = {
            let Some(shared) = shared.upgrade() else { return };
            let state = shared.state.lock();
            if !running(&state) {
                return;
            }
            let since = state.last_sent.map_or(Duration::ZERO, |told| told.elapsed());
            let again = (!state.unheard.is_empty()).then(|| Sources::FALLBACK_POLL_INTERVAL.saturating_sub(since));
            again.into_iter().chain(state.late()).min()
        };
        let mut changes = watch.wait(limit);
        if !changes.is_empty() {
            std::thread::sleep(COALESCE_WINDOW);
            changes.extend(watch.wait(Some(Duration::ZERO)));
        }
        let Some(shared) = shared.upgrade() else { return };
        let mut state = shared.state.lock();
        if running(&state) {
            state.tell(&shared.home, &changes);
        }
    }
}

impl FeedSource {
    fn of(topic: Topic, directory: PathBuf, file: Option<OsString>) -> Self {
        let path = file.as_ref().map_or_else(|| directory.clone(), |file| directory.join(file));
        Self { path, directory, file, topic, only: Weak::new(), is_root: false, counts_writes: false }
    }

    /// Whether this was listened to in another directory, since the one that it is in now was not there.
    fn has_moved(&self, before: &[Self]) -> bool {
        let is_same = |one: &&Self| one.topic == self.topic && one.path == self.path && one.only.ptr_eq(&self.only);
        before.iter().find(is_same).is_some_and(|one| one.directory != self.directory)
    }

    /// Returns the nearest directory above in place of one that is not there.
    fn nearest(mut self) -> Self {
        while !self.directory.is_dir()
            && let (Some(above), Some(name)) = (self.directory.parent(), self.directory.file_name())
        {
            (self.file, self.is_root, self.counts_writes) = (Some(name.to_owned()), true, false);
            self.directory = above.to_owned();
        }
        self
    }

    /// Whether one of these changes is a change of this.
    fn is_in(&self, changes: &BTreeSet<ProcessChange>) -> bool {
        // What begins with a dot is about to become something else, or a lock.
        let is_meant = |name: &OsStr| match &self.file {
            Some(file) => file == name,
            None => !name.as_encoded_bytes().starts_with(b"."),
        };
        changes.iter().any(|(directory, name)| *directory == self.directory && (name.is_empty() || is_meant(name)))
    }
}

/// Returns what tells that a topic of a home changes.
fn sources(home: &Home, topic: Topic) -> Vec<FeedSource> {
    let of = |directory: PathBuf, file: Option<&str>| FeedSource::of(topic, directory, file.map(Into::into));
    let file = |name| FeedSource { counts_writes: true, ..of(home.root().to_owned(), Some(name)) };
    let directory = |path: PathBuf| of(path, None);
    let root = |path: PathBuf| FeedSource { is_root: true, ..of(path, None) };
    match topic {
        // A home that can't be used has none, and says so when it is looked at.
        Topic::Tasks => {
            Tasks::open(home, ProcessScope::All).map(|tasks| vec![root(tasks.directory())]).unwrap_or_default()
        }
        Topic::Processes => match Manager::open_all(home) {
            Ok(all) => vec![root(all.directory()), directory(all.directory().join("defined"))],
            Err(_) => Vec::new(),
        },
        Topic::Servers => ["mcp.json", "settings.json", "registry.lock"]
            .map(file)
            .into_iter()
            .chain([directory(home.servers())])
            .collect(),
        Topic::Providers => vec![file("providers.json"), directory(home.root().join("vault"))],
        Topic::Usage => vec![FeedSource { counts_writes: true, ..directory(home.usage()) }],
        Topic::Plugins => ["plugins.json", "extensions.lock", "settings.json"].map(file).into(),
        Topic::Events => {
            vec![FeedSource { counts_writes: true, ..directory(EventLog::new(home.root()).directory().to_owned()) }]
        }
        Topic::Workflows => vec![directory(home.workflows()), directory(RunRecords::new(home.clone()).directory())],
        Topic::Documents => vec![FeedSource { counts_writes: true, ..directory(home.root().to_owned()) }],
        Topic::Files | Topic::Logs => Vec::new(),
    }
}

/// Returns what tells that what runs changes, for the topics that have something that runs.
fn supervised(home: &Home, topic: Topic) -> Sources {
    match topic {
        Topic::Tasks => Tasks::open(home, ProcessScope::All).map(|tasks| tasks.sources()).unwrap_or_default(),
        Topic::Processes => Manager::open_all(home).map(|all| all.sources(None)).unwrap_or_default(),
        _ => Sources::default(),
    }
}

impl FeedState {
    fn subscribers(&self) -> impl Iterator<Item = Arc<Subscriber>> {
        self.subscribers.iter().filter_map(Weak::upgrade)
    }

    /// Returns how long it is until what runs is told in any case.
    fn late(&self) -> Option<Duration> {
        let period = match (self.again, self.runs) {
            (1.., _) => Sources::FALLBACK_POLL_INTERVAL,
            (0, true) => Sources::FULL_RESCAN_INTERVAL,
            (0, false) => return None,
        };
        Some(period.saturating_sub(self.last_check.map_or(Duration::ZERO, |looked| looked.elapsed())))
    }

    fn topics(&self) -> BTreeSet<Topic> {
        self.subscribers().flat_map(|one| one.topics.clone()).collect()
    }

    /// Tells what these changes mean, and what can't be listened to when it is time for that.
    fn tell(&mut self, home: &Home, changes: &BTreeSet<ProcessChange>) {
        let is_due = !self.unheard.is_empty()
            && self.last_sent.is_none_or(|told| told.elapsed() >= Sources::FALLBACK_POLL_INTERVAL);
        let is_late = self.late().is_some_and(|left| left.is_zero());
        let is_told = |source: &&FeedSource| {
            let is_supervised = matches!(source.topic, Topic::Tasks | Topic::Processes);
            source.is_in(changes) || is_due && self.unheard.contains(&source.directory) || is_late && is_supervised
        };
        let meant: Vec<&FeedSource> = self.sources.iter().filter(is_told).collect();
        let has_more =
            is_due || is_late || meant.iter().any(|one| one.is_root) || changes.iter().any(|(_, name)| name.is_empty());
        let mut all: Vec<ToldTopic> = meant.iter().map(|one| (one.topic, one.only.clone())).collect();
        if is_due {
            self.last_sent = Some(Instant::now());
        }
        if is_late {
            (self.last_check, self.again) = (Some(Instant::now()), self.again.saturating_sub(1));
        }
        if changes.iter().any(|(_, name)| name.is_empty()) {
            (self.last_check, self.again) = (Some(Instant::now()), MAX_EXIT_RENOTIFICATIONS);
        }
        // What is new is listened to before it is told.
        if has_more {
            all.extend(self.listen(home));
        }
        self.hand_out(&all);
    }

    /// Tells each subscriber its topics.
    fn hand_out(&self, all: &[ToldTopic]) {
        for subscriber in self.subscribers() {
            let is_its = |(topic, only): &&ToldTopic| match topic {
                Topic::Files | Topic::Logs => std::ptr::eq(only.as_ptr(), Arc::as_ptr(&subscriber)),
                _ => true,
            };
            let topics: Vec<Topic> = all.iter().filter(is_its).map(|(topic, _)| *topic).collect();
            // All at once: a subscriber that woke at the first one would wake again for each other.
            if !topics.is_empty() {
                subscriber.tell(topics);
            }
        }
    }

    /// Does what [`Self::listen`] does while the thread of the feed sleeps.
    fn listen_at_once(&mut self, home: &Home) {
        let moved = self.listen(home);
        self.hand_out(&moved);
        self.running.iter().for_each(|watch| watch.wake());
    }

    /// Listens to what the subscribers wait for, and to nothing else. Returns what is in another directory now: nobody is
    /// told any more of what happened in the one before.
    fn listen(&mut self, home: &Home) -> Vec<ToldTopic> {
        let mut moved = Vec::new();
        let Some(watch) = self.running.clone() else { return moved };
        loop {
            let mut all: Vec<FeedSource> = self.topics().into_iter().flat_map(|topic| sources(home, topic)).collect();
            for subscriber in self.subscribers() {
                let followed = subscriber.followed.lock();
                all.extend(followed.iter().map(|(directory, file)| FeedSource {
                    only: Arc::downgrade(&subscriber),
                    counts_writes: true,
                    ..FeedSource::of(Topic::of_followed(file.as_deref()), directory.clone(), file.clone())
                }));
            }
            let mut all: Vec<FeedSource> = all.into_iter().map(FeedSource::nearest).collect();
            let now_elsewhere = all.iter().filter(|one| one.has_moved(&self.sources));
            moved.extend(now_elsewhere.map(|one| (one.topic, one.only.clone())));
            let before = std::mem::replace(&mut self.roots, all.iter().map(|one| one.directory.clone()).collect());
            let mut wanted = Sources::default();
            for topic in self.topics() {
                let found = supervised(home, topic);
                all.extend(found.directories.keys().map(|directory| FeedSource::of(topic, directory.clone(), None)));
                wanted.extend(found);
            }
            self.runs = wanted.has_any();
            self.last_check.get_or_insert_with(Instant::now);
            for one in &all {
                *wanted.directories.entry(one.directory.clone()).or_default() |= one.counts_writes;
            }
            self.unheard = watch.listen(wanted);
            self.sources = all;
            // What was made before its directory was listened to is found in the next round.
            if self.roots.is_subset(&before) {
                return moved;
            }
        }
    }
}
