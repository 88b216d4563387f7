//! The clients that aiw can be registered in, one file each. A new one needs a file and a line in [`ALL`].

mod claude;
mod claude_desktop;
mod client;
mod codex;
mod cursor;
mod gemini;
mod opencode;
mod vscode;
mod windsurf;
mod zed;

pub(crate) use client::{AutoApprove, BASE_CLIENT, ParsedEntry, check_unlimited, read_plain};
pub use client::{ClientPaths, SetupClient};

/// All clients, in the order of lists.
static ALL: [&SetupClient; 9] = [
    &claude::CLIENT,
    &codex::CLIENT,
    &gemini::CLIENT,
    &vscode::CLIENT,
    &cursor::CLIENT,
    &windsurf::CLIENT,
    &zed::CLIENT,
    &claude_desktop::CLIENT,
    &opencode::CLIENT,
];

/// All clients, in the order of lists.
pub fn all() -> &'static [&'static SetupClient] {
    &ALL
}

/// The client of a name.
pub fn client(id: &str) -> Option<&'static SetupClient> {
    ALL.into_iter().find(|client| client.id == id)
}
