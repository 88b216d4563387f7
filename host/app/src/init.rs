//! The first minutes: what is lacking, a question about each, one plan of all that changes, and carrying it out.

mod step;

use aiw_core::{Ask, AskError, CliKind, Effect, Fault, Plan, Sink, Told};
use aiw_home::Home;
use aiw_launch::{Search, detect_still};
use aiw_setup::SetupClient;
use aiw_sync::has_store;
use schemars::JsonSchema;
use serde::Serialize;

use self::step::{InitStep, InitWork};
use crate::failures::unless_stopped;
use crate::models::{DEFAULT_MODEL, EmbeddingModels, ModelStatus, RUNTIME, StateName};
use crate::setup::{hook_statuses, is_in_any, left_out};
use crate::{AppError, ClientSession};

/// A part of aiw that may be lacking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum InitPart {
    /// A provider with a key
    Provider,
    /// AI CLIs that know aiw
    Clients,
    /// The hooks of the history
    Hooks,
    /// A model for search by meaning
    Model,
    /// A far end for configuration
    Sync,
}

/// A part that is lacking
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LackingPart {
    /// `provider`, `clients`, `hooks`, `model` or `sync`
    #[schemars(with = "String")]
    pub part: InitPart,
    /// What is lacking, in a few words
    pub about: String,
    /// The command that adds it
    pub command: String,
    /// The clients that are to be set up.
    #[serde(skip)]
    clients: Vec<&'static SetupClient>,
    /// The bytes to download.
    #[serde(skip)]
    bytes: u64,
}

/// `aiw init`
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct InitLacking {
    /// The parts that are lacking, in the order in which they are asked about
    pub lacking: Vec<LackingPart>,
}

/// Facts that only a view knows.
#[derive(Debug, Clone, Default)]
pub struct InitRequest {
    /// aiw's tools that only read.
    pub read_only: Vec<String>,
}

/// The parts that were added, and those that could not be.
#[derive(Debug, Default)]
pub struct InitDone {
    /// The parts that were added.
    pub done: Vec<InitPart>,
    /// The parts that could not be added.
    pub failed: Vec<InitPart>,
    /// The first failure.
    pub first: Option<AppError>,
}

/// Looks for what is lacking. It starts and changes nothing.
///
/// # Errors
///
/// The files of the clients have no place, or this aiw is not to be found.
pub fn look(home: &Home) -> Result<InitLacking, AppError> {
    let part = |part, about: &str, command: &str| LackingPart {
        part,
        about: about.to_owned(),
        command: command.to_owned(),
        clients: Vec::new(),
        bytes: 0,
    };
    let mut lacking = Vec::new();
    if lacks_provider(home) {
        lacking.push(part(InitPart::Provider, "no API provider with a key", "aiw provider add"));
    }
    let clients = left_out(home)?;
    if !clients.is_empty() {
        let about = format!("aiw is not set up in {}", names(&clients));
        let lacks = part(InitPart::Clients, &about, &setup_command(&clients));
        lacking.push(LackingPart { clients, ..lacks });
    }
    if lacks_hooks(home)? {
        lacking.push(part(InitPart::Hooks, "no hooks of the history in Claude Code", "aiw history hooks install"));
    }
    if let Some(bytes) = lacks_model(home) {
        let about = format!("no model for search by meaning, a download of {} MB", bytes / 1_000_000);
        lacking.push(LackingPart { bytes, ..part(InitPart::Model, &about, "aiw model pull") });
    }
    if !has_store(home) {
        let about = "no far end for your configuration";
        lacking.push(part(InitPart::Sync, about, "aiw sync init FAR-END"));
    }
    Ok(InitLacking { lacking })
}

/// Whether there is neither a provider nor an AI CLI that knows aiw: then [`init`] comes before anything else.
pub(crate) fn lacks_essentials(home: &Home) -> bool {
    home.providers().is_ok_and(|file| file.providers().is_empty()) && is_in_any(home).is_ok_and(|is_in| !is_in)
}

/// A file that can't be read is for the doctor.
fn lacks_provider(home: &Home) -> bool {
    home.providers()
        .is_ok_and(|file| !file.providers().iter().any(|provider| aiw_providers::has_secrets(home, provider)))
}

fn lacks_hooks(home: &Home) -> Result<bool, AppError> {
    if aiw_history::is_off(home) || !is_installed(home, CliKind::Claude) {
        return Ok(false);
    }
    let statuses = hook_statuses(home)?;
    Ok(!statuses.iter().any(|status| status.installed || status.disabled || status.problem.is_some()))
}

fn is_installed(home: &Home, kind: CliKind) -> bool {
    detect_still(&Search::around(home.around()), home).iter().any(|cli| cli.kind == kind && cli.path.is_some())
}

/// Returns the bytes that a model takes to download; `None` if there is one, or it can't be had.
fn lacks_model(home: &Home) -> Option<u64> {
    let models = EmbeddingModels::at(home.clone());
    let (status, all): (ModelStatus, _) = (models.status().ok()?, models.list().ok()?);
    let is_usual = status.name.as_deref().is_none_or(|name| name == DEFAULT_MODEL);
    let is_lacking = matches!(status.state, StateName::None | StateName::Missing | StateName::Changed) && is_usual;
    let is_offered = all.iter().any(|model| model.name == RUNTIME);
    let wanted = all.iter().filter(|model| !model.pulled && [RUNTIME, DEFAULT_MODEL].contains(&model.name.as_str()));
    (is_lacking && is_offered).then(|| wanted.map(|model| model.size).sum())
}

