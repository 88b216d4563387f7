//! Bringing the store up to date: what an older aiw has stored, and what settings say now.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use aiw_home::{CliPaths, Home, HomeError};
use aiw_redact::rules::{Redactor, VERSION};

use super::exclude::Exclusions;
use super::import::{self, TranscriptRoot};
use super::take::{Ingester, Report};
use crate::readers;
use crate::{Cli, ForgetReport, HistoryError, Store};

/// How many texts are looked at at once.
const BATCH_SIZE: usize = 1000;

/// The number of the rules about secrets that a home asks for.
fn rules(home: &Home) -> Result<i64, HomeError> {
    Ok(VERSION ^ i64::from(home.settings()?.history()?.is_strict))
}

/// Whether there are texts that have not gone through today's rules about secrets.
pub fn is_outdated(home: &Home, store: &Store) -> Result<bool, HistoryError> {
    Ok(store.redaction_rules_version()? != rules(home)?)
}

/// Takes out of stored texts what today's rules about secrets find, and reads transcripts again that have more to tell
/// than an older aiw has stored.
pub(super) fn reprocess_store(
    home: &Home,
    places: &CliPaths,
    store: &Store,
    intake: &mut Ingester<'_>,
    report: &mut Report,
) -> Result<(), HistoryError> {
    if is_outdated(home, store)? {
        let cleaned = clean(store, intake.redactor())?;
        store.set_redaction_rules_version(rules(home)?, cleaned > 0)?;
        report.redacted_messages += cleaned;
    }
    let unread = store.unread_transcripts()?.into_iter().filter(|(_, path)| path.exists());
    let unread: HashSet<(Cli, PathBuf)> = unread.collect();
    for sessions in readers::all() {
        let cli = sessions.cli();
        if !unread.iter().any(|(other, _)| *other == cli) {
            continue;
        }
        for root in readers::roots(places, home, cli) {
            let found =
                TranscriptRoot::find(sessions, &root).filter(|entry| unread.contains(&(cli, root.join(&entry.path))));
            import::ingest_root(intake, &found, report, &mut |_, _| {})?;
        }
    }
    Ok(())
}

/// Redacts all texts again. Transcripts may be gone, so this is done to what is stored. Returns how many have changed.
fn clean(store: &Store, redactor: &Redactor) -> Result<usize, HistoryError> {
    let (mut after, mut changed) = (0, 0);
    loop {
        let texts = store.texts_after(after, BATCH_SIZE)?;
        let Some((last, _)) = texts.last() else { return Ok(changed) };
        after = *last;
        let clean = texts.iter().filter_map(|(id, text)| match redactor.redact(text) {
            Cow::Owned(clean) if clean != *text => Some((*id, clean)),
            _ => None,
        });
        let clean: BTreeMap<i64, String> = clean.collect();
        if !clean.is_empty() {
            store.replace_texts(&clean)?;
        }
        changed += clean.len();
    }
}

/// Counts the stored messages of projects that are excluded now.
pub fn count_excluded(home: &Home, store: &Store) -> Result<ForgetReport, HistoryError> {
    store.count_messages(&projects(home, store)?)
}

/// Takes out what is stored of projects that are excluded now. It comes back with the next import after they are not.
pub fn remove_excluded(home: &Home, store: &Store) -> Result<ForgetReport, HistoryError> {
    store.remove_projects(&projects(home, store)?)
}

fn projects(home: &Home, store: &Store) -> Result<Vec<i64>, HistoryError> {
    let mut exclusions = Exclusions::load(home)?;
    store.project_ids(&mut |path| exclusions.is_excluded(path))
}
