//! Private keys, also pieces of them, and what stands beside the key of an AWS account.

use std::sync::LazyLock;

use regex::Regex;

use super::text::{Span, is_mixed};

/// How the base64 of private keys begins: PKCS #1, PKCS #8 of RSA, of elliptic curves and of Ed25519, OpenSSH.
const KEY_BODY_PREFIXES: [&str; 8] = [
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC",
    "MIIEvgIBADANBgkqhkiG9w0BAQEFAASC",
    "MIIJQgIBADANBgkqhkiG9w0BAQEFAASC",
    "MIIEpAIBAAKCAQEA",
    "MIIEowIBAAKCAQEA",
    "b3BlbnNzaC1rZXktdjEA",
    "MC4CAQAwBQYDK2VwBCIE",
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0w",
];

/// One of these is in every text with one.
pub(super) const PRIVATE_KEY_KEYWORDS: &[&str] = &[
    "private key",
    "miievqibadan",
    "miievgibadan",
    "miijqgibadan",
    "miiepaibaakc",
    "miieowibaakc",
    "b3blbnnzac1rzxktdjea",
    "mc4caqawbqydk2vwbcie",
    "mighageambmgbyqgsm49",
    "mhccaqee",
];

/// The longest key.
const MAX_KEY_BYTES: usize = 32 << 10;

/// Private keys: from their first line, whole or torn, to their last one, or before a last line alone.
pub(super) fn find_private_keys(text: &str, _: &[Span]) -> Vec<Span> {
    static PEM_BOUNDARY: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"-----(BEGIN|END) [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|(?:MIIE[A-Za-z0-9+/]{28}|MIIJQgIBADANBgkqhkiG9w0BAQEFAASC|MC4CAQAwBQYDK2VwBCIE|MHcCAQEEI|MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0w|b3BlbnNzaC1rZXktdjEA)").ok()
    });
    let mut spans: Vec<Span> = Vec::new();
    let edges: Vec<_> = PEM_BOUNDARY.iter().flat_map(|edge| edge.captures_iter(text)).collect();
    // No key has a first or a last line within. What is looked at twice would be looked at again for each of many.
    let mut limit = text.len();
    let mut limits = vec![limit; edges.len()];
    for (number, found) in edges.iter().enumerate().rev() {
        limits[number] = limit;
        limit = found.get(1).and(found.get(0)).map_or(limit, |edge| edge.start());
    }
    let mut last_edge = 0;
    for (number, found) in edges.iter().enumerate() {
        let Some(whole) = found.get(0) else { continue };
        if spans.last().is_some_and(|last| whole.start() < last.1) {
            continue;
        }
        let part = |from: usize| &text[from..text.floor_char_boundary(limits[number].min(from + MAX_KEY_BYTES))];
        let span = match found.get(1).map(|edge| edge.as_str()) {
            Some("BEGIN") => {
                let end = edges.get(number + 1).filter(|next| next.get(1).is_some_and(|edge| edge.as_str() == "END"));
                let end = end.and_then(|next| next.get(0)).filter(|end| end.start() - whole.end() < MAX_KEY_BYTES);
                match end {
                    Some(end) => Some((whole.start(), end.end())),
                    None => body(part(whole.end())).map(|length| (whole.start(), whole.end() + length)),
                }
            }
            Some(_) => {
                let from = spans.last().map_or(0, |last| last.1).max(last_edge);
                Some((body_before(text, from, whole.start()), whole.end())).filter(|(start, _)| *start < whole.start())
            }
            None => {
                // In the middle of other base64, or at the start of a line.
                let before = &text.as_bytes()[..whole.start()];
                let is_within = before.last().is_some_and(|byte| is_sign(*byte)) && !before.ends_with(b"\\n");
                if is_within {
                    continue;
                }
                let is_known = KEY_BODY_PREFIXES.iter().any(|start| whole.as_str().starts_with(start))
                    || whole.as_str() == "MHcCAQEEI";
                body(part(whole.start()))
                    .filter(|length| is_known && *length >= 40)
                    .map(|length| (whole.start(), whole.start() + length))
            }
        };
        spans.extend(span);
        last_edge = found.get(1).map_or(last_edge, |_| whole.end());
    }
    spans
}

fn is_around(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '\\' | ',' | '>' | '|' | '+' | '-' | '│' | '→' | '*')
}

