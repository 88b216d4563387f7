//! The operations on supervised processes.

#[cfg(unix)]
mod attach;
#[cfg(unix)]
mod list;
#[cfg(unix)]
mod listing_cache;
#[cfg(unix)]
mod lost;
mod outcome;
#[cfg(unix)]
mod reach;
#[cfg(unix)]
mod retention;
#[cfg(unix)]
mod sources;
#[cfg(unix)]
mod start;
#[cfg(unix)]
mod stop;
#[cfg(unix)]
mod sweep;
#[cfg(unix)]
mod table;
#[cfg(not(unix))]
mod unsupported;
#[cfg(unix)]
mod wait;

#[cfg(unix)]
pub use attach::Attachment;
pub use outcome::{ProcessUsage, RetentionPolicy, StopOutcome, SupervisedProcess, WaitMode, WaitOutcome};
#[cfg(unix)]
pub use table::Processes;
#[cfg(not(unix))]
pub use unsupported::{Attachment, Processes};
