//! Packages for Python, whose script is the binary: `pipx install agentic-warden`, `uvx agentic-warden`.

use std::fmt::Write as _;

use anyhow::Result;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::documents::{self, Documents};
use super::table::{ABOUT, DistTarget, System, VERSION};
use super::tree::{FileBytes, FileTree, fill};

/// The package for a target.
pub fn package(target: &DistTarget, binary: &FileBytes, documents: &Documents, time: u64) -> Result<Vec<u8>> {
    let name = ABOUT.crate_name.replace('-', "_");
    let (info, scripts) = (format!("{name}-{VERSION}.dist-info"), format!("{name}-{VERSION}.data/scripts"));
    let mut tree = FileTree::default();
    tree.add_program(format!("{scripts}/{}", ABOUT.program), binary.clone());
    // `uvx` and `pipx run` start the program that has the package's name.
    let same = format!("#!/bin/sh\nexec \"${{0%/*}}/{}\" \"$@\"\n", ABOUT.program);
    tree.add_program(format!("{scripts}/{}", ABOUT.crate_name), same.into_bytes());
    tree.add(format!("{info}/METADATA"), metadata(target, documents)?.into_bytes());
    let wheel =
        format!("Wheel-Version: 1.0\nGenerator: xtask\nRoot-Is-Purelib: false\nTag: py3-none-{}\n", target.wheel);
    tree.add(format!("{info}/WHEEL"), wheel.into_bytes());
    let mut licences = FileTree::default();
    documents.add_own_licences(&mut licences);
    licences.add(documents::LICENCES, documents.licences.clone());
    tree.add_tree(&format!("{info}/licenses"), &licences);
    tree.add(format!("{info}/sboms/{}", documents::SBOM), documents.sbom.clone());
    let record = record(&tree, &format!("{info}/RECORD"))?;
    tree.add(format!("{info}/RECORD"), record.into_bytes());
    tree.zip("", time)
}

fn metadata(target: &DistTarget, documents: &Documents) -> Result<String> {
    let system = match target.system {
        System::Linux => "Operating System :: POSIX :: Linux",
        System::MacOs => "Operating System :: MacOS",
    };
    let links = ABOUT.repository.map_or_else(String::new, |address| format!("\nProject-URL: Repository, {address}"));
    fill(
        include_str!("templates/METADATA"),
        &[
            ("NAME", ABOUT.crate_name),
            ("VERSION", VERSION),
            ("SUMMARY", ABOUT.summary),
            ("KEYWORDS", &ABOUT.keywords.join(",")),
            ("LICENCE", ABOUT.licence),
            ("LICENCE_FILES", documents::LICENCES),
            ("SYSTEM", system),
            ("LINKS", &links),
            // Last, since it has whatever it has.
            ("README", &String::from_utf8_lossy(&documents.readme)),
        ],
    )
}

/// The list of all files with their digests, which installers check.
fn record(tree: &FileTree, own: &str) -> Result<String> {
    let mut lines = String::new();
    for (path, _, bytes) in tree.files() {
        writeln!(lines, "{path},sha256={},{}", URL_SAFE_NO_PAD.encode(Sha256::digest(bytes)), bytes.len())?;
    }
    writeln!(lines, "{own},,")?;
    Ok(lines)
}
