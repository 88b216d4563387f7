//! Reads a component's imports, exports and manifest without running it.

use sha2::{Digest, Sha256};
use wasmparser::{Encoding, Parser, Payload};

use crate::error::{ExtensionError, MAX_COMPONENT_BYTES};
use crate::structure::Structure;
use crate::{CONTRACT, INTERFACES, Manifest};

/// The maximum nesting of modules and components inside a component. A composed component has three levels.
const MAX_DEPTH: usize = 16;

aiw_core::string_enum! {
    /// A kind of component. It exports the interface of its name, and imports at most those of the world `NAME-extension`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    pub enum World {
        /// Reads one kind of plugin marketplace.
        MarketSource = "market-source",
        /// Makes AI CLIs work with one kind of API provider.
        Provider = "provider",
        /// Reads a registry of MCP servers.
        RegistrySource = "registry-source",
    }
}

impl World {
    /// Returns the interfaces of the host that a component of this kind may import, besides `types`.
    pub const fn imports(self) -> &'static [&'static str] {
        match self {
            Self::MarketSource => &["http", "trees", "cache", "settings", "log", "clock"],
            Self::Provider => &["http", "tasks", "task-starts", "cache", "settings", "log", "clock"],
            Self::RegistrySource => &["http", "cache", "settings", "log", "clock", "embeddings", "vectors", "mcp"],
        }
    }
}

/// The facts that can be read from a component before any of it is compiled or run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentFacts {
    /// The full names of the imported interfaces, such as `aiw:plugin/http@0.1.0`.
    pub imports: Vec<String>,
    /// The full names of the exported interfaces.
    pub exports: Vec<String>,
    /// The worlds that the component offers.
    pub worlds: Vec<World>,
    /// The component's description of itself.
    pub manifest: Manifest,
    /// The SHA-256 of the whole file, in hexadecimal.
    pub sha256: String,
    /// The size in bytes.
    pub size: u64,
}

impl ComponentFacts {
    /// Returns the names of the imported interfaces: short names such as `http` for ours, full names for others.
    pub fn interfaces(&self) -> Vec<String> {
        let short = |name: &String| match interface_of(name) {
            Some((short, _)) => short.to_owned(),
            None => name.clone(),
        };
        self.imports.iter().map(short).collect()
    }

    /// Returns whether the component imports anything from WASI (which is then linked empty).
    pub fn has_wasi_imports(&self) -> bool {
        self.imports.iter().any(|name| name.starts_with("wasi:"))
    }
}

/// Returns the SHA-256 in the form used in the lock file.
pub fn sha256_hex(bytes: &[u8]) -> String {
    aiw_core::hex(&Sha256::digest(bytes))
}

/// Splits a name: `aiw:plugin/http@0.1.0` → (`http`, (0, 1, 0)).
fn interface_of(name: &str) -> Option<(&str, (u32, u32, u32))> {
    let (interface, version) = name.strip_prefix("aiw:plugin/")?.split_once('@')?;
    let mut numbers = version.split('.').map(|n| n.parse().ok());
    let version = (numbers.next()??, numbers.next()??, numbers.next()??);
    Some((interface, version))
}

