//! Repositories on this machine, read in place. Nothing is copied, since a commit never changes.
//!
//! libgit2 opens whatever has the name of a file it expects, and waits forever on a pipe. So everything that it may
//! open is checked first. Its work runs on a thread that can be abandoned, in case a file changes its kind in the
//! meantime.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirEntry, OpenOptions};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use aiw_core::{Sha, one_line};
use git2::{ErrorCode, ObjectType, Repository, RepositoryOpenFlags};
use rustix::fs::OFlags;

use super::advertisement::{too_many_refs, unsupported_format};
use super::refs::GitRef;
use super::transfer::Cancel;
use super::transport;
use crate::error::NetError;
use crate::http::RequestLimits;

/// The maximum number of files: many times more than git leaves before it packs them.
const MAX_FILES: usize = 1_000_000;

/// The maximum size of a configuration file. Such files are a page or two.
pub(super) const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// The maximum depth of nested files. libgit2 follows ten nested includes and five nested alternates.
pub(super) const MAX_DEPTH: usize = 10;

/// The maximum number of configuration files, more than any configuration has. Each may include all the others
/// again.
pub(super) const MAX_CONFIG_FILES: usize = 100;

/// How often to check on a thread that may be waiting for a file.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Runs `work` on its own thread, which is abandoned if it does not end within `limit`.
pub(super) fn run_with_timeout<T: Send + 'static>(
    limit: Duration,
    shown: &str,
    cancel: &Cancel,
    work: impl FnOnce() -> Result<T, NetError> + Send + 'static,
) -> Result<T, NetError> {
    let (done, result) = mpsc::sync_channel(1);
    std::thread::Builder::new()
        .name("git".into())
        .spawn(move || done.send(work()))
        .map_err(|error| NetError::unavailable(format!("cannot start a thread: {error}")).with_source(error))?;
    let deadline = Instant::now() + limit;
    loop {
        match result.recv_timeout(POLL_INTERVAL) {
            Ok(result) => return result,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(NetError::unavailable("reading a repository failed because of a bug in aiw"));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        cancel.check()?;
        if Instant::now() >= deadline {
            let limit = limit.as_secs_f32();
            return Err(NetError::unavailable(format!(
                "the git repository at `{shown}` can't be read: it has not answered within {limit} s"
            )));
        }
    }
}

/// Opens a bare repository or a directory with `.git`. Does not search the directories above.
pub(super) fn open(path: &Path, shown: &str) -> Result<Repository, NetError> {
    let (seen, alternates) = (BTreeSet::new(), BTreeSet::new());
    RepositoryCheck { path, repository: shown, files: MAX_FILES, configs: MAX_CONFIG_FILES, seen, alternates }
        .look()?;
    let nothing_above: [&OsStr; 0] = [];
    let opened = Repository::open_ext(path, RepositoryOpenFlags::NO_SEARCH, nothing_above);
    opened.map_err(|error| match error.code() {
        ErrorCode::NotFound => NetError::not_found(format!("there is no git repository at `{shown}`")),
        // This is git's own protection: another user may have crafted the repository for others to read.
        ErrorCode::Owner => NetError::denied(format!(
            "the git repository at `{shown}` belongs to another user, and git's `safe.directory` does not list it"
        )),
        _ => unreadable(shown, &error),
    })
}

/// Checks everything that libgit2 is going to open.
struct RepositoryCheck<'a> {
    /// The only directory that was granted.
    path: &'a Path,
    repository: &'a str,
    /// The number of files that may still be checked.
    files: usize,
    /// The number of configuration files that may still be read.
    configs: usize,
    /// The real paths of the directories that were checked.
    seen: BTreeSet<PathBuf>,
    /// The object directories whose alternates were checked.
    alternates: BTreeSet<PathBuf>,
}

