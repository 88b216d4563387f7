//! One thing to look for: where its marks are, by a pattern or by a function.

use std::sync::OnceLock;

use regex::{Captures, Regex};
use regex_automata::meta;
use regex_automata::{Anchored, Input};

use super::public::ImportedRule;
use super::services::Rule;
use super::text::{REDACTED, Span, is_mixed, is_word};

/// How far before a mark a pattern looks: the rest of a command, another name.
pub(super) const PREFIX_WINDOW_BYTES: usize = 300;

/// How far behind a mark a pattern looks at least: a value, also in the next line.
pub(super) const MIN_SUFFIX_BYTES: usize = 400;

/// How far a token is followed at first. One that goes on behind that is followed to its end.
const INITIAL_TOKEN_WINDOW_BYTES: usize = 16 << 10;

/// How many marks are tried in four kilobytes without a space. Nothing but marks would take time by the square of them.
const MAX_TRIES: u32 = 256;

/// How many marks are tried to the end of the text in one stretch without a space, for the same reason.
const MAX_FAR_TRIES: u32 = 8;

/// Finds secrets in a text near the marks that were found there.
pub(super) type SpanFinder = fn(&str, &[Span]) -> Vec<Span>;

/// Returns the replacement of a match, if it is a secret after all.
pub(super) type ReplaceFn = fn(&Captures<'_>) -> Option<String>;

pub(super) struct Matcher {
    work: Detector,
    /// Compiled when a text has a mark of it: most processes need few of them.
    pattern: OnceLock<Option<StepPattern>>,
}

pub(super) enum Detector {
    /// The tokens of a service.
    Service(&'static Rule),
    /// A rule of another scanner.
    Imported(&'static ImportedRule),
    /// A match of a pattern near its marks is a secret where the function puts [`REDACTED`] in its place.
    Named(&'static str, ReplaceFn),
    /// A function finds the secrets itself.
    Spans(SpanFinder),
}

enum StepPattern {
    Token(meta::Regex),
    Windowed(Regex),
}

impl Matcher {
    pub(super) fn new(work: Detector) -> Self {
        Self { work, pattern: OnceLock::new() }
    }

    /// Whether it is for tokens, by their form.
    pub(super) fn is_token_rule(&self) -> bool {
        matches!(self.work, Detector::Service(_) | Detector::Imported(_))
    }

    /// The name that stands in the place of what it takes out, if it has one.
    pub(super) fn label(&self) -> Option<&'static str> {
        match &self.work {
            Detector::Imported(rule) => Some(rule.id),
            _ => None,
        }
    }

    fn compiled(&self) -> Option<&StepPattern> {
        self.pattern.get_or_init(|| self.compile()).as_ref()
    }

    fn compile(&self) -> Option<StepPattern> {
        Some(match &self.work {
            // Tokens are ASCII, and such patterns are compiled ten times as fast.
            Detector::Service(rule) => StepPattern::Token(meta::Regex::new(&format!("(?-u){}", rule.pattern)).ok()?),
            Detector::Imported(rule) => StepPattern::Token(meta::Regex::new(rule.pattern).ok()?),
            Detector::Named(pattern, _) => StepPattern::Windowed(Regex::new(pattern).ok()?),
            Detector::Spans(_) => return None,
        })
    }

    /// Whether it has no pattern: a test asks for all of them.
    #[cfg(test)]
    pub(super) fn is_broken(&self) -> bool {
        !matches!(self.work, Detector::Spans(_)) && self.compiled().is_none()
    }

    /// The secrets of a text around these marks, in their order.
    pub(super) fn find_secrets(&self, text: &str, places: &[Span]) -> Vec<Span> {
        let mut spans = Vec::new();
        match (&self.work, self.compiled()) {
            (Detector::Spans(find), _) => return find(text, places),
            (Detector::Service(rule), Some(StepPattern::Token(pattern))) => {
                let mut take = |(start, end)| {
                    let is_secret = !rule.is_mixed || is_mixed(&text[start..end]);
                    spans.extend(is_secret.then_some((start, end)));
                };
                if rule.marks.is_empty() {
                    near(pattern, text, &dotted(text), &mut take);
                } else if rule.is_infix {
                    near(pattern, text, &windows(text, places), &mut take);
                } else {
                    at_marks(pattern, text, places, &mut take);
                }
            }
            (Detector::Imported(rule), Some(StepPattern::Token(pattern))) => {
                let mut groups = pattern.create_captures();
                at_marks(pattern, text, places, |whole| {
                    let mut secret = whole;
                    if groups.group_len() > 1 {
                        let within = Input::new(text).range(whole.0..whole.1).anchored(Anchored::Yes);
                        pattern.search_captures(&within, &mut groups);
                        secret = groups.get_group(1).map_or(whole, |group| (group.start, group.end));
                    }
                    spans.extend(rule.is_secret(text, secret).then_some(secret));
                });
            }
            (Detector::Named(text_of, replace), Some(StepPattern::Windowed(pattern))) => {
                // Such a pattern goes on to the end of a long secret.
                let is_far = text_of.contains("(?s:.)");
                let all = if is_far { vec![(0, text.len())] } else { windows(text, places) };
                captured(pattern, text, &all, |found| {
                    if let (Some(new), Some(whole)) = (replace(found), found.get(0)) {
                        replaced(whole.as_str(), &new, whole.start(), &mut spans);
                    }
                });
            }
            // A test compiles all of them.
            _ => {}
        }
        spans
    }
}

/// Calls a function with what a pattern matches that begins at its marks.
fn at_marks(pattern: &meta::Regex, text: &str, places: &[Span], mut take: impl FnMut(Span)) {
    let bytes = text.as_bytes();
    let (mut after, mut base, mut tries, mut far_tries) = (0, 0, 0, 0);
    // Where the next space is: a token ends there.
    let mut space = None;
    for (place, _) in places {
        if *place < after || *place > bytes.len() {
            continue;
        }
        let end = match space {
            Some(space) if space >= *place => space,
            _ => *place + bytes[*place..].iter().take_while(|byte| !byte.is_ascii_whitespace()).count(),
        };
        let is_next = space.replace(end) != Some(end);
        if is_next {
            far_tries = 0;
        }
        if is_next || *place > base + 4096 {
            (base, tries) = (*place, 0);
        }
        if tries > MAX_TRIES {
            continue;
        }
        let search = |end: usize| pattern.search(&Input::new(text).range(*place..end).anchored(Anchored::Yes));
        let far = place.saturating_add(INITIAL_TOKEN_WINDOW_BYTES);
        let mut found = search(far.min(bytes.len()));
        let is_cut = far < bytes.len() && found.as_ref().map_or(end >= far, |found| found.end() == far);
        if is_cut && (found.is_some() || far_tries < MAX_FAR_TRIES) {
            far_tries += u32::from(found.is_none());
            found = search(bytes.len());
        }
        match found {
            Some(found) => {
                take((found.start(), found.end()));
                after = found.end();
            }
            None => tries += 1,
        }
    }
}

/// Calls a function with what a pattern matches in stretches of a text.
fn near(pattern: &meta::Regex, text: &str, stretches: &[Span], mut take: impl FnMut(Span)) {
    let mut after = 0;
    for (start, end) in stretches {
        let mut at = after.max(*start);
        while at < *end
            && let Some(found) = pattern.search(&Input::new(text).range(at..*end))
        {
            take((found.start(), found.end()));
            at = found.end().max(at + 1);
            after = at;
        }
    }
}

/// Calls a function with what a pattern captures in stretches of a text.
fn captured(pattern: &Regex, text: &str, stretches: &[Span], mut take: impl FnMut(&Captures<'_>)) {
    let mut after = 0;
    for (start, end) in stretches {
        let (within, mut at) = (&text[..*end], after.max(*start));
        while at <= *end
            && let Some(found) = pattern.captures_at(within, at)
            && let Some(whole) = found.get(0)
        {
            take(&found);
            // These patterns match nothing without signs.
            at = text.ceil_char_boundary(whole.end().max(at + 1));
            after = at;
        }
    }
}

/// Returns the spans that may be tokens of three parts with dots between them, of which the second has six or seven
/// signs: the first has no mark that is rare.
fn dotted(text: &str) -> Vec<Span> {
    let bytes = text.as_bytes();
    let is_of = |byte: &&u8| is_word(**byte) || **byte == b'-';
    let mut spans = Vec::new();
    let mut last = None;
    for dot in memchr::memchr_iter(b'.', bytes) {
        let (Some(first), second) = (last.replace(dot), dot) else { continue };
        if !matches!(second - first, 7 | 8) {
            continue;
        }
        let before = bytes[..first].iter().rev().take(40).take_while(is_of).count();
        let after = bytes[second + 1..].iter().take_while(is_of).count();
        if before >= 22 && after >= 27 && bytes[first + 1..second].iter().all(|byte| is_of(&byte)) {
            spans.push((first - before, second + 1 + after));
        }
    }
    spans
}

/// Returns the text that a pattern needs around the places of its marks: their lines, the next ones, and a token to its
/// end.
pub(super) fn windows(text: &str, places: &[Span]) -> Vec<Span> {
    let bytes = text.as_bytes();
    let mut windows: Vec<Span> = Vec::new();
    // Many marks may be in one token.
    let mut token = 0..0;
    for (place, _) in places {
        let place = (*place).min(text.len());
        let from = place.saturating_sub(PREFIX_WINDOW_BYTES);
        // The line before may have the name of a value.
        let line = |to: usize| memchr::memrchr(b'\n', &bytes[from..to]).map_or(from, |end| from + end);
        let start = line(line(line(place)));
        if !token.contains(&place) {
            token = place..place + bytes[place..].iter().take_while(|byte| !byte.is_ascii_whitespace()).count();
        }
        let least = (place + MIN_SUFFIX_BYTES).max(token.end + 64).min(text.len());
        let end = memchr::memchr(b'\n', &bytes[least..(least + MIN_SUFFIX_BYTES).min(text.len())])
            .map_or(least, |end| least + end);
        let (start, end) = (text.floor_char_boundary(start), text.ceil_char_boundary(end));
        match windows.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => windows.push((start, end)),
        }
    }
    windows
}

/// Returns the same, each from the start of the token there: its beginning may say what it is.
pub(super) fn token_windows(text: &str, places: &[Span]) -> Vec<Span> {
    let mut whole: Vec<Span> = Vec::new();
    for (start, end) in windows(text, places) {
        let last = whole.last().map_or(0, |(_, end)| *end);
        let before = text.as_bytes()[last..start].iter().rev();
        let start = start - before.take_while(|byte| !byte.is_ascii_whitespace()).count();
        match whole.last_mut() {
            Some(window) if start == last => window.1 = end,
            _ => whole.push((start, end)),
        }
    }
    whole
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
