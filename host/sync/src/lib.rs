//! Configuration that travels: settings of AI CLIs and of aiw on every machine of yours, encrypted, merged, shown before they
//! are applied, and undone byte for byte.
//!
//! Each machine writes snapshots of what travels from it, sealed to a phrase, to a remote that can do no more than keep files.
//! No object is ever replaced. A pull merges what others wrote, file by file and key by key, with what all had before.
//!
//! Not for trust: what you agreed to on one machine stays there.

mod apply;
mod content;
mod error;
mod front_matter;
mod gather;
mod generated;
mod graph;
mod incoming;
mod keys;
mod object;
mod place;
mod policy;
mod remote;
mod snapshot;
mod state;
mod store;
#[cfg(test)]
mod tests;
mod verbs;

pub use error::SyncError;
pub use gather::SkippedFile;
pub use generated::PendingInstall;
pub use keys::{InvalidPhrase, Phrase};
pub use remote::RemoteError;
pub use verbs::{
    PullRequest, PushRequest, StoreListing, StoreMachine, StoreSetup, StoreSnapshot, StoreStatus, SyncChange,
    SyncConflict, SyncDifference, SyncLog, SyncLogEntry, SyncPull, SyncPush, SyncRekey, SyncRuleSummary, SyncUndo,
    Synchronizer,
};

/// Whether this machine has a store. It is not opened.
pub fn has_store(home: &aiw_home::Home) -> bool {
    state::SyncDirectory::new(home).has_store()
}

/// Returns how many files of this machine were not pushed, from local state alone; `None` if it synchronizes with nothing.
pub fn unpushed_files(home: &aiw_home::Home) -> Option<usize> {
    has_store(home).then_some(())?;
    let client = aiw_net::HttpClient::new().ok()?;
    Synchronizer::new(home, &client).ok()?.count_unpushed()
}

/// Returns how many conflicts the last pull left undecided, from local state alone.
pub fn unresolved_conflicts(home: &aiw_home::Home) -> usize {
    let directory = state::SyncDirectory::new(home);
    let undecided = directory.load().ok().flatten().map_or(0, |state| state.files.held.values().map(Vec::len).sum());
    let list = aiw_home::read_capped(&directory.conflicts().join(verbs::CONFLICT_LIST), verbs::MAX_CONFLICT_LIST_BYTES);
    let listed = list.ok().flatten().unwrap_or_default();
    listed.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count().max(undecided)
}
