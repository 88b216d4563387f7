//! The first minutes: what is lacking, a question about each, one plan of all that changes, and carrying it out.

mod lacking;
mod standing;
mod step;

use std::time::Duration;

use aiw_core::{CliKind, Diagnostic, Effect, Plan, PromptError, Prompter, ReportEvent, Reporter, Rewind};
use aiw_home::Home;
use tokio::time::timeout;

use self::lacking::first_cli;
pub(crate) use self::lacking::needs_init;
pub use self::lacking::{InitPart, InitStatus, MissingPart, inspect};
pub use self::step::InitRequest;
use self::step::{InitStep, InitWork};
use crate::cli_updates::{CliUpdate, outdated};
use crate::failures::propagate_interrupt;
use crate::{AppError, ClientSession};

/// The parts that were added, and those that could not be.
#[derive(Debug, Default)]
pub struct InitReport {
    /// The parts that were added.
    pub added: Vec<InitPart>,
    /// The parts that could not be added.
    pub failed: Vec<InitPart>,
    /// The first failure.
    pub first_error: Option<AppError>,
}

/// Asks about each part that is lacking, shows everything that changes, and carries it out once it is agreed to. A step that
/// fails stops no other.
///
/// # Errors
///
/// The person stops, or does not agree. Before they agree, nothing is written.
pub async fn init(
    client: &ClientSession,
    lacking: &InitStatus,
    request: &InitRequest,
    ask: &dyn Prompter,
    sink: &dyn Reporter,
) -> Result<InitReport, AppError> {
    sink.step(
        "Enter skips a question, `<` goes back to the one before, and Ctrl-C ends it with nothing written".into(),
    );
    let rewind = Rewind::new(ask, sink);
    let questions = async || {
        let (mut done, mut steps) = (InitReport::default(), Vec::new());
        for lacks in &lacking.lacking {
            match InitStep::ask(client, lacks, request, &rewind, &rewind).await {
                Ok(step) => steps.extend(step),
                Err(error) if is_back(&error) => return Err(error),
                Err(error) => done.failed(lacks.part, propagate_interrupt(error)?, &lacks.command, sink),
            }
        }
        Ok((done, steps))
    };
    let (mut done, mut steps) = rewind.run(questions, is_back).await?;
    if steps.is_empty() {
        if done.failed.is_empty() {
            sink.done("nothing changes; `aiw init` asks again".into());
        }
        return Ok(done);
    }
    ask.confirm(&plan(&steps), &[]).await?;
    // The download comes last: the others may ask.
    steps.sort_by_key(|step| matches!(step.work, InitWork::Model));
    let mut next = None;
    let mut rests = Unfinished { done: Vec::new(), pending: steps.iter().map(|step| step.part).collect(), sink };
    for step in steps {
        let (part, again, undo) = (step.part, step.retry_command.clone(), step.undo_command.clone());
        match step.carry_out(client, request, ask, sink).await {
            Ok(first_run) => {
                sink.done(format!("  undo: `{undo}`"));
                done.added.push(part);
                rests.done.push(part);
                next = next.or(first_run);
            }
            Err(error) => {
                let error = propagate_interrupt(error)?;
                done.failed(part, error, &again, sink);
            }
        }
        rests.pending.retain(|left| *left != part);
    }
    drop(rests);
    report_updates(client.home(), sink).await;
    sink.done(format!("Next: {}", next.unwrap_or_else(|| next_step(client.home()))));
    Ok(done)
}

/// The steps that were done, and those that were not ended yet. If it goes while there are any, the person has stopped.
struct Unfinished<'a> {
    done: Vec<InitPart>,
    pending: Vec<InitPart>,
    sink: &'a dyn Reporter,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let done = if self.done.is_empty() { String::new() } else { format!("done: {}; ", listed(&self.done)) };
        self.sink.note(format!("{done}not done: {}; `aiw init` goes on", listed(&self.pending)));
    }
}

fn is_back(error: &AppError) -> bool {
    matches!(error.prompt_error(), Some(PromptError::Back))
}

fn listed(parts: &[InitPart]) -> String {
    parts.iter().map(|part| part.as_str()).collect::<Vec<_>>().join(", ")
}

/// How long the registry may take to say which AI CLIs have a newer version.
const REGISTRY_TIMEOUT: Duration = Duration::from_secs(10);

/// Tells which AI CLIs have a newer version, and the commands that update them. Whoever does not answer is only noted: nothing of
/// the set-up waits for it.
pub async fn report_updates(home: &Home, sink: &dyn Reporter) {
    match timeout(REGISTRY_TIMEOUT, outdated(home, sink)).await {
        Ok(Ok(news)) => {
            let newer = news.iter().filter(|news| news.is_newer);
            newer.flat_map(CliUpdate::lines).for_each(|line| sink.done(line));
        }
        // Why it is not known was noted for each, and who switched it off knows that.
        Ok(Err(_)) => {}
        Err(_) => {
            sink.note("whether newer versions of AI CLIs are out is not known: `aiw cli outdated` asks again".into())
        }
    }
}

impl InitReport {
    fn failed(&mut self, part: InitPart, error: AppError, again: &str, sink: &dyn Reporter) {
        sink.report(ReportEvent::Failed(error.to_string()));
        if let Some(hint) = error.hint() {
            sink.step(format!("  hint: {hint}"));
        }
        sink.step(format!("  try again: `{again}`"));
        self.failed.push(part);
        self.first_error.get_or_insert(error);
    }
}

/// Returns all steps as one plan.
fn plan(steps: &[InitStep]) -> Plan {
    let about = steps.iter().flat_map(|step| step.changes.clone()).collect();
    let effects: Vec<Effect> = steps.iter().flat_map(|step| step.effects.clone()).collect();
    let unshown = steps.iter().flat_map(|step| step.hidden_digests.clone()).collect();
    Plan { details: about, effects, hidden_digests: unshown, ..Plan::new("Do all of this?") }
}

/// Returns what comes after the set-up, where no provider was added.
fn next_step(home: &Home) -> String {
    match first_cli(home, &CliKind::ALL) {
        Some(cli) => format!("`aiw {cli} \"PROMPT\"`"),
        None => "`aiw cli list` shows the commands that install AI CLIs".to_owned(),
    }
}