fn is_sign(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

/// Returns the base64 of a line without its surroundings: quotes, numbers of lines, marks of quotations and of changes.
fn bare(line: &str) -> &str {
    let line = line.trim_matches(is_around);
    let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
    // The number of a line is parted from it.
    if rest.len() < line.len() && line.len() - rest.len() <= 6 && rest.starts_with(is_around) {
        rest.trim_matches(is_around)
    } else {
        line
    }
}

fn is_body(line: &str) -> bool {
    let line = bare(line);
    let is_base64 = line.bytes().all(is_sign);
    let is_header = ["Proc-Type:", "DEK-Info:", "Version:", "Comment:"].iter().any(|name| line.starts_with(name));
    is_base64 || is_header
}

/// The lines of a text, also those that end with the two signs `\n`, with where each begins and ends.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
        let ends = [rest.find('\n').map(|end| (end, 1)), rest.find("\\n").map(|end| (end, 2))];
        let (end, length) = ends.into_iter().flatten().min().unwrap_or((rest.len(), 0));
        let start = at;
        at += end + length;
        Some((start, &rest[..end]))
    })
}

/// How long the part of a key at the start of a text is; none if there is none.
fn body(text: &str) -> Option<usize> {
    let (mut length, mut signs) = (0, 0);
    for (start, line) in lines(text).take(400) {
        if !is_body(line) {
            // In one line, with spaces.
            let words = line.split(' ').take_while(|word| is_body(word)).collect::<Vec<_>>().join(" ");
            if start == 0 && words.len() >= 40 {
                return Some(words.len());
            }
            // Its last line, before what follows the key.
            let around = line.len() - line.trim_start_matches(is_around).len();
            let run = line[around..].bytes().take_while(|byte| is_sign(*byte)).count();
            if run >= 16 && signs > 0 || run >= 40 {
                signs += run;
                length = start + around + run;
            }
            break;
        }
        signs += bare(line).len();
        if !bare(line).is_empty() {
            length = start + line.trim_end_matches(['"', '\'', ',', ' ', '+']).len();
        }
    }
    (signs >= 6).then_some(length)
}

/// Where the part of a key begins that ends at a place.
fn body_before(text: &str, from: usize, to: usize) -> usize {
    let mut from = from.max(to.saturating_sub(MAX_KEY_BYTES));
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let (mut start, mut signs) = (to, 0);
    let all: Vec<_> = lines(&text[from..to]).collect();
    for (at, line) in all.into_iter().rev() {
        if !is_body(line) || (bare(line).len() < 16 && signs > 80) {
            // Its first line, after what came before the key.
            let run = line.bytes().rev().take_while(|byte| is_sign(*byte)).count();
            if run >= 40 {
                signs += run;
                start = from + at + line.len() - run;
            }
            break;
        }
        signs += bare(line).len();
        start = from + at;
    }
    // A word of prose is base64 too.
    if signs >= 32 { start } else { to }
}

/// The secret of an AWS account near its key: 40 signs without a form of their own.
pub(super) fn find_aws_secret_keys(text: &str, _: &[Span]) -> Vec<Span> {
    static AWS_KEY_ID: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?-u)\b(?:AKIA|ASIA)[A-Z0-9]{16}\b").ok());
    let is_of = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let bytes = text.as_bytes();
    let mut spans: Vec<Span> = Vec::new();
    for id in AWS_KEY_ID.iter().flat_map(|id| id.find_iter(text)) {
        let mut at = id.start().saturating_sub(120);
        let end = (id.end() + 200).min(bytes.len());
        while at < end {
            let length = bytes[at..].iter().take_while(|byte| is_of(**byte)).count();
            let (mut start, mut run) = (at, length);
            let is_escape = at > 0 && bytes[at - 1] == b'\\' && matches!(bytes[at], b'n' | b't' | b'r');
            if run == 41 && (is_escape || bytes[at] == b'/') {
                (start, run) = (at + 1, 40);
            }
            let secret = text.get(start..start + run).unwrap_or_default();
            let is_whole = at == 0 || !matches!(bytes[at - 1], b'_' | b'-');
            if run == 40 && is_whole && is_mixed(secret) && spans.last().is_none_or(|last| last.1 <= start) {
                spans.push((start, start + run));
            }
            at += length.max(1);
        }
        // `AKIA…/secret`: one run of both.
        let rest = text.get(id.end()..).unwrap_or_default();
        let length = rest.bytes().take_while(|byte| is_of(*byte)).count();
        if length == 41
            && rest.starts_with('/')
            && is_mixed(&rest[1..length])
            && spans.last().is_none_or(|last| last.1 <= id.end())
        {
            spans.push((id.end() + 1, id.end() + length));
        }
    }
    spans
}
