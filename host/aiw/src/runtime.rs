//! The runtime of commands that wait for components or the network, and how signals end it.

use std::cell::Cell;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use aiw_core::ErrorKind;
use aiw_home::{ExecutionContext, Home, HomeError};
use parking_lot::Mutex;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use tokio_util::sync::CancellationToken;

use crate::failure::CliError;
use crate::output::Output;

/// Returns the user's home. Commands are given it; the few things that run before a command is known ask for it.
pub fn home() -> Result<Home, HomeError> {
    Home::find(ExecutionContext::from_process())
}

/// Does a command's work, until it is done or a signal ends it.
pub fn run(output: &Output, work: impl Future<Output = Result<(), CliError>>) -> Result<(), CliError> {
    run_pinned(output, pin!(work))
}

/// One runtime for all commands: it is not compiled anew for the future of each.
fn run_pinned(output: &Output, work: Pin<&mut dyn Future<Output = Result<(), CliError>>>) -> Result<(), CliError> {
    // One thread is enough: guests that take long compute on threads of their own, git works on the blocking pool.
    let runtime = new_runtime()?;
    end_what_does_not_wait(output.is_json());
    let asked = Cell::new(None);
    let result = runtime.block_on(async {
        tokio::select! {
            biased;
            failure = interrupted(&asked) => Err(failure),
            result = work => result.and_then(|()| asked.get().map_or(Ok(()), |code| Err(CliError::interrupted(code)))),
        }
    });
    output.clear_progress();
    // A thread that still reads the terminal must not hold the process.
    runtime.shutdown_background();
    result
}

/// A runtime for commands that do most of their work without one.
pub fn new_runtime() -> Result<tokio::runtime::Runtime, CliError> {
    let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
    built.map_err(|e| CliError::new(ErrorKind::Internal, format!("the runtime failed to start: {e}")))
}

/// How long a command that finishes its work first may take for that.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

static SHUTDOWN_TOKEN: OnceLock<CancellationToken> = OnceLock::new();

/// From now on the first signal only cancels this token: the command ends when it has finished what it has begun, or
/// after some seconds, or at the next signal.
pub fn graceful_shutdown_token() -> CancellationToken {
    SHUTDOWN_TOKEN.get_or_init(CancellationToken::new).clone()
}

/// The signals that came while a command looks at them itself.
#[derive(Clone, Default)]
pub struct Signals {
    last: Arc<AtomicUsize>,
    came: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
    /// Finishes what the command has begun, where its output takes no bytes.
    finish: Arc<Mutex<Option<Finish>>>,
}

type Finish = Box<dyn FnOnce() + Send>;

impl Signals {
    /// From now on no signal ends the command.
    pub fn listen() -> Result<Self, CliError> {
        Self::listen_with_callback(|| {})
    }

    /// From now on no signal ends the command, and each wakes what waits.
    pub fn listen_with_callback(wake: impl Fn() + Send + 'static) -> Result<Self, CliError> {
        let signals = Self::default();
        let unhandled = |e| CliError::user(format!("signals can't be handled: {e}"));
        let all = [SIGHUP, SIGINT, SIGTERM];
        // These are set before what waits in the system hears of the signal.
        for signal in all {
            let number = signal.unsigned_abs() as usize;
            signal_hook::flag::register_usize(signal, signals.last.clone(), number).map_err(unhandled)?;
            signal_hook::flag::register(signal, signals.came.clone()).map_err(unhandled)?;
        }
        let mut coming = signal_hook::iterator::Signals::new(all).map_err(unhandled)?;
        let seen = signals.clone();
        std::thread::spawn(move || {
            let mut ends = false;
            for signal in coming.forever() {
                if !ends && matches!(signal, SIGHUP | SIGTERM) {
                    ends = true;
                    let finish = seen.finish.clone();
                    aiw_tui::end_if_stuck(signal, move || {
                        if let Some(finish) = finish.lock().take() {
                            finish();
                        }
                    });
                }
                seen.request_shutdown();
                wake();
            }
        });
        Ok(signals)
    }

    /// Ends the command as a signal would, because nobody reads what it writes.
    pub fn request_shutdown(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.came.store(true, Ordering::Release);
    }

    /// Before a command ends whose output takes no bytes, `finish` is called: the command itself waits to write.
    pub fn set_finish_callback(&self, finish: impl FnOnce() + Send + 'static) {
        *self.finish.lock() = Some(Box::new(finish));
    }

    /// Whether one came.
    pub fn received_flag(&self) -> &AtomicBool {
        &self.came
    }

    /// Whether one came.
    pub fn has_received(&self) -> bool {
        self.came.load(Ordering::Acquire)
    }

    /// How many came.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// The last one, or 0.
    pub fn last_signal(&self) -> u8 {
        u8::try_from(self.last.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// The exit code of a command that the last one ends.
    pub fn exit_code(&self) -> u8 {
        match self.last_signal() {
            0 => 130,
            signal => 128 + signal,
        }
    }

    /// Whether the terminal went away.
    pub fn has_hung_up(&self) -> bool {
        i32::from(self.last_signal()) == SIGHUP
    }
}

/// How long a command may take to stop where it waits.
const EXIT_GRACE_PERIOD: Duration = Duration::from_secs(1);

/// Work that does not wait in the runtime (for the lock, for a file system that hangs) does
/// not hear of a signal: after the grace period the process ends in its middle, as by a kill.
fn end_what_does_not_wait(json: bool) {
    let Ok(mut signals) = signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGTERM]) else { return };
    std::thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            let begun = Instant::now();
            while SHUTDOWN_TOKEN.get().is_some()
                && begun.elapsed() < SHUTDOWN_TIMEOUT
                && signals.pending().next().is_none()
            {
                std::thread::sleep(Duration::from_millis(20));
            }
            std::thread::sleep(EXIT_GRACE_PERIOD);
            let failure = CliError::interrupted(128 + u8::try_from(signal).unwrap_or(0));
            let code = failure.code();
            // A terminal that takes no bytes takes no last words either.
            let told = std::thread::spawn(move || {
                let _ = Output::new(json).fail(&failure);
            });
            let begun = Instant::now();
            while !told.is_finished() && begun.elapsed() < EXIT_GRACE_PERIOD {
                std::thread::sleep(Duration::from_millis(10));
            }
            signal_hook::low_level::exit(code.into());
        }
    });
}

/// Ends when the user or the system asks us to. The work is dropped where it waits, which
/// cancels it; what is committed is committed as a whole.
async fn interrupted(asked: &Cell<Option<u8>>) -> CliError {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate()).ok();
    let mut hang_up = signal(SignalKind::hangup()).ok();
    let next = async |signal: &mut Option<tokio::signal::unix::Signal>| match signal {
        Some(signal) => signal.recv().await,
        None => std::future::pending().await,
    };
    let mut signal = async || {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => 130,
            _ = next(&mut terminate) => 143,
            _ = next(&mut hang_up) => 129,
        }
    };
    let code = signal().await;
    if let Some(closing) = SHUTDOWN_TOKEN.get() {
        asked.set(Some(code));
        closing.cancel();
        // A second one is for those who can't wait.
        let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, signal()).await;
    }
    CliError::interrupted(code)
}
