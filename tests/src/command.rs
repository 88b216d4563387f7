//! Runs other programs from the repository's root.

use std::ffi::OsStr;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use anyhow::{Context, Result, bail};

/// Returns the repository's root.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Returns a `cargo` command for a directory beneath the root, as if typed there.
pub fn cargo(directory: impl AsRef<Path>) -> Command {
    like_cargo(Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())), directory)
}

/// Makes a command that calls cargo run in a directory beneath the root, as if typed there. Removes the variables that
/// the cargo running this program set for its own package, because they would confuse the inner one. What changes how
/// every crate is compiled stays: without it, the whole workspace would be compiled a second time.
pub fn like_cargo(mut cargo: Command, directory: impl AsRef<Path>) -> Command {
    let access = [
        "CARGO_HOME",
        "CARGO_NET_",
        "CARGO_HTTP_",
        "CARGO_REGISTR",
        "CARGO_TERM_",
        "CARGO_INCREMENTAL",
        "CARGO_PROFILE_",
    ];
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO") && !access.iter().any(|keep| text.starts_with(keep)) {
            cargo.env_remove(&name);
        }
    }
    cargo.current_dir(root().join(directory));
    cargo
}

/// Returns a `cargo` command for the host's own workspace, with the target directory that the user chose.
pub fn host_cargo() -> Command {
    let mut cargo = cargo("");
    if let Some(target) = std::env::var_os("CARGO_TARGET_DIR") {
        cargo.env("CARGO_TARGET_DIR", target);
    }
    cargo
}

/// Returns a `cargo build` command for the host's own workspace. To name an example makes cargo choose the features of
/// dependencies as for tests, whatever else is built: nothing is compiled a second time for other features.
pub fn host_build() -> Command {
    let mut build = host_cargo();
    build.args(["build", "--locked", "--workspace", "--example", "compile-scripts"]);
    quiet_unless_terminal(&mut build);
    build
}

/// Leaves out cargo's progress if standard error is not a terminal.
pub fn quiet_unless_terminal(cargo: &mut Command) {
    if !std::io::stderr().is_terminal() {
        cargo.arg("--quiet");
    }
}

/// Returns the target directory of the host's own workspace.
pub fn host_target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |target| root().join(target))
}

/// Returns the target directory of a guest's workspace. What the workspaces share is compiled once, but for those of
/// `plugins`, which have flags of their own: cargo leaves flags out of a file's name if one of them remaps paths, and two
/// workspaces would compile their dependencies over each other's, again and again.
pub fn guest_target(directory: impl AsRef<Path>) -> PathBuf {
    let is_own = directory.as_ref() == Path::new("plugins");
    root().join(if is_own { "target/plugins" } else { "target/guests" })
}

/// Returns a `cargo` command for a guest's workspace, without the flags that are meant for the host.
pub fn guest_cargo(directory: impl AsRef<Path>) -> Command {
    let mut cargo = cargo(&directory);
    let of_host = |name: &str| {
        ["RUSTFLAGS", "RUSTC_WORKSPACE_WRAPPER", "CLIPPY_ARGS"].contains(&name) || name.starts_with("CARGO_PROFILE_")
    };
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(of_host)) {
        cargo.env_remove(name);
    }
    cargo.env("CARGO_TARGET_DIR", guest_target(directory));
    cargo
}

/// Returns a `cargo build` command for a guest's release build. What the binary carries has no path of this machine.
pub fn guest_build(directory: impl AsRef<Path>, target: &str) -> Command {
    let mut cargo = guest_cargo(directory);
    cargo.args(["build", "--quiet", "--release", "--locked", "--target", target]);
    // A variable would hide the flags that a workspace of guests has itself.
    let flags: Vec<String> = remapped(&moved_paths()).split('\u{1f}').map(|flag| format!("{flag:?}")).collect();
    cargo.arg("--config").arg(format!("target.{target}.rustflags=[{}]", flags.join(",")));
    cargo
}

/// The directories of a build, each with what stands for it in what is built. Of two that fit, the later one counts.
pub fn moved_paths() -> Vec<(PathBuf, String)> {
    let rustc = |words: &[&str]| {
        let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        output(rustc.args(words).current_dir(root())).unwrap_or_default()
    };
    let (about, sysroot) = (rustc(&["-vV"]), rustc(&["--print", "sysroot"]));
    let commit = about.lines().find_map(|line| line.strip_prefix("commit-hash: ")).unwrap_or("unknown");
    let cargo = home_of("CARGO_HOME", ".cargo");
    let mut moved = vec![(root(), "/aiw".to_owned()), (cargo.clone(), "/cargo".to_owned())];
    let target = host_target();
    if !target.starts_with(root()) {
        moved.push((target, "/aiw/target".to_owned()));
    }
    // Their names differ from mirror to mirror.
    let registries = std::fs::read_dir(cargo.join("registry/src"));
    let mut registries: Vec<_> = registries.into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    registries.sort();
    moved.extend(registries.into_iter().map(|registry| (registry, "/crates".to_owned())));
    moved.push((Path::new(sysroot.trim()).join("lib/rustlib/src/rust"), format!("/rustc/{commit}")));
    moved
}

/// Rust's flags that put these names in the place of directories, as `CARGO_ENCODED_RUSTFLAGS` has them.
pub fn remapped(moved: &[(PathBuf, String)]) -> String {
    let flag = |(from, to): &(PathBuf, String)| format!("--remap-path-prefix={}={to}", from.display());
    moved.iter().map(flag).collect::<Vec<_>>().join("\u{1f}")
}

/// The directory that a variable names, else one in the user's home.
pub fn home_of(variable: &str, name: &str) -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(name);
    std::env::var_os(variable).map_or_else(home, PathBuf::from)
}

/// Runs a command with our output streams. A failure is an error.
pub fn run(command: &mut Command) -> Result<()> {
    let status = status(command)?;
    if !status.success() {
        bail!("`{}` failed: {status}", line(command));
    }
    Ok(())
}

/// Runs a command and returns its exit status.
pub fn status(command: &mut Command) -> Result<ExitStatus> {
    command.status().with_context(|| format!("cannot run `{}`", line(command)))
}

/// Runs a command and returns its output.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run `{}`", line(command)))?;
    if !output.status.success() {
        bail!("`{}` failed: {}", line(command), String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{}` wrote what is not UTF-8", line(command)))
}

/// Formats a command as one would type it.
pub fn line(command: &Command) -> String {
    let name = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words: Vec<_> = std::iter::once(name).chain(command.get_args()).map(OsStr::to_string_lossy).collect();
    words.join(" ")
}
