//! Status: what is installed and in which version, what runs and what was used today, and what is wrong.

use std::sync::Arc;

use aiw_app::cli_updates::{CliUpdate, cached_update};
use aiw_app::daemon::DaemonState;
use aiw_app::doctor::CheckedPart;
use aiw_app::feed::Topic;
use aiw_app::installation::Update;
use aiw_app::phrases::format_tokens;
use aiw_app::status::{self, TaskStatus};
use aiw_core::pluralize;
use aiw_launch::{CliDetails, SearchPath, detect};

use crate::context::AppContext;
use crate::page::{Column, Detail, ListContent, Page, PageDescriptor, Row};
use crate::paint::{Fact, TextStyle};
use crate::progress::error_line;

/// The page of the state of everything.
pub(crate) struct StatusPage(pub(crate) Arc<AppContext>);

/// A part of the state, with what is known of it.
pub(super) struct StatePart {
    pub(super) name: String,
    pub(super) state: &'static str,
    pub(super) tone: TextStyle,
    pub(super) summary: String,
    pub(super) facts: Vec<Fact>,
}

impl StatePart {
    fn new(name: impl Into<String>, state: &'static str, tone: TextStyle, about: String) -> Self {
        let name = name.into();
        let facts = vec![Fact::title(&name), Fact::new("", &about)];
        Self { name, state, tone, summary: about, facts }
    }

    pub(super) fn row(&self) -> Row {
        Row::new(self.name.clone(), self.tone, "", [self.name.clone(), self.state.to_owned(), self.summary.clone()])
    }
}

/// The screen in words.
pub(super) static PAGE: PageDescriptor = PageDescriptor {
    title: "Status",
    slug: "status",
    cli_command: "aiw doctor",
    topics: &[Topic::Tasks, Topic::Usage, Topic::Documents],
    columns: &[Column::new("PART"), Column::state("STATE"), Column::new("ABOUT")],
    empty_message: "nothing is known",
    actions: &[],
    ..PageDescriptor::EMPTY
};

impl Page for StatusPage {
    fn descriptor(&self) -> &'static PageDescriptor {
        &PAGE
    }

    fn list(&self, _: &str) -> Result<ListContent, String> {
        let ground = &*self.0;
        Ok(ListContent::new(parts(ground).iter().map(StatePart::row).collect(), []))
    }

    fn detail(&self, id: &str) -> Detail {
        let ground = &*self.0;
        let part = parts(ground).into_iter().find(|part| part.name == id);
        part.map_or_else(|| Detail::from_error("it is gone"), |part| Detail::new(part.facts))
    }
}

/// Looks at all parts. One that can't be read stops no other.
fn parts(ground: &AppContext) -> Vec<StatePart> {
    let home = ground.home();
    let mut parts = vec![own(ground)];
    let clis = detect(&SearchPath::from_context(home.context()), Some(home));
    parts.extend(clis.iter().map(|cli| cli_part(&CliDetails::new(cli), cached_update(home, cli).as_ref())));
    match status::status(home, true) {
        Ok((status, _)) => parts.extend(task_parts(&status)),
        Err(e) => parts.push(StatePart::new("tasks", "unreadable", TextStyle::Bad, error_line(&e))),
    }
    parts.extend((ground.doctor)(home).parts.iter().map(check_part));
    parts
}

fn own(ground: &AppContext) -> StatePart {
    match ground.block_on(Update::detect(false)) {
        Err(why) => StatePart::new("aiw", "unknown", TextStyle::Bad, why),
        Ok(update) => {
            let about = format!("{}, installed by {}", update.version, update.installed_by.as_str());
            let mut part = StatePart::new("aiw", "runs", TextStyle::Good, about);
            part.facts.push(Fact::new("path", update.path.display().to_string()));
            part.facts.push(Fact::new("update", &update.update));
            part.facts.push(Fact::new("home", ground.home().root().display().to_string()));
            part
        }
    }
}

pub(super) fn cli_part(cli: &CliDetails, news: Option<&CliUpdate>) -> StatePart {
    let CliDetails { summary, real_path, install_command } = cli;
    let Some(path) = &summary.path else {
        let mut part =
            StatePart::new(summary.kind, "missing", TextStyle::Plain, format!("not installed: `{install_command}`"));
        part.facts.push(Fact::new("install", install_command));
        return part;
    };
    let version = summary.version.as_deref().unwrap_or("of an unknown version");
    let newer = news.map(|news| format!(" ({} is out)", news.newest)).unwrap_or_default();
    let mut part = StatePart::new(summary.kind, "installed", TextStyle::Good, format!("{version}{newer}  {path}"));
    part.facts.extend(news.and_then(|news| news.update.as_ref()).map(|update| Fact::new("update", update)));
    part.facts.extend(summary.install.map(|by| Fact::new("by", by)));
    part.facts.extend(real_path.as_ref().filter(|real| *real != path).map(|real| Fact::new("file", real)));
    part
}

pub(super) fn task_parts(status: &TaskStatus) -> Vec<StatePart> {
    let counts = &status.counts;
    let about = format!("{} running, {} queued, {} unread", counts.running, counts.queued, counts.unseen);
    let mut parts =
        vec![StatePart::new("tasks", if counts.running > 0 { "run" } else { "idle" }, TextStyle::Plain, about)];
    if let Some(line) = status.daemon.as_ref().and_then(DaemonState::line) {
        let is_awake = status.daemon.as_ref().is_some_and(|resident| resident.awake);
        let (state, tone) = if is_awake { ("awake", TextStyle::Good) } else { ("asleep", TextStyle::Warn) };
        parts.push(StatePart::new("daemon", state, tone, line));
    }
    if let Some(sum) = &status.today {
        let used = format!(
            "{} tokens read, {} written, {}",
            format_tokens(sum.total_input()),
            format_tokens(sum.output),
            sum.cost()
        );
        parts.push(StatePart::new("today", "used", TextStyle::Plain, used));
    }
    parts
}

pub(super) fn check_part(part: &CheckedPart) -> StatePart {
    let count = part.problems.len();
    let (state, tone) = if count == 0 { ("ok", TextStyle::Good) } else { ("problems", TextStyle::Bad) };
    let about = match part.problems.first() {
        None => part.summary.clone(),
        Some(first) => format!("{}: {}", pluralize(count, "problem"), first.problem),
    };
    // The doctor checks tasks and processes by names of their own.
    let mut shown = StatePart::new(format!("check: {}", part.name), state, tone, about);
    shown.facts = vec![Fact::title(part.name), Fact::new("", &part.summary)];
    for found in &part.problems {
        shown.facts.push(Fact::new("problem", &found.problem).with_tone(TextStyle::Bad));
        shown.facts.push(Fact::new("next", &found.next));
    }
    shown
}
