//! Opening the application on the terminal.

use std::sync::Arc;

use aiw_app::ClientSession;

use crate::app::State;
use crate::context::{AppContext, Inspector};
use crate::event_loop::show;
use crate::pages;
use crate::paint::Theme;
use crate::progress::ScreenProgress;
use crate::screen::ScreenError;

/// How the application is shown.
#[derive(Debug, Clone, Default)]
pub struct ScreenOptions {
    /// The word of the screen that is seen first; the first one if there is none.
    pub initial_screen: Option<String>,
    /// The words that narrow it.
    pub query: String,
    /// Whether it shows the rows too that it leaves out otherwise, such as plugins without MCP servers.
    pub show_all: bool,
    /// Whether there is colour.
    pub color: bool,
    /// Whether only letters of ASCII are drawn.
    pub ascii: bool,
    /// Whether the mouse selects.
    pub mouse: bool,
}

/// Returns the words that name a screen, each with the command that prints what it shows. It costs nothing: every command
/// line is parsed with them.
pub fn screen_names() -> &'static [(&'static str, &'static str)] {
    &pages::PAGE_NAMES
}

/// Shows the application of a client until the user leaves. Standard input and output must be a terminal. `progress` is
/// what the application tells.
///
/// The terminal is restored on every way out, including panics. Signals that were caught stay caught (and unhandled)
/// after this function returns: the previous handlers cannot be restored, so this should be the last thing that a
/// process does.
///
/// If the user insists on leaving, or a signal arrives, it returns while a change is still under way. The process is expected to
/// end then.
///
/// # Errors
///
/// Returns [`ScreenError::Signal`] after SIGTERM, SIGHUP, SIGINT or SIGQUIT, and [`ScreenError::Terminal`] if the
/// terminal fails.
pub fn open(
    client: Arc<ClientSession>,
    doctor: Inspector,
    progress: Arc<ScreenProgress>,
    options: &ScreenOptions,
) -> Result<(), ScreenError> {
    let feed = client.app().feed().clone();
    let pages = pages::all(&Arc::new(AppContext::new(client, doctor)));
    let first = options.initial_screen.as_deref();
    let at = pages.iter().position(|page| Some(page.descriptor().slug) == first).unwrap_or(0);
    let theme = Theme { color: options.color, ascii: options.ascii };
    let mut state = State::new(pages, at, theme, options.mouse).with_application(progress, feed);
    state.narrow_first(&options.query, options.show_all);
    show(&mut state)
}
