//! A page: what a screen lists, shows of one thing, and does with it. How it is drawn and moved in is the same for all.

use std::path::PathBuf;
use std::sync::Arc;

use aiw_app::feed::Topic;
use parking_lot::Mutex;

use crate::output::OutputLine;
use crate::paint::{Fact, TextStyle};
use crate::prompter::TuiPrompter;
use crate::screen::TerminalProgram;
use crate::text::{clean, strip_ansi};

/// The most characters of a cell.
const MAX_CELL_LEN: usize = 300;

/// A column of a list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    /// Whether it is left out where there is no room for all.
    pub(crate) is_optional: bool,
    /// Whether it has the colour of the row.
    pub(crate) is_state: bool,
}

impl Column {
    pub(crate) const fn new(name: &'static str) -> Self {
        Self { name, is_optional: false, is_state: false }
    }

    pub(crate) const fn state(name: &'static str) -> Self {
        Self { is_state: true, ..Self::new(name) }
    }

    pub(crate) const fn optional(name: &'static str) -> Self {
        Self { is_optional: true, ..Self::new(name) }
    }
}

/// A property of rows that narrows a list: its key shows the rows of each of its values in turn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facet {
    pub(crate) key: char,
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
}

/// The rows that a list leaves out until a key shows them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HiddenRows {
    pub(crate) key: char,
    pub(crate) help: &'static str,
    /// What the other rows have in common.
    pub(crate) shown: &'static str,
}

/// A thing in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// Its name for the verbs. It is never shown.
    pub(crate) id: String,
    /// Its cells, clean.
    pub(crate) cells: Vec<String>,
    pub(crate) tone: TextStyle,
    /// The keys of the actions that make sense for it.
    pub(crate) action_keys: &'static str,
    /// Its values of each facet of its page.
    pub(crate) facets: Vec<Vec<String>>,
    /// What a search covers besides its cells.
    pub(crate) search_text: String,
    /// Whether it is left out at first.
    pub(crate) is_hidden: bool,
}

impl Row {
    pub(crate) fn new(
        id: impl Into<String>,
        tone: TextStyle,
        keys: &'static str,
        cells: impl IntoIterator<Item = String>,
    ) -> Self {
        let cells = cells.into_iter().map(|cell| clean(&strip_ansi(&cell), MAX_CELL_LEN)).collect();
        Self {
            id: id.into(),
            cells,
            tone,
            action_keys: keys,
            facets: Vec::new(),
            search_text: String::new(),
            is_hidden: false,
        }
    }

    /// Returns the name that a question has for it.
    pub(crate) fn name(&self) -> &str {
        self.cells.first().map_or("", String::as_str)
    }
}

/// The things of a list, and what stands above them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ListContent {
    pub(crate) rows: Vec<Row>,
    /// Notes about the list, a line each.
    pub(crate) notes: Vec<String>,
    /// The keys of the actions on all that have nothing to act on.
    pub(crate) disabled_keys: String,
}

impl ListContent {
    pub(crate) fn new(rows: Vec<Row>, notes: impl IntoIterator<Item = String>) -> Self {
        Self {
            rows,
            notes: notes.into_iter().map(|note| clean(&note, MAX_CELL_LEN)).collect(),
            disabled_keys: String::new(),
        }
    }

    /// Takes an action on all away as long as it has nothing to act on.
    #[must_use]
    pub(crate) fn disable_key_if(mut self, key: char, is_idle: bool) -> Self {
        self.disabled_keys.extend(is_idle.then_some(key));
        self
    }
}

/// The facts about one thing, and its lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Detail {
    pub(crate) facts: Vec<Fact>,
    /// Its output, or a longer text.
    pub(crate) lines: Vec<OutputLine>,
    /// The directory whose changes are new lines. Then the last lines are shown, else the first.
    pub(crate) log_dir: Option<PathBuf>,
}

impl Detail {
    /// The most lines that are kept.
    pub(crate) const MAX_LINES: usize = 500;

    pub(crate) fn new(facts: Vec<Fact>) -> Self {
        Self { facts, ..Self::default() }
    }

    /// Puts lines from outside below the facts.
    #[must_use]
    pub(crate) fn with_lines<T: AsRef<str>>(self, lines: impl IntoIterator<Item = T>) -> Self {
        Self { lines: lines.into_iter().map(OutputLine::plain).collect(), ..self }
    }

    /// Returns the detail of a thing that can't be looked at.
    pub(crate) fn from_error(why: impl AsRef<str>) -> Self {
        Self::new(vec![Fact::new("", why).with_tone(TextStyle::Bad)])
    }
}

/// An action of a page, on a key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Action {
    pub(crate) key: char,
    /// A word or two.
    pub(crate) name: &'static str,
    /// A longer text for the help.
    pub(crate) help: &'static str,
    /// The question before it, with `{}` for the name of the thing: for what destroys.
    pub(crate) confirmation_prompt: Option<&'static str>,
    /// Whether it acts on one thing, and not on all.
    pub(crate) needs_selection: bool,
    /// Whether it acts on the selected row alone, however many are marked.
    pub(crate) is_single: bool,
}

