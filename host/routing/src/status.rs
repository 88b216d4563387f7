//! The state of the servers of a session, as it is shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use aiw_servers::{ServerScope, Transport};

use crate::definition;
use crate::injection::InjectionPatterns;
use crate::names::to_proxied_name;
use crate::record::ServerRecord;
use crate::slot::{ServerState, Slot};

/// The state of a server.
#[derive(Debug, Clone)]
pub struct SlotStatus {
    /// Its key.
    pub name: String,
    /// Where it is declared.
    pub scope: ServerScope,
    /// How it is reached; none if its entry can't be used.
    pub transport: Option<Transport>,
    /// The command that it runs, or the address that it reaches.
    pub target: String,
    /// Whether it is offered to clients.
    pub enabled: bool,
    /// Its state in this process.
    pub state: ServerState,
    /// Its process.
    pub pid: Option<u32>,
    /// Why it can't be used, or failed last.
    pub error: Option<String>,
    /// The record of its last start.
    pub record: Option<Arc<ServerRecord>>,
    /// The cost of its tools for a client, in tokens.
    pub tokens: usize,
}

/// Returns the state of the server of a slot.
pub(crate) fn status(slot: &Arc<Slot>) -> SlotStatus {
    let (state, pid, error) = slot.state();
    let record = slot.record();
    let server = slot.config.server.as_ref();
    SlotStatus {
        name: slot.key().to_owned(),
        scope: slot.config.scope,
        transport: server.ok().map(|server| server.transport),
        target: server.map(aiw_servers::DeclaredServer::target).unwrap_or_default(),
        enabled: slot.config.settings.enabled,
        state,
        pid,
        error: server.err().cloned().or(error),
        tokens: record.as_ref().map_or(0, |record| tokens(slot.key(), record)),
        record,
    }
}

/// The tokens that a server's tools cost a client.
fn tokens(server: &str, record: &ServerRecord) -> usize {
    record.accepted_tools().map(|tool| tool.tokens_with_name(&to_proxied_name(server, tool.name()))).sum()
}

/// Returns the injection_findings about the tools of each server.
pub fn server_findings(statuses: &[SlotStatus]) -> Vec<(String, String, String)> {
    let names: BTreeMap<String, Vec<&str>> = statuses
        .iter()
        .flat_map(|status| status.record.iter().flat_map(|r| &r.tools).map(move |tool| (status, tool.name())))
        .fold(BTreeMap::new(), |mut all, (status, tool)| {
            all.entry(tool.to_lowercase()).or_insert_with(Vec::new).push(status.name.as_str());
            all
        });
    let (mut found, signs) = (Vec::new(), InjectionPatterns::new());
    for status in statuses {
        let others = |word: &str| names.get(word).is_some_and(|servers| servers.iter().any(|s| *s != status.name));
        for tool in status.record.iter().flat_map(|record| &record.tools) {
            let sentences = definition::definition_findings(&tool.value(), &signs, &others);
            found.extend(sentences.into_iter().map(|s| (status.name.clone(), tool.name().to_owned(), s)));
        }
    }
    found
}
