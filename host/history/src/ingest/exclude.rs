//! What is never indexed: projects that the user or a project excludes, and sessions in private mode.

use std::collections::HashMap;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use aiw_core::unix_millis;
use aiw_home::{HISTORY_VARIABLE, Home, HomeError, Project, read_dir, remove_file};

use super::elsewhere;
use crate::store::PRIVATE_SESSIONS_DIR;
use crate::{HistoryError, Store, readers};

/// Whether history is switched off for a client: `AIW_HISTORY=off`.
pub fn is_off(home: &Home) -> bool {
    home.context().variable_str(HISTORY_VARIABLE).is_some_and(is_off_value)
}

/// Whether `AIW_HISTORY` with this value switches the history off.
pub fn is_off_value(value: &str) -> bool {
    ["off", "0", "false", "no"].iter().any(|word| value.trim().eq_ignore_ascii_case(word))
}

/// Keeps a session out of the history, whatever asks for it later. It may be running. What was said in it since a time,
/// and was read before this, is taken out again.
pub fn mark_session_private(home: &Home, session: &str, since: SystemTime) -> Result<(), HistoryError> {
    let Some(session) = readers::session_id(session) else { return Ok(()) };
    Exclusions::mark_private(home, session)?;
    if let Some(store) = Store::open_existing(&home.history())? {
        store.drop_since(session, i64::try_from(unix_millis(since)).unwrap_or(i64::MAX))?;
    }
    Ok(())
}

/// The projects that are not indexed: by `history.exclude` in settings.json, by `"history": false` in `.aiw.json`.
#[derive(Debug)]
pub struct Exclusions {
    patterns: Vec<String>,
    user: Option<PathBuf>,
    /// Where the sessions that ran in private mode are, one empty file each.
    private: Vec<PathBuf>,
    known: HashMap<String, bool>,
}

/// How many projects are remembered; each costs a look for `.aiw.json`.
const MAX_CACHED_PROJECTS: usize = 10_000;

impl Exclusions {
    /// Returns the exclusions of a home's settings.
    pub fn load(home: &Home) -> Result<Self, HomeError> {
        let user = home.context().user_home();
        let patterns = home.settings()?.history()?.exclude;
        let patterns = patterns.into_iter().map(|pattern| match (pattern.strip_prefix("~/"), &user) {
            (Some(rest), Some(user)) => user.join(rest).to_string_lossy().into_owned(),
            _ => pattern,
        });
        let patterns = patterns.flat_map(|pattern| pattern_ways(&pattern)).collect();
        Ok(Self { patterns, user, private: private(home), known: HashMap::new() })
    }

    /// Whether a project is not to be indexed.
    pub fn is_excluded(&mut self, project: &str) -> bool {
        if project.is_empty() {
            return false;
        }
        if let Some(known) = self.known.get(project) {
            return *known;
        }
        if self.known.len() >= MAX_CACHED_PROJECTS {
            self.known.clear();
        }
        // A file that can't be read may say that the project is private.
        let is_private = |directory: &String| {
            Project::find(Path::new(directory), self.user.as_deref())
                .map_or(true, |found| found.is_some_and(|project| !project.is_history_enabled()))
        };
        let is_named = |directory: &String| self.patterns.iter().any(|pattern| matches(pattern, directory));
        let is_covered = ways(project).iter().any(|directory| is_named(directory) || is_private(directory));
        self.known.insert(project.to_owned(), is_covered);
        is_covered
    }

    /// Notes that a session ran in private mode, so that no import takes it in later.
    pub(crate) fn mark_private(home: &Home, session: &str) -> Result<(), HomeError> {
        let directory = home.history().join(PRIVATE_SESSIONS_DIR);
        let path = directory.join(session);
        let written = home.make_dir(&directory).and_then(|()| mark(&path));
        let is_elsewhere = || {
            let Some(directory) = elsewhere::fallback_dir(home, PRIVATE_SESSIONS_DIR) else { return false };
            elsewhere::create_fallback_dir(&directory).is_ok() && mark(&directory.join(session)).is_ok()
        };
        if written.is_err() && is_elsewhere() { Ok(()) } else { written }
    }

