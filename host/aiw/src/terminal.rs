//! Questions. They are only ever asked on a terminal.

use std::io::{BufRead, IsTerminal, Write};

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
