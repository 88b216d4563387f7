//! Exact search without an index: all vectors are scanned as bytes, and the nearest compared exactly.

mod file;
mod index;
pub mod kernel;
mod record;

pub use file::{FileVectors, remove_collection};
