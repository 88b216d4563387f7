//! Names of tools, as every upstream accepts them.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};

use crate::conversation::{Conversation, Part, ToolKind};

/// The longest name that all upstreams accept.
const MAX_NAME_LEN: usize = 64;

/// A tool as the client named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientTool {
    pub namespace: Option<String>,
    pub name: String,
    pub kind: ToolKind,
}

/// The names of one request's tools, in both directions. It is made anew from each request, its history included.
#[derive(Debug, Default)]
pub(crate) struct ToolNames {
    upstream: HashMap<(Option<String>, String), String>,
    client: HashMap<String, ClientTool>,
}

impl ToolNames {
    pub(crate) fn collect(conversation: &Conversation<'_>) -> Self {
        let tools = conversation.tools.iter().map(|tool| (tool.namespace.as_deref(), &*tool.name, tool.kind));
        // A tool may be gone that the history names.
        let history = conversation.parts.iter().filter_map(|(_, part)| match part {
            Part::Call(call) => Some((call.namespace.as_deref(), &*call.name, ToolKind::Function)),
            _ => None,
        });
        let all: Vec<_> = tools.chain(history).collect();
        // A name that needs no change keeps it, whatever others are cut to.
        let valid: HashSet<Cow<'_, str>> =
            all.iter().map(|(space, name, _)| flat(*space, name)).filter(|name| is_valid(name)).collect();
        let mut names = Self::default();
        for (namespace, name, kind) in all {
            names.add(namespace, name, kind, &valid);
        }
        names
    }

    fn add(&mut self, namespace: Option<&str>, name: &str, kind: ToolKind, valid: &HashSet<Cow<'_, str>>) {
        let key = (namespace.map(str::to_owned), name.to_owned());
        if self.upstream.contains_key(&key) {
            return;
        }
        let whole = flat(namespace, name);
        let mut made = whole.clone().into_owned();
        let mut salt = 0_u32;
        while !is_valid(&made) || self.client.contains_key(&made) || (salt > 0 && valid.contains(&*made)) {
            made = shortened(&whole, namespace, salt);
            salt += 1;
        }
        let named = ClientTool { namespace: key.0.clone(), name: key.1.clone(), kind };
        self.client.insert(made.clone(), named);
        self.upstream.insert(key, made);
    }

    /// Returns the name for the upstream.
    pub(crate) fn upstream_name<'n>(&'n self, namespace: Option<&str>, name: &'n str) -> &'n str {
        let key = (namespace.map(str::to_owned), name.to_owned());
        self.upstream.get(&key).map_or(name, String::as_str)
    }

    /// Returns the tool that an answer names. A name that nothing has is the model's own invention: the client says so.
    pub(crate) fn client_tool(&self, name: &str) -> ClientTool {
        let known = self.client.get(name).cloned();
        known.unwrap_or_else(|| ClientTool { namespace: None, name: name.to_owned(), kind: ToolKind::Function })
    }
}

fn flat<'n>(namespace: Option<&str>, name: &'n str) -> Cow<'n, str> {
    match namespace {
        Some(namespace) => Cow::Owned(format!("{namespace}__{name}")),
        None => Cow::Borrowed(name),
    }
}

fn is_valid(name: &str) -> bool {
    let is_start = |first: u8| first.is_ascii_alphabetic() || first == b'_';
    (1..=MAX_NAME_LEN).contains(&name.len())
        && name.bytes().next().is_some_and(is_start)
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

fn shortened(whole: &str, namespace: Option<&str>, salt: u32) -> String {
    let mut hash = Sha256::new();
    hash.update(namespace.unwrap_or_default());
    hash.update([0]);
    hash.update(whole);
    hash.update(salt.to_le_bytes());
    let digest = aiw_core::hex(&hash.finalize()[..4]);
    let valid = whole.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' });
    let start: String = std::iter::once('_')
        .filter(|_| !whole.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'))
        .chain(valid)
        .take(MAX_NAME_LEN - 9)
        .collect();
    format!("{start}_{digest}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::conversation::Tool;

    fn tools(names: &[(Option<&'static str>, String)]) -> Conversation<'static> {
        let tool = |(namespace, name): &(Option<&'static str>, String)| Tool {
            kind: ToolKind::Function,
            namespace: namespace.map(Cow::Borrowed),
            name: name.clone().into(),
            description: "".into(),
            schema: None,
            is_strict: false,
        };
        Conversation { tools: names.iter().map(tool).collect(), ..Conversation::default() }
    }

    #[test]
    fn names_that_are_valid_stay_and_others_are_cut_with_a_hash() {
        let long = "x".repeat(80);
        let given = tools(&[
            (None, "Bash".into()),
            (Some("mcp__probe"), "echo".into()),
            (None, long.clone()),
            (None, "odd.name/with:signs".into()),
        ]);
        let names = ToolNames::collect(&given);
        assert_eq!(names.upstream_name(None, "Bash"), "Bash");
        assert_eq!(names.upstream_name(Some("mcp__probe"), "echo"), "mcp__probe__echo");
        assert_eq!(names.upstream_name(None, &long).len(), MAX_NAME_LEN);
        assert!(names.upstream_name(None, "odd.name/with:signs").starts_with("odd_name_with_signs_"));
        let back = names.client_tool("mcp__probe__echo");
        assert_eq!((back.namespace.as_deref(), &*back.name), (Some("mcp__probe"), "echo"));
    }

    mod fuzz {
        use super::*;

        proptest! {
            #[test]
            fn two_tools_never_share_a_name(given in proptest::collection::vec((proptest::option::of(prop_oneof![Just("a"), Just("a__b"), Just("")]), "[ab_.é]{0,5}|.{0,90}"), 0..12)) {
                let conversation = tools(&given);
                let names = ToolNames::collect(&conversation);
                for (namespace, name) in &given {
                    let upstream = names.upstream_name(*namespace, name);
                    prop_assert!(is_valid(upstream), "{upstream}");
                    let back = names.client_tool(upstream);
                    prop_assert_eq!((back.namespace.as_deref(), &back.name), (*namespace, name));
                }
            }
        }
    }
}
