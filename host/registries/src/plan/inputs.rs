//! What a row leaves open: values with places in them, and the questions that fill the places.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use aiw_core::registry::{Format, Input, ServerVariable};
use aiw_core::{Question, is_unsafe_in_line, quoted};

use super::error::{Note, UnsupportedReason};

/// A part of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TemplatePart {
    /// As the row has it.
    Text(String),
    /// The answer to a question.
    Placeholder(String),
}

/// A text with places for answers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Value(pub(super) Vec<TemplatePart>);

impl Value {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self(vec![TemplatePart::Text(text.into())])
    }

    pub(super) fn placeholder(name: &str) -> Self {
        Self(vec![TemplatePart::Placeholder(name.to_owned())])
    }

    /// The text, if nothing is open.
    pub(super) fn as_literal(&self) -> Option<&str> {
        match &self.0[..] {
            [] => Some(""),
            [TemplatePart::Text(text)] => Some(text),
            _ => None,
        }
    }

    pub(super) fn questions(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            TemplatePart::Placeholder(name) => Some(name.as_str()),
            TemplatePart::Text(_) => None,
        })
    }

    /// Splits at the first such sign in the leading text, and returns what is before it and the rest.
    pub(super) fn split(&self, sign: char) -> Option<(&str, Self)> {
        let (first, others) = self.0.split_first()?;
        let TemplatePart::Text(text) = first else { return None };
        let (before, after) = text.split_once(sign)?;
        let first = (!after.is_empty()).then(|| TemplatePart::Text(after.to_owned()));
        Some((before, Self(first.into_iter().chain(others.iter().cloned()).collect())))
    }

    /// For people: open places as `<NAME>`.
    pub(super) fn display(&self) -> String {
        let piece = |piece: &TemplatePart| match piece {
            TemplatePart::Text(text) => text.clone(),
            TemplatePart::Placeholder(name) => format!("<{name}>"),
        };
        self.0.iter().map(piece).collect()
    }
}

/// Whether a place is in the part of an address that says where it is.
pub(super) fn is_host_placeholder(pieces: &[TemplatePart], at: usize) -> bool {
    let before = pieces[..at].iter().map(|piece| match piece {
        TemplatePart::Text(text) => text.as_str(),
        TemplatePart::Placeholder(_) => "x",
    });
    let before: String = before.collect();
    before.split_once("://").map_or(at == 0, |(_, rest)| !rest.contains(['/', '?', '#']))
}

/// The text of a value, and the names in braces in it. Other braces stay as they are: `{"a": 1}` is not a variable.
pub(super) fn parse_template(text: &str) -> Value {
    let (mut found, mut plain, mut rest) = (Vec::new(), String::new(), text);
    while let Some(start) = rest.find('{') {
        let end = rest[start..].find('}').map(|at| start + at);
        let name = end.map(|end| &rest[start + 1..end]).filter(|name| is_name(name));
        match (name, end) {
            (Some(name), Some(end)) => {
                plain.push_str(&rest[..start]);
                if !plain.is_empty() {
                    found.push(TemplatePart::Text(std::mem::take(&mut plain)));
                }
                found.push(TemplatePart::Placeholder(name.to_owned()));
                rest = &rest[end + 1..];
            }
            _ => {
                plain.push_str(&rest[..=start]);
                rest = &rest[start + 1..];
            }
        }
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        found.push(TemplatePart::Text(plain));
    }
    Value(found)
}

fn is_name(name: &str) -> bool {
    (1..=100).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// Whether a text may be offered as an answer. `${secret:NAME}` as a default would hand a secret of the person's to the
/// publisher, at a press of Enter.
pub(super) fn is_safe_default(text: &str) -> bool {
    !text.contains("${") && !text.contains(is_unsafe_in_line)
}

/// Checks a text of the row that becomes part of a command or a request.
pub(super) fn check_literal(name: &str, text: &str) -> Result<(), UnsupportedReason> {
    let why = if text.contains(is_unsafe_in_line) {
        "has control characters or invisible ones"
    } else if text.contains("${") {
        // There is no way to write it so that it means itself.
        "contains `${`, which aiw would read as a variable of yours"
    } else {
        return Ok(());
    };
    Err(UnsupportedReason::Value { name: quoted(name), why })
}

/// The questions of one way, each asked once.
#[derive(Default)]
pub(super) struct Questions<'a> {
    asked: Vec<Question>,
    /// The variables that the row declares anywhere. A value may use one that another declares.
    declared: BTreeMap<&'a str, &'a Input>,
    pub(super) notes: Vec<Note>,
}

