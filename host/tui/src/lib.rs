//! `aiw plugin browse` as a view: a list, details, a search as one types, and work with progress.
//!
//! It knows keys, cells and the terminal. What a plugin is, where it comes from and how it is
//! installed is behind [`Backend`]; not for prompts, tables or anything printed line by line.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! # fn go(markets: Arc<dyn aiw_tui::Backend>) -> Result<(), aiw_tui::BrowseError> {
//! let options = aiw_tui::Options { color: std::env::var_os("NO_COLOR").is_none(), ..Default::default() };
//! aiw_tui::browse(markets, options)
//! # }
//! ```

mod app;
mod entry;
mod search;
mod terminal;
mod text;
mod view;

#[doc(hidden)]
pub mod bench;
#[cfg(test)]
mod tests;

use std::io;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossterm::event::Event;

use app::{App, Effect, Job, Loaded, Reply};

/// How often a frame shows that work goes on.
const TICK: Duration = Duration::from_millis(80);
/// How often an idle browser looks whether its terminal is still there.
const IDLE: Duration = Duration::from_secs(2);

/// One plugin in the list. Nothing of it needs to be fit to print: the view sees to that.
#[derive(Debug, Clone, Default)]
pub struct Plugin {
    /// `name@market`: what [`Backend`] is asked with.
    pub id: String,
    /// Its name in the market.
    pub name: String,
    /// The market that lists it.
    pub market: String,
    /// As the market or the plugin says.
    pub version: Option<String>,
    /// What it is for, in its author's words.
    pub description: String,
    /// As the market sorts it.
    pub category: Option<String>,
    /// What it brings: `mcp`, `skills`, `commands`, `agents`, `hooks`, `lsp`. `None` when nobody
    /// has looked yet.
    pub kinds: Option<Vec<String>>,
    /// Where its files come from.
    pub source: String,
    /// Its page.
    pub homepage: Option<String>,
    /// The MCP servers it brings, as far as known.
    pub servers: Vec<Server>,
    /// Anything else worth a line.
    pub notes: Vec<String>,
    /// Why it cannot be installed.
    pub broken: Option<String>,
    /// Whether it is installed.
    pub installed: bool,
    /// Whether its servers are in use; means nothing unless installed.
    pub enabled: bool,
}

/// An MCP server of a plugin.
#[derive(Debug, Clone, Default)]
pub struct Server {
    /// Its name in `mcpServers`.
    pub name: String,
    /// `stdio`, `http`, `sse`.
    pub transport: String,
    /// The command with its arguments, or the URL.
    pub target: String,
}

/// What an install would do, for the user to agree to.
#[derive(Debug, Clone, Default)]
pub struct Preview {
    /// What it would add and run.
    pub lines: Vec<String>,
    /// Variables that are missing, clashes; shown first.
    pub warnings: Vec<String>,
}

/// A step of work under way.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// The step, in a few words.
    pub what: String,
    /// How much of it is done, in any unit.
    pub done: u64,
    /// Of how much, where that is known.
    pub total: Option<u64>,
}

/// What the view asks of the rooms below. Every call may block: it is made on a thread of its
/// own, one at a time. An error is a sentence for the status line.
///
/// Where the user insists on leaving, or a signal comes, [`browse`] returns while a call is under
/// way; the process is expected to end then, so a change must survive being cut off.
pub trait Backend: Send + Sync {
    /// Every plugin of every market. Called at the start and after each change.
    fn plugins(&self) -> Result<Vec<Plugin>, String>;
    /// What an install would add; an error where it cannot be done.
    fn preview(&self, id: &str, progress: &dyn Fn(Progress)) -> Result<Preview, String>;
    /// Installs what the preview showed; one line is said at the end.
    fn install(&self, id: &str, progress: &dyn Fn(Progress)) -> Result<String, String>;
    /// Removes it; one line is said at the end.
    fn remove(&self, id: &str, progress: &dyn Fn(Progress)) -> Result<String, String>;
    /// Enables or disables it; one line is said at the end.
    fn set_enabled(&self, id: &str, enabled: bool) -> Result<String, String>;
}

