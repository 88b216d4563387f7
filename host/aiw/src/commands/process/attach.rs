//! `aiw process attach`: the terminal of a process in the user's own, or its log and a way to its standard input.

use std::io::{self, IsTerminal, Read, Write};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use aiw_core::ErrorKind;
use aiw_home::Home;
use aiw_processes::{AttachedProcess, Attachment, LogEntry, Manager, Stream, Terminal};
use rustix::termios::{OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH};
use signal_hook::iterator::Signals;

use super::log::format_entry;
use super::opened::open_reconciled;
use crate::cli::process::{AttachArgs, DetachKey};
use crate::failure::CliError;
use crate::output::Output;
use crate::{output, terminal};

/// How often it is checked whether the user leaves and whether the process has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// How often it is checked whether the process has ended, if nothing tells: each so many looks.
const EXIT_CHECK_POLL_COUNT: u32 = 10;

/// How long a terminal that nobody reads may keep what was already on its way to it.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// The lines and columns of a screen that is drawn again. One of 65,535 each would take all memory, and the emulator panics
/// where a text wraps in a single line or a wide character in a single column.
const TERMINAL_SIZE_RANGE: RangeInclusive<u16> = 2..=1000;

/// So many pieces of what is typed wait for a process that doesn't read.
const MAX_QUEUED_INPUTS: usize = 64;

/// Ends what a program may have switched on: the alternate screen, a hidden cursor, a scroll region, colours, reports of
/// the mouse and of focus, bracketed paste, application keys, and the two ways of reporting keys in full.
const TERMINAL_RESET_SEQUENCE: &[u8] =
    b"\x1b[?1049l\x1b[?25h\x1b[r\x1b[0m\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[?1006l\
    \x1b[?2004l\x1b[?1l\x1b>\x1b[<u\x1b[>4;0m";

/// `aiw process attach`
pub fn attach(args: &AttachArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    if output.is_json() {
        let hint = format!("`aiw logs --json {}` prints what it has written", args.id);
        return Err(CliError::new(ErrorKind::Usage, "`aiw process attach` has no JSON output").with_hint(hint));
    }
    if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
        let hint = format!("`aiw logs -f {0}` shows what it writes, `aiw process input {0}` writes to it", args.id);
        return Err(CliError::user("`aiw process attach` needs a terminal").with_hint(hint));
    }
    let manager = open_reconciled(home)?;
    let AttachedProcess { connection, terminal: size, output: written } = manager.attach(&args.id, args.read_only)?;
    let connection = connection.map(Arc::new);
    let what = match connection {
        Some(_) => "",
        None if args.read_only => ", only to read",
        None => ", which takes no input",
    };
    let said = format!("attached to `{}`{what}: {} leaves it running", args.id, args.detach_key);
    let left = Arc::new(UserLeft::default());
    // Signals first: one that came later would leave the terminal as it is set here.
    hear(connection.clone().filter(|_| size.is_some()), left.clone()).map_err(|e| failed(&e))?;
    let modes = Modes::set(size.is_some(), args.detach_key).map_err(|e| failed(&e))?;
    let _ = left.modes.set(modes.before.clone());
    let _ = write!(io::stderr(), "{said}\r\n");
    if let Some(connection) = &connection {
        connection.disable_timeout().map_err(|e| failed(&e))?;
        if size.is_some() {
            tell_size(connection);
        }
    }
    listen(connection, size.is_some().then_some(args.detach_key), left.clone());
    let shown = match size {
        Some(size) => show_terminal(&manager, &args.id, written, size, &said, &left),
        None => show_log(&manager, &args.id, written, &left),
    };
    drop(modes);
    match left.signal() {
        Some(signal) => return Err(CliError::interrupted(u8::try_from(128 + signal).unwrap_or(1))),
        None if left.has_left() => terminal::print_prompt_line(&format!("`{}` runs on", args.id)),
        None => {
            shown?;
            let status = manager.get(&args.id)?;
            let why = status.reason().map(|why| format!(": {why}")).unwrap_or_default();
            terminal::print_prompt_line(&format!("`{}` is {}{why}", args.id, status.state));
        }
    }
    Ok(())
}

