//! Configuration that travels: what is not pushed, what other machines have, pushing, pulling, conflicts one by one.

use std::sync::Arc;

use aiw_app::feed::Topic;
use aiw_app::sync;
use aiw_core::{frame_line, pluralize};
use aiw_sync::{PullRequest, PushRequest, StoreStatus, SyncChange, SyncPull, Synchronizer, has_store};

use crate::context::AppContext;
use crate::page::{Action, Column, Detail, ListContent, Outcome, Page, PageDescriptor, Row};
use crate::paint::{Fact, TextStyle};
use crate::progress::error_line;
use crate::prompter::TuiPrompter;

/// The commands for those who have no store.
const INIT_HINT: &str = "`aiw sync init REMOTE` begins a store";
const JOIN_HINT: &str = "`aiw sync join REMOTE` joins one";

/// The page of configuration that travels.
pub(crate) struct SyncPage(pub(crate) Arc<AppContext>);

fn own(ground: &AppContext) -> Result<Synchronizer, String> {
    ground.home().recover().map_err(|e| error_line(&e))?;
    sync::open(ground.client.app(), ground.home()).map_err(|e| error_line(&e))
}

/// The screen in words.
pub(super) static PAGE: PageDescriptor = PageDescriptor {
    title: "Sync",
    slug: "sync",
    cli_command: "aiw sync status",
    topics: &[Topic::Documents],
    columns: &[Column::new("WHAT"), Column::state("STATE"), Column::new("WHY")],
    empty_message: "everything that travels is pushed, and no other machine has pushed anything",
    actions: &[
        Action::global('p', "push", "push what travels from this machine"),
        Action::global('u', "pull", "merge what other machines pushed: shows it and asks, and asks for each conflict"),
        Action::global('v', "preview", "what a pull would change, without changing anything"),
        Action::global('f', "diff", "what differs from the newest snapshot that is merged here"),
        Action::global('o', "log", "what pulls and restores have changed here"),
        Action::global('Z', "undo", "undo the newest pull or restore: asks")
            .with_confirmation("Give the files back as they were before the newest pull or restore? (y/N)"),
    ],
    ..PageDescriptor::EMPTY
};

impl Page for SyncPage {
    fn descriptor(&self) -> &'static PageDescriptor {
        &PAGE
    }

    fn list(&self, _: &str) -> Result<ListContent, String> {
        let ground = &*self.0;
        if !has_store(ground.home()) {
            return Ok(unjoined());
        }
        let own = own(ground)?;
        let status = own.status().map_err(|e| error_line(&e))?;
        let to = format!("`{}` synchronizes with `{}`", status.machine, status.remote);
        let is_untouched = own.log().map_err(|e| error_line(&e))?.entries.is_empty();
        Ok(ListContent::new(rows(&status), [to]).disable_key_if('Z', is_untouched))
    }

    fn detail(&self, id: &str) -> Detail {
        let ground = &*self.0;
        if !has_store(ground.home()) {
            return Detail::new(vec![Fact::title(id), Fact::new("begin", INIT_HINT), Fact::new("join", JOIN_HINT)]);
        }
        let status = match own(ground).and_then(|own| own.status().map_err(|e| error_line(&e))) {
            Ok(status) => status,
            Err(why) => return Detail::from_error(why),
        };
        let mut facts = vec![Fact::title(id)];
        facts.extend(status.fingerprint.map(|words| Fact::new("store", words)));
        facts.push(Fact::new("waits", pluralize(status.unpushed.len(), "file")));
        Detail::new(facts)
    }

    fn run_action(&self, key: char, _: &str, person: &TuiPrompter) -> Result<Outcome, String> {
        let ground = &*self.0;
        let own = own(ground)?;
        Ok(match key {
            'p' => {
                let pushed = ground.block_on(own.push(&PushRequest::default(), person, person))?;
                let name = pushed.snapshot.map(|name| format!("pushed `{name}`: {}", pluralize(pushed.files, "file")));
                Outcome::Message(name.unwrap_or_else(|| "nothing is new: the store has all of it".to_owned()))
            }
            'u' => Outcome::Message(pulled(&ground.block_on(own.pull(&PullRequest::default(), person, person))?)),
            'v' => {
                let request = PullRequest { dry_run: true, ..PullRequest::default() };
                let answer = ground.block_on(own.pull(&request, person, person))?;
                let facts = vec![Fact::title("a pull would change"), Fact::new("", pulled(&answer))];
                Outcome::Details(Detail::new(facts).with_lines(changes(&answer.changes)))
            }
            'f' => {
                let answer = ground.block_on(own.diff(None, person))?;
                let title = format!("to make the files here those of `{}`", answer.snapshot);
                let count = Fact::new("", pluralize(answer.changes.len(), "file"));
                Outcome::Details(Detail::new(vec![Fact::title(title), count]).with_lines(changes(&answer.changes)))
            }
            'o' => {
                let log = own.log().map_err(|e| error_line(&e))?;
                let lines =
                    log.entries.iter().map(|one| format!("{}  {}  {}", one.time, one.operation, one.files.join(", ")));
                let none = log.entries.is_empty().then(|| "no pull or restore has changed a file here".to_owned());
                Outcome::Details(Detail::new(vec![Fact::title("what has changed here")]).with_lines(lines.chain(none)))
            }
            _ => {
                let undone = own.undo().map_err(|e| error_line(&e))?;
                Outcome::Message(format!("undid the {} of {}", undone.operation, undone.time))
            }
        })
    }
}

