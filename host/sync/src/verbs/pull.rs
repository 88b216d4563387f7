//! A pull: what other machines pushed is shown, agreed to and applied. A restore does the same with one snapshot.

use std::collections::{BTreeMap, BTreeSet};

use aiw_core::{Choice, Effect, Plan, PromptError, Prompter, QuotedText, Reporter};
use aiw_home::{Mode, make_private_dir, replace};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    OpenStore, SyncChange, SyncConflict, SyncPull, SyncUi, SyncUndo, Synchronizer, content_digest, coverage, new_roots,
};
use crate::apply::IncomingChange;
use crate::apply::{apply, recover, undo};
use crate::content::KeyChange;
use crate::error::SyncError;
use crate::gather::{GatheredFiles, SkippedFile};
use crate::generated::{EncryptedSecrets, is_encrypted, missing_installs};
use crate::graph::merge_clocks;
use crate::incoming::{Conflict, ConflictLocation, ConflictResolution, Merger, PullWork};
use crate::keys::StoreKeys;
use crate::object::ObjectName;
use crate::place::{SyncPath, SyncRoot};
use crate::policy::SyncImpact;
use crate::snapshot::{FileContent, Snapshot};
use crate::state::{MergedState, SyncState};
use crate::store::{SyncStore, short_object_name};

/// How many lines of a change are shown where all of it is not.
const MAX_DIFF_LINES: usize = 40;

/// How a pull or a restore goes.
#[derive(Debug, Clone, Default)]
pub struct PullRequest {
    /// Show what it would do, and do nothing.
    pub dry_run: bool,
    /// Write what doesn't conflict, although nobody can be asked about the rest.
    pub partial: bool,
    /// The digest of what starts programs, to agree to exactly that.
    pub allow_executable: Option<String>,
    /// Go on although the remote shows an older state than before.
    pub allow_rollback: bool,
    /// Take mine, or theirs, in every conflict.
    pub prefer_mine: Option<bool>,
}

impl Synchronizer {
    /// Merges what other machines pushed into the files here.
    ///
    /// # Errors
    ///
    /// The remote can't be reached or shows an older state; files conflict and there is nobody to ask; nobody agrees.
    pub async fn pull(
        &self,
        request: &PullRequest,
        ask: &dyn Prompter,
        sink: &dyn Reporter,
    ) -> Result<SyncPull, SyncError> {
        self.telling(sink, self.pull_told(request, ask, sink)).await
    }

    async fn pull_told(
        &self,
        request: &PullRequest,
        ask: &dyn Prompter,
        sink: &dyn Reporter,
    ) -> Result<SyncPull, SyncError> {
        let OpenStore { mut state, keys, remote: far, _turn } = self.open().await?;
        sink.step(format!("looking at {}", state.remote));
        let mut store = self.look(&*far, &keys, &mut state, request.allow_rollback).await?;
        store.report(sink);
        sink.step("reading what travels from this machine".into());
        self.make(&mut state, &keys, &store)?;
        self.directory.save(&state)?;
        let mine = self.gather(new_roots(&state)).await?;
        if let Some(moved) = store.heads().into_iter().find(|head| head.manifest.moved.is_some()) {
            return Err(SyncError::StoreRekeyed { machine: moved.manifest.machine_name.clone() });
        }
        let before = state.files.clone();
        let merger = Merger { scope: &self.scope, roots: &self.roots, gathered: &mine, state: &before };
        merger.load(&mut store).await?;
        let mut answers = BTreeMap::new();
        let mut incoming = merger.merge(&store, &answers);
        if !request.dry_run && !incoming.conflicts.is_empty() {
            self.answer(&incoming, request, &SyncUi { prompter: ask, reporter: sink }, &mut answers).await?;
            incoming = merger.merge(&store, &answers);
        }
        let after = self.after(&store, &state, &mine, &incoming);
        let is_decided = incoming.undecided_keys.is_empty();
        let mut answer = self.settle("pull", &mut state, &keys, incoming, after, request, ask, sink).await?;
        answer.pending_installs = missing_installs(&self.home, &mine.unsynced_servers);
        if is_decided && !request.dry_run {
            aiw_home::remove_tree(&self.directory.conflicts())?;
        }
        Ok(answer)
    }

