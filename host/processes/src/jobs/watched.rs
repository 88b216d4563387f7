//! Files whose change starts a process again: which they are, and when one of them has changed.

use std::collections::{HashMap, HashSet};
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aiw_core::one_line;
use aiw_home::now_millis;
use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};

/// The most globs of a process.
const MAX_GLOBS: usize = 100;
/// The shortest and the longest time in which nothing must have changed.
const DEBOUNCE_RANGE: [Duration; 2] = [Duration::from_millis(20), Duration::from_secs(60)];
/// How often files are looked at that can't be listened to. At least that; and a look takes a fiftieth of the time.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// Where files change all the time, the wait for a quiet moment ends after this, or after so many times the debounce.
const MAX_QUIET_WAIT: (Duration, u32) = (Duration::from_secs(10), 20);

/// Files whose change starts a process again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchedFiles {
    /// Globs, from the project's directory on.
    pub files: Vec<String>,
    /// Globs of what doesn't count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<String>,
    /// How long nothing must have changed before it is started again.
    pub debounce: Duration,
}

impl WatchedFiles {
    /// The usual time in which nothing must have changed.
    pub const DEBOUNCE: Duration = Duration::from_millis(300);
}

/// Checks what files a process watches. Returns the problem as the end of a sentence about the process.
pub(crate) fn check(watch: &WatchedFiles) -> Result<(), String> {
    let WatchedFiles { files, ignore, debounce } = watch;
    if files.is_empty() {
        return Err("has a `watch` of no files".into());
    }
    if files.len() + ignore.len() > MAX_GLOBS {
        return Err(format!("has a `watch` of more than {MAX_GLOBS} globs"));
    }
    if let Some(glob) =
        files.iter().chain(ignore).find(|glob| glob.starts_with('/') || glob.split('/').any(|part| part == ".."))
    {
        return Err(format!("has a `watch` of `{}`, which is outside the project", one_line(glob, 60)));
    }
    if !(DEBOUNCE_RANGE[0]..=DEBOUNCE_RANGE[1]).contains(debounce) {
        return Err("has a `debounce` that is not between 20 ms and 60 s".into());
    }
    // Compiling them takes ten times as long, and only who watches needs that.
    files.iter().chain(ignore).try_for_each(|glob| parsed(glob).map(drop))
}

fn not_a_glob(glob: &str) -> String {
    format!("has a `watch` of `{}`, which is not a glob, such as \"src/**/*.rs\"", one_line(glob, 60))
}

fn parsed(glob: &str) -> Result<Glob, String> {
    GlobBuilder::new(glob).literal_separator(true).build().map_err(|_| not_a_glob(glob))
}

fn globs(globs: &[String]) -> Result<GlobSet, String> {
    let mut all = GlobSetBuilder::new();
    for glob in globs {
        all.add(parsed(glob)?);
    }
    all.build().map_err(|_| not_a_glob(globs.first().map_or("", String::as_str)))
}

/// Returns a glob as it is meant: `./src` is `src`, and a directory stands for all that is in it.
fn whole_glob(root: &Path, glob: &str) -> String {
    let glob = glob.trim_start_matches("./");
    match glob.strip_suffix('/') {
        Some(directory) => format!("{directory}/**"),
        None if !glob.is_empty() && root.join(glob).is_dir() => format!("{glob}/**"),
        None => glob.to_owned(),
    }
}

/// Which files count.
struct WatchRules {
    root: PathBuf,
    files: GlobSet,
    ignored: GlobSet,
    /// Directories in which nothing counts.
    ignored_dirs: GlobSet,
    /// The directories in which files may count, as far as globs name them.
    bases: Vec<PathBuf>,
    /// The words of `.gitignore` files, by their directories; the deeper ones later.
    gitignores: Vec<(PathBuf, Gitignore)>,
}

