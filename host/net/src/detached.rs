//! Work that nobody has to wait for.

use tokio::sync::oneshot;

/// Runs work on a thread that nobody waits for: when a network is gone, its name servers take many seconds to answer,
/// and a runtime waits for its own threads when it ends.
pub(crate) fn spawn_detached<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> oneshot::Receiver<T> {
    let (tell, told) = oneshot::channel();
    // If the thread can't be started, the receiver hears so.
    drop(std::thread::Builder::new().name("aiw-connect".into()).spawn(move || tell.send(work())));
    told
}
