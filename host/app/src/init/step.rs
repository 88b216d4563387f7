//! One step of the first set-up: the question about it, what it changes, and carrying it out.

use std::collections::BTreeSet;

use aiw_core::{
    Diagnostic, Effect, Plan, PromptError, Prompter, ProviderName, Reporter, Secret, SecretName, shell_word_in_line,
};
use aiw_home::Home;
use aiw_providers::{PreparedProvider, ProviderChanges, ProviderError, ProviderSummary, agreed_origins};
use aiw_setup::{HookScope, SetupClient};
use aiw_vectors::EmbeddingModels;

use super::lacking::{InitPart, LackingPart, first_cli, names, setup_command};
use super::standing::PlanConsent;
use crate::models::{DEFAULT_MODEL, RUNTIME};
use crate::setup::{SetupRequest, change_hooks, hooks, places, set_up};
use crate::{AppError, ClientSession, models, secrets, sync};

/// Facts that only a view knows.
#[derive(Debug, Clone, Default)]
pub struct InitRequest {
    /// aiw's tools that only read.
    pub read_only: Vec<String>,
}

/// A step that the person wants.
pub(super) struct InitStep {
    pub part: InitPart,
    /// The changes, a line each.
    pub about: Vec<String>,
    pub effects: Vec<Effect>,
    /// Digests of what a yes holds for, where the lines show a part of it.
    pub unshown: Vec<String>,
    /// The command that does the same, for where the step fails.
    pub again: String,
    /// The command that undoes it.
    pub undo: String,
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
        lacks: &LackingPart,
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
                    return Err(ProviderError::MovedMeanwhile { provider }.into());
                }
                secrets::set(home, &name, &secret)?;
                sink.done(format!("Stored the secret `{name}` of the provider `{provider}`"));
            }
            InitWork::Clients(setup, agreed) => {
                let setup = SetupRequest { read_only: request.read_only.clone(), ..setup };
                let (_, first) = set_up(home, &places(home)?, &setup, &agreed, sink).await?;
                first.map_or(Ok(()), Err)?;
            }
            InitWork::Hooks(agreed) => {
                change_hooks(home, &hooks(home)?, &HookScope::User, false, false, &agreed, sink).await?;
            }
            InitWork::Model => {
                sink.step("downloading the model".into());
                let observer = client.app().observer();
                models::pull(&EmbeddingModels::at(home.clone()), None, None, &*observer, sink).await?;
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
    ask.decide(question, false).await
}

async fn provider(
    client: &ClientSession,
    ask: &dyn Prompter,
    sink: &dyn Reporter,
) -> Result<Option<InitStep>, AppError> {
    sink.step("API providers, by preset: which one do you have a key of? Enter skips this".into());
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
        about: headed("A provider", prepared.about()),
        effects: vec![Effect::Writes(client.home().providers_path().display().to_string())],
        unshown: Vec::new(),
        again: format!("aiw provider add {name}"),
        undo: format!("aiw provider remove {name}"),
        work: InitWork::Provider(Box::new(prepared)),
    }))
}

/// Returns where the secrets of a provider go.
fn agreed(home: &Home, provider: &ProviderName) -> Result<BTreeSet<String>, AppError> {
    let file = home.providers()?;
    Ok(file.providers().iter().find(|found| found.name == *provider).map(agreed_origins).unwrap_or_default())
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
        about: headed("A provider", vec![stored]),
        effects: Vec::new(),
        unshown: Vec::new(),
        again: format!("aiw secret set {secret}"),
        undo: format!("aiw secret remove {secret}"),
        work: InitWork::Key(provider.clone(), secret.clone(), given, origins),
    }))
}

async fn clients(
    home: &Home,
    clients: &[&'static SetupClient],
    request: &InitRequest,
    ask: &dyn Prompter,
) -> Result<Option<InitStep>, AppError> {
    if !wants(&format!("Register aiw as an MCP server in {}?", names(clients)), ask).await? {
        return Ok(None);
    }
    let ids = clients.iter().map(|client| client.id.to_owned()).collect();
    let setup = SetupRequest { clients: ids, read_only: request.read_only.clone(), ..SetupRequest::default() };
    let looks = PlanConsent::dry_run();
    let planned = set_up(home, &places(home)?, &setup, &looks, &aiw_core::NonInteractive).await;
    let Some(plan) = planned_by(looks, planned.and_then(|(_, first)| first.map_or(Ok(()), |e| Err(e.into()))))? else {
        return Ok(None);
    };
    let again = setup_command(clients);
    Ok(Some(InitStep {
        part: InitPart::Clients,
        undo: format!("{again} --undo"),
        again,
        work: InitWork::Clients(setup, PlanConsent::Agreed(plan.digest())),
        about: plan.about,
        effects: plan.effects,
        unshown: plan.unshown,
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
        again: "aiw history hooks install".into(),
        undo: "aiw history hooks uninstall".into(),
        work: InitWork::Hooks(PlanConsent::Agreed(plan.digest())),
        about: headed("Hooks of the history", plan.about),
        effects: plan.effects,
        unshown: plan.unshown,
    }))
}

async fn model(bytes: u64, ask: &dyn Prompter) -> Result<Option<InitStep>, AppError> {
    let size = format!("{} MB", bytes / 1_000_000);
    if !wants(&format!("Download a model ({size}, once), so that search goes by meaning too?"), ask).await? {
        return Ok(None);
    }
    Ok(Some(InitStep {
        part: InitPart::Model,
        about: headed("A model", vec![format!("download {RUNTIME} and {DEFAULT_MODEL}: {size}")]),
        effects: Vec::new(),
        unshown: Vec::new(),
        again: "aiw model pull".into(),
        undo: format!("aiw model remove {DEFAULT_MODEL} {RUNTIME}"),
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
                let word = shell_word_in_line(&remote);
                return Ok(Some(InitStep {
                    part: InitPart::Sync,
                    about: headed("Sync", vec![format!("begin a store at {remote}, or join the one that is there")]),
                    effects: vec![Effect::Reaches(remote.clone())],
                    unshown: Vec::new(),
                    again: format!("aiw sync init {word}"),
                    undo: "aiw sync leave".into(),
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
