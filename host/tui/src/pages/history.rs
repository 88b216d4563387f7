//! Past sessions: searching them, reading what was said, and going on with one.

use aiw_app::models::Embedder;
use aiw_app::own_executable;
use aiw_app::past::{self, ForgetRequest};
use aiw_app::phrases::short;
use aiw_app::queries::{self, HistorySession, resume};
use aiw_core::counted;
use aiw_history::{HistoryError, HistoryQuery, Range, SessionHit, SessionView, Sessions, Store};
use aiw_home::rfc3339_of;
use aiw_launch::Resumes;

use crate::ground::Ground;
use crate::page::{Action, Column, Detail, Listed, Outcome, Page, PageAbout, Row};
use crate::paint::{Fact, Tone};
use crate::person::AtScreen;
use crate::progress::said;
use crate::screen::TerminalProgram;

/// How many sessions, hits and messages are shown.
const SESSIONS: usize = 500;
const HITS: usize = 100;
const MESSAGES: usize = 60;

/// The page of past sessions.
pub(crate) struct History;

/// Returns the session and the message that a row names.
fn named(id: &str) -> (&str, Option<&str>) {
    id.split_once('\n').map_or((id, None), |(session, message)| (session, Some(message)))
}

fn part(ground: &Ground, id: &str) -> Result<SessionView, String> {
    let (session, around) = named(id);
    let store = Store::open_existing(&ground.home().history()).map_err(|e| said(&e))?;
    let store = store.ok_or("there is no history any more")?;
    store.part(session, &Range { around, most: MESSAGES }).map_err(|e| said(&e))
}

/// The screen in words.
pub(super) static ABOUT: PageAbout = PageAbout {
    title: "History",
    short: "His",
    word: "history",
    printed_by: "aiw history sessions",
    topics: &[],
    columns: &[
        Column::new("LAST"),
        Column::state("CLI"),
        Column::extra("MESSAGES"),
        Column::extra("PROJECT"),
        Column::new("WHAT WAS SAID"),
    ],
    empty: "no sessions: `aiw history import` reads those of your AI CLIs",
    actions: &[
        Action::new('r', "resume", "go on with it in this terminal, under the provider that it had"),
        Action::new('d', "forget", "forget the session: asks"),
    ],
    is_searched: true,
};

impl Page for History {
    fn about(&self) -> &'static PageAbout {
        &ABOUT
    }

    fn list(&self, ground: &Ground, query: &str) -> Result<Listed, String> {
        let home = ground.home();
        if query.trim().is_empty() {
            if Store::open_existing(&home.history()).map_err(|e| said(&e))?.is_none() {
                return Ok(Listed::default());
            }
            let wanted = Sessions { limit: Some(SESSIONS), ..Sessions::default() };
            let answer = past::sessions(home, &wanted).map_err(|e| said(&e))?;
            return Ok(Listed::of(answer.sessions.iter().map(row).collect(), []));
        }
        let wanted = HistoryQuery { text: query, limit: HITS, ..HistoryQuery::default() };
        let found = queries::search(home, &wanted, || Ok::<Option<Embedder>, HistoryError>(None));
        let found = found.map_err(|e| said(&e))?;
        let waiting = format!("{} not taken in yet: search again soon", counted(found.waiting, "session"));
        Ok(Listed::of(found.hits.iter().map(hit_row).collect(), (found.waiting > 0).then_some(waiting)))
    }

    fn detail(&self, ground: &Ground, id: &str) -> Detail {
        match part(ground, id) {
            Ok(part) => detail(&part, named(id).1, &Resumes::new(ground.home())),
            Err(why) => Detail::failed(why),
        }
    }

    fn act(&self, ground: &Ground, key: char, id: &str, person: &AtScreen) -> Result<Outcome, String> {
        let home = ground.home();
        if key == 'r' {
            let session = part(ground, id)?.session;
            let resume = resume(&Resumes::new(home), session.cli, &session.id, &session.project, &session.launch);
            if let Some(problem) = resume.problem {
                return Err(problem);
            }
            let aiw = own_executable().map_err(|e| said(&e))?;
            return Ok(Outcome::Run(TerminalProgram::of(&resume.command(&aiw))));
        }
        let request = ForgetRequest::Named(named(id).0.to_owned());
        let answer = ground.block_on(past::forget(home, ground.client.cwd(), &request, person))?;
        Ok(Outcome::Said(format!("forgot {}", counted(answer.messages, "message"))))
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
        short(&session.project),
        session.title.clone(),
    ];
    Row::new(session.session.clone(), Tone::Faint, "rd", cells)
}

fn hit_row(hit: &SessionHit) -> Row {
    let cells = [
        minute(hit.time.and_then(rfc3339_of).as_deref()),
        hit.cli.as_str().to_owned(),
        hit.role.as_str().to_owned(),
        short(&hit.project),
        hit.snippet.text.clone(),
    ];
    Row::new(format!("{}\n{}", hit.session, hit.uuid), Tone::Faint, "rd", cells)
}

/// Returns what was said in a session, or around a message of it.
fn detail(part: &SessionView, around: Option<&str>, resumes: &Resumes) -> Detail {
    let session = HistorySession::of(&part.session, resumes);
    let mut facts = vec![Fact::title(&session.title), Fact::new("session", &session.session)];
    let mut fact = |label, text: String| {
        if !text.is_empty() {
            facts.push(Fact::new(label, text));
        }
    };
    fact("in", short(&session.project));
    fact("provider", session.provider.unwrap_or_default());
    fact("resume", session.resume);
    fact("but", session.problem.unwrap_or_default());
    // A hit stands at the beginning, with the message before it.
    let hit = part.messages.iter().position(|message| Some(message.uuid.as_str()) == around);
    let skipped = hit.unwrap_or(0).saturating_sub(1);
    let (mut lines, earlier) = (Vec::new(), part.earlier + skipped);
    if earlier > 0 {
        lines.push(format!("… {}", counted(earlier, "earlier message")));
    }
    for message in part.messages.iter().skip(skipped) {
        let mark = if Some(message.uuid.as_str()) == around { "▶ " } else { "" };
        let tools = if message.tools.is_empty() { String::new() } else { format!(" [{}]", message.tools.join(", ")) };
        let time = minute(message.time.and_then(rfc3339_of).as_deref());
        lines.extend([String::new(), format!("{mark}{time} {}{tools}", message.role.as_str())]);
        lines.extend(message.text.lines().map(str::to_owned));
    }
    if part.later > 0 {
        lines.extend([String::new(), format!("… {}", counted(part.later, "later message"))]);
    }
    Detail::of(facts).with_lines(lines)
}
