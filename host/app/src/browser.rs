//! The user's browser.

use std::ffi::{OsStr, OsString};
use std::io;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use aiw_home::ExecutionContext;

/// Opens an address, or a page in a file, in the user's browser. Returns whether there is one.
pub fn open_in_browser(around: &ExecutionContext, what: impl AsRef<OsStr>) -> bool {
    /// The time within which something that is not a browser, or has no screen, fails. Some browsers run as long as their window.
    const BROWSER_SPAWN_GRACE: Duration = Duration::from_millis(500);

    let Some(program) = program(around) else { return false };
    let mut command = Command::new(program);
    command.arg(what).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(mut child) = command.spawn() else { return false };
    let (sender, ended) = channel();
    let waits = std::thread::Builder::new().spawn(move || sender.send(child.wait()));
    let has_failed = |ended: io::Result<ExitStatus>| !ended.is_ok_and(|status| status.success());
    waits.is_ok() && !ended.recv_timeout(BROWSER_SPAWN_GRACE).is_ok_and(has_failed)
}

fn program(around: &ExecutionContext) -> Option<OsString> {
    match around.non_empty_variable("BROWSER") {
        Some(browser) => Some(browser.to_owned()),
        _ if cfg!(target_os = "macos") => Some("open".into()),
        _ if cfg!(windows) => Some("explorer".into()),
        // Without a screen it would start a browser in the terminal.
        _ if has_screen(around) => Some("xdg-open".into()),
        _ => None,
    }
}

fn has_screen(around: &ExecutionContext) -> bool {
    cfg!(any(target_os = "macos", windows))
        || ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| around.non_empty_variable(name).is_some())
}

/// Whether the person sees a browser that is opened here: over ssh it would run on the other machine.
pub fn is_desktop(around: &ExecutionContext) -> bool {
    has_screen(around)
        && ["SSH_CONNECTION", "SSH_TTY", "CI"].iter().all(|name| around.non_empty_variable(name).is_none())
}
