//! The loop behind every screen: keys, signals, time, work on threads, frames.

use std::io;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crossterm::event::Event;
use parking_lot::Mutex;

use crate::screen::{Effect, Screen, ScreenError, StepProgress, Worker};
use crate::terminal;

/// How often a frame shows that work goes on.
const TICK: Duration = Duration::from_millis(80);
/// How often an idle screen checks that its terminal still exists.
const IDLE: Duration = Duration::from_secs(2);

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
pub(crate) fn show<S: Screen>(screen: S) -> Result<(), ScreenError> {
    let (sender, messages) = channel();
    // Signals come first, so that a signal that arrives while the terminal is being taken is handled afterwards.
    let signals = terminal::Signals::hear(sender.clone(), Message::Signal)?;
    let hook = terminal::PanicHook::set();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        terminal::take()?;
        let input = terminal::Input::read(sender.clone(), Message::Input)?;
        let outcome = catch_unwind(AssertUnwindSafe(|| run(screen, &sender, &messages)));
        // Before the reader is stopped, because a terminal that hung up may block it for a while.
        terminal::give_back();
        input.stop();
        outcome.unwrap_or_else(|panic| resume_unwind(panic))
    }));
    terminal::give_back();
    hook.unset();
    signals.stop();
    outcome.unwrap_or_else(|panic| resume_unwind(panic))
}

/// An event that wakes up the loop.
enum Message<R> {
    Input(io::Result<Event>),
    Signal(i32),
    Reply(R),
}

/// How the loop continues after a message.
enum Next {
    Nothing,
    Draw,
    /// Draw every cell, because another program has written on the screen.
    Repaint,
    Leave,
}

/// The state that the loop and its work share.
struct Desk<S: Screen> {
    worker: Worker<S::Job, S::Reply>,
    sender: Sender<Message<S::Reply>>,
    /// The latest step. Earlier steps need not be shown.
    progress: Arc<Mutex<Option<StepProgress>>>,
}

fn run<S: Screen>(
    mut screen: S,
    sender: &Sender<Message<S::Reply>>,
    messages: &Receiver<Message<S::Reply>>,
) -> Result<(), ScreenError> {
    let desk = Desk::<S> { worker: screen.worker(), sender: sender.clone(), progress: Arc::default() };
    // Never dropped: ratatui's drop reports on standard error that it could not show the cursor, and panics if
    // standard error has hung up too. `give_back` takes care of the cursor.
    let mut terminal = ManuallyDrop::new(terminal::screen()?);
    if let Some(first) = screen.begin() {
        desk.start(first);
    }
    let mut draw = true;
    let mut ticked = Instant::now();
    loop {
        if draw {
            terminal.draw(|frame| screen.draw(frame))?;
            draw = false;
        }
        let wait = if screen.is_working() { TICK.saturating_sub(ticked.elapsed()) } else { IDLE };
        let first = match messages.recv_timeout(wait) {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        if first.is_none() && !screen.is_working() && !terminal::is_there() {
            return Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
        }
        // Everything that has arrived goes into one frame, because keys may repeat faster than frames are drawn.
        for message in first.into_iter().chain(messages.try_iter()) {
            match desk.handle(&mut screen, message)? {
                Next::Nothing => {}
                Next::Draw => draw = true,
                Next::Repaint => {
                    terminal::repaint(&mut terminal)?;
                    draw = true;
                }
                Next::Leave => return Ok(()),
            }
        }
        if screen.is_working() && ticked.elapsed() >= TICK {
            screen.tick(desk.progress.lock().take());
            ticked = Instant::now();
            draw = true;
        }
    }
}

impl<S: Screen> Desk<S> {
    fn handle(&self, screen: &mut S, message: Message<S::Reply>) -> Result<Next, ScreenError> {
        let effect = match message {
            Message::Input(Err(error)) => return Err(error.into()),
            Message::Input(Ok(Event::Key(key))) => screen.key(key),
            Message::Input(Ok(Event::Paste(text))) => {
                screen.paste(&text);
                None
            }
            Message::Input(Ok(Event::Resize(..))) => None,
            Message::Input(Ok(_)) => return Ok(Next::Nothing),
            Message::Signal(signal) => match terminal::Asks::of(signal) {
                terminal::Asks::Leave => return Err(ScreenError::Signal(signal)),
                terminal::Asks::Stop => Some(Effect::Suspend),
                terminal::Asks::Continue => {
                    terminal::take_again()?;
                    return Ok(Next::Repaint);
                }
            },
            Message::Reply(reply) => screen.reply(reply),
        };
        match effect {
            None => {}
            Some(Effect::Start(job)) => self.start(job),
            Some(Effect::Quit) => return Ok(Next::Leave),
            Some(Effect::Abandon) => return Err(ScreenError::Signal(2)),
            Some(Effect::Suspend) => {
                terminal::suspend()?;
                return Ok(Next::Repaint);
            }
        }
        Ok(Next::Draw)
    }

    /// Runs a job on a thread. Its end arrives as a message.
    fn start(&self, job: S::Job) {
        self.progress.lock().take();
        let (worker, sender, progress) = (Arc::clone(&self.worker), self.sender.clone(), Arc::clone(&self.progress));
        let undone = job.clone();
        let thread = thread::Builder::new().name("aiw-screen".to_owned()).spawn(move || {
            let report = |step: StepProgress| *progress.lock() = Some(step);
            let reply = catch_unwind(AssertUnwindSafe(|| worker(job.clone(), &report)))
                .unwrap_or_else(|_| S::failed(job, "a bug in aiw, shown in full after you quit"));
            // If the user has left, nobody receives it.
            let _ = sender.send(Message::Reply(reply));
        });
        if let Err(error) = thread {
            let _ = self.sender.send(Message::Reply(S::failed(undone, &format!("no thread for it: {error}"))));
        }
    }
}
