//! Components as programs see them.

use std::collections::BTreeMap;

use aiw_extensions::Grants;
use schemars::JsonSchema;
use serde::Serialize;

use crate::ComponentEntry;

/// An extension in a list.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ExtensionSummary {
    /// Its id
    pub id: String,
    /// Its version
    pub version: Option<String>,
    /// Its name for people
    pub label: Option<String>,
    /// Its publisher, by its own account
    pub publisher: Option<String>,
    /// Its page
    pub homepage: Option<String>,
    /// Its kinds: `market-source`, `provider`, `registry-source`
    pub worlds: Option<Vec<String>>,
    /// Whether it is part of aiw, installed, or a file that you look at
    #[schemars(extend("enum" = ["bundled", "installed", "candidate"]))]
    pub origin: &'static str,
    /// Whether it is used
    pub enabled: bool,
    /// Where it was installed from
    pub source: Option<String>,
    /// The SHA-256 digest of its file
    pub sha256: Option<String>,
    /// Its grants, by kind: `collections`, `hosts`, `imports`, `mcp`, `origins`, `settings`
    pub grants: Option<BTreeMap<String, Vec<String>>>,
    /// Why it can't be used
    pub problem: Option<String>,
}

impl ExtensionSummary {
    /// Returns the fields of lists for a component.
    pub fn new(known: &ComponentEntry) -> Self {
        let about = known.facts.as_ref();
        let manifest = about.map(|about| &about.manifest);
        let locked = known.locked.as_ref();
        Self {
            id: known.id.to_string(),
            version: manifest.map(|m| m.version.clone()).or_else(|| locked.map(|l| l.version.clone())),
            label: manifest.map(|m| m.label.clone()),
            publisher: manifest.and_then(|m| m.publisher.clone()),
            homepage: manifest.and_then(|m| m.homepage.clone()),
            worlds: about.map(|about| about.worlds.iter().map(|world| world.as_str().to_owned()).collect()),
            origin: if locked.is_some() { "installed" } else { "bundled" },
            enabled: known.is_enabled(),
            source: locked.map(|locked| aiw_core::without_query(&locked.source).into_owned()),
            sha256: about.map(|about| about.sha256.clone()).or_else(|| locked.map(|l| l.sha256.clone())),
            grants: locked.map(|l| l.grants.clone()).or_else(|| about.map(|about| Grants::from_facts(about).to_map())),
            problem: known.problem.as_ref().map(ToString::to_string),
        }
    }
}

/// An extension that was updated.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UpdatedExtension {
    /// Its id
    pub id: String,
    /// Its version now
    pub version: String,
    /// The SHA-256 digest of its file now
    pub sha256: String,
}

/// An extension that was verified.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct VerifiedExtension {
    /// Its id
    pub id: String,
    /// Whether its file is the one that was added, and answers
    pub good: bool,
    /// Why not
    pub problem: Option<String>,
}
