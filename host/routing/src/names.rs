//! The names of tools and prompts of other servers: those under which a client sees them, and those that people write.

use sha2::{Digest, Sha256};

use crate::record::ServerRecord;

/// The longest name that every client and model API takes.
const MAX_NAME_LEN: usize = 64;

/// The name of a server's tool or prompt: `server__tool`. It has only letters, digits, `_` and `-`, at most 64 of them,
/// and stays the same from run to run. Where that changes or shortens a name, a digest of both keeps it unique.
pub fn to_proxied_name(server: &str, name: &str) -> String {
    let plain = format!("{}__{}", safe(server), safe(name));
    // The first `__` must be the one between the two: `a_` and `b` are not `a` and `_b`.
    let is_plain = !server.contains("__") && !server.ends_with('_');
    let is_exact = plain.len() <= MAX_NAME_LEN && safe(server) == server && safe(name) == name && is_plain;
    if is_exact {
        return plain;
    }
    let mut digest = Sha256::new();
    digest.update(server.as_bytes());
    digest.update([0]);
    digest.update(name.as_bytes());
    let mark = &aiw_core::hex(&digest.finalize())[..8];
    let room = MAX_NAME_LEN - mark.len() - 1;
    format!("{}_{mark}", &plain[..plain.len().min(room)])
}

/// Only ASCII comes out, so that every index is a boundary.
fn safe(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' }).collect()
}

/// A server, and one of its tools if one is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolRef {
    /// The server.
    pub server: String,
    /// The tool's own name.
    pub tool: Option<String>,
}

impl ToolRef {
    /// Finds the server or tool that a word names among servers and their records: `SERVER/TOOL`, as all lists show them;
    /// and `SERVER__TOOL`, as clients do. A server's whole name counts first, since it may have a `/` or `__` in it.
    pub fn find(word: &str, servers: &[(&str, Option<&ServerRecord>)]) -> Option<Self> {
        let is_server = |name: &str| servers.iter().any(|(server, _)| *server == name);
        let of = |server: &str, tool: &str| Self { server: server.to_owned(), tool: Some(tool.to_owned()) };
        // `time/` is what is left of `time/TOOL`.
        if let Some(server) = [word, word.trim_end_matches('/')].into_iter().find(|name| is_server(name)) {
            return Some(Self { server: server.to_owned(), tool: None });
        }
        let split = |mark: &'static str| {
            let mut parts = word.match_indices(mark).map(|(at, mark)| (&word[..at], &word[at + mark.len()..]));
            parts.find(|(server, tool)| is_server(server) && !tool.is_empty())
        };
        if let Some((server, tool)) = split("/") {
            return Some(of(server, tool));
        }
        // A name with a digest is in what is known of the tools.
        let known = servers.iter().find_map(|(server, record)| {
            let tool = record.as_ref()?.tools.iter().find(|tool| to_proxied_name(server, tool.name()) == word)?;
            Some(of(server, tool.name()))
        });
        known.or_else(|| split("__").map(|(server, tool)| of(server, tool)))
    }

    /// Whether it names a tool of a server, by itself or with all of that server's.
    pub fn matches(&self, server: &str, tool: &str) -> bool {
        self.server == server && self.tool.as_deref().is_none_or(|name| name == tool)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn ordinary_names_stay_readable_and_odd_ones_stay_apart() {
        assert_eq!(to_proxied_name("time", "get_current_time"), "time__get_current_time");
        assert!(to_proxied_name("time", "odd.name/with:signs").starts_with("time__odd_name_with_signs_"));
        assert_ne!(to_proxied_name("a", "b.c"), to_proxied_name("a", "b/c"));
        assert_ne!(to_proxied_name("a__b", "c"), to_proxied_name("a", "b__c"));
        assert_ne!(to_proxied_name("a_", "b"), to_proxied_name("a", "_b"));
        let long = "x".repeat(200);
        assert_eq!(to_proxied_name("a", &long).len(), MAX_NAME_LEN);
    }

    mod fuzz {
        use super::*;

        proptest! {
            #[test]
            fn every_name_is_legal_and_no_two_are_the_same(
                names in proptest::collection::btree_set(("[ab_.é]{1,4}|[a-z_.é]{1,40}", "[ab_./]{0,4}|[A-Za-z_./ -]{0,80}"), 0..60)
            ) {
                let mut seen = BTreeMap::new();
                for (server, tool) in names {
                    let name = to_proxied_name(&server, &tool);
                    prop_assert!(name.len() <= MAX_NAME_LEN && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)));
                    prop_assert_eq!(&name, &to_proxied_name(&server, &tool));
                    let other = seen.insert(name, (server, tool));
                    prop_assert_eq!(other, None);
                }
            }
        }
    }
}
