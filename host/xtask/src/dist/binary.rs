//! The binary: how it is built for a target, and what it must be.

use std::collections::BTreeSet;
use std::path::PathBuf;

use aiw_tests::command::{self, root};
use anyhow::{Context, Result, bail, ensure};
use object::Endianness;
use object::elf::{ET_EXEC, FileHeader64};
use object::read::elf::{Dyn, FileHeader};

use super::table::{ABOUT, DistTarget, GLIBC, System};
use super::tools;

/// The libraries that a binary for Linux may need: glibc's own, and the one of GCC.
const MAY_NEED: [&str; 9] = [
    "ld-linux-aarch64.so.1",
    "ld-linux-x86-64.so.2",
    "libc.so.6",
    "libdl.so.2",
    "libgcc_s.so.1",
    "libm.so.6",
    "libpthread.so.0",
    "librt.so.1",
    "libutil.so.1",
];

/// The oldest macOS that the binary runs on.
const MACOS: &str = "11.0";

/// The time that C compilers take for now. Nothing in the binary tells a time, and another one would compile all of C anew.
const NOW: &str = "315532800";

/// Builds the binary for a target and returns its path.
pub fn build(target: &DistTarget) -> Result<PathBuf> {
    let mut cargo = command::host_cargo();
    let linked_by_zig = target.system == System::Linux;
    cargo.arg(if linked_by_zig { "zigbuild" } else { "build" });
    cargo.args(["--release", "--locked", "--package", ABOUT.crate_name, "--target"]);
    if linked_by_zig {
        let (major, minor) = GLIBC;
        cargo.arg(format!("{}.{major}.{minor}", target.triple));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::iter::once(tools::linker()?).chain(std::env::split_paths(&path));
        cargo.env("PATH", std::env::join_paths(path)?);
    } else {
        cargo.arg(target.triple).env("MACOSX_DEPLOYMENT_TARGET", MACOS);
    }
    // The registry's directories exist only after this.
    command::run(command::host_cargo().args(["fetch", "--locked", "--target", target.triple]))?;
    let moved = command::moved_paths();
    let not_rust = moved.iter().filter(|(_, to)| !to.starts_with("/rustc/"));
    let in_c: Vec<String> = not_rust.map(|(from, to)| format!("-ffile-prefix-map={}={to}", from.display())).collect();
    cargo.env("CARGO_ENCODED_RUSTFLAGS", command::remapped(&moved));
    cargo.env(format!("CFLAGS_{}", target.triple.replace('-', "_")), in_c.join(" "));
    // Else the system's libz is linked wherever pkg-config finds one.
    cargo.env("LIBZ_SYS_STATIC", "1").env("SOURCE_DATE_EPOCH", NOW);
    command::run(&mut cargo)?;
    Ok(path(target.triple))
}

/// Where the binary for a target is.
pub fn path(triple: &str) -> PathBuf {
    command::host_target().join(triple).join("release").join(ABOUT.program)
}

/// Fails unless the binary is what packages promise: it needs nothing of its system but an old glibc, runs scripts without
/// compiling them, and tells nothing of the machine that it was built on. `scripts` is the compressed code of scripts.
pub fn check(target: &DistTarget, binary: &[u8], scripts: &[u8]) -> Result<()> {
    let mut wrong = Vec::new();
    match target.system {
        System::Linux => wrong.extend(linux_faults(target, binary)?),
        System::MacOs => {}
    }
    let mut paths = vec![root(), command::host_target(), command::home_of("CARGO_HOME", ".cargo")];
    paths.push(command::home_of("RUSTUP_HOME", ".rustup"));
    if target.system == System::Linux {
        paths.push(tools::zig_library()?);
    }
    for path in paths {
        let path = path.display().to_string();
        if memchr::memmem::find(binary, path.as_bytes()).is_some()
            && !wrong.iter().any(|said: &String| said.contains(&path))
        {
            wrong.push(format!("it contains the path `{path}` of this build"));
        }
    }
    if memchr::memmem::find(binary, scripts).is_none() {
        wrong.push("it does not contain the code of scripts for its target".into());
    }
    let machine = machine_of(scripts)?;
    if machine != target.elf_machine {
        wrong.push(format!("its code of scripts is for the processor {machine}, not {}", target.elf_machine));
    }
    ensure!(wrong.is_empty(), "the binary for {} is not fit for a package: {}", target.triple, wrong.join("; "));
    Ok(())
}

