//! `aiw extension …`

use aiw_app::ClientSession;
use aiw_app::extensions::{
    CallError, Candidate, Component, ExtensionSummary, Known, LibraryError, UpdatedExtension, VerifiedExtension,
};
use aiw_core::ReferenceForm;
use aiw_extensions::{About, Capability, CapabilityKind, Grants, World};
use aiw_home::{Home, LockedExtension};
use schemars::JsonSchema;
use serde::Serialize;

use super::each::{FailedId, Failures};
use crate::cli::ExtensionCommand;
use crate::commands::{call, dev, new};
use crate::components::session;
use crate::failure::Failure;
use crate::output::{Output, under};
use crate::terminal;

/// `aiw extension update`
#[derive(Default, Serialize, JsonSchema)]
pub struct ExtensionUpdate {
    /// The extensions that were updated
    pub updated: Vec<UpdatedExtension>,
    /// The ids of those that were not
    pub unchanged: Vec<String>,
    /// The extensions that could not be updated
    pub failed: Vec<FailedId>,
}

/// `aiw extension verify`
#[derive(Serialize, JsonSchema)]
pub struct ExtensionVerify {
    /// The extensions
    pub extensions: Vec<VerifiedExtension>,
}

/// `aiw extension info`
#[derive(Serialize, JsonSchema)]
pub struct ExtensionDetails {
    /// The fields of lists
    #[serde(flatten)]
    pub summary: ExtensionSummary,
    /// The forms of references to marketplaces that it reads
    pub references: Vec<Reference>,
    /// The forms of plugin sources that only it understands
    pub entry_forms: Vec<String>,
    /// The presets of providers that it adds
    pub presets: Vec<String>,
    /// The forms of names of MCP servers in the registry that it reads
    pub server_names: Vec<Reference>,
}

/// A form of reference to a marketplace.
#[derive(Serialize, JsonSchema)]
pub struct Reference {
    /// The form: `owner/repo[@ref]`
    pub form: String,
    /// An example of it
    pub example: String,
}

/// `aiw extension enable`, `disable`
#[derive(Serialize, JsonSchema)]
pub struct SwitchedExtension {
    /// Its id
    pub id: String,
    /// Whether it is on
    pub enabled: bool,
}

/// `aiw extension remove`
#[derive(Serialize, JsonSchema)]
pub struct ExtensionRemove {
    /// Its id
    pub removed: String,
    /// The marketplaces that only it can read
    pub marketplaces: Vec<String>,
    /// The providers that need it
    pub providers: Vec<String>,
}

pub async fn run(command: ExtensionCommand, home: &Home, output: &Output) -> Result<(), Failure> {
    // Only some of these need the components.
    let client = || session(home, output);
    match command {
        ExtensionCommand::Add { source, yes } => add(&*client()?, &source, yes, output).await,
        ExtensionCommand::List => list(&*client()?, output),
        ExtensionCommand::Info { id } => info(&*client()?, &id, output).await,
        ExtensionCommand::Update { id, accept_changes } => {
            update(&*client()?, id.as_deref(), accept_changes, output).await
        }
        ExtensionCommand::Enable { id } => set_enabled(&*client()?, &id, true, output),
        ExtensionCommand::Disable { id } => set_enabled(&*client()?, &id, false, output),
        ExtensionCommand::Remove { id } => remove(&*client()?, &id, output),
        ExtensionCommand::Verify { id } => verify(&*client()?, id.as_deref(), output).await,
        ExtensionCommand::New { name, kind, lang } => new::run(&name, kind, lang, output),
        ExtensionCommand::Call(args) => call::run(&args.file, args.call, home, output).await,
        ExtensionCommand::Dev(args) => dev::run(args, home, output).await,
    }
}

