//! What happens in a home, as lines that whoever makes an event adds, and that anybody reads by position.
//!
//! There is no process in the middle. An event is one line of JSON, added by one write under a lock of the file; once
//! [`EventLog::add`] has returned, it is there for every reader, whatever becomes of the writer. Two files hold the newest
//! events: when one is full, it takes the place of the older one. A position counts the bytes of all events ever
//! written, so it stays good, and a reader that comes too late is told of a gap.
//!
//! Other rooms keep lines of their own in the same way: [`LineFiles`].
//!
//! Not for secrets, nor for anything that a program was given: an event never has an argument, a variable or a prompt.
//!
//! ```
//! # fn main() -> std::io::Result<()> {
//! # let dir = tempfile::tempdir()?;
//! use aiw_events::{HomeEvent, EventKind, EventSubject, EventLog};
//! let events = EventLog::new(dir.path());
//! let from = events.end_offset()?;
//! events.add(&HomeEvent { name: Some("api".into()), ..HomeEvent::now(EventKind::Ready, EventSubject::Process) })?;
//! let page = events.read(from, 100, |_| true)?;
//! assert_eq!((page.events[0].kind, page.has_gap), (EventKind::Ready, false));
//! # Ok(()) }
//! ```

mod event;
mod file;
mod lines;

pub use event::{EventKind, EventSubject, HomeEvent};
pub use file::{EventLog, EventPage};
pub use lines::{LineFiles, LinePage};
