//! Events: what has happened to processes, tasks, servers, providers, budgets and CI, the newest first.

use std::sync::Arc;

use aiw_app::events::{EventsRequest, HomeEvents};
use aiw_app::feed::Topic;
use aiw_events::{EventKind, HomeEvent};

use crate::context::AppContext;
use crate::page::{Action, Column, Detail, ListContent, Outcome, Page, PageDescriptor, Row};
use crate::paint::{Fact, TextStyle};
use crate::progress::error_line;
use crate::prompter::TuiPrompter;

/// How many events are shown.
const MAX_EVENTS: usize = 1_000;

/// The page of events.
pub(crate) struct EventsPage(pub(crate) Arc<AppContext>);

fn newest(ground: &AppContext) -> Result<Vec<HomeEvent>, String> {
    let request = EventsRequest { all_projects: true, last: Some(MAX_EVENTS), ..EventsRequest::default() };
    let reader = HomeEvents::new(ground.home(), ground.client.cwd(), request).map_err(|e| error_line(&e))?;
    Ok(reader.list().map_err(|e| error_line(&e))?.events)
}

/// Returns the id of an event: nothing else names it.
fn id(event: &HomeEvent) -> String {
    format!("{} {event}", event.time)
}

/// The screen in words.
pub(super) static PAGE: PageDescriptor = PageDescriptor {
    title: "Events",
    slug: "events",
    cli_command: "aiw events --all",
    topics: &[Topic::Events],
    columns: &[Column::new("TIME"), Column::state("WHAT"), Column::optional("OF"), Column::new("NAME AND WHY")],
    empty_message: "no events",
    actions: &[
        Action::global('t', "tasks", "the tasks"),
        Action::global('p', "processes", "the processes of the project"),
    ],
    // They are in the order of their times.
    has_failed_first: false,
    ..PageDescriptor::EMPTY
};

impl Page for EventsPage {
    fn descriptor(&self) -> &'static PageDescriptor {
        &PAGE
    }

    fn list(&self, _: &str) -> Result<ListContent, String> {
        let ground = &*self.0;
        Ok(ListContent::new(newest(ground)?.iter().rev().map(row).collect(), []))
    }

    fn detail(&self, wanted: &str) -> Detail {
        let ground = &*self.0;
        match newest(ground) {
            Err(why) => Detail::from_error(why),
            Ok(events) => match events.iter().rev().find(|event| id(event) == wanted) {
                Some(event) => detail(event),
                None => Detail::from_error("it is not among the newest events any more"),
            },
        }
    }

    fn run_action(&self, key: char, _: &str, _: &TuiPrompter) -> Result<Outcome, String> {
        Ok(Outcome::Open(if key == 't' { "tasks" } else { "processes" }, None))
    }
}

fn tone(kind: EventKind) -> TextStyle {
    match kind.to_string().as_str() {
        "failed" | "unhealthy" | "budget_exceeded" | "missed" => TextStyle::Bad,
        "limit_reached" | "start_skipped" | "restarted" | "cooldown" => TextStyle::Warn,
        "ready" | "recovered" | "finished" => TextStyle::Good,
        _ => TextStyle::Plain,
    }
}

/// Returns an event in the list.
pub(super) fn row(event: &HomeEvent) -> Row {
    let why = event.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    let name = event.name.as_deref().or(event.id.as_deref()).unwrap_or_default();
    let cells = [
        event.time.chars().take(19).collect::<String>().replace('T', " "),
        event.kind.to_string(),
        event.subject.to_string(),
        format!("{name}{why}"),
    ];
    Row::new(id(event), tone(event.kind), "", cells)
}

fn detail(event: &HomeEvent) -> Detail {
    let mut facts = vec![Fact::title(event.to_string())];
    let mut fact = |label, text: Option<String>| facts.extend(text.map(|text| Fact::new(label, text)));
    fact("time", Some(event.time.clone()));
    fact("of", Some(event.subject.to_string()));
    fact("name", event.name.clone());
    fact("project", event.project.as_ref().map(|path| path.display().to_string()));
    fact("id", event.id.clone());
    fact("by", event.actor.clone());
    fact("process", event.pid.map(|pid| pid.to_string()));
    fact("exit code", event.exit_code.map(|code| code.to_string()));
    fact("signal", event.signal.map(|signal| signal.to_string()));
    fact("why", event.reason.clone());
    Detail::new(facts)
}
