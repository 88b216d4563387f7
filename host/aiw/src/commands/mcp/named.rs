//! Tools as people write them: `SERVER/TOOL`, as all lists show them; and `SERVER__TOOL`, as clients do.

use aiw_routing::{Pool, PoolError, Status, proxied};

/// A server, and one of its tools if one is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub server: String,
    pub tool: Option<String>,
}

/// What a word names. A server's whole name counts first, since it may have a `/` or `__` in it.
pub(super) fn named(word: &str, pool: &Pool) -> Result<Named, PoolError> {
    let statuses = pool.status();
    find(word, &statuses).ok_or_else(|| PoolError::NoServer {
        name: word.split('/').next().unwrap_or(word).to_owned(),
        known: statuses.into_iter().map(|status| status.name).collect(),
    })
}

fn find(word: &str, statuses: &[Status]) -> Option<Named> {
    let is_server = |name: &str| statuses.iter().any(|status| status.name == name);
    let of = |server: &str, tool: &str| Named { server: server.to_owned(), tool: Some(tool.to_owned()) };
    if is_server(word) {
        return Some(Named { server: word.to_owned(), tool: None });
    }
    let split =
        |mark: &'static str| word.match_indices(mark).map(move |(at, mark)| (&word[..at], &word[at + mark.len()..]));
    if let Some((server, tool)) = split("/").find(|(server, tool)| is_server(server) && !tool.is_empty()) {
        return Some(of(server, tool));
    }
    // A name with a digest is in what is known of the tools.
    let known = statuses.iter().find_map(|status| {
        let tools = &status.record.as_ref()?.tools;
        let tool = tools.iter().find(|tool| proxied(&status.name, tool.name()) == word)?;
        Some(of(&status.name, tool.name()))
    });
    known.or_else(|| {
        let (server, tool) = split("__").find(|(server, tool)| is_server(server) && !tool.is_empty())?;
        Some(of(server, tool))
    })
}
