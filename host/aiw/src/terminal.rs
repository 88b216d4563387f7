//! Questions. They are only ever asked on a terminal.

use std::fs::OpenOptions;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::sync::Arc;

use aiw_core::{ErrorKind, Secret};
use aiw_home::MAX_SECRET_BYTES;
use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{
    LocalModes, OptionalActions, QueueSelector, SpecialCodeIndex, Termios, tcflush, tcgetattr, tcsetattr,
};
use signal_hook::consts::{SIGCONT, SIGTSTP};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use zeroize::Zeroizing;

use crate::failure::CliError;

/// Whether somebody can be asked.
pub fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// The size of a terminal.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub rows: usize,
    pub columns: usize,
}

/// The size of the terminal behind standard error.
pub fn size() -> Size {
    let size = rustix::termios::tcgetwinsize(io::stderr()).ok().filter(|size| size.ws_row > 0 && size.ws_col > 0);
    size.map_or(Size { rows: 24, columns: 80 }, |size| Size { rows: size.ws_row.into(), columns: size.ws_col.into() })
}

/// The columns of the terminal behind standard output, if it is one.
pub fn columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// A line that belongs to a question.
pub fn print_prompt_line(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", aiw_core::quote_line(line));
}

/// Asks for a line; end of input is an interruption.
pub async fn prompt_line(question: &str) -> Result<String, CliError> {
    let _ = write!(io::stderr().lock(), "{} ", aiw_core::quote_line(question));
    let _ = io::stderr().flush();
    read_line().await
}

/// The read happens on a thread of its own, so that Ctrl-C ends the question.
async fn read_line() -> Result<String, CliError> {
    let line = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map(|read| (read > 0).then_some(line))
    });
    match line.await {
        Ok(Ok(Some(line))) => Ok(line.trim().to_owned()),
        Ok(Err(e)) => Err(CliError::user(format!("the answer can't be read: {e}"))),
        _ => Err(CliError::interrupted(130)),
    }
}

/// The terminal without echo, put back when it goes, whatever ends the question.
struct Unseen(Arc<Mutex<Option<HiddenTyping>>>);

/// Hides a secret while it is typed.
struct HiddenTyping {
    before: Termios,
    question: String,
}

impl HiddenTyping {
    fn hide(&self) -> io::Result<()> {
        let mut unseen = self.before.clone();
        // Each key comes at once, so that a mark is shown for it.
        unseen.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON);
        unseen.special_codes[SpecialCodeIndex::VMIN] = 1;
        unseen.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(io::stdin(), OptionalActions::Flush, &unseen)?;
        say(&self.question);
        Ok(())
    }

    fn show(&self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.before);
        say("\n");
    }
}

impl Unseen {
    fn new(question: &str) -> io::Result<Self> {
        let hidden =
            HiddenTyping { before: tcgetattr(io::stdin())?, question: format!("{} ", aiw_core::printable(question)) };
        let mut signals = Signals::new([SIGTSTP, SIGCONT])?;
        hidden.hide()?;
        let state = Arc::new(Mutex::new(Some(hidden)));
        let seen = state.clone();
        // It lives as long as the process: once heard, a signal does nothing by itself any more.
        std::thread::spawn(move || {
            for signal in signals.forever() {
                let state = seen.lock();
                match (signal, &*state) {
                    (SIGTSTP, hidden) if aiw_tui::has_shell() => {
                        if let Some(hidden) = hidden {
                            hidden.show();
                        }
                        let _ = emulate_default_handler(SIGTSTP);
                    }
                    // A shell may have put its own settings there meanwhile.
                    (SIGCONT, Some(hidden)) => drop(hidden.hide()),
                    _ => {}
                }
            }
        });
        Ok(Self(state))
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        if let Some(hidden) = self.0.lock().take() {
            hidden.show();
        }
    }
}

/// Words for whoever types: standard error may lead elsewhere.
fn say(text: &str) {
    if !io::stderr().is_terminal()
        && let Ok(mut terminal) = OpenOptions::new().write(true).open("/dev/tty")
    {
        let _ = terminal.write_all(text.as_bytes());
        return;
    }
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes());
    let _ = stderr.flush();
}

/// Asks for a line that does not appear on the terminal that standard input is.
pub async fn prompt_secret(question: &str) -> Result<Secret, CliError> {
    prompt_optional_secret(question).await?.ok_or_else(|| CliError::user("you typed nothing"))
}

