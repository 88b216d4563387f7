//! Masks known values in a stream, before it is kept or shown: a model may well run `env`.
//!
//! Decoding or joining the log must not reveal a secret either. So the search sees the text as a reader does: it
//! decodes escapes, skips terminal codes and invisible characters, and continues from a JSON string to the next
//! string at the same place of a later line, which is how models stream. A match is replaced in the raw bytes.
//! Everything else is passed on byte for byte.
//!
//! Bytes that may begin a secret are held back:
//!
//! - In an incomplete line, until the line shows what they are. Readers see complete lines only, so this delays
//!   nothing.
//! - At the end of a JSON string, until the next string of the same text, but no longer than [`MAX_HOLD_DURATION`] and no more
//!   than [`HELD`] bytes. After that a long beginning ([`matters`]) is masked: masking an innocent word does no harm,
//!   but showing most of a key does. A short beginning is passed on.
//! - Fewer than [`MIN_SUFFIX_LEN`] characters at the end of a string are not held back. Ordinary words end like that all the
//!   time, and the output has to stay live.
//!
//! When the rest of a secret follows a beginning that was passed on, the rest is masked.

mod escape;
mod shape;
mod trail;

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::time::{Duration, Instant};

use escape::Escape;
use shape::{LineState, StringContext, TextContext, Transition};
use trail::{MatchLocation, PartialMatch, Span, StreamPosition};

/// The replacement for a secret.
const MASK: &[u8] = b"[secret]";
/// Shorter secrets are not masked: they may be ordinary words.
const MIN_SECRET_LEN: usize = 8;
/// How long complete lines are held back.
const MAX_HOLD_DURATION: Duration = Duration::from_secs(1);
/// A string rarely ends with this many bytes of a secret by chance.
const MIN_SUFFIX_LEN: usize = 3;
/// The maximum number of bytes that are held back.
const MAX_HELD_BYTES: usize = 64 << 10;
/// The number of places where beginnings are remembered, and of beginnings at each place.
const MAX_POSITIONS: usize = 256;
const MAX_MATCHES_PER_POSITION: usize = 64;

/// Returns how many bytes of a secret must not be shown even without the rest.
fn matters(secret: &[u8]) -> usize {
    secret.len().div_ceil(2).min(MIN_SECRET_LEN)
}

/// The secrets to mask.
struct Secrets {
    secrets: Vec<Vec<u8>>,
    /// The bytes that the fast scan stops at: those that may begin a secret, or end a string or a line.
    stops: [bool; 256],
}

/// Masks one stream.
pub struct Mask {
    secrets: Rc<Secrets>,
    shape: LineState,
    /// Bytes that were not passed on yet. The first byte is at offset `base` of the stream.
    text: Vec<u8>,
    base: u64,
    /// How many bytes of `text` were searched.
    at: usize,
    /// The last escape that was found.
    escape: Span,
    /// Possible secrets in the current line.
    trails: Vec<PartialMatch>,
    /// Possible secrets that a later string may continue, keyed by the path of the string.
    parked: HashMap<u64, Vec<PendingMatch>>,
    /// Numbers the strings that left an entry in `parked`.
    parkings: u64,
    hits: Vec<SecretHit>,
    /// The offset from which complete lines are held back, and since when.
    since: Option<(u64, Instant)>,
}

/// The beginning of a secret at the end of a string.
struct PendingMatch {
    trail: PartialMatch,
    shape: u64,
    number: u64,
}

/// Bytes to replace.
struct SecretHit {
    from: u64,
    to: u64,
    /// Whether [`MASK`] replaces them. If a secret is in pieces, only the first piece is replaced by it.
    is_said: bool,
    /// Whether a JSON quote has to be written before the replacement, and after it.
    opens: bool,
    closes: bool,
}

impl Mask {
    /// Returns a mask for these secrets. Each line of a secret with several lines counts as a secret.
    pub fn new(secrets: &[Vec<u8>]) -> Self {
        let lines = secrets.iter().flat_map(|secret| secret.split(|byte| *byte == b'\n')).map(<[u8]>::trim_ascii);
        let mut secrets: Vec<Vec<u8>> = lines.filter(|line| line.len() >= MIN_SECRET_LEN).map(<[u8]>::to_vec).collect();
        secrets.sort();
        secrets.dedup();
        let mut stops = [false; 256];
        for byte in secrets.iter().filter_map(|secret| secret.first()).chain(b"\"\\\n") {
            stops[usize::from(*byte)] = true;
        }
        Self::with(Rc::new(Secrets { secrets, stops }))
    }

