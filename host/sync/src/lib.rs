//! Configuration that travels: settings of AI CLIs and of aiw on every machine of yours, encrypted, merged, shown before they
//! are applied, and undone byte for byte.
//!
//! Not for trust: what you agreed to on one machine stays there.

pub mod content;
pub mod far;
