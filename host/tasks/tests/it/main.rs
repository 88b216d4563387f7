//! Tasks as their users see them: real shims, shell scripts in the place of CLIs.
#![cfg(unix)]

mod environment;
mod killed;
mod life;
mod logs;
mod many;
mod segment;
