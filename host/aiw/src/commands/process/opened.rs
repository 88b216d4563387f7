//! The processes of a project, as each command finds them, and the signals that end it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aiw_app::{directory, own_executable};
use aiw_home::Home;
use aiw_processes::Manager;

use crate::failure::Failure;

/// The processes of the project that the current directory belongs to.
pub fn manager(home: &Home) -> Result<Manager, Failure> {
    Ok(Manager::of(home, directory(home)?)?.with_executable(own_executable()?))
}

/// The project's processes, after what dead shims left behind was ended, or started again.
pub(super) fn looked_after(home: &Home) -> Result<Manager, Failure> {
    let manager = manager(home)?;
    manager.look_after()?;
    Ok(manager)
}

/// Counts the signals that end this command from now on, and wakes what waits for them.
pub fn counted(wake: impl Fn() + Send + 'static) -> Result<Arc<AtomicUsize>, Failure> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let count = Arc::new(AtomicUsize::new(0));
    let mut signals = signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGTERM])
        .map_err(|e| Failure::user(format!("signals can't be handled: {e}")))?;
    let counting = count.clone();
    std::thread::spawn(move || {
        for _ in signals.forever() {
            counting.fetch_add(1, Ordering::Relaxed);
            wake();
        }
    });
    Ok(count)
}
