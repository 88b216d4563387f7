//! Compiles the component that runs scripts ahead of time: `compile-scripts IN.wasm OUT TARGET`.
//!
//! `cargo xtask plugins` runs this for the system that it builds on, `cargo xtask dist` for each target. It writes
//! `OUT.wasm.xz`, the component, and `OUT.TARGET.code.xz`, its code for any processor of the target, both compressed with
//! xz, and `OUT.TARGET.sha256`, the digest of the code. With the feature `every-target` it compiles for processors
//! of another kind than its own.

use std::io::Write;
use std::path::PathBuf;

use lzma_rust2::{FilterType, XzOptions, XzWriter};
use sha2::{Digest, Sha256};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args_os().skip(1);
    let (Some(from), Some(to), Some(target)) = (words.next(), words.next(), words.next()) else {
        return Err("compile-scripts IN.wasm OUT TARGET".into());
    };
    let component = std::fs::read(from)?;
    let target = target.to_string_lossy();
    let code = aiw_wasm::ScriptRunner::compile_for(&target, &component)?;
    let compressed = |bytes: &[u8], filter: Option<FilterType>| {
        let mut options = XzOptions::with_preset(9);
        if let Some(filter) = filter {
            options.prepend_pre_filter(filter, 0);
        }
        let mut out = XzWriter::new(Vec::new(), options)?;
        out.write_all(bytes).and_then(|()| out.finish())
    };
    // Addresses of calls are absolute for the compressor: a fifth less.
    let filter = match target.split('-').next() {
        Some("x86_64") => Some(FilterType::BcjX86),
        Some("aarch64") => Some(FilterType::BcjArm64),
        _ => None,
    };
    let digest = aiw_core::hex(&Sha256::digest(&code));
    let files = [
        ("wasm.xz".to_owned(), compressed(&component, None)?),
        (format!("{target}.sha256"), digest.into()),
        (format!("{target}.code.xz"), compressed(&code, filter)?),
    ];
    for (extension, bytes) in files {
        let (path, new) = (PathBuf::from(&to).with_extension(&extension), PathBuf::from(&to).with_extension("new"));
        // The component is the same for each target: what embeds it is not built again. The age of the code counts.
        if extension == "wasm.xz" && std::fs::read(&path).is_ok_and(|old| old == bytes) {
            continue;
        }
        std::fs::write(&new, bytes)?;
        std::fs::rename(new, path)?;
    }
    Ok(())
}
