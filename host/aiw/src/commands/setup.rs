//! `aiw setup`

use std::collections::BTreeMap;
use std::path::Path;

use aiw_core::ErrorKind;
use aiw_home::{Home, HomeError, user_home};
use aiw_launch::Search;
use aiw_offer::{Toolset, UnknownToolset};
use aiw_setup::{Client, ClientPlaces, ClientSummary, Options, Ours, Plan, Scope, Setup};
use schemars::JsonSchema;
use serde::Serialize;

use super::each::{FailedName, Failures};
use crate::cli::setup::SetupArgs;
use crate::failure::Failure;
use crate::output::Output;
use crate::terminal;
use aiw_app::current_dir;
use aiw_app::installation::Installation;

/// `aiw setup`
#[derive(Serialize, JsonSchema)]
pub struct SetupAnswer {
    /// The clients
    pub clients: Vec<ClientSummary>,
    /// The clients that could not be set up
    pub failed: Vec<FailedName>,
    /// Whether it was only shown, and nothing written
    pub dry_run: bool,
}

pub async fn run(args: SetupArgs, output: &Output) -> Result<(), Failure> {
    let home = Home::find()?;
    let places = ClientPlaces::from_environment().ok_or(HomeError::NoHome)?;
    if !args.undo {
        check_lasting()?;
    }
    let ours = Ours { toolsets: toolsets(args.toolsets.as_deref())?, ..ours(&home)? };
    let scope = scope(&args)?;
    let named: Vec<&'static Client> = args.clients.iter().filter_map(|id| aiw_setup::client(id)).collect();
    let renames = args.rename.iter().cloned().collect();
    let setup = Setup::new(home.clone(), places.clone(), ours).with_renames(renames);
    let clients = match (named.is_empty(), args.undo) {
        (false, _) => named,
        (true, true) => setup.recorded(&scope)?,
        (true, false) => installed(&home, &places, &scope)?,
    };
    if clients.is_empty() {
        output.line("aiw is not set up in any client here");
    }
    let options = Options { import: args.import, approve_calls: approve(&clients, &args, output).await? };
    let (mut plans, mut failures): (Vec<Plan>, _) = (Vec::new(), Failures::default());
    for client in clients {
        let planned = match args.undo {
            true => setup.plan_undo(client, &scope),
            false => setup.plan_after(client, &scope, &options, &plans).map(Some),
        };
        match planned {
            Ok(Some(plan)) => plans.push(plan),
            Ok(None) => output.line(format!("{}: aiw is not set up there", client.name)),
            Err(e) => failures.add(client.id, Some(client.name), e, output),
        }
    }
    for plan in &plans {
        show(plan, args.undo, output);
    }
    let changes = plans.iter().any(|plan| !plan.is_empty());
    if changes && !args.dry_run {
        output.flush();
        let is_theirs = args.project && plans.iter().any(Plan::starts_more);
        let question = match is_theirs {
            true => "Write these changes, and start the project's servers in all your sessions?",
            false => "Write these changes?",
        };
        if !terminal::confirm(question, "--yes", args.yes).await? {
            return Err(Failure::declined("nothing was written"));
        }
    }
    let (mut clients, mut done) = (Vec::new(), Vec::new());
    for plan in plans {
        let client = plan.client;
        // After an undo without changes, the record still goes.
        let written = match args.dry_run || (plan.is_empty() && !args.undo) {
            true => Ok(plan),
            false => setup.renewed(&plan).and_then(|plan| setup.apply(&plan).map(|()| plan)),
        };
        match written {
            Ok(plan) => {
                done.extend((!plan.is_empty()).then_some(client.name));
                clients.push(ClientSummary::of(&plan));
            }
            Err(e) => failures.add(client.id, Some(client.name), e, output),
        }
    }
    if changes && !args.dry_run && !args.undo && !done.is_empty() {
        output.line(format!("aiw is set up in {}; start them again if they are running", done.join(", ")));
    }
    output.conclude(SetupAnswer { clients, failed: failures.failed, dry_run: args.dry_run }, failures.first)
}

