//! Takes secrets out of texts: tokens by the form that their services document, private keys, what is named a password,
//! and values that the caller knows. Each text is looked at as it is, and as it would be without colours, escapes and
//! breaks in its lines.

mod assigned;
mod gates;
mod harmless;
mod keys;
mod labels;
mod marks;
mod named;
mod placed;
mod prose;
mod public;
mod random;
mod seeds;
mod seen;
mod services;
mod step;
mod tables;
mod text;
mod values;

use std::borrow::Cow;
use std::collections::BTreeMap;

use aho_corasick::{AhoCorasick, MatchKind};

use self::gates::Guard;
use self::labels::Labels;
use self::marks::KeywordTrie;
use self::public::IMPORTED_RULES;
use self::seeds::Prefilter;
use self::seen::DerivedText;
use self::services::RULES;
use self::step::{Detector, MIN_SUFFIX_BYTES, Matcher, SpanFinder, token_windows, windows};
pub use self::text::{MAX_SCANNED_BYTES, REDACTED};
use self::text::{Span, is_word};

/// A number for the rules. Versions of aiw with other rules have another number.
pub const VERSION: i64 = include!(concat!(env!("OUT_DIR"), "/version.rs"));

/// Values shorter than this are not hidden wherever they occur: the texts would be full of holes.
const MIN_VALUE_LEN: usize = 6;

/// How often a text is decoded: JSON in JSON in JSON, HTML in a URL.
const MAX_LAYERS: usize = 3;

/// How often a text is looked through at most, if each look took something out.
const MAX_PASSES: usize = 4;

/// From how many escapes on a text is decoded that has no mark of a rule: each letter of it may be one.
const MIN_ESCAPES_TO_DECODE: usize = 12;

/// A defect in a rule.
#[derive(Debug, thiserror::Error)]
#[error("bug: a rule about secrets is invalid: {reason}")]
pub struct InvalidRule {
    /// The problem.
    pub reason: String,
}

/// Takes secrets out of texts.
pub struct Redactor {
    /// Finds in one pass which rules can match at all.
    marks: KeywordTrie,
    /// The owners of each mark.
    owners: Vec<Vec<MarkOwner>>,
    /// Rules without a mark, which look for theirs themselves.
    always: Vec<usize>,
    rules: Vec<Matcher>,
    /// The rule about names and their values.
    names: usize,
    /// The values that the caller knows, in all their forms.
    values: Option<AhoCorasick>,
    seeds: Prefilter,
    /// Whether what only looks random is taken out too, if it has a form that is known to be harmless.
    is_strict: bool,
}

/// An owner of a mark.
#[derive(Clone, Copy)]
enum MarkOwner {
    /// A rule that looks at names, commands and sentences, if what is around the mark is as it needs it.
    Rule(usize, Guard),
    /// A rule for tokens, of which one may go on in the next line.
    Token(usize, Begin),
    /// Colours or escapes, behind which secrets may be.
    Encoded,
    /// Escapes, behind which a value may be, if its name is near.
    Escaped,
    /// A list of words with an option among them.
    List,
}

/// How a token begins.
#[derive(Clone, Copy)]
struct Begin {
    /// The mark, if its case counts.
    exact: Option<&'static str>,
    /// Whether no letter, digit or underscore stands before it.
    is_word: bool,
}

impl Begin {
    /// Whether a token may begin at a place. Most of these marks are the ends of words: `task_`, `section_id`.
    fn is_at(self, bytes: &[u8], (start, end): Span) -> bool {
        self.exact.is_none_or(|mark| bytes[start..end] == *mark.as_bytes())
            && !(self.is_word && start > 0 && is_word(bytes[start - 1]))
    }
}

