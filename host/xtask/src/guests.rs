//! Components that only tests need: hostile guests, files that are not components of ours, and the third-party
//! examples, built as their authors would.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::SystemTime;

use aiw_tests::command::{self, root};
use anyhow::{Context, Result, ensure};

use crate::component::{self, Parts};
use crate::plugins::{PLAIN, WASI, compile, need, write_if_changed};

/// The directory beneath the repository's root in which the tests look for them.
const OUT: &str = ".components/test";

/// Builds all of them.
pub fn build() -> Result<()> {
    need(PLAIN)?;
    need(WASI)?;
    let out = root().join(OUT);
    hostile(&out)?;
    for name in ["acme-catalogue", "acme-index", "acme-spread"] {
        example(&out, name)?;
    }
    let built =
        "components for tests: hostile, hostile-provider, knowing, timeless, acme-catalogue, acme-index, acme-spread";
    match acme_index_js(&out)? {
        None => println!("{built}, acme-index-js"),
        Some(why) => println!("{built}; acme-index-js is not built: {why}"),
    }
    Ok(())
}

/// Builds the misbehaving guests, and files with everything that can be wrong before they run.
fn hostile(out: &Path) -> Result<()> {
    let guests = compile(Path::new("tests/components/hostile"))?;
    let wrap = |name: &str| -> Result<(Vec<u8>, Parts)> {
        let guest = guests.iter().find(|guest| guest.name == name);
        let module = std::fs::read(&guest.with_context(|| format!("`{name}` is built"))?.module)?;
        let parts = component::wrap(&module).with_context(|| name.to_owned())?;
        component::check(&component::with_manifest(parts.component.clone(), &parts.manifest), name)?;
        Ok((module, parts))
    };
    let (_, provider) = wrap("hostile-provider")?;
    let provider = component::with_manifest(provider.component, &provider.manifest);
    let (_, knowing) = wrap("knowing")?;
    let knowing = component::with_manifest(knowing.component, &knowing.manifest);
    let (module, Parts { component, manifest }) = wrap("hostile")?;
    let whole = component::with_manifest(component.clone(), &manifest);

    let mut trailing = manifest.clone();
    trailing.extend_from_slice(b"{}");
    command::run(&mut command::guest_build("tests/components/hostile", WASI))?;
    let files = [
        ("hostile-wasi", built("hostile")?),
        ("hostile-provider-wasi", built("hostile_provider")?),
        ("timeless", built("timeless")?),
        ("core-module", module),
        ("no-manifest", component.clone()),
        ("two-manifests", component::with_manifest(whole.clone(), &manifest)),
        ("trailing-manifest", component::with_manifest(component, &trailing)),
        ("newer-contract", replaced(&whole, "@0.1.0", "@0.2.0")?),
        ("older-contract", replaced(&whole, "@0.1.0", "@0.0.9")?),
        ("unknown-interface", replaced(&whole, "aiw:plugin/clock@", "aiw:plugin/nails@")?),
        ("hostile-provider", provider),
        ("knowing", knowing),
        ("hostile", whole),
    ];
    for (name, bytes) in files {
        write_if_changed(&out.join(name).with_extension("wasm"), &bytes)?;
    }
    Ok(())
}

/// Replaces a name in a component with another of the same length, which keeps the component well-formed.
fn replaced(component: &[u8], from: &str, to: &str) -> Result<Vec<u8>> {
    ensure!(from.len() == to.len(), "`{from}` and `{to}` differ in length");
    let (from, to) = (from.as_bytes(), to.as_bytes());
    let mut bytes = component.to_vec();
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(from.len()).position(|window| window == from) {
        bytes[at + found..at + found + to.len()].copy_from_slice(to);
        at += found + to.len();
    }
    ensure!(at > 0, "the hostile guest does not hold `{}`", String::from_utf8_lossy(from));
    wasmparser::validate(&bytes).context("a file for tests is damaged in another way than it should be")?;
    Ok(bytes)
}

/// Builds an example as its README says: for WASI, with the manifest where the SDK's macro put it.
fn example(out: &Path, name: &str) -> Result<()> {
    let example = Path::new("examples").join(name);
    command::run(&mut command::guest_build(&example, WASI))?;
    write_if_changed(&out.join(name).with_extension("wasm"), &built(&name.replace('-', "_"))?)?;
    Ok(())
}

/// Reads a component that the toolchain built on its own.
fn built(library: &str) -> Result<Vec<u8>> {
    let path = command::guest_target("tests").join(WASI).join("release").join(library).with_extension("wasm");
    std::fs::read(&path).with_context(|| path.display().to_string())
}

/// Builds the JavaScript example with node and npm, which may be missing. Returns the reason if it was not built.
fn acme_index_js(out: &Path) -> Result<Option<String>> {
    let example = root().join("examples/acme-index-js");
    let (built, wanted) = (example.join("dist/acme-index-js.wasm"), out.join("acme-index-js.wasm"));
    let sources =
        ["source.mjs", "index.mjs", "build.mjs", "manifest.json", "package-lock.json"].map(|f| example.join(f));
    let contract = std::fs::read_dir(root().join("wit/aiw-plugin-0.1"))?.flatten().map(|entry| entry.path());
    let newest = sources.into_iter().chain(contract).filter_map(|path| modified(&path)).max();
    if modified(&built) < newest {
        let why = npm(&example).err();
        if let Some(why) = why {
            // Otherwise, tests would use an older build in its place.
            let _ = std::fs::remove_file(&wanted);
            return Ok(Some(format!("{why:#}")));
        }
    }
    write_if_changed(&wanted, &std::fs::read(&built)?)?;
    Ok(None)
}

fn npm(example: &Path) -> Result<()> {
    let quiet = |program: &str, arguments: &[&str]| -> Result<()> {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(example).stdin(Stdio::null());
        command::output(&mut command).map(drop)
    };
    ensure!(quiet("node", &["--version"]).is_ok(), "node is not installed");
    ensure!(quiet("npm", &["--version"]).is_ok(), "npm is not installed");
    let installed = modified(&example.join("node_modules/.package-lock.json"));
    if installed < modified(&example.join("package-lock.json")) {
        quiet("npm", &["ci", "--no-audit", "--no-fund"])?;
    }
    quiet("npm", &["run", "build"])
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|meta| meta.modified()).ok()
}
