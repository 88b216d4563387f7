//! Variables in the values of other tools' files.
//!
//! Sources: <https://github.com/compose-spec/compose-spec/blob/main/12-interpolation.md>; process-compose replaces
//! `${…}` alone, and `$$` by a dollar.

use std::cell::Cell;
use std::collections::BTreeMap;

use serde_json::Value;

/// The most levels of `${A:-${B}}`.
const MAX_NESTING_DEPTH: usize = 20;

/// How a tool writes variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VariableSyntax {
    /// `$NAME` and `${NAME}`.
    Compose,
    /// `${NAME}`.
    ProcessCompose,
    /// `${NAME}` in a line that a shell reads: it replaces what has no value here.
    ProcessComposeShell,
}

/// Replaces variables in texts, and notes those without a value.
pub(super) struct Interpolation<'a> {
    pub(super) syntax: VariableSyntax,
    pub(super) variables: &'a BTreeMap<String, String>,
    pub(super) missing: Vec<String>,
    /// How many bytes the texts of the file may still become.
    pub(super) remaining_bytes: &'a Cell<usize>,
}

/// The most bytes that the texts of a file become.
pub(super) const MAX_EXPANDED_BYTES: usize = 1 << 20;

impl Interpolation<'_> {
    /// Replaces the variables of all texts in a value.
    ///
    /// # Errors
    ///
    /// The end of a sentence about the process.
    pub(super) fn interpolate_value(&mut self, value: &Value) -> Result<Value, String> {
        Ok(match value {
            Value::String(text) => self.interpolate_text(text)?.into(),
            Value::Array(items) => items.iter().map(|item| self.interpolate_value(item)).collect::<Result<_, _>>()?,
            Value::Object(fields) => {
                let field = |(name, value): (&String, &Value)| Ok((name.clone(), self.interpolate_value(value)?));
                fields.iter().map(field).collect::<Result<_, String>>()?
            }
            other => other.clone(),
        })
    }

    /// Replaces the variables of a text.
    ///
    /// # Errors
    ///
    /// As for [`Self::interpolate_value`].
    pub(super) fn interpolate_text(&mut self, text: &str) -> Result<String, String> {
        self.nested(text, 0)
    }

    fn take_room(&self, bytes: usize) -> Result<(), String> {
        let left = self.remaining_bytes.get().checked_sub(bytes);
        self.remaining_bytes.set(
            left.ok_or_else(|| format!("with its variables, the file has more than {} MiB", MAX_EXPANDED_BYTES >> 20))?,
        );
        Ok(())
    }

    fn nested(&mut self, text: &str, depth: usize) -> Result<String, String> {
        if depth > MAX_NESTING_DEPTH {
            return Err(format!("it has more than {MAX_NESTING_DEPTH} levels of variables in each other"));
        }
        let (mut out, mut left) = (String::new(), text);
        while let Some(at) = left.find('$') {
            out.push_str(&left[..at]);
            left = &left[at + 1..];
            if let Some(rest) = left.strip_prefix('$') {
                (out, left) = (out + "$", rest);
            } else if let Some(inner) = left.strip_prefix('{') {
                let end = closing(inner).ok_or("it has a `${` without its `}`")?;
                match self.braces(&inner[..end], depth)? {
                    Some(value) => {
                        self.take_room(value.len())?;
                        out.push_str(&value);
                    }
                    None => out.extend(["${", &inner[..end], "}"]),
                }
                left = &inner[end + 1..];
            } else {
                let (name, rest) = left.split_at(name_end(left));
                if name.is_empty() || self.syntax != VariableSyntax::Compose {
                    out.push('$');
                    continue;
                }
                let value = self.variable(name).unwrap_or_default();
                self.take_room(value.len())?;
                out.push_str(&value);
                left = rest;
            }
        }
        Ok(out + left)
    }

    /// Returns the value of what stands between braces; none if a shell replaces it.
    fn braces(&mut self, inner: &str, depth: usize) -> Result<Option<String>, String> {
        let (name, how) = inner.split_at(name_end(inner));
        let is_shell = self.syntax == VariableSyntax::ProcessComposeShell;
        if name.is_empty() {
            return if is_shell { Ok(None) } else { Err(format!("`${{{inner}}}` is no variable")) };
        }
        if is_shell && !self.variables.contains_key(name) {
            return Ok(None);
        }
        // `:` takes an empty value for none.
        let value = self.variables.get(name).cloned();
        let (value, how) = match how.strip_prefix(':') {
            Some(how) => (value.filter(|value| !value.is_empty()), how),
            None => (value, how),
        };
        let operand = |this: &mut Self, text: &str| this.nested(text, depth + 1);
        match (how.chars().next(), how.get(1..).unwrap_or_default(), value) {
            (None, _, _) => Ok(Some(self.variable(name).unwrap_or_default())),
            (Some('-' | '?'), _, Some(value)) => Ok(Some(value)),
            (Some('-'), default, None) => operand(self, default).map(Some),
            (Some('+'), other, Some(_)) => operand(self, other).map(Some),
            (Some('+'), _, None) => Ok(Some(String::new())),
            (Some('?'), why, None) => {
                let why = operand(self, why)?;
                let why = if why.is_empty() { String::new() } else { format!(": {why}") };
                Err(format!("it requires the variable `{name}`, which `.env` does not have{why}"))
            }
            _ if is_shell => Ok(None),
            _ => Err(format!("`${{{inner}}}` is no variable")),
        }
    }

    fn variable(&mut self, name: &str) -> Option<String> {
        let value = self.variables.get(name).cloned();
        if value.is_none() && !self.missing.iter().any(|known| known == name) {
            self.missing.push(name.to_owned());
        }
        value
    }
}