/// How to browse.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Whether to use colour; without it bold, inversion and underlines are left.
    pub color: bool,
    /// What to search for at the start.
    pub query: String,
    /// Whether to show plugins without MCP servers.
    pub all: bool,
}

/// Why browsing ended otherwise than by leaving.
#[derive(Debug, thiserror::Error)]
pub enum BrowseError {
    /// The terminal cannot be used, or has gone.
    #[error("the terminal cannot be used: {source}")]
    Terminal {
        /// What it said.
        #[from]
        source: io::Error,
    },
    /// A signal asked the process to end (2 also where Ctrl-C abandoned work under way). The
    /// terminal has been given back; ending with 128 + the number is left to the caller.
    #[error("stopped by signal {0}")]
    Signal(i32),
}

/// Lets the user browse, on the terminal that standard output must be, until they leave.
///
/// The terminal is given back as it was on every way out, panics included. Signals that were
/// caught stay caught (and unheard) after it returns: they cannot be given back, so this should be
/// the last thing that a process does.
///
/// # Errors
///
/// [`BrowseError::Signal`] after SIGTERM, SIGHUP, SIGINT or SIGQUIT; [`BrowseError::Terminal`]
/// where the terminal fails.
pub fn browse(backend: Arc<dyn Backend>, options: Options) -> Result<(), BrowseError> {
    let (sender, messages) = channel();
    // Signals first: one that comes in the middle of taking the terminal is heard after it.
    #[cfg(unix)]
    let signals = terminal::Signals::hear(sender.clone(), Message::Signal)?;
    let hook = terminal::PanicHook::set();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        terminal::take()?;
        let input = terminal::Input::read(sender.clone(), Message::Input)?;
        let outcome = catch_unwind(AssertUnwindSafe(|| run(backend, options, &sender, &messages)));
        // Before the reader is stopped: a terminal that hung up may hold it for a while.
        terminal::give_back();
        input.stop();
        outcome.unwrap_or_else(|panic| resume_unwind(panic))
    }));
    terminal::give_back();
    hook.unset();
    #[cfg(unix)]
    signals.stop();
    outcome.unwrap_or_else(|panic| resume_unwind(panic))
}

/// What the loop wakes up for.
enum Message {
    Input(io::Result<Event>),
    #[cfg(unix)]
    Signal(i32),
    Reply(Reply),
}

/// How the loop goes on after a message.
enum Next {
    Nothing,
    Draw,
    /// Draw every cell: someone else has written on the screen.
    Repaint,
    Leave,
}

/// What the loop and its work share.
struct Desk {
    backend: Arc<dyn Backend>,
    sender: Sender<Message>,
    /// The newest step; the ones before it need not be seen.
    progress: Arc<Mutex<Option<Progress>>>,
}

