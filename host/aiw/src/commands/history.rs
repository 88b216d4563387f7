//! `aiw history …`

use std::collections::HashSet;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use aiw_app::history::{self, ForgetRequest, HistoryForget, HistoryShow, format_forgotten};
use aiw_app::models::{Embedder, EmbeddingModels};
use aiw_app::queries::{self, HistoryHit, HistorySearch, HistorySession, SessionSearchResult, resume};
use aiw_app::{directory, own_executable};
use aiw_core::{ErrorKind, one_line, pluralize};
use aiw_history::{ForgetReport, HistoryError, HistoryQuery, MessageRange, SessionFilter, SessionHit, Stats, Store};
use aiw_home::{Home, format_rfc3339};
use aiw_launch::ResumeIndex;

use crate::ask::TerminalPrompter;
use crate::cli::history::{ExportFormat, FilterArgs, HistoryCommand, SearchArgs};
use crate::failure::CliError;
use crate::output::Output;
use crate::terminal;
use aiw_app::phrases::abbreviate_home;

pub async fn run(command: HistoryCommand, home: &Home, output: &Output) -> Result<(), CliError> {
    match command {
        HistoryCommand::Search(args) => search(&args, home, output),
        HistoryCommand::Show { session, around, limit } => show(home, &session, around.as_deref(), limit, output),
        HistoryCommand::Sessions { filter, limit } => sessions(home, &filter, limit, output),
        HistoryCommand::Import { path, all: _, yes } => super::import::import(home, path.as_deref(), yes, output).await,
        HistoryCommand::Watch { interval, once } => super::import::watch(home.clone(), interval, once, output).await,
        HistoryCommand::Todos { session } => super::import::todos(home, session.as_deref(), output),
        HistoryCommand::Hooks(command) => super::hooks::run(home, command, output).await,
        HistoryCommand::Doctor => super::history_doctor::doctor(home, output),
        HistoryCommand::Stats => stats(home, output),
        HistoryCommand::Forget { what, before, yes } => forget(home, what, before, yes, output).await,
        HistoryCommand::Export { session, format } => export(home, &session, format, output),
    }
}

/// Opens the store of what was indexed so far, which is empty if nothing was.
fn store(home: &Home) -> Result<Store, CliError> {
    Ok(Store::open(&home.history())?)
}

/// The directory that `--project` names, as sessions name theirs.
fn project(filter: &FilterArgs) -> Result<Option<PathBuf>, CliError> {
    let Some(project) = &filter.project else { return Ok(None) };
    let whole = std::path::absolute(project)
        .map_err(|e| CliError::new(ErrorKind::Unavailable, format!("`{}` can't be found: {e}", project.display())))?;
    Ok(Some(queries::directory(Path::new("/"), &whole)))
}

fn millis(time: Option<u64>) -> Option<i64> {
    time.and_then(|time| i64::try_from(time).ok())
}

/// A time for people: the day and the minute.
fn minute(time: Option<i64>) -> String {
    minute_in(time.and_then(format_rfc3339).as_deref())
}

/// Formats the minute of an RFC 3339 time.
fn minute_in(time: Option<&str>) -> String {
    time.map_or_else(|| "-".into(), |time| time.chars().take(16).collect::<String>().replace('T', " "))
}

/// The model, if one is in use and has made vectors. Without it, words find what they can.
fn embedder(home: &Home, output: &Output) -> Option<Embedder> {
    let chosen = EmbeddingModels::new(home.clone()).active_model_files().map_err(|e| e.to_string());
    let loaded =
        chosen.and_then(|files| files.map(|files| Embedder::load(&files)).transpose().map_err(|e| e.to_string()));
    loaded.unwrap_or_else(|e| {
        output.note(format!("note: searched by words alone: {e}"));
        None
    })
}

