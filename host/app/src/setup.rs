//! Registering aiw in MCP clients, and its hooks in Claude Code's settings.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use aiw_core::{CliKind, Effect, Plan, PromptError, Prompter, Reporter, shell_quote};
use aiw_home::{Home, HomeError};
use aiw_launch::SearchPath;
use aiw_setup::{
    AiwEntry, ClientCheck, ClientPaths, ClientSummary, HookPlan, HookScope, HookStatus, HookSummary, Hooks, Setup,
    SetupClient, SetupError, SetupOptions, SetupScope,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::failures::{FailedName, Failures};
use crate::installation::Installation;
use crate::{AppError, ProjectFeatures, directory};

/// Which clients are set up, and how.
#[warn(missing_docs)]
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SetupRequest {
    /// The clients, by id; none for every one that is installed
    pub clients: Vec<String>,
    /// The directory of the project that it is for; none for the user
    pub project: Option<PathBuf>,
    /// Whether the servers that the clients have move to mcp.json
    pub import: bool,
    /// The names that they get there, by those that they have in a client
    pub renames: BTreeMap<String, String>,
    /// Which of aiw's toolsets the clients get; none leaves those that they have
    pub toolsets: Option<String>,
    /// The tools of aiw's that only read
    pub read_only: Vec<String>,
    /// Whether the clients may call all tools of aiw's without asking
    pub approve_calls: bool,
    /// Whether what a setup changed is restored
    pub undo: bool,
    /// Whether nothing is written
    pub dry_run: bool,
}

/// `aiw setup`
#[warn(missing_docs)]
#[derive(Debug, Serialize, JsonSchema)]
pub struct SetupResult {
    /// The clients
    pub clients: Vec<ClientSummary>,
    /// The clients that could not be set up
    pub failed: Vec<FailedName>,
    /// Whether it was only shown, and nothing written
    pub dry_run: bool,
}

/// Sets aiw up in clients, or undoes that, once all changes are agreed to. Returns the first failure, too.
///
/// # Errors
///
/// Fails if the answer is no, or nothing can be set up. Then nothing is written.
// Long: one flow from the plan to the commit.
pub async fn set_up(
    home: &Home,
    places: &ClientPaths,
    request: &SetupRequest,
    ask: &dyn Prompter,
    sink: &dyn Reporter,
) -> Result<(SetupResult, Option<SetupError>), AppError> {
    let SetupRequest { undo, dry_run, import, .. } = *request;
    let has_toolsets = home.settings()?.mcp()?.toolsets.is_some();
    if !undo {
        Installation::find()?.stable_path()?;
    }
    let ours = AiwEntry { has_toolsets, read_only_tools: request.read_only.clone(), ..ours(home)? };
    let setup_with = |toolsets: Option<String>| {
        let ours = AiwEntry { toolsets, ..ours.clone() };
        Setup::new(home.clone(), places.clone(), ours).with_renames(request.renames.clone())
    };
    let scope = request.project.clone().map_or(SetupScope::User, SetupScope::Project);
    let named: Vec<&'static SetupClient> = request.clients.iter().filter_map(|id| aiw_setup::client(id)).collect();
    let mut setup = setup_with(request.toolsets.clone());
    let clients = match (named.is_empty(), undo) {
        (false, _) => named,
        (true, true) => setup.registered_clients(&scope)?,
        (true, false) => installed(home, places, &scope)?,
    };
    if clients.is_empty() {
        sink.done("aiw is not set up in any client here".into());
    }
    let is_new =
        |client: &&'static SetupClient| setup.registered_options(client, &scope).is_ok_and(|entry| entry.is_none());
    if request.toolsets.is_none()
        && !(undo || dry_run || has_toolsets)
        && clients.iter().any(is_new)
        && let Some(wanted) = wanted_toolsets(home, ask).await?
    {
        setup = setup_with(Some(wanted));
    }
    let options = SetupOptions { import, approve_calls: approves(&clients, request, ask).await? };
    let (mut plans, mut failures) = (Vec::new(), Failures::default());
    for client in clients {
        let planned = match undo {
            true => setup.plan_undo(client, &scope),
            false => setup.plan_after(client, &scope, &options, &plans).map(Some),
        };
        match planned {
            Ok(Some(plan)) => plans.push(plan),
            Ok(None) => sink.done(format!("{}: aiw is not set up there", client.name)),
            Err(e) => failures.add(client.id, Some(client.name), e, sink),
        }
    }
    let mut about = Vec::new();
    for plan in &plans {
        let name = plan.client.name;
        match (plan.is_empty(), undo) {
            (true, false) => sink.done(format!("{name}: aiw is set up already")),
            (true, true) => sink.done(format!("{name}: its files are as they were before")),
            _ => {
                about.push(format!("{name}:"));
                about.extend(plan.changes().iter().map(|line| format!("  {line}")));
            }
        }
        plan.notes.iter().for_each(|note| sink.note(format!("{name}: {note}")));
    }
    let changes = !about.is_empty();
    if dry_run {
        about.into_iter().for_each(|line| sink.done(line));
    } else if changes {
        let is_theirs = request.project.is_some() && plans.iter().any(aiw_setup::SetupPlan::has_new_servers);
        let question = match is_theirs {
            true => "Write these changes, and start the project's servers in all your sessions?",
            false => "Write these changes?",
        };
        let files = plans.iter().flat_map(|plan| plan.files());
        let effects = files.map(|file| Effect::Writes(file.path.display().to_string())).collect();
        let mut asked = Plan { details: about, effects, ..Plan::new(question) };
        plans
            .iter()
            .flat_map(|plan| plan.files())
            .for_each(|file| asked.add_hidden_bytes(file.change_digest().as_bytes()));
        ask.confirm(&asked, &[]).await?;
    }
    let (mut clients, mut done) = (Vec::new(), Vec::new());
    for plan in plans {
        let client = plan.client;
        // After an undo without changes, the record still goes.
        let written = match dry_run || (plan.is_empty() && !undo) {
            true => Ok(plan),
            false => setup.refresh_plan(&plan).and_then(|plan| setup.apply(&plan).map(|()| plan)),
        };
        match written {
            Ok(plan) => {
                done.extend((!plan.is_empty()).then_some(client.name));
                clients.push(ClientSummary::new(&plan));
            }
            Err(e) => failures.add(client.id, Some(client.name), e, sink),
        }
    }
    if changes && !dry_run && !undo && !done.is_empty() {
        sink.done(format!("aiw is set up in {}; start them again if they are running", done.join(", ")));
    }
    Ok((SetupResult { clients, failed: failures.failed, dry_run }, failures.first_error))
}

/// Asks whether agents get all tools for what the project here has: by default they get those for processes that are declared
/// and allowed, and those that read what CI says.
async fn wanted_toolsets(home: &Home, ask: &dyn Prompter) -> Result<Option<String>, AppError> {
    if !ask.is_interactive() {
        return Ok(None);
    }
    let uses = ProjectFeatures::collect(home, directory(home)?);
    let (what, toolsets) = match (uses.declares_processes, uses.has_workflows) {
        (true, true) => ("define processes and monitor CI", "default,processes,ci"),
        (true, false) => ("define processes", "default,processes"),
        (false, true) => ("monitor CI", "default,ci"),
        (false, false) => return Ok(None),
    };
    let question = format!("Offer agents the tools that {what}, too, in every project (`--toolsets {toolsets}`)?");
    Ok(ask.ask_yes_no(&question, false).await?.then(|| toolsets.to_owned()))
}

/// Returns where the clients of the user keep their files.
pub fn client_paths(home: &Home) -> Result<ClientPaths, HomeError> {
    ClientPaths::from_context(home.context()).ok_or(HomeError::HomeNotFound)
}

/// How clients start aiw: by its plain name where that is this installation, else by the path that stays when it is
/// updated.
fn ours(home: &Home) -> Result<AiwEntry, AppError> {
    let installation = Installation::find()?;
    let path = installation.stable_path().unwrap_or(&installation.path).to_owned();
    let same = |other: &Path| {
        std::fs::canonicalize(other).is_ok_and(|other| {
            other == installation.path || std::fs::canonicalize(&path).is_ok_and(|path| path == other)
        })
    };
    let directories = home.context().variable("PATH").unwrap_or_default();
    let first = std::env::split_paths(directories)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join("aiw"))
        .find(|path| path.is_file());
    let command = match first {
        Some(found) if same(&found) => "aiw".to_owned(),
        _ => text(&path)?,
    };
    let mut env = BTreeMap::new();
    if home.context().user_home().map(|user| user.join(".aiw")).as_deref() != Some(home.root()) {
        env.insert("AIW_HOME".to_owned(), text(home.root())?);
    }
    Ok(AiwEntry { command, env, ..AiwEntry::default() })
}

