//! The loop behind every screen: keys, signals, time, work on threads, frames.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use aiw_app::feed::Topic;
use crossterm::event::Event;
use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

use crate::app::{Effect, Job, Reply, State, Worker};
use crate::prompt::Prompt;
use crate::screen::{JobHandle, ScreenError, StepProgress, TerminalProgram};
use crate::terminal;
use crate::watch::ScreenListeners;

/// How often a frame shows that work goes on.
const FRAME_INTERVAL: Duration = Duration::from_millis(80);
/// How often an idle screen checks that its terminal still exists.
const IDLE_CHECK_INTERVAL: Duration = Duration::from_secs(2);
/// How long a program that has the terminal may take to end when this one must.
const CHILD_EXIT_TIMEOUT: Duration = Duration::from_secs(2);

/// Shows a screen until the user leaves. Standard output must be a terminal.
///
/// The terminal is restored on every way out, including panics. Signals that were caught stay caught (and unhandled)
/// after this function returns: the previous handlers cannot be restored, so this should be the last thing that a
/// process does.
///
/// # Errors
///
/// Returns [`ScreenError::Signal`] after SIGTERM, SIGHUP, SIGINT or SIGQUIT, and [`ScreenError::Terminal`] if the
/// terminal fails.
pub(crate) fn show(screen: &mut State) -> Result<(), ScreenError> {
    let (sender, messages) = channel();
    // Signals come first, so that a signal that arrives while the terminal is being taken is handled afterwards.
    let signals = terminal::SignalThread::spawn(sender.clone(), LoopMessage::Signal)?;
    let hook = terminal::PanicHook::set();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        terminal::init()?;
        let mut input = Some(terminal::KeyThread::spawn(sender.clone(), LoopMessage::Input)?);
        let outcome = catch_unwind(AssertUnwindSafe(|| run(screen, &sender, &messages, &mut input)));
        // Before the reader is stopped, because a terminal that hung up may block it for a while.
        terminal::restore();
        input.into_iter().for_each(terminal::KeyThread::stop);
        outcome.unwrap_or_else(|panic| resume_unwind(panic))
    }));
    terminal::restore();
    hook.unset();
    signals.stop();
    outcome.unwrap_or_else(|panic| resume_unwind(panic))
}

/// An event that wakes up the loop.
enum LoopMessage {
    /// What was typed in one go. No frame is drawn between two of its keys.
    Input(io::Result<Vec<Event>>),
    Signal(i32),
    Reply(Reply),
    TopicsChanged(BTreeSet<Topic>),
    Prompt(Prompt),
    /// The program that had the terminal has ended.
    ProgramExited(Result<(), String>),
}

/// How the loop continues after a message. The greatest of several is what they need together.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    /// Draw if the screen says so.
    Continue,
    Draw,
    /// Draw every cell, because another program has written on the screen.
    Repaint,
    Quit,
}

/// The state that the loop and its work share.
struct LoopDesk<'a> {
    worker: Worker,
    sender: Sender<LoopMessage>,
    /// The latest step. Earlier steps need not be shown.
    progress: Arc<Mutex<Option<StepProgress>>>,
    input: &'a mut Option<terminal::KeyThread>,
    /// The process that has the terminal now.
    lent: Option<Pid>,
    /// Whether Ctrl-C was pressed since that process ended.
    is_read: Arc<AtomicBool>,
    /// The signal that ended us while it had it, and when.
    ending: Option<(i32, Instant)>,
}

