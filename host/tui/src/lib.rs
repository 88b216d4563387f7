//! Full-screen views: `aiw tui`, `aiw plugin browse`, and choosing among the hits of `aiw history search --interactive`.
//!
//! This room knows keys, cells and the terminal. What a screen shows, and what a key of it does, are verbs of `app` and of the
//! domains; what a verb asks is asked on the screen. Not for prompts, tables or anything printed line by line.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! # fn go() -> Result<(), aiw_tui::ScreenError> {
//! let choices = ["the first".to_owned(), "the second".to_owned()];
//! let chosen = aiw_tui::pick("Which one?", &choices, Arc::new(|place| vec![format!("about number {place}")]))?;
//! # Ok(())
//! # }
//! ```

mod app;
mod context;
mod event_loop;
mod list;
mod open;
mod output;
mod page;
mod pages;
mod paint;
mod pick;
mod progress;
mod prompt;
mod prompter;
mod screen;
mod search;
mod terminal;
mod text;
mod watch;

#[doc(hidden)]
pub use app::bench::ScreenFrame;
pub use context::Inspector;
pub use open::{ScreenOptions, open, screen_names};
pub use pick::{PreviewFn, pick};
pub use progress::ScreenProgress;
pub use screen::ScreenError;
pub use terminal::{end_if_stuck, has_shell};
