//! End to end: the real binary, real components, real git, real servers on loopback.

mod bad_input;
mod real_markets;