impl RepositoryCheck<'_> {
    fn look(mut self) -> Result<(), NetError> {
        // In libgit2's order: `.git` inside, then the directory itself.
        let inner = self.path.join(".git");
        match fs::metadata(&inner) {
            Ok(metadata) if metadata.is_dir() => self.git_directory(&inner)?,
            // The file says where the repository is: `gitdir: PATH`.
            Ok(metadata) if metadata.is_file() => {
                if let Some(place) = self.leads_to(&inner, b"gitdir:")? {
                    self.git_directory(&place)?;
                }
            }
            Ok(_) => return Err(self.no_file(&inner)),
            Err(_) => {}
        }
        match self.path.join("HEAD").exists() {
            true => self.git_directory(self.path),
            false => Ok(()),
        }
    }

    /// Checks the files that libgit2 opens by name in a repository, and everything in refs and objects.
    fn git_directory(&mut self, directory: &Path) -> Result<(), NetError> {
        let real = self.beneath(directory)?;
        if !self.seen.insert(real.clone()) {
            return Ok(());
        }
        for entry in fs::read_dir(&real).into_iter().flatten().flatten() {
            match entry.file_name().to_str() {
                Some("refs" | "objects" | "info") => self.tree(&entry.path())?,
                _ => drop(self.is_directory(&entry)?),
            }
        }
        for name in ["config", "config.worktree"] {
            self.config(&real.join(name), MAX_DEPTH)?;
        }
        self.alternates(&real.join("objects"), MAX_DEPTH)?;
        if let Some(common) = self.leads_to(&real.join("commondir"), b"")? {
            self.git_directory(&common)?;
        }
        Ok(())
    }

    /// Checks everything in and beneath a directory.
    fn tree(&mut self, directory: &Path) -> Result<(), NetError> {
        let mut ahead = vec![directory.to_owned()];
        while let Some(path) = ahead.pop() {
            if !self.is_directory_at(&path)? {
                continue;
            }
            let real = self.beneath(&path)?;
            if !self.seen.insert(real.clone()) {
                continue;
            }
            for entry in fs::read_dir(&real).into_iter().flatten().flatten() {
                if self.is_directory(&entry)? {
                    ahead.push(entry.path());
                }
            }
        }
        Ok(())
    }

    /// Returns whether an entry is a directory or a link to one. Anything that is neither a directory nor a file is
    /// an error.
    fn is_directory(&mut self, entry: &DirEntry) -> Result<bool, NetError> {
        let more =
            |shown| NetError::too_large(format!("the git repository at `{shown}` has more than {MAX_FILES} files"));
        self.files = self.files.checked_sub(1).ok_or_else(|| more(self.repository))?;
        match entry.file_type() {
            // The directory entry usually tells the kind, which saves time: a repository may have a hundred
            // thousand objects.
            Ok(kind) if kind.is_file() => Ok(false),
            _ => self.is_directory_at(&entry.path()),
        }
    }

    /// Like [`Self::is_directory`], but for a path. A path that does not exist is fine, because libgit2 cannot open
    /// it either.
    fn is_directory_at(&self, path: &Path) -> Result<bool, NetError> {
        let Ok(metadata) = fs::metadata(path) else { return Ok(false) };
        if !metadata.is_dir() && !metadata.is_file() {
            return Err(self.no_file(path));
        }
        Ok(metadata.is_dir())
    }

    /// Returns the place that a file points to, or `None` if there is no such file.
    fn leads_to(&self, file: &Path, before: &[u8]) -> Result<Option<PathBuf>, NetError> {
        let Some(text) = self.read(file)? else { return Ok(None) };
        let Some(place) = text.trim_ascii_end().strip_prefix(before) else { return Ok(None) };
        let parent = file.parent().unwrap_or(file);
        self.beneath(&parent.join(OsStr::from_bytes(place.trim_ascii_start()))).map(Some)
    }

    /// Returns the real path of a place that is going to be read. A `.git` file, a link or `alternates` may lead
    /// anywhere, but only the path itself was granted.
    fn beneath(&self, place: &Path) -> Result<PathBuf, NetError> {
        fs::canonicalize(place).ok().filter(|real| real.starts_with(self.path)).ok_or_else(|| {
            let place = one_line(&place.display().to_string(), 200);
            NetError::denied(format!(
                "the git repository at `{}` keeps its objects elsewhere, in `{place}`",
                self.repository
            ))
        })
    }

    /// Checks the additional object directories that libgit2 would find.
    fn alternates(&mut self, objects: &Path, deeper: usize) -> Result<(), NetError> {
        let Some(deeper) = deeper.checked_sub(1) else { return Ok(()) };
        let Some(text) = self.read(&objects.join("info/alternates"))? else { return Ok(()) };
        for line in text.split(|byte| b"\r\n".contains(byte)) {
            let place = Path::new(OsStr::from_bytes(line));
            let place = match line.first() {
                None | Some(b'#') => continue,
                Some(b'.') => self.beneath(&objects.join(place))?,
                // Without a leading dot, the path is relative to aiw's working directory.
                Some(_) => self.beneath(place)?,
            };
            if self.alternates.insert(place.clone()) {
                self.tree(&place)?;
                self.alternates(&place, deeper)?;
            }
        }
        Ok(())
    }

    /// Checks a configuration file and the files that it includes.
    fn config(&mut self, file: &Path, deeper: usize) -> Result<(), NetError> {
        let Some(text) = self.read(file)? else { return Ok(()) };
        let more = |shown| {
            NetError::too_large(format!(
                "the configuration of the git repository at `{shown}` has more than {MAX_CONFIG_FILES} files"
            ))
        };
        self.configs = self.configs.checked_sub(1).ok_or_else(|| more(self.repository))?;
        for GitSetting { section, key, value, .. } in parse_settings(&text) {
            if (section.as_str(), key.as_str()) == ("extensions", "objectformat") && value != b"sha1" {
                return Err(unsupported_format(self.repository, &String::from_utf8_lossy(&value)));
            }
            // Do not look at the section: checking one file too many does no harm.
            if key != "path" {
                continue;
            }
            let home = std::env::var_os("HOME").unwrap_or_default();
            let value = OsString::from_vec(value);
            let place = match Path::new(&value).strip_prefix("~") {
                Ok(rest) => Path::new(&home).join(rest),
                Err(_) => file.parent().unwrap_or(file).join(&value),
            };
            let is_directory = self.is_directory_at(&place)?;
            if let Some(deeper) = deeper.checked_sub(1).filter(|_| section.starts_with("include") && !is_directory) {
                self.config(&place, deeper)?;
            }
        }
        Ok(())
    }

    /// Reads a small file without blocking. Returns `None` if there is no such file.
    fn read(&self, file: &Path) -> Result<Option<Vec<u8>>, NetError> {
        let failed = |error: std::io::Error| {
            let file = one_line(&file.display().to_string(), 200);
            NetError::unavailable(format!(
                "cannot read `{file}` of the git repository at `{}`: {error}",
                self.repository
            ))
            .with_source(error)
        };
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
        let opened = match options.open(file) {
            Ok(opened) => opened,
            Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(failed(error)),
        };
        let metadata = opened.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Ok(None);
        }
        if !metadata.is_file() {
            return Err(self.no_file(file));
        }
        let mut text = Vec::new();
        opened.take(MAX_CONFIG_BYTES + 1).read_to_end(&mut text).map_err(failed)?;
        if text.len() as u64 > MAX_CONFIG_BYTES {
            let file = one_line(&file.display().to_string(), 200);
            return Err(NetError::too_large(format!(
                "`{file}` of the git repository at `{}` is longer than {}",
                self.repository,
                crate::error::format_size(MAX_CONFIG_BYTES)
            )));
        }
        Ok(Some(text))
    }

    fn no_file(&self, path: &Path) -> NetError {
        let path = one_line(&path.display().to_string(), 200);
        NetError::invalid(format!("the git repository at `{}` can't be read: `{path}` is not a file", self.repository))
    }
}