/// The processor that compressed code of wasmtime's is for. It is in ELF on each system.
fn machine_of(compressed: &[u8]) -> Result<u16> {
    let mut header = [0; 20];
    std::io::Read::read_exact(&mut lzma_rust2::XzReader::new(compressed, false), &mut header)?;
    ensure!(header.starts_with(b"\x7fELF"), "the code of scripts is not in ELF");
    Ok(u16::from_le_bytes([header[18], header[19]]))
}

/// The needs of a binary for Linux: what it asks of the system that it runs on.
#[derive(Debug, Default, PartialEq, Eq)]
struct Needs {
    libraries: BTreeSet<String>,
    versions: BTreeSet<String>,
    machine: u16,
    is_fixed: bool,
}

fn needs(binary: &[u8]) -> Result<Needs> {
    let header = FileHeader64::<Endianness>::parse(binary).context("the binary is not in ELF")?;
    let endian = header.endian()?;
    let sections = header.sections(endian, binary)?;
    let mut needs =
        Needs { machine: header.e_machine(endian), is_fixed: header.e_type(endian) == ET_EXEC, ..Needs::default() };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let Some((dynamic, strings)) = sections.dynamic(endian, binary)? else { bail!("the binary is static") };
    let strings = sections.strings(endian, binary, strings)?;
    for entry in dynamic {
        if entry.tag32(endian).map(i64::from) == Some(object::elf::DT_NEEDED) {
            needs.libraries.insert(text(entry.string(endian, strings)?));
        }
    }
    if let Some((mut versions, strings)) = sections.gnu_verneed(endian, binary)? {
        let strings = sections.strings(endian, binary, strings)?;
        while let Some((_, mut of_library)) = versions.next()? {
            while let Some(version) = of_library.next()? {
                needs.versions.insert(text(version.name(endian, strings)?));
            }
        }
    }
    Ok(needs)
}

/// Returns what is wrong with a binary for Linux.
fn linux_faults(target: &DistTarget, binary: &[u8]) -> Result<Vec<String>> {
    let needs = needs(binary)?;
    println!(
        "needs: {}; {}",
        needs.libraries.iter().cloned().collect::<Vec<_>>().join(", "),
        newest(&needs.versions).map_or_else(String::new, |(major, minor)| format!("glibc {major}.{minor}"))
    );
    let mut wrong = Vec::new();
    if needs.machine != target.elf_machine {
        wrong.push(format!("it is for the processor {}, not {}", needs.machine, target.elf_machine));
    }
    if !needs.is_fixed {
        wrong.push("it may lie anywhere (PIE), so that each supervisor needs 0.9 MB".into());
    }
    wrong.extend(
        needs
            .libraries
            .iter()
            .filter(|library| !MAY_NEED.contains(&library.as_str()))
            .map(|library| format!("it needs `{library}`")),
    );
    if let Some((major, minor)) = newest(&needs.versions).filter(|version| *version > GLIBC) {
        wrong.push(format!("it needs glibc {major}.{minor}, not only {}.{}", GLIBC.0, GLIBC.1));
    }
    Ok(wrong)
}

/// The newest glibc among versions of symbols.
fn newest(versions: &BTreeSet<String>) -> Option<(u32, u32)> {
    let of_glibc = |version: &String| {
        let mut numbers = version.strip_prefix("GLIBC_")?.split('.').map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    };
    versions.iter().filter_map(of_glibc).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_glibc_is_found_by_number() {
        let versions = ["GLIBC_2.9", "GLIBC_2.2.5", "GLIBC_2.28", "GCC_3.0"].map(str::to_owned);
        assert_eq!(newest(&versions.into()), Some((2, 28)));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_a_binary_needs_is_read_from_it() {
        let own = needs(&std::fs::read(std::env::current_exe().unwrap()).unwrap()).unwrap();
        assert!(own.libraries.contains("libc.so.6"), "{own:?}");
        assert!(newest(&own.versions).is_some(), "{own:?}");
        assert!(!own.is_fixed);
    }
}