    /// Makes the files here what they are in a snapshot.
    ///
    /// # Errors
    ///
    /// As for a pull; there is no such snapshot.
    pub async fn restore(
        &self,
        snapshot: &str,
        request: &PullRequest,
        ask: &dyn Prompter,
        sink: &dyn Reporter,
    ) -> Result<SyncPull, SyncError> {
        self.telling(sink, self.restore_told(snapshot, request, ask, sink)).await
    }

    async fn restore_told(
        &self,
        snapshot: &str,
        request: &PullRequest,
        ask: &dyn Prompter,
        sink: &dyn Reporter,
    ) -> Result<SyncPull, SyncError> {
        let OpenStore { mut state, keys, remote: far, _turn } = self.open().await?;
        let mut store = self.look(&*far, &keys, &mut state, request.allow_rollback).await?;
        self.make(&mut state, &keys, &store)?;
        self.directory.save(&state)?;
        let mine = self.gather(BTreeSet::new()).await?;
        let snapshot = self.find(&mut store, Some(snapshot)).await?;
        let incoming = self.plan_restore(&snapshot, &mine);
        let after = state.files.clone();
        self.settle("restore", &mut state, &keys, incoming, after, request, ask, sink).await
    }

    /// Undoes the newest pull or restore.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn undo(&self) -> Result<SyncUndo, SyncError> {
        let _turn = self.directory.lock()?;
        let mut state = self.directory.load()?.ok_or(SyncError::NotSetUp)?;
        // One that had begun and did not end is the one that is meant, not the change before it.
        let keys = self.keys(&state).ok();
        let secrets = self.sealed(keys.as_ref());
        let finished = recover(&self.home, &self.directory, &mut state, secrets.as_ref())?;
        let (record, applied) = match finished {
            Some(finished) => finished,
            None => undo(&self.home, &self.directory, &mut state, secrets.as_ref())?,
        };
        Ok(SyncUndo {
            operation: record.what,
            time: record.time,
            files: names(&applied.changed),
            skipped: names(&applied.skipped),
        })
    }

    /// Returns the state once everything is merged: what the remote has then.
    fn after(
        &self,
        store: &SyncStore<'_>,
        state: &SyncState,
        mine: &GatheredFiles,
        incoming: &PullWork,
    ) -> MergedState {
        let mut after = state.files.clone();
        // What is not decided waits by itself; all the rest is merged.
        after.held = incoming.undecided_keys.clone();
        for head in store.heads() {
            after.merged = merge_clocks(&after.merged, &head.clock());
            after.pushed.extend(self.meant(head));
            after
                .pushed
                .retain(|path, _| !crate::graph::is_path_tracked(head, path) || head.manifest.files.contains_key(path));
        }
        // A root that nothing came for is still not there.
        let is_there = |root: &SyncRoot| {
            self.roots.directory(*root).is_dir() || incoming.files.iter().any(|file| file.path.root == *root)
        };
        let covers = self.scope.patterns(&SyncRoot::ALL.into_iter().filter(is_there).collect());
        (after.covers, after.silent) = coverage(state, mine, covers, self.scope.excluded());
        after
    }

    /// Asks about each conflict.
    async fn answer(
        &self,
        incoming: &PullWork,
        request: &PullRequest,
        SyncUi { prompter: ask, reporter: sink }: &SyncUi<'_>,
        answers: &mut BTreeMap<ConflictLocation, ConflictResolution>,
    ) -> Result<(), SyncError> {
        for (at, found) in incoming.conflicts.iter().enumerate() {
            let answer = match request.prefer_mine {
                Some(true) => ConflictResolution::Mine,
                Some(false) => ConflictResolution::Theirs,
                None if !ask.is_interactive() => {
                    if request.partial {
                        continue;
                    }
                    let directory = self.keep_conflicts(incoming)?;
                    return Err(SyncError::Conflicts { conflicts: incoming.conflicts.len(), directory });
                }
                None => {
                    let shown = |version: &Option<QuotedText>| match version {
                        None => "is not there".to_owned(),
                        Some(_) if is_encrypted(&found.location.0) => "(sealed)".to_owned(),
                        Some(version) => version.framed_untruncated(),
                    };
                    let conflict = conflict_of(found);
                    let place = place_of(&conflict);
                    let mut options = vec![
                        "skip: mine stays, and the next pull asks again".into(),
                        "mine stays".into(),
                        format!("take that of {}", found.source_label),
                    ];
                    // A whole file is edited in an editor, and a secret is set.
                    if conflict.key.is_some() && !is_encrypted(&found.location.0) {
                        options.push("type another value".into());
                    }
                    let snapshot = short_name(&found.location.2);
                    let question = format!(
                        "conflict {} of {}: {place}\n  here: {}\n  on {}, in snapshot {snapshot}: {}",
                        at + 1,
                        incoming.conflicts.len(),
                        shown(&found.conflict.mine),
                        found.source_label,
                        shown(&found.conflict.theirs),
                    );
                    question.lines().for_each(|line| sink.note(line.to_owned()));
                    let mut choice = Choice {
                        name: "conflict",
                        question,
                        short_question: "Which one? ".into(),
                        options,
                        optional: false,
                        flag: "--mine or --theirs".into(),
                        hidden_digests: Vec::new(),
                    };
                    // Sealed values are not shown, and long ones in part.
                    choice.add_hidden_bytes(format!("{:?} {:?}", found.location, found.conflict).as_bytes());
                    match ask.select(&choice).await? {
                        1 => ConflictResolution::Mine,
                        2 => ConflictResolution::Theirs,
                        3 => match ask.text(&words_for(&place, found)).await? {
                            Some(value) => ConflictResolution::Edited(value.into_bytes()),
                            None => ConflictResolution::Skip,
                        },
                        _ => ConflictResolution::Skip,
                    }
                }
            };
            answers.insert(found.location.clone(), answer);
        }
        Ok(())
    }

    /// Keeps both versions of what conflicts, for whoever looks at it.
    fn keep_conflicts(&self, incoming: &PullWork) -> Result<std::path::PathBuf, SyncError> {
        let directory = self.directory.conflicts();
        aiw_home::remove_tree(&directory)?;
        make_private_dir(self.directory.path())?;
        make_private_dir(&directory)?;
        let mut list = String::new();
        for (at, found) in incoming.conflicts.iter().enumerate() {
            let conflict = conflict_of(found);
            let name = format!("{at}-{}", found.location.0.relative_path().rsplit('/').next().unwrap_or("file"));
            let theirs = match &found.theirs {
                Some(bytes) => {
                    replace(&directory.join(&name), bytes, Mode::Private)?;
                    format!("that of {} is in {name}", found.source_label)
                }
                None => format!("{} has removed it", found.source_label),
            };
            list.push_str(&format!("{}: {theirs}\n", place_of(&conflict)));
        }
        replace(&directory.join(CONFLICT_LIST), list.as_bytes(), Mode::Private)?;
        Ok(directory)
    }

    /// Shows what would be done, asks, and does it.
    #[expect(clippy::too_many_arguments, reason = "what is done, to what, and for whom")]
    async fn settle(
        &self,
        what: &str,
        state: &mut SyncState,
        keys: &StoreKeys,
        incoming: PullWork,
        after: MergedState,
        request: &PullRequest,
        ask: &dyn Prompter,
        sink: &dyn Reporter,
    ) -> Result<SyncPull, SyncError> {
        let digest = executable_digest(&incoming.files);
        let mut answer = answer_of(&incoming, digest.clone());
        answer.running = self.running(&incoming.files);
        if request.dry_run {
            return Ok(answer);
        }
        if !incoming.files.is_empty() {
            self.agree(what, &incoming, &answer, digest.as_deref(), request, ask, sink).await?;
        }
        for cli in &answer.running {
            sink.note(format!("{cli} is running: it reads some of these files only when it starts"));
        }
        let secrets = EncryptedSecrets { home: &self.home, keys };
        let applied = apply(&secrets, &self.directory, &self.roots, state, what, &incoming.files, after)?;
        answer.applied = !applied.changed.is_empty();
        answer.skipped = names(&applied.skipped);
        Ok(answer)
    }

    /// Gets the person's yes to what changes. Nobody is asked about what starts nothing and takes nothing away.
    #[expect(clippy::too_many_arguments, reason = "what is agreed to, how, and by whom")]
    async fn agree(
        &self,
        what: &str,
        incoming: &PullWork,
        answer: &SyncPull,
        digest: Option<&str>,
        request: &PullRequest,
        ask: &dyn Prompter,
        sink: &dyn Reporter,
    ) -> Result<(), SyncError> {
        let is_given = digest.is_none_or(|digest| request.allow_executable.as_deref() == Some(digest));
        if !ask.is_interactive() {
            for change in &answer.changes {
                sink.note(format!("{} {}", change.path, change.change));
            }
            return match digest {
                Some(digest) if !is_given => Err(SyncError::ExecutableChanges { digest: digest.into() }),
                _ => Ok(()),
            };
        }
        let mut plan = Plan::new(match what {
            "restore" => "Make the files here what they were in that snapshot?",
            _ => "Apply this to the files here?",
        });
        for change in &answer.changes {
            plan.details.push(format!("{} {} ({})", change.path, change.change, change.effect));
        }
        let deleted = incoming.deleted_count();
        if deleted > 0 {
            plan.details.push(format!("{} removed here", aiw_core::pluralize(deleted as u64, "file")));
        }
        plan.text = Some(whole_text(answer));
        // Of what starts nothing, the beginning is shown.
        incoming.files.iter().for_each(|file| plan.add_hidden_bytes(whole_of(file).as_bytes()));
        for file in &incoming.files {
            let place = self.roots.file(&file.path).display().to_string();
            plan.effects.push(match file.effect {
                SyncImpact::Starts => Effect::Runs(format!("what {} says", file.path)),
                SyncImpact::Instructs | SyncImpact::Nothing => Effect::Writes(place),
            });
        }
        ask.confirm(&plan, &[]).await.map(drop).map_err(|e| match e {
            PromptError::NotInteractive { .. } | PromptError::Unsupported if digest.is_some() => {
                SyncError::ExecutableChanges { digest: digest.unwrap_or_default().into() }
            }
            e => e.into(),
        })
    }

    /// Returns the AI CLIs that run now and whose files change.
    fn running(&self, files: &[IncomingChange]) -> Vec<String> {
        let directory = self.roots.directory(SyncRoot::Claude).join(aiw_home::CLAUDE_SESSIONS_DIR);
        let is_running = std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some());
        let changes = files.iter().any(|file| file.path.root == SyncRoot::Claude);
        if is_running && changes { vec!["Claude Code".into()] } else { Vec::new() }
    }

    /// Returns what makes the files here those of a snapshot.
    pub(super) fn plan_restore(&self, snapshot: &Snapshot, mine: &GatheredFiles) -> PullWork {
        let merger = Merger { scope: &self.scope, roots: &self.roots, gathered: mine, state: &MergedState::default() };
        merger.plan_restore(snapshot)
    }
}