fn failed(error: &io::Error) -> CliError {
    CliError::user(format!("the terminal can't be used: {error}"))
}

/// Whether the user has left, and by which signal.
#[derive(Debug, Default)]
struct UserLeft {
    how: AtomicI32,
    /// The modes of the terminal before, once it was changed.
    modes: OnceLock<Termios>,
}

impl UserLeft {
    /// The user typed the key.
    const DETACHED_BY_KEY: i32 = -1;

    /// Leaves. Where the terminal takes nothing more, its modes come back and the program ends all the same.
    fn leave(&self, how: i32) {
        let _ = self.how.compare_exchange(0, how, Ordering::SeqCst, Ordering::SeqCst);
        thread::sleep(DRAIN_TIMEOUT);
        if let Some(modes) = self.modes.get() {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, modes);
        }
        std::process::exit(self.signal().map_or(0, |signal| 128 + signal));
    }

    fn has_left(&self) -> bool {
        self.how.load(Ordering::SeqCst) != 0
    }

    fn signal(&self) -> Option<i32> {
        Some(self.how.load(Ordering::SeqCst)).filter(|how| *how > 0)
    }
}

/// The modes of the user's terminal, which come back when this goes.
struct Modes {
    before: Termios,
    is_raw: bool,
}

impl Modes {
    /// Passes every key on, or lines. Where lines are read, the terminal itself turns the key into SIGQUIT.
    fn set(is_raw: bool, key: DetachKey) -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut modes = before.clone();
        match is_raw {
            true => modes.make_raw(),
            false => modes.special_codes[SpecialCodeIndex::VQUIT] = key.byte(),
        }
        tcsetattr(io::stdin(), OptionalActions::Now, &modes)?;
        Ok(Self { before, is_raw })
    }
}

impl Drop for Modes {
    fn drop(&mut self) {
        if self.is_raw {
            let mut stdout = io::stdout().lock();
            // The cursor may be anywhere now, and what follows belongs below what was written.
            let _ = stdout
                .write_all(TERMINAL_RESET_SEQUENCE)
                .and_then(|()| stdout.write_all(b"\x1b[999;1H\r\n"))
                .and_then(|()| stdout.flush());
        }
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

fn tell_size(connection: &Attachment) {
    if let Ok(size) = tcgetwinsize(io::stdout())
        && size.ws_row > 0
        && size.ws_col > 0
    {
        let _ = connection.resize(Terminal { rows: size.ws_row, columns: size.ws_col });
    }
}

/// Handles signals: another size is told, and all others leave.
fn hear(connection: Option<Arc<Attachment>>, left: Arc<UserLeft>) -> io::Result<()> {
    let mut signals = Signals::new([SIGWINCH, SIGTERM, SIGHUP, SIGINT, SIGQUIT])?;
    thread::spawn(move || {
        for signal in signals.forever() {
            match (signal, &connection) {
                (SIGWINCH, Some(connection)) => tell_size(connection),
                (SIGWINCH, None) => {}
                // Where lines are read, the terminal makes these of keys.
                (SIGQUIT | SIGINT, None) => left.leave(UserLeft::DETACHED_BY_KEY),
                (signal, _) => left.leave(signal),
            }
        }
    });
    Ok(())
}

/// Reads what is typed, until the key that leaves. A process that doesn't read must not keep that key from being seen.
fn listen(connection: Option<Arc<Attachment>>, key: Option<DetachKey>, left: Arc<UserLeft>) {
    let typed = connection.map(|connection| {
        let (typed, receiver) = sync_channel::<Vec<u8>>(MAX_QUEUED_INPUTS);
        thread::spawn(move || receiver.iter().take_while(|bytes| connection.write(bytes).is_ok()).count());
        typed
    });
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        loop {
            let bytes = match io::stdin().read(&mut buffer) {
                Ok(0) => return left.leave(UserLeft::DETACHED_BY_KEY),
                Ok(length) => &buffer[..length],
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return left.leave(SIGHUP),
            };
            let end = key.and_then(|key| key.find(bytes));
            pass(typed.as_ref(), &bytes[..end.unwrap_or(bytes.len())]);
            if end.is_some() {
                return left.leave(UserLeft::DETACHED_BY_KEY);
            }
        }
    });
}