impl WatchRules {
    fn of(root: &Path, watch: &WatchedFiles) -> Result<Self, String> {
        let ignored: Vec<String> = watch.ignore.iter().map(|glob| whole_glob(root, glob)).collect();
        let whole: Vec<String> =
            ignored.iter().filter_map(|glob| glob.strip_suffix("/**")).map(str::to_owned).collect();
        let is_literal = |part: &&str| !part.contains(['*', '?', '[', '{', '\\']);
        let files: Vec<String> = watch.files.iter().map(|glob| whole_glob(root, glob)).collect();
        let base = |glob: &String| {
            let parts: Vec<&str> = glob.split('/').collect();
            parts[..parts.len() - 1]
                .iter()
                .copied()
                .take_while(|part| is_literal(part))
                .fold(root.to_owned(), |base, part| base.join(part))
        };
        Ok(Self {
            root: root.to_owned(),
            files: globs(&files)?,
            ignored: globs(&ignored)?,
            ignored_dirs: globs(&whole)?,
            bases: files.iter().map(base).collect(),
            gitignores: Vec::new(),
        })
    }

    /// Returns a link on the way to the files that globs name, from the project's directory on.
    fn linked(&self) -> Option<PathBuf> {
        let is_link = |path: &&Path| self.root.join(path).symlink_metadata().is_ok_and(|found| found.is_symlink());
        let link = |base: &PathBuf| {
            let inside = base.strip_prefix(&self.root).ok()?;
            inside.ancestors().filter(is_link).last().map(Path::to_owned)
        };
        self.bases.iter().find_map(link)
    }

    /// Takes in what a directory's `.gitignore` says.
    fn learn(&mut self, directory: &Path) {
        self.gitignores.retain(|(known, _)| known != directory);
        let mut builder = GitignoreBuilder::new(directory);
        let mut files = vec![directory.join(".gitignore")];
        if directory.join(".git").exists() {
            files.push(directory.join(".git/info/exclude"));
        }
        let there = files.iter().filter(|file| file.is_file());
        // What makes no sense in one is left out, as git does.
        if there.map(|file| drop(builder.add(file))).count() > 0
            && let Ok(rules) = builder.build()
        {
            self.gitignores.push((directory.to_owned(), rules));
            self.gitignores.sort_by_key(|(directory, _)| directory.components().count());
        }
    }

    fn is_ignored(&self, path: &Path, is_directory: bool) -> bool {
        let says = |(directory, rules): &(PathBuf, Gitignore)| {
            let said = path.starts_with(directory).then(|| rules.matched_path_or_any_parents(path, is_directory))?;
            (!said.is_none()).then(|| said.is_ignore())
        };
        self.gitignores.iter().rev().find_map(says).unwrap_or(false)
    }

    /// Whether a change of this file counts. Its directory is one of those that are listened to.
    fn counts(&self, path: &Path) -> bool {
        let Ok(inside) = path.strip_prefix(&self.root) else { return false };
        self.files.is_match(inside) && !self.ignored.is_match(inside) && !self.is_ignored(path, false)
    }

    /// Whether files in this directory, or below it, may count.
    fn is_entered(&self, directory: &Path) -> bool {
        let Ok(inside) = directory.strip_prefix(&self.root) else { return false };
        let is_on_the_way = |base: &PathBuf| base.starts_with(directory) || directory.starts_with(base);
        directory.file_name().is_none_or(|name| name != ".git")
            && self.bases.iter().any(is_on_the_way)
            && !self.ignored_dirs.is_match(inside)
            && (directory == self.root || !self.is_ignored(directory, true))
    }
}

/// The changes that one who listens has heard of.
#[derive(Default)]
struct HeardChanges {
    /// The last change that counts.
    last: Option<Instant>,
    /// The first one since the last restart.
    first: Option<Instant>,
    /// When the last one was, in milliseconds since 1970.
    at: u64,
    /// Directories that came.
    new: Vec<PathBuf>,
    /// Paths that went, which may have been directories.
    gone: Vec<PathBuf>,
    /// Whether changes may have been missed, or rules have changed.
    is_uncertain: bool,
}

/// The part of a watch that the thread which hears of changes knows.
struct SharedWatch {
    rules: RwLock<WatchRules>,
    heard: Mutex<HeardChanges>,
}

/// Hears of changes in directories. All watches have one, since a user may have few.
pub(crate) struct SharedWatcher {
    watcher: Option<RecommendedWatcher>,
    all: Arc<RwLock<Vec<Arc<SharedWatch>>>>,
    /// How many watches listen to a directory.
    directories: HashMap<PathBuf, usize>,
}

