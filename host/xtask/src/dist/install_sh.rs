//! `install.sh`: installs the version that it was made for, from the archives of its release.

use anyhow::Result;

use super::elsewhere::Archive;
use super::table::{ABOUT, GLIBC, VERSION};
use super::tree::fill;

/// Writes the script. It has the digests in it, so that what comes from a mirror is what was released.
pub fn script(archives: &[Archive]) -> Result<String> {
    let (major, minor) = GLIBC;
    let digest = |triple: &str, kind, digest: &str| format!("    {triple}.tar.{kind}) echo {digest} ;;\n");
    let of_one = |one: &Archive| {
        let triple = one.target.triple;
        digest(triple, "xz", &one.xz) + &digest(triple, "gz", &one.gz)
    };
    let digests: String = archives.iter().map(of_one).collect();
    fill(
        include_str!("templates/install.sh"),
        &[
            ("PROGRAM", ABOUT.program),
            ("OLD", ABOUT.crate_name),
            ("VERSION", VERSION),
            ("RELEASE", &ABOUT.release()),
            ("GLIBC_MAJOR", &major.to_string()),
            ("GLIBC_MINOR", &minor.to_string()),
            ("DIGESTS", digests.trim_end()),
        ],
    )
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::path::Path;
    use std::process::{Child, Command, Stdio};

    use super::*;
    use crate::dist::table::DistTarget;
    use crate::dist::tree::{self, FileTree};
    use crate::plugins;

    /// A server of archives that is good or bad, by the first part of its paths.
    struct Server {
        child: Child,
        port: String,
    }

    impl Server {
        fn start(directory: &Path) -> Self {
            let python = aiw_tests::python().expect("python3 serves the archive");
            let mut server = Command::new(python);
            server.args(["-c", include_str!("templates/serve.py")]).arg(directory);
            let mut child = server.stdout(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap();
            let mut port = String::new();
            BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
            Self { child, port: port.trim().to_owned() }
        }
    }

    impl Drop for Server {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    #[test]
    fn only_what_was_released_is_installed() {
        let target = DistTarget::named(&plugins::triple().unwrap()).unwrap();
        let served = tempfile::tempdir().unwrap();
        let program = format!("#!/bin/sh\necho {} {VERSION}\n", ABOUT.program);
        let mut tree = FileTree::default();
        tree.add_program(ABOUT.program, program.clone().into_bytes());
        let tar = tree.tar(&format!("{}/", target.stem()), false, 1_700_000_000).unwrap();
        let (xz, gz) = (tree::xz(&tar).unwrap(), tree::gzip(&tar).unwrap());
        tree::write(&served.path().join(target.archive("tar.xz")), &xz).unwrap();
        tree::write(&served.path().join(target.archive("tar.gz")), &gz).unwrap();
        let archives = [Archive { target, xz: aiw_extensions::sha256_hex(&xz), gz: aiw_extensions::sha256_hex(&gz) }];
        let text = script(&archives).unwrap();
        let server = Server::start(served.path());
        let home = tempfile::tempdir().unwrap();
        let installed = home.path().join(".local/bin").join(ABOUT.program);
        let run = |way: &str| {
            let mut sh = Command::new("sh");
            sh.args(["-c", &text]).env("HOME", home.path()).env_remove("AIW_INSTALL_DIR").stdin(Stdio::null());
            let said = sh.env("AIW_INSTALL_URL", format!("http://127.0.0.1:{}/{way}/", server.port)).output().unwrap();
            (said.status.success(), String::from_utf8_lossy(&said.stderr).into_owned())
        };
        let refusals = [
            ("wrong", "is not what was released: its SHA-256 is"),
            ("cut", "cannot fetch"),
            ("short", "is not what was released: its SHA-256 is"),
            ("html", "is a web page, not the archive of aiw"),
            ("missing", "cannot fetch"),
        ];
        for (way, reason) in refusals {
            let (done, said) = run(way);
            assert!(!done && said.contains(reason), "{way}: {said}");
            assert!(!home.path().join(".local").exists(), "{way} left something");
        }
        for way in ["good", "redirect"] {
            let (done, said) = run(way);
            assert!(done, "{way}: {said}");
            assert_eq!(std::fs::read_to_string(&installed).unwrap(), program);
            let old = installed.with_file_name(ABOUT.crate_name);
            assert_eq!(std::fs::read_link(&old).unwrap(), Path::new(ABOUT.program));
            std::fs::remove_file(&installed).unwrap();
            std::fs::remove_file(&old).unwrap();
        }
        let left = std::fs::read_dir(installed.parent().unwrap()).unwrap().count();
        assert_eq!(left, 0);
        // A directory in its place, or a link to one of somebody else's.
        let others = home.path().join("others");
        std::fs::create_dir(&others).unwrap();
        std::os::unix::fs::symlink(&others, &installed).unwrap();
        let (done, said) = run("good");
        assert!(!done && said.contains("is a directory; nothing was installed"), "{said}");
        assert_eq!(std::fs::read_dir(&others).unwrap().count(), 0);
    }

    #[test]
    fn a_system_without_an_archive_is_named() {
        let text = script(&[]).unwrap();
        let said = Command::new("sh").args(["-c", &text]).env("HOME", "/nonexistent").output().unwrap();
        let said = String::from_utf8_lossy(&said.stderr);
        assert!(said.contains("there is no aiw"), "{said}");
    }
}
