//! The terms by which a server is found.

use aiw_core::registry::ServerVersion;
use aiw_search::words;

use crate::publisher::publisher_words;

/// Parts of names that nearly every server has, as terms.
const GENERIC_TERMS: [&str; 9] = ["mcp", "server", "io", "com", "ai", "dev", "org", "net", "github"];

/// The terms of a server's name and title. The owner's part of the name is not among them.
pub(crate) fn name_terms(server: &ServerVersion) -> Vec<String> {
    let mut terms = words(last_segment(&server.name));
    for term in server.title.iter().flat_map(|title| words(title)) {
        if !terms.contains(&term) {
            terms.push(term);
        }
    }
    terms
}

/// The terms of what else a server says of itself: its owner's name and its description.
pub(crate) fn description_terms(server: &ServerVersion) -> Vec<String> {
    let mut terms = words(&publisher_words(&server.name));
    terms.extend(words(&server.description));
    terms
}

/// The terms of a query. Those that nearly every server has count only if there are no others.
pub(crate) fn query_terms(query: &str) -> Vec<String> {
    let mut terms = words(query);
    let mut seen = std::collections::BTreeSet::new();
    terms.retain(|term| seen.insert(term.clone()));
    if terms.iter().any(|term| !GENERIC_TERMS.contains(&term.as_str())) {
        terms.retain(|term| !GENERIC_TERMS.contains(&term.as_str()));
    }
    if terms.is_empty() {
        // A name may be made of words that say nothing: `only`, `use`.
        terms = query.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase).collect();
        terms.retain(|term| !term.is_empty());
    }
    terms.truncate(MAX_TERMS);
    terms
}

/// The most terms of a query that count.
const MAX_TERMS: usize = 16;

/// The last part of a name, without what nearly every server is called.
pub(crate) fn strip_generic_affixes(last: &str) -> &str {
    let plain = last.trim_start_matches("mcp-server-").trim_start_matches("mcp-").trim_start_matches("server-");
    plain.trim_end_matches("-mcp-server").trim_end_matches("-mcp").trim_end_matches("-server")
}

/// The part of a name after its last slash.
pub(crate) fn last_segment(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}
