//! Files that are not components for this aiw are refused with readable messages before they are compiled, and
//! compiled code is checked before it runs.

use std::path::Path;

use crate::common::{bytes, fetch, hostile};
use aiw_testkit::Testkit;

fn refusal(bytes: impl Into<Vec<u8>>) -> String {
    Testkit::new(bytes).err().unwrap().to_string()
}

#[test]
fn a_manifest_is_there_once_and_whole() {
    assert_eq!(refusal(bytes("no-manifest")), "the component has no manifest (section `aiw:manifest`)");
    assert_eq!(
        refusal(bytes("two-manifests")),
        "the component has a manifest (section `aiw:manifest`) that appears twice"
    );
    let trailing = refusal(bytes("trailing-manifest"));
    assert!(
        trailing.starts_with(
            "the component has a manifest (section `aiw:manifest`) that cannot be read: trailing characters"
        ),
        "{trailing}"
    );
}

#[test]
fn another_contract_is_named_with_what_to_do() {
    assert_eq!(
        refusal(bytes("newer-contract")),
        "the component needs aiw:plugin 0.2.0, this aiw offers 0.1.0: update aiw"
    );
    assert_eq!(
        refusal(bytes("older-contract")),
        "the component needs aiw:plugin 0.0.9, this aiw offers 0.1.0: ask its author for a newer build"
    );
    assert_eq!(
        refusal(bytes("unknown-interface")),
        "the component imports the interface `nails`, which aiw:plugin 0.1.0 does not have"
    );
}

#[test]
fn what_is_no_component_is_named() {
    assert_eq!(
        refusal(bytes("core-module")),
        "the component is a core module, not a component; build it for `wasm32-wasip2`, or wrap it with \
         `wasm-tools component new`"
    );
    assert_eq!(
        refusal(&b"\x7fELF\x02\x01\x01"[..]),
        "the component is precompiled native code, which is never loaded; ask its author for the .wasm component"
    );
    for rubbish in [&b""[..], b"\0asm", b"<html>"] {
        let said = refusal(rubbish);
        assert!(said.starts_with("the component is not a WebAssembly component: "), "{said}");
    }
}

/// Any damage ends in an error message, never in a crash. A file that is still well-formed may load as before.
#[tokio::test]
async fn a_damaged_component_is_an_error() {
    let whole = bytes("hostile");
    for cut in (8..whole.len()).step_by(whole.len() / 40) {
        let said = refusal(&whole[..cut]);
        assert!(!said.is_empty() && !said.contains('\n'), "{said}");
    }
    for at in (8..whole.len()).step_by(whole.len() / 25) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        if let Ok(kit) = Testkit::new(damaged)
            && let Err(e) = kit.load().await
        {
            let said = e.to_string();
            assert!(said.starts_with("component `") && !said.contains('\n'), "{said}");
        }
    }
}

fn compiled(directory: &Path) -> std::path::PathBuf {
    let files: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

#[tokio::test]
async fn compiled_code_that_is_not_what_was_written_is_compiled_again_without_a_word() {
    let directory = tempfile::tempdir().unwrap();
    let cache = directory.path().join("compiled");
    let load = async || hostile().compiled_cache(&cache).load().await.unwrap();
    load().await;
    let file = compiled(&cache);
    let whole = std::fs::read(&file).unwrap();

    let unread = file.metadata().unwrap().modified().unwrap();
    assert!(fetch(&load().await, "polite").await.contains("polite"));
    assert_eq!(compiled(&cache).metadata().unwrap().modified().unwrap(), unread, "whole code is compiled once");

    let middle = whole.len() / 2;
    let mut flipped = whole.clone();
    flipped[middle] ^= 1;
    let damages: [&[u8]; 5] = [&flipped, &whole[..middle], b"", b"\x7fELF", &whole[48..]];
    for damage in damages {
        std::fs::write(&file, damage).unwrap();
        assert!(fetch(&load().await, "polite").await.contains("polite"));
        assert_eq!(std::fs::read(compiled(&cache)).unwrap().len(), whole.len(), "it is written again");
        assert_ne!(std::fs::read(&file).unwrap(), damage);
    }
}

#[tokio::test]
async fn compiled_code_that_others_could_write_is_not_loaded() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().unwrap();
    let cache = directory.path().join("compiled");
    hostile().compiled_cache(&cache).load().await.unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&cache), mode(&compiled(&cache))), (0o700, 0o600));
    std::fs::set_permissions(&cache, PermissionsExt::from_mode(0o777)).unwrap();
    assert!(fetch(&hostile().compiled_cache(&cache).load().await.unwrap(), "polite").await.contains("polite"));
}
