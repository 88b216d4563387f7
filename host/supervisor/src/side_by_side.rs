//! Looking at many things at once, on as many threads as there are processors.

use std::num::NonZero;
use std::thread::{Builder, available_parallelism};

/// So many are looked at side by side.
const MANY: usize = 50;

/// Looks at parts of many things side by side: most of the time goes into system calls. Few take less than a thread.
pub(crate) fn side_by_side<T: Sync, R: Send>(all: &[T], look: impl Fn(&[T]) -> Vec<R> + Sync) -> Vec<R> {
    let threads = if all.len() < MANY { 1 } else { available_parallelism().map_or(1, NonZero::get).min(4) };
    std::thread::scope(|scope| {
        let mut parts = all.chunks(all.len().div_ceil(threads).max(1));
        let (first, look) = (parts.next().unwrap_or_default(), &look);
        // Where no thread can be made, this one looks.
        let begin = |part| Builder::new().spawn_scoped(scope, move || look(part)).map_err(|_| part);
        let looking: Vec<_> = parts.map(begin).collect();
        let first = look(first);
        let rest = looking.into_iter().flat_map(|part| match part {
            Ok(thread) => thread.join().unwrap_or_default(),
            Err(part) => look(part),
        });
        first.into_iter().chain(rest).collect()
    })
}