pub fn search(args: &SearchArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    let begun = Instant::now();
    if args.interactive {
        check_screen(output)?;
    }
    let text = args.query.join(" ");
    let project = project(&args.filter)?;
    let query = HistoryQuery {
        text: &text,
        limit: usize::try_from(args.limit.unwrap_or(if args.interactive { 100 } else { 10 })).unwrap_or(usize::MAX),
        project: project.as_deref(),
        session: args.session.as_deref(),
        since: millis(args.filter.since),
        role: args.role,
        cli: args.filter.cli,
        tool: args.tool.as_deref(),
    };
    let model = || Ok::<_, CliError>(if args.keyword { None } else { embedder(home, output) });
    let SessionSearchResult { hits, pending_sessions: waiting, is_outdated, empty_reason: nothing } =
        queries::search(home, &query, model)?;
    if waiting > 0 {
        let wait = if waiting == 1 { "waits" } else { "wait" };
        output.note(format!("note: {} {wait} to be taken in: search again soon", pluralize(waiting, "session")));
    }
    if is_outdated {
        output.note("note: the rules about secrets have changed: what was stored before goes through them now");
    }
    if args.interactive && !hits.is_empty() {
        return choose(home, &text, hits);
    }
    let duration_ms = begun.elapsed().as_secs_f64() * 1000.0;
    let resumes = ResumeIndex::new(home);
    let answers: Vec<HistoryHit> = hits.iter().map(|hit| HistoryHit::new(hit, &resumes)).collect();
    show_hits(&hits, &answers, output);
    if let Some(nothing) = nothing {
        output.line(nothing.to_message("`aiw history import` reads the sessions of your AI CLIs"));
    }
    let duration_ms = (duration_ms * 10.0).round() / 10.0;
    output.set_json(HistorySearch { hits: answers, waiting, duration_ms });
    Ok(())
}

/// A screen needs a terminal, and gives no JSON.
fn check_screen(output: &Output) -> Result<(), CliError> {
    if output.is_json() {
        return Err(
            CliError::new(ErrorKind::Usage, "a screen has no JSON output").with_hint("leave `--interactive` out")
        );
    }
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Err(CliError::user("`--interactive` needs a terminal").with_hint("leave it out to print a list"));
    }
    Ok(())
}

/// Lets the user choose a hit, and goes on with its session in place of this process.
fn choose(home: &Home, text: &str, hits: Vec<SessionHit>) -> Result<(), CliError> {
    let line = |hit: &SessionHit| {
        format!("{}  {:<6}  {:<9}  {}", minute(hit.time), hit.cli.as_str(), hit.role.as_str(), hit.snippet.text)
    };
    let lines: Vec<String> = hits.iter().map(line).collect();
    let hits = Arc::new(hits);
    let (directory, shown) = (home.history(), hits.clone());
    let previews = Arc::new(move |place: usize| {
        shown.get(place).map_or_else(Vec::new, |hit| preview(&directory, hit).unwrap_or_else(|e| vec![e.to_string()]))
    });
    let title = format!("{} for `{}`", pluralize(lines.len(), "hit"), one_line(text, 200));
    let chosen = aiw_tui::pick(&title, &lines, previews)?;
    let Some(hit) = chosen.and_then(|place| hits.get(place)) else { return Ok(()) };
    let resume = resume(&ResumeIndex::new(home), hit.cli, &hit.session, &hit.project, &hit.launch);
    if let Some(problem) = resume.problem {
        return Err(CliError::user(problem));
    }
    let line = resume.command_line();
    terminal::print_prompt_line(&line);
    let mut command = resume.command(&own_executable()?);
    let failed = std::os::unix::process::CommandExt::exec(&mut command);
    Err(CliError::new(ErrorKind::Unavailable, format!("`{line}` can't be run: {failed}")))
}

/// Returns the messages before and after a hit.
fn preview(directory: &Path, hit: &SessionHit) -> Result<Vec<String>, HistoryError> {
    let store = Store::open(directory)?;
    let part = store.session_view(&hit.session, &MessageRange { around: Some(&hit.uuid), limit: 9 })?;
    let mut lines = vec![format!("{}  {}  {}", part.session.id, part.session.cli, part.session.project)];
    for message in &part.messages {
        let mark = if message.uuid == hit.uuid { "▶ " } else { "" };
        lines.extend([String::new(), format!("{mark}{} {}", minute(message.time), message.role.as_str())]);
        lines.extend(message.text.lines().map(str::to_owned));
    }
    Ok(lines)
}

/// The hits by their sessions, the session of the best hit first, each session with the line that goes on with it.
fn show_hits(hits: &[SessionHit], answers: &[HistoryHit], output: &Output) {
    let mut shown = HashSet::new();
    for (hit, first) in hits.iter().zip(answers) {
        if !shown.insert(&hit.session) {
            continue;
        }
        if shown.len() > 1 {
            output.line("");
        }
        let session: String = hit.session.chars().take(8).collect();
        let provider = hit.launch.provider.as_ref().map(|name| format!("  {name}")).unwrap_or_default();
        output.line(format!("{session}  {}{provider}  {}", hit.cli, abbreviate_home(&hit.project)));
        for hit in hits.iter().filter(|other| other.session == hit.session) {
            let said = one_line(&hit.snippet.text, 300);
            output.wrapped_line(&format!("  {}  {:<9}  ", minute(hit.time), hit.role.as_str()), &said);
        }
        say_resume(&first.resume, first.problem.as_deref(), "  ", output);
    }
}