/// A setting in a configuration file, with the section and the key in lowercase.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct GitSetting {
    pub(super) section: String,
    /// The part of the section's name in quotes.
    pub(super) subsection: Option<String>,
    pub(super) key: String,
    pub(super) value: Vec<u8>,
}

impl GitSetting {
    /// Whether it has this name.
    pub(super) fn matches(&self, section: &str, subsection: Option<&str>, key: &str) -> bool {
        self.section == section && self.subsection.as_deref() == subsection && self.key == key
    }
}

/// Returns the settings in a configuration file, possibly including some that git would not recognize.
/// <https://git-scm.com/docs/git-config#_syntax>
pub(super) fn parse_settings(text: &[u8]) -> Vec<GitSetting> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    // Map each byte to a character, because paths need not be UTF-8.
    let text: String = text.iter().copied().map(char::from).collect();
    let text = text.replace("\\\r\n", "").replace("\\\n", "");
    let (mut section, mut subsection) = (String::new(), None);
    let mut settings = Vec::new();
    for line in text.lines() {
        // The condition of an include is quoted and may contain anything.
        let mut quoted = false;
        let sign = line.find(|character| {
            quoted ^= character == '"';
            character == '=' && !quoted
        });
        let (before, value) = line.split_at(sign.unwrap_or(line.len()));
        if let Some(name) = before.trim_start().strip_prefix('[') {
            let end = name.find(|character: char| !character.is_ascii_alphanumeric() && !"-.".contains(character));
            let (first, rest) = name.split_at(end.unwrap_or(name.len()));
            section = first.to_ascii_lowercase();
            subsection = rest.trim_start().strip_prefix('"').map(quoted_part);
        }
        // A setting may follow its section on the same line.
        let key = before.trim_end().rsplit([' ', '\t', ']']).next().unwrap_or_default().to_ascii_lowercase();
        if let Some(value) = value.strip_prefix('=') {
            let (section, subsection) = (section.clone(), subsection.clone());
            settings.push(GitSetting { section, subsection, key, value: plain(value.trim()) });
        }
    }
    settings
}