/// Passes on what was typed, or rings the bell if there is too much of it.
fn pass(typed: Option<&SyncSender<Vec<u8>>>, bytes: &[u8]) {
    if let Some(typed) = typed.filter(|_| !bytes.is_empty())
        && typed.try_send(bytes.to_vec()).is_err()
    {
        let _ = io::stderr().write_all(b"\x07");
    }
}

/// Shows what a process writes, until the user leaves or the process has ended.
fn show(
    manager: &Manager,
    id: &str,
    mut written: aiw_processes::LogFollower,
    left: &UserLeft,
    mut print: impl FnMut(&mut io::StdoutLock<'_>, &[LogEntry]) -> io::Result<()>,
) -> Result<(), CliError> {
    let mut print = |entries: &[LogEntry]| {
        let mut stdout = io::stdout().lock();
        print(&mut stdout, entries).and_then(|()| stdout.flush()).map_err(|e| failed(&e))
    };
    let mut looks = 0;
    while !left.has_left() {
        let entries = written.next(POLL_INTERVAL).map_err(aiw_processes::ProcessError::from)?;
        // A line of aiw's own says an end.
        looks = if entries.iter().any(|entry| entry.stream == Stream::Aiw) { EXIT_CHECK_POLL_COUNT } else { looks + 1 };
        if !entries.is_empty() {
            print(&entries)?;
        } else if looks >= EXIT_CHECK_POLL_COUNT && std::mem::take(&mut looks) > 0 && !manager.is_alive(id) {
            // What it wrote last may have come after the last look.
            let last = written.next(Duration::ZERO).map_err(aiw_processes::ProcessError::from)?;
            return print(&[last, written.finish()].concat());
        }
    }
    Ok(())
}

fn show_log(manager: &Manager, id: &str, written: aiw_processes::LogFollower, left: &UserLeft) -> Result<(), CliError> {
    let is_coloured = output::has_color(&io::stdout());
    show(manager, id, written, left, |stdout, entries| {
        entries.iter().try_for_each(|entry| stdout.write_all(format_entry(entry, is_coloured).as_bytes()))
    })
}

fn show_terminal(
    manager: &Manager,
    id: &str,
    mut written: aiw_processes::LogFollower,
    size: Terminal,
    said: &str,
    left: &UserLeft,
) -> Result<(), CliError> {
    // What is there already is drawn as the last screen of it.
    let before = written.next(Duration::ZERO).map_err(aiw_processes::ProcessError::from)?;
    let mut stdout = io::stdout().lock();
    stdout.write_all(&last_screen(&before, size, said)).and_then(|()| stdout.flush()).map_err(|e| failed(&e))?;
    drop(stdout);
    show(manager, id, written, left, |stdout, entries| {
        entries.iter().try_for_each(|entry| match entry.stream {
            // The next life begins with a terminal that no program has changed.
            Stream::Aiw if begins(entry) => stdout.write_all(TERMINAL_RESET_SEQUENCE),
            Stream::Aiw => Ok(()),
            _ => stdout.write_all(&raw(entry)),
        })
    })
}

/// Whether a line of aiw says that the process was started.
fn begins(entry: &LogEntry) -> bool {
    entry.stream == Stream::Aiw && entry.bytes.starts_with(b"started: ")
}

/// Returns the bytes of an entry as the process wrote them.
fn raw(entry: &LogEntry) -> Vec<u8> {
    let mut bytes = entry.bytes.clone();
    bytes.extend(entry.is_complete.then_some(b'\n'));
    bytes
}

/// Returns what draws the screen that a process has left on its terminal. If its last line is empty, it has what aiw says
/// there, until the process writes to it.
fn last_screen(entries: &[LogEntry], size: Terminal, said: &str) -> Vec<u8> {
    let life = entries.iter().rposition(begins).map_or(0, |at| at + 1);
    let output = entries[life..].iter().filter(|entry| entry.stream != Stream::Aiw);
    let bytes: Vec<u8> = output.flat_map(raw).collect();
    let (known, rest) = bytes.split_at(settled(&bytes));
    let within = |length: u16| length.clamp(*TERMINAL_SIZE_RANGE.start(), *TERMINAL_SIZE_RANGE.end());
    let mut parser = vt100::Parser::new(within(size.rows), within(size.columns), 0);
    parser.process(known);
    let screen = parser.screen();
    let mut drawn = Vec::new();
    if screen.alternate_screen() {
        drawn.extend_from_slice(b"\x1b[?1049h");
    }
    drawn.extend(screen.state_formatted());
    if !said.is_empty() && screen.rows(0, size.columns).last().is_none_or(|line| line.is_empty()) {
        drawn.extend(format!("\x1b7\x1b[{};1H\x1b[0;7m{said}\x1b[0m\x1b8", size.rows).bytes());
    }
    drawn.extend_from_slice(rest);
    drawn
}

/// Returns how many bytes end before an escape sequence or a character that may go on. What follows them is for the
/// terminal itself, which gets the rest of it.
fn settled(bytes: &[u8]) -> usize {
    /// No sequence that matters is longer.
    const MAX_SEQUENCE_BYTES: usize = 4096;
    let from = bytes.len().saturating_sub(MAX_SEQUENCE_BYTES);
    let escape = bytes[from..].iter().rposition(|byte| *byte == 0x1b).map(|at| from + at);
    escape.unwrap_or_else(|| {
        let cut = bytes.len().saturating_sub(3)..bytes.len();
        let begins = cut.rev().find(|at| bytes[*at] >= 0xc0);
        begins.filter(|at| str::from_utf8(&bytes[*at..]).is_err()).unwrap_or(bytes.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(bytes: &[u8]) -> LogEntry {
        LogEntry { time: 0, stream: Stream::Stdout, bytes: bytes.to_vec(), is_complete: false }
    }

    fn screen(bytes: &[u8]) -> vt100::Parser {
        let mut parser = vt100::Parser::new(6, 20, 0);
        parser.process(bytes);
        parser
    }

    proptest! {
        #[test]
        fn a_screen_that_is_joined_anywhere_is_the_one_that_was_left(
            parts in proptest::collection::vec("[a-zß€😀 ]{1,9}|\r\n|\u{1b}\\[[1-6];[0-9]{1,2}H|\u{1b}\\[3[0-7]m|\u{1b}\\[2J|\u{1b}\\[\\?1049h|\u{1b}\\]0;[a-z]{1,9}\u{7}", 0..30),
            cut: usize,
        ) {
            let bytes = parts.concat().into_bytes();
            let (before, after) = bytes.split_at(cut % (bytes.len() + 1));
            let drawn = last_screen(&[entry(before)], Terminal { rows: 6, columns: 20 }, "");
            let joined = screen(&[&drawn, after].concat());
            let whole = screen(&bytes);
            prop_assert_eq!(joined.screen().contents(), whole.screen().contents());
            prop_assert_eq!(joined.screen().cursor_position(), whole.screen().cursor_position());
        }

        #[test]
        fn any_text_with_sequences_is_drawn(
            parts in proptest::collection::vec("\u{1b}\\[[0-9;?]{0,6}[@-~]|\u{1b}[ -~]|\u{9b}[0-9]{1,3}[A-Z]|[ -~]{0,9}|[äß€😀コ\u{300}\u{200d}]{1,3}|[\r\n\t\u{8}\u{b}\u{e}\u{f}]", 0..60),
            rows in 1u16..9,
            columns in 1u16..12,
        ) {
            last_screen(&[entry(parts.concat().as_bytes())], Terminal { rows, columns }, "said");
        }

        #[test]
        fn any_bytes_are_drawn(bytes: Vec<u8>, rows in 1u16..60, columns in 1u16..200) {
            last_screen(&[entry(&bytes)], Terminal { rows, columns }, "said");
        }
    }

    #[test]
    fn only_the_last_life_is_drawn() {
        let begins = LogEntry { stream: Stream::Aiw, ..entry(b"started: process 7") };
        let drawn = last_screen(&[entry(b"before"), begins, entry(b"after")], Terminal { rows: 6, columns: 20 }, "");
        assert_eq!(screen(&drawn).screen().contents(), "after");
    }
}
