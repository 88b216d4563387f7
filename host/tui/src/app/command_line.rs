//! The command line: pages, actions and columns by their names, which Tab completes.

use crossterm::event::KeyCode;

use super::keys::Command;

/// What a line of it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Page(usize),
    Command(Command),
    /// Order by the column with this name.
    Sort(&'static str),
}

/// A name that it knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamedTarget {
    pub(super) name: String,
    pub(super) target: Target,
}

/// The state of the command line.
#[derive(Debug, Default)]
pub(super) struct CommandLine {
    pub(super) typed: String,
    targets: Vec<NamedTarget>,
    /// The selected one of those that the typed letters begin, or are part of.
    pub(super) selected: usize,
}

impl CommandLine {
    pub(super) fn new(targets: Vec<NamedTarget>) -> Self {
        Self { targets, ..Self::default() }
    }

    /// Returns the names that have what is typed, those that begin with it first.
    pub(super) fn candidates(&self) -> Vec<&NamedTarget> {
        let typed = self.typed.trim().to_lowercase();
        let (first, rest): (Vec<_>, Vec<_>) =
            self.targets.iter().filter(|one| one.name.contains(&typed)).partition(|one| one.name.starts_with(&typed));
        let is_whole = |one: &&NamedTarget| one.name != typed;
        let mut all = [first, rest].concat();
        all.sort_by_key(is_whole);
        all
    }

    /// Returns what is to be done.
    pub(super) fn target(&self) -> Option<Target> {
        self.candidates().get(self.selected).map(|one| one.target.clone())
    }

    /// Puts the selected name in place of what is typed; if that is done, the next one.
    pub(super) fn complete(&mut self) {
        let names: Vec<String> = self.candidates().iter().map(|one| one.name.clone()).collect();
        if let Some(name) = names.get(self.selected) {
            self.typed.clone_from(name);
            self.selected = 0;
        }
    }

    pub(super) fn select(&mut self, code: KeyCode) {
        let last = self.candidates().len().saturating_sub(1);
        self.selected = match code {
            KeyCode::Up => self.selected.saturating_sub(1),
            _ => (self.selected + 1).min(last),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_with_the_letters_goes_first_and_tab_completes_it() {
        let named = |(at, name): (usize, &str)| NamedTarget { name: name.to_owned(), target: Target::Page(at) };
        let mut line = CommandLine::new(
            ["all logs", "log", "providers", "processes", "log in"].into_iter().enumerate().map(named).collect(),
        );
        line.typed = "log".to_owned();
        let names = |line: &CommandLine| line.candidates().iter().map(|one| one.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&line), ["log", "log in", "all logs"]);
        line.select(KeyCode::Down);
        line.complete();
        assert_eq!((line.typed.as_str(), line.target()), ("log in", Some(Target::Page(4))));
        line.typed = "pro".to_owned();
        line.select(KeyCode::Down);
        assert_eq!(line.target(), Some(Target::Page(3)));
        line.typed = "nothing like it".to_owned();
        assert_eq!(line.target(), None);
    }
}
