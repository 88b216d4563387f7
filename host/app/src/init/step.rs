//! One step of the first set-up: the question about it, what it changes, and carrying it out.

use std::collections::BTreeSet;

use aiw_core::{
    Diagnostic, Effect, Plan, PromptError, Prompter, ProviderName, Reporter, Secret, SecretName, shell_quote_printable,
};
use aiw_home::Home;
use aiw_providers::{PreparedProvider, ProviderChanges, ProviderError, ProviderSummary, approved_origins};
use aiw_setup::{HookScope, SetupClient};
use aiw_vectors::EmbeddingModels;

use super::lacking::{InitPart, MissingPart, first_cli, join_client_names, setup_command};
use super::standing::PlanConsent;
use crate::models::{DEFAULT_MODEL, RUNTIME_NAME};
use crate::setup::{SetupRequest, change_hooks, client_paths, hooks, set_up};
use crate::{AppError, ClientSession, models, secrets, sync};

/// Facts that only a view knows.
#[derive(Debug, Clone, Default)]
pub struct InitRequest {
    /// aiw's tools that only read.
    pub read_only_tools: Vec<String>,
}

/// A step that the person wants.
pub(super) struct InitStep {
    pub part: InitPart,
    /// The changes, a line each.
    pub changes: Vec<String>,
    pub effects: Vec<Effect>,
    /// Digests of what a yes holds for, where the lines show a part of it.
    pub hidden_digests: Vec<String>,
    /// The command that does the same, for where the step fails.
    pub retry_command: String,
    /// The command that undoes it.
    pub undo_command: String,
    pub work: InitWork,
}

/// The work of a step.
pub(super) enum InitWork {
    Provider(Box<PreparedProvider>),
    /// The key of a provider that is there, and the origins for which it was typed.
    Key(ProviderName, SecretName, Secret, BTreeSet<String>),
    /// Clients, and the plan that was shown.
    Clients(SetupRequest, PlanConsent),
    Hooks(PlanConsent),
    Model,
    /// A remote.
    Sync(String),
}

impl InitStep {
    /// Asks about a part. `None` if the person skips it, or nothing would change.
    pub async fn ask(
        client: &ClientSession,
        lacks: &MissingPart,
        request: &InitRequest,
        ask: &dyn Prompter,
        sink: &dyn Reporter,
    ) -> Result<Option<Self>, AppError> {
        let home = client.home();
        match lacks.part {
            InitPart::Provider => match &lacks.key {
                Some((provider, secret)) => key(home, provider, secret, ask).await,
                None => provider(client, ask, sink).await,
            },
            InitPart::Clients => clients(home, &lacks.clients, request, ask).await,
            InitPart::Hooks => history_hooks(home, ask).await,
            InitPart::Model => model(lacks.bytes, ask).await,
            InitPart::Sync => remote(client, ask, sink).await,
        }
    }

    /// Does it, as its command would. Returns the first command to type after it, if it has one.
    pub async fn carry_out(
        self,
        client: &ClientSession,
        request: &InitRequest,
        ask: &dyn Prompter,
        sink: &dyn Reporter,
    ) -> Result<Option<String>, AppError> {
        let home = client.home();
        match self.work {
            InitWork::Provider(prepared) => {
                let added = client.providers()?.add_prepared(*prepared).await?;
                added.notes.into_iter().for_each(|note| sink.note(note));
                let ProviderSummary { name, clis, gateway, .. } = added.provider;
                sink.done(format!("Added provider `{name}`"));
                let cli = first_cli(home, &[clis, gateway].concat());
                return Ok(cli.map(|cli| format!("`aiw {cli} -p {name} \"PROMPT\"`")));
            }
            InitWork::Key(provider, name, secret, origins) => {
                if agreed(home, &provider)? != origins {
                    return Err(ProviderError::ConcurrentMove { provider }.into());
                }
                secrets::set(home, &name, &secret)?;
                sink.done(format!("Stored the secret `{name}` of the provider `{provider}`"));
            }
            InitWork::Clients(setup, agreed) => {
                let setup = SetupRequest { read_only: request.read_only_tools.clone(), ..setup };
                let (_, first) = set_up(home, &client_paths(home)?, &setup, &agreed, sink).await?;
                first.map_or(Ok(()), Err)?;
            }
            InitWork::Hooks(agreed) => {
                change_hooks(home, &hooks(home)?, &HookScope::User, false, false, &agreed, sink).await?;
            }
            InitWork::Model => {
                sink.step("downloading the model".into());
                let observer = client.app().observer();
                models::pull(&EmbeddingModels::new(home.clone()), None, None, &*observer, sink).await?;
            }
            InitWork::Sync(remote) => {
                let own = sync::open(client.app(), home)?;
                let begun = sync::begin_or_join(&own, &remote, ask, sink).await?;
                let next = if begun.snapshots == 0 { "push" } else { "pull" };
                sink.done(format!(
                    "`{}` synchronizes with `{}` now; `aiw sync {next}` begins",
                    begun.machine, begun.remote
                ));
            }
        }
        Ok(None)
    }
}

