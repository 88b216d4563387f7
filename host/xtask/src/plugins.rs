//! The components in the binary, and the targets needed to build them.

use std::path::{Path, PathBuf};
use std::process::Command;

use aiw_tests::command::{self, guest_target, root};
use anyhow::{Context, Result, bail, ensure};

use crate::component;

/// The target for bundled guests, which have nothing but the contract.
pub const PLAIN: &str = "wasm32-unknown-unknown";
/// The target for third-party guests in Rust.
pub const WASI: &str = "wasm32-wasip2";

/// The maximum size of a first-party component. A larger one contains something unintended. In a registry, the bindings
/// alone take 90 kB: three functions return whole rows.
const MAX_BYTES: usize = 250_000;

/// The component that runs scripts. It is not an extension: it has no manifest, and is as large as the engine in it.
const ORCHESTRATOR: &str = "orchestrator";

/// Installs missing wasm targets, then builds the components.
pub fn setup() -> Result<()> {
    let missing: Vec<&str> = [PLAIN, WASI].into_iter().filter(|target| !installed(target)).collect();
    if !missing.is_empty() {
        let mut rustup = Command::new("rustup");
        rustup.args(["target", "add"]).args(&missing);
        if command::status(&mut rustup).is_ok_and(|status| status.success()) {
            println!("installed: {}", missing.join(", "));
        } else {
            bail!(
                "Rust's {} missing, and rustup did not install {}: get rustup from https://rustup.rs, or install {1} as you \
                 installed Rust",
                match &missing[..] {
                    [one] => format!("target {one} is"),
                    all => format!("targets {} are", all.join(" and ")),
                },
                if missing.len() == 1 { "it" } else { "them" },
            );
        }
    }
    build()
}

/// Builds the components, then the binary that embeds them: in this order, which cargo cannot enforce. A build script
/// that misses the components runs when cargo gets to it, and that is after most of the dependencies.
pub fn install() -> Result<()> {
    setup()?;
    command::run(command::host_cargo().args(["install", "--locked", "--path", "host/aiw"]))
}

/// Builds the components of the binary into `.components`.
pub fn build() -> Result<()> {
    need(PLAIN)?;
    // The guests leave processors idle while they are linked. The compiler, which is needed last, is built meanwhile.
    let beside = std::thread::spawn(|| command::run(&mut command::host_build()));
    let written = wrap_workspace(Path::new("plugins"), &root().join(".components"));
    // Its error is that of the build below.
    let _ = beside.join();
    let written = written?;
    println!("components: {}", written.join(", "));
    Ok(())
}

/// Fails with one line if a target is not installed.
pub fn need(target: &str) -> Result<()> {
    ensure!(installed(target), "Rust's target `{target}` is not installed: `cargo xtask setup` installs it");
    Ok(())
}

fn installed(target: &str) -> bool {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut rustc = Command::new(rustc);
    rustc.args(["--print", "target-libdir", "--target", target]).current_dir(root());
    command::output(&mut rustc).is_ok_and(|path| Path::new(path.trim()).is_dir())
}

/// Builds all guests of a workspace and writes each as `OUT/NAME.wasm`. Returns one line about each.
pub fn wrap_workspace(workspace: &Path, out: &Path) -> Result<Vec<String>> {
    let mut said = Vec::new();
    for guest in compile(workspace)? {
        let fail = || format!("{} of `{}`", guest.name, workspace.display());
        if guest.name == ORCHESTRATOR {
            said.push(orchestrator(&std::fs::read(&guest.module)?, out).with_context(fail)?);
            continue;
        }
        let parts = component::wrap(&std::fs::read(&guest.module)?).with_context(fail)?;
        let bytes = component::with_manifest(parts.component, &parts.manifest);
        component::check(&bytes, &guest.name)?;
        ensure!(bytes.len() <= MAX_BYTES, "`{}` has {} bytes, more than {MAX_BYTES}", guest.name, bytes.len());
        let changed = write_if_changed(&out.join(&guest.name).with_extension("wasm"), &bytes)?;
        said.push(format!("{} {} kB{}", guest.name, bytes.len() / 1000, if changed { "" } else { " (as before)" }));
    }
    Ok(said)
}

