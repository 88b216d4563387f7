//! `aiw __docs`: the part of docs/ that is read off the code, so that it can't be wrong.

use std::fmt::Write;
use std::path::Path;

use aiw_core::ErrorKind;
use aiw_home::{STATE_PATHS, SymlinkPolicy};
use clap::Command;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::cli::groups;
use crate::failure::CliError;

pub fn write(directory: &Path) -> Result<(), CliError> {
    let mut text =
        String::from("# Commands\n\nWritten by `cargo xtask docs` from the command line's own definition.\n");
    let mut root = groups::command().term_width(100);
    root.build();
    describe(&root, &mut text);
    let io = |e: std::io::Error| {
        CliError::new(ErrorKind::Unavailable, format!("cannot write `{}`: {e}", directory.display()))
    };
    std::fs::create_dir_all(directory).map_err(io)?;
    std::fs::write(directory.join("cli.md"), text).map_err(io)?;
    std::fs::write(directory.join("json.md"), with_fields(JSON_DOC)).map_err(io)?;
    std::fs::write(directory.join("files.md"), with_paths(FILES_DOC)).map_err(io)?;
    std::fs::write(directory.join("openapi.json"), format!("{:#}\n", aiw_web::description())).map_err(io)?;
    let schema = format!("{:#}\n", aiw_home::providers_schema());
    std::fs::write(directory.join("providers.schema.json"), schema).map_err(io)
}

/// Stands for the fields of a shape that does not exist. A test fails on it.
const NO_SHAPE: &str = "\nThere is no such shape.\n\n";

/// The document with the fields of each shape between its marks: `<!-- fields: NAME -->` … `<!-- end -->`.
const JSON_DOC: &str = include_str!("../../../../docs/json.md");

/// The document with the table of the home's paths between its marks: `<!-- paths -->` … `<!-- end -->`.
const FILES_DOC: &str = include_str!("../../../../docs/files.md");

fn with_paths(document: &str) -> String {
    let (before, rest) = document.split_once("<!-- paths -->").unwrap_or((document, ""));
    let after = rest.split_once("<!-- end -->").map_or("", |(_, after)| after);
    let mut table =
        String::from("| path | room | version | may be a link | secret | trust |\n|---|---|---|---|---|---|\n");
    for kept in STATE_PATHS {
        let version = kept.version.map(|version| version.to_string()).unwrap_or_default();
        let links = match kept.links {
            SymlinkPolicy::Allowed => "yes",
            SymlinkPolicy::Refused => "no",
            SymlinkPolicy::Unmanaged => "no; what is in it is left to the programs that write there",
        };
        let _ = writeln!(
            table,
            "| `{}` | {} | {version} | {links} | {} | {} |",
            kept.path, kept.crate_name, kept.secret, kept.trust
        );
    }
    format!("{before}<!-- paths -->\n{table}<!-- end -->{after}")
}

