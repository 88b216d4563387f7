//! `memvdb` is not used: what an entry and a search cost beside a plain loop, what is in order, and what can be loaded.

use std::collections::HashMap;
use std::time::Instant;

use dependencies::{Noise, cpu_time, nearest};
use memvdb::{CacheDB, Collection, Distance, Embedding};

const NAME: &str = "entries";
const DIMENSIONS: usize = 384;
const QUERIES: usize = 20;
/// How many are asked for.
const K: usize = 10;

fn main() {
    for count in [500, 2_000, 10_000] {
        measure(count);
    }
    order();
    ids();
    loading();
}

fn embedding(id: &[(&str, &str)], vector: Vec<f32>) -> Embedding {
    let id = id.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Embedding { id, vector, metadata: None }
}

fn measure(count: usize) {
    let mut noise = Noise(1);
    let vectors: Vec<Vec<f32>> = (0..count).map(|_| noise.vector(DIMENSIONS)).collect();
    let queries: Vec<Vec<f32>> = (0..QUERIES).map(|_| noise.vector(DIMENSIONS)).collect();
    let mut database = CacheDB::new();
    database.create_collection(NAME.into(), DIMENSIONS, Distance::Cosine).unwrap();
    let before = cpu_time();
    for (at, vector) in vectors.iter().enumerate() {
        database.insert_into_collection(NAME, embedding(&[("id", &at.to_string())], vector.clone())).unwrap();
    }
    let inserted = cpu_time() - before;
    let collection = &database.collections[NAME];
    let mut found = 0;
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    for query in &queries {
        let start = Instant::now();
        let hits = collection.get_similarity(query, K);
        times[0].push(start.elapsed());
        let start = Instant::now();
        let all = collection.get_similarity(query, count);
        times[1].push(start.elapsed());
        assert_eq!(all.len(), count);
        let start = Instant::now();
        let truth = nearest(&vectors, query, count);
        times[2].push(start.elapsed());
        found += hits.iter().filter(|hit| truth[..K].contains(&hit.embedding.id["id"].parse().unwrap())).count();
    }
    let [ten, all, plain] = times.map(|times| times.iter().min().map_or(0.0, |time| time.as_secs_f64() * 1e3));
    let recall = found * 100 / (K * QUERIES);
    println!("{count} entries: inserted in {inserted:.2} s of processor time, finds {recall} %");
    println!(
        "  fastest of {QUERIES}: {K} nearest {ten:.2} ms, all scores {all:.2} ms, all scores by a plain loop {plain:.2} ms"
    );
}

/// `Distance::Euclidean` of the same vector, of one at a right angle and of the opposite.
fn order() {
    let mut collection = Collection { dimension: 2, distance: Distance::Euclidean, embeddings: Vec::new() };
    for (name, vector) in [("same", vec![1.0, 0.0]), ("right angle", vec![0.0, 1.0]), ("opposite", vec![-1.0, 0.0])] {
        collection.embeddings.push(embedding(&[("id", name)], vector));
    }
    let hits = collection.get_similarity(&[1.0, 0.0], 3);
    let hits = hits.iter().map(|hit| format!("{} ({})", hit.embedding.id["id"], hit.score));
    println!("`Distance::Euclidean` lists {}", hits.collect::<Vec<_>>().join(", "));
}

/// The same id of four keys, inserted again: it must be refused each time.
fn ids() {
    let keys = [("server", "a"), ("tool", "b"), ("version", "c"), ("part", "d")];
    let accepted = (0..100).filter(|_| {
        let mut database = CacheDB::new();
        database.create_collection(NAME.into(), 1, Distance::Cosine).unwrap();
        database.insert_into_collection(NAME, embedding(&keys, vec![1.0])).unwrap();
        database.insert_into_collection(NAME, embedding(&keys, vec![1.0])).is_ok()
    });
    println!("the same id of four keys is accepted a second time {} times of 100", accepted.count());
}

fn loading() {
    let path = std::env::temp_dir().join(format!("aiw-dependencies-{}.json", std::process::id()));
    let path = path.to_str().unwrap();
    let database = CacheDB { collections: HashMap::new() };
    database.save(Some(path)).unwrap();
    match CacheDB::load(path) {
        Ok(_) => println!("`CacheDB::load` reads what `save` wrote"),
        Err(e) => println!("`CacheDB::load` of what `save` wrote: {e}"),
    }
    let _ = std::fs::remove_file(path);
}
