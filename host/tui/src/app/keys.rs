//! The keys: a table for each place, which finds what a key does and which the help shows.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    // Everywhere.
    Back,
    Suspend,
    Leave,
    // On a page.
    Quit,
    OpenNumbered,
    NextPage,
    PreviousPage,
    Prompt,
    Find,
    Help,
    Refresh,
    ToggleMouse,
    Move,
    Inside,
    Mark,
    MarkAll,
    Sort,
    Reverse,
    NextMatch,
    PreviousMatch,
    /// An action of the page, or what narrows its list, by its key.
    Act(char),
    // In a log.
    ToggleWrap,
    ToggleTimes,
    ToggleFollow,
    Sideways,
    // Where one row is chosen.
    ScrollText,
    // Where something is typed or asked.
    Accept,
    Edit,
    Complete,
    Yes,
    No,
    Toggle,
}

/// Keys, what they do, and the words for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Binding {
    /// The names of the keys, as they are shown, with a space between them.
    pub(crate) keys: &'static str,
    /// A word or two, by which the command line knows it too.
    pub(crate) name: &'static str,
    /// A longer text for the help.
    pub(crate) help: &'static str,
    pub(crate) command: Command,
    /// Whether the line at the bottom shows its first key.
    pub(crate) is_hint: bool,
}

const fn key(keys: &'static str, name: &'static str, help: &'static str, command: Command) -> Binding {
    Binding { keys, name, help, command, is_hint: false }
}

const fn hint(keys: &'static str, name: &'static str, help: &'static str, command: Command) -> Binding {
    Binding { is_hint: true, ..key(keys, name, help, command) }
}

/// The keys of all pages.
pub(crate) static PAGE: [Binding; 12] = [
    key("? F1", "help", "this help", Command::Help),
    hint("/", "find", "show what has these words, or find them in the text; Esc ends it", Command::Find),
    key(":", "command", "a page, an action or a column by its name; Tab completes it", Command::Prompt),
    key("0-9", "", "the screen with this number", Command::OpenNumbered),
    key("Tab", "next", "the next screen", Command::NextPage),
    key("Shift-Tab", "previous", "the screen before", Command::PreviousPage),
    key("F5 Ctrl-R Ctrl-L", "refresh", "read again; what changes is read by itself", Command::Refresh),
    key("M", "mouse", "the mouse: to select here, or to select text", Command::ToggleMouse),
    key("Esc", "", "back; on a page that another one opened, to that one", Command::Back),
    key("Ctrl-Z", "suspend", "to the background", Command::Suspend),
    hint("q", "quit", "leave", Command::Quit),
    key("Ctrl-C", "", "leave; where something is asked or typed, leave that", Command::Leave),
];

/// The keys of a list.
pub(crate) static LIST: [Binding; 8] = [
    hint("Enter → l", "details", "to the details, which the arrows scroll then", Command::Inside),
    key("↑ ↓ j k", "", "move", Command::Move),
    key("PgUp PgDn", "", "move a page", Command::Move),
    key("Home End g G", "", "first, last", Command::Move),
    key("Space", "mark", "mark the row: actions act on all marked rows", Command::Mark),
    key("*", "mark all", "mark all rows that are shown, or none", Command::MarkAll),
    key("S", "sort", "order by the next column, then as it was", Command::Sort),
    key("R", "reverse", "turn the order round", Command::Reverse),
];

/// The keys of the text beside a list.
pub(crate) static TEXT: [Binding; 6] = [
    hint("↑ ↓ j k", "scroll", "scroll", Command::Move),
    key("PgUp PgDn Space", "", "scroll a page", Command::Move),
    key("Home End g G", "", "first, last", Command::Move),
    key("n", "next match", "the next place of the words that were found", Command::NextMatch),
    key("N", "match before", "the place before", Command::PreviousMatch),
    hint("Esc ← h", "back", "back to the list", Command::Back),
];

