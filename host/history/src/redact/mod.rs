//! Secrets are taken out of texts before anything is stored: tokens by the form that their services document, private
//! keys, what is named a password, and the values in the vault. Each text is looked at as it is, and as it would be
//! without colours, escapes and breaks in its lines.
//!
//! The original is where it was; a hit leads to it.

mod assigned;
mod keys;
mod named;
mod prose;
mod public;
mod rules;
mod seen;
mod tables;
mod text;
mod vault;

use std::borrow::Cow;
use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, MatchKind};
use aiw_home::{Home, VaultError};
use regex::{Captures, Regex};

use self::public::{PUBLIC, Public};
use self::rules::RULES;
use self::seen::Seen;
pub use self::text::REDACTED;
use self::text::{Span, entropy};
use crate::HistoryError;

/// The longest text that is looked through. Nothing that is kept comes from beyond.
pub(crate) const MAX_LOOKED: usize = 256 << 10;

/// Values shorter than this are not hidden wherever they occur: the texts would be full of holes.
const MIN_VALUE: usize = 6;

/// How far before a mark a pattern looks: the rest of a command, another name.
const LOOK_BEFORE: usize = 300;

/// How far behind a mark a pattern looks at least: a value, also in the next line.
const LOOK_AFTER: usize = 400;

/// How often a text is decoded: JSON in JSON in JSON, HTML in a URL.
const MAX_LAYERS: usize = 3;

/// Takes secrets out of texts.
pub struct Redactor {
    /// Finds in one pass which rules can match at all.
    marks: AhoCorasick,
    /// What each mark is of.
    owners: Vec<Owner>,
    /// Rules without a mark. Their patterns begin with few pairs of letters, so they are as fast.
    always: Vec<usize>,
    rules: Vec<Step>,
    /// The rule about names and their values.
    names: usize,
    /// The values in the vault.
    values: Option<AhoCorasick>,
    /// Whether what only looks random is taken out too.
    is_strict: bool,
}

/// What a mark is of.
#[derive(Debug, Clone, Copy)]
enum Owner {
    /// A rule that looks at names, commands and sentences.
    Rule(usize),
    /// A rule for tokens, of which one may go on in the next line.
    Form(usize),
    /// Colours or escapes, behind which secrets may be.
    Coded,
    /// Escapes, behind which a value may be, if its name is near.
    Escaped,
    /// A list of words with an option among them.
    List,
}

/// The values in the vault, which are taken out of texts. One that can't be read can't be found in them either.
pub fn vault_values(home: &Home) -> Vec<String> {
    read_vault(home).0
}

/// Why secrets of the vault can't be read, a sentence each, so that their values are not taken out of texts.
pub fn unreadable_secrets(home: &Home) -> Vec<String> {
    read_vault(home).1.iter().map(ToString::to_string).collect()
}

/// What is in the vault, and what can't be read of it.
fn read_vault(home: &Home) -> (Vec<String>, Vec<VaultError>) {
    let vault = home.vault();
    let names = match vault.names() {
        Ok(names) => names,
        Err(error) => return (Vec::new(), vec![error]),
    };
    let (mut values, mut errors) = (Vec::new(), Vec::<VaultError>::new());
    for name in names {
        match vault.get(&name) {
            Ok(secret) => values.push(secret.expose().to_owned()),
            // It was removed in the meantime.
            Err(VaultError::Unknown { .. }) => {}
            // What is wrong with the key is the same for all.
            Err(error) if errors.last().is_some_and(|last| last.to_string() == error.to_string()) => {}
            Err(error) => errors.push(error),
        }
    }
    (values, errors)
}

/// Finds secrets in a text near the marks that were found there.
type Find = fn(&str, &[Span]) -> Vec<Span>;

/// Such a function with its marks.
type ByHand = (&'static [&'static str], Find);

/// One thing to look for.
struct Step {
    work: Work,
    /// Whether it is for tokens, by their form.
    is_form: bool,
    /// Compiled when a text has a mark of it: most processes need few of them.
    pattern: OnceLock<Option<Regex>>,
}

