//! Packages for Python, whose script is the binary: `pipx install agentic-warden`, `uvx agentic-warden`.

use std::fmt::Write as _;

use anyhow::Result;
use serde_json::Value;

use super::documents::{self, Documents};
use super::table::{ABOUT, GLIBC, System, Target, VERSION};
use super::tree::{Bytes, Tree, fill, sha256};

/// The package for a target.
pub fn package(target: &Target, binary: &Bytes, documents: &Documents, time: u64) -> Result<Vec<u8>> {
    let name = ABOUT.crate_name.replace('-', "_");
    let (info, scripts) = (format!("{name}-{VERSION}.dist-info"), format!("{name}-{VERSION}.data/scripts"));
    let mut tree = Tree::default();
    tree.add_program(format!("{scripts}/{}", ABOUT.program), binary.clone());
    // `uvx` and `pipx run` start the program that has the package's name.
    let same = format!("#!/bin/sh\nexec \"${{0%/*}}/{}\" \"$@\"\n", ABOUT.program);
    tree.add_program(format!("{scripts}/{}", ABOUT.crate_name), same.into_bytes());
    tree.add(format!("{info}/METADATA"), metadata(target, documents)?.into_bytes());
    let wheel = format!("Wheel-Version: 1.0\nGenerator: xtask\nRoot-Is-Purelib: false\nTag: py3-none-{}\n", target.wheel);
    tree.add(format!("{info}/WHEEL"), wheel.into_bytes());
    let mut licences = Tree::default();
    documents.add_own_licences(&mut licences);
    licences.add(documents::LICENCES, documents.licences.clone());
    tree.add_tree(&format!("{info}/licenses"), &licences);
    tree.add(format!("{info}/sboms/{}", documents::SBOM), documents.sbom.clone());
    let record = record(&tree, &format!("{info}/RECORD"))?;
    tree.add(format!("{info}/RECORD"), record.into_bytes());
    tree.zip("", time)
}

fn metadata(target: &Target, documents: &Documents) -> Result<String> {
    let (major, minor) = GLIBC;
    let needs = match target.system {
        System::Linux => format!("Operating System :: POSIX :: Linux (glibc {major}.{minor} or newer)"),
        System::MacOs => "Operating System :: MacOS".to_owned(),
    };
    // Only names that PyPI knows are classifiers.
    let system = needs.split(" (").next().unwrap_or_default();
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
fn record(tree: &Tree, own: &str) -> Result<String> {
    let mut lines = String::new();
    for (path, _, bytes) in tree.files() {
        writeln!(lines, "{path},sha256={},{}", base64_url(&sha256(bytes))?, bytes.len())?;
    }
    writeln!(lines, "{own},,")?;
    Ok(lines)
}

/// Writes a digest in base64 for addresses, without padding, as wheels have it.
fn base64_url(hexadecimal: &str) -> Result<String> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bits = String::new();
    for at in (0..hexadecimal.len()).step_by(2) {
        write!(bits, "{:08b}", u8::from_str_radix(&hexadecimal[at..at + 2], 16)?)?;
    }
    while bits.len() % 6 != 0 {
        bits.push('0');
    }
    let letter = |at: usize| Ok(char::from(LETTERS[usize::from_str_radix(&bits[at..at + 6], 2)?]));
    (0..bits.len()).step_by(6).map(letter).collect()
}

/// Whether a document is JSON with this member.
#[cfg(test)]
fn has(document: &[u8], member: &str) -> bool {
    serde_json::from_slice::<Value>(document).is_ok_and(|value| value.get(member).is_some())
}
