//! The world `market-source`, as other crates see it: typed, with every answer checked.

mod read;

use aiw_core::MarketKind;
use aiw_net::Tree;
use wasmtime::Store;
use wasmtime::component::Resource;

use crate::bindings::v0_1::aiw::plugin::types;
use crate::bindings::v0_1::exports::aiw::plugin::market;
use crate::budget::Purpose;
use crate::component::{Component, Reach};
use crate::error::CallError;
use crate::host::{CallState, refusal};

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

type Answer<T> = Result<T, types::Error>;

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

impl Component {
    /// Returns what the source reads.
    pub async fn describe(&self) -> Result<SourceInfo, CallError> {
        let (reach, pure) = (Reach::default(), Purpose::Pure("describe"));
        let answer = self.market(&reach, pure, async |market, store| market.call_describe(store).await);
        read::info(answer.await?).map_err(|why| self.misbehaved(format!("describes itself with {why}")))
    }

    /// Returns what a reference means, or `None` if it does not belong to this source.
    pub async fn claim(&self, reference: &str) -> Result<Option<Registration>, CallError> {
        let (reach, pure) = (Reach::default(), Purpose::Pure("claim"));
        let answer = self.market(&reach, pure, async |market, store| market.call_claim(store, reference).await);
        let claimed = answer.await?.map(read::registration).transpose();
        claimed.map_err(|why| self.misbehaved(format!("answers with {why}")))
    }

    /// Fetches the marketplace document and its revision.
    pub async fn fetch_marketplace(&self, reach: &Reach, at: &Registration) -> Result<Snapshot, CallError> {
        let at = &registration_to_wit(at);
        let answer =
            self.market(reach, Purpose::Answer, async |market, store| market.call_fetch_marketplace(store, at).await);
        self.snapshot(answer.await?.map_err(refusal)?)
    }

    /// Fetches an entry's manifests in the cheapest way.
    pub async fn fetch_plugin(
        &self,
        reach: &Reach,
        at: &Registration,
        entry: &EntryRef,
    ) -> Result<Manifests, CallError> {
        let (at, entry) = (&registration_to_wit(at), &entry_to_wit(entry));
        let answer = self.market(reach, Purpose::Answer, async |market, store| {
            match market.call_fetch_plugin(&mut *store, at, entry).await? {
                Ok(found) => {
                    let files = found.files.map(|files| take(store, files)).transpose()?;
                    Ok::<Answer<_>, wasmtime::Error>(Ok(Manifests {
                        plugin_json: found.plugin_json,
                        mcp_json: found.mcp_json,
                        files,
                    }))
                }
                Err(e) => Ok(Err(e)),
            }
        });
        answer.await?.map_err(refusal)
    }

    /// Fetches all files of an entry.
    pub async fn download_plugin(&self, reach: &Reach, at: &Registration, entry: &EntryRef) -> Result<Tree, CallError> {
        let (at, entry) = (&registration_to_wit(at), &entry_to_wit(entry));
        let answer = self.market(reach, Purpose::Answer, async |market, store| {
            match market.call_download_plugin(&mut *store, at, entry).await? {
                Ok(files) => Ok::<Answer<_>, wasmtime::Error>(Ok(take(store, files)?)),
                Err(e) => Ok(Err(e)),
            }
        });
        answer.await?.map_err(refusal)
    }

    /// Returns the current document, or `None` if its revision still is `known`.
    pub async fn update(&self, reach: &Reach, at: &Registration, known: &str) -> Result<Option<Snapshot>, CallError> {
        let at = &registration_to_wit(at);
        let answer =
            self.market(reach, Purpose::Answer, async |market, store| market.call_update(store, at, known).await);
        answer.await?.map_err(refusal)?.map(|snapshot| self.snapshot(snapshot)).transpose()
    }

    fn snapshot(&self, snapshot: market::Snapshot) -> Result<Snapshot, CallError> {
        read::snapshot(snapshot).map_err(|why| self.misbehaved(format!("hands over {why}")))
    }
}

impl Component {
    /// Measures `count` calls of `describe` in one instance, for `cargo xtask bench`.
    #[doc(hidden)]
    pub async fn time_calls(&self, count: u32) -> Result<std::time::Duration, CallError> {
        self.market(&Reach::default(), Purpose::Answer, async |market, store| {
            let start = std::time::Instant::now();
            for _ in 0..count {
                market.call_describe(&mut *store).await?;
            }
            Ok(start.elapsed())
        })
        .await
    }
}

fn registration_to_wit(at: &Registration) -> market::Registration {
    market::Registration { kind: at.kind.to_string(), location: at.location.clone(), ref_: at.reference.clone() }
}

fn entry_to_wit(entry: &EntryRef) -> market::EntryRef {
    let field = |field: &Field| market::Field { name: field.name.clone(), value: field.value.clone() };
    market::EntryRef {
        name: entry.name.clone(),
        source: match &entry.source {
            EntrySource::Relative(path) => market::EntrySource::Relative(path.clone()),
            EntrySource::Own { form, fields } => market::EntrySource::Own(market::OwnSource {
                form: form.clone(),
                fields: fields.iter().map(field).collect(),
            }),
        },
        revision: entry.revision.clone(),
    }
}

/// Takes a tree that the guest returned out of the store before the store is dropped.
fn take(store: &mut Store<CallState>, files: Resource<Tree>) -> wasmtime::Result<Tree> {
    Ok(store.data_mut().table.delete(files)?)
}
