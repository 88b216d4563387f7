//! The extensions of a home: adding, showing, updating, checking and removing them, and what views show of the library of
//! components.

use aiw_core::{Plan, Prompter, ReferenceForm, Reporter, one_line, without_query};
use aiw_extensions::{Capability, CapabilityKind, ComponentFacts, Grants, World};
use aiw_home::LockedExtension;
use schemars::JsonSchema;
use serde::Serialize;

pub use aiw_components::{
    CandidateComponent, ComponentEntry, ExtensionSummary, Library, LibraryError, UpdatedExtension, VerifiedExtension,
    compiled_cache_dir,
};
pub use aiw_wasm::{COMPILE_ARGUMENT, CallError, Component, compile_main};

use crate::{AppError, ClientSession};

/// `aiw extension info`
#[warn(missing_docs)]
#[derive(Debug, Serialize, JsonSchema)]
pub struct ExtensionDetails {
    /// The fields of lists
    #[serde(flatten)]
    pub summary: ExtensionSummary,
    /// The forms of references to marketplaces that it reads
    pub references: Vec<MarketReference>,
    /// The forms of plugin sources that only it understands
    pub entry_forms: Vec<String>,
    /// The presets of providers that it adds
    pub presets: Vec<String>,
    /// The forms of names of MCP servers in the registry that it reads
    pub server_names: Vec<MarketReference>,
}

/// A form of reference to a marketplace.
#[warn(missing_docs)]
#[derive(Debug, Serialize, JsonSchema)]
pub struct MarketReference {
    /// The form: `owner/repo[@ref]`
    pub form: String,
    /// An example of it
    pub example: String,
}

/// `aiw extension verify`
#[warn(missing_docs)]
#[derive(Debug, Serialize, JsonSchema)]
pub struct ExtensionVerify {
    /// The extensions
    pub extensions: Vec<VerifiedExtension>,
}

/// `aiw extension remove`
#[warn(missing_docs)]
#[derive(Debug, Serialize, JsonSchema)]
pub struct ExtensionRemove {
    /// Its id
    pub removed: String,
    /// The marketplaces that only it can read
    pub marketplaces: Vec<String>,
    /// The providers that need it
    pub providers: Vec<String>,
}

/// Describes a component in lines: its identity, its worlds and what it may do.
fn described(about: &ComponentFacts, source: &str) -> Vec<String> {
    let manifest = &about.manifest;
    let mut lines = vec![format!("{} {}: {}", manifest.id, manifest.version, manifest.label)];
    for (name, value) in [("publisher", &manifest.publisher), ("homepage", &manifest.homepage)] {
        lines.extend(value.iter().map(|value| format!("  {name}: {value} (self-reported)")));
    }
    lines.push(format!("  from: {}", one_line(&without_query(source), 200)));
    lines.push(format!("  sha256: {}", about.sha256));
    let worlds: Vec<&str> = about.worlds.iter().map(|world| world.as_str()).collect();
    lines.push(format!("  offers: {}", worlds.join(", ")));
    lines.push("  may:".into());
    let is_wasi = |c: &&Capability| c.kind == CapabilityKind::Imports && c.value.starts_with("wasi:");
    lines
        .extend(Grants::from_facts(about).iter().filter(|c| !is_wasi(c)).map(|capability| format!("    {capability}")));
    if about.has_wasi_imports() {
        lines.push("    see an empty WASI: no files, no network, no variables".into());
    }
    lines
}

/// Adds a component of a file, a directory or a URL, once the person agrees to what it may do.
///
/// # Errors
///
/// Fails if this aiw can't use it, or the person does not agree.
pub async fn add(
    client: &ClientSession,
    source: &str,
    ask: &dyn Prompter,
    sink: &dyn Reporter,
) -> Result<ExtensionSummary, AppError> {
    let library = client.library()?;
    let candidate = library.read(source, client.app().client()?).await?;
    library.check_add(&candidate)?;
    let mut about = described(&candidate.facts, &candidate.source);
    if source.starts_with("http://") {
        about.push("the address is not encrypted: anyone on the network path can change the file".into());
    }
    let question = format!("Add {}?", candidate.facts.manifest.id);
    let mut plan = Plan { details: about, ..Plan::new(question) };
    plan.add_hidden_bytes(candidate.facts.sha256.as_bytes());
    ask.confirm(&plan, &[]).await?;
    let locked = library.add(&candidate).await?;
    sink.done(format!("Added {} {}", locked.id, locked.version));
    let id = locked.id.clone();
    Ok(ExtensionSummary::new(&ComponentEntry { id, facts: Some(candidate.facts), locked: Some(locked), problem: None }))
}

/// Updates a component. One that wants more, or is another one by its look, is agreed to first, if not `accepted` already.
/// Returns `None` if it is current.
///
/// # Errors
///
/// Fails if no component has the id, it can't be fetched, or the person does not agree.
pub async fn update(
    client: &ClientSession,
    id: &str,
    accepted: bool,
    ask: &dyn Prompter,
    sink: &dyn Reporter,
) -> Result<Option<LockedExtension>, AppError> {
    let library = client.library()?;
    let Some((candidate, mut against)) = library.check_update(id, client.app().client()?).await? else {
        return Ok(None);
    };
    if let Some(last) = against.pop().filter(|_| !accepted) {
        let mut plan = Plan::new(format!("Update {id} to this version?"));
        plan.details = against.iter().chain([&last]).map(ToString::to_string).collect();
        if !ask.is_interactive() {
            against.iter().for_each(|reason| sink.step(reason.to_string()));
            return Err(last.into());
        }
        plan.add_hidden_bytes(candidate.facts.sha256.as_bytes());
        ask.confirm(&plan, &[]).await?;
    }
    Ok(Some(library.update(&candidate).await?))
}

