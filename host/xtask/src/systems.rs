//! `cargo xtask systems`: the code compiles for the systems that this one isn't.
//!
//! Nothing is linked: that needs Apple's SDK. But the build scripts of SQLite, libgit2, zlib, Oniguruma, ring and wasmtime
//! run, and compile their C for macOS. That is done by zig.

use std::process::Command;

use anyhow::Result;

use crate::command::{self, host_cargo};
use crate::dist::linker;

/// The rooms that are meant to compile for Windows. None of them has C in it.
const ROOMS: [&str; 5] = ["aiw-core", "aiw-home", "aiw-supervisor", "aiw-tasks", "aiw-launch"];

/// Checks the whole workspace for Apple's processors, and some rooms for Windows. Returns whether all is well.
pub fn run() -> Result<bool> {
    let windows = check_rooms("x86_64-pc-windows-gnu")?;
    let macos = check_macos("aarch64-apple-darwin")?;
    Ok(windows && macos)
}

/// Checks the whole workspace with its tests for macOS on a processor; where zig can't be had, only the rooms that need
/// none. Returns whether they compile, without a warning.
pub fn check_macos(target: &str) -> Result<bool> {
    let programs = match linker() {
        Ok(programs) => programs,
        Err(e) => {
            println!("{target}: only {} were checked, because zig can't be installed: {e:#}", ROOMS.join(", "));
            return check_rooms(target);
        }
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(programs.clone()).chain(std::env::split_paths(&path)))?;
    let mut check = command::like_cargo(Command::new(programs.join("cargo-zigbuild")), "");
    check.args(["check", "--quiet", "--locked", "--workspace", "--all-targets", "--target", target]);
    checked(check.env("PATH", path))
}

fn check_rooms(target: &str) -> Result<bool> {
    let mut check = host_cargo();
    check.args(["check", "--quiet", "--locked", "--target", target]);
    checked(check.args(ROOMS.iter().flat_map(|room| ["-p", room])))
}

fn checked(check: &mut Command) -> Result<bool> {
    // Clippy's advice about a type may be wrong for another system. The flags don't count for what runs on this one.
    check.env_remove("RUSTC_WORKSPACE_WRAPPER").env("RUSTFLAGS", "-Dwarnings");
    Ok(command::status(check)?.success())
}
