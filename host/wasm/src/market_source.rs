//! Components that read plugin marketplaces: the kind `market-source`, with every answer checked.

use aiw_core::MarketKind;
use aiw_extensions::World;
use aiw_net::Tree;

use crate::budget::Purpose;
use crate::component::{Component, Reach};
use crate::error::CallError;
use crate::kind::Kind;
use crate::limits::CallLimits;
use crate::since_v0_1::market_source::Guest;

pub(crate) static KIND: Kind =
    Kind { world: World::MarketSource, limits: CallLimits::USUAL, check_exports: Guest::check_exports };

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

/// A form of reference, as shown in help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferenceForm {
    /// The form, such as `owner/repo[@ref]`.
    pub form: String,
    /// An example of the form.
    pub example: String,
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
pub struct Field {
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
    Own {
        /// The name of the form.
        form: String,
        /// The fields with text, numbers and booleans.
        fields: Vec<Field>,
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

/// A component as a source of marketplaces.
pub struct MarketSource<'c>(&'c Component);

impl Component {
    /// Returns the component as a source of marketplaces, if it is one.
    pub fn market_source(&self) -> Result<MarketSource<'_>, CallError> {
        self.check_kind(&KIND)?;
        Ok(MarketSource(self))
    }
}

impl MarketSource<'_> {
    /// Returns what the source reads.
    pub async fn describe(&self) -> Result<SourceInfo, CallError> {
        let (reach, pure) = (Reach::default(), Purpose::Pure("describe"));
        self.0.call(&reach, pure, async |guest: &Guest, store| guest.describe(store).await).await
    }

    /// Returns what a reference means, or `None` if it does not belong to this source.
    pub async fn claim(&self, reference: &str) -> Result<Option<Registration>, CallError> {
        let (reach, pure) = (Reach::default(), Purpose::Pure("claim"));
        self.0.call(&reach, pure, async |guest: &Guest, store| guest.claim(store, reference).await).await
    }

    /// Fetches the marketplace document and its revision.
    pub async fn fetch_marketplace(&self, reach: &Reach, at: &Registration) -> Result<Snapshot, CallError> {
        self.0.call(reach, Purpose::Answer, async |guest: &Guest, store| guest.fetch_marketplace(store, at).await).await
    }

    /// Fetches an entry's manifests in the cheapest way.
    pub async fn fetch_plugin(
        &self,
        reach: &Reach,
        at: &Registration,
        entry: &EntryRef,
    ) -> Result<Manifests, CallError> {
        self.0
            .call(reach, Purpose::Answer, async |guest: &Guest, store| guest.fetch_plugin(store, at, entry).await)
            .await
    }

    /// Fetches all files of an entry.
    pub async fn download_plugin(&self, reach: &Reach, at: &Registration, entry: &EntryRef) -> Result<Tree, CallError> {
        self.0
            .call(reach, Purpose::Answer, async |guest: &Guest, store| guest.download_plugin(store, at, entry).await)
            .await
    }

    /// Returns the current document, or `None` if its revision still is `known`.
    pub async fn update(&self, reach: &Reach, at: &Registration, known: &str) -> Result<Option<Snapshot>, CallError> {
        self.0.call(reach, Purpose::Answer, async |guest: &Guest, store| guest.update(store, at, known).await).await
    }

    /// Measures `count` calls of `describe` in one instance, for `cargo xtask bench`.
    #[doc(hidden)]
    pub async fn time_calls(&self, count: u32) -> Result<std::time::Duration, CallError> {
        self.0
            .call(&Reach::default(), Purpose::Answer, async |guest: &Guest, store| {
                let start = std::time::Instant::now();
                for _ in 0..count {
                    guest.describe(&mut *store).await?;
                }
                Ok(start.elapsed())
            })
            .await
    }
}
