//! What market sources are given, and what they answer.

use aiw_core::{MarketKind, ReferenceForm};
use aiw_net::Tree;

/// A description of a market source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceInfo {
    /// A few words, such as `GitHub repositories`.
    pub label: String,
    /// The forms of references that the source accepts.
    pub references: Vec<ReferenceForm>,
    /// The source's own forms of entry sources. They are not checked yet: some may be the host's.
    pub entry_forms: Vec<String>,
}

/// The meaning of a reference: a marketplace as stored in settings.json.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The kind of marketplace.
    pub kind: MarketKind,
    /// `owner/repo`, a URL, a path, or another location that the component understands. At most 4096 printable
    /// bytes.
    pub location: String,
    /// A branch or tag.
    pub reference: Option<String>,
}

/// The current document of a marketplace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The bytes of the document; the host parses them.
    pub document: Vec<u8>,
    /// A text that changes when the document, or anything that it refers to, changes.
    pub revision: String,
}

/// A field of an entry's source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceField {
    /// The name.
    pub name: String,
    /// The value as text.
    pub value: String,
}

/// The location of an entry's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntrySource {
    /// A path below the marketplace's root; empty for the root itself.
    Relative(String),
    /// A form that the component defines.
    Custom {
        /// The name of the form.
        form: String,
        /// The fields with text, numbers and booleans.
        fields: Vec<SourceField>,
    },
}

/// One entry of a marketplace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryRef {
    /// The name of the entry.
    pub name: String,
    /// The location of the files.
    pub source: EntrySource,
    /// The revision of the snapshot that contains the entry.
    pub revision: String,
}

/// The parts of a plugin that could be read most cheaply.
#[derive(Default)]
pub struct Manifests {
    /// The content of `.claude-plugin/plugin.json`.
    pub plugin_json: Option<Vec<u8>>,
    /// The content of `.mcp.json`.
    pub mcp_json: Option<Vec<u8>>,
    /// All files, if they are at hand.
    pub files: Option<Tree>,
}