fn text(path: &Path) -> Result<String, SetupError> {
    path.to_str().map(str::to_owned).ok_or_else(|| SetupError::NotUtf8 { path: path.to_owned() })
}

/// The servers in a client's own file, or why it can't be read.
pub(crate) type CheckedClient = (&'static SetupClient, Result<ClientCheck, SetupError>);

/// Looks at the servers of each client that is on this machine. Nothing is started.
pub(crate) fn check_clients(home: &Home) -> Result<Vec<CheckedClient>, AppError> {
    let (places, ours) = (client_paths(home)?, ours(home)?);
    let clis = installed_kinds(home);
    let setup = Setup::new(home.clone(), places.clone(), ours);
    let installed = aiw_setup::all().iter().filter(|client| client.is_installed(&places, &clis));
    Ok(installed.map(|client| (*client, setup.check(client))).collect())
}

/// The clients that are on this machine.
fn installed(home: &Home, places: &ClientPaths, scope: &SetupScope) -> Result<Vec<&'static SetupClient>, SetupError> {
    let clis = installed_kinds(home);
    let fits = |client: &&&'static SetupClient| {
        client.is_installed(places, &clis) && (*scope == SetupScope::User || client.has_projects())
    };
    let found: Vec<&'static SetupClient> = aiw_setup::all().iter().filter(fits).copied().collect();
    if found.is_empty() { Err(SetupError::ClientNotFound) } else { Ok(found) }
}

