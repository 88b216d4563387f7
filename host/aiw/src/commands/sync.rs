//! `aiw sync …`

use aiw_app::sync;
use aiw_core::{Reporter, frame_line, pluralize};
use aiw_home::Home;
use aiw_sync::{
    PendingInstall, PullRequest, PushRequest, StoreSetup, StoreSnapshot, SyncChange, SyncPull, SyncPush,
    SyncRuleSummary, Synchronizer,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::ask::TerminalPrompter;
use crate::cli::sync::{ApplyArgs, ListSnapshotsArgs, PullArgs, PushArgs, SyncCommand};
use crate::components::session;
use crate::failure::CliError;
use crate::output::Output;

/// The answer of `aiw sync list --what`
#[derive(Serialize, JsonSchema)]
pub struct SyncTable {
    /// The rows of the table
    pub rows: Vec<SyncRuleSummary>,
}

/// The answer of `aiw sync include` and `exclude`
#[derive(Serialize, JsonSchema)]
pub struct SyncScope {
    /// Rows that travel on your request
    pub include: Vec<String>,
    /// Paths and rows that stay
    pub exclude: Vec<String>,
}

/// The answer of `aiw sync leave`
#[derive(Serialize, JsonSchema)]
pub struct SyncLeaveResult {
    /// The remote, which keeps its snapshots
    pub remote: String,
}

pub async fn run(command: SyncCommand, home: &Home, output: &Output) -> Result<(), CliError> {
    home.recover()?;
    let client = session(home, output)?;
    let own = sync::open(client.app(), client.home())?;
    let person = TerminalPrompter::new(output, false);
    match command {
        SyncCommand::Init(args) => begun(&own.init(&args.remote, args.name, &person, output).await?, output),
        SyncCommand::Join(args) => begun(&own.join(&args.remote, args.name, None, &person, output).await?, output),
        SyncCommand::Login(args) => {
            own.login(args.remote.as_deref(), &person, output).await?;
            output.line("logged in");
        }
        SyncCommand::Logout(args) => {
            own.logout(args.remote.as_deref(), output).await?;
            output.line("logged out");
        }
        SyncCommand::Push(args) => push(&own, &args, &person, output).await?,
        SyncCommand::Pull(args) => pull(&own, args, &person, output).await?,
        SyncCommand::Status => status(&own, output)?,
        SyncCommand::List(args) => list(&own, &args, output).await?,
        SyncCommand::Diff(args) => {
            let answer = own.diff(args.snapshot.as_deref(), output).await?;
            if answer.changes.is_empty() {
                output.line(format!("nothing differs from `{}`", answer.snapshot));
            } else {
                output.line(format!("To make the files here those of `{}`:", answer.snapshot));
            }
            changes(&answer.changes, output);
            output.set_json(answer);
        }
        SyncCommand::Restore(args) => {
            let answer = own.restore(&args.snapshot, &request(args.apply, None), &person, output).await?;
            pulled(answer, output);
        }
        SyncCommand::Undo => {
            let answer = own.undo()?;
            output.line(format!("Undid the {} of {}: {}", answer.operation, answer.time, files(answer.files.len())));
            answer.skipped.iter().for_each(|path| output.note(format!("{path} was changed since, and stays as it is")));
            output.set_json(answer);
        }
        SyncCommand::Log => {
            let answer = own.log()?;
            let row = |entry: &aiw_sync::SyncLogEntry| {
                vec![entry.time.clone(), entry.operation.clone(), entry.files.join(", ")]
            };
            output.table(&["TIME", "WHAT", "FILES"], &answer.entries.iter().map(row).collect::<Vec<_>>());
            if answer.entries.is_empty() {
                output.line("no pull or restore has changed a file here");
            }
            output.set_json(answer);
        }
        SyncCommand::Include(args) => scope(own.include(&args.what)?, output),
        SyncCommand::Exclude(args) => scope(own.exclude(&args.what)?, output),
        SyncCommand::Phrase => own.show_phrase(&person).await?,
        SyncCommand::Rekey => {
            let answer = own.rekey(&person, output).await?;
            output.line(format!(
                "A new store begins with `{}`; its fingerprint is `{}`",
                answer.snapshot, answer.fingerprint
            ));
            output.note("on each other machine: `aiw sync leave`, then `aiw sync join` with the new words");
            output.set_json(answer);
        }
        SyncCommand::Leave => {
            let remote = own.leave()?;
            output.line(format!("This machine has left the store at `{remote}`; nothing there or here was deleted"));
            output.set_json(SyncLeaveResult { remote });
        }
    }
    Ok(())
}

fn files(count: usize) -> String {
    pluralize(count as u64, "file")
}

fn begun(answer: &StoreSetup, output: &Output) {
    output.line(format!("`{}` synchronizes with `{}` now", answer.machine, answer.remote));
    output.line(format!("The fingerprint, the same on each of your machines: {}", answer.fingerprint));
    let next = if answer.snapshots == 0 { "aiw sync push" } else { "aiw sync pull" };
    output.line(format!("Next: `{next}`"));
    output.set_json(answer.clone());
}

async fn push(
    own: &Synchronizer,
    args: &PushArgs,
    person: &TerminalPrompter<'_>,
    output: &Output,
) -> Result<(), CliError> {
    let request = PushRequest { allow_deletions: args.allow_deletions, allow_rollback: args.allow_rollback };
    let answer: SyncPush = own.push(&request, person, output).await?;
    answer.skipped.iter().for_each(|left| output.note(format!("{} {}; it is left out", left.path, left.reason)));
    match &answer.snapshot {
        Some(name) => output.line(format!(
            "Pushed `{name}`: {}, {} kB sealed, {} changed",
            files(answer.files),
            answer.bytes.div_ceil(1000),
            answer.changed.len()
        )),
        None => output.line("Nothing is new: the store has all of it"),
    }
    output.set_json(answer);
    Ok(())
}

fn request(args: ApplyArgs, all: Option<bool>) -> PullRequest {
    let ApplyArgs { partial, allow_executable, allow_rollback, dry_run } = args;
    PullRequest { dry_run, partial, allow_executable, allow_rollback, prefer_mine: all }
}

async fn pull(
    own: &Synchronizer,
    args: PullArgs,
    person: &TerminalPrompter<'_>,
    output: &Output,
) -> Result<(), CliError> {
    let all = (args.mine || args.theirs).then_some(args.mine);
    let answer = own.pull(&request(args.apply, all), person, output).await;
    pulled(
        answer.map_err(|e| CliError::from(aiw_app::AppError::from(e)).with_declined_message("nothing was changed"))?,
        output,
    );
    Ok(())
}

fn pulled(answer: SyncPull, output: &Output) {
    if !answer.applied {
        changes(&answer.changes, output);
    }
    for conflict in answer.conflicts.iter().filter(|conflict| conflict.answer == "skip") {
        let key = conflict.key.as_ref().map(|key| format!(" {key}")).unwrap_or_default();
        output.note(format!(
            "{}{key} conflicts with that of {}: mine stays, and the next pull asks",
            conflict.path, conflict.machine
        ));
    }
    answer.unreadable.iter().for_each(|file| output.note(format!("{} is not merged: {}", file.path, file.reason)));
    answer.skipped.iter().for_each(|path| output.note(format!("{path} was changed meanwhile, and stays as it is")));
    let count = answer.changes.len();
    match (answer.applied, count) {
        (true, _) => output.line(format!("Changed {}; `aiw sync undo` gives them back as they were", files(count))),
        (false, 0) => output.line("Nothing comes in that is not here"),
        (false, _) => {
            output.line(format!("{} would change; nothing was written", files(count)));
            if let Some(digest) = &answer.executable {
                output.line(format!("Some of it starts programs: `--allow-executable {digest}` agrees to that"));
            }
        }
    }
    wishes(&answer.pending_installs, output);
    output.set_json(answer);
}

fn wishes(wishes: &[PendingInstall], output: &Output) {
    if !wishes.is_empty() {
        output.line("Installed on other machines of yours, and not here:");
    }
    for wish in wishes {
        output.line(format!("  {} {}: `{}`", wish.kind, wish.name, wish.next));
    }
}

fn changes(changes: &[SyncChange], output: &Output) {
    for change in changes {
        output.line(format!("{} {} ({})", change.path, change.change, change.effect));
        change.lines.iter().for_each(|line| output.line(frame_line(line)));
    }
}

fn status(own: &Synchronizer, output: &Output) -> Result<(), CliError> {
    let answer = own.status()?;
    output.line(format!("`{}` synchronizes with `{}`", answer.machine, answer.remote));
    if let Some(fingerprint) = &answer.fingerprint {
        output.line(format!("Fingerprint: {fingerprint}"));
    }
    match answer.unpushed.len() {
        0 => output.line("Everything that travels is pushed"),
        count => output.line(format!("{} not pushed: `aiw sync push`", pluralize(count as u64, "change"))),
    }
    answer.unpushed.iter().for_each(|path| output.line(format!("  {path}")));
    answer.skipped.iter().for_each(|left| output.note(format!("{} {}; it is left out", left.path, left.reason)));
    wishes(&answer.pending_installs, output);
    output.set_json(answer);
    Ok(())
}

async fn list(own: &Synchronizer, args: &ListSnapshotsArgs, output: &Output) -> Result<(), CliError> {
    if args.what {
        let rows = own.list_sync_rules();
        let row = |row: &SyncRuleSummary| {
            let is = if row.included { "yes" } else { "no" };
            vec![row.path.clone(), is.to_owned(), row.policy.clone(), row.effect.clone(), row.reason.clone()]
        };
        let shown: Vec<Vec<String>> = rows.iter().map(row).collect();
        output.table(&["WHAT", "TRAVELS", "RULE", "EFFECT", "WHY"], &shown);
        output.set_json(SyncTable { rows });
        return Ok(());
    }
    let answer = own.list(output).await?;
    let row = |one: &StoreSnapshot| {
        let state = match (one.merged, one.head) {
            (true, _) => "merged",
            (false, true) => "new",
            (false, false) => "older",
        };
        vec![one.name.clone(), one.machine.clone(), one.time.clone(), one.files.to_string(), state.to_owned()]
    };
    let rows: Vec<Vec<String>> = answer.snapshots.iter().map(row).collect();
    output.table(&["SNAPSHOT", "MACHINE", "TIME", "FILES", "STATE"], &rows);
    if rows.is_empty() {
        output.line("the store holds no snapshot yet: `aiw sync push`");
    }
    output.set_json(answer);
    Ok(())
}

fn scope((include, exclude): (Vec<String>, Vec<String>), output: &Output) {
    output.line(format!("included on request: {}", listed(&include)));
    output.line(format!("excluded: {}", listed(&exclude)));
    output.done("the next push and pull follow it".into());
    output.set_json(SyncScope { include, exclude });
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "nothing".into() } else { names.join(", ") }
}
