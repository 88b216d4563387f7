//! `cargo xtask dist`: the binary for each system and the packages around it, all of them in `target/dist`.
//!
//! [`table`] has what packages say of aiw, and the systems. [`binary`] builds and checks the binary, [`documents`] makes
//! what goes beside it, and each kind of package is one module. [`check`] installs them in systems that are new.

mod binary;
mod check;
mod deb;
mod documents;
mod elsewhere;
mod install_sh;
mod npm;
mod table;
mod tools;
mod tree;
mod wheel;

use std::path::{Path, PathBuf};
use std::process::Command;

use aiw_extensions::sha256_hex;
use aiw_tests::command::{self, root};
use anyhow::{Context, Result, ensure};
use clap::Args;

use self::documents::Documents;
use self::table::{ABOUT, DistTarget, System, TARGETS, VERSION};
pub use self::tools::linker;
use self::tree::{FileBytes, FileTree, gzip, write, xz};
use crate::{plugins, tour};

/// The arguments of `cargo xtask dist`.
#[derive(Args)]
pub struct Wanted {
    /// The systems to build for, as Rust names them [default: this one]
    #[arg(long, value_name = "TRIPLE")]
    target: Vec<String>,
    /// Build nothing: only write what names the archives that are in `target/dist` (install.sh, npm, Homebrew, AUR, digests)
    #[arg(long, conflicts_with = "target")]
    collect: bool,
    /// Install the packages for this system in fresh systems, and use them there; needs root and mmdebstrap
    #[arg(long)]
    check: bool,
    /// Fail if anything that a release needs is unknown or missing
    #[arg(long)]
    release: bool,
}

/// Makes packages, and checks them. Returns whether they are good.
pub fn run(wanted: &Wanted) -> Result<bool> {
    if wanted.release {
        ABOUT.complete()?;
    }
    let named = wanted.target.iter().map(|triple| DistTarget::named(triple)).collect::<Result<Vec<_>>>()?;
    let targets = match named.is_empty() {
        true => vec![DistTarget::named(&plugins::triple()?)?],
        false => named,
    };
    let (dist, time) = (dist(), time()?);
    if !wanted.collect {
        remove_others(&dist)?;
        plugins::setup()?;
        for target in &targets {
            make(target, &dist, time)?;
        }
    }
    collect(&dist, time, wanted.release)?;
    if wanted.check {
        return check::run(&dist, &targets);
    }
    Ok(true)
}

/// Lints the workflows.
pub fn lint() -> Result<bool> {
    check::workflows()
}

/// The directory of all packages.
fn dist() -> PathBuf {
    root().join("target/dist")
}

/// The time that all files have: that of the last commit, unless `SOURCE_DATE_EPOCH` says another.
fn time() -> Result<u64> {
    if let Some(time) = std::env::var_os("SOURCE_DATE_EPOCH") {
        return time.to_string_lossy().parse().context("`SOURCE_DATE_EPOCH` is not a number");
    }
    let time = command::output(Command::new("git").args(["log", "-1", "--format=%ct"]).current_dir(root()))?;
    Ok(time.trim().parse()?)
}

/// Removes packages of other versions.
fn remove_others(dist: &Path) -> Result<()> {
    std::fs::create_dir_all(dist)?;
    for entry in std::fs::read_dir(dist)? {
        let entry = entry?;
        if entry.file_type()?.is_file() && !entry.file_name().to_string_lossy().contains(VERSION) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Builds for a target, and writes the packages that are its own.
fn make(target: &DistTarget, dist: &Path, time: u64) -> Result<()> {
    println!("== {} {VERSION} for {}", ABOUT.program, target.triple);
    let scripts = std::fs::read(plugins::scripts_for(target.triple)?)?;
    let path = binary::build(target)?;
    let binary: FileBytes = std::fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))?.into();
    binary::check(target, &binary, &scripts)?;
    let documents = Documents::make(target, &runs_here(target, path)?, time)?;
    let mut tree = documents.tree()?;
    tree.add_program(ABOUT.program, binary.clone());
    // As aiw 0.6 was called.
    tree.add_link(ABOUT.crate_name, ABOUT.program);
    let prefix = format!("{}/", target.stem());
    let tar = tree.tar(&prefix, false, time)?;
    let mut packages = vec![
        (target.archive("tar.xz"), xz(&tar)?),
        (target.archive("tar.gz"), gzip(&tar)?),
        (target.archive("zip"), tree.zip(&prefix, time)?),
        (target.archive("cdx.json"), documents.sbom.to_vec()),
        (target.npm_file(), npm::of_target(target, &binary, &documents, time)?),
        (target.wheel_file(), wheel::package(target, &binary, &documents, time)?),
    ];
    if target.system == System::Linux {
        packages.push((target.deb_file(), deb::package(target, &binary, &documents, time)?));
    }
    for (name, bytes) in packages {
        println!("{name} {:.1} MB", bytes.len() as f64 / 1e6);
        write(&dist.join(name), &bytes)?;
    }
    Ok(())
}

