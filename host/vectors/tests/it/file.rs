//! A collection in a file: crashes, damage, and several processes at once.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use aiw_tests::noise;
use aiw_vectors::{FileVectors, StoreError, VectorEntry, VectorStore, remove_collection};

const DIMENSIONS: usize = 8;

/// All entries by id, as the search and `get` tell.
fn content(store: &FileVectors) -> BTreeMap<String, Vec<f32>> {
    let found = store.search(&noise(0, DIMENSIONS), usize::MAX, None).unwrap();
    assert_eq!(found.len(), store.count().unwrap());
    found.into_iter().map(|hit| (hit.id.clone(), store.get(&hit.id).unwrap().unwrap())).collect()
}

fn put(store: &FileVectors, id: &str, seed: u64) {
    store.upsert(&[VectorEntry { id, vector: &noise(seed, DIMENSIONS) }]).unwrap();
}

/// A file with entries, replacements and deletions, its content after each record, and where each record ends.
fn history(path: &Path) -> Vec<(u64, BTreeMap<String, Vec<f32>>)> {
    let store = FileVectors::open(path, DIMENSIONS).unwrap();
    put(&store, "first", 1);
    let mut steps = vec![(fs::metadata(path).unwrap().len(), content(&store))];
    for step in 0..12_u64 {
        match step % 4 {
            3 => assert_eq!(store.delete(&[&format!("entry {}", step - 2)]).unwrap(), 1),
            2 => put(&store, "first", step),
            _ => put(&store, &format!("entry {step}"), step),
        }
        steps.push((fs::metadata(path).unwrap().len(), content(&store)));
    }
    steps
}

#[test]
fn a_file_cut_at_every_length_holds_what_was_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("whole.vec");
    let steps = history(&path);
    let bytes = fs::read(&path).unwrap();
    let cut = dir.path().join("cut.vec");
    for length in 0..=bytes.len() {
        fs::write(&cut, &bytes[..length]).unwrap();
        let store = FileVectors::open(&cut, DIMENSIONS).unwrap();
        let whole = steps.iter().rev().find(|(end, _)| *end <= length as u64);
        let expected = whole.map(|(_, content)| content.clone()).unwrap_or_default();
        assert_eq!(content(&store), expected, "{length}");
        // It goes on from there, and nobody finds the torn part again.
        put(&store, "afterwards", 99);
        let again = FileVectors::open(&cut, DIMENSIONS).unwrap();
        let mut expected = expected;
        expected.insert("afterwards".into(), store.get("afterwards").unwrap().unwrap());
        assert_eq!((content(&again), again.damaged_bytes()), (expected, 0), "{length}");
    }
}

#[test]
fn a_changed_byte_costs_what_follows_and_changes_no_answer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("whole.vec");
    let steps = history(&path);
    let bytes = fs::read(&path).unwrap();
    let bad = dir.path().join("bad.vec");
    for place in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[place] ^= 1 << (place % 8);
        fs::write(&bad, &changed).unwrap();
        match FileVectors::open(&bad, DIMENSIONS) {
            Ok(store) => {
                let whole = steps.iter().rev().find(|(end, _)| *end <= place as u64);
                assert_eq!(content(&store), whole.map(|(_, content)| content.clone()).unwrap_or_default(), "{place}");
                assert!(whole.is_none() || store.damaged_bytes() > 0, "{place}");
            }
            Err(e) => panic!("{place}: {e}"),
        }
    }
}

#[test]
fn damage_after_a_file_was_read_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.vec");
    let store = FileVectors::open(&path, DIMENSIONS).unwrap();
    for n in 0..10 {
        put(&store, &n.to_string(), n);
    }
    let before = content(&store);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xFF;
    // In place, as a failing disk does.
    let mut file = fs::File::options().write(true).open(&path).unwrap();
    std::io::Write::write_all(&mut file, &bytes).unwrap();
    let after = content(&store);
    assert!(!after.is_empty() && after.len() < before.len());
    assert!(after.iter().all(|(id, vector)| before[id] == *vector));
    assert!(store.damaged_bytes() > 0);
    // A file that vanishes is an empty collection, and can be filled again.
    fs::remove_file(&path).unwrap();
    assert_eq!(store.count().unwrap(), 0);
    put(&store, "again", 1);
    assert_eq!(FileVectors::open(&path, DIMENSIONS).unwrap().count().unwrap(), 1);
    assert!(remove_collection(&path).unwrap() && !remove_collection(&path).unwrap());
    assert_eq!(store.count().unwrap(), 0);
}