/// Such a function with its marks.
type ByHand = (&'static [&'static str], SpanFinder);

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").field("rules", &self.rules.len()).finish_non_exhaustive()
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

    fn all(&self, places: &mut [Span]) {
        places.iter_mut().for_each(|(start, end)| (*start, *end) = (self.moved(*start), self.moved(*end)));
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
    /// Returns a redactor that takes out these values too, in whatever encoding.
    pub fn new(values: &[String]) -> Result<Self, InvalidRule> {
        let (mut always, mut rules) = (Vec::new(), Vec::new());
        let mut owners = RuleIndex::default();
        let any: Guard = |_, _| true;
        let first: [ByHand; 2] =
            [(&["AKIA", "ASIA"], keys::find_aws_secret_keys), (keys::PRIVATE_KEY_KEYWORDS, keys::find_private_keys)];
        for (marks, find) in first {
            owners.add(marks, |_| MarkOwner::Rule(rules.len(), any));
            rules.push(Matcher::new(Detector::Spans(find)));
        }
        for rule in &RULES {
            let is_exact = !rule.pattern.starts_with("(?i)");
            let is_word = rule.pattern.trim_start_matches("(?i)").starts_with(r"\b") && !rule.is_infix;
            let begin = |mark| Begin { exact: is_exact.then_some(mark), is_word };
            owners.add(rule.marks, |mark| MarkOwner::Token(rules.len(), begin(mark)));
            always.extend(rule.marks.is_empty().then_some(rules.len()));
            rules.push(Matcher::new(Detector::Service(rule)));
        }
        for rule in IMPORTED_RULES {
            let begin = |mark| Begin { exact: rule.is_exact.then_some(mark), is_word: rule.is_word };
            owners.add(rule.marks, |mark| MarkOwner::Token(rules.len(), begin(mark)));
            rules.push(Matcher::new(Detector::Imported(rule)));
        }
        for (marks, pattern, replace) in named::searches().into_iter().chain(placed::searches()) {
            owners.add(marks, |mark| MarkOwner::Rule(rules.len(), gates::guard_for(mark)));
            rules.push(Matcher::new(Detector::Named(pattern, replace)));
        }
        // The last rules are those by hand, of which the first is about names.
        let names = rules.len();
        let last: [ByHand; 3] = [
            (named::SECRET_NAME_KEYWORDS, assigned::find_secrets),
            (named::SECRET_NAME_KEYWORDS, tables::find_secrets),
            (prose::SECRET_WORDS, prose::find_secrets),
        ];
        for (marks, find) in last {
            owners.add(marks, |_| MarkOwner::Rule(rules.len(), any));
            rules.push(Matcher::new(Detector::Spans(find)));
        }
        owners.add(seen::OBFUSCATION_SEQUENCES, |_| MarkOwner::Encoded);
        owners.add(seen::ESCAPES, |_| MarkOwner::Escaped);
        owners.add(seen::ARGUMENT_LIST_PATTERNS, |_| MarkOwner::List);
        let (marks, owners): (Vec<String>, Vec<Vec<MarkOwner>>) = owners.0.into_iter().unzip();
        let reason = |e: aho_corasick::BuildError| InvalidRule { reason: e.to_string() };
        let marks = KeywordTrie::new(&marks).map_err(reason)?;
        let known = values.iter().map(|value| value.trim()).filter(|value| value.len() >= MIN_VALUE_LEN);
        let known: Vec<String> =
            known.flat_map(values::encoded_forms).filter(|form| form.len() >= MIN_VALUE_LEN).collect();
        let values = match known.is_empty() {
            true => None,
            false => Some(AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&known).map_err(reason)?),
        };
        Ok(Self { marks, owners, always, rules, names, values, seeds: Prefilter::new(), is_strict: false })
    }

    /// Whether what only looks random is taken out too: `history.redact` is `strict`.
    #[must_use]
    pub fn strict(mut self, is_strict: bool) -> Self {
        self.is_strict = is_strict;
        self
    }

    /// The text without secrets, at most [`MAX_SCANNED_BYTES`] of it. A rule of another scanner leaves its name:
    /// `[redacted: duffel-api-token]`.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let (text, mut labels) = Labels::extract(text);
        let out = match text {
            Cow::Borrowed(text) => self.passes(text, &mut labels),
            Cow::Owned(text) => Cow::Owned(self.passes(&text, &mut labels).into_owned()),
        };
        labels.apply_to(out)
    }

    fn passes<'a>(&self, text: &'a str, labels: &mut Labels) -> Cow<'a, str> {
        let text = &text[..text.floor_char_boundary(MAX_SCANNED_BYTES)];
        let mut out = self.pass(text, labels);
        // What stood beside a secret may be seen for one only once that is gone.
        for _ in 1..MAX_PASSES {
            let Cow::Owned(before) = &out else { break };
            if around_taken(before).is_some_and(|around| self.pass(&around, &mut Labels::default()) == around) {
                break;
            }
            match self.pass(before, labels) {
                Cow::Owned(after) if after != *before => out = Cow::Owned(after),
                _ => break,
            }
        }
        out
    }

    fn pass<'a>(&self, text: &'a str, labels: &mut Labels) -> Cow<'a, str> {
        let mut out = Cow::Borrowed(text);
        let mut look = self.look(text);
        // What is a token without its breaks may be one without its rest as well: it is looked for first.
        if !look.joins.is_empty() {
            let around = windows(text, &look.torn);
            let places = &mut [&mut labels.spans];
            self.through(
                &mut out,
                |text| Some(DerivedText::from_joined_lines(text, &around, &look.joins)),
                true,
                places,
            );
            if matches!(out, Cow::Owned(_)) {
                look = self.look(&out);
            }
        }
        // What is taken out moves the rest.
        let mut lists = std::mem::take(&mut look.lists);
        let mut coded = if look.is_marked || look.coded.len() >= MIN_ESCAPES_TO_DECODE {
            std::mem::take(&mut look.coded)
        } else {
            Vec::new()
        };
        self.clean(&mut out, look.hits, None, false, &mut [&mut lists, &mut coded], Some(&mut *labels));
        if !lists.is_empty() {
            let around = windows(&out, &lists);
            let places = &mut [&mut coded, &mut labels.spans];
            self.through(&mut out, |text| Some(DerivedText::from_argument_list(text, &around)), false, places);
        }
        for layers in 1..=MAX_LAYERS {
            if coded.is_empty() {
                break;
            }
            let around = token_windows(&out, &coded);
            let places = &mut [&mut labels.spans];
            coded = self.through(&mut out, |text| DerivedText::from_decoded(text, &around, layers), false, places);
        }
        let mut take = |out: &mut Cow<'_, str>, spans: &[Span]| {
            if !spans.is_empty() {
                *out = Cow::Owned(without(out, spans));
                Moves::of(spans).all(&mut labels.spans);
            }
        };
        let spans = self.seeds.find_phrases(&out);
        take(&mut out, &spans);
        let spans = random::find_random_tokens(&out, self.is_strict, |inner| {
            self.pass(inner, &mut Labels::default()).contains(REDACTED)
        });
        take(&mut out, &spans);
        out
    }

    /// Takes out what is a secret in a text as it is seen in another way, and moves places of the text. Returns where there
    /// are escapes still: those that were escaped themselves.
    fn through(
        &self,
        out: &mut Cow<'_, str>,
        see: impl Fn(&str) -> Option<DerivedText>,
        is_forms: bool,
        places: &mut [&mut Vec<Span>],
    ) -> Vec<Span> {
        let Some(mut seen) = see(out) else { return Vec::new() };
        let mut text = Cow::Owned(std::mem::take(&mut seen.text));
        let look = self.look(&text);
        let mut coded = look.coded;
        coded
            .iter_mut()
            .for_each(|(start, end)| (*start, *end) = (seen.original_offset(*start), seen.original_offset(*end)));
        self.clean(&mut text, look.hits, Some(&mut seen), is_forms, &mut [], None);
        // Tokens without escapes are looked at in the text itself, with all that stands around them.
        if seen.is_decoded {
            let mut spans = random::find_random_tokens(&text, self.is_strict, |_| false);
            seen.retain_escaped(&text, &mut spans);
            seen.remove_spans(&spans);
        }
        let spans = seen.into_removed_spans();
        if !spans.is_empty() {
            *out = Cow::Owned(without(out, &spans));
            let moves = Moves::of(&spans);
            moves.all(&mut coded);
            places.iter_mut().for_each(|places| moves.all(places));
        }
        coded
    }

    /// Looks for the marks of all rules.
    fn look(&self, text: &str) -> MarkedText {
        let mut look = MarkedText::default();
        let (mut escaped, mut names) = (Vec::<Span>::new(), Vec::new());
        let mut joined = 0;
        let bytes = text.as_bytes();
        self.marks.for_each_match(bytes, |mark, start, end| {
            let place = (start, end);
            let mut may_be_token = None;
            for owner in &self.owners[mark] {
                match *owner {
                    MarkOwner::Rule(rule, gate) => {
                        look.is_marked = true;
                        if rule == self.names {
                            names.push(start);
                        }
                        if gate(bytes, place) {
                            look.hits.push((rule, start, end));
                        }
                    }
                    MarkOwner::Token(rule, begin) => {
                        if !*may_be_token.get_or_insert_with(|| seen::may_be_token(text, start, end)) {
                            continue;
                        }
                        look.is_marked = true;
                        if !begin.is_at(bytes, place) {
                            continue;
                        }
                        look.hits.push((rule, start, end));
                        // What begins within a token that was looked at ends where it ends.
                        if start >= joined {
                            let known = look.joins.len();
                            joined = seen::collect_line_joins(text, start, &mut look.joins);
                            if look.joins.len() > known {
                                look.torn.push(place);
                                look.torn.extend(&look.joins[known..]);
                            }
                        }
                    }
                    MarkOwner::Encoded => look.coded.push(place),
                    MarkOwner::Escaped => escaped.push(place),
                    MarkOwner::List => {
                        if seen::has_option(bytes, place) {
                            look.lists.push(place);
                        }
                    }
                }
            }
        });
        // One of them is enough to part a word.
        seen::for_each_invisible_char(text, |place| {
            look.is_marked = true;
            look.coded.push(place);
        });
        look.hits.extend(self.always.iter().map(|rule| (*rule, 0, 0)));
        look.hits.sort_unstable();
        let is_near = |(start, _): &Span| {
            let next = names.partition_point(|name| *name + 4 * MIN_SUFFIX_BYTES < *start);
            names.get(next).is_some_and(|name| *name < *start + MIN_SUFFIX_BYTES)
        };
        look.coded.extend(escaped.into_iter().filter(is_near));
        look.coded.sort_unstable();
        look.torn.sort_unstable();
        look
    }

    /// Takes out what is a secret in a text, and notes in `seen` where it was in the original. `is_forms`: only tokens.
    /// `places` and `labels` are moved with the rest of the text, and the latter gain the names of its rules.
    fn clean(
        &self,
        text: &mut Cow<'_, str>,
        mut hits: Vec<(usize, usize, usize)>,
        mut seen: Option<&mut DerivedText>,
        is_forms: bool,
        places: &mut [&mut Vec<Span>],
        mut labels: Option<&mut Labels>,
    ) {
        let mut take = |text: &mut Cow<'_, str>,
                        spans: &[Span],
                        hits: &mut [(usize, usize, usize)],
                        label: Option<&'static str>| {
            if let Some(seen) = seen.as_mut() {
                seen.remove_spans(spans);
            }
            *text = Cow::Owned(without(text, spans));
            let moves = Moves::of(spans);
            hits.iter_mut().for_each(|(_, start, end)| (*start, *end) = (moves.moved(*start), moves.moved(*end)));
            places.iter_mut().for_each(|places| moves.all(places));
            if let Some(labels) = labels.as_mut() {
                moves.all(&mut labels.spans);
                if let Some(label) = label {
                    spans.iter().for_each(|(start, _)| labels.add(moves.moved(*start), label));
                }
            }
        };
        if let Some(values) = &self.values {
            let spans: Vec<Span> = values.find_iter(text.as_ref()).map(|found| (found.start(), found.end())).collect();
            if !spans.is_empty() {
                take(text, &spans, &mut hits, None);
            }
        }
        let mut at = 0;
        while let Some((rule, ..)) = hits.get(at).copied() {
            let end = at + hits[at..].iter().take_while(|(other, ..)| *other == rule).count();
            let step = &self.rules[rule];
            if step.is_token_rule() || !is_forms {
                let places: Vec<Span> = hits[at..end].iter().map(|(_, start, end)| (*start, *end)).collect();
                let spans = step.find_secrets(text, &places);
                if !spans.is_empty() {
                    take(text, &spans, &mut hits[end..], step.label());
                }
            }
            at = end;
        }
    }

    /// Whether a field of this name holds a secret.
    pub fn is_secret_name(&self, name: &str) -> bool {
        named::is_secret_name(name)
    }
}

