//! How much is read of far ends.

/// The largest object.
pub const MAX_OBJECT: u64 = 32 << 20;

/// The most objects of a far end. A machine keeps some 50.
pub const MAX_OBJECTS: usize = 20_000;

/// The most names that are read to find them. What is not an object is ignored, up to a point.
pub const MAX_NAMES: usize = 50_000;