/// The line that goes on with a session, or why there is none that works.
fn say_resume(line: &str, problem: Option<&str>, indent: &str, output: &Output) {
    output.line(format!("{indent}resume: {line}"));
    if let Some(problem) = problem {
        output.line(format!("{indent}{problem}"));
    }
}

fn show(home: &Home, id: &str, around: Option<&str>, most: usize, output: &Output) -> Result<(), CliError> {
    let part = store(home)?.session_view(id, &MessageRange { around, limit: most.clamp(1, 10_000) })?;
    let answer = HistoryShow::new(&part, &ResumeIndex::new(home));
    output.line(format!("{}  {}  {}", part.session.id, part.session.cli, abbreviate_home(&part.session.project)));
    say_resume(&answer.session.resume, answer.session.problem.as_deref(), "", output);
    if part.messages_before > 0 {
        output.line(format!("… {}", pluralize(part.messages_before, "earlier message")));
    }
    for message in &part.messages {
        let tools = if message.tools.is_empty() { String::new() } else { format!(" [{}]", message.tools.join(", ")) };
        let agent = message.agent.as_ref().map(|agent| format!(" (subagent {agent})")).unwrap_or_default();
        output.line(format!("\n{} {}{tools}{agent}  {}", minute(message.time), message.role.as_str(), message.uuid));
        output.line(&message.text);
    }
    if part.messages_after > 0 {
        output.line(format!("\n… {}", pluralize(part.messages_after, "later message")));
    }
    output.set_json(answer);
    Ok(())
}

fn sessions(home: &Home, filter: &FilterArgs, limit: usize, output: &Output) -> Result<(), CliError> {
    let project = project(filter)?;
    let wanted =
        SessionFilter { project: project.as_deref(), cli: filter.cli, since: millis(filter.since), limit: Some(limit) };
    let answer = history::sessions(home, &wanted)?;
    let row = |session: &HistorySession| {
        vec![
            session.session.clone(),
            minute_in(session.last.as_deref()),
            session.cli.to_string(),
            session.messages.to_string(),
            abbreviate_home(&session.project),
            one_line(&session.title, 100),
        ]
    };
    let rows: Vec<Vec<String>> = answer.sessions.iter().map(row).collect();
    output.table(&["SESSION", "LAST", "CLI", "MESSAGES", "PROJECT", "BEGINS WITH"], &rows);
    if rows.is_empty() {
        output.line("no sessions: `aiw history import` reads those of your AI CLIs");
    }
    output.set_json(answer);
    Ok(())
}

fn stats(home: &Home, output: &Output) -> Result<(), CliError> {
    let store = store(home)?;
    let stats = Stats { embeddings: aiw_history::embedding_coverage(home, &store)?, ..store.stats()? };
    for (what, value) in [
        ("sessions", stats.sessions.to_string()),
        ("messages", stats.messages.to_string()),
        ("projects", stats.projects.to_string()),
        ("transcripts", stats.transcripts.to_string()),
        ("vectors", stats.vectors.to_string()),
        ("meaning", stats.embeddings.as_ref().map_or_else(|| "no model is in use".into(), ToString::to_string)),
        ("from", minute(stats.first)),
        ("to", minute(stats.last)),
        ("size", format!("{:.1} MB", stats.bytes as f64 / 1e6)),
    ] {
        output.line(format!("{what:<12} {value}"));
    }
    output.set_json(stats);
    Ok(())
}

async fn forget(
    home: &Home,
    what: Option<String>,
    before: Option<u64>,
    yes: bool,
    output: &Output,
) -> Result<(), CliError> {
    let request = match (what, millis(before)) {
        (Some(name), _) => ForgetRequest::SessionOrProject(name),
        (None, Some(before)) => ForgetRequest::Before(before),
        (None, None) => return Err(CliError::user("nothing was named")),
    };
    let answer = history::forget(home, directory(home)?, &request, &TerminalPrompter::new(output, yes)).await?;
    let HistoryForget { sessions, messages } = answer;
    output.line(format!("Forgot {}", format_forgotten(&ForgetReport { sessions, messages })));
    output.set_json(answer);
    Ok(())
}

fn export(home: &Home, id: &str, format: ExportFormat, output: &Output) -> Result<(), CliError> {
    let part = store(home)?.session_view(id, &MessageRange { around: None, limit: usize::MAX })?;
    let answer = HistoryShow::new(&part, &ResumeIndex::new(home));
    match format {
        ExportFormat::Markdown => output.line(aiw_history::render_markdown(&part)),
        ExportFormat::Json => output.document(&answer),
    }
    output.set_json(answer);
    Ok(())
}
