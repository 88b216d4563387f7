//! Descriptions that others keep: Homebrew's formula and AUR's `PKGBUILD`. They fetch the archives of a release.

use std::path::Path;

use aiw_extensions::sha256_hex;
use anyhow::{Context, Result};

use super::documents::LICENCES;
use super::table::{ABOUT, DistTarget, System, TARGETS, VERSION};
use super::tree::fill;

/// The archives for a target, by their digests.
pub struct Archive {
    /// The system that they are for.
    pub target: &'static DistTarget,
    /// The digest of the smaller one, which xz unpacks.
    pub xz: String,
    /// The digest of the one that gzip unpacks, for systems without xz.
    pub gz: String,
}

/// The archives in a directory, of those that there may be.
pub fn archives(directory: &Path) -> Result<Vec<Archive>> {
    let mut found = Vec::new();
    for target in &TARGETS {
        let digest = |kind| {
            let path = directory.join(target.archive(kind));
            let bytes = std::fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
            Ok::<_, anyhow::Error>(sha256_hex(&bytes))
        };
        if directory.join(target.archive("tar.xz")).is_file() {
            found.push(Archive { target, xz: digest("tar.xz")?, gz: digest("tar.gz")? });
        }
    }
    Ok(found)
}

/// Homebrew's formula.
pub fn formula(archives: &[Archive]) -> Result<String> {
    let mut systems = String::new();
    for (system, block) in [(System::MacOs, "macos"), (System::Linux, "linux")] {
        let of_system: Vec<_> = archives.iter().filter(|archive| archive.target.system == system).collect();
        if of_system.is_empty() {
            continue;
        }
        systems += &format!("\n  on_{block} do\n");
        for archive in of_system {
            let cpu = if archive.target.npm_cpu == "arm64" { "arm" } else { "intel" };
            let url = format!("{}/{}", ABOUT.release(), archive.target.archive("tar.xz"));
            systems += &format!("    on_{cpu} do\n      url \"{url}\"\n      sha256 \"{}\"\n    end\n", archive.xz);
        }
        systems += "  end\n";
    }
    fill(
        include_str!("templates/formula.rb"),
        &[
            ("SUMMARY", ABOUT.summary),
            ("HOMEPAGE", ABOUT.repository()),
            ("VERSION", VERSION),
            ("PROGRAM", ABOUT.program),
            ("LICENCES", LICENCES),
            ("SYSTEMS", systems.trim_end()),
        ],
    )
}

/// AUR's `PKGBUILD`, and the `.SRCINFO` that must agree with it.
pub fn aur(archives: &[Archive]) -> Result<(String, String)> {
    let linux: Vec<_> = archives.iter().filter(|archive| archive.target.system == System::Linux).collect();
    let machines: Vec<&str> = linux.iter().map(|archive| archive.target.machine).collect();
    let (mut sources, mut info) = (String::new(), String::new());
    for archive in &linux {
        let (machine, name) = (archive.target.machine, archive.target.archive("tar.xz"));
        let url = format!("{}/{name}", ABOUT.release());
        sources += &format!("source_{machine}=('{url}')\nsha256sums_{machine}=('{}')\n", archive.xz);
        info += &format!("\tsource_{machine} = {url}\n\tsha256sums_{machine} = {}\n", archive.xz);
    }
    let quoted = |machines: &[&str]| machines.iter().map(|m| format!("'{m}'")).collect::<Vec<_>>().join(" ");
    let holes = [
        ("MAINTAINER", ABOUT.maintainer()),
        ("PROGRAM", ABOUT.program),
        ("VERSION", VERSION),
        ("SUMMARY", ABOUT.summary),
        ("REPOSITORY", ABOUT.repository()),
        ("LICENCES", LICENCES),
        ("MACHINES", &quoted(&machines)),
        ("SOURCES", sources.trim_end()),
    ];
    let arch = machines.iter().map(|machine| format!("\tarch = {machine}\n")).collect::<String>();
    let program = ABOUT.program;
    let info = format!(
        "pkgbase = {program}-bin\n\tpkgdesc = {}\n\tpkgver = {VERSION}\n\tpkgrel = 1\n\turl = {}\n{arch}\
         \tlicense = MIT OR Apache-2.0\n\tdepends = glibc\n\tprovides = {program}\n\tconflicts = {program}\n\
         \toptions = !strip\n{info}\npkgname = {program}-bin\n",
        ABOUT.summary,
        ABOUT.repository(),
    );
    Ok((fill(include_str!("templates/PKGBUILD"), &holes)?, info))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_name_the_archives_of_this_version_with_their_digests() {
        let all: Vec<_> = TARGETS
            .iter()
            .map(|target| Archive { target, xz: sha256_hex(target.triple.as_bytes()), gz: String::new() })
            .collect();
        let (build, info) = aur(&all).unwrap();
        let formula = formula(&all).unwrap();
        for archive in &all {
            let name = archive.target.archive("tar.xz");
            assert!(formula.contains(&name) && formula.contains(&archive.xz), "{formula}");
            let is_linux = archive.target.system == System::Linux;
            assert_eq!(build.contains(&name) && info.contains(&archive.xz), is_linux, "{build}{info}");
        }
        assert!(build.contains(&format!("pkgver={VERSION}\n")) && info.contains(&format!("pkgver = {VERSION}\n")));
    }
}
