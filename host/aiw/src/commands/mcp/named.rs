//! Tools as people write them: `SERVER/TOOL`, as all lists show them; and `SERVER__TOOL`, as clients do.

use aiw_routing::{Pool, PoolError, Record, proxied};

/// A server, and one of its tools if one is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub server: String,
    pub tool: Option<String>,
}

/// Returns the server or tool that a word names. A server's whole name counts first, since it may have a `/` or `__` in
/// it.
pub(super) fn named(word: &str, pool: &Pool) -> Result<Named, PoolError> {
    let statuses = pool.status();
    let servers = statuses.iter().map(|status| (status.name.as_str(), status.record.as_deref())).collect::<Vec<_>>();
    find(word, &servers).ok_or_else(|| PoolError::NoServer {
        name: word.split('/').next().unwrap_or(word).to_owned(),
        known: servers.iter().map(|(server, _)| (*server).to_owned()).collect(),
    })
}

/// Finds the server or tool among servers and their records.
pub fn find(word: &str, servers: &[(&str, Option<&Record>)]) -> Option<Named> {
    let is_server = |name: &str| servers.iter().any(|(server, _)| *server == name);
    let of = |server: &str, tool: &str| Named { server: server.to_owned(), tool: Some(tool.to_owned()) };
    // `time/` is what is left of `time/TOOL`.
    if let Some(server) = [word, word.trim_end_matches('/')].into_iter().find(|name| is_server(name)) {
        return Some(Named { server: server.to_owned(), tool: None });
    }
    let split =
        |mark: &'static str| word.match_indices(mark).map(move |(at, mark)| (&word[..at], &word[at + mark.len()..]));
    if let Some((server, tool)) = split("/").find(|(server, tool)| is_server(server) && !tool.is_empty()) {
        return Some(of(server, tool));
    }
    // A name with a digest is in what is known of the tools.
    let known = servers.iter().find_map(|(server, record)| {
        let tool = record.as_ref()?.tools.iter().find(|tool| proxied(server, tool.name()) == word)?;
        Some(of(server, tool.name()))
    });
    known.or_else(|| {
        let (server, tool) = split("__").find(|(server, tool)| is_server(server) && !tool.is_empty())?;
        Some(of(server, tool))
    })
}
