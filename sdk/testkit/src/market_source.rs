//! Market sources, as a test sees them.

use aiw_core::RelPath;
use aiw_wasm::market_source as host;
use serde::Serialize;

use crate::error::invalid;
use crate::{CallError, Driver};

pub use aiw_core::ReferenceForm;
pub use aiw_wasm::market_source::{EntryRef, EntrySource, Snapshot, SourceField as Field};

/// What a source reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceInfo {
    /// A few words, such as `GitHub repositories`.
    pub label: String,
    /// The forms of references that the source accepts.
    pub references: Vec<ReferenceForm>,
    /// The source's own forms of entry sources.
    pub entry_forms: Vec<String>,
}

/// The meaning of a reference: a marketplace as stored in settings.json.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Registration {
    /// The kind of marketplace.
    pub kind: String,
    /// `owner/repo`, a URL, a path, or another location that the component understands.
    pub location: String,
    /// A branch or tag.
    #[serde(rename = "ref")]
    pub reference: Option<String>,
}

/// The parts of a plugin that could be read most cheaply.
pub struct Manifests {
    /// The content of `.claude-plugin/plugin.json`.
    pub plugin_json: Option<Vec<u8>>,
    /// The content of `.mcp.json`.
    pub mcp_json: Option<Vec<u8>>,
    /// All files, if they are at hand.
    pub files: Option<Files>,
}

/// The longest file that [`Files::read`] reads.
const MAX_FILE_BYTES: u64 = 32 << 20;

/// Files at a revision.
pub struct Files(aiw_net::Tree);

impl Files {
    /// Returns the commit of a repository, or a digest of a directory.
    pub fn revision(&self) -> &str {
        self.0.revision()
    }

    /// Returns the names in a directory, sorted. `""` is the root.
    pub fn list(&self, path: &str) -> Result<Vec<String>, CallError> {
        let path = RelPath::parse(path).map_err(invalid)?;
        let items = self.0.list(&path).map_err(invalid)?;
        Ok(items.into_iter().map(|item| item.name).collect())
    }

    /// Returns the content of a file.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, CallError> {
        let path = RelPath::parse(path).map_err(invalid)?;
        self.0.read(&path, MAX_FILE_BYTES).map_err(invalid)
    }
}

/// A driven component as a market source. If it is none, each call says so.
pub struct MarketSource<'d>(&'d Driver);

impl Driver {
    /// Returns the component as a market source.
    pub fn market_source(&self) -> MarketSource<'_> {
        MarketSource(self)
    }
}

impl MarketSource<'_> {
    fn component(&self) -> Result<aiw_wasm::MarketSource<'_>, CallError> {
        self.0.component.market_source()
    }

    /// Returns what the source reads.
    pub async fn describe(&self) -> Result<SourceInfo, CallError> {
        let info = self.component()?.describe().await?;
        Ok(SourceInfo { label: info.label, references: info.references, entry_forms: info.entry_forms })
    }

    /// Returns what a reference means, or `None` if this source does not handle it.
    pub async fn claim(&self, reference: &str) -> Result<Option<Registration>, CallError> {
        let claimed = self.component()?.claim(reference).await?;
        Ok(claimed.map(|at| Registration { kind: at.kind.to_string(), location: at.location, reference: at.reference }))
    }

    /// Fetches the marketplace document and its revision.
    pub async fn fetch_marketplace(&self, at: &Registration) -> Result<Snapshot, CallError> {
        self.component()?.fetch_marketplace(&self.0.permissions, &registration(at)?).await
    }

    /// Fetches an entry's manifests.
    pub async fn fetch_plugin(&self, at: &Registration, entry: &EntryRef) -> Result<Manifests, CallError> {
        let at = registration(at)?;
        let found = self.component()?.fetch_plugin(&self.0.permissions, &at, entry).await?;
        let files = found.files.map(Files);
        Ok(Manifests { plugin_json: found.plugin_json, mcp_json: found.mcp_json, files })
    }

    /// Fetches all files of an entry.
    pub async fn download_plugin(&self, at: &Registration, entry: &EntryRef) -> Result<Files, CallError> {
        let at = registration(at)?;
        Ok(Files(self.component()?.download_plugin(&self.0.permissions, &at, entry).await?))
    }

    /// Returns the current document, or `None` if `known` is still its revision.
    pub async fn update(&self, at: &Registration, known: &str) -> Result<Option<Snapshot>, CallError> {
        self.component()?.update(&self.0.permissions, &registration(at)?, known).await
    }

    /// Measures `count` calls of `describe` in one instance, for `cargo xtask bench`.
    #[doc(hidden)]
    pub async fn time_calls(&self, count: u32) -> Result<std::time::Duration, CallError> {
        self.component()?.time_calls(count).await
    }
}

fn registration(at: &Registration) -> Result<host::Registration, CallError> {
    let kind = at.kind.parse().map_err(invalid::<aiw_core::InvalidName>)?;
    Ok(host::Registration { kind, location: at.location.clone(), reference: at.reference.clone() })
}