/// Returns a text up to the quote that ends it, without its escapes.
fn quoted_part(text: &str) -> String {
    let (mut bytes, mut characters) = (Vec::new(), text.chars());
    while let Some(character) = characters.next().filter(|character| *character != '"') {
        let character = if character == '\\' { characters.next() } else { Some(character) };
        bytes.extend(character.and_then(|character| u8::try_from(character).ok()));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns a value without its quotes, escapes and comment.
fn plain(value: &str) -> Vec<u8> {
    let (mut plain, mut quoted, mut characters) = (String::new(), false, value.chars());
    while let Some(character) = characters.next() {
        match character {
            '"' => quoted = !quoted,
            '#' | ';' if !quoted => break,
            '\\' => plain.extend(characters.next().map(|escaped| match escaped {
                'n' => '\n',
                't' => '\t',
                'b' => '\u{8}',
                other => other,
            })),
            other => plain.push(other),
        }
    }
    plain.trim_end().chars().filter_map(|character| u8::try_from(character).ok()).collect()
}

/// Returns the commit of a branch, a tag, a full ref name or `HEAD`. Returns `None` if it takes the list of all
/// refs to decide.
pub(super) fn resolve(repository: &Repository, reference: Option<&str>) -> Option<Sha> {
    let commit = |name: &str| {
        let found = repository.find_reference(name).ok()?;
        found.peel(ObjectType::Commit).ok()?.id().to_string().parse().ok()
    };
    match reference {
        None => commit("HEAD"),
        Some(name) if name == "HEAD" || name.starts_with("refs/") => commit(name),
        Some(name) => commit(&format!("refs/heads/{name}")).or_else(|| commit(&format!("refs/tags/{name}"))),
    }
}

/// Returns the refs that a server would list for the same repository.
pub(super) fn refs(repository: &Repository, shown: &str, limits: &RequestLimits) -> Result<Vec<GitRef>, NetError> {
    let failed = |error: git2::Error| unreadable(shown, &error);
    let git_ref =
        |name: String, oid: git2::Oid| -> Option<GitRef> { Some(GitRef { name, sha: oid.to_string().parse().ok()? }) };
    let mut refs = Vec::new();
    // In a repository without commits, `HEAD` names a branch that does not exist.
    let head = repository.find_reference("HEAD").and_then(|head| head.resolve()).ok();
    refs.extend(head.and_then(|head| git_ref("HEAD".to_owned(), head.target()?)));
    for reference in repository.references().map_err(failed)? {
        let reference = reference.map_err(failed)?;
        if refs.len() >= limits.max_refs {
            return Err(too_many_refs(shown, limits));
        }
        // Skip refs that cannot be requested: names that are not UTF-8, and refs that lead nowhere.
        let Some(target) = reference.resolve().ok().and_then(|resolved| resolved.target()) else { continue };
        let Ok(name) = reference.name() else { continue };
        refs.extend(git_ref(name.to_owned(), target));
        let is_tag = repository.find_tag(target).is_ok();
        if let Some(peeled) = is_tag.then(|| reference.peel(ObjectType::Any).ok()).flatten() {
            refs.extend(git_ref(format!("{name}^{{}}"), peeled.id()));
        }
    }
    Ok(refs)
}

fn unreadable(shown: &str, error: &git2::Error) -> NetError {
    transport::take_allocation_error(&format!("`{shown}`")).unwrap_or_else(|| {
        let why = one_line(error.message(), 200);
        NetError::unavailable(format!("cannot read the git repository at `{shown}`: {why}"))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn settings_are_found_however_they_are_written() {
        let text = b"\xef\xbb\xbf[core]\n\tbare = false ; no\r\n[Include] PATH = a\\\nb\n[includeIf \"gitdir:x=]y\"]\n\
                     path=\"~/c # d\" # e\n [ include ]path = \\\\f\npath\n[extensions]\nobjectFormat = sha256\n\xff = \xfe";
        let found: Vec<_> =
            parse_settings(text).into_iter().map(|s| (format!("{}.{}", s.section, s.key), s.value)).collect();
        let expected: [(&str, &[u8]); 6] = [
            ("core.bare", b"false"),
            ("include.path", b"ab"),
            ("includeif.path", b"~/c # d"),
            (".path", b"\\f"),
            ("extensions.objectformat", b"sha256"),
            ("extensions.\u{ff}", b"\xfe"),
        ];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn what_does_not_answer_is_left_after_a_while() {
        let (guard, cancel) = tokio::sync::watch::channel(());
        let (limit, cancel) = (Duration::from_millis(50), Cancel(cancel));
        let (stays, waits) = mpsc::channel::<()>();
        let left = run_with_timeout(limit, "R", &cancel, move || Ok(waits.recv()));
        let message = "the git repository at `R` can't be read: it has not answered within 0.05 s".to_owned();
        assert_eq!(left.unwrap_err(), NetError::Unavailable { message, retry_after: None, source: None });
        drop(stays);
        assert_eq!(run_with_timeout(limit, "R", &cancel, || Ok(7)), Ok(7));
        // Nobody waits any more.
        drop(guard);
        let (_stays, waits) = mpsc::channel::<()>();
        assert_eq!(run_with_timeout(HOURS, "R", &cancel, move || Ok(waits.recv())), Err(NetError::Cancelled));
    }

    const HOURS: Duration = Duration::from_secs(7200);

    mod fuzz {
        use super::*;
        proptest! {
            #[test]
            fn any_configuration_is_answered(text in proptest::collection::vec(any::<u8>(), 0..200), words in "[\\[\\]=\"a-z \\n\\\\;#]{0,80}") {
                let _ = parse_settings(&text);
                let _ = parse_settings(words.as_bytes());
            }
        }
    }
}
