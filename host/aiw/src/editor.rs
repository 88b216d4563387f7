//! The user's editor.

use std::env;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use aiw_core::ErrorKind;

use crate::failure::CliError;

/// A command that opens a file for the user.
pub struct Editor(OsString);

impl Editor {
    /// Returns the one that `VISUAL` or `EDITOR` names, or that git would open.
    pub fn find() -> Result<Self, CliError> {
        let set = |variable: &str| env::var_os(variable).filter(|value| !value.is_empty());
        if let Some(named) = set("VISUAL").or_else(|| set("EDITOR")) {
            return Ok(Self(named));
        }
        let of_git = editor_of_git().ok_or_else(|| {
            CliError::user("neither `VISUAL` nor `EDITOR` names an editor, and git has none")
                .with_hint("for example, `export EDITOR=nano`")
        })?;
        // A script that is named needs none.
        if !std::io::stdin().is_terminal() {
            let failure = CliError::new(ErrorKind::Usage, "there is no terminal for an editor");
            return Err(failure.with_hint("`EDITOR` names a program that needs none"));
        }
        Ok(Self(of_git))
    }

    /// As git does it: a shell reads the variable, so that it may hold arguments.
    pub fn open(&self, file: &Path) -> Result<ExitStatus, CliError> {
        use signal_hook::consts::{SIGINT, SIGQUIT};

        // Keys of the editor's, which the terminal sends to us and to the shell as well.
        // Handlers, unlike ignoring, are not handed down to it.
        for signal in [SIGINT, SIGQUIT] {
            let _ = signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)));
        }
        let mut script = OsString::from("trap : INT QUIT; ");
        script.push(&self.0);
        script.push(" \"$@\"");
        let status = Command::new("sh").arg("-c").arg(script).arg(&self.0).arg(file).status();
        status.map_err(|e| CliError::new(ErrorKind::Unavailable, format!("the editor failed to start: {e}")))
    }
}

/// Returns the editor that git would open: its configured one or its default.
fn editor_of_git() -> Option<OsString> {
    let said = Command::new("git").args(["var", "GIT_EDITOR"]).stdin(Stdio::null()).stderr(Stdio::null()).output();
    let mut editor = said.ok().filter(|said| said.status.success())?.stdout;
    editor.truncate(editor.trim_ascii_end().len());
    (!editor.is_empty()).then(|| OsString::from_vec(editor))
}
