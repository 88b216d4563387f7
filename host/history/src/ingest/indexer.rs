//! The one process that reads what hooks asked for.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aiw_home::{CliPaths, Home, HomeError, try_lock_for};

use super::exclude::Exclusions;
use super::import::{self, Import, TranscriptRoot};
use super::launched;
use super::queue::{IngestQueue, IngestRequest};
use super::reprocess::reprocess_store;
use super::running;
use super::take::{Ingester, Report};
use crate::readers::{self, Launch, TranscriptSource};
use crate::{Cli, HistoryError, Store};

/// How long those who were told to wait for the indexer do.
const INDEXER_WAIT_TIMEOUT: Duration = Duration::from_secs(600);

/// How long after its hook a CLI may still write the last of a session.
const TRANSCRIPT_FLUSH_GRACE: Duration = Duration::from_secs(2);

/// Indexes transcripts of a home, one process at a time.
pub struct Indexer {
    home: Home,
    /// How aiw ran the CLIs of sessions.
    launches: HashMap<String, Launch>,
}

/// The work done for requests.
#[derive(Default)]
struct DoneRequests {
    /// The requests that can't be removed.
    stuck: BTreeSet<PathBuf>,
    /// The transcripts that were read.
    read: BTreeMap<PathBuf, IngestRequest>,
}

impl DoneRequests {
    /// The requests for transcripts that have changed since they were read.
    fn changed(&mut self, store: &Store) -> Result<Vec<IngestRequest>, HistoryError> {
        let mut changed = Vec::new();
        for (path, request) in std::mem::take(&mut self.read) {
            let read = store.progress(&path)?.map(|progress| progress.size);
            let size = std::fs::symlink_metadata(&path).map(|meta| meta.len()).ok();
            if size.is_some() && size != read {
                changed.push(request);
            }
        }
        Ok(changed)
    }
}

/// The right to index, held while it lives.
pub(crate) struct IndexLock {
    _file: File,
}

impl Indexer {
    /// An indexer of a home.
    pub fn new(home: Home) -> Self {
        Self { home, launches: HashMap::new() }
    }

    /// Also notes how aiw ran the CLIs of sessions, as its tasks know it. Where a session itself tells, that counts.
    #[must_use]
    pub fn with_launches(self, launches: HashMap<String, Launch>) -> Self {
        Self { launches, ..self }
    }

    /// The home.
    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    /// Opens the store.
    pub fn store(&self) -> Result<Store, HistoryError> {
        self.home.make_dir(&self.home.history())?;
        Store::open(&self.home.history())
    }

    /// An intake that knows which sessions are private now.
    pub(crate) fn ingester<'a>(&self, store: &'a Store, places: &CliPaths) -> Result<Ingester<'a>, HistoryError> {
        Exclusions::flush_fallback(&self.home);
        running::mark_running_private(&self.home, places);
        Ingester::new(store, &self.home, places)
    }

    /// Takes the turn to index; none if another process has it for longer than `patience`.
    pub(crate) fn lock_with_timeout(&self, patience: Duration) -> Result<Option<IndexLock>, HistoryError> {
        let path = lock_path(&self.home);
        self.home.make_dir(&self.home.history())?;
        let file = aiw_home::open_owned(&path).map_err(|e| HomeError::io("open", &path, e))?;
        let locked = try_lock_for(file, patience).map_err(|e| HomeError::io("lock", &path, e))?;
        Ok(locked.map(|file| IndexLock { _file: file }))
    }

    /// Takes the turn to index, however long another process takes, within reason.
    pub(crate) fn lock(&self) -> Result<IndexLock, HistoryError> {
        self.lock_with_timeout(INDEXER_WAIT_TIMEOUT)?
            .ok_or(HistoryError::Busy { seconds: INDEXER_WAIT_TIMEOUT.as_secs() })
    }

    /// Reads what hooks asked for, until nothing is left. If another process does so already, there is nothing to do,
    /// unless `wait` asks to be sure that it was done.
    pub fn run(&self, places: &CliPaths, wait: bool) -> Result<Report, HistoryError> {
        let queue = IngestQueue::new(&self.home);
        let mut report = Report::default();
        let mut done = DoneRequests::default();
        let mut may_wait = !wait;
        loop {
            let turn = if wait { Some(self.lock()?) } else { self.lock_with_timeout(Duration::ZERO)? };
            let Some(turn) = turn else { return Ok(report) };
            queue.prepare()?;
            queue.sweep();
            let store = self.store()?;
            self.rebuild(&store, places, &mut report)?;
            let mut intake = self.ingester(&store, places)?;
            drain(&queue, places, &store, &mut intake, &mut done, &mut report)?;
            self.settle(places, &store, &mut intake, &mut report)?;
            drop(turn);
            // A hook that came since found the lock taken, and started nothing.
            if queue.pending(places.directory(Cli::Claude)).iter().any(|(file, _)| !done.stuck.contains(file)) {
                continue;
            }
            if !std::mem::take(&mut may_wait) || done.read.is_empty() {
                return Ok(report);
            }
            drop(intake);
            std::thread::sleep(TRANSCRIPT_FLUSH_GRACE);
            for request in done.changed(&store)? {
                queue.add(&request)?;
            }
        }
    }

    /// Takes in all these transcripts. `observe` is told how many bytes are done, and of how many.
    pub fn import(
        &self,
        found: &[TranscriptRoot],
        places: &CliPaths,
        observe: &mut dyn FnMut(u64, u64),
    ) -> Result<Report, HistoryError> {
        let _turn = self.lock()?;
        let store = self.store()?;
        let mut report = Report::default();
        self.rebuild(&store, places, &mut report)?;
        let mut intake = self.ingester(&store, places)?;
        let total: u64 = found.iter().map(TranscriptRoot::bytes).sum();
        let mut done = 0;
        for found in found {
            let before = done;
            import::ingest_root(&mut intake, found, &mut report, &mut |bytes, _| {
                done = before + bytes;
                observe(done, total);
            })?;
        }
        self.drain(places, &store, &mut intake, &mut report)?;
        Ok(report)
    }

    /// Brings the store up to date, and notes how aiw ran the CLIs of sessions of which nothing else tells.
    fn settle(
        &self,
        places: &CliPaths,
        store: &Store,
        intake: &mut Ingester<'_>,
        report: &mut Report,
    ) -> Result<(), HistoryError> {
        reprocess_store(&self.home, places, store, intake, report)?;
        launched::import_launch_records(&self.home, store)?;
        if self.launches.is_empty() {
            return Ok(());
        }
        let unknown = store.sessions_without_launch()?;
        let known = self.launches.iter().filter(|(session, _)| unknown.contains(*session));
        store.record_launches(known.map(|(session, launch)| (session.as_str(), launch)))
    }

    /// Reads also what hooks asked for, for whom there is no indexer where the last one failed.
    pub(crate) fn drain(
        &self,
        places: &CliPaths,
        store: &Store,
        intake: &mut Ingester<'_>,
        report: &mut Report,
    ) -> Result<(), HistoryError> {
        drain(&IngestQueue::new(&self.home), places, store, intake, &mut DoneRequests::default(), report)?;
        self.settle(places, store, intake, report)
    }

    /// Whether hooks asked for something that was not read.
    pub(crate) fn has_pending_requests(&self) -> bool {
        !IngestQueue::new(&self.home).is_empty()
    }

    /// Reads all transcripts again if the store was damaged.
    pub(crate) fn rebuild(&self, store: &Store, places: &CliPaths, report: &mut Report) -> Result<(), HistoryError> {
        if !store.needs_rebuild()? {
            return Ok(());
        }
        let mut intake = self.ingester(store, places)?;
        for found in Import::find_all(places).into_iter().chain(Import::find_in_redirected_homes(&self.home)) {
            import::ingest_root(&mut intake, &found, report, &mut |_, _| {})?;
        }
        store.mark_rebuilt()
    }
}

