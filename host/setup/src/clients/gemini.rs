//! Gemini CLI. Seen in 0.61.0.

use aiw_core::CliKind;
use aiw_home::CliFiles;
use serde_json::{Map, Value, json};

use super::{Approval, PLAIN, Read, SetupClient, read_plain};
use crate::translate::Style;

pub(super) static CLIENT: SetupClient = SetupClient {
    id: "gemini",
    name: "Gemini CLI",
    cli: Some(CliKind::Gemini),
    about_project: Some("Gemini CLI reads the settings of a project only in folders that you trust"),
    about_calls: Some(
        "with a prompt (`-p`), Gemini CLI does not offer aiw's tools; `aiw setup gemini --approve-calls` makes it trust them",
    ),
    user: |places| places.clis.servers(CliKind::Gemini).to_owned(),
    project: Some(CliFiles::of(CliKind::Gemini).project_settings),
    read,
    approval: Approval::Field("trust", || json!(true)),
    ..PLAIN
};

/// Tells transports apart by the key of the address.
fn read(entry: &Map<String, Value>) -> Result<Read, String> {
    let own = ["trust", "includeTools", "excludeTools", "timeout", "description"];
    let mut read = read_plain(entry, Style::BareShell, &own)?;
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
