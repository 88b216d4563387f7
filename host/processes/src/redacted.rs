//! Definitions as lists, answers and exports show them: without values that look like secrets.

use aiw_core::{is_path_value, is_secret, is_secret_name, is_secret_value};

use crate::definition::{CommandSpec, Definition, EnvValue};
use crate::probe::{CheckDefinition, ProbeDefinition};

/// Stands where a value is not shown, as in logs.
pub(crate) const REDACTED: &str = "[secret]";

impl Definition {
    /// Returns the definition as it is shown. A question about what is to run shows more.
    #[must_use]
    pub fn redacted(&self) -> Self {
        let mut shown = self.clone();
        shown.run = shown.run.redacted();
        for (name, value) in &mut shown.env {
            if let EnvValue::Literal(text) = value
                && is_secret(name, text)
            {
                *text = REDACTED.to_owned();
            }
        }
        for (name, text) in &mut shown.labels {
            if is_secret(name, text) {
                *text = REDACTED.to_owned();
            }
        }
        for ProbeDefinition { check, .. } in shown.ready.iter_mut().chain(shown.live.iter_mut()) {
            match check {
                CheckDefinition::Exec(words) => *words = shown_words(words),
                CheckDefinition::Http(text) | CheckDefinition::Tcp(text) | CheckDefinition::Line(text)
                    if is_secret_value(text) =>
                {
                    *text = REDACTED.to_owned();
                }
                CheckDefinition::Http(_) | CheckDefinition::Tcp(_) | CheckDefinition::Line(_) => {}
            }
        }
        shown
    }

    /// Returns whether a value is missing: an export stands in its place.
    pub(crate) fn has_redacted_values(&self) -> bool {
        let is_hidden = |text: &String| text.contains(REDACTED);
        let of_probe = |probe: &Option<ProbeDefinition>| match probe.as_ref().map(|probe| &probe.check) {
            Some(CheckDefinition::Exec(words)) => words.iter().any(is_hidden),
            Some(CheckDefinition::Http(text) | CheckDefinition::Tcp(text) | CheckDefinition::Line(text)) => {
                is_hidden(text)
            }
            None => false,
        };
        let of_variable = |value: &EnvValue| matches!(value, EnvValue::Literal(text) if is_hidden(text));
        let of_run = match &self.run {
            CommandSpec::Command(words) => words.iter().any(is_hidden),
            CommandSpec::Shell(line) => is_hidden(line),
        };
        of_run
            || self.env.values().any(of_variable)
            || self.labels.values().any(is_hidden)
            || of_probe(&self.ready)
            || of_probe(&self.live)
    }
}

impl CommandSpec {
    /// Returns the command as it is shown.
    #[must_use]
    pub fn redacted(&self) -> Self {
        match self {
            Self::Command(words) => Self::Command(shown_words(words)),
            Self::Shell(line) => Self::Shell(redact_line(line)),
        }
    }
}

/// Hides the words of a line that look like secrets, and those that an option or a variable says are.
pub(crate) fn redact_line(line: &str) -> String {
    let words: Vec<&str> = line.split_inclusive(char::is_whitespace).collect();
    let blanks = |word: &str| word.len() - word.trim_end().len();
    let shown = shown_words(&words.iter().map(|word| word.trim_end().to_owned()).collect::<Vec<_>>());
    let ends = words.iter().map(|word| &word[word.len() - blanks(word)..]);
    shown.iter().zip(ends).flat_map(|(word, end)| [word.as_str(), end]).collect()
}

/// Hides the words that look like secrets, and those that an option or a variable says are.
fn shown_words(words: &[String]) -> Vec<String> {
    // An option tells what the next word is.
    let mut is_named = false;
    let shown = |word: &String| {
        if word.is_empty() {
            return String::new();
        }
        let was_named = std::mem::take(&mut is_named);
        if let Some((name, value)) = word.split_once('=')
            && !name.contains("://")
        {
            let is_hidden =
                (is_secret_name(name) && !value.is_empty() && !is_path_value(value)) || is_secret_value(value);
            return if is_hidden { format!("{name}={REDACTED}") } else { word.clone() };
        }
        if word.starts_with('-') {
            is_named = is_secret_name(word);
            return word.clone();
        }
        let is_hidden = (was_named && !is_path_value(word)) || is_secret_value(word);
        if is_hidden { REDACTED.to_owned() } else { word.clone() }
    };
    words.iter().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn no_value_that_looks_like_a_secret_is_shown_and_all_others_are() {
        for (words, expected) in [
            ("serve --port 8080 --token hunter2x -v", "serve --port 8080 --token [secret] -v"),
            ("serve --api-key=hunter2x /srv/x", "serve --api-key=[secret] /srv/x"),
            ("env DB_PASSWORD=hunter2x run", "env DB_PASSWORD=[secret] run"),
            ("psql postgres://u:hunter2x@db/x", "psql [secret]"),
            ("psql --url=postgres://u:hunter2x@db/x", "psql --url=[secret]"),
            ("run ghp_hunter2x0123456789abcdef", "run [secret]"),
            ("run --key-file /etc/key.pem --auth", "run --key-file /etc/key.pem --auth"),
            ("run --token --verbose", "run --token --verbose"),
            ("postgres -D data -c max_connections=10", "postgres -D data -c max_connections=10"),
            ("curl https://example.com/a?b=c", "curl https://example.com/a?b=c"),
        ] {
            let split: Vec<String> = words.split(' ').map(str::to_owned).collect();
            assert_eq!(shown_words(&split).join(" "), expected);
            let spread = words.replace(' ', " \t\n") + "  ";
            let CommandSpec::Shell(line) = CommandSpec::Shell(spread).redacted() else { panic!() };
            assert_eq!(line, expected.replace(' ', " \t\n") + "  ");
        }
    }

    #[test]
    fn each_part_of_a_definition_is_looked_at() {
        let secret = "ghp_hunter2x0123456789abcdef";
        let text = format!(
            "process \"p\" {{ command \"x\" \"{secret}\"; env {{ PORT \"1\"; DB_PASSWORD \"hunter2x\"; OTHER \"{secret}\" }}; \
             ready exec=\"check\" \"--token=hunter2x\"; live http=\"http://127.0.0.1:80/?token=hunter2x\"; \
             labels {{ note \"{secret}\"; kind \"web\" }} }}"
        );
        let definition = crate::file::parse(&text).unwrap().processes.remove("p").unwrap();
        assert!(!definition.has_redacted_values());
        let shown = definition.redacted();
        let out = format!("{shown:?}");
        assert!(!out.contains("hunter2x"), "{out}");
        assert!(out.contains("PORT") && out.contains("web"), "{out}");
        assert!(shown.has_redacted_values());
    }

    proptest! {
        #[test]
        fn any_line_is_shown_with_its_blanks(line: String) {
            let CommandSpec::Shell(shown) = CommandSpec::Shell(line.clone()).redacted() else { panic!() };
            let blanks = |text: &str| text.chars().filter(|c| c.is_whitespace()).collect::<String>();
            prop_assert_eq!(blanks(&shown), blanks(&line));
        }
    }
}
