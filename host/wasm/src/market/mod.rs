//! The world `market-source`, as the rooms above see it: typed words, and every answer checked.

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
use crate::host::{State, refusal};

/// What a source reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceInfo {
    /// In a few words: `GitHub repositories`.
    pub label: String,
    /// The references that it takes.
    pub references: Vec<ReferenceForm>,
    /// Entry source forms of its own. They are not checked yet: some may be the host's.
    pub entry_forms: Vec<String>,
}

/// A form of reference, as help shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferenceForm {
    /// `owner/repo[@ref]`
    pub form: String,
    /// One that it takes.
    pub example: String,
}

/// What a reference means: a marketplace as settings.json keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// How it is reached.
    pub kind: MarketKind,
    /// `owner/repo`, a URL, a path, or what the component understands. At most 4096 printable bytes.
    pub location: String,
    /// A branch or tag.
    pub reference: Option<String>,
}

/// A marketplace document as the source has it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The bytes of the document; the host parses them.
    pub document: Vec<u8>,
    /// What changes when the document or what it refers to changes.
    pub revision: String,
}

/// A field of an entry's source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its value as text.
    pub value: String,
}

/// Where an entry's files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntrySource {
    /// A path below the marketplace's root; empty for the root itself.
    Relative(String),
    /// A form of the component's own.
    Own {
        /// Its word.
        form: String,
        /// Its fields of text, numbers and truth values.
        fields: Vec<Field>,
    },
}

/// One entry of a marketplace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryRef {
    /// Its name.
    pub name: String,
    /// Where its files are.
    pub source: EntrySource,
    /// The revision of the snapshot that holds it.
    pub revision: String,
}

type Answer<T> = Result<T, types::Error>;

/// What could be had of a plugin at the lowest cost.
#[derive(Default)]
pub struct Manifests {
    /// `.claude-plugin/plugin.json`
    pub plugin_json: Option<Vec<u8>>,
    /// `.mcp.json`
    pub mcp_json: Option<Vec<u8>>,
    /// All its files, where they are at hand.
    pub files: Option<Tree>,
}

impl Component {
    /// What the source reads.
    pub async fn describe(&self) -> Result<SourceInfo, CallError> {
        let (reach, pure) = (Reach::default(), Purpose::Pure("describe"));
        let answer = self.market(&reach, pure, async |market, store| market.call_describe(store).await);
        read::info(answer.await?).map_err(|why| self.misbehaved(format!("describes itself with {why}")))
    }

    /// Whether a reference is this source's, and what it means.
    pub async fn claim(&self, reference: &str) -> Result<Option<Registration>, CallError> {
        let (reach, pure) = (Reach::default(), Purpose::Pure("claim"));
        let answer = self.market(&reach, pure, async |market, store| market.call_claim(store, reference).await);
        let claimed = answer.await?.map(read::registration).transpose();
        claimed.map_err(|why| self.misbehaved(format!("answers with {why}")))
    }

    /// The marketplace document and its revision.
    pub async fn fetch_marketplace(&self, reach: &Reach, at: &Registration) -> Result<Snapshot, CallError> {
        let at = &registration_to_wit(at);
        let answer =
            self.market(reach, Purpose::Answer, async |market, store| market.call_fetch_marketplace(store, at).await);
        self.snapshot(answer.await?.map_err(refusal)?)
    }

    /// An entry's manifests, the cheapest way.
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

    /// All files of an entry.
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

    /// The document as it is now; `None` if `known` still is the revision.
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
    /// `count` calls of `describe` in one instance, for `cargo xtask bench`: how long they took.
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

/// A tree that the guest handed back leaves the store before the store goes.
fn take(store: &mut Store<State>, files: Resource<Tree>) -> wasmtime::Result<Tree> {
    Ok(store.data_mut().table.delete(files)?)
}