enum Work {
    /// What a pattern finds is a secret where the function puts [`REDACTED`] in its place.
    Pattern(Cow<'static, str>, fn(&Captures<'_>) -> Option<String>),
    /// A rule of another scanner.
    Public(&'static Public),
    /// A function finds the secrets itself.
    Spans(Find),
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").field("rules", &self.rules.len()).finish_non_exhaustive()
    }
}

impl Step {
    fn new(work: Work, is_form: bool) -> Self {
        Self { work, is_form, pattern: OnceLock::new() }
    }

    fn text(&self) -> Option<&str> {
        match &self.work {
            Work::Pattern(pattern, _) => Some(pattern),
            Work::Public(rule) => Some(rule.pattern),
            Work::Spans(_) => None,
        }
    }

    /// The secrets of a text around these marks, in their order.
    fn spans(&self, text: &str, places: &[Span]) -> Vec<Span> {
        let compiled = || self.text().and_then(|pattern| Regex::new(pattern).ok());
        let mut spans = Vec::new();
        match (&self.work, self.pattern.get_or_init(compiled)) {
            (Work::Spans(find), _) => return find(text, places),
            // A test compiles all of them.
            (_, None) => {}
            (Work::Public(rule), Some(pattern)) => {
                self.each(pattern, text, places, |found| spans.extend(rule.secret(found)));
            }
            (Work::Pattern(_, replace), Some(pattern)) => self.each(pattern, text, places, |found| {
                if let (Some(new), Some(whole)) = (replace(found), found.get(0)) {
                    replaced(whole.as_str(), &new, whole.start(), &mut spans);
                }
            }),
        }
        spans
    }

    /// Calls a function with what a pattern matches around places of its marks.
    fn each(&self, pattern: &Regex, text: &str, places: &[Span], mut take: impl FnMut(&Captures<'_>)) {
        let is_far = self.text().is_some_and(|pattern| pattern.contains("(?s:.)"));
        let all = if is_far || places.is_empty() { vec![(0, text.len())] } else { windows(text, places) };
        let mut after = 0;
        for (start, end) in all {
            let (within, mut at) = (&text[..end], start.max(after));
            while at <= end
                && let Some(found) = pattern.captures_at(within, at)
                && let Some(whole) = found.get(0)
            {
                take(&found);
                // A match without signs is none of these patterns'.
                at = text.ceil_char_boundary(whole.end().max(at + 1));
                after = at;
            }
        }
    }
}

/// What a pattern needs to see around the places of its marks: their lines, the next ones, and a token to its end.
fn windows(text: &str, places: &[Span]) -> Vec<Span> {
    let bytes = text.as_bytes();
    let mut windows: Vec<Span> = Vec::new();
    // Many marks may be in one token.
    let mut token = 0..0;
    for (place, _) in places {
        let place = (*place).min(text.len());
        let from = place.saturating_sub(LOOK_BEFORE);
        // The line before may have the name of a value.
        let line = |to: usize| memchr::memrchr(b'\n', &bytes[from..to]).map_or(from, |end| from + end);
        let start = line(line(line(place)));
        if !token.contains(&place) {
            token = place..place + bytes[place..].iter().take_while(|byte| !byte.is_ascii_whitespace()).count();
        }
        let least = (place + LOOK_AFTER).max(token.end + 64).min(text.len());
        let end =
            memchr::memchr(b'\n', &bytes[least..(least + LOOK_AFTER).min(text.len())]).map_or(least, |end| least + end);
        let (start, end) = (text.floor_char_boundary(start), text.ceil_char_boundary(end));
        match windows.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => windows.push((start, end)),
        }
    }
    windows
}

/// Which stretches of a match [`REDACTED`] was put in place of: one, or two with something between them.
fn replaced(old: &str, new: &str, offset: usize, spans: &mut Vec<Span>) {
    let is_new =
        |at: &usize| old.get(..*at) == new.get(..*at) && !old.get(*at..).unwrap_or_default().starts_with(REDACTED);
    let Some(first) = new.match_indices(REDACTED).map(|(at, _)| at).find(is_new) else { return };
    let mut last = first;
    for (at, _) in new.match_indices(REDACTED) {
        last = last.max(at);
    }
    let after = &new[last + REDACTED.len()..];
    let end = old.len().saturating_sub(after.len());
    let between = new.get(first + REDACTED.len()..last).unwrap_or_default();
    let place = old.get(first..end).and_then(|rest| rest.find(between)).filter(|_| !between.is_empty() && last > first);
    match place {
        Some(place) => {
            spans.push((offset + first, offset + first + place));
            spans.push((offset + first + place + between.len(), offset + end));
        }
        None => spans.push((offset + first, offset + end.max(first))),
    }
}