    /// Returns a mask with the same secrets for another stream, or for a text.
    pub fn for_new_stream(&self) -> Self {
        Self::with(self.secrets.clone())
    }

    fn with(secrets: Rc<Secrets>) -> Self {
        Self {
            secrets,
            shape: LineState::default(),
            text: Vec::new(),
            base: 0,
            at: 0,
            escape: (0, 0),
            trails: Vec::new(),
            parked: HashMap::new(),
            parkings: 0,
            hits: Vec::new(),
            since: None,
        }
    }

    /// Returns whether there are no secrets to mask.
    pub fn is_empty(&self) -> bool {
        self.secrets.secrets.is_empty()
    }

    /// Takes the next bytes of the stream. Returns the masked bytes that can be passed on.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.text.extend_from_slice(bytes);
        self.look(false);
        let mut out = Vec::with_capacity(self.text.len());
        self.pass(&mut out);
        if self.text.len() > MAX_HELD_BYTES {
            self.let_go(u64::MAX);
            self.pass(&mut out);
        }
        if !self.text.contains(&b'\n') {
            self.since = None;
        } else if self.since.is_none_or(|(from, _)| from != self.base) {
            self.since = Some((self.base, Instant::now()));
        }
        out
    }

    /// Returns when the lines that are held back have to be passed on.
    pub fn release_deadline(&self) -> Option<Instant> {
        self.since.map(|(_, since)| since + MAX_HOLD_DURATION)
    }

    /// Returns the complete lines that were held back and have waited long enough.
    pub fn release(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        let lines = self.text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.let_go(self.base + lines as u64);
        self.pass(&mut out);
        self.since = None;
        out
    }

    /// Returns what was held back, at the end of the stream.
    pub fn finish(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.look(true);
        self.let_go(u64::MAX);
        self.pass(&mut out);
        self.since = None;
        out
    }

    /// Masks a text that was put together from the stream. The text is complete, so the beginning of a secret at its
    /// end stays, as it does in the middle.
    pub fn mask_text(&self, text: &str) -> String {
        let mut mask = self.for_new_stream();
        let mut out = mask.push(text.as_bytes());
        mask.look(true);
        mask.trails.clear();
        mask.parked.clear();
        mask.pass(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// Searches all bytes that can be judged already.
    fn look(&mut self, ended: bool) {
        while self.at < self.text.len() {
            if self.trails.is_empty() && self.shape.can_fast_scan() {
                let rest = &self.text[self.at..];
                self.at += rest.iter().position(|byte| self.secrets.stops[usize::from(*byte)]).unwrap_or(rest.len());
                if self.at == self.text.len() {
                    return;
                }
            }
            let Some(here) = self.here(ended) else { return };
            let site = self.shape.context();
            let edge = self.shape.next(here.byte);
            match edge {
                Transition::LineEnd => self.trails.clear(),
                Transition::StringEnd(place) => {
                    place.into_iter().for_each(|place| self.park(place));
                    self.trails.retain_mut(PartialMatch::leave_string);
                }
                Transition::None | Transition::StringStart(_) => {}
            }
            self.follow(&here);
            self.begin(&here, site);
            if let Transition::StringStart(place) = edge {
                self.wake(place, here.offset + 1);
            }
            self.at += 1;
        }
    }

    /// Returns what is at the current position, or `None` if that depends on bytes that have not arrived yet.
    fn here(&mut self, ended: bool) -> Option<StreamPosition> {
        let text = &self.text[self.at..];
        let byte = text[0];
        let escape = match byte {
            b'\\' => escape::parse_escape(text),
            _ => Escape::None,
        };
        let unseen = match byte {
            0x20..0x7f => ControlFlow::Continue(None),
            _ if self.trails.is_empty() => ControlFlow::Continue(None),
            _ => escape::parse_invisible_char(text),
        };
        if !ended && (escape == Escape::Incomplete || unseen.is_break()) {
            return None;
        }
        let at = self.base + self.at as u64;
        let is_within = at < self.escape.1;
        let escape = match escape {
            // The quote after `\\` ends the string.
            Escape::Complete(..) if is_within && text.get(1) == Some(&b'"') => Escape::None,
            escape => escape,
        };
        if let (Escape::Complete(_, length), false) = (escape, is_within) {
            self.escape = (at, at + length as u64);
        }
        let whole = if at < self.escape.1 { self.escape } else { (at, at + 1) };
        Some(StreamPosition {
            offset: at,
            span: whole,
            byte,
            escape,
            invisible_char: unseen.continue_value().flatten(),
        })
    }

    /// Moves the possible secrets past the current position.
    fn follow(&mut self, here: &StreamPosition) {
        if self.trails.is_empty() {
            return;
        }
        let mut trails = Vec::with_capacity(self.trails.len());
        for trail in std::mem::take(&mut self.trails) {
            if trail.next == here.offset {
                let secret = &self.secrets.secrets[trail.secret];
                trail.step(secret, here, &mut trails);
            } else {
                trails.push(trail);
            }
        }
        // Of trails that continue in the same way, the one that began first covers the others.
        trails.sort_by_key(|trail| (trail.key(), trail.start().unwrap_or(u64::MAX)));
        trails.dedup_by_key(|trail| trail.key());
        for trail in trails {
            if trail.matched == self.secrets.secrets[trail.secret].len() {
                hit(&mut self.hits, &trail, self.shape.context());
            } else {
                self.trails.push(trail);
            }
        }
    }

    /// Adds the possible secrets that begin here.
    fn begin(&mut self, here: &StreamPosition, site: TextContext) {
        if !self.secrets.stops[usize::from(here.byte)] {
            return;
        }
        let second = self.text.get(self.at + 1).copied();
        // The second byte may be an escape, be skipped, or end a piece.
        let open = second.is_none_or(|byte| !(0x20..0x7f).contains(&byte) || matches!(byte, b'\\' | b'"'));
        for (number, secret) in self.secrets.secrets.iter().enumerate() {
            if secret[0] == here.byte && (open || second == secret.get(1).copied()) {
                self.trails.push(PartialMatch::new(number, 1, here, 1, site));
            }
            if let Escape::Complete(character, length) = here.escape
                && secret.starts_with(character.as_bytes())
            {
                let matched = character.as_bytes().len();
                self.trails.push(PartialMatch::new(number, matched, here, length, site));
            }
        }
    }

    /// Handles the end of a string: a later string may continue a secret at its end.
    fn park(&mut self, place: StringContext) {
        let mut parked: Vec<PartialMatch> = self
            .trails
            .iter()
            .filter(|trail| trail.location != MatchLocation::Bytes)
            .flat_map(PartialMatch::suspend)
            .collect();
        if parked.is_empty() {
            return;
        }
        parked.sort_by_key(|trail| (trail.key(), trail.start().unwrap_or(u64::MAX)));
        parked.dedup_by_key(|trail| trail.key());
        self.parkings += 1;
        if self.parked.len() >= MAX_POSITIONS && !self.parked.contains_key(&place.path) {
            self.forget_oldest();
        }
        let there = self.parked.entry(place.path).or_default();
        for mut trail in parked {
            if trail.matched < MIN_SUFFIX_LEN {
                trail.clear_spans();
            }
            there.push(PendingMatch { trail, shape: place.shape, number: self.parkings });
        }
        let surplus = there.len().saturating_sub(MAX_MATCHES_PER_POSITION);
        for mut parked in there.drain(..surplus) {
            give_up(&self.secrets, &mut self.hits, &mut parked.trail);
        }
    }

    /// Forgets the place that has been unused for the longest time.
    fn forget_oldest(&mut self) {
        let last = |there: &[PendingMatch]| there.last().map_or(0, |parked| parked.number);
        let oldest = self.parked.iter().min_by_key(|(_, there)| last(there)).map(|(path, _)| *path);
        for mut parked in oldest.and_then(|path| self.parked.remove(&path)).unwrap_or_default() {
            give_up(&self.secrets, &mut self.hits, &mut parked.trail);
        }
    }

    /// Handles the beginning of a string. It may continue a secret that earlier strings at its path ended with. If it
    /// belongs to the same text, it settles whether that was a secret. If not, it settles nothing, and only a long
    /// rest counts as a match: a short one would match too easily.
    fn wake(&mut self, place: StringContext, next: u64) {
        let Some(there) = self.parked.get_mut(&place.path) else { return };
        let may_go_on = |parked: &&PendingMatch| {
            let secret = &self.secrets.secrets[parked.trail.secret];
            parked.shape == place.shape || secret.len() - parked.trail.matched >= matters(secret)
        };
        self.trails.extend(there.iter().filter(may_go_on).map(|parked| parked.trail.resume(next)));
        there.retain(|parked| parked.shape != place.shape);
        if there.is_empty() {
            self.parked.remove(&place.path);
        }
    }

    /// Stops holding back secrets that begin before an offset.
    fn let_go(&mut self, before: u64) {
        let parked = self.parked.values_mut().flatten().map(|parked| &mut parked.trail);
        for trail in self.trails.iter_mut().chain(parked).filter(|trail| trail.start().is_some_and(|at| at < before)) {
            give_up(&self.secrets, &mut self.hits, trail);
        }
    }

    /// Passes on everything that is not held back.
    fn pass(&mut self, out: &mut Vec<u8>) {
        let parked = self.parked.values().flatten().map(|parked| &parked.trail);
        let held = self.trails.iter().chain(parked).filter_map(PartialMatch::start).min();
        let looked = self.base + self.at as u64;
        let looked = if looked < self.escape.1 { self.escape.0 } else { looked };
        let mut end = held.unwrap_or(u64::MAX).min(looked);
        self.hits.sort_by_key(|hit| hit.from);
        while let Some(hit) = self.hits.iter().find(|hit| hit.from < end && end < hit.to) {
            end = hit.from;
        }
        let index = |place: u64| usize::try_from(place.saturating_sub(self.base)).unwrap_or(usize::MAX);
        let later = self.hits.split_off(self.hits.partition_point(|hit| hit.from < end));
        let mut hits = std::mem::replace(&mut self.hits, later).into_iter().peekable();
        let mut at = 0;
        while let Some(mut hit) = hits.next() {
            while let Some(more) = hits.next_if(|more| more.from < hit.to) {
                if more.to > hit.to {
                    (hit.to, hit.closes) = (more.to, more.closes);
                }
                hit.is_said |= more.is_said;
            }
            out.extend_from_slice(&self.text[at..index(hit.from)]);
            let said = [(hit.opens, &b"\""[..]), (hit.is_said, MASK), (hit.closes, b"\"")];
            out.extend(said.into_iter().filter(|(is, _)| *is).flat_map(|(_, bytes)| bytes));
            at = index(hit.to);
        }
        out.extend_from_slice(&self.text[at..index(end)]);
        let passed = index(end);
        self.text.drain(..passed);
        self.base += passed as u64;
        self.at -= passed;
        // Do not keep the memory of a long line forever.
        self.text.shrink_to(2 * MAX_HELD_BYTES);
    }
}

/// Records that a secret was found. `next` is the site of the byte after it. Where the match includes JSON quotes,
/// they are written again.
fn hit(hits: &mut Vec<SecretHit>, trail: &PartialMatch, next: TextContext) {
    for (number, (from, to)) in trail.spans().enumerate() {
        let is_said = number == 0 && !trail.is_masked;
        let opens = trail.context == TextContext::Value;
        let closes = trail.context != TextContext::Other && next != TextContext::String;
        hits.push(SecretHit { from, to, is_said, opens, closes });
    }
}

/// Stops holding back a beginning, masking it if it is long.
fn give_up(secrets: &Secrets, hits: &mut Vec<SecretHit>, trail: &mut PartialMatch) {
    if trail.matched >= matters(&secrets.secrets[trail.secret]) {
        hit(hits, trail, trail.context);
        trail.is_masked = true;
    }
    trail.clear_spans();
}

#[cfg(test)]
mod tests;
