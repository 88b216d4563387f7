//! The one description that every package is made from.

use anyhow::{Result, ensure};

/// A description of aiw, as packages have it. What nobody has said yet is `None`: packages are made all the same, and nothing is released.
pub struct PackageDescription {
    /// The name of the crate and of the package for Python.
    pub crate_name: &'static str,
    /// The name of the program and of every other package.
    pub program: &'static str,
    /// One line, as lists of packages show it: no article in front, no full stop.
    pub summary: &'static str,
    /// A paragraph.
    pub description: &'static str,
    /// The licence, as SPDX writes it.
    pub licence: &'static str,
    /// Words to find it by.
    pub keywords: &'static [&'static str],
    /// The address of the repository, without `.git`.
    pub repository: Option<&'static str>,
    /// The address of the directory of a release's files, with `{version}` in it.
    pub release: Option<&'static str>,
    /// The holder of the copyright.
    pub copyright: Option<&'static str>,
    /// The maintainer of the packages, as `Name <address>`.
    pub maintainer: Option<&'static str>,
}

/// An address in place of one that nobody has said. Names below `.invalid` never resolve.
const UNKNOWN_ADDRESS: &str = "https://unknown.invalid/aiw";

/// A holder of the copyright where nobody has named one.
const UNKNOWN_HOLDER: &str = "The aiw authors";

/// A maintainer where nobody has named one.
const UNKNOWN_MAINTAINER: &str = "The aiw authors <aiw@unknown.invalid>";

/// aiw.
pub const ABOUT: PackageDescription = PackageDescription {
    crate_name: "agentic-warden",
    program: "aiw",
    summary: "Runs AI coding CLIs under any provider, and takes care of their MCP servers",
    description: "One binary for everyone who works with AI coding CLIs: it runs Claude Code, Codex and Gemini CLI with any \
                  API provider as supervised tasks, and is the one MCP server in front of all others.",
    licence: "MIT OR Apache-2.0",
    keywords: &["ai", "cli", "mcp", "claude", "codex", "gemini"],
    repository: None,
    release: None,
    copyright: None,
    maintainer: None,
};

/// The version, as the workspace has it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The oldest glibc that the binary runs with.
pub const GLIBC: (u32, u32) = (2, 28);

impl PackageDescription {
    /// Returns what nobody has said yet.
    pub fn unknown(&self) -> Vec<&'static str> {
        let all = [
            ("the repository's address", self.repository),
            ("the release's address", self.release),
            ("the copyright's holder", self.copyright),
            ("the maintainer", self.maintainer),
        ];
        all.into_iter().filter(|(_, said)| said.is_none()).map(|(what, _)| what).collect()
    }

    /// Fails unless everything was said.
    pub fn complete(&self) -> Result<()> {
        let unknown = self.unknown();
        ensure!(
            unknown.is_empty(),
            "a release needs what nobody has said yet: {}: write it into host/xtask/src/dist/table.rs",
            unknown.join(", ")
        );
        Ok(())
    }

    /// The address of the repository.
    pub fn repository(&self) -> &'static str {
        self.repository.unwrap_or(UNKNOWN_ADDRESS)
    }

    /// The address of the directory with the files of this version.
    pub fn release(&self) -> String {
        let unknown = format!("{UNKNOWN_ADDRESS}/v{{version}}");
        self.release.unwrap_or(&unknown).replace("{version}", VERSION)
    }

    /// The holder of the copyright.
    pub fn copyright(&self) -> &'static str {
        self.copyright.unwrap_or(UNKNOWN_HOLDER)
    }

    /// The maintainer of the packages, as `Name <address>`.
    pub fn maintainer(&self) -> &'static str {
        self.maintainer.unwrap_or(UNKNOWN_MAINTAINER)
    }
}

/// The system that a binary is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// Linux with glibc.
    Linux,
    /// macOS.
    MacOs,
}

/// One system that there is a binary for, and how everybody calls it.
#[derive(Debug, PartialEq, Eq)]
pub struct DistTarget {
    /// Rust's name of it.
    pub triple: &'static str,
    /// The system.
    pub system: System,
    /// Its processor, as `uname -m` says it there, and as AUR does.
    pub machine: &'static str,
    /// Its processor, as npm says it.
    pub npm_cpu: &'static str,
    /// Its processor, as Debian says it.
    pub deb: &'static str,
    /// Its tag in the names of wheels.
    pub wheel: &'static str,
    /// Its processor in ELF, which wasmtime's code has on each system.
    pub elf_machine: u16,
}

