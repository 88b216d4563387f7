//! `aiw ci`

use std::io::{self, Write};
use std::time::Instant;

use aiw_app::ci;
use aiw_ci::{Ci, CiJob, CiListRequest, CiRun, CiRunRequest, CiWait, MonitoredBranch};
use aiw_core::{ErrorKind, frame_line, one_line, pluralize};
use aiw_home::Home;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::ci::{CiCommand, ListRunsArgs, OneRunArgs, RepositoryArgs, RunLogArgs, WatchArgs};
use crate::components::session;
use crate::failure::CliError;
use crate::output::Output;

/// A line of `aiw ci logs --all`, printed as it comes
#[derive(Serialize, JsonSchema)]
pub struct CiLogLine {
    /// The job
    pub job: String,
    /// Its line; null where there is none
    pub line: Option<String>,
    /// Why there is none
    pub note: Option<String>,
}

pub async fn run(command: CiCommand, home: &Home, output: &Output) -> Result<(), CliError> {
    match command {
        CiCommand::List(args) => list(&args, home, output).await,
        CiCommand::Show(args) => show(&args, home, output).await,
        CiCommand::Logs(args) if args.all => all_logs(&args, home, output).await,
        CiCommand::Logs(args) => logs(&args, home, output).await,
        CiCommand::Watch(args) if args.stop => stop(home, output),
        CiCommand::Watch(args) if args.background => background(args, home, output),
        CiCommand::Watch(args) => watch(&args, home, output).await,
    }
}

impl OneRunArgs {
    fn request(&self) -> CiRunRequest {
        CiRunRequest { id: self.run, workflow: self.workflow.clone() }
    }
}

async fn open(args: &RepositoryArgs, home: &Home, output: &Output) -> Result<Ci, CliError> {
    let client = session(home, output)?;
    Ok(ci::open(client.app(), client.home(), args.repo.as_deref()).await?)
}

fn say(notes: &[String], output: &Output) {
    notes.iter().for_each(|note| output.note(note));
}

async fn list(args: &ListRunsArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    let request = CiListRequest { limit: args.limit.into(), branch: args.branch.clone() };
    let list = open(&args.repository, home, output).await?.list(&request).await?;
    let row = |run: &CiRun| {
        vec![
            run.id.to_string(),
            run.state().to_owned(),
            run.label(),
            run.branch.clone(),
            run.event.clone(),
            run.created.clone(),
            run.title.clone(),
        ]
    };
    let rows: Vec<Vec<String>> = list.runs.iter().map(row).collect();
    output.table(&["ID", "STATE", "RUN", "BRANCH", "EVENT", "MADE", "TITLE"], &rows);
    if rows.is_empty() {
        output.line(format!("no runs in `{}`", list.repository));
    }
    say(&list.notes, output);
    output.set_json(list);
    Ok(())
}

async fn show(args: &OneRunArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    let details = open(&args.repository, home, output).await?.details(args.request()).await?;
    describe(&details.run, &details.repository, output);
    beside(&details.others, output);
    let row = |job: &CiJob| {
        let step = job.steps.first().map(|step| format!("{} {}", step.number, step.name)).unwrap_or_default();
        vec![job.id.to_string(), job.state().to_owned(), job.name.clone(), step]
    };
    output.table(&["ID", "STATE", "JOB", "STEP"], &details.jobs.iter().map(row).collect::<Vec<_>>());
    say(&details.notes, output);
    output.set_json(details);
    Ok(())
}

fn describe(run: &CiRun, repository: &str, output: &Output) {
    output.line(format!("{repository}: {} is `{}` ({})", run.label(), run.state(), run.id));
    let commit: String = run.commit.chars().take(10).collect();
    output.line(format!("{} on {} at {commit}: {}", run.event, run.branch, run.title));
    output.line(&run.url);
}

/// Lists the runs of the other workflows of a commit.
fn beside(others: &[CiRun], output: &Output) {
    for other in others {
        output.line(format!("{} is `{}` ({})", other.label(), other.state(), other.id));
    }
}

async fn logs(args: &RunLogArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    let logs = open(&args.run.repository, home, output).await?.failed_logs(args.run.request()).await?;
    output.line(format!("{}: {} is `{}` ({})", logs.repository, logs.run.label(), logs.run.state(), logs.run.id));
    beside(&logs.others, output);
    for job in &logs.jobs {
        let step = job.step.as_deref().map(|step| format!(" in step {step}")).unwrap_or_default();
        let workflow = if logs.others.is_empty() { String::new() } else { format!("{}: ", job.workflow) };
        output.line(format!("{workflow}{}: {}{step}", job.name, job.conclusion));
        job.lines.iter().for_each(|line| output.line(frame_line(line)));
        job.note.iter().for_each(|note| output.line(format!("({note})")));
    }
    say(&logs.notes, output);
    output.set_json(logs);
    Ok(())
}

