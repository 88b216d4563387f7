//! Takes the terminal and restores it: on leaving, on errors, on panics, on signals.

use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::os::fd::AsFd;
use std::panic::{PanicHookInfo, set_hook, take_hook};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use aiw_core::printable;
use crossterm::cursor::{Hide, Show};
use crossterm::event::{DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture, Event};
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use crossterm::{event, execute};
use parking_lot::Mutex;
use ratatui::backend::CrosstermBackend;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Whether the screen is ours. This is a static because the panic hook has no access to a guard.
static IS_SCREEN_ACTIVE: AtomicBool = AtomicBool::new(false);

/// Whether the mouse is ours, while the screen is.
static IS_MOUSE_CAPTURED: AtomicBool = AtomicBool::new(false);

/// The terminal as ratatui draws on it. A frame is a single write.
pub(crate) type TuiTerminal = ratatui::Terminal<CrosstermBackend<BufWriter<Stdout>>>;

/// Returns a screen to draw on. The terminal must have been taken.
pub(crate) fn open_terminal() -> io::Result<TuiTerminal> {
    TuiTerminal::new(CrosstermBackend::new(BufWriter::with_capacity(1 << 16, io::stdout())))
}

/// Redraws everything with the next frame. (`Terminal::clear` would ask the terminal for the cursor and wait for an
/// answer that the input thread takes.)
pub(crate) fn repaint(screen: &mut TuiTerminal) -> io::Result<()> {
    let size = screen.size()?;
    screen.resize(size.into())
}

/// Turns on raw mode and the alternate screen. Does nothing if they are on already.
pub(crate) fn init() -> io::Result<()> {
    if IS_SCREEN_ACTIVE.swap(true, Ordering::SeqCst) {
        return Ok(());
    }
    let taken =
        enable_raw_mode().and_then(|()| execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, Hide));
    if taken.is_err() {
        restore();
    }
    taken
}

/// Restores the terminal to its state before [`init`]. Does nothing the second time.
pub(crate) fn restore() {
    if IS_SCREEN_ACTIVE.swap(false, Ordering::SeqCst) {
        // Each step runs independently: a terminal that refuses one may still accept the other, and nobody is left to
        // receive an error.
        if IS_MOUSE_CAPTURED.swap(false, Ordering::SeqCst) {
            let _ = execute!(io::stdout(), DisableMouseCapture);
        }
        let _ = execute!(io::stdout(), DisableBracketedPaste, Show, LeaveAlternateScreen);
        let _ = disable_raw_mode();
    }
}

/// Takes the terminal again in the foreground: the shell, or whatever stopped us, may have changed the modes.
pub(crate) fn resume() -> io::Result<()> {
    if IS_SCREEN_ACTIVE.load(Ordering::SeqCst) {
        disable_raw_mode()?;
        enable_raw_mode()?;
        // Whatever stopped us may have left them off.
        IS_MOUSE_CAPTURED.store(false, Ordering::SeqCst);
        execute!(io::stdout(), EnableBracketedPaste, Hide)
    } else {
        init()
    }
}

/// Takes the mouse, or gives it back, if that is not done yet. The screen must be ours.
pub(crate) fn set_mouse_capture(wanted: bool) -> io::Result<()> {
    match (wanted, IS_MOUSE_CAPTURED.swap(wanted, Ordering::SeqCst)) {
        (true, false) => execute!(io::stdout(), EnableMouseCapture),
        (false, true) => execute!(io::stdout(), DisableMouseCapture),
        _ => Ok(()),
    }
}

/// Returns whether anybody can still see what is drawn.
pub(crate) fn is_connected() -> bool {
    io::stdout().is_terminal()
}

type BoxedHook = Box<dyn Fn(&PanicHookInfo<'_>) + Sync + Send + 'static>;

/// As long as this exists, a panic restores the terminal before anything is printed about it.
pub(crate) struct PanicHook {
    previous: Arc<BoxedHook>,
    /// The panics of other threads while the screen was in use.
    panics: Arc<Mutex<Vec<String>>>,
}

impl PanicHook {
    pub(crate) fn set() -> Self {
        let previous = Arc::new(take_hook());
        let kept = Arc::new(Mutex::new(Vec::new()));
        let ours = thread::current().id();
        set_hook(Box::new({
            let (previous, kept) = (Arc::clone(&previous), Arc::clone(&kept));
            move |info| {
                if thread::current().id() != ours && IS_SCREEN_ACTIVE.load(Ordering::SeqCst) {
                    kept.lock().push(info.to_string());
                } else {
                    restore();
                    previous(info);
                }
            }
        }));
        Self { previous, panics: kept }
    }

    /// Restores the previous hook, and prints the kept panics. Must not be called from a panicking thread, and only
    /// after [`restore`].
    pub(crate) fn unset(self) {
        drop(take_hook());
        // A thread that is panicking at this moment may still hold our hook.
        set_hook(match Arc::try_unwrap(self.previous) {
            Ok(previous) => previous,
            Err(shared) => Box::new(move |info| shared(info)),
        });
        for message in self.panics.lock().drain(..) {
            let _ = writeln!(io::stderr(), "{}", printable(&message));
        }
    }
}

/// How long the next key of what was typed in one go may take to arrive.
const KEY_BATCH_TIMEOUT: Duration = Duration::from_millis(3);
/// How many events are collected before the first of them is handled: a terminal holds no more than 4,096 bytes.
const MAX_BATCH_EVENTS: usize = 4_096;

/// Reads the event that is there, and those that follow it at once.
fn read_batch() -> io::Result<Vec<Event>> {
    let mut events = vec![event::read()?];
    while events.len() < MAX_BATCH_EVENTS && event::poll(KEY_BATCH_TIMEOUT)? {
        events.push(event::read()?);
    }
    Ok(events)
}

/// The thread that reads keys.
pub(crate) struct KeyThread {
    stop: Arc<AtomicBool>,
    ended: Receiver<()>,
}

impl KeyThread {
    /// Sends what is read as messages, until it is stopped or nobody receives them. What was typed in one go is one
    /// message: a letter does not answer what the one before it asks.
    pub(crate) fn spawn<M: Send + 'static>(
        sender: Sender<M>,
        message: impl Fn(io::Result<Vec<Event>>) -> M + Send + 'static,
    ) -> io::Result<Self> {
        // On Unix a signal ends the wait; on other systems only the timeout does.
        const POLL_TIMEOUT: Duration = if cfg!(unix) { Duration::from_secs(3_600) } else { Duration::from_millis(100) };
        let stop = Arc::new(AtomicBool::new(false));
        let (end, ended) = channel();
        let stopped = Arc::clone(&stop);
        thread::Builder::new().name("aiw-input".to_owned()).spawn(move || {
            while !stopped.load(Ordering::SeqCst) {
                let read = match event::poll(POLL_TIMEOUT) {
                    Ok(false) => continue,
                    Ok(true) => read_batch(),
                    Err(error) => Err(error),
                };
                let failed = read.is_err();
                if stopped.load(Ordering::SeqCst) || sender.send(message(read)).is_err() || failed {
                    break;
                }
            }
            let _ = end.send(());
        })?;
        Ok(Self { stop, ended })
    }

    /// Ends the thread, so that it takes no keys that are typed later.
    pub(crate) fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        // A terminal that hung up keeps crossterm reading forever, but then the process ends soon.
        for _ in 0..10 {
            let _ = signal_hook::low_level::raise(signal_hook::consts::SIGWINCH);
            if self.ended.recv_timeout(Duration::from_millis(20)) != Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                return;
            }
        }
    }
}