    /// Moves into the home what could not be written there at first, as far as it can be now.
    pub(crate) fn flush_fallback(home: &Home) {
        let Some(directory) = elsewhere::fallback_dir(home, PRIVATE_SESSIONS_DIR) else { return };
        for entry in read_dir(&directory).into_iter().flatten().flatten() {
            let inside = home.history().join(PRIVATE_SESSIONS_DIR);
            if home.make_dir(&inside).and_then(|()| mark(&inside.join(entry.file_name()))).is_ok() {
                let _ = remove_file(&entry.path());
            }
        }
    }

    /// The sessions that ran in private mode.
    pub(crate) fn private_sessions(&self) -> Vec<String> {
        let entries = self.private.iter().flat_map(|directory| read_dir(directory).into_iter().flatten().flatten());
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }

    /// Whether a session ran in private mode.
    pub(crate) fn is_private(&mut self, session: &str) -> bool {
        // Ids of sessions are valid names of files.
        let key = format!("\0{session}");
        if self.known.len() >= MAX_CACHED_PROJECTS {
            self.known.clear();
        }
        let is_marked = || self.private.iter().any(|directory| fs::symlink_metadata(directory.join(session)).is_ok());
        *self.known.entry(key).or_insert_with(is_marked)
    }
}

fn private(home: &Home) -> Vec<PathBuf> {
    std::iter::once(home.history().join(PRIVATE_SESSIONS_DIR))
        .chain(elsewhere::fallback_dir(home, PRIVATE_SESSIONS_DIR))
        .collect()
}

fn mark(path: &Path) -> Result<(), HomeError> {
    aiw_home::open_owned(path).map(drop).map_err(|e| HomeError::io("write", path, e))
}

/// The paths that lead to a directory: as it is written, but for `..`, and as it is without links.
fn ways(directory: &str) -> Vec<String> {
    let path = Path::new(directory);
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    let mut ways = vec![plain.to_string_lossy().into_owned()];
    if path.is_absolute() {
        // What was removed since has a place where it was.
        for start in [path, &plain] {
            let real = start.ancestors().find_map(|above| Some((above, fs::canonicalize(above).ok()?)));
            let whole = real.and_then(|(above, real)| Some(real.join(start.strip_prefix(above).ok()?)));
            ways.extend(whole.map(|whole| whole.to_string_lossy().into_owned()));
        }
    }
    ways.sort();
    ways.dedup();
    ways
}

/// A pattern as it is written, and with the directories before its first `*` as they are without links.
fn pattern_ways(pattern: &str) -> Vec<String> {
    let parts: Vec<&str> = pattern.split('/').collect();
    let plain = parts.iter().position(|part| part.contains('*')).unwrap_or(parts.len());
    let (before, after) = parts.split_at(plain);
    let before = before.join("/");
    if !before.starts_with('/') {
        return vec![pattern.to_owned()];
    }
    ways(&before).into_iter().map(|way| [&[way.as_str()], after].concat().join("/")).collect()
}

/// Whether a pattern covers a directory: by its path or one above it. `*` stands for anything within a name, `**` for
/// any names.
fn matches(pattern: &str, project: &str) -> bool {
    let parts = |path: &str| path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let (mut wanted, path) = (parts(pattern), parts(project));
    // A name alone is that of a directory anywhere.
    if !pattern.trim_end_matches('/').contains('/') {
        wanted.insert(0, "**".to_owned());
    }
    parts_match(&wanted, &path)
}

