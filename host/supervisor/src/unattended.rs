//! Work that goes on alone, after the process that began it.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// Starts a program that works alone and then ends: nobody waits for it or reads what it says. It gets these variables and
/// no others, which may be secret. It should call [`detach`](crate::detach) before anything else.
pub fn start_unattended(
    program: &Path,
    words: &[&str],
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> io::Result<()> {
    use std::os::unix::process::CommandExt;

    let mut command = Command::new(program);
    command.args(words).env_clear().envs(variables).current_dir("/");
    // A client that ends its hook ends the hook's process group.
    command.process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut started = command.spawn()?;
    // It goes on without us. What it leaves behind at once is collected here, or by the system after our end.
    std::thread::spawn(move || started.wait());
    Ok(())
}