/// The thread that receives signals.
pub(crate) struct SignalThread {
    handle: signal_hook::iterator::Handle,
    thread: thread::JoinHandle<()>,
}

impl SignalThread {
    /// Sends each signal as a message.
    pub(crate) fn spawn<M: Send + 'static>(
        sender: Sender<M>,
        message: impl Fn(i32) -> M + Send + 'static,
    ) -> io::Result<Self> {
        use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
        let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGTSTP, SIGCONT])?;
        let handle = signals.handle();
        let thread = thread::Builder::new().name("aiw-signals".to_owned()).spawn(move || {
            let mut ends = false;
            for signal in signals.forever() {
                if !ends && matches!(signal, SIGTERM | SIGHUP) {
                    ends = true;
                    end_if_stuck(signal, || drop(disable_raw_mode()));
                }
                if sender.send(message(signal)).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { handle, thread })
    }

    /// Ends the thread.
    pub(crate) fn stop(self) {
        self.handle.close();
        let _ = self.thread.join();
    }
}

/// How long nobody may take what is written after a signal that ends the process.
const STUCK_TIMEOUT: Duration = Duration::from_secs(2);
const STUCK_POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Ends the process after a signal that asks for it, as soon as its terminal, or whoever reads its output, has taken no bytes for
/// a while: a thread that writes there waits for good, and hears of no signal. `restore` undoes what needs no bytes.
pub fn end_if_stuck(signal: i32, restore: impl FnOnce() + Send + 'static) {
    let watch = move || {
        let mut taken = Instant::now();
        while taken.elapsed() < STUCK_TIMEOUT {
            thread::sleep(STUCK_POLL_INTERVAL);
            if takes_bytes() {
                taken = Instant::now();
            }
        }
        restore();
        // Whatever runs at a usual exit writes what is left in buffers.
        signal_hook::low_level::exit(128 + signal);
    };
    let _ = thread::Builder::new().name("aiw-ends".to_owned()).spawn(watch);
}

/// Returns whether a write to standard output or standard error would come to an end, with or without an error.
fn takes_bytes() -> bool {
    let (stdout, stderr) = (io::stdout(), io::stderr());
    [stdout.as_fd(), stderr.as_fd()].into_iter().all(|to| {
        let nothing = Timespec { tv_sec: 0, tv_nsec: 0 };
        // What can't be asked can't be said to be stuck.
        poll(&mut [PollFd::from_borrowed_fd(to, PollFlags::OUT)], Some(&nothing)) != Ok(0)
    })
}

/// The request of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TerminalRequest {
    Stop,
    Continue,
    Terminate,
}

impl TerminalRequest {
    pub(crate) fn from_signal(signal: i32) -> Self {
        match signal {
            signal_hook::consts::SIGTSTP => Self::Stop,
            signal_hook::consts::SIGCONT => Self::Continue,
            _ => Self::Terminate,
        }
    }
}

/// Whether a shell of this session waits for us: without one, nobody would continue a stopped process, and the system itself
/// doesn't stop it on Ctrl-Z.
pub fn has_shell() -> bool {
    use aiw_supervisor::ObservedProcess;
    // A session that began outside of this container is 0, which rustix's `getsid` can't return.
    let own = ObservedProcess::open(std::process::id());
    let session = |seen: &ObservedProcess| Some(seen.session()).filter(|session| *session != 0);
    own.and_then(|own| Some((session(&own)?, session(&ObservedProcess::open(own.parent())?)?)))
        .is_some_and(|(own, parent)| own == parent)
}

/// Stops the process as Ctrl-Z would, and returns when it is continued.
pub(crate) fn suspend() -> io::Result<()> {
    if !has_shell() {
        return Ok(());
    }
    restore();
    signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGTSTP)?;
    init()
}
