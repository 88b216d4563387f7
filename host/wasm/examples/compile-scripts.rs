//! Compiles the component that runs scripts ahead of time: `compile-scripts IN.wasm OUT TARGET`.
//!
//! `cargo xtask plugins` runs this. It writes `OUT.wasm.z`, the component, and `OUT.code.z`, its code for any processor
//! of the target, both compressed with zlib, and `OUT.sha256`, the digest of the code.

use std::io::Write;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use sha2::{Digest, Sha256};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args_os().skip(1);
    let (Some(from), Some(to), Some(target)) = (words.next(), words.next(), words.next()) else {
        return Err("compile-scripts IN.wasm OUT TARGET".into());
    };
    let component = std::fs::read(from)?;
    let code = aiw_wasm::Scripts::compile_for(&target.to_string_lossy(), &component)?;
    let compressed = |bytes: &[u8]| {
        let mut out = ZlibEncoder::new(Vec::new(), Compression::best());
        out.write_all(bytes).and_then(|()| out.finish())
    };
    let digest = aiw_core::hex(&Sha256::digest(&code));
    let files = [("wasm.z", compressed(&component)?), ("sha256", digest.into()), ("code.z", compressed(&code)?)];
    for (extension, bytes) in files {
        let (path, new) = (PathBuf::from(&to).with_extension(extension), PathBuf::from(&to).with_extension("new"));
        std::fs::write(&new, bytes)?;
        std::fs::rename(new, path)?;
    }
    Ok(())
}
