//! Checks the contract: frozen files stay unchanged, and the two tools that communicate through a custom section
//! have matching versions.

use std::collections::BTreeMap;
use std::path::Path;

use aiw_tests::command::root;
use anyhow::{Context, Result};

/// The workspaces that build guests, each with its own lock file.
const GUESTS: [&str; 6] = [
    "plugins",
    "sdk/rust",
    "examples/acme-catalogue",
    "examples/acme-index",
    "examples/acme-spread",
    "tests/components/hostile",
];

/// Returns the violations.
pub fn check() -> Result<Vec<String>> {
    let mut problems = frozen(&root().join("wit"))?;
    problems.extend(versions()?);
    Ok(problems)
}

/// Checks `frozen.toml`: one table for each directory, with the SHA-256 of each file.
fn frozen(wit: &Path) -> Result<Vec<String>> {
    let list = wit.join("frozen.toml");
    let text = std::fs::read_to_string(&list).with_context(|| list.display().to_string())?;
    let frozen: BTreeMap<String, BTreeMap<String, String>> =
        toml::from_str(&text).with_context(|| list.display().to_string())?;
    let mut problems = Vec::new();
    for (directory, files) in frozen {
        for (file, pinned) in &files {
            let found = std::fs::read(wit.join(&directory).join(file)).map(|bytes| aiw_extensions::sha256_hex(&bytes));
            match found {
                Ok(found) if found == *pinned => {}
                Ok(_) => problems.push(format!("wit/{directory}/{file} is frozen and was changed")),
                Err(_) => problems.push(format!("wit/{directory}/{file} is frozen and is gone")),
            }
        }
        for entry in std::fs::read_dir(wit.join(&directory)).into_iter().flatten() {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if !files.contains_key(&name) {
                problems.push(format!("wit/{directory} is frozen, and {name} was added"));
            }
        }
    }
    Ok(problems)
}

/// Checks that wit-component here matches the version that wit-bindgen depends on in the guests, and that
/// wit-bindgen is the same everywhere.
fn versions() -> Result<Vec<String>> {
    let text = std::fs::read_to_string(root().join("Cargo.toml"))?;
    let manifest: toml::Table = text.parse()?;
    let pinned = |name: &str| {
        let version = manifest["workspace"]["dependencies"][name].as_str();
        version.map(str::to_owned).with_context(|| format!("the workspace pins `{name}` by its version"))
    };
    let line = pinned("wit-component")?;
    let mut problems = Vec::new();
    if pinned("wasm-encoder")? != line {
        problems.push(format!("wasm-encoder is not of the line {line} of wit-component"));
    }
    let mut bindgen: Option<String> = None;
    for guest in GUESTS {
        let path = root().join(guest).join("Cargo.lock");
        let lock: toml::Table = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?.parse()?;
        for version in locked(&lock, "wit-component") {
            if !version.starts_with(&format!("{line}.")) {
                problems.push(format!("{guest}: wit-component {version} is not of the line {line} of the host"));
            }
        }
        for version in locked(&lock, "wit-bindgen") {
            if bindgen.get_or_insert_with(|| version.clone()) != &version {
                problems.push(format!("{guest}: wit-bindgen {version} differs from that of {}", GUESTS[0]));
            }
        }
    }
    Ok(problems)
}

fn locked(lock: &toml::Table, name: &str) -> Vec<String> {
    let packages = lock.get("package").and_then(|packages| packages.as_array()).into_iter().flatten();
    let versions = packages.filter(|package| package.get("name").and_then(|n| n.as_str()) == Some(name));
    versions.filter_map(|package| Some(package.get("version")?.as_str()?.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_frozen_can_be_neither_changed_nor_left_out_nor_added_to() {
        let wit = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(wit.path().join(name), text).unwrap();
        std::fs::create_dir(wit.path().join("one")).unwrap();
        write("one/a.wit", "a");
        write("one/new.wit", "");
        let a = aiw_extensions::sha256_hex(b"a");
        write("frozen.toml", &format!("[one]\n\"a.wit\" = \"{a}\"\n\"gone.wit\" = \"{a}\"\n"));
        assert_eq!(
            frozen(wit.path()).unwrap(),
            ["wit/one/gone.wit is frozen and is gone", "wit/one is frozen, and new.wit was added"]
        );
        write("one/a.wit", "b");
        assert_eq!(frozen(wit.path()).unwrap()[0], "wit/one/a.wit is frozen and was changed");
    }
}