fn run(
    backend: Arc<dyn Backend>,
    options: Options,
    sender: &Sender<Message>,
    messages: &Receiver<Message>,
) -> Result<(), BrowseError> {
    let desk = Desk { backend, sender: sender.clone(), progress: Arc::default() };
    // Never dropped: ratatui's drop says on standard error that it could not show the cursor, and
    // panics where that has hung up too. The cursor is `give_back`'s business.
    let mut screen = ManuallyDrop::new(terminal::screen()?);
    let (mut app, first) = App::new(options);
    desk.start(first);
    let mut draw = true;
    let mut ticked = Instant::now();
    loop {
        if draw {
            screen.draw(|frame| view::draw(frame, &mut app))?;
            draw = false;
        }
        let wait = if app.work.is_some() { TICK.saturating_sub(ticked.elapsed()) } else { IDLE };
        let first = match messages.recv_timeout(wait) {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        if first.is_none() && app.work.is_none() && !terminal::is_there() {
            return Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
        }
        // Everything that has come makes one frame: keys may repeat faster than it is drawn.
        for message in first.into_iter().chain(messages.try_iter()) {
            match desk.handle(&mut app, message)? {
                Next::Nothing => {}
                Next::Draw => draw = true,
                Next::Repaint => {
                    terminal::repaint(&mut screen)?;
                    draw = true;
                }
                Next::Leave => return Ok(()),
            }
        }
        if app.work.is_some() && ticked.elapsed() >= TICK {
            app.tick(desk.progress.lock().unwrap_or_else(PoisonError::into_inner).take());
            ticked = Instant::now();
            draw = true;
        }
    }
}

impl Desk {
    fn handle(&self, app: &mut App, message: Message) -> Result<Next, BrowseError> {
        let effect = match message {
            Message::Input(Err(error)) => return Err(error.into()),
            Message::Input(Ok(Event::Key(key))) => app.key(key),
            Message::Input(Ok(Event::Paste(text))) => {
                app.paste(&text);
                None
            }
            Message::Input(Ok(Event::Resize(..))) => None,
            Message::Input(Ok(_)) => return Ok(Next::Nothing),
            #[cfg(unix)]
            Message::Signal(signal) => match terminal::Asks::of(signal) {
                terminal::Asks::Leave => return Err(BrowseError::Signal(signal)),
                terminal::Asks::Stop => Some(Effect::Suspend),
                terminal::Asks::Continue => {
                    terminal::take_again()?;
                    return Ok(Next::Repaint);
                }
            },
            Message::Reply(reply) => app.reply(reply),
        };
        match effect {
            None => {}
            Some(Effect::Start(job)) => self.start(job),
            Some(Effect::Quit) => return Ok(Next::Leave),
            Some(Effect::Abandon) => return Err(BrowseError::Signal(2)),
            #[cfg(unix)]
            Some(Effect::Suspend) => {
                terminal::suspend()?;
                return Ok(Next::Repaint);
            }
            #[cfg(not(unix))]
            Some(Effect::Suspend) => {}
        }
        Ok(Next::Draw)
    }

    /// Gives a job to a thread; its end comes back as a message.
    fn start(&self, job: Job) {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (backend, sender, progress) = (Arc::clone(&self.backend), self.sender.clone(), Arc::clone(&self.progress));
        let undone = job.clone();
        let thread = thread::Builder::new().name("browse-work".to_owned()).spawn(move || {
            let report = |step: Progress| *progress.lock().unwrap_or_else(PoisonError::into_inner) = Some(step);
            let reply = catch_unwind(AssertUnwindSafe(|| perform(&*backend, job.clone(), &report)))
                .unwrap_or_else(|_| failed(job, "a defect of aiw, said in full after leaving"));
            // Nobody listens any more: the user has left.
            let _ = sender.send(Message::Reply(reply));
        });
        if let Err(error) = thread {
            let _ = self.sender.send(Message::Reply(failed(undone, &format!("no thread for it: {error}"))));
        }
    }
}

fn perform(backend: &dyn Backend, job: Job, report: &dyn Fn(Progress)) -> Reply {
    match job {
        Job::Load => Reply::Loaded(backend.plugins().map(|plugins| Box::new(Loaded::new(plugins)))),
        Job::Preview(id) => {
            let preview = backend.preview(&id, report);
            Reply::Previewed(id, preview)
        }
        Job::Install(id) => Reply::Done(backend.install(&id, report)),
        Job::Remove(id) => Reply::Done(backend.remove(&id, report)),
        Job::Enable(id, enabled) => Reply::Done(backend.set_enabled(&id, enabled)),
    }
}

fn failed(job: Job, why: &str) -> Reply {
    match job {
        Job::Load => Reply::Loaded(Err(why.to_owned())),
        Job::Preview(id) => Reply::Previewed(id, Err(why.to_owned())),
        Job::Install(_) | Job::Remove(_) | Job::Enable(..) => Reply::Done(Err(why.to_owned())),
    }
}