fn parts_match(wanted: &[String], path: &[String]) -> bool {
    // Where each prefix of the pattern can end: patterns with many `**` take no longer than others.
    let mut ends = vec![false; path.len() + 1];
    ends[0] = true;
    for part in wanted {
        let mut next = vec![false; path.len() + 1];
        for at in 0..=path.len() {
            if part == "**" {
                next[at] = ends[..=at].contains(&true);
            } else if at > 0 && ends[at - 1] && aiw_core::matches_wildcard(part, &path[at - 1]) {
                next[at] = true;
            }
        }
        ends = next;
    }
    // What is beneath is covered too.
    ends.contains(&true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_cover_directories_and_what_is_beneath() {
        for (pattern, project, is_covered) in [
            ("/srv/secret", "/srv/secret", true),
            ("/srv/secret", "/srv/secret/deep/er", true),
            ("/srv/secret/", "/srv/secret", true),
            ("/srv/secret", "/srv/secrets", false),
            ("/srv/secret", "/work", false),
            ("/srv/*/private", "/srv/a/private", true),
            ("/srv/*/private", "/srv/a/b/private", false),
            ("/srv/**/private", "/srv/a/b/private/x", true),
            ("/srv/client-*", "/srv/client-a/src", true),
            ("client-*", "/srv/client-a/src", true),
            ("diary/", "/srv/diary/x", true),
            ("**/private", "/private", true),
            ("*", "/anything", true),
            ("/a/**/**/**/**/**/**/b", "/a/x/x/x/x/x/x/x/x/x/c", false),
        ] {
            assert_eq!(matches(pattern, project), is_covered, "{pattern} {project}");
        }
    }

    #[test]
    fn no_way_leads_around_a_pattern() {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        fs::create_dir_all(root.join("secret/deep")).unwrap();
        fs::create_dir_all(root.join("open")).unwrap();
        fs::write(root.join("secret/deep/.aiw.json"), r#"{"history": false}"#).unwrap();
        std::os::unix::fs::symlink(root.join("secret"), root.join("link")).unwrap();
        std::os::unix::fs::symlink(root.join("secret/deep"), root.join("open/in")).unwrap();
        let at = |path: &str| format!("{}/{path}", root.display());
        for excluded in ["secret", "link", "open/../secret", "secret/", "*"] {
            let home = Home::from_root(root.join("aiw"));
            fs::create_dir_all(home.root()).unwrap();
            let excluded = if excluded.contains('*') { "secret".to_owned() } else { at(excluded) };
            let settings = serde_json::json!({"history": {"exclude": [excluded]}});
            fs::write(home.settings_path(), settings.to_string()).unwrap();
            let mut exclusions = Exclusions::load(&home).unwrap();
            for project in
                ["secret", "link", "link/gone", "open/../secret", "open/in", "open/in/..", "open/./../link/x"]
            {
                assert!(exclusions.is_excluded(&at(project)), "{excluded} {project}");
            }
            assert!(
                !exclusions.is_excluded(&at("open")) && !exclusions.is_excluded(&at("secret/../open")),
                "{excluded}"
            );
        }
    }

    #[test]
    fn settings_a_projects_own_file_and_private_sessions_exclude() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path().join("aiw"));
        fs::create_dir_all(home.root()).unwrap();
        fs::write(home.settings_path(), r#"{"history": {"exclude": ["/clients/*"]}}"#).unwrap();
        for (name, text) in [("open", "{}"), ("closed", r#"{"history": false}"#), ("broken", "{")] {
            fs::create_dir_all(dir.path().join(name).join("src")).unwrap();
            fs::write(dir.path().join(name).join(".aiw.json"), text).unwrap();
        }
        let mut exclusions = Exclusions::load(&home).unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        assert!(
            exclusions.is_excluded("/clients/a/b")
                && !exclusions.is_excluded("/clients")
                && !exclusions.is_excluded("")
        );
        assert!(
            !exclusions.is_excluded(&at("open"))
                && exclusions.is_excluded(&at("closed/src"))
                && exclusions.is_excluded(&at("broken"))
        );
        assert!(!exclusions.is_private("s-1"));
        Exclusions::mark_private(&home, "s-1").unwrap();
        assert!(Exclusions::load(&home).unwrap().is_private("s-1"));
        fs::write(home.settings_path(), r#"{"history": {"exclude": "x"}}"#).unwrap();
        assert!(Exclusions::load(&home).unwrap_err().to_string().contains("`history.exclude`"));
    }
}
