//! The vectors of a collection in memory: as bytes, in one piece, to be scanned.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use super::kernel;
use crate::store::{Filter, VectorHit};

/// The least number of entries that are compared exactly. With 50, the ten nearest of 100,000 sentence vectors were
/// always among them.
const MIN_CANDIDATES: usize = 50;

/// The place of an entry's record in its file.
#[derive(Debug, Clone, Copy)]
pub(super) struct RecordLocation {
    pub(super) offset: u64,
    pub(super) length: u32,
}

/// All entries, each with the place of its exact vector. Entries have no gaps between them: the last one moves into
/// the place of a removed one.
pub(super) struct VectorIndex {
    dimensions: usize,
    codes: Vec<i8>,
    units: Vec<f32>,
    ids: Vec<Arc<str>>,
    places: Vec<RecordLocation>,
    slots: HashMap<Arc<str>, usize>,
}

impl VectorIndex {
    pub(super) fn new(dimensions: usize) -> Self {
        Self {
            dimensions,
            codes: Vec::new(),
            units: Vec::new(),
            ids: Vec::new(),
            places: Vec::new(),
            slots: HashMap::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    fn width(&self) -> usize {
        kernel::padded_width(self.dimensions)
    }

    /// Adds or replaces an entry, and returns the place of the one that it replaces. `vector` has length 1, and is at
    /// `place` from now on.
    pub(super) fn put(&mut self, id: &str, vector: &[f32], place: RecordLocation) -> Option<RecordLocation> {
        let width = self.width();
        if let Some(slot) = self.slots.get(id).copied() {
            let mut codes = Vec::with_capacity(width);
            self.units[slot] = kernel::quantize(vector, width, &mut codes);
            self.codes[slot * width..(slot + 1) * width].copy_from_slice(&codes);
            return Some(std::mem::replace(&mut self.places[slot], place));
        }
        let id: Arc<str> = id.into();
        let unit = kernel::quantize(vector, width, &mut self.codes);
        self.units.push(unit);
        self.slots.insert(id.clone(), self.ids.len());
        self.ids.push(id);
        self.places.push(place);
        None
    }

    /// Removes an entry, and returns its place.
    pub(super) fn remove(&mut self, id: &str) -> Option<RecordLocation> {
        let slot = self.slots.remove(id)?;
        let (width, last) = (self.width(), self.ids.len() - 1);
        self.codes.copy_within(last * width..(last + 1) * width, slot * width);
        self.codes.truncate(last * width);
        self.units.swap_remove(slot);
        self.ids.swap_remove(slot);
        if let Some(moved) = self.ids.get(slot) {
            self.slots.insert(moved.clone(), slot);
        }
        Some(self.places.swap_remove(slot))
    }

    pub(super) fn location(&self, id: &str) -> Option<&RecordLocation> {
        Some(&self.places[*self.slots.get(id)?])
    }

    /// Returns all places, to change them.
    pub(super) fn locations_mut(&mut self) -> impl Iterator<Item = &mut RecordLocation> {
        self.places.iter_mut()
    }

    /// Finds the `k` entries nearest to `query`, which has length 1. `exact` reads an exact vector at its place.
    /// Equal scores are sorted by id.
    pub(super) fn search<E>(
        &self,
        query: &[f32],
        k: usize,
        filter: Option<Filter<'_>>,
        mut exact: impl FnMut(&str, &RecordLocation) -> Result<f32, E>,
    ) -> Result<Vec<VectorHit>, E> {
        let wanted = k.min(self.len());
        let mut hits = Vec::with_capacity(wanted);
        if wanted == 0 {
            return Ok(hits);
        }
        for slot in self.candidates(query, wanted.saturating_mul(5).max(MIN_CANDIDATES), filter) {
            let id = &self.ids[slot];
            hits.push(VectorHit { id: id.to_string(), score: exact(id, &self.places[slot])? });
        }
        hits.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id)));
        hits.truncate(wanted);
        Ok(hits)
    }

    /// Returns the slots that are nearest by their bytes.
    fn candidates(&self, query: &[f32], count: usize, filter: Option<Filter<'_>>) -> Vec<usize> {
        let width = self.width();
        let mut codes = Vec::with_capacity(width);
        kernel::quantize(query, width, &mut codes);
        let query: Vec<i16> = codes.into_iter().map(i16::from).collect();
        let mut nearest: BinaryHeap<Reverse<Near>> = BinaryHeap::with_capacity(count.min(self.len()) + 1);
        let mut worst = f32::NEG_INFINITY;
        kernel::dot_products(&self.codes, &query, |slot, dot| {
            #[expect(clippy::cast_precision_loss, reason = "it fits in 24 bits but for a rounding below a byte's own")]
            let score = dot as f32 * self.units[slot];
            if score <= worst || filter.is_some_and(|keep| !keep(&self.ids[slot])) {
                return;
            }
            nearest.push(Reverse(Near { score, slot }));
            if nearest.len() > count {
                nearest.pop();
            }
            if nearest.len() == count {
                worst = nearest.peek().map_or(worst, |last| last.0.score);
            }
        });
        nearest.into_iter().map(|near| near.0.slot).collect()
    }
}

#[derive(PartialEq)]
struct Near {
    score: f32,
    slot: usize,
}

impl Eq for Near {}

impl PartialOrd for Near {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Near {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.score.total_cmp(&other.score).then(self.slot.cmp(&other.slot))
    }
}
