//! What aiw provides to libgit2: HTTP through our own client, so that the egress policy, the limits and
//! cancellation apply; and a bounded amount of memory.

use std::cell::{Cell, RefCell};
use std::ffi::{c_char, c_int, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream, Transport};
use libgit2_sys as raw;

use super::exchange::GitExchange;
use super::pack::MAX_OBJECT;
use super::session::FetchSession;
use crate::error::{NetError, format_size};

/// The most memory that libgit2 gets in one piece: an object, and what libgit2 adds to one. It holds three at once:
/// the base of a delta, the delta, and the result.
const MAX_ALLOCATION: usize = (MAX_OBJECT as usize) + (1 << 20);

/// The most memory that libgit2 holds in total: those three, its caches, its records of a million objects, and as
/// much again. It leaks the memory of an object that appears twice in a pack each time it looks at the object.
const MAX_ALLOCATED_BYTES: usize = 1 << 30;

/// The amount of memory that libgit2 holds.
static ALLOCATED_BYTES: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// libgit2 passes no context to a transport, so the transport finds its session here.
    static SESSION: RefCell<Option<Arc<FetchSession>>> = const { RefCell::new(None) };

    /// The reason that memory was refused. libgit2 reports at most that there was none.
    static LAST_ALLOCATION_ERROR: Cell<Option<AllocationError>> = const { Cell::new(None) };
}

/// Why libgit2 was refused a piece of memory.
#[derive(Debug, Clone, Copy)]
enum AllocationError {
    /// The piece alone is too large.
    TooLarge,
    /// With this piece, the total would be too large.
    LimitExceeded,
}

/// Runs `work`, and serves its HTTP requests through the session.
pub(super) fn with_session<T>(session: &Arc<FetchSession>, work: impl FnOnce() -> T) -> Result<T, NetError> {
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            SESSION.with_borrow_mut(Option::take);
        }
    }
    prepare()?;
    SESSION.with_borrow_mut(|slot| *slot = Some(session.clone()));
    let _reset = Reset;
    LAST_ALLOCATION_ERROR.set(None);
    Ok(work())
}

/// Returns an error if libgit2 asked for too much memory on this thread since the last call.
pub(crate) fn take_allocation_error(repository: &str) -> Option<NetError> {
    let message = match LAST_ALLOCATION_ERROR.take()? {
        AllocationError::TooLarge => format!("{repository} contains an object larger than {}", format_size(MAX_OBJECT)),
        AllocationError::LimitExceeded => {
            format!("{repository} takes more than {} of memory to read", format_size(MAX_ALLOCATED_BYTES as u64))
        }
    };
    Some(NetError::too_large(message))
}

/// Installs our allocator and our transport in libgit2, once. Call this before any use of libgit2.
pub(crate) fn prepare() -> Result<(), NetError> {
    static PREPARED: OnceLock<Result<(), NetError>> = OnceLock::new();
    PREPARED
        .get_or_init(|| {
            bound_memory();
            git2::opts::strict_hash_verification(true);
            register_transports()
                .map_err(|error| NetError::unavailable(format!("cannot use libgit2: {}", error.message())))
        })
        .clone()
}

#[expect(unsafe_code, reason = "libgit2's table of transports is not locked")]
fn register_transports() -> Result<(), git2::Error> {
    for scheme in ["http", "https"] {
        // SAFETY: transports must not be registered while others are created. Only this crate uses git2. Every
        // remote is connected inside `with`, which calls `prepare` first, and `OnceLock` lets one thread in and
        // blocks the others.
        unsafe { git2::transport::register(scheme, |remote| Transport::smart(remote, true, Net::of_thread()?)) }?;
    }
    Ok(())
}

/// `git_allocator` of `git2/sys/alloc.h`.
#[repr(C)]
struct Allocator {
    allocate: extern "C" fn(usize, *const c_char, c_int) -> *mut c_void,
    reallocate: extern "C" fn(*mut c_void, usize, *const c_char, c_int) -> *mut c_void,
    free: extern "C" fn(*mut c_void),
}

