//! The names of the rules that took something out: `[redacted: duffel-api-token]`. While a text is looked through, it has
//! [`REDACTED`] in all places, and the names are kept beside it.

use std::borrow::Cow;

use super::public::IMPORTED_RULES;
use super::text::{MAX_SCANNED_BYTES, REDACTED, Span};

/// The beginning of a replacement with a name.
const LABEL_PREFIX: &str = "[redacted: ";

/// The longest name, in bytes.
const MAX_NAME_LEN: usize = 64;

/// The places of a text where a rule with a name took something out.
#[derive(Debug, Default)]
pub(super) struct Labels {
    /// The places of [`REDACTED`]. They move with the text.
    pub(super) spans: Vec<Span>,
    /// The name for each of them.
    names: Vec<&'static str>,
}

impl Labels {
    /// Takes the names out of a text that was looked through before.
    pub(super) fn extract(text: &str) -> (Cow<'_, str>, Self) {
        let mut labels = Self::default();
        let (mut out, mut last) = (String::new(), 0);
        for at in memchr::memmem::find_iter(text.as_bytes(), LABEL_PREFIX) {
            // What stands behind that is cut off.
            if out.len() + (at - last) > MAX_SCANNED_BYTES {
                break;
            }
            let rest = &text[at + LABEL_PREFIX.len()..];
            let Some(end) = rest.bytes().take(MAX_NAME_LEN + 1).position(|byte| byte == b']') else { continue };
            let name = &rest[..end];
            let Some(rule) = IMPORTED_RULES.iter().find(|rule| rule.id == name) else { continue };
            out.push_str(&text[last..at]);
            labels.add(out.len(), rule.id);
            out.push_str(REDACTED);
            last = at + LABEL_PREFIX.len() + end + 1;
        }
        if labels.names.is_empty() {
            return (Cow::Borrowed(text), labels);
        }
        let rest = &text[last..];
        out.push_str(&rest[..rest.floor_char_boundary(MAX_SCANNED_BYTES)]);
        (Cow::Owned(out), labels)
    }

    /// Notes the name of the rule that took out what was at a place.
    pub(super) fn add(&mut self, place: usize, name: &'static str) {
        self.spans.push((place, place + REDACTED.len()));
        self.names.push(name);
    }

    /// Puts the names into a text. Of what was taken out twice, the first name stays.
    pub(super) fn apply_to(self, text: Cow<'_, str>) -> Cow<'_, str> {
        if self.names.is_empty() {
            return text;
        }
        let mut labels: Vec<(usize, &str)> = self.spans.iter().map(|(start, _)| *start).zip(self.names).collect();
        labels.sort_by_key(|(start, _)| *start);
        let (mut out, mut last) = (String::with_capacity(text.len()), 0);
        for (start, name) in labels {
            // A long text was cut; a place that was taken out again has its first name already.
            if start < last || text.get(start..).is_none_or(|rest| !rest.starts_with(REDACTED)) {
                continue;
            }
            out.push_str(&text[last..start]);
            out.push_str(LABEL_PREFIX);
            out.push_str(name);
            out.push(']');
            last = start + REDACTED.len();
        }
        out.push_str(&text[last..]);
        Cow::Owned(out)
    }
}