/// Where places of a text are after stretches were replaced, which are in their order.
struct Moves<'a> {
    spans: &'a [Span],
    /// How much was taken before each stretch.
    taken: Vec<usize>,
}

impl<'a> Moves<'a> {
    fn of(spans: &'a [Span]) -> Self {
        let before = |sum: &mut usize, (start, end): &Span| {
            let before = *sum;
            *sum += end.saturating_sub(*start);
            Some(before)
        };
        Self { spans, taken: spans.iter().scan(0, before).collect() }
    }

    fn moved(&self, place: usize) -> usize {
        let after = self.spans.partition_point(|(start, _)| *start < place);
        let Some(last) = after.checked_sub(1) else { return place };
        let (start, end) = self.spans[last];
        if end > place {
            return start + last * REDACTED.len() - self.taken[last];
        }
        place + after * REDACTED.len() - self.taken[last] - (end - start)
    }
}

/// The text with [`REDACTED`] in place of stretches that are in their order.
fn without(text: &str, spans: &[Span]) -> String {
    let (mut out, mut last) = (String::with_capacity(text.len()), 0);
    for (start, end) in spans {
        out.push_str(text.get(last..*start).unwrap_or_default());
        out.push_str(REDACTED);
        last = *end;
    }
    out.push_str(text.get(last..).unwrap_or_default());
    out
}

impl Redactor {
    /// A redactor that knows these values too: those in the vault.
    pub fn new(values: &[String]) -> Result<Self, HistoryError> {
        let (mut marks, mut owners, mut always, mut rules) = (Vec::<&str>::new(), Vec::new(), Vec::new(), Vec::new());
        let whole: fn(&Captures<'_>) -> Option<String> = |_| Some(REDACTED.to_owned());
        let named =
            |(marks, pattern, replace): named::Named| (marks, Work::Pattern(Cow::Borrowed(pattern), replace), false);
        // Tokens are ASCII, and such patterns are compiled ten times as fast.
        let formed = RULES.iter().map(|rule| {
            let replace = if rule.is_mixed { named::whole_if_mixed } else { whole };
            (rule.marks, Work::Pattern(Cow::Owned(format!("(?-u){}", rule.pattern)), replace), true)
        });
        let public = PUBLIC.iter().map(|rule| (rule.marks, Work::Public(rule), true));
        let first: [ByHand; 2] = [(&["AKIA", "ASIA"], keys::beside_aws), (keys::MARKS, keys::private)];
        let last: [ByHand; 3] =
            [(named::MARKS, assigned::spans), (named::MARKS, tables::spans), (prose::WORDS, prose::spans)];
        let by_hand = |(marks, find): ByHand| (marks, Work::Spans(find), false);
        let named = named::steps().into_iter().map(named);
        let all = first
            .into_iter()
            .map(by_hand)
            .chain(formed)
            .chain(public)
            .chain(named)
            .chain(last.into_iter().map(by_hand));
        for (own, work, is_form) in all {
            let number = rules.len();
            always.extend(own.is_empty().then_some(number));
            owners.extend(own.iter().map(|_| if is_form { Owner::Form(number) } else { Owner::Rule(number) }));
            marks.extend(own);
            rules.push(Step::new(work, is_form));
        }
        owners.extend(seen::HIDING.iter().map(|_| Owner::Coded));
        marks.extend(seen::HIDING);
        owners.extend(seen::ESCAPES.iter().map(|_| Owner::Escaped));
        marks.extend(seen::ESCAPES);
        owners.extend(seen::LISTS.iter().map(|_| Owner::List));
        marks.extend(seen::LISTS);
        let reason = |e: aho_corasick::BuildError| HistoryError::Rule { reason: e.to_string() };
        let marks = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            // Every text is looked through for marks, so they have the fastest kind, although it takes a megabyte.
            .kind(Some(aho_corasick::AhoCorasickKind::DFA))
            .match_kind(MatchKind::Standard)
            .build(&marks)
            .map_err(reason)?;
        let known = values.iter().map(|value| value.trim()).filter(|value| value.len() >= MIN_VALUE);
        let known: Vec<String> = known.flat_map(vault::forms).filter(|form| form.len() >= MIN_VALUE).collect();
        let values = match known.is_empty() {
            true => None,
            false => Some(AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&known).map_err(reason)?),
        };
        // The last rules are those by hand, of which the first is about names.
        let names = rules.len().saturating_sub(last.len());
        Ok(Self { marks, owners, always, rules, names, values, is_strict: false })
    }

