//! `aiw extension …`

use aiw_app::ClientSession;
use aiw_app::extensions::{self, ExtensionDetails, ExtensionSummary, MarketReference, UpdatedExtension};
use aiw_core::ErrorKind;
use aiw_home::Home;
use schemars::JsonSchema;
use serde::Serialize;

use super::each::{CommandFailures, FailedId};
use crate::ask::TerminalPrompter;
use crate::cli::ExtensionCommand;
use crate::commands::{call, dev, new};
use crate::components::session;
use crate::failure::CliError;
use crate::output::{Output, single_entry_map};

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

/// `aiw extension enable`, `disable`
#[derive(Serialize, JsonSchema)]
pub struct SwitchedExtension {
    /// Its id
    pub id: String,
    /// Whether it is on
    pub enabled: bool,
}

pub async fn run(command: ExtensionCommand, home: Result<Home, CliError>, output: &Output) -> Result<(), CliError> {
    // Only some of these need the components, or a home.
    let client = |home: Result<Home, CliError>| session(&home?, output);
    match command {
        ExtensionCommand::Add { source, yes } => {
            let added = extensions::add(&*client(home)?, &source, &TerminalPrompter::new(output, yes), output).await;
            let added = added.map_err(|e| CliError::from(e).with_declined_message("nothing was done"))?;
            output.set_json_or_error(single_entry_map("extension", added), None)
        }
        ExtensionCommand::List => list(&*client(home)?, output),
        ExtensionCommand::Info { id } => info(&*client(home)?, &id, output).await,
        ExtensionCommand::Update { id, accept_changes } => {
            update(&*client(home)?, id.as_deref(), accept_changes, output).await
        }
        ExtensionCommand::Enable { id } => set_enabled(&*client(home)?, &id, true, output),
        ExtensionCommand::Disable { id } => set_enabled(&*client(home)?, &id, false, output),
        ExtensionCommand::Remove { id } => {
            output.set_json_or_error(extensions::remove(&*client(home)?, &id, output)?, None)
        }
        ExtensionCommand::Verify { id } => {
            let checked = extensions::verify(&*client(home)?, id.as_deref(), output).await?;
            let bad = checked.extensions.iter().filter(|one| !one.good).map(|one| one.id.as_str()).collect::<Vec<_>>();
            let failure = CliError::new(ErrorKind::Config, format!("invalid: {}", bad.join(", ")));
            let failure = (!bad.is_empty()).then_some(failure);
            output.set_json_or_error(checked, failure)
        }
        ExtensionCommand::New { name, kind, lang } => new::run(&name, kind, lang, output),
        ExtensionCommand::Call(args) => call::run(&args.file, args.call, home.ok().as_ref(), output).await,
        ExtensionCommand::Dev(args) => dev::run(args, home.ok().as_ref(), output).await,
    }
}

fn list(client: &ClientSession, output: &Output) -> Result<(), CliError> {
    let known = client.library()?.list()?;
    let rows: Vec<Vec<String>> = known
        .iter()
        .map(|known| {
            let manifest = known.facts.as_ref().map(|about| &about.manifest);
            let state = match (&known.problem, &known.locked, known.is_enabled()) {
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
    output.set_json(single_entry_map("extensions", known.iter().map(ExtensionSummary::new).collect::<Vec<_>>()));
    Ok(())
}

async fn info(client: &ClientSession, id: &str, output: &Output) -> Result<(), CliError> {
    let (details, lines, silent) = extensions::info(client, id).await?;
    lines.iter().for_each(|line| output.line(line));
    match silent {
        Some(error) => output.note(format!("it does not say what it reads: {error}")),
        None => show_offers(&details, output),
    }
    output.set_json_or_error(single_entry_map("extension", details), None)
}

fn show_offers(details: &ExtensionDetails, output: &Output) {
    let forms = [("references to marketplaces", &details.references), ("names of MCP servers", &details.server_names)];
    for (name, forms) in forms.into_iter().filter(|(_, forms)| !forms.is_empty()) {
        output.line(format!("  {name}:"));
        for MarketReference { form, example } in forms {
            output.line(format!("    {form}, for example `{example}`"));
        }
    }
    for (name, words) in [("plugin sources", &details.entry_forms), ("provider presets", &details.presets)] {
        if !words.is_empty() {
            output.line(format!("  {name}: {}", words.join(", ")));
        }
    }
}

async fn update(client: &ClientSession, id: Option<&str>, accept: bool, output: &Output) -> Result<(), CliError> {
    let ids: Vec<String> = match id {
        Some(id) => vec![id.to_owned()],
        None => {
            client.library()?.list()?.into_iter().filter(|k| k.locked.is_some()).map(|k| k.id.to_string()).collect()
        }
    };
    let (mut updated, mut unchanged, mut failures) = (Vec::new(), Vec::new(), CommandFailures::default());
    let person = TerminalPrompter::new(output, false);
    for id in ids {
        match extensions::update(client, &id, accept, &person, output).await {
            Ok(Some(locked)) => {
                output.line(format!("Updated {id} to {} (sha256 {})", locked.version, &locked.sha256[..12]));
                updated.push(UpdatedExtension { id, version: locked.version, sha256: locked.sha256 });
            }
            Ok(None) => {
                output.line(format!("{id} is up to date"));
                unchanged.push(id);
            }
            Err(e) => {
                let failure = CliError::from(e).with_declined_message("nothing was done");
                failures.add(&id, Some(&id), failure, output);
            }
        }
    }
    match failures.first_error {
        // Of one that was named, the error alone.
        Some(failure) if id.is_some() => Err(failure),
        first => output.set_json_or_error(ExtensionUpdate { updated, unchanged, failed: failures.failed }, first),
    }
}

fn set_enabled(client: &ClientSession, id: &str, enabled: bool, output: &Output) -> Result<(), CliError> {
    client.library()?.set_enabled(id, enabled)?;
    output.line(format!("{id}: {}", if enabled { "enabled" } else { "disabled" }));
    output.set_json(single_entry_map("extension", SwitchedExtension { id: id.to_owned(), enabled }));
    Ok(())
}
