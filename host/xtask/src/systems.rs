//! `cargo xtask systems`: the code compiles for the systems that this one isn't.
//!
//! Nothing is linked: that needs Apple's SDK. The check of the whole workspace also runs the build scripts of SQLite,
//! libgit2, zlib, Oniguruma, ring and wasmtime, and compiles their C for macOS with zig. That takes minutes, and finds
//! nothing unless a dependency or code of one system has changed: then only, it is part of the usual check.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use aiw_tests::command::{self, host_cargo, output, root};
use anyhow::{Context, Result};

use crate::dist::linker;

/// The crates that are meant to compile for Windows. None of them has C in it.
const WINDOWS: [&str; 5] = ["aiw-core", "aiw-home", "aiw-supervisor", "aiw-tasks", "aiw-launch"];

/// The crates with code of one system and without C, for macOS.
const MACOS: [&str; 7] =
    ["aiw-core", "aiw-home", "aiw-supervisor", "aiw-tasks", "aiw-launch", "aiw-processes", "aiw-events"];

/// The digest of the dependencies and of all code of one system with which the whole workspace was checked last.
const CHECKED: &str = "host/xtask/systems.sha256";

/// Checks for macOS and Windows. Returns `true` if all is well.
pub fn run(all: bool) -> Result<bool> {
    let digest = digest()?;
    let is_known = fs::read_to_string(root().join(CHECKED)).is_ok_and(|known| known.trim() == digest);
    let windows = check_crates(&WINDOWS, "x86_64-pc-windows-gnu")?;
    if is_known && !all {
        return Ok(windows && check_crates(&MACOS, "aarch64-apple-darwin")?);
    }
    println!("dependencies or code of one system changed: checking the whole workspace for macOS");
    let macos = check_macos("aarch64-apple-darwin")?;
    if all && windows && macos && linker().is_ok() {
        fs::write(root().join(CHECKED), digest + "\n")?;
    } else if !is_known {
        println!("`cargo xtask systems --all` checks it again and records that in {CHECKED}");
    }
    Ok(windows && macos)
}

/// Returns the digest of everything that can make the code compile on one system and not on another.
fn digest() -> Result<String> {
    let listed = output(
        Command::new("git")
            .args(["ls-files", "-z", "host", "sdk/testkit", "tests", "Cargo.lock", "Cargo.toml"])
            .current_dir(root()),
    )?;
    let mut text = String::new();
    for name in listed.split_terminator('\0') {
        let path: PathBuf = root().join(name);
        let is_manifest = name.ends_with("Cargo.toml") || name == "Cargo.lock";
        if !is_manifest && !name.ends_with(".rs") {
            continue;
        }
        let Ok(content) = fs::read_to_string(&path) else { continue };
        if is_manifest || is_of_one_system(&content) {
            text += &format!("{name} {}\n", aiw_extensions::sha256_hex(content.as_bytes()));
        }
    }
    Ok(aiw_extensions::sha256_hex(text.as_bytes()))
}

/// Returns `true` if code depends on the system: by a condition, or by calls that some systems lack.
fn is_of_one_system(code: &str) -> bool {
    const KEYS: [&str; 6] = ["target_os", "target_family", "target_vendor", "target_arch", "unix", "windows"];
    const CALLS: [&str; 5] = ["libc::", "rustix::", "nix::", "os::linux", "os::unix"];
    let conditions = code.split("cfg").skip(1).filter(|rest| rest.starts_with(['(', '!', '_']));
    let mut conditions = conditions.map(|rest| rest.lines().next().unwrap_or_default());
    conditions.any(|line| KEYS.iter().any(|key| line.contains(key))) || CALLS.iter().any(|call| code.contains(call))
}

/// Checks the whole workspace with its tests for macOS on a processor; where zig can't be had, only the crates without C.
/// Returns `true` if they compile without a warning.
pub fn check_macos(target: &str) -> Result<bool> {
    let programs = match linker() {
        Ok(programs) => programs,
        Err(e) => {
            println!("{target}: only {} are checked, because zig can't be installed: {e:#}", MACOS.join(", "));
            return check_crates(&MACOS, target);
        }
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(programs.clone()).chain(std::env::split_paths(&path)))?;
    let mut check = command::like_cargo(Command::new(programs.join("cargo-zigbuild")), "");
    check.args(["check", "--quiet", "--locked", "--workspace", "--target", target]);
    check.args(["--lib", "--bins", "--tests", "--examples"]);
    checked(check.env("PATH", path))
}

fn check_crates(crates: &[&str], target: &str) -> Result<bool> {
    let mut check = host_cargo();
    check.args(["check", "--quiet", "--locked", "--target", target]);
    checked(check.args(crates.iter().flat_map(|name| ["-p", name])))
}

fn checked(check: &mut Command) -> Result<bool> {
    // Clippy's advice about a type may be wrong for another system. The flags don't count for what runs on this one.
    check.env_remove("RUSTC_WORKSPACE_WRAPPER").env("RUSTFLAGS", "-Dwarnings");
    Ok(command::status(check).context("the check of another system")?.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_of_one_system_is_recognized() {
        for code in
            ["#[cfg(unix)]\nfn f() {}", "if cfg!(target_os = \"macos\") {}", "#[cfg_attr(windows, expect(dead_code))]"]
        {
            assert!(is_of_one_system(code), "{code}");
        }
        for code in ["#[cfg(test)]\nmod unix {}", "let cfg = 1;", "fn windows() {}"] {
            assert!(!is_of_one_system(code), "{code}");
        }
    }
}