fn name_end(text: &str) -> usize {
    let is_name = |(at, c): (usize, char)| c.is_ascii_alphabetic() || c == '_' || at > 0 && c.is_ascii_digit();
    text.char_indices().find(|part| !is_name(*part)).map_or(text.len(), |(at, _)| at)
}

/// Returns the offset of the brace that closes an opened one.
fn closing(text: &str) -> Option<usize> {
    let mut open = 1;
    for (at, c) in text.char_indices() {
        match c {
            '{' if text[..at].ends_with('$') => open += 1,
            '}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filled(syntax: VariableSyntax, text: &str) -> (Result<String, String>, Vec<String>) {
        let variables = [("A", "1"), ("EMPTY", ""), ("B", "two")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let room = Cell::new(1000);
        let mut interpolation =
            Interpolation { syntax, variables: &variables, missing: Vec::new(), remaining_bytes: &room };
        (interpolation.interpolate_text(text), interpolation.missing)
    }

    #[test]
    fn each_form_of_compose_is_replaced() {
        for (text, expected) in [
            ("$A-${A}-$$A", "1-1-$A"),
            ("${X:-${Y:-${A}/d}}", "1/d"),
            ("${X-a}${EMPTY-a}${EMPTY:-a}", "aa"),
            ("${A:+yes}${EMPTY:+yes}${X:+yes}${EMPTY+set}", "yesset"),
            ("${A:?gone}${EMPTY?gone}", "1"),
            ("${X:-a}b}", "ab}"),
            ("5$ and $5", "5$ and $5"),
        ] {
            assert_eq!(filled(VariableSyntax::Compose, text).0, Ok(expected.to_owned()), "{text}");
        }
        assert_eq!(filled(VariableSyntax::Compose, "$X${Y}$X"), (Ok(String::new()), vec!["X".into(), "Y".into()]));
        for (text, why) in [
            ("${X:?say ${A}}", "it requires the variable `X`, which `.env` does not have: say 1"),
            ("${EMPTY:?}", "it requires the variable `EMPTY`, which `.env` does not have"),
            ("${A", "it has a `${` without its `}`"),
            ("${A b}", "`${A b}` is no variable"),
            ("${}", "`${}` is no variable"),
        ] {
            assert_eq!(filled(VariableSyntax::Compose, text).0, Err(why.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_file_that_becomes_too_long_is_refused() {
        let (filled, _) = filled(VariableSyntax::Compose, &"${B}".repeat(400));
        assert!(filled.is_err_and(|why| why.contains("MiB")));
    }

    #[test]
    fn process_compose_replaces_braces_alone() {
        for (syntax, text, expected) in [
            (VariableSyntax::ProcessCompose, "$A ${B} $$HOME ${X:-d}", "$A two $HOME d"),
            (
                VariableSyntax::ProcessComposeShell,
                "echo $A ${B} $$HOME ${X:-d} ${X#y}",
                "echo $A two $HOME ${X:-d} ${X#y}",
            ),
        ] {
            assert_eq!(filled(syntax, text).0, Ok(expected.to_owned()));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "[${}:?+A-B-]{0,60}") {
            for syntax in [VariableSyntax::Compose, VariableSyntax::ProcessCompose, VariableSyntax::ProcessComposeShell] {
                let _ = filled(syntax, &text);
            }
        }
    }
}
