//! `aiw model …`

use aiw_app::models::{EmbeddingModels, ModelStatus, ModelSummary, StateName, pull, remove_telemetry_files};
use aiw_history::{Indexer, Store, VectorCoverage, embedding_coverage};
use aiw_home::Home;
use schemars::JsonSchema;
use serde::Serialize;

use super::each::{FailedName, remove_each};
use crate::cli::model::ModelCommand;
use crate::failure::CliError;
use crate::output::{Output, single_entry_map};
use aiw_app::own_executable;

/// `aiw model status`, `use`, `on`, `off`
#[derive(Serialize, JsonSchema)]
pub struct ModelUse {
    /// The model in use
    pub model: ModelStatus,
    /// How far the history has vectors of it; null without a model or a history
    pub history: Option<VectorCoverage>,
}

/// `aiw model remove`
#[derive(Serialize, JsonSchema)]
pub struct ModelRemove {
    /// The names of the models that were removed
    pub removed: Vec<String>,
    /// The models that could not be removed
    pub failed: Vec<FailedName>,
}

pub async fn run(command: ModelCommand, home: &Home, output: &Output) -> Result<(), CliError> {
    home.recover()?;
    let models = EmbeddingModels::new(home.clone());
    if let Some(directory) = remove_telemetry_files(home.context()) {
        output.note(format!(
            "note: removed `{}`: the library that runs models had collected data about its use there",
            directory.display()
        ));
    }
    match command {
        ModelCommand::List => list(&models, output),
        ModelCommand::Pull(args) => {
            let observer = output.observer();
            output.set_json(pull(&models, args.name.as_deref(), args.from.as_deref(), &*observer, output).await?);
            Ok(())
        }
        ModelCommand::Use { model, runtime } => {
            let name = models.use_model(&model, runtime.as_deref())?;
            output.line(format!("Using {name}"));
            used(home, &models, output)
        }
        ModelCommand::Off => {
            models.set_enabled(false)?;
            status(home, &models, output)
        }
        ModelCommand::On => {
            models.set_enabled(true)?;
            used(home, &models, output)
        }
        ModelCommand::Remove { names } => remove(&models, &names, output),
        ModelCommand::Status => status(home, &models, output),
    }
}

/// Shows the model that is used from now on, and lets the messages that there are get their vectors meanwhile.
fn used(home: &Home, models: &EmbeddingModels, output: &Output) -> Result<(), CliError> {
    status(home, models, output)?;
    if home.history().exists() {
        Indexer::start_if_enabled(home, own_executable);
    }
    Ok(())
}

fn list(models: &EmbeddingModels, output: &Output) -> Result<(), CliError> {
    let all = models.list()?;
    let row = |model: &ModelSummary| {
        let state = match (model.pulled, model.used) {
            (_, true) => "in use",
            (true, _) => "pulled",
            _ => "-",
        };
        vec![model.name.clone(), megabytes(model.size), state.to_owned(), model.label.clone()]
    };
    output.table(&["NAME", "SIZE", "STATE", "LABEL"], &all.iter().map(row).collect::<Vec<_>>());
    output.set_json(single_entry_map("models", all));
    Ok(())
}

fn megabytes(bytes: u64) -> String {
    if bytes < 1_000_000 { "< 1 MB".into() } else { format!("{} MB", bytes / 1_000_000) }
}

fn status(home: &Home, models: &EmbeddingModels, output: &Output) -> Result<(), CliError> {
    let status = models.status()?;
    // A history that can't be read is told by its own commands.
    let store = Store::open_existing(&home.history()).ok().flatten();
    let meaning = store.and_then(|store| embedding_coverage(home, &store).ok().flatten());
    output.line(&status.message);
    for (what, value) in [
        ("model", status.name.clone()),
        ("directory", status.directory.as_ref().map(|path| path.display().to_string())),
        ("runtime", status.runtime.as_ref().map(|runtime| runtime.path.display().to_string())),
        ("history", meaning.as_ref().map(ToString::to_string)),
    ] {
        if let Some(value) = value {
            output.line(format!("  {what}: {value}"));
        }
    }
    if matches!(status.state, StateName::None | StateName::Missing) {
        output.note("`aiw model pull` gets what is missing: some 120 MB, once");
    }
    if status.state == StateName::Off {
        output.note("`aiw model on` switches it on again");
    }
    output.set_json(ModelUse { model: status, history: meaning });
    Ok(())
}

fn remove(models: &EmbeddingModels, names: &[String], output: &Output) -> Result<(), CliError> {
    let (removed, failures) = remove_each(names, output, |name| {
        models.remove(name)?;
        output.line(format!("Removed {name}"));
        Ok(name.to_owned())
    });
    output.set_json_or_error(ModelRemove { removed, failed: failures.failed }, failures.first_error)
}
