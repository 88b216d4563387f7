//! A registry whose catalogue is a tool of an MCP server that the user has: `list_servers`. Servers are found by meaning if
//! there is a sentence model, else by words.

mod catalogue;
mod meaning;

use std::time::Duration;

use aiw_extension::registry_source::{RegistryInfo, Server};
use aiw_extension::{Error, RegistrySource, cache, log, mcp, settings};

use catalogue::{Page, Row};

const TOOL: &str = "list_servers";

/// The most pages that are read. The host allows 20 requests in one call.
const MAX_PAGES: usize = 16;

/// The calls that the host lets be under way at once.
const AT_ONCE: usize = 8;

/// How long a catalogue is kept.
const KEEP: Duration = Duration::from_secs(600);

struct AcmeCatalogue;

impl RegistrySource for AcmeCatalogue {
    fn describe() -> RegistryInfo {
        RegistryInfo::new("Acme's catalogue", 5).name("acme/NAME", "acme/ledger")
    }

    fn search(query: &str, limit: u32) -> Result<Vec<Server>, Error> {
        let rows = rows()?;
        let found = meaning::ranked(&rows, query, limit).unwrap_or_else(|why| {
            log::debug(format!("searched by words: {}", why.message()));
            catalogue::ranked(&rows, query)
        });
        Ok(found.into_iter().take(limit as usize).map(Row::server).collect())
    }

    fn server(name: &str, version: Option<&str>) -> Result<Server, Error> {
        let rows = rows()?;
        let wanted = |row: &&Row| row.name == name && version.is_none_or(|version| row.version == version);
        let found = rows.iter().find(wanted).map(Row::server);
        found.ok_or_else(|| Error::not_found(format!("there is no server `{name}` in Acme's catalogue")))
    }
}

/// Returns the whole catalogue. The first page says how many there are; the others are asked for side by side.
fn rows() -> Result<Vec<Row>, Error> {
    let server = settings::get("server").unwrap_or_else(|| "acme".to_owned());
    if let Some(kept) = cache::get(&server).and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
        return Ok(kept);
    }
    let first = Page::parse(&mcp::call(&server, TOOL, &arguments(0))?)?;
    let last = first.pages.min(MAX_PAGES);
    let mut pages = vec![first.servers];
    pages.resize_with(last.max(1), Vec::new);
    let mut next = 1;
    // Which page each call is for.
    let mut under_way: Vec<(u32, usize)> = Vec::new();
    loop {
        while next < last && under_way.len() < AT_ONCE {
            under_way.push((mcp::start_call(&server, TOOL, &arguments(next))?, next));
            next += 1;
        }
        let Some(finished) = mcp::next_result() else { break };
        let Some(at) = under_way.iter().position(|(call, _)| *call == finished.call) else { continue };
        let (_, page) = under_way.swap_remove(at);
        // Calls that are still under way are cancelled if this fails.
        pages[page] = Page::parse(&finished.outcome?)?.servers;
    }
    let rows = pages.concat();
    if let Ok(bytes) = serde_json::to_vec(&rows) {
        cache::put(&server, &bytes, KEEP);
    }
    Ok(rows)
}

fn arguments(page: usize) -> String {
    format!(r#"{{"page": {page}}}"#)
}

aiw_extension::export_registry_source!(AcmeCatalogue, manifest = "manifest.json");
