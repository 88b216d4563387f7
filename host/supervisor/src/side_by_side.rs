//! Looking at many things at once, on as many threads as there are processors.

use std::num::NonZero;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Builder, available_parallelism};

/// So many are looked at by one thread before it takes the next ones. Few take less than a thread.
const CHUNK_LEN: usize = 25;

/// Returns how many processors there are. Finding out reads several files.
fn processors() -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    *PROCESSORS.get_or_init(|| available_parallelism().map_or(1, NonZero::get))
}

/// Looks at parts of many things side by side: most of the time goes into system calls. A thread may begin late, so each
/// takes the next part when it has done one.
pub(crate) fn map_chunks_parallel<T: Sync, R: Send>(all: &[T], look: impl Fn(&[T]) -> Vec<R> + Sync) -> Vec<R> {
    let parts: Vec<&[T]> = all.chunks(CHUNK_LEN).collect();
    let next = AtomicUsize::new(0);
    let take = || {
        let mut looked = Vec::new();
        while let at = next.fetch_add(1, Ordering::Relaxed)
            && let Some(part) = parts.get(at)
        {
            looked.push((at, look(part)));
        }
        looked
    };
    let threads = processors().min(4).min(parts.len());
    let mut looked = std::thread::scope(|scope| {
        // Where no thread can be made, the others do its part.
        let others: Vec<_> = (1..threads).filter_map(|_| Builder::new().spawn_scoped(scope, take).ok()).collect();
        let mut looked = take();
        others.into_iter().for_each(|other| looked.extend(other.join().unwrap_or_default()));
        looked
    });
    looked.sort_unstable_by_key(|(at, _)| *at);
    looked.into_iter().flat_map(|(_, found)| found).collect()
}