/// Returns the AI CLIs that are installed and where aiw is not set up as a setup would do it. None of them is started.
pub(crate) fn clients_without_aiw(home: &Home) -> Result<Vec<&'static SetupClient>, AppError> {
    let setup = Setup::new(home.clone(), client_paths(home)?, ours(home)?);
    let is_left_out = |client: &&'static SetupClient| {
        let plan = setup.plan(client, &SetupScope::User, &SetupOptions::default());
        !plan.is_ok_and(|plan| plan.is_empty())
    };
    Ok(installed_clis(home).filter(is_left_out).collect())
}

/// Whether aiw is registered in an AI CLI that is installed.
pub(crate) fn is_registered(home: &Home) -> Result<bool, AppError> {
    let setup = Setup::new(home.clone(), client_paths(home)?, ours(home)?);
    let is_in = |client| setup.registered_options(client, &SetupScope::User).is_ok_and(|options| options.is_some());
    Ok(installed_clis(home).any(is_in))
}

/// Returns the AI CLIs that are installed. None of them is started.
pub(crate) fn installed_kinds(home: &Home) -> Vec<CliKind> {
    let found = aiw_launch::detect_cached(&SearchPath::from_context(home.context()), home).into_iter();
    found.filter(|cli| cli.path.is_some()).map(|cli| cli.kind).collect()
}

fn installed_clis(home: &Home) -> impl Iterator<Item = &'static SetupClient> {
    let installed = installed_kinds(home);
    aiw_setup::all().iter().copied().filter(move |client| client.cli.is_some_and(|cli| installed.contains(&cli)))
}

