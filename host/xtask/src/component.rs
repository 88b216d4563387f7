//! Makes components: wraps a core module, moves its manifest out, and strips what is not needed.

use std::borrow::Cow;

use anyhow::{Context, Result, bail, ensure};
use wasm_encoder::{ComponentSection, CustomSection};
use wasmparser::BinaryReader;

/// The custom section that contains a component's manifest.
const MANIFEST: &str = "aiw:manifest";

/// The length of `\0asm` and the version.
const HEADER: usize = 8;

/// Wraps the module that runs scripts: it has no manifest, and imports its own contract alone.
pub fn wrap_orchestrator(module: &[u8]) -> Result<Vec<u8>> {
    let component = encode(module, |_, _| {})?;
    for part in wasmparser::Parser::new(0).parse_all(&component) {
        if let wasmparser::Payload::ComponentImportSection(imports) = part? {
            for import in imports {
                let name = import?.name.name;
                // Types have names without a package.
                ensure!(
                    !name.contains(':') || name == "aiw:orchestrator/calls",
                    "imports `{name}`: a script reaches nothing but tools"
                );
            }
        }
    }
    Ok(component)
}

/// A core module built with wit-bindgen and wrapped as a component, and its manifest, separately.
pub struct Parts {
    /// The component without a manifest.
    pub component: Vec<u8>,
    /// The content of the section `aiw:manifest`.
    pub manifest: Vec<u8>,
}

/// Wraps a core module as a component, which may import only the contract.
pub fn wrap(module: &[u8]) -> Result<Parts> {
    let mut manifests = Vec::new();
    let component = encode(module, |name, data| {
        if name == MANIFEST {
            manifests.push(data.to_vec());
        }
    })?;
    let manifest = match (manifests.pop(), manifests.is_empty()) {
        (Some(manifest), true) => manifest,
        (None, _) => bail!("has no section `{MANIFEST}`"),
        (Some(_), false) => bail!("has {} sections `{MANIFEST}`", manifests.len() + 1),
    };
    Ok(Parts { component, manifest })
}

/// Makes a component of a core module, without what is not needed. `see` gets the module's custom sections.
fn encode(module: &[u8], mut see: impl FnMut(&str, &[u8])) -> Result<Vec<u8>> {
    let module = filter_custom(module, |name, data| {
        see(name, data);
        // Keep wit-bindgen's message to wit-component. Names and tool versions are of no use to users.
        name.starts_with("component-type")
    })?;
    let component = wit_component::ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .context("is not a module made with wit-bindgen")?
        .encode()
        .context("cannot be made a component")?;
    filter_custom(&component, |_, _| false)
}

/// Adds a manifest at the component's top level.
pub fn with_manifest(mut component: Vec<u8>, manifest: &[u8]) -> Vec<u8> {
    CustomSection { name: Cow::Borrowed(MANIFEST), data: Cow::Borrowed(manifest) }.append_to_component(&mut component);
    component
}

/// Checks a finished component as the host will.
pub fn check(component: &[u8], name: &str) -> Result<()> {
    let about = aiw_extensions::inspect(component).map_err(|e| anyhow::anyhow!("`{name}` {e}"))?;
    if let Some(import) = about.imports.iter().find(|import| !import.starts_with("aiw:")) {
        bail!("`{name}` imports `{import}`: a component without WASI uses neither files, time nor environment");
    }
    let id = about.manifest.id.as_str();
    ensure!(id == name, "`{name}` has the id `{id}` in its manifest");
    Ok(())
}

/// Copies a module or a component without the custom sections at its top level that `keep` rejects. Sections look
/// the same in both: a byte, a length, the data.
fn filter_custom(bytes: &[u8], mut keep: impl FnMut(&str, &[u8]) -> bool) -> Result<Vec<u8>> {
    ensure!(bytes.len() >= HEADER && bytes.starts_with(b"\0asm"), "is not WebAssembly");
    let mut out = bytes[..HEADER].to_vec();
    let mut reader = BinaryReader::new(bytes, 0);
    reader.read_bytes(HEADER)?;
    while !reader.eof() {
        let start = reader.current_position();
        let id = reader.read_u8()?;
        let length = reader.read_var_u32()? as usize;
        let data = reader.read_bytes(length)?;
        let kept = id != 0 || {
            let mut section = BinaryReader::new(data, 0);
            let name = section.read_string()?;
            keep(name, &data[section.current_position()..])
        };
        if kept {
            out.extend_from_slice(&bytes[start..reader.current_position()]);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn custom_sections_go_and_the_rest_stays_byte_for_byte() {
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        module.extend(b"\x00\x05\x04name");
        module.extend(b"\x01\x01\x00");
        module.extend(b"\x00\x04\x01ahi");
        let mut seen = Vec::new();
        let kept = filter_custom(&module, |name, data| {
            seen.push((name.to_owned(), data.to_vec()));
            name == "a"
        });
        assert_eq!(kept.unwrap(), b"\0asm\x01\0\0\0\x01\x01\x00\x00\x04\x01ahi");
        assert_eq!(seen, [("name".to_owned(), vec![]), ("a".to_owned(), b"hi".to_vec())]);
        assert!(filter_custom(&module[..module.len() - 1], |_, _| true).is_err());
        assert!(filter_custom(b"hello wasm", |_, _| true).is_err());
    }
}
