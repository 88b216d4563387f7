//! `cargo xtask bench --compare REV`: builds a release of this tree and one of another revision, and measures the
//! commands of both in alternating pairs.

use std::path::{Path, PathBuf};
use std::process::Command;

use aiw_tests::command::{self, cargo, host_target, root};
use anyhow::{Context, Result};

use crate::commands::{CommandBench, ROWS};
use crate::pairs::{PairBudget, alternate};
use crate::row::BenchRow;

/// A tree of the repository and the target directory of its release.
struct Tree {
    source: PathBuf,
    target: PathBuf,
}

/// Two binaries: of this tree, and of the revision.
pub struct ComparedBinaries {
    pub new: PathBuf,
    pub old: PathBuf,
    /// The commit of `old`, abbreviated.
    pub revision: String,
}

impl ComparedBinaries {
    /// Builds both. What an earlier call built is used again.
    pub fn build(revision: &str) -> Result<Self> {
        let git = |arguments: &[&str]| command::output(Command::new("git").args(arguments).current_dir(root()));
        let commit = git(&["rev-parse", "--verify", "--short=12", &format!("{revision}^{{commit}}")])?;
        let commit = commit.trim();
        let beneath = host_target().join("bench-compare").join(commit);
        let old = Tree { source: beneath.join("source"), target: beneath.join("target") };
        if !old.source.join("Cargo.toml").is_file() {
            let source = old.source.to_str().context("a target directory in UTF-8")?;
            // The tree may have been removed by hand.
            git(&["worktree", "prune"])?;
            git(&["worktree", "add", "--detach", source, commit])?;
        }
        let new = Tree { source: root(), target: host_target() };
        Ok(Self { new: new.release()?, old: old.release()?, revision: commit.to_owned() })
    }
}

impl Tree {
    /// Builds the components and the binary of the tree. Returns the path of the binary.
    fn release(&self) -> Result<PathBuf> {
        let manifest = std::fs::read_to_string(self.source.join("Cargo.toml"))?;
        let profile = release_profile(&manifest);
        let run = |arguments: &[&str]| {
            let mut cargo = cargo(&self.source);
            command::run(cargo.args(arguments).env("CARGO_TARGET_DIR", &self.target))
        };
        run(&["run", "--quiet", "--package", "xtask", "--", "setup"])?;
        run(&["build", "--locked", "--profile", profile, "-p", "agentic-warden"])?;
        Ok(self.target.join(profile).join("aiw"))
    }
}

/// Returns the profile of released binaries: `dist` where the workspace has it.
fn release_profile(manifest: &str) -> &'static str {
    if manifest.lines().any(|line| line.trim_end() == "[profile.dist]") { "dist" } else { "release" }
}

/// Builds both binaries and prints the table of commands, with the ratio of the new time to the old one.
pub fn run(revision: &str) -> Result<()> {
    let binaries = ComparedBinaries::build(revision)?;
    print_commands(&binaries.new, &binaries.old, &binaries.revision)
}

fn print_commands(new: &Path, old: &Path, revision: &str) -> Result<()> {
    let (new, old) = (CommandBench::new(new.to_owned())?, CommandBench::new(old.to_owned())?);
    println!("{}", BenchRow::table_header());
    for row in ROWS.iter().filter(|row| new.can_run(row)) {
        let pair = || Ok((new.sample(row)?.millis, old.sample(row)?.millis));
        // The revision may lack a command.
        match alternate(PairBudget::DEFAULT, pair) {
            Ok(pairs) => println!("{}", BenchRow::new(row.label, "ms", &pairs, revision, false, None)),
            Err(e) => println!("{}: not compared: {e:#}", row.label),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_has_the_profile_dist_where_there_is_one() {
        assert_eq!(release_profile("[profile.release]\nlto = true\n"), "release");
        assert_eq!(release_profile("[profile.release]\n\n[profile.dist]\ninherits = \"release\"\n"), "dist");
        assert_eq!(release_profile("[profile.dist.package.a]\n"), "release");
    }
}