/// The place of a value.
#[derive(Clone, Copy)]
pub(super) struct ValueSlot<'a> {
    /// The name to ask by, if the row gives no value.
    pub(super) name: &'a str,
    /// Whether its name or its place says that it is a secret.
    pub(super) secret: bool,
    pub(super) repeated: bool,
    pub(super) allows_bare_flag: bool,
}

impl<'a> ValueSlot<'a> {
    pub(super) fn named(name: &'a str) -> Self {
        Self { name, secret: aiw_servers::is_secret_variable(name), repeated: false, allows_bare_flag: false }
    }
}

impl<'a> Questions<'a> {
    pub(super) fn declare(&mut self, variables: &'a [ServerVariable]) {
        self.declared.extend(variables.iter().map(|variable| (variable.name.as_str(), &variable.input)));
    }

    /// The value of an input: fixed, or open where it is asked for. None leaves out all that it is for.
    pub(super) fn value(&mut self, place: ValueSlot<'_>, input: &Input) -> Result<Option<Value>, UnsupportedReason> {
        // Some publishers leave a value empty that is to be filled in.
        let Some(text) = input.value.as_ref().filter(|text| !text.is_empty()) else {
            self.merge_question(place.name, input, place, input.required);
            return Ok(Some(Value::placeholder(place.name)));
        };
        let value = parse_template(text);
        for piece in &value.0 {
            match piece {
                TemplatePart::Text(text) => check_literal(place.name, text)?,
                TemplatePart::Placeholder(name) if !self.declared.contains_key(name.as_str()) => {
                    if !(input.required || input.secret || place.secret) {
                        self.add_skipped_note(place.name, "nothing says what the name in braces stands for");
                        return Ok(None);
                    }
                }
                TemplatePart::Placeholder(_) => {}
            }
        }
        self.open(place, value, input, input.required).map(Some)
    }

    /// An address: each open place in it has to be filled.
    pub(super) fn url_template(&mut self, place: ValueSlot<'_>, value: Value) -> Result<Value, UnsupportedReason> {
        self.open(place, value, &Input::default(), true)
    }

    /// Asks for what is open in a value, and puts in what is not.
    fn open(
        &mut self,
        place: ValueSlot<'_>,
        value: Value,
        input: &Input,
        required: bool,
    ) -> Result<Value, UnsupportedReason> {
        // `$` before a brace would make a variable of what is put there.
        if value
            .0
            .windows(2)
            .any(|two| matches!(two, [TemplatePart::Text(text), TemplatePart::Placeholder(_)] if text.ends_with('$')))
        {
            return Err(UnsupportedReason::Value {
                name: quoted(place.name),
                why: "contains `${`, which aiw would read as a variable of yours",
            });
        }
        for name in value.questions() {
            match self.declared.get(name).copied() {
                Some(variable) if variable.value.is_some() => {}
                Some(variable) => {
                    let secret = variable.secret || aiw_servers::is_secret_variable(name);
                    self.merge_question(
                        name,
                        variable,
                        ValueSlot { secret, allows_bare_flag: false, ..place },
                        variable.required || required,
                    );
                }
                None => {
                    let bare =
                        Input { description: input.description.clone(), secret: input.secret, ..Input::default() };
                    let secret = place.secret || aiw_servers::is_secret_variable(name);
                    self.merge_question(name, &bare, ValueSlot { secret, allows_bare_flag: false, ..place }, required);
                }
            }
        }
        self.fill(place.name, value)
    }

