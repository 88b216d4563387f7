//! The exports of a market source. Its answers are parsed into types that cannot hold invalid values.

use aiw_core::is_git_ref;
use aiw_net::Tree;
use wasmtime::Store;
use wasmtime::component::Resource;

use super::generated::exports::aiw::plugin::market_source as generated;
use super::interfaces::types;
use super::reference_forms;
use crate::error::CallFailure;
use crate::host::CallState;
use crate::invalid_response::{InvalidResponse, validate_line_bytes};
use crate::limits::CallLimits;
use crate::market_source::types::{EntryRef, EntrySource, Manifests, Registration, Snapshot, SourceField, SourceInfo};

/// The exported functions of an instance.
pub(crate) struct Guest(pub(super) generated::Guest);

impl Guest {
    pub(crate) async fn describe(&self, store: &mut Store<CallState>) -> Result<SourceInfo, CallFailure> {
        info(self.0.call_describe(store).await?).map_err(|bad| CallFailure::Invalid("describes itself with", bad))
    }

    pub(crate) async fn claim(
        &self,
        store: &mut Store<CallState>,
        reference: &str,
    ) -> Result<Option<Registration>, CallFailure> {
        let claimed = self.0.call_claim(store, reference).await?;
        claimed.map(registration).transpose().map_err(|bad| CallFailure::Invalid("answers with", bad))
    }

    pub(crate) async fn fetch_marketplace(
        &self,
        store: &mut Store<CallState>,
        at: &Registration,
    ) -> Result<Snapshot, CallFailure> {
        handed(self.0.call_fetch_marketplace(store, &given(at)).await??)
    }

    pub(crate) async fn fetch_plugin(
        &self,
        store: &mut Store<CallState>,
        at: &Registration,
        entry: &EntryRef,
    ) -> Result<Manifests, CallFailure> {
        let found = self.0.call_fetch_plugin(&mut *store, &given(at), &given_entry(entry)).await??;
        let files = found.files.map(|files| take(store, files)).transpose()?;
        Ok(Manifests { plugin_json: found.plugin_json, mcp_json: found.mcp_json, files })
    }

    pub(crate) async fn download_plugin(
        &self,
        store: &mut Store<CallState>,
        at: &Registration,
        entry: &EntryRef,
    ) -> Result<Tree, CallFailure> {
        let files = self.0.call_download_plugin(&mut *store, &given(at), &given_entry(entry)).await??;
        Ok(take(store, files)?)
    }

    pub(crate) async fn update(
        &self,
        store: &mut Store<CallState>,
        at: &Registration,
        known: &str,
    ) -> Result<Option<Snapshot>, CallFailure> {
        self.0.call_update(store, &given(at), known).await??.map(handed).transpose()
    }
}

fn given(at: &Registration) -> generated::Registration {
    generated::Registration { kind: at.kind.to_string(), location: at.location.clone(), ref_: at.reference.clone() }
}

fn given_entry(entry: &EntryRef) -> generated::EntryRef {
    let field = |field: &SourceField| types::Field { name: field.name.clone(), value: field.value.clone() };
    generated::EntryRef {
        name: entry.name.clone(),
        source: match &entry.source {
            EntrySource::Relative(path) => generated::EntrySource::Relative(path.clone()),
            EntrySource::Custom { form, fields } => generated::EntrySource::Own(generated::OwnSource {
                form: form.clone(),
                fields: fields.iter().map(field).collect(),
            }),
        },
        revision: entry.revision.clone(),
    }
}

/// Takes a tree that the guest returned out of the store before the store is dropped.
fn take(store: &mut Store<CallState>, files: Resource<Tree>) -> wasmtime::Result<Tree> {
    Ok(store.data_mut().call.table.delete(files)?)
}

fn handed(found: generated::Snapshot) -> Result<Snapshot, CallFailure> {
    snapshot(found).map_err(|bad| CallFailure::Invalid("hands over", bad))
}

const MAX_LABEL_LEN: usize = 100;
const MAX_LOCATION_LEN: usize = 4096;
const MAX_REVISION_LEN: usize = 1024;

fn info(info: generated::SourceInfo) -> Result<SourceInfo, InvalidResponse> {
    Ok(SourceInfo {
        label: validate_line_bytes("a label", info.label, MAX_LABEL_LEN)?,
        references: reference_forms("forms of references", info.references)?,
        entry_forms: info.entry_forms,
    })
}

fn registration(claimed: generated::Registration) -> Result<Registration, InvalidResponse> {
    let kind = claimed.kind.parse().map_err(InvalidResponse::Kind)?;
    let location = validate_line_bytes("a location", claimed.location, MAX_LOCATION_LEN)?;
    match claimed.ref_ {
        Some(name) if !is_git_ref(&name) => Err(InvalidResponse::Ref),
        reference => Ok(Registration { kind, location, reference }),
    }
}

fn snapshot(snapshot: generated::Snapshot) -> Result<Snapshot, InvalidResponse> {
    let limit = CallLimits::DEFAULT.read_bytes;
    if snapshot.document.len() as u64 > limit {
        return Err(InvalidResponse::Document { limit });
    }
    if snapshot.revision.len() > MAX_REVISION_LEN || snapshot.revision.contains(aiw_core::is_unsafe_in_line) {
        return Err(InvalidResponse::Revision { limit: MAX_REVISION_LEN });
    }
    Ok(Snapshot { document: snapshot.document, revision: snapshot.revision })
}