/// Returns the digest of everything that starts something: what it was, and what it becomes.
fn executable_digest(files: &[IncomingChange]) -> Option<String> {
    let mut digest = Sha256::new();
    let starts: Vec<&IncomingChange> = files.iter().filter(|file| file.effect == SyncImpact::Starts).collect();
    for file in &starts {
        let whole = whole_of(file);
        digest.update((whole.len() as u64).to_le_bytes());
        digest.update(whole);
    }
    (!starts.is_empty()).then(|| aiw_core::hex(&digest.finalize()[..16]))
}

/// Returns all of a change: its file, and the digests of what it was and what it becomes.
fn whole_of(file: &IncomingChange) -> String {
    let content = |file: &Option<FileContent>| file.as_ref().map(|file| content_digest(&file.bytes, file.executable));
    format!("{} {:?} {:?}", file.path, content(&file.old), content(&file.new))
}

/// The list of conflicts among their versions, a line each, and the most that is read of it, in bytes.
pub(crate) const CONFLICT_LIST: &str = "list.txt";
pub(crate) const MAX_CONFLICT_LIST_BYTES: u64 = 1 << 20;

/// Asks for another value of a conflict. A view that is answered later knows the question by its words, so the value is
/// written there and nowhere else.
fn words_for(place: &str, found: &Conflict) -> String {
    format!(
        "The value of {place}, in the place of that of {} in snapshot {}, as it is written in the file: ",
        found.source_label, found.location.2
    )
}