/// Whether the clients may call everything: asked apart, because it means more than the entry.
async fn approves(clients: &[&SetupClient], request: &SetupRequest, ask: &dyn Prompter) -> Result<bool, PromptError> {
    let names: Vec<&str> = clients.iter().filter(|client| client.can_approve()).map(|client| client.name).collect();
    if !request.approve_calls || request.dry_run || names.is_empty() {
        return Ok(request.approve_calls);
    }
    let about = vec![format!(
        "With --approve-calls, {} will call all of aiw's tools without asking you: start other agents, which work in \
         your files, and use every server behind aiw",
        names.join(", ")
    )];
    match ask.confirm(&Plan { details: about, ..Plan::new("Approve all calls?") }, &[]).await {
        Err(PromptError::Declined) => Ok(false),
        answer => answer.map(|_| true),
    }
}

/// `aiw history hooks install`, `aiw history hooks uninstall`
#[warn(missing_docs)]
#[derive(Debug, Serialize, JsonSchema)]
pub struct HooksResult {
    /// The settings, and what changes in them
    #[serde(flatten)]
    pub settings: HookSummary,
    /// Whether nothing was written because of `--dry-run`
    pub dry_run: bool,
}

/// Returns aiw's hooks in the settings of AI CLIs.
pub fn hooks(home: &Home) -> Result<Hooks, AppError> {
    let ours = ours(home)?;
    let variables = ours.env.iter().map(|(name, value)| format!("{name}={} ", shell_quote(value)));
    let program = variables.collect::<String>() + &shell_quote(&ours.command);
    Ok(Hooks::new(home.clone(), client_paths(home)?, program))
}

/// Returns the hooks in each settings file of the AI CLIs.
pub fn hook_statuses(home: &Home) -> Result<Vec<HookStatus>, AppError> {
    let (hooks, here) = (hooks(home)?, home.context().directory().ok());
    let project = here.into_iter().flat_map(|here| [HookScope::Project(here.into()), HookScope::Local(here.into())]);
    let others = [HookScope::Codex, HookScope::Gemini];
    let all = [HookScope::User].into_iter().chain(project).chain(others);
    Ok(all.map(|scope| hooks.status(&scope)).collect())
}

/// Puts the hooks into an AI CLI's settings, or takes them out. The person is asked where they can be.
///
/// # Errors
///
/// Fails if the answer is no. Then nothing is written.
pub async fn change_hooks(
    home: &Home,
    hooks: &Hooks,
    scope: &HookScope,
    undo: bool,
    dry_run: bool,
    ask: &dyn Prompter,
    sink: &dyn Reporter,
) -> Result<HooksResult, AppError> {
    if !undo {
        Installation::find()?.stable_path()?;
    }
    let planned: HookPlan = if undo { hooks.plan_undo(scope)? } else { hooks.plan(scope)? };
    let (about, path) = (planned.changes(), planned.path().display().to_string());
    match (planned.is_empty(), undo) {
        (true, false) => sink.done(format!("the hooks are in `{path}` already")),
        (true, true) => sink.done(format!("no hooks of aiw's are in `{path}`")),
        _ if dry_run || !ask.is_interactive() => about.into_iter().for_each(|line| sink.done(line)),
        _ => {
            let effects = vec![Effect::Writes(path)];
            let mut asked = Plan { details: about, effects, ..Plan::new("Write these changes?") };
            planned.change_digest().iter().for_each(|whole| asked.add_hidden_bytes(whole.as_bytes()));
            ask.confirm(&asked, &[]).await?;
        }
    }
    if !dry_run {
        hooks.apply(&planned)?;
        if !undo {
            aiw_history::IngestQueue::new(home).prepare()?;
        }
        if !planned.is_empty() && !undo {
            let name = aiw_setup::client(scope.cli().as_str()).map_or("the CLI", |client| client.name);
            sink.done(format!("sessions of {name} are read when they end, from the next one on"));
            if *scope == HookScope::Codex {
                sink.note("Codex runs a new hook once you have reviewed it there (`/hooks`)".into());
            }
            sink.done("`aiw history import` reads those of your AI CLIs".into());
        }
    }
    Ok(HooksResult { settings: planned.summary(), dry_run })
}