impl SharedWatcher {
    /// Returns some that call this function when something has changed.
    pub fn new(wake: impl Fn() + Send + 'static) -> Self {
        let all: Arc<RwLock<Vec<Arc<SharedWatch>>>> = Arc::default();
        let listening = all.clone();
        let hear = move |event: notify::Result<Event>| {
            let watches = listening.read();
            // Each hears of it.
            if watches.iter().filter(|watch| watch.hear(event.as_ref())).count() > 0 {
                wake();
            }
        };
        // Without one, files are looked at from time to time.
        Self { watcher: notify::recommended_watcher(hear).ok(), all, directories: HashMap::new() }
    }

    /// Listens to a directory, also to a new one in the place of another. Returns whether that is possible; `None` if it is
    /// gone.
    fn listen(&mut self, directory: &Path) -> Option<bool> {
        let Some(watcher) = &mut self.watcher else { return Some(false) };
        match watcher.watch(directory, RecursiveMode::NonRecursive) {
            Ok(()) => {
                *self.directories.entry(directory.to_owned()).or_default() += 1;
                Some(true)
            }
            Err(error) => matches!(error.kind, ErrorKind::MaxFilesWatch).then_some(false),
        }
    }

    fn leave(&mut self, directory: &Path) {
        if let Some(count) = self.directories.get_mut(directory) {
            *count -= 1;
            if *count == 0 {
                self.directories.remove(directory);
                let _ = self.watcher.as_mut().map(|watcher| watcher.unwatch(directory));
            }
        }
    }
}

impl SharedWatch {
    /// Notes what has changed. Returns whether somebody must look.
    fn hear(&self, event: Result<&Event, &notify::Error>) -> bool {
        let Some(event) = event.ok().filter(|event| !event.need_rescan()) else {
            self.heard.lock().is_uncertain = true;
            return true;
        };
        let is_change = match event.kind {
            EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
            EventKind::Modify(ModifyKind::Metadata(_)) => false,
            _ => true,
        };
        if !is_change {
            return false;
        }
        let rules = self.rules.read();
        let mut has_heard = false;
        for path in &event.paths {
            let is_new = matches!(event.kind, EventKind::Create(_) | EventKind::Modify(ModifyKind::Name(_)));
            let is_gone = matches!(event.kind, EventKind::Remove(_));
            if path.file_name().is_some_and(|name| name == ".gitignore") {
                self.heard.lock().is_uncertain = true;
                has_heard = true;
            } else if rules.counts(path) {
                self.heard.lock().note();
                has_heard = true;
            } else if (is_gone || is_new) && rules.is_entered(path) {
                let is_directory = is_new && fs::symlink_metadata(path).is_ok_and(|found| found.is_dir());
                let mut heard = self.heard.lock();
                // What comes in the place of another is another one.
                heard.gone.push(path.clone());
                heard.new.extend(is_directory.then(|| path.clone()));
                has_heard = true;
            }
        }
        has_heard
    }
}

impl HeardChanges {
    fn note(&mut self) {
        let now = Instant::now();
        self.last = Some(now);
        self.first.get_or_insert(now);
        self.at = now_millis();
    }
}

/// The files that processes watch.
pub(crate) struct ProcessFileWatch {
    watch: WatchedFiles,
    shared: Arc<SharedWatch>,
    directories: HashSet<PathBuf>,
    /// The newest change that a look has found, in milliseconds since 1970.
    found: u64,
    /// Changes before this time are known, in milliseconds since 1970.
    newest: u64,
    /// When the files are looked at, if they can't be listened to.
    poll: Option<Instant>,
}

impl ProcessFileWatch {
    /// Listens to what a process watches in its project. Returns also a sentence if it can't listen to all of it.
    pub fn new(ears: &mut SharedWatcher, root: &Path, watch: &WatchedFiles) -> Result<(Self, Option<String>), String> {
        let shared =
            Arc::new(SharedWatch { rules: RwLock::new(WatchRules::of(root, watch)?), heard: Mutex::default() });
        ears.all.write().push(shared.clone());
        let mut new =
            Self { watch: watch.clone(), shared, directories: HashSet::new(), found: 0, newest: 0, poll: None };
        // Those above count too, up to the repository's root.
        let repository = root.ancestors().position(|above| above.join(".git").exists());
        for above in root.ancestors().skip(1).take(repository.unwrap_or(0)) {
            new.shared.rules.write().learn(above);
        }
        let took = new.scan(ears, vec![root.to_owned()]);
        let linked = new.shared.rules.read().linked().map(|link| {
            let shown = one_line(&link.to_string_lossy(), 200);
            format!("`{shown}` is a link to a directory, which is not followed: what changes there starts nothing")
        });
        let deaf = new.poll.map(|_| {
            format!(
                "not all directories can be listened to, so files are looked at every {} s: a higher limit, such as \
                 `sudo sysctl fs.inotify.max_user_watches=1048576`, and a restart help",
                pause(took).as_secs()
            )
        });
        let sentences: Vec<String> = linked.into_iter().chain(deaf).collect();
        Ok((new, (!sentences.is_empty()).then(|| sentences.join("; "))))
    }