fn short_name(snapshot: &str) -> String {
    ObjectName::parse(snapshot).map_or_else(|| snapshot.to_owned(), |name| short_object_name(&name))
}

fn answer_of(incoming: &PullWork, executable: Option<String>) -> SyncPull {
    SyncPull {
        applied: false,
        changes: incoming.files.iter().map(describe_change).collect(),
        conflicts: incoming.conflicts.iter().map(conflict_of).collect(),
        unreadable: incoming
            .unreadable
            .iter()
            .map(|(path, why)| SkippedFile { path: path.to_string(), reason: why.clone() })
            .collect(),
        skipped: Vec::new(),
        ignored: incoming.ignored,
        executable,
        running: Vec::new(),
        pending_installs: Vec::new(),
    }
}

pub(super) fn describe_change(file: &IncomingChange) -> SyncChange {
    let change = match (&file.old, &file.new) {
        (None, _) => "added",
        (_, None) => "removed",
        _ => "changed",
    };
    let mut lines: Vec<String> = match is_encrypted(&file.path) {
        true => file.changes.iter().flat_map(|change| lines_of(&unreadable(change))).collect(),
        false => file.changes.iter().flat_map(lines_of).collect(),
    };
    let is_program = |file: &Option<FileContent>| file.as_ref().is_some_and(|file| file.executable);
    match (is_program(&file.old), is_program(&file.new)) {
        (false, true) => lines.push("+ it may be run as a program".into()),
        (true, false) if file.new.is_some() => lines.push("- it may be run as a program".into()),
        _ => {}
    }
    SyncChange { path: file.path.to_string(), change, effect: file.effect.as_str(), lines }
}