/// Shows a component's identity, its worlds and what it may do.
fn describe(about: &About, source: &str, say: impl Fn(String)) {
    let manifest = &about.manifest;
    say(format!("{} {}: {}", manifest.id, manifest.version, manifest.label));
    for (name, value) in [("publisher", &manifest.publisher), ("homepage", &manifest.homepage)] {
        if let Some(value) = value {
            say(format!("  {name}: {value} (self-reported)"));
        }
    }
    say(format!("  from: {}", aiw_core::one_line(&aiw_core::without_query(source), 200)));
    say(format!("  sha256: {}", about.sha256));
    let worlds: Vec<&str> = about.worlds.iter().map(|world| world.as_str()).collect();
    say(format!("  offers: {}", worlds.join(", ")));
    say("  may:".into());
    for capability in Grants::wanted(about).iter().filter(|c| !is_wasi(c)) {
        say(format!("    {capability}"));
    }
    if about.wants_wasi() {
        say("    see an empty WASI: no files, no network, no variables".into());
    }
}

fn is_wasi(capability: &Capability) -> bool {
    capability.kind == CapabilityKind::Imports && capability.value.starts_with("wasi:")
}

async fn add(client: &ClientSession, source: &str, yes: bool, output: &Output) -> Result<(), Failure> {
    let candidate = client.library()?.read(source, client.app().client()?).await?;
    client.library()?.check_add(&candidate)?;
    describe(&candidate.about, &candidate.source, |line| output.before_question(line));
    if source.starts_with("http://") {
        output.note("the address is not encrypted: anyone on the network path can change the file");
    }
    output.flush();
    if !terminal::confirm(&format!("Add {}?", candidate.about.manifest.id), "--yes", yes).await? {
        return Err(Failure::declined("nothing was done"));
    }
    commit(client, &candidate, output).await
}

async fn commit(client: &ClientSession, candidate: &Candidate, output: &Output) -> Result<(), Failure> {
    let locked = client.library()?.add(candidate).await?;
    output.line(format!("Added {} {}", locked.id, locked.version));
    let known =
        Known { id: locked.id.clone(), about: Some(candidate.about.clone()), locked: Some(locked), problem: None };
    output.answer(under("extension", ExtensionSummary::of(&known)));
    Ok(())
}

fn list(client: &ClientSession, output: &Output) -> Result<(), Failure> {
    let known = client.library()?.list()?;
    let rows: Vec<Vec<String>> = known
        .iter()
        .map(|known| {
            let manifest = known.about.as_ref().map(|about| &about.manifest);
            let state = match (&known.problem, &known.locked, known.enabled()) {
                (Some(_), ..) => "broken",
                (None, None, _) => "bundled",
                (None, Some(_), true) => "installed",
                (None, Some(_), false) => "disabled",
            };
            let version = manifest.map_or_else(String::new, |m| m.version.clone());
            vec![known.id.to_string(), version, state.into(), manifest.map_or_else(String::new, |m| m.label.clone())]
        })
        .collect();
    output.table(&["ID", "VERSION", "STATE", "LABEL"], &rows);
    known.iter().filter_map(|k| k.problem.as_ref()).for_each(|problem| output.note(problem));
    output.answer(under("extensions", known.iter().map(ExtensionSummary::of).collect::<Vec<_>>()));
    Ok(())
}

