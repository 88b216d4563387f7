//! Questions. They are only ever asked on a terminal.

use std::io::{BufRead, IsTerminal, Write};

use aiw_core::Secret;

use crate::failure::Failure;

/// Whether somebody can be asked.
pub fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks for a line; end of input is an interruption. The read happens on a thread of its
/// own, so that Ctrl-C ends the question.
pub async fn ask(question: &str) -> Result<String, Failure> {
    let _ = write!(std::io::stderr().lock(), "{} ", aiw_core::printable(question));
    let _ = std::io::stderr().flush();
    let line = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map(|read| (read > 0).then_some(line))
    });
    match line.await {
        Ok(Ok(Some(line))) => Ok(line.trim().to_owned()),
        _ => Err(Failure::interrupted(130)),
    }
}

/// The terminal's settings, put back when it goes, whatever ends the question.
struct Unseen(rustix::termios::Termios);

impl Unseen {
    fn new() -> Option<Self> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

        let stdin = std::io::stdin();
        let before = tcgetattr(&stdin).ok()?;
        let mut unseen = before.clone();
        unseen.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Flush, &unseen).ok()?;
        Some(Self(before))
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        let _ = rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Flush, &self.0);
        let _ = writeln!(std::io::stderr().lock());
    }
}

/// Asks for a line that does not appear on the terminal.
pub async fn ask_hidden(question: &str) -> Result<Secret, Failure> {
    // Never typed where it would be seen.
    let unseen = Unseen::new().ok_or_else(|| Failure::user("the terminal does not let a secret be typed unseen"))?;
    let line = ask(question).await;
    drop(unseen);
    let secret = Secret::new(line?);
    if secret.expose().is_empty() { Err(Failure::user("nothing was typed")) } else { Ok(secret) }
}

/// Asks a question that a flag could have answered.
pub async fn confirm(question: &str, flag: &str, yes: bool) -> Result<bool, Failure> {
    if yes {
        return Ok(true);
    }
    if !can_ask() {
        return Err(Failure::unanswered(&format!("`{question}` needs an answer"), flag));
    }
    let answer = ask(&format!("{question} [y/N]")).await?;
    Ok(matches!(answer.to_lowercase().as_str(), "y" | "yes"))
}
