//! A page: what a screen lists, shows of one thing, and does with it. How it is drawn and moved in is the same for all.

use std::path::PathBuf;

use aiw_app::feed::Topic;

use crate::context::AppContext;
use crate::paint::{Fact, TextStyle};
use crate::prompter::TuiPrompter;
use crate::screen::TerminalProgram;
use crate::text::{clean, clean_output, strip_ansi};

/// The most characters of a cell.
const MAX_CELL_LEN: usize = 300;

/// The most characters of a line of output.
const MAX_LINE_LEN: usize = 4_000;

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
}

impl Row {
    pub(crate) fn new(
        id: impl Into<String>,
        tone: TextStyle,
        keys: &'static str,
        cells: impl IntoIterator<Item = String>,
    ) -> Self {
        let cells = cells.into_iter().map(|cell| clean(&strip_ansi(&cell), MAX_CELL_LEN)).collect();
        Self { id: id.into(), cells, tone, action_keys: keys }
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
    /// Its output, or a longer text, clean.
    pub(crate) lines: Vec<String>,
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
    pub(crate) fn with_lines<T: AsRef<str>>(mut self, lines: impl IntoIterator<Item = T>) -> Self {
        self.lines = lines.into_iter().map(|line| clean_output(line.as_ref(), MAX_LINE_LEN)).collect();
        self
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
}

impl Action {
    pub(crate) const fn new(key: char, name: &'static str, help: &'static str) -> Self {
        Self { key, name, help, confirmation_prompt: None, needs_selection: true }
    }

    pub(crate) const fn global(key: char, name: &'static str, help: &'static str) -> Self {
        Self { needs_selection: false, ..Self::new(key, name, help) }
    }

    #[must_use]
    pub(crate) const fn with_confirmation(self, question: &'static str) -> Self {
        Self { confirmation_prompt: Some(question), ..self }
    }
}

/// The result of an action.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// A line for the user.
    Message(String),
    /// A text for the user, in place of the details.
    Details(Detail),
    /// A program gets the terminal.
    Run(TerminalProgram),
    /// Another page is opened, by its word, with this thing selected if there is one.
    Open(&'static str, Option<String>),
}

/// A page in words.
#[derive(Debug)]
pub(crate) struct PageDescriptor {
    pub(crate) title: &'static str,
    /// Three letters of the title, which no other page has.
    pub(crate) short_title: &'static str,
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
    /// Whether the query is part of what is read, and does not filter what was read.
    pub(crate) has_backend_search: bool,
}

/// The browser of plugins in words. It is drawn by itself.
pub(crate) static PLUGINS: PageDescriptor = PageDescriptor {
    title: "Plugins",
    short_title: "Plu",
    slug: "plugins",
    cli_command: "aiw plugin search",
    topics: &[],
    columns: &[],
    empty_message: "",
    actions: &[],
    has_backend_search: false,
};

/// A page of the application.
pub(crate) trait Page: Send + Sync {
    /// Returns it in words.
    fn descriptor(&self) -> &'static PageDescriptor;

    /// Reads the list. `query` is what the user searches for, where the page is searched.
    fn list(&self, ground: &AppContext, query: &str) -> Result<ListContent, String>;

    /// Reads what is known of one thing.
    fn detail(&self, ground: &AppContext, id: &str) -> Detail;

    /// Does what a key says, with the id of the selected thing, or none.
    fn run_action(
        &self,
        _ground: &AppContext,
        _key: char,
        _id: &str,
        _person: &TuiPrompter,
    ) -> Result<Outcome, String> {
        Err("nothing to do".to_owned())
    }
}
