//! Acme's own format, and its conversion to a marketplace document.

use serde::{Deserialize, Serialize};

/// The `source` word of our entries.
pub const FORM: &str = "acme";

/// The content of `…/NAME/index.json`.
#[derive(Deserialize)]
struct Index {
    title: String,
    tools: Vec<Tool>,
}

#[derive(Deserialize)]
struct Tool {
    id: String,
    about: String,
    kind: Option<String>,
    release: Release,
}

#[derive(Deserialize)]
struct Release {
    repo: String,
    commit: String,
}

#[derive(Serialize)]
struct Marketplace {
    name: String,
    owner: Owner,
    description: String,
    plugins: Vec<Entry>,
}

#[derive(Serialize)]
struct Owner {
    name: &'static str,
}

#[derive(Serialize)]
struct Entry {
    name: String,
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<String>,
    source: Source,
}

#[derive(Serialize)]
struct Source {
    source: &'static str,
    tool: String,
    repo: String,
    commit: String,
}

impl From<Tool> for Entry {
    fn from(tool: Tool) -> Self {
        let Release { repo, commit } = tool.release;
        Self {
            name: tool.id.clone(),
            description: tool.about,
            category: tool.kind,
            source: Source { source: FORM, tool: tool.id, repo, commit },
        }
    }
}

/// Converts the index called `name` to a marketplace document.
pub fn to_marketplace(name: &str, index: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
    let index: Index = serde_json::from_slice(index)?;
    serde_json::to_vec(&Marketplace {
        name: format!("acme-{name}"),
        owner: Owner { name: "Acme" },
        description: index.title,
        plugins: index.tools.into_iter().map(Entry::from).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tool_becomes_an_entry_pinned_to_its_release() {
        let index = br#"{
            "title": "Tools of the data team",
            "tools": [{
                "id": "ledger", "about": "Asks the ledger", "kind": "data", "maintainers": ["x"],
                "release": {"repo": "https://github.com/acme/ledger.git", "commit": "0123456789abcdef0123456789abcdef01234567"}
            }]
        }"#;
        let document: serde_json::Value = serde_json::from_slice(&to_marketplace("data", index).unwrap()).unwrap();
        assert_eq!(
            document,
            serde_json::json!({
                "name": "acme-data",
                "owner": {"name": "Acme"},
                "description": "Tools of the data team",
                "plugins": [{
                    "name": "ledger",
                    "description": "Asks the ledger",
                    "category": "data",
                    "source": {
                        "source": "acme",
                        "tool": "ledger",
                        "repo": "https://github.com/acme/ledger.git",
                        "commit": "0123456789abcdef0123456789abcdef01234567"
                    }
                }]
            })
        );
    }

    #[test]
    fn what_is_no_index_is_an_error() {
        assert!(to_marketplace("data", b"<html>").is_err());
        assert!(to_marketplace("data", br#"{"title": "x"}"#).is_err());
    }
}