fn names(clients: &[&SetupClient]) -> String {
    clients.iter().map(|client| client.name).collect::<Vec<_>>().join(", ")
}

fn setup_command(clients: &[&SetupClient]) -> String {
    let ids: Vec<&str> = clients.iter().map(|client| client.id).collect();
    format!("aiw setup {}", ids.join(" "))
}

/// Asks about each part that is lacking, shows everything that changes, and carries it out once it is agreed to. A step that
/// fails stops no other.
///
/// # Errors
///
/// The person stops, or does not agree. Before they agree, nothing is written.
pub async fn init(
    client: &ClientSession,
    lacking: &InitLacking,
    request: &InitRequest,
    ask: &dyn Ask,
    sink: &dyn Sink,
) -> Result<InitDone, AppError> {
    let (mut done, mut steps) = (InitDone::default(), Vec::new());
    for lacks in &lacking.lacking {
        match InitStep::ask(client, lacks, request, ask, sink).await {
            Ok(step) => steps.extend(step),
            Err(error) => done.failed(lacks.part, unless_stopped(error)?, &lacks.command, sink),
        }
    }
    if steps.is_empty() {
        if done.failed.is_empty() {
            sink.done("nothing changes; `aiw init` asks again".into());
        }
        return Ok(done);
    }
    ask.agree(&plan(&steps), &[]).await?;
    // What takes long comes last: the others may ask.
    steps.sort_by_key(|step| matches!(step.work, InitWork::Model));
    let mut next = None;
    for step in steps {
        let (part, again, undo) = (step.part, step.again.clone(), step.undo.clone());
        match step.carry_out(client, request, ask, sink).await {
            Ok(first_run) => {
                sink.done(format!("  undo: `{undo}`"));
                done.done.push(part);
                next = next.or(first_run);
            }
            Err(error) => done.failed(part, unless_stopped(error)?, &again, sink),
        }
    }
    sink.done(format!("Next: {}", next.unwrap_or_else(|| next_step(client.home()))));
    Ok(done)
}

impl InitDone {
    fn failed(&mut self, part: InitPart, error: AppError, again: &str, sink: &dyn Sink) {
        sink.tell(Told::Failed(error.to_string()));
        if let Some(hint) = error.hint() {
            sink.step(format!("  hint: {hint}"));
        }
        sink.step(format!("  try again: `{again}`"));
        self.failed.push(part);
        self.first.get_or_insert(error);
    }
}

/// Returns all steps as one plan.
fn plan(steps: &[InitStep]) -> Plan {
    let about = steps.iter().flat_map(|step| step.about.clone()).collect();
    let effects: Vec<Effect> = steps.iter().flat_map(|step| step.effects.clone()).collect();
    Plan { about, effects, ..Plan::of("Do all of this?") }
}

/// Returns what comes after the set-up, where no provider was added.
fn next_step(home: &Home) -> String {
    match first_cli(home, &CliKind::ALL) {
        Some(cli) => format!("`aiw {cli} \"PROMPT\"`"),
        None => "`aiw cli list` shows the commands that install AI CLIs".to_owned(),
    }
}

/// Returns the first of these AI CLIs that is installed.
fn first_cli(home: &Home, clis: &[CliKind]) -> Option<CliKind> {
    clis.iter().copied().find(|cli| is_installed(home, *cli))
}

/// A person who has agreed to one plan, which was shown, and to nothing else; or one who only looks at it.
enum Standing {
    /// Notes the plan, and does not agree yet.
    Looks(parking_lot::Mutex<Option<Plan>>),
    /// Agrees to the plan of this digest.
    Agreed(String),
}

impl Standing {
    fn looks() -> Self {
        Self::Looks(parking_lot::Mutex::default())
    }

    /// Returns the plan that was asked about.
    fn plan(self) -> Option<Plan> {
        match self {
            Self::Looks(plan) => plan.into_inner(),
            Self::Agreed(_) => None,
        }
    }
}

#[async_trait::async_trait]
impl Ask for Standing {
    fn can_ask(&self, _: &[aiw_core::Question]) -> bool {
        true
    }

    async fn agree(&self, plan: &Plan, _: &[&aiw_core::Question]) -> Result<Vec<(String, aiw_core::Secret)>, AskError> {
        match self {
            Self::Looks(seen) => {
                *seen.lock() = Some(plan.clone());
                Err(AskError::Declined)
            }
            Self::Agreed(digest) if *digest == plan.digest() => Ok(Vec::new()),
            Self::Agreed(_) => {
                Err(AskError::Unreadable("it would change something else by now than you agreed to".into()))
            }
        }
    }

    async fn choose(&self, _: &aiw_core::Choice) -> Result<usize, AskError> {
        Err(AskError::NotHere)
    }

    fn is_there(&self) -> bool {
        true
    }
}
