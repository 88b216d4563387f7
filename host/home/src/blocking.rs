//! From async code to work over files and locks.

use std::panic::resume_unwind;

/// Runs a plain function that may block on a thread of its own. A change to `~/.aiw` is such a function: it waits for the
/// lock, and nobody else's work waits with it.
///
/// # Panics
///
/// If the function does.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime ends, and this with it.
            Err(_) => std::future::pending().await,
        },
    }
}