async fn info(client: &ClientSession, id: &str, output: &Output) -> Result<(), Failure> {
    let known = client.library()?.list()?.into_iter().find(|known| known.id.as_str() == id);
    let known = match known {
        Some(known) => known,
        // A file that is not added yet can be looked at as well.
        None if id.contains(['/', '.', '\\']) => {
            let candidate = client.library()?.read(id, client.app().client()?).await?;
            describe(&candidate.about, &candidate.source, |line| output.line(line));
            let known = Known {
                id: candidate.about.manifest.id.clone(),
                about: Some(candidate.about),
                locked: None,
                problem: None,
            };
            // Nobody agreed to run it yet, so it is not asked what it reads.
            let summary = ExtensionSummary { origin: "candidate", ..ExtensionSummary::of(&known) };
            output.answer(under("extension", details(summary)));
            return Ok(());
        }
        None => return Err(LibraryError::Unknown { id: aiw_core::one_line(id, 80) }.into()),
    };
    match (&known.about, &known.problem) {
        (Some(about), _) => {
            describe(about, known.locked.as_ref().map_or("inside aiw", |l| &l.source), |line| output.line(line));
        }
        (None, problem) => output.line(problem.clone().unwrap_or_default()),
    }
    if let Some(locked) = &known.locked {
        output.line(format!("  added: {}{}", locked.added_at, if locked.enabled { "" } else { ", disabled" }));
    }
    let mut details = details(ExtensionSummary::of(&known));
    if known.problem.is_none() && known.enabled() {
        match offers(client, &known, &mut details).await {
            Ok(()) => show_offers(&details, output),
            Err(failure) => output.note(format!("it does not say what it reads: {}", failure.message())),
        }
    }
    output.answer(under("extension", details));
    Ok(())
}

fn details(summary: ExtensionSummary) -> ExtensionDetails {
    let (references, entry_forms, presets, server_names) = Default::default();
    ExtensionDetails { summary, references, entry_forms, presets, server_names }
}

