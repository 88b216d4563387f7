//! Threads that guests compute on, so that nothing else waits for them.
//!
//! A guest's future is polled on a thread of its own, and is Pending at each tick of the epoch. As many compute at once as
//! there are processors, in turns of a tick. What it awaits is polled there, too; timers and sockets are those of the runtime
//! that it was started in. Most calls end long before a tick: waking a thread for them, and being woken by it, would cost as
//! much as they do, so they begin on the thread that asks.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};
use tokio_util::sync::{CancellationToken, PollSemaphore};

/// Does work on the thread that asks until it is first Pending, for a tick at most, and the rest on a thread of its own.
/// Returns what [`run_on_thread`] returns.
pub(crate) async fn run_inline_then_thread<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    let mut work = Box::pin(work);
    if let Ok(turn) = turns().try_acquire_owned() {
        let first = poll_fn(|context| Poll::Ready(catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)))));
        let first = first.await;
        drop(turn);
        match first {
            Ok(Poll::Ready(ended)) => return Some(ended),
            Ok(Poll::Pending) => {}
            // It was told where it happened.
            Err(_) => return None,
        }
    }
    run_on_thread(work).await
}

/// Does work on a thread of its own, and returns what came of it. None if the thread panicked or could not be started. If the
/// future is dropped, the work is dropped before that returns: at its next tick.
pub(crate) async fn run_on_thread<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Option<T> {
    let stop = CancellationToken::new();
    let (runtime, stopped, (done, result)) = (Handle::current(), stop.clone(), oneshot::channel());
    let (leaves, has_left) = mpsc::channel();
    let run = move || {
        let turns = Turns { work: Box::pin(work), turns: PollSemaphore::new(turns()) };
        let ended = runtime.block_on(async move {
            tokio::select! {
                biased;
                () = stopped.cancelled() => None,
                ended = turns => Some(ended),
            }
        });
        drop((runtime, leaves));
        if let Some(ended) = ended {
            // Nobody waits for it any more.
            let _ = done.send(ended);
        }
    };
    let mut guest = Guest { stop, disconnected: Some(has_left) };
    if !start(Box::new(run)) {
        return None;
    }
    let ended = result.await.ok();
    if ended.is_some() {
        // The work was dropped before that was sent.
        guest.disconnected = None;
    }
    ended
}

type ComputeJob = Box<dyn FnOnce() + Send>;

/// How long a thread waits for more work: starting one costs as much as a short call.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);

/// The threads that wait for work, by number.
static IDLE_THREADS: Mutex<Vec<(u64, mpsc::Sender<ComputeJob>)>> = Mutex::new(Vec::new());

fn waiting() -> MutexGuard<'static, Vec<(u64, mpsc::Sender<ComputeJob>)>> {
    IDLE_THREADS.lock()
}

/// Gives work to a thread that waits for some, or to a new one. Returns whether there is one.
fn start(job: ComputeJob) -> bool {
    static NEXT_ID: AtomicU64 = AtomicU64::new(0);
    let job = match waiting().pop() {
        Some((_, thread)) => match thread.send(job) {
            Ok(()) => return true,
            Err(mpsc::SendError(job)) => job,
        },
        None => job,
    };
    let number = NEXT_ID.fetch_add(1, Ordering::Relaxed);
    std::thread::Builder::new().name("guest".into()).spawn(move || works(number, job)).is_ok()
}

fn works(number: u64, first: ComputeJob) {
    let (sender, jobs) = mpsc::channel::<ComputeJob>();
    let mut job = first;
    loop {
        job();
        waiting().push((number, sender.clone()));
        let next = jobs.recv_timeout(IDLE_TIMEOUT).ok().or_else(|| {
            let mut waiting = waiting();
            let at = waiting.iter().position(|(other, _)| *other == number);
            // One that is not there any more was just given work.
            match at {
                Some(at) => {
                    waiting.remove(at);
                    None
                }
                None => {
                    drop(waiting);
                    jobs.recv().ok()
                }
            }
        });
        match next {
            Some(next) => job = next,
            None => return,
        }
    }
}