/// Shows a component: one that is known, or the file of one that is not added yet. Returns it in lines, too, and why it does
/// not say what it adds.
///
/// # Errors
///
/// Fails if no component has the id, or the file can't be read.
pub async fn info(
    client: &ClientSession,
    id: &str,
) -> Result<(ExtensionDetails, Vec<String>, Option<AppError>), AppError> {
    let library = client.library()?;
    let Some(known) = library.list()?.into_iter().find(|known| known.id.as_str() == id) else {
        if !id.contains(['/', '.', '\\']) {
            return Err(unknown(id));
        }
        let CandidateComponent { facts: about, source, .. } = library.read(id, client.app().client()?).await?;
        let lines = described(&about, &source);
        // Nobody agreed to run it yet, so it is not asked what it reads.
        let known = ComponentEntry { id: about.manifest.id.clone(), facts: Some(about), locked: None, problem: None };
        let summary = ExtensionSummary { origin: "candidate", ..ExtensionSummary::new(&known) };
        return Ok((details(summary), lines, None));
    };
    let mut lines = match &known.facts {
        Some(about) => described(about, known.locked.as_ref().map_or("inside aiw", |locked| &locked.source)),
        None => vec![known.problem.clone().unwrap_or_default()],
    };
    if let Some(locked) = &known.locked {
        lines.push(format!("  added: {}{}", locked.added_at, if locked.enabled { "" } else { ", disabled" }));
    }
    let mut details = details(ExtensionSummary::new(&known));
    let is_asked = known.problem.is_none() && known.is_enabled();
    let silent = if is_asked { offers(client, &known, &mut details).await.err() } else { None };
    Ok((details, lines, silent))
}

fn unknown(id: &str) -> AppError {
    LibraryError::NotFound { id: one_line(id, 80) }.into()
}

fn details(summary: ExtensionSummary) -> ExtensionDetails {
    let (references, entry_forms, presets, server_names) = Default::default();
    ExtensionDetails { summary, references, entry_forms, presets, server_names }
}

/// Asks a component what it adds. Its words are those of others.
async fn offers(
    client: &ClientSession,
    known: &ComponentEntry,
    details: &mut ExtensionDetails,
) -> Result<(), AppError> {
    let word = |text: &str| one_line(text, 80);
    let reference = |r: &ReferenceForm| MarketReference { form: word(&r.form), example: word(&r.example) };
    let references = |forms: &[ReferenceForm]| forms.iter().map(reference).collect();
    let component = client.library()?.load(known.id.as_str()).await?;
    for world in known.facts.iter().flat_map(|about| &about.worlds) {
        match world {
            World::MarketSource => {
                let info = component.market_source()?.describe().await?;
                details.references = references(&info.references);
                details.entry_forms = info.entry_forms.iter().map(|form| word(form)).collect();
            }
            World::Provider => {
                let info = component.provider()?.describe().await?;
                details.presets = info.presets.iter().map(|preset| word(&preset.id)).collect();
            }
            World::RegistrySource => {
                let info = component.registry_source()?.describe().await?;
                details.server_names = references(&info.names);
            }
        }
    }
    Ok(())
}

/// Removes a component, and tells what needs it.
///
/// # Errors
///
/// Fails if no component has the id, or it is part of aiw.
pub fn remove(client: &ClientSession, id: &str, sink: &dyn Reporter) -> Result<ExtensionRemove, AppError> {
    let gone = client.library()?.remove(id)?;
    sink.done(format!("Removed {} {}", gone.id, gone.version));
    let (settings, file) = (client.home().settings()?, client.home().providers()?);
    let markets = settings.markets().iter().filter(|market| market.extension.as_ref() == Some(&gone.id));
    let marketplaces: Vec<String> = markets.map(|market| market.name.to_string()).collect();
    if !marketplaces.is_empty() {
        sink.step(format!("these marketplaces can't be fetched without it: {}", marketplaces.join(", ")));
    }
    let providers = file.providers().iter().filter(|provider| provider.component.as_ref() == Some(&gone.id));
    let providers: Vec<String> = providers.map(|provider| provider.name.to_string()).collect();
    if !providers.is_empty() {
        sink.step(format!("these providers don't work without it: {}", providers.join(", ")));
    }
    Ok(ExtensionRemove { removed: gone.id.to_string(), marketplaces, providers })
}

/// Checks the components, or one of them. Each that is used is also compiled and called once: one that is good answers.
///
/// # Errors
///
/// Fails if no component has the id.
pub async fn verify(
    client: &ClientSession,
    id: Option<&str>,
    sink: &dyn Reporter,
) -> Result<ExtensionVerify, AppError> {
    let mut extensions = Vec::new();
    for known in client.library()?.list()?.iter().filter(|known| id.is_none_or(|id| known.id.as_str() == id)) {
        let problem = match &known.problem {
            None if known.is_enabled() => {
                let asked = offers(client, known, &mut details(ExtensionSummary::new(known))).await;
                asked.err().map(|e| e.to_string())
            }
            problem => problem.clone(),
        };
        sink.done(format!("{}: {}", known.id, problem.as_deref().unwrap_or("good")));
        extensions.push(VerifiedExtension { id: known.id.to_string(), good: problem.is_none(), problem });
    }
    match id {
        Some(id) if extensions.is_empty() => Err(unknown(id)),
        _ => Ok(ExtensionVerify { extensions }),
    }
}