/// Returns a change as lines: those of a text, or the key with its old and its new value.
fn lines_of(change: &KeyChange) -> Vec<String> {
    if let Some(diff) = &change.diff {
        return diff.lines().map(str::to_owned).collect();
    }
    let key = change.key.join(".");
    let shown = |sign: char, value: &Value| {
        let text = serde_json::to_string_pretty(value).unwrap_or_default();
        let text = if key.is_empty() { text } else { format!("{key}: {text}") };
        text.lines().map(|line| format!("{sign}{line}")).collect::<Vec<_>>()
    };
    let old = change.old.iter().flat_map(|value| shown('-', value));
    old.chain(change.new.iter().flat_map(|value| shown('+', value))).collect()
}

/// Returns a change of sealed values by their names alone.
fn unreadable(change: &KeyChange) -> KeyChange {
    fn without(value: &Value) -> Value {
        match value {
            Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), without(value))).collect(),
            _ => Value::from("(sealed)"),
        }
    }
    let of = |value: &Option<Value>| value.as_ref().map(without);
    KeyChange { key: change.key.clone(), old: of(&change.old), new: of(&change.new), diff: None }
}

fn conflict_of(found: &Conflict) -> SyncConflict {
    let (path, key, _) = &found.location;
    let text_of = |shown: &QuotedText| if is_encrypted(path) { "(sealed)".into() } else { text_of(shown) };
    SyncConflict {
        path: path.to_string(),
        key: (!key.is_empty()).then(|| key.join(".")),
        mine: found.conflict.mine.as_ref().map(text_of),
        theirs: found.conflict.theirs.as_ref().map(text_of),
        machine: found.source_label.clone(),
        answer: match &found.resolution {
            ConflictResolution::Skip => "skip",
            ConflictResolution::Mine => "mine",
            ConflictResolution::Theirs => "theirs",
            ConflictResolution::Edited(_) => "edited",
        },
    }
}

fn text_of(shown: &QuotedText) -> String {
    shown.framed()
}

fn place_of(conflict: &SyncConflict) -> String {
    conflict.key.as_ref().map_or_else(|| conflict.path.clone(), |key| format!("{} {key}", conflict.path))
}

/// Returns everything that changes as text. What starts something is there whole.
fn whole_text(answer: &SyncPull) -> String {
    let mut text = String::new();
    for change in &answer.changes {
        text.push_str(&format!("{} ({}, {})\n", change.path, change.change, change.effect));
        let most = if change.effect == SyncImpact::Starts.as_str() { usize::MAX } else { MAX_DIFF_LINES };
        for line in change.lines.iter().take(most) {
            text.push_str(&format!("  {line}\n"));
        }
        if change.lines.len() > most {
            let whole = aiw_core::hex(&Sha256::digest(change.lines.join("\n")));
            text.push_str(&format!(
                "  and {} more lines; all of them have the sha256 {whole}\n",
                change.lines.len() - most
            ));
        }
    }
    text
}

fn names(paths: &[SyncPath]) -> Vec<String> {
    paths.iter().map(SyncPath::to_string).collect()
}
