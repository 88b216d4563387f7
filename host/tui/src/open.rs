//! Opening the application on the terminal.

use std::sync::Arc;

use aiw_app::ClientSession;

use crate::app::{Screens, Tab};
use crate::browse::{Browser, BrowserOptions};
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
    /// Whether there is colour.
    pub color: bool,
    /// Whether only letters of ASCII are drawn.
    pub ascii: bool,
    /// Whether the mouse selects.
    pub mouse: bool,
}

/// Returns all screens.
pub(crate) fn tabs(color: bool) -> Vec<Tab> {
    let browser = Browser::new(BrowserOptions { color, ..BrowserOptions::default() });
    pages::all(Tab::Plugins(Box::new(browser)))
}

/// Returns the words that name a screen, each with the command that prints what it shows. It costs nothing: every command
/// line is parsed with them.
pub fn screen_names() -> &'static [(&'static str, &'static str)] {
    &pages::PAGE_NAMES
}

/// Shows the application of a client until the user leaves. Standard input and output must be a terminal. `progress` is
/// what the application tells.
///
/// The terminal is restored on every way out. The same holds for signals as with [`crate::browse`].
///
/// # Errors
///
/// As [`crate::browse`].
pub fn open(
    client: Arc<ClientSession>,
    doctor: Inspector,
    progress: Arc<ScreenProgress>,
    options: &ScreenOptions,
) -> Result<(), ScreenError> {
    let tabs = tabs(options.color);
    let first = options.initial_screen.as_deref();
    let at = tabs.iter().position(|tab| Some(tab.descriptor().slug) == first).unwrap_or(0);
    let theme = Theme { color: options.color, ascii: options.ascii };
    show(Screens::new(Arc::new(AppContext::new(client, doctor, progress)), tabs, at, theme, options.mouse))
}
