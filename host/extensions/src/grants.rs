//! What a component wants to do, and what the user allowed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::{ComponentFacts, INTERFACES};

aiw_core::string_enum! {
    /// The kind of a capability: a list in the manifest, or the imports.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    pub enum CapabilityKind {
        /// The component's own collections of vectors.
        Collections = "collections",
        /// Hosts that the component contacts over HTTPS.
        Hosts = "hosts",
        /// Interfaces that the component imports.
        Imports = "imports",
        /// Tools of MCP servers, as `server/tool`.
        Mcp = "mcp",
        /// Kinds of places that the component reads files from.
        Origins = "origins",
        /// The component's settings.
        Settings = "settings",
    }
}

/// One thing that a component may do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Capability {
    /// The kind.
    pub kind: CapabilityKind,
    /// The interface, host pattern, origin or key.
    pub value: String,
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = &self.value;
        match self.kind {
            CapabilityKind::Hosts if value == "*" => f.write_str("ask any public host over HTTPS"),
            CapabilityKind::Hosts => write!(f, "ask `{value}` over HTTPS"),
            CapabilityKind::Origins if value == "git:*" => f.write_str("read git repositories on any public host"),
            CapabilityKind::Origins if value == "directory" => f.write_str("read directories that you name"),
            CapabilityKind::Origins => write!(f, "read git repositories on `{}`", value.trim_start_matches("git:")),
            CapabilityKind::Collections => write!(f, "keep the collection of vectors `{value}`"),
            CapabilityKind::Mcp => match crate::ToolPattern::parse(value) {
                Some(pattern) if pattern.is_exact() => write!(f, "call the MCP tool `{value}`"),
                _ => write!(f, "call the MCP tools `{value}` that destroy nothing"),
            },
            CapabilityKind::Settings => write!(f, "read its setting `{value}`"),
            CapabilityKind::Imports => match INTERFACES.iter().find(|(name, _)| name == value) {
                Some((name, what)) => write!(f, "{what} (`{name}`)"),
                None => write!(f, "import `{value}`, which is empty here"),
            },
        }
    }
}

/// The capabilities that a component asks for, or that the user agreed to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grants(BTreeSet<Capability>);

impl Grants {
    /// Returns what a component asks for: its imports and the lists of its manifest.
    pub fn from_facts(about: &ComponentFacts) -> Self {
        let manifest = &about.manifest;
        let of = |kind: CapabilityKind, values: &[String]| {
            values.iter().map(move |value| Capability { kind, value: value.clone() }).collect::<Vec<_>>()
        };
        // Every component imports `types`, which allows nothing.
        let imports: Vec<String> = about.interfaces().into_iter().filter(|name| name != "types").collect();
        let lists = [
            of(CapabilityKind::Imports, &imports),
            of(CapabilityKind::Hosts, &manifest.hosts),
            of(CapabilityKind::Origins, &manifest.origins),
            of(CapabilityKind::Settings, &manifest.settings),
            of(CapabilityKind::Collections, &manifest.collections),
            of(CapabilityKind::Mcp, &manifest.mcp),
        ];
        Self(lists.into_iter().flatten().collect())
    }

    /// Parses the form used in the lock file. An unknown kind allows nothing.
    pub fn from_map(map: &BTreeMap<String, Vec<String>>) -> Self {
        let known = CapabilityKind::ALL.into_iter().filter_map(|kind| Some((kind, map.get(kind.as_str())?)));
        let each = known.flat_map(|(kind, values)| values.iter().map(move |value| (kind, value)));
        Self(each.map(|(kind, value)| Capability { kind, value: value.clone() }).collect())
    }

    /// Returns the form used in the lock file.
    pub fn to_map(&self) -> BTreeMap<String, Vec<String>> {
        let mut map: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for capability in &self.0 {
            map.entry(capability.kind.as_str().to_owned()).or_default().push(capability.value.clone());
        }
        map
    }

    /// Returns the values of one kind.
    pub fn values(&self, kind: CapabilityKind) -> Vec<String> {
        self.0.iter().filter(|c| c.kind == kind).map(|c| c.value.clone()).collect()
    }

    /// Returns whether a capability is included.
    pub fn allows(&self, kind: CapabilityKind, value: &str) -> bool {
        self.0.contains(&Capability { kind, value: value.to_owned() })
    }

    /// Returns the capabilities in `self` that are not in `agreed`: what an update asks for in addition.
    pub fn difference(&self, agreed: &Self) -> Vec<Capability> {
        self.0.difference(&agreed.0).cloned().collect()
    }

    /// Iterates over all capabilities in order.
    pub fn iter(&self) -> impl Iterator<Item = &Capability> {
        self.0.iter()
    }
}
