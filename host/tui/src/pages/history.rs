//! Past sessions: searching them, reading what was said, and going on with one.

use std::sync::Arc;

use aiw_app::history::{self, ForgetRequest};
use aiw_app::models::Embedder;
use aiw_app::own_executable;
use aiw_app::phrases::abbreviate_home;
use aiw_app::queries::{self, HistorySession, resume};
use aiw_core::pluralize;
use aiw_history::{HistoryError, HistoryQuery, MessageRange, SessionFilter, SessionHit, SessionView, Store};
use aiw_home::format_rfc3339;
use aiw_launch::ResumeIndex;

use crate::context::AppContext;
use crate::page::{Action, Column, Detail, ListContent, Outcome, Page, PageDescriptor, Row, Search};
use crate::paint::{Fact, TextStyle};
use crate::progress::error_line;
use crate::prompter::TuiPrompter;
use crate::screen::TerminalProgram;

/// How many sessions, hits and messages are shown.
const MAX_SESSIONS: usize = 500;
const MAX_HITS: usize = 100;
const MAX_MESSAGES: usize = 60;

/// The page of past sessions.
pub(crate) struct HistoryPage(pub(crate) Arc<AppContext>);

/// Returns the session and the message that a row names.
fn named(id: &str) -> (&str, Option<&str>) {
    id.split_once('\n').map_or((id, None), |(session, message)| (session, Some(message)))
}

fn part(ground: &AppContext, id: &str) -> Result<SessionView, String> {
    let (session, around) = named(id);
    let store = Store::open_existing(&ground.home().history()).map_err(|e| error_line(&e))?;
    let store = store.ok_or("there is no history any more")?;
    store.session_view(session, &MessageRange { around, limit: MAX_MESSAGES }).map_err(|e| error_line(&e))
}

/// The screen in words.
pub(super) static PAGE: PageDescriptor = PageDescriptor {
    title: "History",
    slug: "history",
    cli_command: "aiw history sessions",
    topics: &[],
    columns: &[
        Column::new("LAST"),
        Column::state("CLI"),
        Column::optional("MESSAGES"),
        Column::optional("PROJECT"),
        Column::new("WHAT WAS SAID"),
    ],
    empty_message: "no sessions: `aiw history import` reads those of your AI CLIs",
    actions: &[
        Action::single('r', "resume", "go on with it in this terminal, under the provider that it had"),
        Action::new('d', "forget", "forget the session: asks"),
    ],
    search: Search::Backend,
    ..PageDescriptor::EMPTY
};

impl Page for HistoryPage {
    fn descriptor(&self) -> &'static PageDescriptor {
        &PAGE
    }

    fn list(&self, query: &str) -> Result<ListContent, String> {
        let ground = &*self.0;
        let home = ground.home();
        if query.trim().is_empty() {
            if Store::open_existing(&home.history()).map_err(|e| error_line(&e))?.is_none() {
                return Ok(ListContent::default());
            }
            let wanted = SessionFilter { limit: Some(MAX_SESSIONS), ..SessionFilter::default() };
            let answer = history::sessions(home, &wanted).map_err(|e| error_line(&e))?;
            return Ok(ListContent::new(answer.sessions.iter().map(row).collect(), []));
        }
        let wanted = HistoryQuery { text: query, limit: MAX_HITS, ..HistoryQuery::default() };
        let found = queries::search(home, &wanted, || Ok::<Option<Embedder>, HistoryError>(None));
        let found = found.map_err(|e| error_line(&e))?;
        let waiting = format!("{} not taken in yet: search again soon", pluralize(found.pending_sessions, "session"));
        Ok(ListContent::new(found.hits.iter().map(hit_row).collect(), (found.pending_sessions > 0).then_some(waiting)))
    }

    fn detail(&self, id: &str) -> Detail {
        let ground = &*self.0;
        match part(ground, id) {
            Ok(part) => detail(&part, named(id).1, &ResumeIndex::new(ground.home())),
            Err(why) => Detail::from_error(why),
        }
    }

    fn run_action(&self, key: char, id: &str, person: &TuiPrompter) -> Result<Outcome, String> {
        let ground = &*self.0;
        let home = ground.home();
        if key == 'r' {
            let session = part(ground, id)?.session;
            let resume = resume(&ResumeIndex::new(home), session.cli, &session.id, &session.project, &session.launch);
            if let Some(problem) = resume.problem {
                return Err(problem);
            }
            let aiw = own_executable().map_err(|e| error_line(&e))?;
            return Ok(Outcome::Run(TerminalProgram::from_command(&resume.command(&aiw))));
        }
        let request = ForgetRequest::SessionOrProject(named(id).0.to_owned());
        let answer = ground.block_on(history::forget(home, ground.client.cwd(), &request, person))?;
        Ok(Outcome::Message(format!("forgot {}", pluralize(answer.messages, "message"))))
    }
}

/// Returns the day and the minute of a time.
fn minute(time: Option<&str>) -> String {
    time.map(|time| time.chars().take(16).collect::<String>().replace('T', " ")).unwrap_or_default()
}

/// Returns a session in the list.
pub(super) fn row(session: &HistorySession) -> Row {
    let cells = [
        minute(session.last.as_deref()),
        session.cli.to_owned(),
        session.messages.to_string(),
        abbreviate_home(&session.project),
        session.title.clone(),
    ];
    Row::new(session.session.clone(), TextStyle::Faint, "rd", cells)
}

fn hit_row(hit: &SessionHit) -> Row {
    let cells = [
        minute(hit.time.and_then(format_rfc3339).as_deref()),
        hit.cli.as_str().to_owned(),
        hit.role.as_str().to_owned(),
        abbreviate_home(&hit.project),
        hit.snippet.text.clone(),
    ];
    Row::new(format!("{}\n{}", hit.session, hit.uuid), TextStyle::Faint, "rd", cells)
}

/// Returns what was said in a session, or around a message of it.
fn detail(part: &SessionView, around: Option<&str>, resumes: &ResumeIndex) -> Detail {
    let session = HistorySession::new(&part.session, resumes);
    let mut facts = vec![Fact::title(&session.title), Fact::new("session", &session.session)];
    let mut fact = |label, text: String| {
        if !text.is_empty() {
            facts.push(Fact::new(label, text));
        }
    };
    fact("in", abbreviate_home(&session.project));
    fact("provider", session.provider.unwrap_or_default());
    fact("resume", session.resume);
    fact("but", session.problem.unwrap_or_default());
    // A hit stands at the beginning, with the message before it.
    let hit = part.messages.iter().position(|message| Some(message.uuid.as_str()) == around);
    let skipped = hit.unwrap_or(0).saturating_sub(1);
    let (mut lines, earlier) = (Vec::new(), part.messages_before + skipped);
    if earlier > 0 {
        lines.push(format!("… {}", pluralize(earlier, "earlier message")));
    }
    for message in part.messages.iter().skip(skipped) {
        let mark = if Some(message.uuid.as_str()) == around { "▶ " } else { "" };
        let tools = if message.tools.is_empty() { String::new() } else { format!(" [{}]", message.tools.join(", ")) };
        let time = minute(message.time.and_then(format_rfc3339).as_deref());
        lines.extend([String::new(), format!("{mark}{time} {}{tools}", message.role.as_str())]);
        lines.extend(message.text.lines().map(str::to_owned));
    }
    if part.messages_after > 0 {
        lines.extend([String::new(), format!("… {}", pluralize(part.messages_after, "later message"))]);
    }
    Detail::new(facts).with_lines(lines)
}
