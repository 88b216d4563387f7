//! How aiw ran the CLIs of sessions on a terminal: nothing else tells it of those without hooks. One small file for each
//! session, until the session is in the store.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use aiw_home::{Home, HomeError, Mode, read_capped, read_dir, remove_file, replace};

use crate::readers::{self, Launch};
use crate::{HistoryError, Store};

/// How long a session may take to get into the store. The CLIs remove their transcripts earlier.
const LAUNCH_RECORD_TTL: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// The longest note.
const MAX_LAUNCH_RECORD_BYTES: u64 = 4 << 10;

fn directory(home: &Home) -> PathBuf {
    home.history().join("launched")
}

/// Notes how aiw ran the CLI of a session.
pub fn record_launch(home: &Home, session: &str, launch: &Launch) -> Result<(), HomeError> {
    let Some(session) = readers::session_id(session) else { return Ok(()) };
    let directory = directory(home);
    home.make_dir(&directory)?;
    let text = serde_json::to_vec(launch).unwrap_or_default();
    replace(&directory.join(session), &text, Mode::Private)
}

/// Moves the notes of sessions that are there into the store.
pub(super) fn import_launch_records(home: &Home, store: &Store) -> Result<(), HistoryError> {
    let entries = read_dir(&directory(home)).into_iter().flatten().flatten();
    let notes: HashMap<String, (PathBuf, Launch)> = entries
        .filter_map(|entry| {
            let bytes = read_capped(&entry.path(), MAX_LAUNCH_RECORD_BYTES).ok()??;
            let launch = serde_json::from_slice(&bytes).ok()?;
            let modified = entry.metadata().and_then(|meta| meta.modified());
            if modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > LAUNCH_RECORD_TTL)) {
                let _ = remove_file(&entry.path());
            }
            Some((entry.file_name().into_string().ok()?, (entry.path(), launch)))
        })
        .collect();
    if notes.is_empty() {
        return Ok(());
    }
    let there = store.existing_sessions(notes.keys())?;
    store.record_launches(there.iter().filter_map(|name| Some((name.as_str(), &notes.get(name)?.1))))?;
    for (path, _) in there.iter().filter_map(|name| notes.get(name)) {
        let _ = remove_file(path);
    }
    Ok(())
}