/// As [`prompt_secret`], for an answer that may be empty.
pub async fn prompt_optional_secret(question: &str) -> Result<Option<Secret>, CliError> {
    // Never typed where it would be seen.
    let unseen =
        Unseen::new(question).map_err(|_| CliError::user("the terminal can't hide a secret while you type it"))?;
    let secret = tokio::task::spawn_blocking(|| read_masked(&mut io::stdin().lock(), &say)).await;
    drop(unseen);
    let secret = match secret {
        Ok(Ok(Some(secret))) => secret,
        Ok(Err(e)) => return Err(CliError::user(format!("the answer can't be read: {e}"))),
        _ => return Err(CliError::interrupted(130)),
    };
    Ok(Some(secret).filter(|secret| !secret.expose().is_empty()))
}

/// Reads a secret key by key, and shows a mark for each character. `None` at the end of input.
fn read_masked(input: &mut impl Read, show: &dyn Fn(&str)) -> io::Result<Option<Secret>> {
    const END_OF_INPUT: u8 = 4;
    const ERASE_LINE: u8 = 21;
    const ESCAPE: u8 = 27;
    let is_start = |byte: u8| byte & 0xc0 != 0x80;
    let (mut typed, mut is_sequence) = (Zeroizing::new(Vec::new()), false);
    let mut byte = [0];
    while input.read(&mut byte)? == 1 {
        match byte[0] {
            b'\r' | b'\n' => break,
            END_OF_INPUT if typed.is_empty() => return Ok(None),
            // The keys that move the cursor send sequences: `ESC [ A`.
            b'[' | b'O' if is_sequence => {}
            byte if is_sequence => is_sequence = !(byte.is_ascii_alphabetic() || byte == b'~'),
            ESCAPE => is_sequence = true,
            b'\x08' | b'\x7f' => {
                if let Some(at) = typed.iter().rposition(|byte| is_start(*byte)) {
                    typed.truncate(at);
                    show("\x08 \x08");
                }
            }
            ERASE_LINE => {
                let count = typed.iter().filter(|byte| is_start(**byte)).count();
                show(&"\x08 \x08".repeat(count));
                typed.clear();
            }
            byte if byte < b' ' && byte != b'\t' => {}
            byte if typed.len() < MAX_SECRET_BYTES => {
                typed.push(byte);
                if is_start(byte) {
                    show("*");
                }
            }
            _ => return Err(io::Error::other(format!("it is longer than {MAX_SECRET_BYTES} bytes"))),
        }
    }
    let text = std::str::from_utf8(&typed).map_err(|_| io::Error::other("it is not UTF-8"))?;
    Ok(Some(Secret::new(text.trim())))
}

/// A secret from standard input: from a pipe without the line break at its end, from a terminal unseen.
pub async fn read_secret(question: &str) -> Result<Secret, CliError> {
    if io::stdin().is_terminal() {
        return prompt_secret(question).await;
    }
    let mut text = String::new();
    io::stdin()
        .lock()
        .take(MAX_SECRET_BYTES as u64 + 2)
        .read_to_string(&mut text)
        .map_err(|e| CliError::new(ErrorKind::User, format!("cannot read the secret from standard input: {e}")))?;
    let secret = Secret::new(text.strip_suffix('\n').map_or(text.as_str(), |t| t.strip_suffix('\r').unwrap_or(t)));
    if secret.expose().is_empty() {
        return Err(
            CliError::user("there is no secret on standard input").with_hint("pipe it in, or type it on a terminal")
        );
    }
    Ok(secret)
}

/// Drops what was typed, or pasted, before a question is shown: it can't be meant as a yes to it.
pub fn discard_pending_input() {
    /// Within this time the next part of a paste comes, and so many parts are dropped.
    const PASTE_CHUNK_TIMEOUT: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
    const MAX_PASTE_CHUNKS: usize = 500;

    let stdin = io::stdin();
    if !is_interactive() {
        return;
    }
    for _ in 0..MAX_PASTE_CHUNKS {
        let _ = tcflush(&stdin, QueueSelector::IFlush);
        let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
        if !poll(&mut fds, Some(&PASTE_CHUNK_TIMEOUT)).is_ok_and(|count| count > 0) {
            return;
        }
    }
}

/// A question as a sentence names it. One that has backticks of its own stands between other quotes.
fn named(question: &str) -> String {
    if question.contains('`') { format!("\"{question}\"") } else { format!("`{question}`") }
}

/// Asks a question that a flag could have answered.
pub async fn confirm(question: &str, flag: &str, yes: bool) -> Result<bool, CliError> {
    if yes {
        return Ok(true);
    }
    if !is_interactive() {
        return Err(CliError::not_interactive(&format!("{} needs an answer", named(question)), flag));
    }
    discard_pending_input();
    let answer = prompt_line(&format!("{question} [y/N]")).await?;
    Ok(matches!(answer.to_lowercase().as_str(), "y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_with_backticks_has_none_around_it() {
        assert_eq!(named("Add acme?"), "`Add acme?`");
        assert_eq!(named("Offer it as `x`?"), "\"Offer it as `x`?\"");
    }
}