/// Reads a component's imports, exports and manifest, and checks that its contract is ours.
pub fn inspect(bytes: &[u8]) -> Result<ComponentFacts, ExtensionError> {
    if bytes.len() as u64 > MAX_COMPONENT_BYTES {
        return Err(ExtensionError::TooLarge);
    }
    // wasmtime's precompiled artifacts are ELF images, and so are all other native libraries.
    if bytes.starts_with(b"\x7fELF") {
        return Err(ExtensionError::Precompiled);
    }
    let not_wasm = |e: wasmparser::BinaryReaderError| ExtensionError::NotWasm(aiw_core::one_line(e.message(), 240));
    let (mut imports, mut exports, mut manifests) = (Vec::new(), Vec::new(), Vec::new());
    // The kinds (component or module) of the open parsers.
    let mut open: Vec<Encoding> = Vec::new();
    let mut structure = Structure::default();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(not_wasm)?;
        match &payload {
            Payload::Version { encoding, .. } => {
                if open.is_empty() && *encoding != Encoding::Component {
                    return Err(ExtensionError::CoreModule);
                }
                if open.len() == MAX_DEPTH {
                    return Err(ExtensionError::NotWasm("it is nested too deeply".into()));
                }
                open.push(*encoding);
            }
            Payload::End(_) => {
                open.pop();
            }
            Payload::ComponentImportSection(section) if open.len() == 1 => {
                for import in section.clone() {
                    imports.push(import.map_err(not_wasm)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if open.len() == 1 => {
                for export in section.clone() {
                    exports.push(export.map_err(not_wasm)?.name.name.to_owned());
                }
            }
            Payload::CustomSection(section) if section.name() == "aiw:manifest" => {
                manifests.push((open.len(), section.data().to_vec()));
            }
            _ => {}
        }
        structure.read(&payload, bytes)?;
    }
    let manifest = manifest(&manifests)?;
    check_contract(&imports, &exports)?;
    let offers =
        |world: &World| exports.iter().any(|e| interface_of(e).is_some_and(|(name, _)| name == world.as_str()));
    let worlds: Vec<World> = World::ALL.into_iter().filter(offers).collect();
    if worlds.is_empty() {
        let names = World::ALL.map(World::as_str).join("`, `");
        return Err(ExtensionError::IncompatibleContract(format!(
            "exports nothing that this aiw uses; it knows the worlds `{names}`"
        )));
    }
    let of_world = |name: &str| name == "types" || worlds.iter().any(|world| world.imports().contains(&name));
    let ours = imports.iter().filter_map(|import| interface_of(import));
    if let Some((other, _)) = ours.into_iter().find(|(name, _)| !of_world(name)) {
        let names: Vec<&str> = worlds.iter().map(|world| world.as_str()).collect();
        let problem = format!("imports `{other}`, which a `{}` does not have", names.join("`, `"));
        return Err(ExtensionError::IncompatibleContract(problem));
    }
    Ok(ComponentFacts { imports, exports, worlds, manifest, sha256: sha256_hex(bytes), size: bytes.len() as u64 })
}

/// Finds the only manifest: at the component's own level if there is one, otherwise in its core module.
fn manifest(found: &[(usize, Vec<u8>)]) -> Result<Manifest, ExtensionError> {
    let at = |depth: usize| found.iter().filter(move |(d, _)| *d == depth).map(|(_, bytes)| bytes);
    let depth = if at(1).next().is_some() { 1 } else { 2 };
    let mut sections = at(depth);
    let bytes = sections.next().ok_or(ExtensionError::MissingManifest)?;
    if sections.next().is_some() {
        return Err(ExtensionError::InvalidManifest("appears twice".into()));
    }
    Manifest::parse(bytes).map_err(ExtensionError::InvalidManifest)
}

/// Checks that we offer the contract. Patch versions only add imports, so a component may need all that we have, or
/// less.
fn check_contract(imports: &[String], exports: &[String]) -> Result<(), ExtensionError> {
    let ours = format!("{}.{}.{}", CONTRACT.0, CONTRACT.1, CONTRACT.2);
    let fail = |problem: String| Err(ExtensionError::IncompatibleContract(problem));
    for name in imports.iter().chain(exports) {
        if !name.starts_with("aiw:plugin/") {
            continue;
        }
        let Some((interface, version)) = interface_of(name) else {
            return fail(format!("names an interface `{}` without a readable version", aiw_core::one_line(name, 80)));
        };
        if (version.0, version.1) != (CONTRACT.0, CONTRACT.1) || version.2 > CONTRACT.2 {
            let needs = format!("{}.{}.{}", version.0, version.1, version.2);
            let next = if version > CONTRACT { "update aiw" } else { "ask its author for a newer build" };
            return fail(format!("needs aiw:plugin {needs}, this aiw offers {ours}: {next}"));
        }
        let is_import = imports.contains(name);
        if is_import && !INTERFACES.iter().any(|(known, _)| *known == interface) {
            return fail(format!(
                "imports the interface `{}`, which aiw:plugin {ours} does not have",
                aiw_core::one_line(interface, 60)
            ));
        }
    }
    for import in imports.iter().filter(|i| !i.starts_with("aiw:plugin/")) {
        let linked = ["wasi:io/", "wasi:clocks/", "wasi:random/", "wasi:filesystem/", "wasi:cli/", "wasi:sockets/"];
        let known = linked.iter().any(|p| import.starts_with(p)) && import.contains("@0.2.");
        if !known {
            return fail(format!("imports `{}`, which aiw does not provide", aiw_core::one_line(import, 80)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    #[test]
    fn foreign_files_are_refused_by_name() {
        assert_eq!(inspect(b"\x7fELF\x02\x01"), Err(ExtensionError::Precompiled));
        assert_eq!(inspect(b"\0asm\x01\0\0\0"), Err(ExtensionError::CoreModule));
        assert!(matches!(inspect(b"hello"), Err(ExtensionError::NotWasm(_))));
        assert_eq!(inspect(b"\0asm\x0d\0\x01\0"), Err(ExtensionError::MissingManifest));
    }

    #[test]
    fn a_contract_that_we_do_not_offer_is_said_in_words() {
        let check = |imports: &[&str]| {
            check_contract(&imports.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>(), &[]).map_err(|e| e.to_string())
        };
        assert_eq!(check(&["aiw:plugin/http@0.1.0", "wasi:io/poll@0.2.6"]), Ok(()));
        assert_eq!(
            check(&["aiw:plugin/http@0.2.0"]).unwrap_err(),
            "needs aiw:plugin 0.2.0, this aiw offers 0.1.0: update aiw"
        );
        assert!(check(&["aiw:plugin/http@0.0.9"]).unwrap_err().contains("newer build"));
        assert!(check(&["aiw:plugin/nails@0.1.0"]).unwrap_err().contains("does not have"));
        assert!(check(&["wasi:http/types@0.2.0"]).unwrap_err().contains("does not provide"));
        assert!(check(&["aiw:plugin/http@x"]).is_err());
    }

    /// Generates any JSON, mostly with the names used in manifests.
    fn any_json() -> impl Strategy<Value = Value> {
        let text = prop_oneof![
            3 => prop::sample::select(vec![
                "x", "acme", "1.0.0", "git:h", "git:", "directory", "*", "h.example:8443", "start", "stop", "", "\u{1b}[31m",
            ])
            .prop_map(str::to_owned),
            1 => any::<String>(),
        ];
        let leaf = prop_oneof![
            1 => Just(Value::Null),
            1 => any::<bool>().prop_map(Value::from),
            1 => any::<f64>().prop_map(Value::from),
            5 => text.clone().prop_map(Value::from),
        ];
        let names = [
            "id",
            "version",
            "label",
            "publisher",
            "homepage",
            "hosts",
            "origins",
            "settings",
            "collections",
            "mcp",
            "odd",
        ];
        leaf.prop_recursive(5, 40, 8, move |inner| {
            let name = prop_oneof![
                9 => prop::sample::select(names.to_vec()).prop_map(str::to_owned),
                1 => any::<String>()
            ];
            prop_oneof![
                1 => prop::collection::vec(inner.clone(), 0..70).prop_map(Value::from),
                2 => prop::collection::vec((name, inner), 0..12).prop_map(|fields| {
                    Value::Object(fields.into_iter().collect())
                }),
            ]
        })
    }

    fn is_line(text: &str) -> bool {
        aiw_core::printable(text) == text && !text.contains('\n')
    }

    /// Generates a manifest that is nearly valid.
    fn any_manifest() -> impl Strategy<Value = Value> {
        let list = || {
            prop::collection::vec(
                prop_oneof![4 => "[a-z*:.]{0,9}", 1 => Just("directory".into()), 1 => "\\PC{0,250}"],
                0..70,
            )
        };
        (prop_oneof![3 => "[a-z][a-z0-9-]{0,8}", 1 => any::<String>()], list(), list(), list(), any_json()).prop_map(
            |(id, hosts, origins, settings, label)| {
                let label = if label.is_string() { label } else { "x".into() };
                json!({"id": id, "version": "1.0.0", "label": label, "hosts": hosts, "origins": origins, "settings": settings})
            },
        )
    }

    /// Encodes something in the form of a component, with these names and this manifest.
    fn component(imports: &[String], exports: &[String], manifest: &[u8]) -> Vec<u8> {
        use wasm_encoder::{
            Component, ComponentExportKind, ComponentExportSection, ComponentImportSection, ComponentTypeRef,
            CustomSection,
        };
        let mut component = Component::new();
        let mut section = ComponentImportSection::new();
        for name in imports {
            section.import(name.as_str(), ComponentTypeRef::Instance(0));
        }
        component.section(&section);
        let mut section = ComponentExportSection::new();
        for name in exports {
            section.export(name.as_str(), ComponentExportKind::Instance, 0, None);
        }
        component.section(&section);
        component.section(&CustomSection { name: "aiw:manifest".into(), data: manifest.into() });
        component.finish()
    }

    /// Generates the name of an interface, mostly one close to ours.
    fn any_interface() -> impl Strategy<Value = String> {
        let name = prop::sample::select(vec![
            "market-source",
            "provider",
            "http",
            "trees",
            "task-starts",
            "types",
            "nails",
            "",
        ]);
        let version =
            prop::sample::select(vec!["0.1.0", "0.1.1", "0.2.0", "0.0.9", "1", "0.1", "99999999999.0.0", "-1.0.0", ""]);
        prop_oneof![
            4 => (name, version).prop_map(|(name, version)| format!("aiw:plugin/{name}@{version}")),
            1 => "wasi:[a-z]{1,10}/[a-z]{1,8}@0.2.[0-9]",
            1 => any::<String>(),
        ]
    }

    mod fuzz {
        use super::*;
        proptest! {
            #[test]
            fn any_bytes_after_a_component_header_are_answered(tail in prop::collection::vec(any::<u8>(), 0..300)) {
                let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
                bytes.extend(tail);
                let _ = inspect(&bytes);
            }

            #[test]
            fn any_manifest_is_answered_within_bounds(
                bytes in prop::collection::vec(any::<u8>(), 0..200),
                any in any_json(),
                nearly in any_manifest(),
                name in any::<String>(),
            ) {
                let _ = Manifest::parse(&bytes);
                for value in [any, nearly, json!({name: 1})] {
                    let manifest = match Manifest::parse(value.to_string().as_bytes()) {
                        Ok(manifest) => manifest,
                        Err(said) => {
                            prop_assert!(is_line(&said), "{:?}", said);
                            continue;
                        }
                    };
                    let lists = [&manifest.hosts, &manifest.origins, &manifest.settings, &manifest.mcp];
                    prop_assert!(lists.iter().all(|list| list.len() <= 64));
                    let texts = [&manifest.version, &manifest.label].into_iter().chain(lists.into_iter().flatten());
                    for text in texts {
                        prop_assert!(is_line(text) && (1..=200).contains(&text.len()), "{:?}", text);
                    }
                }
            }

            #[test]
            fn any_component_is_inspected_or_refused_with_a_sentence(
                imports in prop::collection::vec(any_interface(), 0..6),
                exports in prop::collection::vec(any_interface(), 0..4),
                manifest in any_manifest(),
                at in any::<prop::sample::Index>(),
                byte in any::<u8>(),
                nested in 0..40_usize,
            ) {
                let mut bytes = component(&imports, &exports, manifest.to_string().as_bytes());
                match inspect(&bytes) {
                    Ok(about) => {
                        prop_assert_eq!((&about.imports, &about.exports), (&imports, &exports));
                        prop_assert!(!about.worlds.is_empty() && about.size == bytes.len() as u64);
                        let _ = (about.interfaces(), about.has_wasi_imports());
                    }
                    Err(error) => {
                        let said = error.to_string();
                        prop_assert!(is_line(&said), "{:?}", said);
                    }
                }
                let at = at.index(bytes.len());
                bytes[at] = byte;
                let _ = inspect(&bytes);
                let _ = inspect(&bytes[..at]);
                // Nest components to any depth.
                for _ in 0..nested {
                    let mut outer = wasm_encoder::Component::new();
                    outer.section(&wasm_encoder::RawSection { id: 4, data: &bytes });
                    bytes = outer.finish();
                }
                let _ = inspect(&bytes);
            }
        }
    }
}
