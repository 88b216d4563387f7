//! The runtime of commands that wait for components or the network, and how signals end it.

use std::time::Duration;

use aiw_core::ErrorKind;

use crate::failure::Failure;
use crate::output::Output;

/// Does a command's work, until it is done or a signal ends it.
pub fn run(output: &Output, work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    // One thread is enough: guests yield every tick, git works on the blocking pool.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::new(ErrorKind::Internal, format!("the runtime failed to start: {e}")))?;
    end_what_does_not_wait(output.is_json());
    let result = runtime.block_on(async {
        tokio::select! {
            biased;
            failure = interrupted() => Err(failure),
            result = work => result,
        }
    });
    output.clear_progress();
    // A thread that still reads the terminal must not hold the process.
    runtime.shutdown_background();
    result
}

/// How long a command may take to stop where it waits.
const GRACE: Duration = Duration::from_secs(1);

/// Work that does not wait in the runtime (for the lock, for a file system that hangs) does
/// not hear of a signal: after the grace period the process ends in its middle, as by a kill.
fn end_what_does_not_wait(json: bool) {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

    let Ok(mut signals) = signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGTERM]) else { return };
    std::thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            std::thread::sleep(GRACE);
            let failure = Failure::interrupted(128 + u8::try_from(signal).unwrap_or(0));
            let _ = Output::new(json).fail(&failure);
            std::process::exit(failure.code().into());
        }
    });
}

/// Ends when the user or the system asks us to. The work is dropped where it waits, which
/// cancels it; what is committed is committed as a whole.
async fn interrupted() -> Failure {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate()).ok();
    let mut hang_up = signal(SignalKind::hangup()).ok();
    let next = async |signal: &mut Option<tokio::signal::unix::Signal>| match signal {
        Some(signal) => signal.recv().await,
        None => std::future::pending().await,
    };
    let code = tokio::select! {
        _ = tokio::signal::ctrl_c() => 130,
        _ = next(&mut terminate) => 143,
        _ = next(&mut hang_up) => 129,
    };
    Failure::interrupted(code)
}