/// The keys of a log on the whole screen.
pub(crate) static LOG: [Binding; 10] = [
    hint("↑ ↓ j k", "scroll", "scroll; at the end, new lines come in by themselves", Command::Move),
    key("PgUp PgDn Space", "", "scroll a page", Command::Move),
    key("Home End g G", "", "first, last", Command::Move),
    hint("f", "follow", "follow the end, or stop there", Command::ToggleFollow),
    hint("w", "wrap", "wrap long lines, or cut them", Command::ToggleWrap),
    hint("t", "times", "the time of each line (UTC)", Command::ToggleTimes),
    key("← → h l", "", "sideways, where lines are cut", Command::Sideways),
    key("n", "next match", "the next place of the words that were found", Command::NextMatch),
    key("N", "match before", "the place before", Command::PreviousMatch),
    hint("Esc", "back", "back to the list", Command::Back),
];

/// The keys of the help.
pub(crate) static HELP: [Binding; 3] = [
    hint("↑ ↓ j k", "scroll", "scroll", Command::Move),
    key("PgUp PgDn Space", "", "scroll a page", Command::Move),
    hint("Esc Ctrl-C", "back", "back", Command::Back),
];

/// The keys while words are typed that narrow a list or are found in a text.
pub(crate) static FIND: [Binding; 4] = [
    hint("Enter Tab", "keep", "keep them", Command::Accept),
    hint("Esc Ctrl-C", "clear", "end it", Command::Back),
    hint("↑ ↓ PgUp PgDn Ctrl-N Ctrl-P", "move", "move", Command::Move),
    key("Char Backspace Ctrl-H Ctrl-U Ctrl-W", "", "", Command::Edit),
];

/// The keys of the command line.
pub(crate) static COMMAND_LINE: [Binding; 5] = [
    hint("Enter", "do it", "", Command::Accept),
    hint("Tab", "complete", "", Command::Complete),
    key("↑ ↓", "", "", Command::Move),
    hint("Esc Ctrl-C", "back", "", Command::Back),
    key("Char Backspace Ctrl-H Ctrl-U Ctrl-W", "", "", Command::Edit),
];

/// The keys where one of several things is chosen by a program that aiw is part of.
pub(crate) static PICK: [Binding; 6] = [
    key("↑ ↓ Home End", "move", "", Command::Move),
    key("PgUp PgDn", "scroll the preview", "", Command::ScrollText),
    key("Enter", "choose", "", Command::Accept),
    key("Esc", "leave", "", Command::Back),
    key("Ctrl-C", "", "", Command::Leave),
    key("Char Backspace Ctrl-H Ctrl-U Ctrl-W", "", "", Command::Edit),
];

/// The keys of a question that takes a yes or a no.
pub(crate) static CONFIRM: [Binding; 7] = [
    key("← → Tab Shift-Tab h l", "choose", "the other answer", Command::Toggle),
    key("Enter", "", "the answer that is marked: no, until you move", Command::Accept),
    key("y Y", "yes", "yes, once all of the question was shown", Command::Yes),
    key("n N q", "no", "no", Command::No),
    key("Esc Ctrl-C", "no", "no", Command::Back),
    key("↑ ↓ j k", "scroll", "scroll", Command::Move),
    key("PgUp PgDn Space Home End g G", "", "scroll further", Command::Move),
];

/// The keys of a question that takes one of several answers, or some of them.
pub(crate) static SELECT: [Binding; 5] = [
    key("↑ ↓ PgUp PgDn Home End j k", "move", "move", Command::Move),
    key("Enter", "take it", "the answer that is marked", Command::Accept),
    key("Space", "mark", "mark one of several answers", Command::Toggle),
    key("Esc Ctrl-C", "none", "no answer", Command::Back),
    key("Char Backspace Ctrl-H Ctrl-U Ctrl-W", "", "leave the answers that have these letters", Command::Edit),
];

/// The keys of a question that takes a text.
pub(crate) static INPUT: [Binding; 3] = [
    key("Enter", "next", "", Command::Accept),
    key("Esc Ctrl-C", "stop", "", Command::Back),
    key("Char Backspace Ctrl-H Ctrl-U Ctrl-W", "", "", Command::Edit),
];

impl Binding {
    /// Returns the key that the line at the bottom shows, or the two arrows.
    pub(crate) fn hint_label(&self) -> &'static str {
        match self.keys.split(' ').next().unwrap_or_default() {
            "↑" => "↑↓",
            "←" => "←→",
            first => first,
        }
    }

    fn has(&self, key: KeyEvent) -> bool {
        self.keys.split(' ').any(|name| is_named(name, key))
    }
}

