//! A segment that somebody cuts off while it is mapped: what is gone becomes empty pages of this
//! process' own, instead of its death by SIGBUS. The next look at the link finds another segment.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Once, OnceLock};

use super::layout::SIZE;

/// Where segments are mapped; 0 is a free place. A process maps one at a time, or a few.
static MAPPED: [AtomicUsize; 64] = [const { AtomicUsize::new(0) }; 64];

/// What SIGBUS did before, and the size of a page.
static BEFORE: OnceLock<(libc::sigaction, usize)> = OnceLock::new();

/// Watches over one mapping for as long as it lives. Beyond 64, mappings are not watched over.
pub(super) struct Guard {
    place: Option<&'static AtomicUsize>,
}

impl Guard {
    /// A guard over the [`SIZE`] bytes at an address.
    pub fn over(address: *const u8) -> Self {
        static INSTALL: Once = Once::new();

        INSTALL.call_once(install);
        if BEFORE.get().is_none() {
            return Self { place: None };
        }
        let take = |place: &&AtomicUsize| {
            place.compare_exchange(0, address as usize, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        Self { place: MAPPED.iter().find(take) }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            place.store(0, Ordering::Release);
        }
    }
}

/// Without it a cut-off segment ends us, as ever.
fn install() {
    let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = on_bus;
    #[expect(unsafe_code, reason = "no safe crate tells a handler the address of a fault")]
    // SAFETY: both structures are valid for the calls, and all zeros are a valid value of them. What was
    // there before is known to the handler before the handler can be called.
    unsafe {
        let mut before: libc::sigaction = std::mem::zeroed();
        if libc::sigaction(libc::SIGBUS, std::ptr::null(), &raw mut before) != 0 {
            return;
        }
        let _ = BEFORE.set((before, rustix::param::page_size()));
        let mut ours: libc::sigaction = std::mem::zeroed();
        ours.sa_sigaction = handler as usize;
        // On a stack of its own, where the thread has one.
        ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigaction(libc::SIGBUS, &raw const ours, std::ptr::null_mut());
    }
}

/// Makes good a page of a segment; anything else is left to whoever cared before.
extern "C" fn on_bus(_signal: libc::c_int, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    let Some((before, page)) = BEFORE.get() else { return };
    #[expect(unsafe_code, reason = "a signal handler")]
    // SAFETY: the kernel gives a valid `info`. Only pages of mappings that are alive are replaced: each
    // is taken out of `MAPPED` before it is unmapped, and a fault in one means that a reference to
    // it is in use. Nothing here locks or allocates.
    unsafe {
        let address = (*info).si_addr() as usize;
        let is_in = |place: &AtomicUsize| {
            let base = place.load(Ordering::Acquire);
            base != 0 && (base..base.saturating_add(SIZE)).contains(&address)
        };
        if MAPPED.iter().any(is_in) {
            let flags = libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let at = (address & !(page - 1)) as *mut libc::c_void;
            if libc::mmap(at, *page, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) == at {
                return;
            }
        }
        // The access is tried again, and then meets what was there before.
        libc::sigaction(libc::SIGBUS, before, std::ptr::null_mut());
    }
}
