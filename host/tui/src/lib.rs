//! Full-screen views: `aiw plugin browse`, and choosing among the hits of `aiw history search --interactive`.
//!
//! This room knows keys, cells and the terminal. Each screen gets its content through a trait of its own, such as
//! [`Backend`]. Not for prompts, tables or anything printed line by line.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! # fn go(markets: Arc<dyn aiw_tui::Backend>) -> Result<(), aiw_tui::ScreenError> {
//! let options = aiw_tui::BrowserOptions { color: std::env::var_os("NO_COLOR").is_none(), ..Default::default() };
//! aiw_tui::browse(markets, options)
//! # }
//! ```

mod browse;
mod event_loop;
mod pick;
mod screen;
mod terminal;
mod text;

#[doc(hidden)]
pub use browse::bench;
pub use browse::{Backend, BackendError, BrowserOptions, Plugin, PluginServer, Preview, browse};
pub use pick::{Previews, pick};
pub use screen::{ScreenError, StepProgress};
