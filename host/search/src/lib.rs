//! Search by words: how a text becomes terms and clauses, and an index in memory that ranks short records by them.
//! Pure: what is indexed, and where it is kept, is others' work.

mod clauses;
mod index;
mod words;

pub use clauses::clauses;
pub use index::{FieldWeight, Index, QueryTerm, Scores};
pub use words::words;
