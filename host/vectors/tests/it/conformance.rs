//! What a vector store does.

use std::collections::BTreeMap;

use aiw_tests::noise;
use aiw_vectors::{FileVectors, MAX_DIMENSIONS, MAX_ID_BYTES, StoreError, VectorEntry, VectorHit, VectorStore};
use proptest::prelude::*;

/// Runs a check on a new collection.
fn checked(dimensions: usize, check: impl Fn(&dyn VectorStore)) {
    let dir = tempfile::tempdir().unwrap();
    check(&FileVectors::open(dir.path().join("a/b.vec"), dimensions).unwrap());
}

fn ids(hits: &[VectorHit]) -> Vec<&str> {
    hits.iter().map(|hit| hit.id.as_str()).collect()
}

#[test]
fn entries_are_stored_replaced_found_and_removed() {
    checked(3, |store| {
        assert_eq!((store.dimensions(), store.count().unwrap()), (3, 0));
        assert_eq!(store.search(&[1.0, 0.0, 0.0], 5, None).unwrap(), []);
        store
            .upsert(&[
                VectorEntry { id: "x", vector: &[2.0, 0.0, 0.0] },
                VectorEntry { id: "y", vector: &[0.0, 0.5, 0.0] },
                VectorEntry { id: "xy", vector: &[3.0, 3.0, 0.0] },
            ])
            .unwrap();
        assert_eq!(store.get("x").unwrap().unwrap(), [1.0, 0.0, 0.0]);
        assert_eq!(store.get("z").unwrap(), None);
        let hits = store.search(&[1.0, 0.1, 0.0], 2, None).unwrap();
        assert_eq!(ids(&hits), ["x", "xy"]);
        assert!((hits[0].score - 0.995_04).abs() < 1e-4 && (hits[1].score - 0.773_96).abs() < 1e-4, "{hits:?}");
        assert_eq!(ids(&store.search(&[1.0, 0.1, 0.0], 9, Some(&|id| id != "x")).unwrap()), ["xy", "y"]);
        assert_eq!(store.search(&[1.0, 0.0, 0.0], 0, None).unwrap(), []);
        store.upsert(&[VectorEntry { id: "x", vector: &[0.0, 0.0, -7.0] }]).unwrap();
        assert_eq!(store.count().unwrap(), 3);
        assert_eq!(ids(&store.search(&[0.0, 0.0, -1.0], 1, None).unwrap()), ["x"]);
        assert_eq!(store.delete(&["x", "nobody", "y"]).unwrap(), 2);
        assert_eq!(store.delete(&["x"]).unwrap(), 0);
        assert_eq!(ids(&store.search(&[1.0, 0.0, 0.0], 5, None).unwrap()), ["xy"]);
        assert_eq!((store.get("y").unwrap(), store.count().unwrap()), (None, 1));
    });
}

#[test]
fn entries_equally_near_are_sorted_by_id_and_the_last_of_one_batch_counts() {
    checked(2, |store| {
        let vector = &[0.6, 0.8];
        store.upsert(&["d", "b", "c", "a"].map(|id| VectorEntry { id, vector })).unwrap();
        assert_eq!(ids(&store.search(vector, 3, None).unwrap()), ["a", "b", "c"]);
        store
            .upsert(&[VectorEntry { id: "a", vector: &[1.0, 0.0] }, VectorEntry { id: "a", vector: &[0.0, 1.0] }])
            .unwrap();
        assert_eq!(store.get("a").unwrap().unwrap(), [0.0, 1.0]);
        assert_eq!(store.count().unwrap(), 4);
    });
}