/// Asks whether a part is wanted. Enter skips it.
async fn wants(question: &str, ask: &dyn Prompter) -> Result<bool, PromptError> {
    ask.ask_yes_no(question, false).await
}

async fn provider(
    client: &ClientSession,
    ask: &dyn Prompter,
    sink: &dyn Reporter,
) -> Result<Option<InitStep>, AppError> {
    sink.step("Which API provider do you have a key for?".into());
    let providers = client.providers()?;
    client.notes().into_iter().for_each(|note| sink.note(note));
    let prepared = match providers.prepare(None, &ProviderChanges::default(), ask, sink).await {
        Ok(prepared) => prepared,
        Err(error) if matches!(error.prompt_error(), Some(PromptError::Declined)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let name = prepared.name().clone();
    Ok(Some(InitStep {
        part: InitPart::Provider,
        changes: headed("A provider", prepared.summary_lines()),
        effects: vec![Effect::Writes(client.home().providers_path().display().to_string())],
        hidden_digests: Vec::new(),
        retry_command: format!("aiw provider add {name}"),
        undo_command: format!("aiw provider remove {name}"),
        work: InitWork::Provider(Box::new(prepared)),
    }))
}

/// Returns where the secrets of a provider go.
fn agreed(home: &Home, provider: &ProviderName) -> Result<BTreeSet<String>, AppError> {
    let file = home.providers()?;
    Ok(file.providers().iter().find(|found| found.name == *provider).map(approved_origins).unwrap_or_default())
}

/// Asks for the key of a provider that is there.
async fn key(
    home: &Home,
    provider: &ProviderName,
    secret: &SecretName,
    ask: &dyn Prompter,
) -> Result<Option<InitStep>, AppError> {
    let origins = agreed(home, provider)?;
    let at = match origins.is_empty() {
        true => String::new(),
        false => format!(" for {}", Vec::from_iter(origins.iter().map(String::as_str)).join(" and ")),
    };
    let words = format!("Key of the provider `{provider}`{at} (empty for none):");
    let Some(given) = ask.secret(&words).await? else { return Ok(None) };
    let stored = format!("+ the key of `{provider}`, in the vault, encrypted, as `{secret}`");
    Ok(Some(InitStep {
        part: InitPart::Provider,
        changes: headed("A provider", vec![stored]),
        effects: Vec::new(),
        hidden_digests: Vec::new(),
        retry_command: format!("aiw secret set {secret}"),
        undo_command: format!("aiw secret remove {secret}"),
        work: InitWork::Key(provider.clone(), secret.clone(), given, origins),
    }))
}

async fn clients(
    home: &Home,
    clients: &[&'static SetupClient],
    request: &InitRequest,
    ask: &dyn Prompter,
) -> Result<Option<InitStep>, AppError> {
    if !wants(&format!("Register aiw as an MCP server in {}?", join_client_names(clients)), ask).await? {
        return Ok(None);
    }
    let ids = clients.iter().map(|client| client.id.to_owned()).collect();
    let setup = SetupRequest { clients: ids, read_only: request.read_only_tools.clone(), ..SetupRequest::default() };
    let looks = PlanConsent::dry_run();
    let planned = set_up(home, &client_paths(home)?, &setup, &looks, &aiw_core::NonInteractive).await;
    let Some(plan) = planned_by(looks, planned.and_then(|(_, first)| first.map_or(Ok(()), |e| Err(e.into()))))? else {
        return Ok(None);
    };
    let again = setup_command(clients);
    Ok(Some(InitStep {
        part: InitPart::Clients,
        undo_command: format!("{again} --undo"),
        retry_command: again,
        work: InitWork::Clients(setup, PlanConsent::Agreed(plan.digest())),
        changes: plan.details,
        effects: plan.effects,
        hidden_digests: plan.hidden_digests,
    }))
}

async fn history_hooks(home: &Home, ask: &dyn Prompter) -> Result<Option<InitStep>, AppError> {
    let question = "Have Claude Code's sessions read for `aiw history search` when they end, by hooks in its settings?";
    if !wants(question, ask).await? {
        return Ok(None);
    }
    let (looks, scope) = (PlanConsent::dry_run(), HookScope::User);
    let planned = change_hooks(home, &hooks(home)?, &scope, false, false, &looks, &aiw_core::NonInteractive).await;
    let Some(plan) = planned_by(looks, planned.map(drop))? else { return Ok(None) };
    Ok(Some(InitStep {
        part: InitPart::Hooks,
        retry_command: "aiw history hooks install".into(),
        undo_command: "aiw history hooks uninstall".into(),
        work: InitWork::Hooks(PlanConsent::Agreed(plan.digest())),
        changes: headed("Hooks of the history", plan.details),
        effects: plan.effects,
        hidden_digests: plan.hidden_digests,
    }))
}

async fn model(bytes: u64, ask: &dyn Prompter) -> Result<Option<InitStep>, AppError> {
    let size = format!("{} MB", bytes / 1_000_000);
    if !wants(&format!("Download a model ({size}, once), so that search goes by meaning too?"), ask).await? {
        return Ok(None);
    }
    Ok(Some(InitStep {
        part: InitPart::Model,
        changes: headed("A model", vec![format!("download {RUNTIME_NAME} and {DEFAULT_MODEL}: {size}")]),
        effects: Vec::new(),
        hidden_digests: Vec::new(),
        retry_command: "aiw model pull".into(),
        undo_command: format!("aiw model remove {DEFAULT_MODEL} {RUNTIME_NAME}"),
        work: InitWork::Model,
    }))
}

/// Asks for a remote until its address can be used. It is looked at when the step is carried out.
async fn remote(client: &ClientSession, ask: &dyn Prompter, sink: &dyn Reporter) -> Result<Option<InitStep>, AppError> {
    let own = sync::open(client.app(), client.home())?;
    sink.step("Your configuration can travel to your other machines, encrypted, by a folder, a git repository, WebDAV, S3 or Google Drive".into());
    loop {
        let Some(said) = ask.text("Address of the remote (empty for none):").await? else { return Ok(None) };
        // As an address, it would be a folder of that name.
        if ["y", "n", "yes", "no"].contains(&said.to_lowercase().as_str()) {
            sink.step(format!("`{said}` is not an address: type one, or nothing for no remote"));
            continue;
        }
        match own.check_address(&said) {
            Ok(remote) => {
                let word = shell_quote_printable(&remote);
                return Ok(Some(InitStep {
                    part: InitPart::Sync,
                    changes: headed("Sync", vec![format!("begin a store at {remote}, or join the one that is there")]),
                    effects: vec![Effect::Connects(remote.clone())],
                    hidden_digests: Vec::new(),
                    retry_command: format!("aiw sync init {word}"),
                    undo_command: "aiw sync leave".into(),
                    work: InitWork::Sync(remote),
                }));
            }
            Err(error) => sink.step(error.to_string()),
        }
    }
}

/// Returns the plan that a verb asked about; `None` if it has nothing to do.
fn planned_by(looks: PlanConsent, ended: Result<(), AppError>) -> Result<Option<Plan>, AppError> {
    match (looks.plan(), ended) {
        (Some(plan), _) => Ok(Some(plan)),
        (None, ended) => ended.map(|()| None),
    }
}

fn headed(heading: &str, lines: Vec<String>) -> Vec<String> {
    let lines = lines.into_iter().map(|line| format!("  {line}"));
    [format!("{heading}:")].into_iter().chain(lines).collect()
}