impl Action {
    pub(crate) const fn new(key: char, name: &'static str, help: &'static str) -> Self {
        Self { key, name, help, confirmation_prompt: None, needs_selection: true, is_single: false }
    }

    pub(crate) const fn global(key: char, name: &'static str, help: &'static str) -> Self {
        Self { needs_selection: false, ..Self::new(key, name, help) }
    }

    /// Returns an action that has the terminal, the details or another page for its result.
    pub(crate) const fn single(key: char, name: &'static str, help: &'static str) -> Self {
        Self { is_single: true, ..Self::new(key, name, help) }
    }

    #[must_use]
    pub(crate) const fn with_confirmation(self, question: &'static str) -> Self {
        Self { confirmation_prompt: Some(question), ..self }
    }
}

/// New lines of a log, and what is known of it by then.
#[derive(Debug, Default)]
pub(crate) struct LogUpdate {
    /// The lines, oldest first.
    pub(crate) lines: Vec<OutputLine>,
    /// The names of the programs, by the sources of their lines; none where there is one program.
    pub(crate) names: Vec<String>,
    /// The directories whose changes are new lines.
    pub(crate) directories: Vec<PathBuf>,
}

/// Reads logs as they are written.
pub(crate) trait LogReader: Send {
    /// Reads the lines since the last call. `has_changed` says that other programs may have started.
    fn read(&mut self, has_changed: bool) -> Result<LogUpdate, String>;
}

/// A log that is open, for jobs.
#[derive(Clone)]
pub(crate) struct LogHandle(pub(crate) Arc<Mutex<dyn LogReader>>);

impl LogHandle {
    pub(crate) fn new(reader: impl LogReader + 'static) -> Self {
        Self(Arc::new(Mutex::new(reader)))
    }
}

impl PartialEq for LogHandle {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for LogHandle {}

impl std::fmt::Debug for LogHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LogHandle")
    }
}

/// The result of an action.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// A line for the user.
    Message(String),
    /// A text for the user, in place of the details.
    Details(Detail),
    /// A log on the whole screen, with its title.
    Log(String, LogHandle),
    /// A program gets the terminal.
    Run(TerminalProgram),
    /// Another page is opened, by its word, with this thing selected if there is one.
    Open(&'static str, Option<String>),
}

/// How words narrow a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Search {
    /// Rows stay that have all words.
    Filter,
    /// Rows stay that are like the words, the most alike first.
    Fuzzy,
    /// The list is read anew with the words.
    Backend,
}

/// A page in words.
#[derive(Debug)]
pub(crate) struct PageDescriptor {
    pub(crate) title: &'static str,
    /// The word that opens it: `aiw tui WORD`.
    pub(crate) slug: &'static str,
    /// The command that prints it.
    pub(crate) cli_command: &'static str,
    /// The changes after which it is read again.
    pub(crate) topics: &'static [Topic],
    /// The columns of its list.
    pub(crate) columns: &'static [Column],
    /// The sentence in place of an empty list.
    pub(crate) empty_message: &'static str,
    /// The actions, the most important first.
    pub(crate) actions: &'static [Action],
    pub(crate) search: Search,
    pub(crate) facets: &'static [Facet],
    pub(crate) hidden_rows: Option<HiddenRows>,
    /// Whether rows that have failed go first.
    pub(crate) has_failed_first: bool,
}

impl PageDescriptor {
    /// A page without anything, for the rest of another.
    pub(crate) const EMPTY: Self = Self {
        title: "",
        slug: "",
        cli_command: "",
        topics: &[],
        columns: &[],
        empty_message: "",
        actions: &[],
        search: Search::Filter,
        facets: &[],
        hidden_rows: None,
        has_failed_first: true,
    };
}

/// A page of the application.
pub(crate) trait Page: Send + Sync {
    /// Returns it in words.
    fn descriptor(&self) -> &'static PageDescriptor;

    /// Reads the list. `query` is what the user searches for, where the page is searched.
    fn list(&self, query: &str) -> Result<ListContent, String>;

    /// Reads what is known of one thing.
    fn detail(&self, id: &str) -> Detail;

    /// Does what a key says, with the id of a thing, or none.
    fn run_action(&self, _key: char, _id: &str, _person: &TuiPrompter) -> Result<Outcome, String> {
        Err("nothing to do".to_owned())
    }

    /// Does what a key says with several things, one after the other. What can't be done with one stops no other.
    fn run_action_on(&self, key: char, ids: &[String], person: &TuiPrompter) -> Result<Outcome, String> {
        let [first, rest @ ..] = ids else { return self.run_action(key, "", person) };
        let first = self.run_action(key, first, person);
        if rest.is_empty() {
            return first;
        }
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        for outcome in [first].into_iter().chain(rest.iter().map(|id| self.run_action(key, id, person))) {
            match outcome {
                Ok(Outcome::Message(said)) => done.push(said),
                Ok(_) => {}
                Err(why) => failed.push(why),
            }
        }
        if failed.is_empty() {
            return Ok(Outcome::Message(done.join("; ")));
        }
        Err([failed, done].concat().join("; "))
    }
}
