//! End to end: the real binary, real components, real git, real servers on loopback.

mod bad_input;
mod browse;
mod claude;
mod cli;
mod crash;
mod extensions;
mod lifecycle;
mod real_markets;