/// Asks a component what it adds. Its words are those of others.
async fn offers(client: &ClientSession, known: &Known, details: &mut ExtensionDetails) -> Result<(), Failure> {
    let word = |text: &str| aiw_core::one_line(text, 80);
    let reference = |r: &ReferenceForm| Reference { form: word(&r.form), example: word(&r.example) };
    let references = |forms: &[ReferenceForm]| forms.iter().map(reference).collect();
    let component = client.library()?.load(known.id.as_str()).await?;
    for world in known.about.iter().flat_map(|about| &about.worlds) {
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

fn show_offers(details: &ExtensionDetails, output: &Output) {
    let forms = [("references to marketplaces", &details.references), ("names of MCP servers", &details.server_names)];
    for (name, forms) in forms.into_iter().filter(|(_, forms)| !forms.is_empty()) {
        output.line(format!("  {name}:"));
        for Reference { form, example } in forms {
            output.line(format!("    {form}, for example `{example}`"));
        }
    }
    for (name, words) in [("plugin sources", &details.entry_forms), ("provider presets", &details.presets)] {
        if !words.is_empty() {
            output.line(format!("  {name}: {}", words.join(", ")));
        }
    }
}

async fn update(client: &ClientSession, id: Option<&str>, accept: bool, output: &Output) -> Result<(), Failure> {
    let ids: Vec<String> = match id {
        Some(id) => vec![id.to_owned()],
        None => {
            client.library()?.list()?.into_iter().filter(|k| k.locked.is_some()).map(|k| k.id.to_string()).collect()
        }
    };
    let (mut updated, mut unchanged, mut failures) = (Vec::new(), Vec::new(), Failures::default());
    for id in ids {
        match update_one(client, &id, accept, output).await {
            Ok(Some(locked)) => {
                output.line(format!("Updated {id} to {} (sha256 {})", locked.version, &locked.sha256[..12]));
                updated.push(UpdatedExtension { id, version: locked.version, sha256: locked.sha256 });
            }
            Ok(None) => {
                output.line(format!("{id} is up to date"));
                unchanged.push(id);
            }
            Err(failure) => failures.add(&id, Some(&id), failure, output),
        }
    }
    match failures.first {
        // Of one that was named, the error alone.
        Some(failure) if id.is_some() => Err(failure),
        first => output.conclude(ExtensionUpdate { updated, unchanged, failed: failures.failed }, first),
    }
}

/// `None` when the component is current.
async fn update_one(
    client: &ClientSession,
    id: &str,
    accept: bool,
    output: &Output,
) -> Result<Option<LockedExtension>, Failure> {
    let Some((candidate, mut against)) = client.library()?.check_update(id, client.app().client()?).await? else {
        return Ok(None);
    };
    if let Some(last) = against.pop().filter(|_| !accept) {
        against.iter().for_each(|reason| output.note(reason.to_string()));
        if !terminal::can_ask() {
            return Err(last.into());
        }
        output.note(last.to_string());
        if !terminal::confirm("Agree to it?", "--accept-changes", false).await? {
            return Err(Failure::declined("nothing was done"));
        }
    }
    Ok(Some(client.library()?.update(&candidate).await?))
}

fn set_enabled(client: &ClientSession, id: &str, enabled: bool, output: &Output) -> Result<(), Failure> {
    client.library()?.set_enabled(id, enabled)?;
    output.line(format!("{id}: {}", if enabled { "enabled" } else { "disabled" }));
    output.answer(under("extension", SwitchedExtension { id: id.to_owned(), enabled }));
    Ok(())
}

fn remove(client: &ClientSession, id: &str, output: &Output) -> Result<(), Failure> {
    let gone = client.library()?.remove(id)?;
    output.line(format!("Removed {} {}", gone.id, gone.version));
    let settings = client.home().settings()?;
    let markets = settings.markets().iter().filter(|market| market.extension.as_ref() == Some(&gone.id));
    let marketplaces: Vec<String> = markets.map(|market| market.name.to_string()).collect();
    if !marketplaces.is_empty() {
        output.note(format!("these marketplaces can't be fetched without it: {}", marketplaces.join(", ")));
    }
    let file = client.home().providers()?;
    let providers = file.providers().iter().filter(|provider| provider.component.as_ref() == Some(&gone.id));
    let providers: Vec<String> = providers.map(|provider| provider.name.to_string()).collect();
    if !providers.is_empty() {
        output.note(format!("these providers don't work without it: {}", providers.join(", ")));
    }
    output.answer(ExtensionRemove { removed: gone.id.to_string(), marketplaces, providers });
    Ok(())
}

async fn verify(client: &ClientSession, id: Option<&str>, output: &Output) -> Result<(), Failure> {
    let known = client.library()?.list()?;
    let wanted: Vec<&Known> = known.iter().filter(|k| id.is_none_or(|id| k.id.as_str() == id)).collect();
    if let (Some(id), true) = (id, wanted.is_empty()) {
        return Err(LibraryError::Unknown { id: aiw_core::one_line(id, 80) }.into());
    }
    let mut extensions = Vec::new();
    let mut bad = Vec::new();
    for known in wanted {
        let problem = match &known.problem {
            Some(problem) => Some(problem.clone()),
            None if !known.enabled() => None,
            // It is also compiled and called once: what is listed as good answers.
            None => match client.library()?.load(known.id.as_str()).await {
                Ok(component) => describes_itself(&component, known).await.err().map(|e| e.to_string()),
                Err(e) => Some(e.to_string()),
            },
        };
        output.line(format!("{}: {}", known.id, problem.as_deref().unwrap_or("good")));
        if problem.is_some() {
            bad.push(known.id.to_string());
        }
        extensions.push(VerifiedExtension { id: known.id.to_string(), good: problem.is_none(), problem });
    }
    let failure =
        (!bad.is_empty()).then(|| Failure::new(aiw_core::ErrorKind::Config, format!("invalid: {}", bad.join(", "))));
    output.conclude(ExtensionVerify { extensions }, failure)
}

/// Calls the function that each of its worlds has.
async fn describes_itself(component: &Component, known: &Known) -> Result<(), CallError> {
    for world in known.about.iter().flat_map(|about| &about.worlds) {
        match world {
            World::MarketSource => drop(component.market_source()?.describe().await?),
            World::Provider => drop(component.provider()?.describe().await?),
            World::RegistrySource => drop(component.registry_source()?.describe().await?),
        }
    }
    Ok(())
}
