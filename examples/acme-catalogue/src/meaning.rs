//! Finding rows by meaning. Their vectors stay in a collection, so each row is embedded once.

use std::collections::BTreeMap;

use aiw_extension::embeddings::{self, ModelState};
use aiw_extension::vectors::{self, VectorEntry};
use aiw_extension::{Error, digest};

use crate::catalogue::Row;

const COLLECTION: &str = "servers";

/// The texts that the host embeds at once.
const BATCH: usize = 256;

/// Returns the rows, those nearest to a query first. Fails if there is no model.
pub fn ranked<'r>(rows: &'r [Row], query: &str, limit: u32) -> Result<Vec<&'r Row>, Error> {
    let model = match embeddings::state() {
        ModelState::Ready(model) => model,
        ModelState::Missing(why) => return Err(Error::unavailable(why, None)),
    };
    // Vectors of different models can't be compared.
    let id = |row: &Row| digest(format!("{} {}", model.id, row.text()).as_bytes());
    let by_id: BTreeMap<String, &Row> = rows.iter().map(|row| (id(row), row)).collect();
    let query = embeddings::embed(&[query.to_owned()])?.concat();
    let known = match vectors::search(COLLECTION, &query, 1) {
        Ok(known) => known,
        // Those of another model have another number of dimensions.
        Err(_) => {
            vectors::clear(COLLECTION)?;
            Vec::new()
        }
    };
    let mut missing = Vec::new();
    for (id, row) in &by_id {
        if known.is_empty() || vectors::get(COLLECTION, id)?.is_none() {
            missing.push((id, row.text()));
        }
    }
    for batch in missing.chunks(BATCH) {
        let texts: Vec<String> = batch.iter().map(|(_, text)| text.clone()).collect();
        let entries = batch.iter().zip(embeddings::embed(&texts)?);
        let entries = entries.map(|((id, _), vector)| VectorEntry { id: (*id).clone(), vector });
        vectors::upsert(COLLECTION, &entries.collect::<Vec<_>>())?;
    }
    // Rows that the catalogue no longer has may be among the nearest.
    let hits = vectors::search(COLLECTION, &query, limit.saturating_mul(2).clamp(50, 1000))?;
    Ok(hits.iter().filter_map(|hit| by_id.get(&hit.id).copied()).collect())
}
