//! Follows a possible secret through the stream.

use anstyle_parse::state::{Action, State, state_change};

use super::escape::Escape;
use super::shape::TextContext;

/// A range of offsets in the stream.
pub(super) type Span = (u64, u64);

/// A possible secret whose beginning was found.
#[derive(Debug, Clone)]
pub(super) struct PartialMatch {
    /// The index of the secret.
    pub secret: usize,
    /// The number of its bytes that have matched.
    pub matched: usize,
    /// The state within a terminal code.
    code: State,
    /// The offset at which the match continues.
    pub next: u64,
    /// The matched bytes that were not passed on: in earlier strings, and in the current one.
    before: Vec<Span>,
    now: Option<Span>,
    /// Whether the beginning was masked and passed on.
    pub is_masked: bool,
    /// The part that the first byte belongs to.
    pub context: TextContext,
    pub location: MatchLocation,
}

/// A place that a trail leads through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum MatchLocation {
    /// The text of one string.
    SingleString,
    /// The texts of several strings.
    MultipleStrings,
    /// The raw bytes: quotes, commas, keys.
    Bytes,
}

/// The current position in the stream.
pub(super) struct StreamPosition {
    pub offset: u64,
    /// The bytes that have to be replaced together with this one: half an escape would damage what follows.
    pub span: Span,
    pub byte: u8,
    pub escape: Escape,
    /// An invisible character, and its length.
    pub invisible_char: Option<(char, usize)>,
}

impl PartialMatch {
    /// Returns the trail of a secret whose first `matched` bytes are here, written with `length` bytes.
    pub fn new(secret: usize, matched: usize, here: &StreamPosition, length: usize, site: TextContext) -> Self {
        let trail = Self {
            secret,
            matched: 0,
            code: State::Ground,
            next: here.offset,
            before: Vec::new(),
            now: None,
            is_masked: false,
            context: site,
            location: if site == TextContext::String { MatchLocation::SingleString } else { MatchLocation::Bytes },
        };
        trail.advance(matched, here, length)
    }

    /// Moves the trail one step, and adds each way to continue to `out`. A backslash may stand for itself, begin an
    /// escape, or belong to an escaped escape.
    pub fn step(mut self, secret: &[u8], here: &StreamPosition, out: &mut Vec<Self>) {
        let rest = &secret[self.matched..];
        if self.is_in_code() {
            if let Escape::Complete(character, length) = here.escape {
                out.extend(self.clone().within_code(character.as_bytes(), here.offset, length));
            }
            out.extend(self.within_code(&[here.byte], here.offset, 1));
            return;
        }
        if rest.first() == Some(&here.byte) {
            out.push(self.clone().advance(1, here, 1));
        }
        if let Escape::Complete(character, length) = here.escape {
            if rest.starts_with(character.as_bytes()) {
                out.push(self.clone().advance(character.as_bytes().len(), here, length));
            } else if let Some(c) = character.as_char().filter(|c| aiw_core::is_unsafe(*c)) {
                self.pass_over(c, here.offset, length, out);
            }
        }
        if here.byte == b'\\' {
            self.next = here.offset + 1;
            out.push(self);
        } else if let Some((c, length)) = here.invisible_char {
            self.pass_over(c, here.offset, length, out);
        }
    }

    fn advance(mut self, matched: usize, here: &StreamPosition, length: usize) -> Self {
        self.matched += matched;
        self.next = here.offset + length as u64;
        let (from, to) = here.span;
        self.now = Some((self.now.map_or(from, |(from, _)| from), self.next.max(to)));
        self
    }

    /// Skips an invisible character, alone and as the start of a terminal code.
    fn pass_over(&self, c: char, at: u64, length: usize, out: &mut Vec<Self>) {
        let next = at + length as u64;
        out.push(Self { next, ..self.clone() });
        let code = match c {
            '\u{1b}' => State::Escape,
            '\u{90}' => State::DcsEntry,
            '\u{98}' | '\u{9e}' | '\u{9f}' => State::SosPmApcString,
            '\u{9b}' => State::CsiEntry,
            '\u{9d}' => State::OscString,
            _ => return,
        };
        out.push(Self { next, code, ..self.clone() });
    }

    /// Moves within a terminal code, by the same rules as `anstream` strips codes. A line break or blank in a code is
    /// visible, and ends the match.
    fn within_code(mut self, bytes: &[u8], at: u64, length: usize) -> Option<Self> {
        for byte in bytes {
            let (code, action) = state_change(self.code, *byte);
            if action == Action::Execute && byte.is_ascii_whitespace() {
                return None;
            }
            if code != State::Anywhere {
                self.code = code;
            }
        }
        self.next = at + length as u64;
        Some(self)
    }

    fn is_in_code(&self) -> bool {
        self.code != State::Ground
    }

    /// Moves past the quote that ends a string. Returns whether the trail continues there.
    pub fn leave_string(&mut self) -> bool {
        let goes_on = self.location != MatchLocation::MultipleStrings && !self.is_in_code();
        self.location = MatchLocation::Bytes;
        goes_on
    }

    /// Returns the trails that a later string may continue. A reader who strips each piece sees a terminal code end
    /// with its piece; a reader who joins the pieces first does not.
    pub fn suspend(&self) -> impl Iterator<Item = Self> {
        let before: Vec<Span> = self.spans().collect();
        let states = [Some(self.code), Some(State::Ground).filter(|code| *code != self.code)];
        let parked = self.clone();
        states.into_iter().flatten().map(move |code| Self { code, before: before.clone(), now: None, ..parked.clone() })
    }

    /// Returns this trail, continued by the string that begins at an offset.
    pub fn resume(&self, next: u64) -> Self {
        Self { next, location: MatchLocation::MultipleStrings, ..self.clone() }
    }

    /// Returns the matched bytes that were not passed on.
    pub fn spans(&self) -> impl Iterator<Item = Span> + '_ {
        self.before.iter().copied().chain(self.now)
    }

    /// Returns the first offset that must not be passed on.
    pub fn start(&self) -> Option<u64> {
        self.spans().next().map(|(from, _)| from)
    }

    /// Marks the bytes so far as passed on.
    pub fn clear_spans(&mut self) {
        self.before = Vec::new();
        self.now = None;
    }

    /// Returns a key that is equal for two trails that continue in the same way.
    pub fn key(&self) -> (u64, usize, usize, u8, MatchLocation) {
        (self.next, self.secret, self.matched, self.code as u8, self.location)
    }
}
