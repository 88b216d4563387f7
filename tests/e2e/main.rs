//! End to end: the real binary, real components, real git, real servers on loopback.

mod real_markets;
