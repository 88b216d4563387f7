//! `aiw history watch`: transcripts are read as they grow, where no hook says when.
//!
//! It looks at times and sizes every few seconds. A notice of the system's for each directory would need a watch for
//! every project that ever was, would miss files on network disks, and would come a hundred times while a model speaks;
//! ten thousand transcripts are looked at in a few tens of milliseconds.

use std::collections::HashMap;
use std::path::PathBuf;

use aiw_home::CliPaths;

use super::exclude::is_off;
use super::files::FileEntry;
use super::import::{TranscriptRoot, ingest_root};
use super::indexer::Indexer;
use super::take::Report;
use crate::readers;
use crate::{Cli, HistoryError};

/// The state of the transcripts when they were last read.
#[derive(Debug, Default)]
pub struct TranscriptWatch {
    seen: HashMap<(Cli, PathBuf), (i64, u64)>,
    is_begun: bool,
}

impl TranscriptWatch {
    /// Reads what has changed since the last time. The first time, that is everything.
    pub fn poll(&mut self, indexer: &Indexer, places: &CliPaths) -> Result<Report, HistoryError> {
        let mut report = Report::default();
        if is_off(indexer.home()) {
            return Ok(report);
        }
        let mut changed = Vec::new();
        for sessions in readers::all() {
            for root in readers::roots(places, indexer.home(), sessions.cli()) {
                let seen = &self.seen;
                let is_new = |entry: &FileEntry| {
                    seen.get(&(sessions.cli(), root.join(&entry.path))) != Some(&(entry.modified, entry.size))
                };
                let found = TranscriptRoot::find(sessions, &root).filter(is_new);
                if !found.is_empty() {
                    changed.push(found);
                }
            }
        }
        if changed.is_empty() && self.is_begun && !indexer.has_pending_requests() {
            return Ok(report);
        }
        let _turn = indexer.lock()?;
        let store = indexer.store()?;
        indexer.rebuild(&store, places, &mut report)?;
        let mut intake = indexer.ingester(&store, places)?;
        for found in &changed {
            ingest_root(&mut intake, found, &mut report, &mut |_, _| {})?;
            for (entry, path) in found.entries().iter().zip(found.paths()) {
                self.seen.insert((found.cli(), path), (entry.modified, entry.size));
            }
        }
        indexer.drain(places, &store, &mut intake, &mut report)?;
        self.is_begun = true;
        Ok(report)
    }
}