/// The shapes that commands print, by name. Their schemas are those of the MCP tools.
// Long: a table.
fn shapes() -> Vec<(&'static str, Value)> {
    fn of<T: JsonSchema>() -> Value {
        let settings =
            SchemaSettings::draft2020_12().for_serialize().with(|settings| settings.inline_subschemas = true);
        settings.into_generator().into_root_schema_for::<T>().to_value()
    }
    macro_rules! named {
        ($($($module:ident)::+ {$($shape:ident)+})+) => {{
            $(use $($module)::+::{$($shape),+};)+
            vec![$($((stringify!($shape), of::<$shape>())),+),+]
        }};
    }
    named! {
        aiw_app { FailedId }
        aiw_app::accounts { UsageReport }
        aiw_app::attention { Attention AttentionItem AttentionMute }
        aiw_app::cli_updates { CliUpdate }
        aiw_app::budgets { BudgetRepair BudgetSummary }
        aiw_app::doctor { CheckedPart Doctor Problem }
        aiw_app::events { EventList }
        aiw_app::extensions { ExtensionDetails ExtensionRemove ExtensionSummary MarketReference UpdatedExtension VerifiedExtension }
        aiw_app::gateways { GatewayList GatewayStatus GatewaySummary GatewayToken MemberCooldown }
        aiw_app::init { InitStatus MissingPart }
        aiw_app::installation { Update }
        aiw_app::installs { ServerInstalled ServerUpdate }
        aiw_app::models { ModelPull ModelStatus ModelSummary }
        aiw_app::overview { HistoryCounts Overview ProcessCounts }
        aiw_app::history { HistoryDoctor HistoryForget HistoryImport HistorySessions HistoryShow HistorySkipped }
        aiw_app::planners { PlannerShow PlannerSummary }
        aiw_app::pools { PoolDetails }
        aiw_app::queries { HistoryHit HistorySearch HistorySession }
        aiw_app::secrets { SecretRemove }
        aiw_app::servers::login { McpLogin McpLogout }
        aiw_app::servers::look { ServerCheck }
        aiw_app::setup { HooksResult SetupResult }
        aiw_app::status { TaskStatus }
        aiw_app::tasks { TaskCounts }
        aiw_app::workflows { WorkflowResult }
        aiw_history { HistoryMessage Stats Todo Todos }
        aiw_launch { CliDetails Explanation RoleDetails TaskDetails TaskLog TaskLogLine TaskWaitResult }
        aiw_markets {
            HiddenPlugins InstalledSummary MarketSummary PluginDetails PluginSummary RemovedMarket RemovedPlugin
            PluginServerDetails SwitchedPlugin UpdatedMarket UpdatedSummary Validation
        }
        aiw_ci { CiFailedLogs CiJob CiJobLog CiLimit CiRun CiRunDetails CiRunList CiStep CiWait MonitoredBranch MonitorStopSummary }
        aiw_sync {
            SkippedFile StoreMachine SyncRuleSummary StoreSetup StoreListing StoreSnapshot StoreStatus SyncChange SyncConflict SyncDifference
            SyncLog SyncLogEntry SyncPull SyncPush SyncRekey SyncUndo PendingInstall
        }
        aiw_events { HomeEvent }
        aiw_orchestrator { CallTrace RunRecord WorkflowSummary }
        aiw_processes {
            AddedProcess ImportedProcesses Autostart EditedFile ExportedProcesses ForgottenHabits GraphNode HabitEvent HabitSuggestion HabitSuggestions SnapshotChange ProcessGraph ProcessLine ProcessLog ProcessSummaries ProcessSummary
            ProcessTemplate ProcessTemplates RemovedProcesses SignalledProcesses SnapshotDifference SnapshotList SnapshotSummary SnapshotText StoppedProcesses TemplateValue WrittenInput
        }
        aiw_providers {
            PoolMemberSummary PoolSummary PresetSummary ProviderDetails RemovedProvider RenamedProvider TestSummary
        }
        aiw_registries { RegistrySearchStatus RequiredValue RegistryServer MethodSummary }
        aiw_routing { DefinitionChange ToolMatch ServerEntry ServerStatus ServerTool }
        aiw_setup { ClientChange ClientSummary HookStatus }
        aiw_usage { Sum UsageRow }
        super::ci { CiLogLine }
        super::cli_list { OutdatedClis }
        super::each { RemovedFiles }
        super::gateway { GatewayRevoke GatewayServe }
        super::hooks { HooksStatus }
        super::mcp::http { HttpEndpoint McpToken }
        super::mcp::registry { ServerInfo }
        super::mcp::session { ClientServerEntry ClientToolEntry SessionTools }
        super::model { ModelRemove }
        super::new { NewProject }
        super::planner { PlannerTest }
        super::pool { PoolRemove }
        super::sync { SyncLeaveResult SyncScope SyncTable }
        super::task { WaitResult }
        aiw_web { WebState WebStopReport }
        super::web { WebAddress }
        super::usage { BudgetRemove }
        super::workflow { WorkflowRunList WorkflowList WorkflowDetails }
    }
}

fn with_fields(document: &str) -> String {
    let shapes = shapes();
    let mut text = String::with_capacity(document.len());
    let mut rest = document;
    while let Some((before, after)) = rest.split_once("<!-- fields: ") {
        let Some((name, after)) = after.split_once(" -->") else { break };
        let after = after.split_once("<!-- end -->").map_or(after, |(_, after)| after);
        let _ = writeln!(text, "{before}<!-- fields: {name} -->");
        match shapes.iter().find(|(known, _)| *known == name) {
            Some((_, schema)) => text.push_str(&fields(schema)),
            None => text.push_str(NO_SHAPE),
        }
        text.push_str("<!-- end -->");
        rest = after;
    }
    text + rest
}

/// A table of a shape's fields.
fn fields(schema: &Value) -> String {
    let mut table = String::from("\n| field | type | |\n|---|---|---|\n");
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let about = field["description"].as_str().unwrap_or_default().replace('\n', " ");
        let _ = writeln!(table, "| `{name}` | {} | {about} |", kind(field).replace('|', "\\|"));
    }
    table.push('\n');
    table
}

/// A type in a few words: `string or null`, `list of strings`.
fn kind(field: &Value) -> String {
    if let Some(words) = field["enum"].as_array() {
        return words
            .iter()
            .map(|word| format!("`{}`", word.as_str().unwrap_or_default()))
            .collect::<Vec<_>>()
            .join(", ");
    }
    let one = |kind: &str| match kind {
        "array" => format!("list of {}s", kind_of_items(&field["items"])),
        other => other.to_owned(),
    };
    match &field["type"] {
        Value::String(kind) => one(kind),
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).map(one).collect::<Vec<_>>().join(" or "),
        _ => match field["anyOf"].as_array() {
            Some(kinds) => kinds.iter().map(kind).collect::<Vec<_>>().join(" or "),
            None => "any".into(),
        },
    }
}

fn kind_of_items(items: &Value) -> String {
    items["type"].as_str().unwrap_or("object").to_owned()
}

fn describe(command: &Command, text: &mut String) {
    let mut shown = command.clone();
    let _ = write!(
        text,
        "\n## {}\n\n```text\n{}```\n",
        command.get_bin_name().unwrap_or("aiw"),
        trimmed(&shown.render_long_help().to_string())
    );
    command.get_subcommands().filter(|c| !c.is_hide_set()).for_each(|c| describe(c, text));
}

/// Without the blanks that clap leaves at line ends.
fn trimmed(text: &str) -> String {
    text.lines().fold(String::new(), |all, line| all + line.trim_end() + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mark_in_the_document_names_a_shape() {
        let written = with_fields(JSON_DOC);
        assert!(
            !written.contains(NO_SHAPE),
            "{:?}",
            written.split_once(NO_SHAPE).map(|(before, _)| before.lines().next_back())
        );
    }
}