/// Wraps the component that runs scripts, and compiles it for this system, which takes seconds that a user would wait
/// for. Returns a line about it.
fn orchestrator(module: &[u8], out: &Path) -> Result<String> {
    write_if_changed(&scripts_wasm(), &component::wrap_orchestrator(module)?)?;
    command::run(&mut command::host_build())?;
    let target = triple()?;
    let (code, is_new) = compile_scripts(&target, out)?;
    let note = if is_new { "" } else { " (as before)" };
    let size = |path: &Path| std::fs::metadata(path).map(|meta| meta.len() / 1000);
    let component = size(&out.join(ORCHESTRATOR).with_extension("wasm.xz"))?;
    Ok(format!("{ORCHESTRATOR} {component} kB, compiled {} kB{note}", size(&code)?))
}

/// Compiles the component that runs scripts for a system whose processor may be another than this one's, after the
/// components were built. Returns the path of its code.
pub fn scripts_for(target: &str) -> Result<PathBuf> {
    let out = root().join(".components");
    if target != triple()? {
        // Only Cranelift and what uses it are compiled again. The next build without the feature finds its own.
        command::run(command::host_build().args(["--features", "aiw-wasm/every-target"]))?;
    }
    Ok(compile_scripts(target, &out)?.0)
}

/// Where the component that runs scripts is, uncompressed.
fn scripts_wasm() -> PathBuf {
    guest_target("plugins").join(ORCHESTRATOR).with_extension("component.wasm")
}

/// Compiles the component that runs scripts, unless that was done. Returns the path of the code, and whether it is new.
fn compile_scripts(target: &str, out: &Path) -> Result<(PathBuf, bool)> {
    let (wasm, compiler) = (scripts_wasm(), command::host_target().join("debug/examples/compile-scripts"));
    let to = out.join(ORCHESTRATOR);
    let code = to.with_extension(format!("{target}.code.xz"));
    // Code that comes out as before is not written again: the time of the last compilation is that of a file of its own.
    let stamp = wasm.with_extension(format!("{target}.compiled"));
    let age = |path: &Path| std::fs::metadata(path).and_then(|meta| meta.modified()).ok();
    let is_new = |path: &Path| age(&stamp).is_none_or(|made| age(path).is_none_or(|changed| changed > made));
    let needed = !code.is_file() || is_new(&wasm) || is_new(&compiler);
    if needed {
        command::run(Command::new(compiler).arg(&wasm).arg(&to).arg(target))?;
        std::fs::write(&stamp, "")?;
    }
    Ok((code, needed))
}

/// Returns the name of the system that this program was built on.
pub fn triple() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let about = command::output(Command::new(rustc).arg("-vV").current_dir(root()))?;
    let host = about.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("`rustc -vV` names no host")?.to_owned())
}

/// A guest as built by cargo.
pub struct BuiltGuest {
    /// The name of the package.
    pub name: String,
    /// The path of its core module.
    pub module: PathBuf,
}

/// Compiles the guests of a workspace to core modules.
pub fn compile(workspace: &Path) -> Result<Vec<BuiltGuest>> {
    need(PLAIN)?;
    command::run(&mut command::guest_build(workspace, PLAIN))?;
    let metadata =
        command::output(command::cargo(workspace).args(["metadata", "--format-version=1", "--no-deps", "--locked"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    let output = guest_target(workspace).join(PLAIN).join("release");
    let mut guests = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let targets = package["targets"].as_array().into_iter().flatten();
        let guest =
            targets.into_iter().find(|t| t["crate_types"].as_array().is_some_and(|c| c.iter().any(|c| c == "cdylib")));
        if let (Some(name), Some(library)) = (package["name"].as_str(), guest.and_then(|t| t["name"].as_str())) {
            guests.push(BuiltGuest { name: name.into(), module: output.join(library).with_extension("wasm") });
        }
    }
    ensure!(!guests.is_empty(), "no guest in `{}`", workspace.display());
    Ok(guests)
}

/// Writes a file unless it already has this content, so that its dependents are not rebuilt.
pub fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<bool> {
    if std::fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(false);
    }
    let parent = path.parent().context("a file has a directory")?;
    std::fs::create_dir_all(parent)?;
    // Rename into place, so that a build that reads the file at this moment gets either the old or the new one.
    let new = path.with_extension("wasm.new");
    std::fs::write(&new, bytes)?;
    std::fs::rename(&new, path)?;
    Ok(true)
}