/// The facts that the marks of a text show besides its rules.
#[derive(Debug, Default)]
struct MarkedText {
    /// Where a line ends in what may be a token.
    joins: Vec<Span>,
    /// Where escapes and colours are.
    coded: Vec<Span>,
    /// The parts of such tokens.
    torn: Vec<Span>,
    /// Where command lines are that are lists.
    lists: Vec<Span>,
    /// Whether there is any mark of a rule, also where it can't match as the text is.
    is_marked: bool,
    /// The marks that were found: the rule, and where.
    hits: Vec<(usize, usize, usize)>,
}

/// The owners of marks, each mark in small letters and once.
#[derive(Default)]
struct RuleIndex(BTreeMap<String, Vec<MarkOwner>>);

impl RuleIndex {
    fn add(&mut self, marks: &[&'static str], owner: impl Fn(&'static str) -> MarkOwner) {
        for mark in marks {
            self.0.entry(mark.to_ascii_lowercase()).or_default().push(owner(mark));
        }
    }
}

/// The surroundings of each place of a long text where something was taken out, so that it need not be looked through again
/// whole. A short text has none.
fn around_taken(text: &str) -> Option<String> {
    const CONTEXT_BYTES: usize = 512;
    if text.len() <= 4 * CONTEXT_BYTES {
        return None;
    }
    let (mut around, mut end) = (String::new(), 0);
    for (at, taken) in text.match_indices(REDACTED) {
        let start = text.floor_char_boundary(at.saturating_sub(CONTEXT_BYTES)).max(end);
        if start > end {
            around.push('\n');
        }
        end = text.ceil_char_boundary((at + taken.len() + CONTEXT_BYTES).min(text.len())).max(start);
        around.push_str(&text[start..end]);
    }
    Some(around)
}

#[cfg(test)]
mod tests;
