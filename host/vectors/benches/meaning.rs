//! Measures embedding and vector search, and prints rows of `what, measured, unit` for `cargo xtask bench`.
//! Without a real model (`.ci/run` makes it), the rows of the model are left out.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints, and may fail")]

use std::time::{Duration, Instant};

use aiw_tests::{onnx_runtime, real_model};
use aiw_vectors::{Embedder, FileVectors, ModelFiles, VectorEntry, VectorStore};

const COUNT: usize = 100_000;
const DIMENSIONS: usize = 384;
const QUERIES: usize = 200;
const NEAREST: usize = 10;

/// 32 tokens for the tokenizer of MiniLM, with the two that frame them.
const TEXT: &str = "the user wants to find all of the open issues in a project that were filed by one person \
                    in the last week and to sort them by date";

fn main() {
    models();
    vectors();
}

fn models() {
    for name in ["all-MiniLM-L6-v2", "all-MiniLM-L6-v2-int8"] {
        let (Some(runtime), Some(directory)) = (onnx_runtime(), real_model(name)) else { continue };
        let embedder = Embedder::load(&ModelFiles::new(directory, runtime)).unwrap();
        let mut times = Vec::new();
        for _ in 0..60 {
            let begun = Instant::now();
            embedder.embed(&[TEXT]).unwrap();
            times.push(begun.elapsed());
        }
        row(&format!("{name}, 32 tokens, one thread"), millis(median(&mut times)), "ms");
    }
}

fn vectors() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bench.vec");
    let mut random = Random(42);
    // Texts have topics: vectors gather around some hundred directions.
    let topics: Vec<Vec<f32>> = (0..300).map(|_| random.vector()).collect();
    let mut near_a_topic = || {
        let topic = random.index(topics.len());
        unit(topics[topic].iter().zip(random.vector()).map(|(topic, own)| topic + 0.8 * own).collect())
    };
    let vectors: Vec<Vec<f32>> = (0..COUNT).map(|_| near_a_topic()).collect();
    let queries: Vec<Vec<f32>> = (0..QUERIES).map(|_| near_a_topic()).collect();
    let ids: Vec<String> = (0..COUNT).map(|n| n.to_string()).collect();
    let entries: Vec<VectorEntry<'_>> =
        ids.iter().zip(&vectors).map(|(id, vector)| VectorEntry { id, vector }).collect();
    let store = FileVectors::open(&path, DIMENSIONS).unwrap();
    let begun = Instant::now();
    store.upsert(&entries).unwrap();
    row("store 100,000 vectors in a file", millis(begun.elapsed()), "ms");
    let begun = Instant::now();
    let store = FileVectors::open(&path, DIMENSIONS).unwrap();
    row("open a file of 100,000 vectors", millis(begun.elapsed()), "ms");

    let (mut times, mut missed) = (Vec::new(), 0);
    for query in &queries {
        let begun = Instant::now();
        let hits = store.search(query, NEAREST, None).unwrap();
        times.push(begun.elapsed());
        let mut all: Vec<(f32, usize)> =
            vectors.iter().enumerate().map(|(n, vector)| (dot(query, vector), n)).collect();
        all.select_nth_unstable_by(NEAREST - 1, |a, b| b.0.total_cmp(&a.0));
        missed += all[..NEAREST].iter().filter(|near| !hits.iter().any(|hit| hit.id == ids[near.1])).count();
    }
    row("the 10 nearest of 100,000 vectors", millis(median(&mut times)), "ms");
    #[expect(clippy::cast_precision_loss, reason = "a count for people")]
    row(&format!("of {} nearest, not found", QUERIES * NEAREST), missed as f64, "");
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn index(&mut self, below: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap() % below
    }

    /// A direction, all of which are equally likely: each number is a sum of many.
    fn vector(&mut self) -> Vec<f32> {
        let mut number =
            || (0..4).map(|_| f32::from(u16::try_from(self.next() >> 48).unwrap()) / 65536.0 - 0.5).sum::<f32>();
        unit((0..DIMENSIONS).map(|_| number()).collect())
    }
}

fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let length = dot(&vector, &vector).sqrt();
    vector.iter_mut().for_each(|value| *value /= length);
    vector
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn row(what: &str, measured: f64, unit: &str) {
    println!("{what}\t{measured:.2}\t{unit}");
}