/// Carries out requests until none is left but those that can't be removed.
fn drain(
    queue: &IngestQueue,
    places: &CliPaths,
    store: &Store,
    intake: &mut Ingester<'_>,
    done: &mut DoneRequests,
    report: &mut Report,
) -> Result<(), HistoryError> {
    loop {
        let waiting: Vec<_> = queue
            .pending(places.directory(Cli::Claude))
            .into_iter()
            .filter(|(file, _)| !done.stuck.contains(file))
            .collect();
        if waiting.is_empty() {
            return Ok(());
        }
        // Several requests for one transcript are one reading.
        let mut wanted: BTreeMap<(Cli, PathBuf, String), (Vec<PathBuf>, Launch)> = BTreeMap::new();
        for (file, request) in waiting {
            match (request.path, request.refused) {
                (Some(path), _) => {
                    let (files, launch) = wanted.entry((request.cli, request.root, path)).or_default();
                    files.push(file);
                    let provider = request.provider.map(|name| name.to_string());
                    *launch = Launch { provider: provider.or_else(|| launch.provider.take()), isolated: false };
                }
                (None, refused) => {
                    if let Some((path, reason)) = refused {
                        report.add(intake.skip_transcript(&path, &reason)?);
                    }
                    queue.remove(&file)?;
                }
            }
        }
        for ((cli, root, path), (files, launch)) in wanted {
            // Claude Code names a transcript after its session.
            let session = readers::stem(&path).to_owned();
            let request =
                IngestRequest { cli, root: root.clone(), path: Some(path.clone()), refused: None, provider: None };
            done.read.insert(root.join(&path), request);
            for path in with_subagents(readers::for_cli(cli), &root, path) {
                report.add(super::take::ingest_transcript(intake, cli, &root, &path)?);
            }
            if !launch.is_empty() {
                store.record_launches([(session.as_str(), &launch)])?;
            }
            for file in files {
                // A request that can't be removed would be carried out for ever.
                if queue.remove(&file).is_err() {
                    done.stuck.insert(file);
                }
            }
        }
    }
}

/// A session, and the files of the subagents that worked in it.
fn with_subagents(sessions: &dyn TranscriptSource, root: &Path, path: String) -> Vec<String> {
    let mut paths = vec![path.clone()];
    if let (Cli::Claude, Some(stem)) = (sessions.cli(), path.strip_suffix(".jsonl")) {
        let directory = format!("{stem}/subagents");
        let mut entries = super::files::walk(root, &[&directory]);
        entries.sort_by(|a, b| (a.created, &a.path).cmp(&(b.created, &b.path)));
        paths.extend(entries.into_iter().map(|entry| entry.path).filter(|path| sessions.is_transcript(path)));
    }
    paths
}

pub(crate) fn lock_path(home: &Home) -> PathBuf {
    home.history().join("indexer.lock")
}

/// Whether another process holds a lock. It is given back at once.
pub(super) fn is_locked(path: &Path) -> bool {
    path.exists() && matches!(aiw_home::open_owned(path).and_then(|file| try_lock_for(file, Duration::ZERO)), Ok(None))
}