/// Returns the binary that writes its pages here: the target's own, else one for this system, whose pages are the same.
fn runs_here(target: &DistTarget, built: PathBuf) -> Result<PathBuf> {
    let here = plugins::triple()?;
    if target.triple == here {
        return Ok(built);
    }
    let beside = binary::path(&here);
    let version = command::output(Command::new(&beside).arg("--version")).unwrap_or_default();
    match version.trim() == format!("{} {VERSION}", ABOUT.program) {
        true => Ok(beside),
        false => tour::build_aiw(),
    }
}

/// Writes what names the archives that are there, and the digests of everything.
fn collect(dist: &Path, time: u64, release: bool) -> Result<()> {
    let archives = elsewhere::archives(dist)?;
    let missing: Vec<_> =
        TARGETS.iter().filter(|target| archives.iter().all(|archive| archive.target != *target)).collect();
    ensure!(!archives.is_empty(), "`{}` has no archive of {} {VERSION}", dist.display(), ABOUT.program);
    let missing: Vec<&str> = missing.into_iter().map(|target| target.triple).collect();
    ensure!(!release || missing.is_empty(), "a release needs all archives; these are missing: {}", missing.join(", "));
    if !missing.is_empty() {
        println!("not built here, and left out of what names archives: {}", missing.join(", "));
    }
    if !ABOUT.unknown().is_empty() {
        println!("for local use only, because nobody has said yet: {}", ABOUT.unknown().join(", "));
    }
    let targets: Vec<&DistTarget> = archives.iter().map(|archive| archive.target).collect();
    let mut common = FileTree::default();
    common.add_program("install.sh", install_sh::script(&archives)?.into_bytes());
    common.add(format!("{}.rb", ABOUT.program), elsewhere::formula(&archives)?.into_bytes());
    let (build, info) = elsewhere::aur(&archives)?;
    common.add("PKGBUILD", build.into_bytes());
    common.add("SRCINFO", info.into_bytes());
    common.add(format!("{}-{VERSION}.tgz", ABOUT.program), npm::of_all(&targets, time)?);
    common.write(dist)?;
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dist)? {
        let entry = entry?;
        if entry.file_type()?.is_file() && entry.file_name() != "SHA256SUMS" {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    let mut sums = String::new();
    for name in names {
        sums += &format!("{}  {name}\n", sha256_hex(&std::fs::read(dist.join(&name))?));
    }
    write(&dist.join("SHA256SUMS"), sums.as_bytes())?;
    println!("written: {}", dist.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(path: &str) -> toml::Table {
        std::fs::read_to_string(root().join(path)).unwrap().parse().unwrap()
    }

    #[test]
    fn the_table_agrees_with_the_manifests() {
        let workspace = manifest("Cargo.toml");
        let package = &workspace["workspace"]["package"];
        assert_eq!((package["version"].as_str(), package["license"].as_str()), (Some(VERSION), Some(ABOUT.licence)));
        assert_eq!(package.get("repository").and_then(toml::Value::as_str), ABOUT.repository);
        let aiw = manifest("host/aiw/Cargo.toml");
        assert_eq!(aiw["package"]["name"].as_str(), Some(ABOUT.crate_name));
        assert_eq!(aiw["bin"][0]["name"].as_str(), Some(ABOUT.program));
    }

    #[test]
    fn components_are_the_same_in_every_directory_since_no_crate_of_theirs_is_outside_of_their_workspace() {
        let plugins = manifest("plugins/Cargo.toml");
        let dependencies = plugins["workspace"]["dependencies"].as_table().unwrap();
        let paths: Vec<&str> = dependencies.values().filter_map(|crate_| crate_.get("path")?.as_str()).collect();
        assert!(!paths.is_empty() && paths.iter().all(|path| !path.starts_with("..")), "{paths:?}");
    }

    #[test]
    fn cargo_binstall_finds_the_archives() {
        let aiw = manifest("host/aiw/Cargo.toml");
        let binstall = &aiw["package"]["metadata"]["binstall"];
        let target = &TARGETS[0];
        let filled = |name: &str| {
            let text = binstall[name].as_str().unwrap();
            let values =
                [("{ version }", VERSION), ("{ target }", target.triple), ("{ bin }", "aiw"), ("{ binary-ext }", "")];
            values.iter().fold(text.to_owned(), |text, (hole, value)| text.replace(hole, value))
        };
        assert!(filled("pkg-url").ends_with(&format!("/{}", target.archive("tar.xz"))), "{}", filled("pkg-url"));
        assert_eq!(filled("bin-dir"), format!("{}/aiw", target.stem()));
        assert_eq!(filled("pkg-fmt"), "txz");
    }

    #[test]
    fn the_licence_names_the_holder_of_the_table() {
        let mit = std::fs::read_to_string(root().join("LICENSE-MIT")).unwrap();
        let line = mit.lines().find(|line| line.starts_with("Copyright (c) ")).unwrap();
        assert!(line.ends_with(ABOUT.copyright()), "{line}");
        assert!(std::fs::read_to_string(root().join("LICENSE-APACHE")).unwrap().contains("Version 2.0, January 2004"));
    }

    #[test]
    fn what_is_accepted_as_a_licence_is_what_cargo_deny_allows() {
        let (about, deny) = (manifest("host/xtask/src/dist/about.toml"), manifest("deny.toml"));
        assert_eq!(about["accepted"], deny["licenses"]["allow"]);
    }
}
