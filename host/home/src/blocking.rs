//! Runs blocking file and lock work from async code.

use std::panic::resume_unwind;

/// Runs a function that may block on its own thread. A change to `~/.aiw` is such a function: it waits for the lock
/// without delaying other work.
///
/// # Panics
///
/// If the function does.
pub async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime is shutting down, and this ends with it.
            Err(_) => std::future::pending().await,
        },
    }
}