/// Returns what stands there in a home without a store, where no action has anything to act on.
fn unjoined() -> ListContent {
    let cells = ["this machine".to_owned(), "no store".to_owned(), format!("{INIT_HINT}; {JOIN_HINT}")];
    let listed = ListContent::new(vec![Row::new("this machine", TextStyle::Warn, "", cells)], []);
    PAGE.actions.iter().fold(listed, |listed, action| listed.disable_key_if(action.key, true))
}

/// Returns what is not pushed, what can't travel, the other machines, and what is installed on them alone.
pub(super) fn rows(status: &StoreStatus) -> Vec<Row> {
    let unpushed = status.unpushed.iter().map(|path| {
        Row::new(path.clone(), TextStyle::Warn, "", [path.clone(), "not pushed".to_owned(), String::new()])
    });
    let left_out = status.skipped.iter().map(|left| {
        Row::new(left.path.clone(), TextStyle::Bad, "", [left.path.clone(), "left out".to_owned(), left.reason.clone()])
    });
    let machines = status.machines.iter().map(|machine| {
        let (state, tone) = if machine.merged { ("merged", TextStyle::Good) } else { ("to pull", TextStyle::Warn) };
        let wrote = pluralize(machine.snapshots, "snapshot");
        Row::new(machine.id.clone(), tone, "", [machine.id.clone(), state.to_owned(), wrote])
    });
    let wishes = status.pending_installs.iter().map(|wish| {
        Row::new(
            wish.name.clone(),
            TextStyle::Plain,
            "",
            [wish.name.clone(), "elsewhere".to_owned(), wish.next.clone()],
        )
    });
    unpushed.chain(left_out).chain(machines).chain(wishes).collect()
}

fn changes(changes: &[SyncChange]) -> Vec<String> {
    let one = |change: &SyncChange| {
        let head = format!("{} {} ({})", change.path, change.change, change.effect);
        [head].into_iter().chain(change.lines.iter().map(|line| frame_line(line))).collect::<Vec<_>>()
    };
    changes.iter().flat_map(one).collect()
}

fn pulled(answer: &SyncPull) -> String {
    let skipped = answer.conflicts.iter().filter(|conflict| conflict.answer == "skip").count();
    let conflicts =
        if skipped > 0 { format!(", {} left for later", pluralize(skipped, "conflict")) } else { String::new() };
    match (answer.applied, answer.changes.len()) {
        (true, count) => format!("changed {}{conflicts}; Z gives them back as they were", pluralize(count, "file")),
        (false, 0) => format!("nothing comes in that is not here{conflicts}"),
        (false, count) => format!("{} would change{conflicts}", pluralize(count, "file")),
    }
}
