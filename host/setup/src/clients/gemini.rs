//! Gemini CLI. Seen in 0.61.0.

use aiw_core::CliKind;
use aiw_home::CliFiles;
use serde_json::{Map, Value, json};

use super::{AutoApprove, BASE_CLIENT, ParsedEntry, SetupClient, check_unlimited, read_plain};
use crate::config::Config;
use crate::translate::EnvSyntax;

pub(super) static CLIENT: SetupClient = SetupClient {
    id: "gemini",
    name: "Gemini CLI",
    cli: Some(CliKind::Gemini),
    project_note: Some("Gemini CLI reads the settings of a project only in folders that you trust"),
    approval_note: Some(
        "with a prompt (`-p`), Gemini CLI does not offer aiw's tools; `aiw setup gemini --approve-calls` makes it trust them",
    ),
    user_path: |places| places.clis.servers(CliKind::Gemini).to_owned(),
    project_path: Some(CliFiles::for_cli(CliKind::Gemini).project_settings),
    parse_entry: read,
    approval: AutoApprove::Field("trust", || json!(true)),
    disabled_reason: off,
    ..BASE_CLIENT
};

/// Gemini CLI starts only the servers that `mcp.allowed` names, if it is there, and none that `mcp.excluded` names. Before
/// 0.3 they were `allowMCPServers` and `excludeMCPServers`.
fn off(config: &Config, name: &str) -> Option<&'static str> {
    let Config::Json(settings) = config else { return None };
    let names =
        |path: &[&str]| settings.get(path).and_then(Value::as_array).map(|all| all.iter().any(|one| one == name));
    match () {
        () if names(&["mcp", "allowed"]) == Some(false) => Some("is not in `mcp.allowed` there"),
        () if names(&["mcp", "excluded"]) == Some(true) => Some("is in `mcp.excluded` there"),
        () if names(&["allowMCPServers"]) == Some(false) => Some("is not in `allowMCPServers` there"),
        () if names(&["excludeMCPServers"]) == Some(true) => Some("is in `excludeMCPServers` there"),
        () => None,
    }
}

/// Tells transports apart by the key of the address.
fn read(entry: &Map<String, Value>) -> Result<ParsedEntry, String> {
    check_unlimited(entry, &["includeTools", "excludeTools"])?;
    let own = ["trust", "includeTools", "excludeTools", "timeout", "description"];
    let mut read = read_plain(entry, EnvSyntax::BareShell, &own)?;
    let kind = if let Some(url) = read.declaration.shift_remove("httpUrl") {
        read.declaration.insert("url".into(), url);
        "http"
    } else if read.declaration.contains_key("url") && !read.declaration.contains_key("type") {
        "sse"
    } else {
        return Ok(read);
    };
    read.declaration.shift_insert(0, "type".into(), json!(kind));
    Ok(read)
}
