//! Protection against a segment that is truncated while it is mapped: missing pages become empty pages of this
//! process, instead of killing it with SIGBUS. The next check of the link finds another segment.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Once, OnceLock};

use super::layout::SEGMENT_BYTES;

/// The addresses of mapped segments; 0 is a free entry. A process maps one segment at a time, or a few.
static MAPPED_REGIONS: [AtomicUsize; 64] = [const { AtomicUsize::new(0) }; 64];

/// The previous action for SIGBUS, and the size of a page.
static PREVIOUS_HANDLER: OnceLock<(libc::sigaction, usize)> = OnceLock::new();

/// Guards one mapping for as long as it lives. More than 64 mappings are not guarded.
pub(super) struct Guard {
    place: Option<&'static AtomicUsize>,
}

impl Guard {
    /// Returns a guard over the [`SEGMENT_BYTES`] bytes at an address.
    pub fn new(address: *const u8) -> Self {
        static INSTALL: Once = Once::new();

        INSTALL.call_once(install);
        if PREVIOUS_HANDLER.get().is_none() {
            return Self { place: None };
        }
        let take = |place: &&AtomicUsize| {
            place.compare_exchange(0, address as usize, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        Self { place: MAPPED_REGIONS.iter().find(take) }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            place.store(0, Ordering::Release);
        }
    }
}

/// Installs the handler. If that fails, a truncated segment kills us, as it would without a guard.
fn install() {
    let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = on_bus;
    #[expect(unsafe_code, reason = "no safe crate tells a handler the address of a fault")]
    // SAFETY: both structures are valid for the calls, and all zeros are a valid value of them. The previous action
    // is known to the handler before the handler can be called.
    unsafe {
        let mut before: libc::sigaction = std::mem::zeroed();
        if libc::sigaction(libc::SIGBUS, std::ptr::null(), &raw mut before) != 0 {
            return;
        }
        let _ = PREVIOUS_HANDLER.set((before, rustix::param::page_size()));
        let mut ours: libc::sigaction = std::mem::zeroed();
        ours.sa_sigaction = handler as usize;
        // The handler runs on an alternate stack, if the thread has one.
        ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigaction(libc::SIGBUS, &raw const ours, std::ptr::null_mut());
    }
}

/// Replaces a missing page of a segment. Any other fault is left to the previous action.
extern "C" fn on_bus(_signal: libc::c_int, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    let Some((before, page)) = PREVIOUS_HANDLER.get() else { return };
    #[expect(unsafe_code, reason = "a signal handler")]
    // SAFETY: the kernel gives a valid `info`. Only pages of live mappings are replaced: each mapping is taken out of
    // `MAPPED_REGIONS` before it is unmapped, and a fault in one means that a reference to it is in use. Nothing here locks
    // or allocates.
    unsafe {
        let address = (*info).si_addr() as usize;
        let is_in = |place: &AtomicUsize| {
            let base = place.load(Ordering::Acquire);
            base != 0 && (base..base.saturating_add(SEGMENT_BYTES)).contains(&address)
        };
        if MAPPED_REGIONS.iter().any(is_in) {
            let flags = libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let at = (address & !(page - 1)) as *mut libc::c_void;
            if libc::mmap(at, *page, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) == at {
                return;
            }
        }
        // The access is retried, and then meets the previous action.
        libc::sigaction(libc::SIGBUS, before, std::ptr::null_mut());
    }
}
