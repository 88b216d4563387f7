//! `cargo xtask dependencies`: what `docs/dependencies.md` says of a package, shown by a program that uses it.

use aiw_tests::command::{self, guest_cargo};
use anyhow::{Result, ensure};
use serde_json::Value;

/// The reproductions: a workspace of their own, in which each program needs the feature of its name.
const DIRECTORY: &str = "tests/dependencies";

/// Builds and runs one reproduction, or all.
pub fn run(wanted: Option<&str>) -> Result<()> {
    let metadata = command::output(guest_cargo(DIRECTORY).args(["metadata", "--format-version=1", "--no-deps"]))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let targets = metadata["packages"][0]["targets"].as_array().into_iter().flatten();
    let programs = targets.filter(|target| target["kind"][0] == "bin").filter_map(|target| target["name"].as_str());
    let programs: Vec<&str> = programs.collect();
    ensure!(
        wanted.is_none_or(|wanted| programs.contains(&wanted)),
        "there are reproductions of {}",
        programs.join(", ")
    );
    for program in programs.into_iter().filter(|program| wanted.is_none_or(|wanted| wanted == *program)) {
        println!("== {program}");
        let mut cargo = guest_cargo(DIRECTORY);
        cargo.args(["run", "--release", "--locked", "--bin", program, "--features", program]);
        command::quiet_unless_terminal(&mut cargo);
        command::run(&mut cargo)?;
    }
    Ok(())
}
