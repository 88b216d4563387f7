//! What a vector store is, whatever keeps it.

use std::path::PathBuf;

use aiw_core::{Diagnostic, ErrorKind};
use aiw_home::HomeError;

/// The largest number of dimensions of a collection.
pub const MAX_DIMENSIONS: usize = 4096;

/// The longest id of an entry in bytes.
pub const MAX_ID_BYTES: usize = 1024;

/// An entry to store.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VectorEntry<'a> {
    /// The id: 1 to 1024 bytes. An entry replaces the one with the same id.
    pub id: &'a str,
    /// The vector. It is stored with length 1; only its direction counts.
    pub vector: &'a [f32],
}

/// An entry that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorHit {
    /// The entry's id.
    pub id: String,
    /// The cosine of the angle to what was searched: 1 for the same direction, -1 for the opposite one.
    pub score: f32,
}

/// Decides by its id whether an entry may be found.
pub type Filter<'a> = &'a dyn Fn(&str) -> bool;

/// A collection of vectors of the same number of dimensions. Calls block; many threads may make them.
pub trait VectorStore: Send + Sync {
    /// Returns the number of dimensions of every vector.
    fn dimensions(&self) -> usize;

    /// Adds entries, and replaces those with the same ids. If one is invalid, none is stored. If writing fails, the
    /// first of them may be.
    fn upsert(&self, entries: &[VectorEntry<'_>]) -> Result<(), StoreError>;

    /// Removes entries, and returns how many there were.
    fn delete(&self, ids: &[&str]) -> Result<usize, StoreError>;

    /// Returns the vector of an entry, with length 1.
    fn get(&self, id: &str) -> Result<Option<Vec<f32>>, StoreError>;

    /// Returns the number of entries.
    fn count(&self) -> Result<usize, StoreError>;

    /// Returns the `k` entries nearest to `query` that pass the filter, the nearest first; entries equally near are
    /// sorted by id.
    fn search(&self, query: &[f32], k: usize, filter: Option<Filter<'_>>) -> Result<Vec<VectorHit>, StoreError>;
}

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A vector has no direction, or not the dimensions of the collection.
    #[error("a vector {problem}")]
    InvalidVector {
        /// The problem, as the end of a sentence.
        problem: String,
    },
    /// An id is empty or too long.
    #[error("an id has {length} bytes, and must have 1 to {MAX_ID_BYTES}")]
    InvalidId {
        /// Its length in bytes.
        length: usize,
    },
    /// No collection can have that many dimensions.
    #[error("a collection must have 1 to {MAX_DIMENSIONS} dimensions, not {dimensions}")]
    InvalidDimensions {
        /// The requested number.
        dimensions: usize,
    },
    /// The file holds vectors of another number of dimensions.
    #[error("`{}` holds vectors of {found} dimensions, not {wanted}", .path.display())]
    DimensionMismatch {
        /// The file.
        path: PathBuf,
        /// The dimensions of the vectors in the file.
        found: usize,
        /// The dimensions that were asked for.
        wanted: usize,
    },
    /// The file cannot be read or written.
    #[error(transparent)]
    Home(#[from] HomeError),
}

impl Diagnostic for StoreError {
    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        aiw_core::forward_diagnostic!(self, Home)
    }

    fn own_kind(&self) -> ErrorKind {
        match self {
            Self::InvalidVector { .. } | Self::InvalidId { .. } | Self::InvalidDimensions { .. } => ErrorKind::User,
            Self::DimensionMismatch { .. } => ErrorKind::Config,
            _ => ErrorKind::User,
        }
    }
}

/// Checks a number of dimensions.
pub(crate) fn check_dimensions(dimensions: usize) -> Result<(), StoreError> {
    if (1..=MAX_DIMENSIONS).contains(&dimensions) { Ok(()) } else { Err(StoreError::InvalidDimensions { dimensions }) }
}

/// Checks an id.
pub(crate) fn check_id(id: &str) -> Result<(), StoreError> {
    if (1..=MAX_ID_BYTES).contains(&id.len()) { Ok(()) } else { Err(StoreError::InvalidId { length: id.len() }) }
}

/// Returns a vector of the same direction and length 1.
pub(crate) fn normalize(vector: &[f32], dimensions: usize) -> Result<Vec<f32>, StoreError> {
    let refuse = |problem: String| Err(StoreError::InvalidVector { problem });
    if vector.len() != dimensions {
        return refuse(format!("has {} dimensions, and the collection has {dimensions}", vector.len()));
    }
    if vector.iter().any(|value| !value.is_finite()) {
        return refuse("holds a number that is not finite".into());
    }
    // In f64, no f32 is too large or too small to be squared.
    let length = vector.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    if length == 0.0 {
        return refuse("holds only zeros, so it has no direction".into());
    }
    #[expect(clippy::cast_possible_truncation, reason = "it is between -1 and 1")]
    Ok(vector.iter().map(|value| (f64::from(*value) / length) as f32).collect())
}

/// Checks entries, and returns them with vectors of length 1.
pub(crate) fn normalize_entries<'a>(
    entries: &[VectorEntry<'a>],
    dimensions: usize,
) -> Result<Vec<(&'a str, Vec<f32>)>, StoreError> {
    entries
        .iter()
        .map(|entry| {
            check_id(entry.id)?;
            Ok((entry.id, normalize(entry.vector, dimensions)?))
        })
        .collect()
}