    /// The redactor of a home: with the values in its vault, and as strict as its settings say.
    pub fn of(home: &Home) -> Result<Self, HistoryError> {
        Ok(Self::new(&vault_values(home))?.strict(home.settings()?.history()?.is_strict))
    }

    /// Whether what only looks random is taken out too: `history.redact` is `strict`.
    #[must_use]
    pub fn strict(mut self, is_strict: bool) -> Self {
        self.is_strict = is_strict;
        self
    }

    /// The text without secrets, at most [`MAX_LOOKED`] of it.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let text = &text[..text.floor_char_boundary(MAX_LOOKED)];
        let mut out = Cow::Borrowed(text);
        let mut look = self.look(text);
        // What is a token without its breaks may be one without its rest as well: it is looked for first.
        if !look.joins.is_empty() {
            self.through(&mut out, |text| Some(Seen::joined(text, &look.joins)), true);
            if matches!(out, Cow::Owned(_)) {
                look = self.look(&out);
            }
        }
        let is_list = look.is_list;
        let is_coded = !look.coded.is_empty() && look.hits.len() > self.always.len();
        let coded = std::mem::take(&mut look.coded);
        self.clean(&mut out, look, None, false);
        if is_list {
            self.through(&mut out, |text| Some(Seen::listed(text)), false);
        }
        if is_coded {
            let mut around = windows(text, &coded);
            let mut length = text.len();
            for layers in 1..=MAX_LAYERS {
                // What was taken out has moved the rest.
                if out.len() != length {
                    around = windows(&out, &self.look(&out).coded);
                    length = out.len();
                }
                let is_last = !self.through(&mut out, |text| Seen::decoded(text, &around, layers), false);
                if is_last {
                    break;
                }
            }
        }
        if self.is_strict {
            let spans = random(&out);
            if !spans.is_empty() {
                out = Cow::Owned(without(&out, &spans));
            }
        }
        out
    }

    /// Takes out what is a secret in a text as it is seen in another way; `false` if it can't be seen so.
    fn through(&self, out: &mut Cow<'_, str>, see: impl Fn(&str) -> Option<Seen>, is_forms: bool) -> bool {
        let Some(mut seen) = see(out) else { return false };
        let mut text = Cow::Owned(std::mem::take(&mut seen.text));
        let look = self.look(&text);
        self.clean(&mut text, look, Some(&mut seen), is_forms);
        let spans = seen.spans();
        if !spans.is_empty() {
            *out = Cow::Owned(without(out, &spans));
        }
        true
    }

    /// Looks for the marks of all rules.
    fn look(&self, text: &str) -> Look {
        let mut look = Look::default();
        let mut escaped: Vec<Span> = Vec::new();
        let mut joined = 0;
        for found in self.marks.find_overlapping_iter(text) {
            match self.owners[found.pattern().as_usize()] {
                Owner::Rule(rule) => look.hits.push((rule, found.start(), found.end())),
                // Most of these marks are the ends of words: `section_id`.
                Owner::Form(_) if !seen::may_be_token(text, found.start(), found.end()) => {}
                Owner::Form(rule) => {
                    look.hits.push((rule, found.start(), found.end()));
                    // What begins within a token that was looked at ends where it ends.
                    if found.start() >= joined {
                        joined = seen::joins(text, found.start(), &mut look.joins);
                    }
                }
                Owner::Coded => look.coded.push((found.start(), found.end())),
                Owner::Escaped => escaped.push((found.start(), found.end())),
                Owner::List => look.is_list = true,
            }
        }
        look.hits.extend(self.always.iter().map(|rule| (*rule, 0, 0)));
        look.hits.sort_unstable();
        let names = look.hits.partition_point(|(rule, ..)| *rule < self.names);
        let names = look.hits.get(names..).unwrap_or_default();
        let names = &names[..names.partition_point(|(rule, ..)| *rule == self.names)];
        let is_near = |(start, _): &Span| {
            let next = names.partition_point(|(_, name, _)| *name + 4 * LOOK_AFTER < *start);
            names.get(next).is_some_and(|(_, name, _)| *name < *start + LOOK_AFTER)
        };
        look.coded.extend(escaped.into_iter().filter(is_near));
        look.coded.sort_unstable();
        look
    }

    /// Takes out what is a secret in a text, and notes in `seen` where it was in the original. `is_forms`: only tokens.
    fn clean(&self, text: &mut Cow<'_, str>, look: Look, mut seen: Option<&mut Seen>, is_forms: bool) {
        let mut hits = look.hits;
        let mut take = |text: &mut Cow<'_, str>, spans: &[Span], hits: &mut [(usize, usize, usize)]| {
            if let Some(seen) = seen.as_mut() {
                seen.take(spans);
            }
            *text = Cow::Owned(without(text, spans));
            let moves = Moves::of(spans);
            hits.iter_mut().for_each(|(_, start, end)| (*start, *end) = (moves.moved(*start), moves.moved(*end)));
        };
        if let Some(values) = &self.values {
            let spans: Vec<Span> = values.find_iter(text.as_ref()).map(|found| (found.start(), found.end())).collect();
            if !spans.is_empty() {
                take(text, &spans, &mut hits);
            }
        }
        let mut at = 0;
        while let Some((rule, ..)) = hits.get(at).copied() {
            let end = at + hits[at..].iter().take_while(|(other, ..)| *other == rule).count();
            let step = &self.rules[rule];
            if step.is_form || !is_forms {
                let places: Vec<Span> = match self.always.contains(&rule) {
                    true => Vec::new(),
                    false => hits[at..end].iter().map(|(_, start, end)| (*start, *end)).collect(),
                };
                let spans = step.spans(text, &places);
                if !spans.is_empty() {
                    take(text, &spans, &mut hits[end..]);
                }
            }
            at = end;
        }
    }

    /// Whether a field of this name holds a secret.
    pub fn is_secret_name(&self, name: &str) -> bool {
        named::is_secret(name)
    }
}

