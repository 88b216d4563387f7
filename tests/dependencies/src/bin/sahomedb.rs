//! `sahomedb` is not used: what it finds, what an entry costs, and what its two ways to open a database keep.

use std::time::Instant;

use dependencies::{Noise, cpu_time, nearest};
use sahomedb::collection::{Collection, Config, Record};
use sahomedb::database::Database;
use sahomedb::distance::Distance;
use sahomedb::vector::Vector;

const DIMENSIONS: usize = 384;
const QUERIES: usize = 100;
/// How many are asked for.
const K: usize = 10;
/// How many vectors lie around one center, as sentences of one subject do.
const CLUSTER: usize = 20;

fn main() {
    println!("of the {K} nearest of {QUERIES} queries, `search` finds, by `ef_search` (the default is 15):");
    let mut largest = None;
    for (kind, clustered) in [("random", false), ("clustered", true)] {
        for count in [200, 1_000, 10_000] {
            let (vectors, queries) = vectors(count, clustered);
            let records: Vec<Record> =
                vectors.iter().enumerate().map(|(at, v)| Record::new(&Vector::from(v.clone()), &at.into())).collect();
            let config = Config::default();
            let before = cpu_time();
            let mut inserted = Collection::new(&config);
            records.iter().for_each(|record| inserted.insert(record).unwrap());
            report(&format!("{count} {kind}, `insert`"), &mut inserted, &vectors, &queries, before);
            let before = cpu_time();
            let mut many = Collection::new(&config);
            many.insert_many(&records).unwrap();
            report(&format!("{count} {kind}, `insert_many`"), &mut many, &vectors, &queries, before);
            let before = cpu_time();
            let mut built = Collection::build(&config, &records).unwrap();
            report(&format!("{count} {kind}, `build`"), &mut built, &vectors, &queries, before);
            largest = Some(inserted);
        }
    }
    if let Some(mut largest) = largest {
        persistence(&mut largest);
    }
    cosine();
}

fn vectors(count: usize, clustered: bool) -> (Vec<Vec<f32>>, Vec<Vec<f32>>) {
    let mut noise = Noise(1);
    if !clustered {
        let mut some = |count| (0..count).map(|_| noise.vector(DIMENSIONS)).collect();
        return (some(count), some(QUERIES));
    }
    let centers: Vec<Vec<f32>> = (0..count / CLUSTER).map(|_| noise.vector(DIMENSIONS)).collect();
    let mut some = |count: usize| (0..count).map(|at| noise.near(&centers[at % centers.len()])).collect();
    (some(count), some(QUERIES))
}

fn report(name: &str, collection: &mut Collection, vectors: &[Vec<f32>], queries: &[Vec<f32>], before: f64) {
    let seconds = cpu_time() - before;
    let found: Vec<String> = [15, 100, 500]
        .into_iter()
        .map(|ef_search| {
            collection.config.ef_search = ef_search;
            let found: usize = queries
                .iter()
                .map(|query| {
                    let truth = nearest(vectors, query, K);
                    let hits = collection.search(&Vector::from(query.clone()), K).unwrap();
                    hits.iter().filter(|hit| truth.contains(&(hit.id as usize))).count()
                })
                .sum();
            format!("{} % with {ef_search}", found * 100 / (K * queries.len()))
        })
        .collect();
    println!("  {name} ({seconds:.1} s of processor time): {}", found.join(", "));
}

/// Saves, adds one record, saves again, and opens the database in both ways.
fn persistence(collection: &mut Collection) {
    let path = std::env::temp_dir().join(format!("aiw-dependencies-{}", std::process::id()));
    let path = path.to_str().unwrap().to_owned();
    let mut database = Database::open(&path).unwrap();
    let start = Instant::now();
    database.save_collection("vectors", collection).unwrap();
    let first = start.elapsed().as_millis();
    collection.insert(&Record::random(DIMENSIONS)).unwrap();
    let start = Instant::now();
    database.save_collection("vectors", collection).unwrap();
    println!(
        "saving {} records takes {first} ms, saving them with one more {} ms",
        collection.len() - 1,
        start.elapsed().as_millis()
    );
    drop(database);
    let database = Database::open(&path).unwrap();
    let kept = database.get_collection("vectors").map_or(0, |collection| collection.len());
    println!("`Database::open` of a saved database finds {kept} of {} records", collection.len());
    drop(database);
    let database = Database::new(&path).unwrap();
    let kept = database.get_collection("vectors").map_or(0, |collection| collection.len());
    println!("`Database::new` of the same one finds {kept}");
    drop(database);
    let _ = std::fs::remove_dir_all(&path);
}

/// `Distance::Cosine` of the opposite, of one at a right angle and of the same direction.
fn cosine() {
    let config = Config { distance: Distance::Cosine, ..Config::default() };
    let mut collection = Collection::new(&config);
    for (name, vector) in [("opposite", vec![-1.0, 0.0]), ("right angle", vec![0.0, 1.0]), ("same", vec![1.0, 0.0])] {
        collection.insert(&Record::new(&Vector::from(vector), &name.into())).unwrap();
    }
    let query = Vector::from(vec![1.0, 0.0]);
    let names = |hits: Vec<sahomedb::collection::SearchResult>| {
        hits.into_iter().map(|hit| format!("{:?} ({})", hit.data, hit.distance)).collect::<Vec<_>>().join(", ")
    };
    println!("with `Distance::Cosine`, `true_search` lists {}", names(collection.true_search(&query, 3).unwrap()));
    println!("with `Distance::Cosine`, `search` lists {}", names(collection.search(&query, 3).unwrap()));
}