    /// Returns the files that it watches.
    pub fn files(&self) -> &WatchedFiles {
        &self.watch
    }

    /// Returns when the last change was, in milliseconds since 1970.
    pub fn last_change(&self) -> u64 {
        self.shared.heard.lock().at.max(self.found)
    }

    /// Ends it.
    pub fn stop(self, ears: &mut SharedWatcher) {
        ears.all.write().retain(|known| !Arc::ptr_eq(known, &self.shared));
        self.directories.iter().for_each(|directory| ears.leave(directory));
    }

    /// Takes in what was heard. Returns how long nothing must happen until the process is to be started again; zero if it
    /// is to be now, which is told once. `None` if nothing has changed.
    pub fn drain_events(&mut self, ears: &mut SharedWatcher) -> Option<Duration> {
        let now = Instant::now();
        let (gone, new, is_uncertain) = {
            let mut heard = self.shared.heard.lock();
            let (gone, new) = (std::mem::take(&mut heard.gone), std::mem::take(&mut heard.new));
            (gone, new, std::mem::take(&mut heard.is_uncertain))
        };
        for path in gone.iter().filter(|path| self.directories.contains(*path)).cloned().collect::<Vec<_>>() {
            // Files in it may have counted.
            self.shared.heard.lock().note();
            let below: Vec<PathBuf> =
                self.directories.iter().filter(|known| known.starts_with(&path)).cloned().collect();
            for directory in below {
                self.directories.remove(&directory);
                ears.leave(&directory);
            }
        }
        let before = self.newest;
        if is_uncertain || self.poll.is_some_and(|at| at <= now) {
            let root = self.shared.rules.read().root.clone();
            self.scan(ears, vec![root]);
        } else if !new.is_empty() {
            self.scan(ears, new);
        }
        let mut heard = self.shared.heard.lock();
        if self.newest > before {
            heard.note();
        }
        let (last, first) = (heard.last?, heard.first?);
        let debounce = self.watch.debounce;
        let end = (last + debounce).min(first + MAX_QUIET_WAIT.0.max(debounce * MAX_QUIET_WAIT.1));
        let left = end.saturating_duration_since(now);
        if left.is_zero() {
            (heard.last, heard.first) = (None, None);
            self.newest = self.newest.max(now_millis());
        }
        Some(left)
    }

    /// Returns when files are to be looked at that can't be listened to.
    pub fn next_poll(&self) -> Option<Instant> {
        self.poll
    }

    /// Walks through directories, listens to those that are new, and finds the newest change. Returns how long it took.
    fn scan(&mut self, ears: &mut SharedWatcher, mut left: Vec<PathBuf>) -> Duration {
        let begun = Instant::now();
        let mut is_deaf = false;
        while let Some(directory) = left.pop() {
            let mut rules = self.shared.rules.write();
            rules.learn(&directory);
            if !rules.is_entered(&directory) {
                continue;
            }
            drop(rules);
            if !self.directories.contains(&directory) {
                match ears.listen(&directory) {
                    Some(true) => drop(self.directories.insert(directory.clone())),
                    Some(false) => is_deaf = true,
                    // It is gone by now, or the user can't read it.
                    None => {}
                }
            }
            let rules = self.shared.rules.read();
            for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
                let path = entry.path();
                let Ok(kind) = entry.file_type() else { continue };
                if kind.is_dir() {
                    if rules.is_entered(&path) {
                        left.push(path);
                    }
                } else if rules.counts(&path) {
                    self.found = self.found.max(entry.metadata().map_or(0, |found| changed(&found)));
                }
            }
        }
        self.newest = self.newest.max(self.found);
        let took = begun.elapsed();
        if is_deaf || self.poll.is_some() {
            self.poll = Some(Instant::now() + pause(took));
        }
        took
    }
}