/// What the marks of a text tell besides its rules.
#[derive(Debug, Default)]
struct Look {
    /// Where a line ends in what may be a token.
    joins: Vec<Span>,
    /// Where escapes and colours are.
    coded: Vec<Span>,
    /// Whether there is a command line as a list.
    is_list: bool,
    /// The marks that were found: the rule, and where.
    hits: Vec<(usize, usize, usize)>,
}

/// What looks drawn at random: long runs with digits and letters of which no language has as many.
fn random(text: &str) -> Vec<Span> {
    let is_of = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'_' | b'-');
    let mut spans = Vec::new();
    let (mut start, bytes) = (0, text.as_bytes());
    while start < bytes.len() {
        let length = bytes[start..].iter().take_while(|byte| is_of(**byte)).count();
        let run = text.get(start..start + length).unwrap_or_default();
        let digits = run.bytes().filter(u8::is_ascii_digit).count();
        let is_hex = run.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        let longest = run.split(['/', '_', '-']).map(str::len).max().unwrap_or(0);
        let has_letters = run.bytes().any(|byte| byte.is_ascii_alphabetic());
        let is_random = length >= 20
            && digits >= 3
            && has_letters
            && (if is_hex { entropy(run) >= 3.0 } else { longest >= 16 && entropy(run) >= 3.7 });
        if is_random {
            spans.push((start, start + length));
        }
        start += length.max(1);
    }
    spans
}

#[cfg(test)]
mod shapes;
#[cfg(test)]
mod tests;