#[test]
fn vectors_of_another_model_are_refused_and_something_else_in_its_place_is_an_empty_collection() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.vec");
    put(&FileVectors::open(&path, DIMENSIONS).unwrap(), "x", 1);
    assert!(matches!(FileVectors::open(&path, 9), Err(StoreError::DimensionMismatch { found: 8, wanted: 9, .. })));
    for other in [&b""[..], b"aiwvec1\n", b"{\"not\": \"vectors\", \"at all\": [1, 2, 3, 4, 5, 6]}"] {
        fs::write(&path, other).unwrap();
        let store = FileVectors::open(&path, DIMENSIONS).unwrap();
        assert_eq!(store.count().unwrap(), 0);
        put(&store, "y", 2);
        assert_eq!(FileVectors::open(&path, DIMENSIONS).unwrap().count().unwrap(), 1);
    }
    let directory = FileVectors::open(dir.path(), DIMENSIONS).err().unwrap();
    assert!(directory.to_string().starts_with("cannot read"), "{directory}");
}

#[test]
fn waste_is_removed_and_every_reader_follows() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.vec");
    let (writer, reader) = (FileVectors::open(&path, 256).unwrap(), FileVectors::open(&path, 256).unwrap());
    let vectors: Vec<Vec<f32>> = (0..200).map(|n| noise(n, 256)).collect();
    let ids: Vec<String> = (0..200).map(|n| n.to_string()).collect();
    let mut largest = 0;
    for round in 0..20 {
        let entries: Vec<VectorEntry<'_>> =
            ids.iter().enumerate().map(|(n, id)| VectorEntry { id, vector: &vectors[(n + round) % 200] }).collect();
        writer.upsert(&entries).unwrap();
        largest = largest.max(fs::metadata(&path).unwrap().len());
        let nearest = reader.search(&vectors[7], 1, None).unwrap();
        assert_eq!(nearest[0].id, ids[(207 - round) % 200], "{round}");
    }
    assert_eq!((reader.count().unwrap(), reader.damaged_bytes()), (200, 0));
    assert!(largest < 2_000_000, "{largest}");
    assert_eq!(writer.delete(&ids.iter().map(String::as_str).collect::<Vec<_>>()).unwrap(), 200);
    assert_eq!(reader.count().unwrap(), 0);
}

#[test]
fn threads_see_only_what_was_put() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.vec");
    let stores: Vec<FileVectors> = (0..2).map(|_| FileVectors::open(&path, 256).unwrap()).collect();
    let vector = |id: usize, round: usize| noise((id * 1000 + round) as u64, 256);
    std::thread::scope(|scope| {
        for (number, store) in stores.iter().enumerate() {
            scope.spawn(move || {
                for round in 0..60 {
                    let vectors: Vec<(String, Vec<f32>)> =
                        (0..20).map(|n| (format!("{number} {n}"), vector(n, round))).collect();
                    let entries: Vec<VectorEntry<'_>> =
                        vectors.iter().map(|(id, vector)| VectorEntry { id, vector }).collect();
                    store.upsert(&entries).unwrap();
                }
            });
            scope.spawn(move || {
                for n in (0..20).cycle().take(400) {
                    // Each id has only ever had a vector of its own, so its nearest is one of its own or none.
                    let hits = store.search(&vector(n, 59), 3, None).unwrap();
                    assert!(hits.iter().all(|hit| (-1.0..=1.0).contains(&hit.score)));
                }
            });
        }
    });
    for store in &stores {
        assert_eq!(store.count().unwrap(), 40);
        for n in 0..20 {
            let hits = store.search(&vector(n, 59), 2, None).unwrap();
            assert_eq!(
                hits.iter().map(|hit| hit.id.as_str()).collect::<Vec<_>>(),
                [format!("0 {n}"), format!("1 {n}")]
            );
        }
    }
}

/// Not a test: the process that the next test kills.
#[test]
#[ignore = "another test starts it"]
fn writer_to_kill() {
    let path = std::env::var_os("AIW_TEST_COLLECTION").unwrap();
    let store = FileVectors::open(path, 256).unwrap();
    for round in 0_u64.. {
        let vectors: Vec<(String, Vec<f32>)> = (0..50).map(|n| (n.to_string(), noise(round, 256))).collect();
        let entries: Vec<VectorEntry<'_>> = vectors.iter().map(|(id, vector)| VectorEntry { id, vector }).collect();
        store.upsert(&entries).unwrap();
    }
}

#[test]
fn a_killed_writer_leaves_a_collection_that_others_go_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.vec");
    let own = FileVectors::open(&path, 256).unwrap();
    own.upsert(&[VectorEntry { id: "mine", vector: &noise(1, 256) }]).unwrap();
    for round in 0..12 {
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "file::writer_to_kill", "--ignored"])
            .env("AIW_TEST_COLLECTION", &path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(40 + round * 9));
        writer.kill().unwrap();
        writer.wait().unwrap();
        own.upsert(&[VectorEntry { id: "mine", vector: &noise(round, 256) }]).unwrap();
        let fresh = FileVectors::open(&path, 256).unwrap();
        assert_eq!((fresh.count().unwrap(), fresh.damaged_bytes()), (own.count().unwrap(), 0));
        let hits = fresh.search(&noise(round, 256), 1, None).unwrap();
        assert!(hits[0].score > 0.9999, "{hits:?}");
    }
}
