//! The user's browser.

use std::ffi::{OsStr, OsString};
use std::process::{Command, Stdio};

use aiw_home::Surroundings;

/// Opens an address, or a page in a file, in the user's browser. Returns whether there is one.
pub fn opens(around: &Surroundings, what: impl AsRef<OsStr>) -> bool {
    let Some(program) = program(around) else { return false };
    let mut command = Command::new(program);
    command.arg(what).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Some browsers run as long as their window.
    command.spawn().is_ok_and(|mut child| std::thread::Builder::new().spawn(move || child.wait()).is_ok())
}

fn program(around: &Surroundings) -> Option<OsString> {
    match around.filled("BROWSER") {
        Some(browser) => Some(browser.to_owned()),
        _ if cfg!(target_os = "macos") => Some("open".into()),
        _ if cfg!(windows) => Some("explorer".into()),
        // Without a screen it would start a browser in the terminal.
        _ if ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| around.variable(name).is_some()) => {
            Some("xdg-open".into())
        }
        _ => None,
    }
}