/// Returns what a key does in one of these tables, the first before the others.
pub(crate) fn find(tables: &[&[Binding]], key: KeyEvent) -> Option<Command> {
    tables.iter().flat_map(|table| *table).find(|binding| binding.has(key)).map(|binding| binding.command)
}

/// Whether a key is pressed with Ctrl.
pub(crate) fn has_control(key: KeyEvent) -> bool {
    key.modifiers.contains(KeyModifiers::CONTROL)
}

/// Whether a name, as the tables have it, is that of a key.
fn is_named(name: &str, key: KeyEvent) -> bool {
    let has_control = has_control(key);
    if let Some(letter) = name.strip_prefix("Ctrl-") {
        let KeyCode::Char(c) = key.code else { return false };
        return has_control && letter.chars().eq([c.to_ascii_uppercase()]);
    }
    if has_control || key.modifiers.intersects(KeyModifiers::ALT | KeyModifiers::SUPER | KeyModifiers::META) {
        return false;
    }
    match name {
        "0-9" => matches!(key.code, KeyCode::Char('0'..='9')),
        "Char" => matches!(key.code, KeyCode::Char(_)),
        "Space" => key.code == KeyCode::Char(' '),
        name => match key.code {
            KeyCode::Char(c) => name.chars().eq([c]),
            KeyCode::Up => name == "↑",
            KeyCode::Down => name == "↓",
            KeyCode::Left => name == "←",
            KeyCode::Right => name == "→",
            KeyCode::PageUp => name == "PgUp",
            KeyCode::PageDown => name == "PgDn",
            KeyCode::Home => name == "Home",
            KeyCode::End => name == "End",
            KeyCode::Enter => name == "Enter",
            KeyCode::Esc => name == "Esc",
            KeyCode::Tab => name == "Tab",
            KeyCode::BackTab => name == "Shift-Tab",
            KeyCode::Backspace => name == "Backspace",
            KeyCode::F(n) => name.strip_prefix('F').is_some_and(|number| number.parse() == Ok(n)),
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_one_meaning_in_a_place() {
        let places: [(&str, &[&[Binding]]); 9] = [
            ("list", &[&LIST, &PAGE]),
            ("text", &[&TEXT[..5], &PAGE]),
            ("log", &[&LOG[..9], &PAGE]),
            ("help", &[&HELP]),
            ("find", &[&FIND]),
            ("command line", &[&COMMAND_LINE]),
            ("pick", &[&PICK]),
            ("confirm", &[&CONFIRM]),
            ("input", &[&INPUT]),
        ];
        for (place, tables) in places {
            let names: Vec<&str> = tables.iter().flat_map(|table| *table).flat_map(|one| one.keys.split(' ')).collect();
            let own: std::collections::BTreeSet<&&str> = names.iter().collect();
            assert_eq!(own.len(), names.len(), "{place}: {names:?}");
        }
    }

    #[test]
    fn names_of_keys_are_what_terminals_send() {
        let plain = |code| KeyEvent::new(code, KeyModifiers::NONE);
        let control = |c| KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL);
        assert_eq!(find(&[&LIST, &PAGE], plain(KeyCode::Char('l'))), Some(Command::Inside));
        assert_eq!(find(&[&LIST, &PAGE], control('l')), Some(Command::Refresh));
        assert_eq!(find(&[&LIST, &PAGE], plain(KeyCode::F(5))), Some(Command::Refresh));
        assert_eq!(find(&[&LIST, &PAGE], plain(KeyCode::BackTab)), Some(Command::PreviousPage));
        assert_eq!(find(&[&LIST, &PAGE], plain(KeyCode::Char('7'))), Some(Command::OpenNumbered));
        assert_eq!(find(&[&FIND], plain(KeyCode::Char('7'))), Some(Command::Edit));
        assert_eq!(find(&[&CONFIRM], control('y')), None);
        assert_eq!(find(&[&LIST], KeyEvent::new(KeyCode::Char('j'), KeyModifiers::ALT)), None);
    }
}