/// Ends the work on a thread when it is dropped. The runtime, whose timers the work uses, may be gone right after that.
struct Guest {
    stop: CancellationToken,
    disconnected: Option<mpsc::Receiver<()>>,
}

impl Drop for Guest {
    fn drop(&mut self) {
        if let Some(has_left) = self.disconnected.take() {
            self.stop.cancel();
            // Nothing is sent: what the work holds goes with it. Its panic was told where it happened.
            let _ = has_left.recv();
        }
    }
}

/// A turn to compute for each processor.
fn turns() -> Arc<Semaphore> {
    static PERMITS: OnceLock<Arc<Semaphore>> = OnceLock::new();
    PERMITS
        .get_or_init(|| {
            let processors = std::thread::available_parallelism().map_or(1, usize::from);
            Arc::new(Semaphore::new(processors))
        })
        .clone()
}

/// Polls its work when it has a turn.
struct Turns<F> {
    work: Pin<Box<F>>,
    turns: PollSemaphore,
}

impl<F: Future> Future for Turns<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let turn = ready!(self.turns.poll_acquire(context));
        let result = self.work.as_mut().poll(context);
        drop(turn);
        result
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    use super::*;

    /// Computes in pieces, as a guest does that never waits.
    async fn loops(until: Instant, at_once: &'static AtomicUsize, most: &'static AtomicUsize) {
        while Instant::now() < until {
            most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let piece = Instant::now();
            while piece.elapsed() < Duration::from_millis(2) {
                std::hint::spin_loop();
            }
            at_once.fetch_sub(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn nothing_waits_for_what_computes_and_no_more_do_so_than_there_are_processors() {
        static AT_ONCE: AtomicUsize = AtomicUsize::new(0);
        static MOST: AtomicUsize = AtomicUsize::new(0);
        let until = Instant::now() + Duration::from_millis(300);
        let all: Vec<_> = (0..20).map(|_| tokio::spawn(run_on_thread(loops(until, &AT_ONCE, &MOST)))).collect();
        // This thread is free: all of this is done before they are.
        let mut turns = 0;
        while !all.iter().all(|one| one.is_finished()) {
            tokio::time::sleep(Duration::from_millis(1)).await;
            turns += 1;
        }
        assert!(turns > 20, "{turns}");
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        assert!((1..=processors).contains(&MOST.load(Ordering::SeqCst)));
    }

    #[tokio::test]
    async fn work_begins_where_it_is_asked_for_and_goes_on_elsewhere() {
        let here = std::thread::current().id();
        let threads = || async {
            let first = std::thread::current().id();
            tokio::task::yield_now().await;
            (first, std::thread::current().id())
        };
        // Other tests may have the turns of all processors: then it begins elsewhere too.
        let mut begins = run_inline_then_thread(threads()).await.unwrap();
        for _ in 0..1000 {
            if begins.0 == here {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
            begins = run_inline_then_thread(threads()).await.unwrap();
        }
        assert!(begins.0 == here && begins.1 != here, "{begins:?} from {here:?}");
        assert_eq!(run_inline_then_thread(async { panic!("as it should") }).await, None::<()>);
    }

    #[tokio::test]
    async fn what_is_dropped_is_over_when_that_returns() {
        struct Dropped(Arc<AtomicUsize>);
        impl Drop for Dropped {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let count = Arc::new(AtomicUsize::new(0));
        for waits in [true, false] {
            let held = Dropped(count.clone());
            let work = run_on_thread(async move {
                let _held = held;
                loop {
                    match waits {
                        true => tokio::time::sleep(Duration::from_secs(1000)).await,
                        false => tokio::task::yield_now().await,
                    }
                }
            });
            let _ = tokio::time::timeout(Duration::from_millis(20), work).await;
        }
        assert_eq!(count.load(Ordering::SeqCst), 2);
        assert_eq!(run_on_thread(async { 7 }).await, Some(7));
    }

    #[test]
    fn a_runtime_that_ends_ends_its_guests_first() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            tokio::spawn(run_on_thread(async {
                loop {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }));
            tokio::time::sleep(Duration::from_millis(20)).await;
        });
        runtime.shutdown_background();
    }
}