fn run(
    screen: &mut State,
    sender: &Sender<LoopMessage>,
    messages: &Receiver<LoopMessage>,
    input: &mut Option<terminal::KeyThread>,
) -> Result<(), ScreenError> {
    let (worker, sender) = (screen.worker(), sender.clone());
    let mut desk =
        LoopDesk { worker, sender, progress: Arc::default(), input, lent: None, is_read: Arc::default(), ending: None };
    // Never dropped: ratatui's drop reports on standard error that it could not show the cursor, and panics if
    // standard error has hung up too. `restore` takes care of the cursor.
    let mut terminal = ManuallyDrop::new(terminal::open_terminal()?);
    let mut listeners = ScreenListeners::default();
    if let Some(first) = screen.initial_job() {
        desk.start(first);
    }
    let mut draw = true;
    let mut ticked = Instant::now();
    loop {
        if desk.lent.is_none() {
            terminal::set_mouse_capture(screen.has_mouse())?;
            if draw {
                terminal.draw(|frame| screen.draw(frame))?;
                draw = false;
            }
        }
        let tell = desk.sender.clone();
        listeners.set_subscription(screen.subscription(), move |topics| {
            tell.send(LoopMessage::TopicsChanged(topics)).is_ok()
        })?;
        let wait = match &desk.ending {
            Some((_, since)) => CHILD_EXIT_TIMEOUT.saturating_sub(since.elapsed()),
            None if screen.is_working() => FRAME_INTERVAL.saturating_sub(ticked.elapsed()),
            None => IDLE_CHECK_INTERVAL,
        };
        let first = match messages.recv_timeout(wait) {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        if let Some((signal, _)) = desk.ending.filter(|(_, since)| since.elapsed() >= CHILD_EXIT_TIMEOUT) {
            return Err(ScreenError::Signal(signal));
        }
        if first.is_none() && !screen.is_working() && desk.lent.is_none() {
            if !terminal::is_connected() {
                return Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
            }
            if let Some(effect) = screen.handle_idle() {
                desk.carry_out(effect)?;
            }
        }
        // Everything that has arrived goes into one frame, because keys may repeat faster than frames are drawn.
        for message in first.into_iter().chain(messages.try_iter()) {
            match desk.handle(screen, message)? {
                Next::Continue => draw |= screen.needs_redraw(),
                Next::Draw => draw = true,
                Next::Repaint => {
                    terminal::repaint(&mut terminal)?;
                    draw = true;
                }
                Next::Quit => return Ok(()),
            }
        }
        if screen.is_working() && ticked.elapsed() >= FRAME_INTERVAL {
            screen.tick(desk.progress.lock().take());
            ticked = Instant::now();
            draw = true;
        }
    }
}

impl LoopDesk<'_> {
    fn handle(&mut self, screen: &mut State, message: LoopMessage) -> Result<Next, ScreenError> {
        let effect = match message {
            LoopMessage::ProgramExited(ended) => {
                self.take_again()?;
                if let Some(effect) = screen.handle_program_exit(ended) {
                    self.carry_out(effect)?;
                }
                return Ok(Next::Repaint);
            }
            LoopMessage::Signal(signal) if self.lent.is_some() => {
                self.signal_while_lent(signal)?;
                return Ok(Next::Continue);
            }
            // Typed before the terminal was lent.
            LoopMessage::Input(_) if self.lent.is_some() => return Ok(Next::Continue),
            LoopMessage::Input(Err(error)) => return Err(error.into()),
            LoopMessage::Input(Ok(events)) => {
                let mut next = Next::Continue;
                for event in events {
                    next = next.max(self.handle_event(screen, event)?);
                    if next == Next::Quit {
                        break;
                    }
                }
                return Ok(next);
            }
            LoopMessage::Signal(signal) => match terminal::TerminalRequest::from_signal(signal) {
                terminal::TerminalRequest::Terminate => return Err(ScreenError::Signal(signal)),
                terminal::TerminalRequest::Stop => Some(Effect::Suspend),
                terminal::TerminalRequest::Continue => {
                    terminal::resume()?;
                    return Ok(Next::Repaint);
                }
            },
            LoopMessage::Reply(reply) => screen.handle_reply(reply),
            LoopMessage::TopicsChanged(topics) => screen.handle_changes(&topics),
            LoopMessage::Prompt(prompt) => {
                screen.handle_prompt(prompt);
                None
            }
        };
        effect.map_or(Ok(Next::Continue), |effect| self.carry_out(effect))
    }

    fn handle_event(&mut self, screen: &mut State, event: Event) -> Result<Next, ScreenError> {
        let effect = match event {
            // Typed while the terminal was still ours, in one go with the key that lent it.
            _ if self.lent.is_some() => None,
            Event::Key(key) => screen.handle_key(key),
            Event::Mouse(event) => screen.handle_mouse(event),
            Event::Paste(text) => screen.handle_paste(&text),
            Event::Resize(..) => return Ok(Next::Draw),
            _ => None,
        };
        effect.map_or(Ok(Next::Continue), |effect| self.carry_out(effect))
    }

    fn carry_out(&mut self, effect: Effect) -> Result<Next, ScreenError> {
        match effect {
            Effect::Start(job) => self.start(job),
            Effect::Quit => return Ok(Next::Quit),
            Effect::Abandon => return Err(ScreenError::Signal(2)),
            Effect::Run(program) => self.lend(&program),
            Effect::Suspend => {
                terminal::suspend()?;
                return Ok(Next::Repaint);
            }
        }
        Ok(Next::Continue)
    }

    /// Gives the terminal to a program. Its end arrives as a message.
    fn lend(&mut self, program: &TerminalProgram) {
        self.input.take().into_iter().for_each(terminal::KeyThread::stop);
        terminal::restore();
        let (sender, is_read) = (self.sender.clone(), Arc::clone(&self.is_read));
        let started = program.command().spawn().and_then(|mut child| {
            let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
            let wait = thread::Builder::new().name("aiw-lent".to_owned());
            wait.spawn(move || drop(sender.send(LoopMessage::ProgramExited(ended(&mut child, &is_read)))))?;
            Ok(pid)
        });
        match started {
            Ok(pid) => self.lent = pid,
            Err(error) => {
                drop(self.sender.send(LoopMessage::ProgramExited(Err(format!("it can't be started: {error}")))))
            }
        }
    }

    /// Takes the terminal again. Whoever had it may have been ended by the signal that ends us.
    fn take_again(&mut self) -> Result<(), ScreenError> {
        self.lent = None;
        if let Some((signal, _)) = self.ending {
            return Err(ScreenError::Signal(signal));
        }
        terminal::init()?;
        *self.input = Some(terminal::KeyThread::spawn(self.sender.clone(), LoopMessage::Input)?);
        Ok(())
    }

    /// Handles a signal that came while a program has the terminal. Keys that make signals are meant for that program.
    fn signal_while_lent(&mut self, signal: i32) -> Result<(), ScreenError> {
        use signal_hook::consts::{SIGCONT, SIGINT, SIGQUIT, SIGTSTP};
        match signal {
            SIGINT | SIGQUIT => self.is_read.store(true, Ordering::SeqCst),
            SIGCONT => {}
            // It has stopped too, and the shell waits for both.
            SIGTSTP => signal_hook::low_level::emulate_default_handler(SIGTSTP)?,
            signal => {
                if let Some(pid) = self.lent {
                    let _ = kill_process(pid, Signal::TERM);
                }
                self.ending.get_or_insert((signal, Instant::now()));
            }
        }
        Ok(())
    }

    /// Runs a job on a thread. Its end arrives as a message.
    fn start(&self, job: Job) {
        self.progress.lock().take();
        let (worker, sender, progress) = (Arc::clone(&self.worker), self.sender.clone(), Arc::clone(&self.progress));
        let undone = job.clone();
        let thread = thread::Builder::new().name("aiw-screen".to_owned()).spawn(move || {
            let asks = sender.clone();
            let way = JobHandle {
                report: Arc::new(move |step| *progress.lock() = Some(step)),
                // If the user has left, the question is dropped, which is a no.
                prompt: Arc::new(move |prompt| drop(asks.send(LoopMessage::Prompt(prompt)))),
            };
            let reply = catch_unwind(AssertUnwindSafe(|| worker(job.clone(), &way)))
                .unwrap_or_else(|_| Reply::from_failure(job, "a bug in aiw, shown in full after you quit"));
            // If the user has left, nobody receives it.
            let _ = sender.send(LoopMessage::Reply(reply));
        });
        if let Err(error) = thread {
            let _ = self
                .sender
                .send(LoopMessage::Reply(Reply::from_failure(undone, &format!("no thread for it: {error}"))));
        }
    }
}

/// Waits for the end of a program that has the terminal. What it said when it failed stays until the user has read it.
fn ended(child: &mut Child, is_read: &AtomicBool) -> Result<(), String> {
    let status = child.wait().map_err(|error| error.to_string())?;
    if status.success() {
        return Ok(());
    }
    is_read.store(false, Ordering::SeqCst);
    let _ = writeln!(io::stderr(), "it ended with {status}; press Enter to go back");
    let input = io::stdin();
    while !is_read.load(Ordering::SeqCst) {
        let wait = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        match poll(&mut [PollFd::new(&input, PollFlags::IN)], Some(&wait)) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => {
                let _ = input.read_line(&mut String::new());
                break;
            }
            Err(_) => break,
        }
    }
    Err(format!("it ended with {status}"))
}