/// Returns whether libgit2 may have `size` bytes in place of `instead_of` bytes.
fn may_have(size: usize, instead_of: usize) -> bool {
    let refusal = if size > MAX_ALLOCATION {
        AllocationError::TooLarge
    } else if ALLOCATED_BYTES.load(Ordering::Relaxed).saturating_sub(instead_of).saturating_add(size)
        > MAX_ALLOCATED_BYTES
    {
        AllocationError::LimitExceeded
    } else {
        return true;
    };
    // A thread that is ending has nobody to tell.
    let _ = LAST_ALLOCATION_ERROR.try_with(|refused| refused.set(Some(refusal)));
    false
}

/// Returns the size of a piece of memory; 0 for null.
fn size_of(piece: *mut c_void) -> usize {
    #[expect(unsafe_code, reason = "the system's allocator alone knows it")]
    // SAFETY: `piece` is null or came from `malloc`, and is not freed yet.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let size = unsafe { libc::malloc_usable_size(piece) };
    #[expect(unsafe_code, reason = "the system's allocator alone knows it")]
    // SAFETY: as above.
    #[cfg(target_vendor = "apple")]
    let size = unsafe { libc::malloc_size(piece) };
    // Elsewhere only single pieces are limited.
    #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
    let size = {
        let _ = piece;
        0
    };
    size
}

/// Counts a piece as held, in place of `instead_of` bytes.
fn held(piece: *mut c_void, instead_of: usize) -> *mut c_void {
    ALLOCATED_BYTES.fetch_add(size_of(piece), Ordering::Relaxed);
    let_go(instead_of);
    piece
}

/// Subtracts from the count, but never below zero: memory that libgit2 got without our allocator was not counted.
fn let_go(size: usize) {
    let _ = ALLOCATED_BYTES.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| Some(held.saturating_sub(size)));
}

extern "C" fn allocate(size: usize, _: *const c_char, _: c_int) -> *mut c_void {
    if !may_have(size, 0) {
        return std::ptr::null_mut();
    }
    #[expect(unsafe_code, reason = "libgit2 frees by itself what it gets")]
    // SAFETY: `malloc` takes any size.
    let piece = unsafe { libc::malloc(size) };
    held(piece, 0)
}

extern "C" fn reallocate(old: *mut c_void, size: usize, _: *const c_char, _: c_int) -> *mut c_void {
    let before = size_of(old);
    if !may_have(size, before) {
        return std::ptr::null_mut();
    }
    #[expect(unsafe_code, reason = "libgit2 frees by itself what it gets")]
    // SAFETY: `old` is null or came from `malloc`: from here, or from libgit2's own allocator, which is `malloc`.
    let piece = unsafe { libc::realloc(old, size.max(1)) };
    // If there is no more memory, the old piece stays.
    if piece.is_null() { piece } else { held(piece, before) }
}

extern "C" fn free(old: *mut c_void) {
    let_go(size_of(old));
    #[expect(unsafe_code, reason = "libgit2 frees by itself what it gets")]
    // SAFETY: as for `reallocate`.
    unsafe {
        libc::free(old);
    }
}

/// Installs our allocator. libgit2 trusts the size that an object declares, whoever wrote it, and allocates that
/// much before it reads the object. If the allocator refuses, the call fails and libgit2 returns the error.
#[expect(unsafe_code, reason = "git2 has no safe way to say it")]
fn bound_memory() {
    let ours = Allocator { allocate, reallocate, free };
    let option = raw::GIT_OPT_SET_ALLOCATOR as c_int;
    // SAFETY: the option takes a pointer to a `git_allocator` and copies it. libgit2 is not running yet: every use
    // of libgit2 goes through `prepare` first.
    let _ = unsafe { raw::git_libgit2_opts(option, &raw const ours) };
}

/// HTTP through the thread's session.
struct Net {
    session: Arc<FetchSession>,
}

impl Net {
    fn of_thread() -> Result<Self, git2::Error> {
        let session = SESSION.with_borrow(Clone::clone);
        session.map(|session| Self { session }).ok_or_else(|| git2::Error::from_str("no policy for this connection"))
    }
}

impl SmartSubtransport for Net {
    fn action(&self, url: &str, action: Service) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        match action {
            Service::UploadPackLs => Ok(Box::new(GitExchange::for_refs(self.session.clone(), url))),
            Service::UploadPack => Ok(Box::new(GitExchange::for_pack(self.session.clone(), url))),
            Service::ReceivePackLs | Service::ReceivePack => Err(git2::Error::from_str("nothing is ever pushed")),
        }
    }

    fn close(&self) -> Result<(), git2::Error> {
        Ok(())
    }
}