#[test]
fn what_has_no_direction_or_no_name_is_refused_and_nothing_of_its_batch_is_stored() {
    checked(2, |store| {
        let good = VectorEntry { id: "good", vector: &[1.0, 0.0] };
        let bad: [&[f32]; 7] =
            [&[], &[1.0], &[1.0, 2.0, 3.0], &[f32::NAN, 1.0], &[f32::INFINITY, 1.0], &[0.0, 0.0], &[0.0, -0.0]];
        for vector in bad {
            let refused = store.upsert(&[good, VectorEntry { id: "bad", vector }]).unwrap_err();
            assert!(matches!(refused, StoreError::InvalidVector { .. }), "{refused}");
            assert!(matches!(store.search(vector, 1, None).unwrap_err(), StoreError::InvalidVector { .. }));
        }
        let long = "x".repeat(MAX_ID_BYTES + 1);
        for id in ["", &long] {
            let refused = store.upsert(&[good, VectorEntry { id, vector: &[1.0, 0.0] }]).unwrap_err();
            assert!(matches!(refused, StoreError::InvalidId { .. }), "{refused}");
        }
        assert_eq!(store.count().unwrap(), 0);
        // The largest, the smallest and odd names are fine.
        for (id, vector) in
            [(&long[1..], [f32::MAX, f32::MAX]), ("../\0\n", [f32::MIN_POSITIVE, -1e-40]), ("é", [1e-45, 0.0])]
        {
            store.upsert(&[VectorEntry { id, vector: &vector }]).unwrap();
            let length: f32 = store.get(id).unwrap().unwrap().iter().map(|value| value * value).sum();
            assert!((length - 1.0).abs() < 1e-5, "{id}: {length}");
        }
    });
    for dimensions in [0, MAX_DIMENSIONS + 1] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        assert!(matches!(FileVectors::open(path, dimensions), Err(StoreError::InvalidDimensions { .. })));
    }
}

#[test]
fn the_nearest_are_those_that_comparing_all_finds() {
    checked(96, |store| {
        let vectors: Vec<(String, Vec<f32>)> = (0..700).map(|n| (format!("{n:03}"), noise(n, 96))).collect();
        let entries: Vec<VectorEntry<'_>> = vectors.iter().map(|(id, vector)| VectorEntry { id, vector }).collect();
        store.upsert(&entries).unwrap();
        for seed in 0..40 {
            let query = noise(10_000 + seed, 96);
            let mut all: Vec<(f64, &str)> =
                vectors.iter().map(|(id, vector)| (cosine(&query, vector), id.as_str())).collect();
            all.sort_by(|a, b| b.0.total_cmp(&a.0));
            let nearest: Vec<&str> = all[..10].iter().map(|near| near.1).collect();
            assert_eq!(ids(&store.search(&query, 10, None).unwrap()), nearest);
        }
    });
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[derive(Debug, Clone)]
enum Step {
    Put(u8, i8, i8),
    Delete(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let put = (0..12_u8, any::<i8>(), 1..i8::MAX).prop_map(|(id, a, b)| Step::Put(id, a, b));
    proptest::collection::vec(prop_oneof![3 => put, 1 => (0..12_u8).prop_map(Step::Delete)], 0..60)
}

mod fuzz {
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

        /// Whatever is put and deleted, a store answers as a map would.
        #[test]
        fn a_store_is_a_map_with_a_search(steps in steps()) {
            checked(2, |store| {
                let mut map = BTreeMap::new();
                for step in &steps {
                    match step {
                        Step::Put(id, a, b) => {
                            let vector = [f32::from(*a), f32::from(*b)];
                            map.insert(id.to_string(), vector);
                            store.upsert(&[VectorEntry { id: &id.to_string(), vector: &vector }]).unwrap();
                        }
                        Step::Delete(id) => {
                            let there = usize::from(map.remove(&id.to_string()).is_some());
                            assert_eq!(store.delete(&[&id.to_string()]).unwrap(), there);
                        }
                    }
                }
                assert_eq!(store.count().unwrap(), map.len());
                let query = [1.0, 0.25];
                let found = store.search(&query, 100, None).unwrap();
                assert_eq!(found.len(), map.len());
                assert!(found.is_sorted_by(|a, b| a.score >= b.score));
                for hit in found {
                    assert!((f64::from(hit.score) - cosine(&query, &map[&hit.id])).abs() < 1e-6);
                }
            });
        }
    }
}
