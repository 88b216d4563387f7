//! Full-screen views: `aiw tui`, `aiw plugin browse`, and choosing among the hits of `aiw history search --interactive`.
//!
//! This room knows keys, cells and the terminal. What a screen shows, and what a key of it does, are verbs of `app` and of the
//! domains; what a verb asks is asked on the screen. Not for prompts, tables or anything printed line by line.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! # fn go(markets: Arc<dyn aiw_tui::Backend>) -> Result<(), aiw_tui::ScreenError> {
//! let options = aiw_tui::BrowserOptions { color: std::env::var_os("NO_COLOR").is_none(), ..Default::default() };
//! aiw_tui::browse(markets, options)
//! # }
//! ```

mod app;
mod browse;
mod context;
mod event_loop;
mod list;
mod open;
mod page;
mod pages;
mod paint;
mod pick;
mod progress;
mod prompt;
mod prompter;
mod screen;
mod terminal;
mod text;
mod watch;

#[doc(hidden)]
pub use app::bench::ScreenFrame;
#[doc(hidden)]
pub use browse::bench;
pub use browse::{Backend, BackendError, BrowserOptions, Plugin, PluginServer, Preview, browse, browse_markets};
pub use context::Inspector;
pub use open::{ScreenOptions, open, screen_names};
pub use pick::{PreviewFn, pick};
pub use progress::ScreenProgress;
pub use screen::{ScreenError, StepProgress};
pub use terminal::{end_if_stuck, has_shell};
