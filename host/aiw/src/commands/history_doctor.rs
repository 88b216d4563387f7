//! `aiw history doctor`

use std::collections::HashSet;

use aiw_history::{Forgot, FoundTranscripts, Import, Meaning, Queue, Store, is_off};
use aiw_home::{Home, rfc3339};
use aiw_setup::HookStatus;
use schemars::JsonSchema;
use serde::Serialize;

use super::history::amount;
use super::hooks::{hooks, scopes};
use super::intake::places;
use crate::failure::Failure;
use crate::output::Output;

/// `aiw history doctor`
#[derive(Serialize, JsonSchema)]
pub struct HistoryDoctor {
    /// Whether Claude Code tells aiw of its sessions, in any of its settings
    pub hooks_installed: bool,
    /// Each settings file of Claude Code's
    pub hooks: Vec<HookStatus>,
    /// Whether `AIW_HISTORY` switches the history off here
    pub off: bool,
    /// The requests of hooks that were not carried out yet
    pub queued: usize,
    /// How far the messages have vectors of the model in use
    pub meaning: Option<Meaning>,
    /// The messages that are there although their projects are excluded now
    pub excluded: usize,
    /// The same, with how many sessions they are of
    #[serde(skip)]
    pub excluded_amount: Forgot,
    /// The transcripts that there are
    pub transcripts: usize,
    /// The number of transcripts of which nothing was read yet
    pub unread: usize,
    /// Where transcripts, or lines of them, were left out, the latest first
    pub skipped: Vec<HistorySkipped>,
    /// Why secrets of the vault can't be read: their values are not taken out of sessions
    pub unreadable_secrets: Vec<String>,
}

/// A transcript in `aiw history doctor`
#[derive(Serialize, JsonSchema)]
pub struct HistorySkipped {
    /// The transcript
    pub path: String,
    /// The problem
    pub reason: String,
    /// How often that was seen
    pub count: u64,
    /// When it was last seen
    pub time: String,
}

/// Looks at what the history is made of. Nothing is changed.
pub fn look(home: &Home) -> Result<HistoryDoctor, Failure> {
    let hooks = hooks()?;
    let statuses: Vec<_> = scopes().iter().map(|scope| hooks.status(scope)).collect();
    let store = Store::open_existing(&home.history())?;
    let known: HashSet<_> = match &store {
        Some(store) => store.files()?.into_iter().collect(),
        None => HashSet::new(),
    };
    let problems = match &store {
        Some(store) => store.problems()?,
        None => Vec::new(),
    };
    let excluded: Forgot = store.as_ref().and_then(|store| aiw_history::excluded(home, store).ok()).unwrap_or_default();
    let meaning = match &store {
        Some(store) => aiw_history::meaning(home, store)?,
        None => None,
    };
    let found: Vec<FoundTranscripts> = Import::everything(&places()?).into_iter().chain(Import::given(home)).collect();
    let transcripts: usize = found.iter().map(FoundTranscripts::len).sum();
    let unread = found.iter().flat_map(FoundTranscripts::paths).filter(|path| !known.contains(path)).count();
    let skipped = problems.into_iter().map(|problem| HistorySkipped {
        path: problem.path.to_string_lossy().into_owned(),
        reason: problem.reason,
        count: problem.count,
        time: rfc3339(u64::try_from(problem.time).unwrap_or_default()),
    });
    Ok(HistoryDoctor {
        hooks_installed: statuses.iter().any(|status| status.installed && !status.disabled),
        hooks: statuses,
        off: is_off(),
        queued: Queue::of(home).len(),
        meaning,
        excluded: excluded.messages,
        excluded_amount: excluded,
        transcripts,
        unread,
        skipped: skipped.collect(),
        unreadable_secrets: home.vault().values().1.iter().map(ToString::to_string).collect(),
    })
}

pub fn doctor(home: &Home, output: &Output) -> Result<(), Failure> {
    let answer = look(home)?;
    output.line(match answer.hooks_installed {
        true => "hooks: installed",
        false if answer.hooks.iter().any(|status| status.installed) => "hooks: switched off by `disableAllHooks`",
        false => "hooks: not installed; `aiw history hooks install` puts them into Claude Code's settings",
    });
    if answer.off {
        output.line("`AIW_HISTORY` is off here: nothing is read");
    }
    output.line(format!("transcripts: {}, of which {} were not read yet", answer.transcripts, answer.unread));
    output.line(format!("waiting requests: {}", answer.queued));
    if let Some(meaning) = &answer.meaning {
        output.line(format!("meaning: {meaning}"));
    }
    if answer.excluded > 0 {
        let what = amount(&answer.excluded_amount);
        output.line(format!("excluded, but there: {what}; `aiw history import` takes them out"));
    }
    for reason in &answer.unreadable_secrets {
        output.line(format!("{reason}: what can't be read is not taken out of sessions"));
    }
    for skipped in &answer.skipped {
        output.line(format!("{}: {}", skipped.path, skipped.reason));
    }
    output.answer(answer);
    Ok(())
}