/// Fails where this aiw is in a cache: what starts it later would not find it.
pub fn check_lasting() -> Result<(), Failure> {
    Installation::find()?.lasting_path()?;
    Ok(())
}

/// How clients start aiw: by its plain name where that is this installation, else by the path that stays when it is
/// updated.
pub fn ours(home: &Home) -> Result<Ours, Failure> {
    let installation = Installation::find()?;
    let path = installation.lasting_path().unwrap_or(&installation.path).to_owned();
    let same = |other: &Path| {
        std::fs::canonicalize(other).is_ok_and(|other| {
            other == installation.path || std::fs::canonicalize(&path).is_ok_and(|path| path == other)
        })
    };
    let directories = std::env::var_os("PATH").unwrap_or_default();
    let first = std::env::split_paths(&directories)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join("aiw"))
        .find(|path| path.is_file());
    let command = match first {
        Some(found) if same(&found) => "aiw".to_owned(),
        _ => text(&path)?,
    };
    let mut env = BTreeMap::new();
    if user_home().map(|user| user.join(".aiw")).as_deref() != Some(home.root()) {
        env.insert("AIW_HOME".to_owned(), text(home.root())?);
    }
    Ok(Ours { command, env, read_only: aiw_offer::read_only_tools(), toolsets: None })
}

/// The toolsets as a client's entry names them. One that does not exist would keep the server from starting.
fn toolsets(names: Option<&[String]>) -> Result<Option<String>, Failure> {
    let Some(names) = names else { return Ok(None) };
    let unknown = |e: UnknownToolset| Failure::new(ErrorKind::Usage, e.to_string()).with_hint(e.hint());
    Toolset::named(names).map_err(unknown)?;
    let names: Vec<&str> = names.iter().map(|name| name.trim()).collect();
    Ok(Some(names.join(",")))
}

fn text(path: &Path) -> Result<String, Failure> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| Failure::user(format!("`{}` is not text, so no configuration can name it", path.display())))
}

fn scope(args: &SetupArgs) -> Result<Scope, Failure> {
    if !args.project {
        return Ok(Scope::User);
    }
    Ok(Scope::Project(current_dir()?))
}

/// The clients that are on this machine.
fn installed(home: &Home, places: &ClientPlaces, scope: &Scope) -> Result<Vec<&'static Client>, Failure> {
    let clis = aiw_launch::detect(&Search::from_environment(), Some(home));
    let clis: Vec<_> = clis.iter().filter(|cli| cli.path.is_some()).map(|cli| cli.kind).collect();
    let fits = |client: &&&'static Client| {
        client.is_installed(places, &clis) && (*scope == Scope::User || client.has_projects())
    };
    let found: Vec<&'static Client> = aiw_setup::all().iter().filter(fits).copied().collect();
    if found.is_empty() {
        return Err(Failure::user("no MCP client was found").with_hint("name one: `aiw setup claude`"));
    }
    Ok(found)
}

/// Whether the clients may call everything: asked apart, because it means more than the entry.
async fn approve(clients: &[&Client], args: &SetupArgs, output: &Output) -> Result<bool, Failure> {
    let names: Vec<&str> = clients.iter().filter(|client| client.can_approve()).map(|client| client.name).collect();
    if !args.approve_calls || args.dry_run || names.is_empty() {
        return Ok(args.approve_calls);
    }
    output.before_question(format!(
        "With --approve-calls, {} will call all of aiw's tools without asking you: start other agents, which work in \
         your files, and use every server behind aiw",
        names.join(", ")
    ));
    output.flush();
    terminal::confirm("Approve all calls?", "--yes", args.yes).await
}

fn show(plan: &Plan, undo: bool, output: &Output) {
    match (plan.is_empty(), undo) {
        (true, false) => output.line(format!("{}: aiw is set up already", plan.client.name)),
        (true, true) => output.line(format!("{}: its files are as they were before", plan.client.name)),
        _ => {
            output.before_question(format!("{}:", plan.client.name));
            plan.changes().iter().for_each(|line| output.before_question(format!("  {line}")));
        }
    }
    plan.notes.iter().for_each(|note| output.note(format!("note: {}: {note}", plan.client.name)));
}