    /// Puts in what the row fixes for a variable.
    fn fill(&self, place: &str, value: Value) -> Result<Value, UnsupportedReason> {
        let fixed = |name: &str| self.declared.get(name).and_then(|variable| variable.value.as_deref());
        let mut filled: Vec<TemplatePart> = Vec::new();
        for piece in value.0 {
            let piece = match piece {
                TemplatePart::Placeholder(name) => fixed(&name)
                    .map_or(TemplatePart::Placeholder(name.clone()), |text| TemplatePart::Text(text.to_owned())),
                text => text,
            };
            match (filled.last_mut(), piece) {
                (Some(TemplatePart::Text(before)), TemplatePart::Text(text)) => before.push_str(&text),
                (_, piece) => filled.push(piece),
            }
        }
        for piece in &filled {
            if let TemplatePart::Text(text) = piece {
                check_literal(place, text)?;
                if parse_template(text).questions().next().is_some() {
                    return Err(UnsupportedReason::Value {
                        name: quoted(place),
                        why: "has a variable within a variable",
                    });
                }
            }
        }
        Ok(Value(filled))
    }

    pub(super) fn merge_question(&mut self, name: &str, input: &Input, place: ValueSlot<'_>, required: bool) {
        let default = input.default.clone().filter(|text| is_safe_default(text));
        let choices: Vec<String> = input.choices.iter().filter(|text| is_safe_default(text)).cloned().collect();
        let secret = input.secret || (place.secret && input.format == Format::Text && input.choices.is_empty());
        if let Some(known) = self.asked.iter_mut().find(|question| question.name == name) {
            known.required |= required;
            known.secret |= secret;
            known.repeated |= place.repeated;
            known.allows_bare_flag |= place.allows_bare_flag;
            known.description = known.description.take().or_else(|| input.description.clone());
            known.default = known.default.take().or(default);
            known.placeholder = known.placeholder.take().or_else(|| input.placeholder.clone());
            if known.choices.is_empty() {
                known.choices = choices;
            }
            return;
        }
        self.asked.push(Question {
            name: name.to_owned(),
            description: input.description.clone(),
            required,
            secret,
            format: input.format,
            default,
            placeholder: input.placeholder.clone(),
            choices,
            repeated: place.repeated,
            allows_bare_flag: place.allows_bare_flag,
        });
    }

    /// Asks for a variable of which the row says nothing but the name.
    pub(super) fn merge_variable_question(&mut self, name: &str) {
        self.merge_question(name, &Input::default(), ValueSlot::named(name), false);
    }

    pub(super) fn add(&mut self, question: Question) {
        if !self.asked.iter().any(|known| known.name == question.name) {
            self.asked.push(question);
        }
    }

    pub(super) fn is_secret(&self, name: &str) -> bool {
        self.asked.iter().any(|question| question.name == name && question.secret)
    }

    pub(super) fn is_required(&self, name: &str) -> bool {
        self.asked.iter().any(|question| question.name == name && question.required)
    }

    /// Whether the command is another one without an input: the row requires it, or gives it a value in which nothing
    /// is left to the person.
    pub(super) fn is_needed(&self, input: &Input) -> bool {
        let Some(text) = input.value.as_ref().filter(|text| !text.is_empty()) else { return input.required };
        let value = parse_template(text);
        let variables = value.questions().map(|name| self.declared.get(name).copied());
        let mut open = variables.filter(|variable| variable.is_none_or(|variable| variable.value.is_none())).peekable();
        input.required
            || open.peek().is_none()
            || open.any(|variable| variable.is_some_and(|variable| variable.required))
    }

    /// The part of a command that a part of the row became. One that can't be expressed is left out, with a note,
    /// unless it is needed.
    pub(super) fn skip_if_optional<T>(
        &mut self,
        part: &str,
        is_needed: bool,
        made: Result<Option<T>, UnsupportedReason>,
    ) -> Result<Option<T>, UnsupportedReason> {
        match made {
            Err(reason) if !is_needed => {
                self.add_skipped_note(part, reason.omission_reason());
                Ok(None)
            }
            made => made,
        }
    }

    pub(super) fn add_skipped_note(&mut self, part: &str, why: impl Into<Cow<'static, str>>) {
        let note = Note::Skipped { part: quoted(part), why: why.into() };
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// The questions that are still used, and the notes.
    pub(super) fn finish(self, used: &BTreeSet<&str>) -> (Vec<Question>, Vec<Note>) {
        (self.asked.into_iter().filter(|question| used.contains(question.name.as_str())).collect(), self.notes)
    }
}