async fn all_logs(args: &RunLogArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    let ci = open(&args.run.repository, home, output).await?;
    let (mut stdout, mut current, mut written) = (io::BufWriter::new(io::stdout()), 0, Ok(()));
    let is_json = output.is_json();
    let mut print = |job: &CiJob, line: Result<&str, &str>| {
        let is_next = std::mem::replace(&mut current, job.id) != job.id;
        written = match (is_json, line) {
            (true, line) => {
                let (line, note) = (line.ok().map(str::to_owned), line.err().map(str::to_owned));
                let line = CiLogLine { job: job.name.clone(), line, note };
                writeln!(stdout, "{}", serde_json::to_string(&line).unwrap_or_default())
            }
            (false, line) => {
                let head = if is_next { writeln!(stdout, "{}: {}", job.name, job.state()) } else { Ok(()) };
                head.and_then(|()| match line {
                    Ok(line) => writeln!(stdout, "{}", frame_line(line)),
                    Err(note) => writeln!(stdout, "({note})"),
                })
            }
        };
        written.is_ok()
    };
    ci.all_logs(args.run.request(), &mut print).await?;
    match written.and_then(|()| stdout.flush()) {
        // Whoever read has read enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(CliError::user(format!("standard output can't be written: {error}")))
        }
        _ => Ok(()),
    }
}

async fn watch(args: &WatchArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    let begun = Instant::now();
    let ci = open(&args.run.repository, home, output).await?;
    let observer = output.observer();
    let mut tell = |run: &CiRun, jobs: &[CiJob]| {
        let over = jobs.iter().filter(|job| job.status == "completed").count();
        let running: Vec<&str> =
            jobs.iter().filter(|job| job.status == "in_progress").map(|job| job.name.as_str()).collect();
        let now = one_line(&format!("{} {}: {}", run.label(), run.state(), running.join(", ")), 60);
        observer.progress(&now, over as u64, jobs.len() as u64);
    };
    let until = args.timeout.map(|timeout| (begun + timeout).into());
    say(&ci.notes(), output);
    let waited = ci.wait(args.run.request(), until, &mut tell, &mut |why| output.note(why)).await?;
    output.clear_progress();
    if let Some(run) = &waited.run {
        describe(run, &ci.repository().to_string(), output);
    }
    beside(&waited.others, output);
    waited.failed.iter().for_each(|job| output.line(format!("failed: {job}")));
    say(&waited.notes, output);
    let failure = problem(&waited);
    output.set_json_or_error(waited, failure)
}

/// Returns why a run that was waited for did not succeed.
fn problem(waited: &CiWait) -> Option<CliError> {
    let user = |message: String, code| CliError::new(ErrorKind::User, message).with_code(code);
    match (&waited.run, waited.done) {
        (Some(run), true) if run.has_succeeded() => None,
        (Some(run), true) => {
            let hint = format!("`aiw ci logs {}` shows what failed", run.id);
            Some(user(format!("{} ended as `{}`", run.label(), run.state()), 1).with_hint(hint))
        }
        (Some(run), false) => {
            let open = std::iter::once(run).chain(&waited.others).find(|run| !run.is_over()).unwrap_or(run);
            let why = if open.status == "waiting" { ": it waits for an approval, or for a timer" } else { "" };
            Some(user(format!("{} has not ended yet{why}", open.label()), 124))
        }
        (None, _) => {
            let why = waited.waits.clone().unwrap_or_else(|| "the commit has no run yet".into());
            Some(user(why, 124))
        }
    }
}

fn background(args: WatchArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    let monitored = ci::start(home, args.run.repository.repo, ci::CI_INTERVAL)?;
    output.line(format!("{}: until 30 minutes after the last run; `aiw events` shows them", shown(&monitored)));
    say(&monitored.notes, output);
    output.set_json(monitored);
    Ok(())
}

fn stop(home: &Home, output: &Output) -> Result<(), CliError> {
    let stopped = ci::stop(home)?;
    stopped.stopped.iter().for_each(|one| output.line(format!("{}: no longer", shown(one))));
    if stopped.stopped.is_empty() {
        output.line("no runs of this project are asked for");
    }
    output.set_json(stopped);
    Ok(())
}

fn shown(one: &MonitoredBranch) -> String {
    let branch = one.branch.as_deref().map_or_else(|| "all branches".to_owned(), |branch| format!("branch `{branch}`"));
    format!("{branch} of `{}` is asked for each {}", one.repository, pluralize(one.interval, "second"))
}