/// Every system that there is a binary for.
pub const TARGETS: [DistTarget; 4] = [
    DistTarget {
        triple: "x86_64-unknown-linux-gnu",
        system: System::Linux,
        machine: "x86_64",
        npm_cpu: "x64",
        deb: "amd64",
        wheel: "manylinux_2_28_x86_64",
        elf_machine: object::elf::EM_X86_64,
    },
    DistTarget {
        triple: "aarch64-unknown-linux-gnu",
        system: System::Linux,
        machine: "aarch64",
        npm_cpu: "arm64",
        deb: "arm64",
        wheel: "manylinux_2_28_aarch64",
        elf_machine: object::elf::EM_AARCH64,
    },
    DistTarget {
        triple: "x86_64-apple-darwin",
        system: System::MacOs,
        machine: "x86_64",
        npm_cpu: "x64",
        deb: "amd64",
        wheel: "macosx_11_0_x86_64",
        elf_machine: object::elf::EM_X86_64,
    },
    DistTarget {
        triple: "aarch64-apple-darwin",
        system: System::MacOs,
        machine: "arm64",
        npm_cpu: "arm64",
        deb: "arm64",
        wheel: "macosx_11_0_arm64",
        elf_machine: object::elf::EM_AARCH64,
    },
];

impl DistTarget {
    /// Finds a target by Rust's name of it.
    pub fn named(triple: &str) -> Result<&'static Self> {
        let found = TARGETS.iter().find(|target| target.triple == triple);
        let known = TARGETS.map(|target| target.triple).join(", ");
        found.ok_or_else(|| anyhow::anyhow!("there are no packages for `{triple}`: there are for {known}"))
    }

    /// The name of an archive of this version for this target, without its kind.
    pub fn stem(&self) -> String {
        format!("{}-{VERSION}-{}", ABOUT.program, self.triple)
    }

    /// The name of its archive.
    pub fn archive(&self, kind: &str) -> String {
        format!("{}.{kind}", self.stem())
    }

    /// npm's name of the system.
    pub fn npm_os(&self) -> &'static str {
        match self.system {
            System::Linux => "linux",
            System::MacOs => "darwin",
        }
    }

    /// The name of its package at npm.
    pub fn npm_name(&self) -> String {
        format!("{}-{}-{}", ABOUT.program, self.npm_os(), self.npm_cpu)
    }

    /// The file of its package at npm.
    pub fn npm_file(&self) -> String {
        format!("{}-{VERSION}.tgz", self.npm_name())
    }

    /// The file of its package for Debian.
    pub fn deb_file(&self) -> String {
        format!("{}_{VERSION}_{}.deb", ABOUT.program, self.deb)
    }

    /// The file of its package for Python.
    pub fn wheel_file(&self) -> String {
        format!("{}-{VERSION}-py3-none-{}.whl", ABOUT.crate_name.replace('-', "_"), self.wheel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_package_is_named_as_its_ecosystem_names_things() {
        let [linux, arm, ..] = &TARGETS;
        assert_eq!(linux.archive("tar.gz"), format!("aiw-{VERSION}-x86_64-unknown-linux-gnu.tar.gz"));
        assert_eq!(arm.deb_file(), format!("aiw_{VERSION}_arm64.deb"));
        assert_eq!(linux.npm_file(), format!("aiw-linux-x64-{VERSION}.tgz"));
        assert_eq!(TARGETS[3].npm_name(), "aiw-darwin-arm64");
        assert_eq!(linux.wheel_file(), format!("agentic_warden-{VERSION}-py3-none-manylinux_2_28_x86_64.whl"));
    }

    #[test]
    fn a_release_names_what_nobody_has_said() {
        let about = PackageDescription { repository: Some("https://example.com/aiw"), ..ABOUT };
        let said = about.complete().unwrap_err().to_string();
        assert!(!said.contains("the repository's address") && said.contains("the maintainer"), "{said}");
        let whole = PackageDescription {
            release: Some("r/{version}"),
            copyright: Some("Me"),
            maintainer: Some("Me <me@x.org>"),
            ..about
        };
        whole.complete().unwrap();
        assert_eq!(whole.release(), format!("r/{VERSION}"));
    }

    #[test]
    fn wheels_name_the_glibc_that_is_linked_against() {
        let (major, minor) = GLIBC;
        let linux = TARGETS.iter().filter(|target| target.system == System::Linux);
        assert!(linux.into_iter().all(|target| target.wheel.contains(&format!("_{major}_{minor}_"))));
    }
}