fn pause(took: Duration) -> Duration {
    POLL_INTERVAL.max(took * 50)
}

/// Returns when a file, or its name, was changed last, in milliseconds since 1970. The time of its content would not do: what is
/// moved or unpacked into its place keeps an old one, and would be lost. A change of its mode counts therefore, too, if nobody
/// listened at the time.
fn changed(found: &Metadata) -> u64 {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        u64::try_from(found.ctime() * 1000 + found.ctime_nsec() / 1_000_000).unwrap_or(0)
    }
    #[cfg(not(unix))]
    {
        found.modified().map_or(0, aiw_core::unix_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(files: &[&str], ignore: &[&str]) -> WatchedFiles {
        let owned = |globs: &[&str]| globs.iter().map(|glob| (*glob).to_owned()).collect();
        WatchedFiles { files: owned(files), ignore: owned(ignore), debounce: Duration::from_millis(50) }
    }

    /// A project with a watch, and what wakes it.
    struct Watched {
        dir: tempfile::TempDir,
        ears: SharedWatcher,
        watch: ProcessFileWatch,
    }

    impl Watched {
        fn new(files: &[&str], ignore: &[&str], made: &[(&str, &str)]) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let root = dir.path().canonicalize().unwrap();
            for (path, text) in made {
                fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
                fs::write(root.join(path), text).unwrap();
            }
            let mut ears = SharedWatcher::new(|| {});
            let (watch, sentence) = ProcessFileWatch::new(&mut ears, &root, &watch(files, ignore)).unwrap();
            assert_eq!(sentence, None);
            Self { dir, ears, watch }
        }

        fn write(&self, path: &str) {
            fs::write(self.dir.path().join(path), "x").unwrap();
        }

        /// Returns how often it says that files have changed, until it says nothing for half a second.
        fn told(&mut self) -> usize {
            let (mut told, mut last) = (0, Instant::now());
            while last.elapsed() < Duration::from_millis(500) {
                match self.watch.drain_events(&mut self.ears) {
                    Some(Duration::ZERO) => told += 1,
                    Some(_) => last = Instant::now(),
                    None => {}
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            told
        }
    }

    #[test]
    fn what_counts_is_told_and_nothing_else_is() {
        let made =
            [("src/a/x.rs", ""), ("target/y.rs", ""), ("src/.gitignore", "*.tmp.rs\nbuilt/\n"), ("src/built/z.rs", "")];
        let mut project = Watched::new(&["src/**/*.rs", "Cargo.toml"], &["src/gen/**", "**/old.rs"], &made);
        assert_eq!(project.told(), 0);
        for path in ["target/y.rs", "src/a/x.txt", "src/a/x.tmp.rs", "src/built/z.rs", "src/a/old.rs", "README"] {
            project.write(path);
        }
        fs::read(project.dir.path().join("src/a/x.rs")).unwrap();
        assert_eq!(project.told(), 0);
        for path in ["src/a/x.rs", "Cargo.toml", "src/a/new.rs"] {
            project.write(path);
            assert_eq!(project.told(), 1, "{path}");
        }
        fs::remove_file(project.dir.path().join("src/a/new.rs")).unwrap();
        assert_eq!(project.told(), 1);
        fs::rename(project.dir.path().join("target/y.rs"), project.dir.path().join("src/a/x.rs")).unwrap();
        assert_eq!(project.told(), 1, "editors replace files");
    }

    #[test]
    fn a_directory_that_comes_later_counts_with_what_is_in_it() {
        let mut project = Watched::new(&["src/**/*.rs"], &["src/gen/**"], &[("src/x.rs", "")]);
        for directory in ["src/new/er", "src/gen/er"] {
            fs::create_dir_all(project.dir.path().join(directory)).unwrap();
        }
        project.write("src/new/er/a.rs");
        project.write("src/gen/er/a.rs");
        assert_eq!(project.told(), 1);
        project.write("src/new/er/a.rs");
        assert_eq!(project.told(), 1);
        project.write("src/gen/er/a.rs");
        assert_eq!(project.told(), 0);
        // One that comes in the place of another is another one.
        let root = project.dir.path().to_owned();
        for step in 0..3 {
            match step {
                0 => fs::remove_dir_all(root.join("src/new")).unwrap(),
                1 => fs::rename(root.join("src/new"), root.join("away")).unwrap(),
                _ => fs::remove_dir_all(root.join("src")).unwrap(),
            }
            fs::create_dir_all(root.join("src/new/er")).unwrap();
            project.told();
            project.write("src/new/er/b.rs");
            assert_eq!(project.told(), 1, "after step {step}");
        }
        // Also where it was not there before.
        let mut project = Watched::new(&["later/*.rs"], &[], &[]);
        fs::create_dir(project.dir.path().join("later")).unwrap();
        project.told();
        project.write("later/a.rs");
        assert_eq!(project.told(), 1);
    }

    #[test]
    fn a_glob_is_taken_as_it_is_meant_and_a_repository_ignores_for_its_projects() {
        for glob in ["./src/*.rs", "src", "src/"] {
            let mut project = Watched::new(&[glob], &[], &[("src/a.rs", "")]);
            project.write("src/a.rs");
            assert_eq!(project.told(), 1, "{glob}");
        }
        let made =
            [("app/a.log", ""), ("app/gen/x", ""), ("app/b", ""), (".gitignore", "*.log\n"), (".git/info/exclude", "")];
        let mut project = Watched::new(&["app/**"], &[], &made);
        // The project is below the root of its repository.
        let root = project.dir.path().canonicalize().unwrap().join("app");
        (project.watch, _) = ProcessFileWatch::new(&mut project.ears, &root, &watch(&["**"], &[])).unwrap();
        project.write("app/a.log");
        assert_eq!(project.told(), 0);
        project.write("app/gen/x");
        assert_eq!(project.told(), 1);
        fs::write(root.join(".gitignore"), "/gen/\n").unwrap();
        project.told();
        project.write("app/gen/x");
        assert_eq!(project.told(), 0);
        project.write("app/b");
        assert_eq!(project.told(), 1);
    }

    #[test]
    fn a_file_that_is_moved_into_its_place_counts_although_its_content_is_old() {
        let project = Watched::new(&["src/**"], &[], &[("src/x", ""), ("old", "")]);
        let root = project.dir.path().canonicalize().unwrap();
        let old = fs::File::options().write(true).open(root.join("old")).unwrap();
        old.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(1)).unwrap();
        std::thread::sleep(Duration::from_millis(30));
        let began = now_millis();
        std::thread::sleep(Duration::from_millis(30));
        let look = || {
            ProcessFileWatch::new(&mut SharedWatcher::new(|| {}), &root, &watch(&["src/**"], &[]))
                .unwrap()
                .0
                .last_change()
        };
        assert!(look() < began);
        fs::rename(root.join("old"), root.join("src/x")).unwrap();
        assert!(look() > began);
    }

    #[test]
    fn a_storm_is_told_once() {
        let mut project = Watched::new(&["src/**"], &[], &[("src/x", "")]);
        // Whoever writes may wait for a processor.
        project.watch.watch.debounce = Duration::from_secs(2);
        let root = project.dir.path().to_owned();
        let storm = std::thread::spawn(move || {
            for number in 0..10_000 {
                fs::write(root.join(format!("src/{}", number % 300)), "x").unwrap();
            }
        });
        assert_eq!(project.told(), 1);
        storm.join().unwrap();
        assert_eq!(project.told(), 0);
    }

    #[test]
    fn without_ears_files_are_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::write(root.join("a"), "").unwrap();
        let mut deaf = SharedWatcher { watcher: None, ..SharedWatcher::new(|| {}) };
        let (mut watch, sentence) = ProcessFileWatch::new(&mut deaf, &root, &watch(&["*"], &[])).unwrap();
        assert!(sentence.unwrap().contains("max_user_watches"));
        watch.poll = Some(Instant::now());
        assert_eq!(watch.drain_events(&mut deaf), None);
        std::thread::sleep(Duration::from_millis(20));
        fs::write(root.join("a"), "new").unwrap();
        watch.poll = Some(Instant::now());
        assert!(watch.drain_events(&mut deaf).is_some());
    }

    #[test]
    fn what_leads_outside_or_is_no_glob_is_refused() {
        for bad in ["/etc/*", "../x", "a/../b", "[", "a{b"] {
            assert!(check(&watch(&[bad], &[])).is_err() && check(&watch(&["a"], &[bad])).is_err(), "{bad}");
        }
        assert!(check(&watch(&[], &[])).is_err() && check(&watch(&["src/**/*.rs"], &["target/**"])).is_ok());
    }
}
