//! Takes the types out of TypeScript, where that is safe.
//!
//! The parser of JavaScript says where a script is none. Only there, and only what has the form of a type, becomes blanks, one
//! place after the other, until the parser is content. So nothing is touched that means something in JavaScript.

/// More than this many types are in no script.
const MAX_TYPES: usize = 400;

/// A place where the parser gave up, in bytes, or none if it is content.
pub(crate) type ErrorOffset = Option<usize>;

/// Returns a script without its types; none if that can't be done safely. `problem` is the parser.
pub(crate) fn strip_types(text: &str, mut problem: impl FnMut(&str) -> ErrorOffset) -> Option<String> {
    let mut text = text.to_owned();
    for places in 0..MAX_TYPES {
        let Some(at) = problem(&text) else {
            // What is left of calls with types reads as comparisons.
            return (places > 0 && !has_generic_call(&text)).then_some(text);
        };
        let (start, end) = place(&text, at)?;
        blank(&mut text, start, end);
    }
    None
}

/// Replaces a part by spaces, and keeps its line breaks.
pub(crate) fn blank(text: &mut String, start: usize, end: usize) {
    let blanks: String = text[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
    text.replace_range(start..end, &blanks);
}

/// Returns what is of types where the parser gave up.
fn place(text: &str, at: usize) -> Option<(usize, usize)> {
    let rest = text.get(at..)?;
    let before = text[..at].trim_end();
    let word = word_at(rest);
    match rest.as_bytes().first()? {
        // `(a?: T)`, `const a: T`, `(): T =>`
        b':' => {
            let start = before.strip_suffix('?').map_or(at, str::len);
            Some((start, type_end(text, at + 1)?))
        }
        // `f<T>(`, `<T>(a) =>`
        b'<' => Some((at, angle_end(text, at)?)),
        // `(a, b, ...c): T =>`: without an arrow, these are no parameters.
        b')' if text[at + 1..].trim_start().starts_with(':') => {
            let start = text.len() - text[at + 1..].trim_start().len();
            Some((start, type_end(text, start + 1)?))
        }
        // `new Map<string, number>()`: the comparison has no right side; or a second variable that is none.
        b')' | b'>' => {
            generic_before(text, if rest.starts_with(')') { before.strip_suffix('(')?.len() } else { at + 1 })
        }
        b'!' => Some((at, at + 1)),
        // `a!.b`
        b'.' | b'[' | b';' | b',' if before.ends_with('!') => Some((before.len() - 1, before.len())),
        _ if matches!(word, "as" | "satisfies") => Some((at, type_end(text, at + word.len())?)),
        // `interface Name {…}`, `type Name = …;`
        _ if !word.is_empty() => {
            let start = before.trim_end_matches(|c: char| c.is_ascii_alphabetic()).len();
            match &before[start..] {
                "interface" => {
                    let open = at + rest.find('{')?;
                    let is_head = rest[..open - at].chars().all(|c| c.is_alphanumeric() || " _$<>,.\n".contains(c));
                    Some((start, balanced(text, open)?)).filter(|_| is_head)
                }
                "type" => {
                    let mut equals = at + word.len();
                    if text[equals..].starts_with('<') {
                        equals = angle_end(text, equals)?;
                    }
                    let after = text[equals..].trim_start().strip_prefix('=')?;
                    let end = type_end(text, text.len() - after.len())?;
                    Some((start, end + usize::from(text[end..].starts_with(';'))))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

fn word_at(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(text.len());
    &text[..end]
}

/// Returns the arguments of a generic call that ends here with `>`.
fn generic_before(text: &str, end: usize) -> Option<(usize, usize)> {
    let before = text[..end].trim_end();
    before.ends_with('>').then_some(())?;
    // The nearest that fits.
    let starts = before.rmatch_indices('<').map(|(at, _)| at).take(8);
    starts.filter(|at| angle_end(text, *at) == Some(before.len())).find_map(|start| {
        let name = text[..start].chars().next_back()?;
        (name.is_alphanumeric() || name == '_').then_some((start, before.len()))
    })
}

/// Whether a call with types in angle brackets is left.
fn has_generic_call(text: &str) -> bool {
    text.match_indices(">(").any(|(at, _)| generic_before(text, at + 1).is_some())
}

/// Skips blanks and comments.
fn skip(text: &str, mut at: usize) -> usize {
    loop {
        let rest = &text[at..];
        let trimmed = rest.trim_start();
        at = text.len() - trimmed.len();
        let comment = match () {
            () if trimmed.starts_with("//") => trimmed.find('\n').unwrap_or(trimmed.len()),
            () if trimmed.starts_with("/*") => trimmed.find("*/").map_or(trimmed.len(), |end| end + 2),
            () => return at,
        };
        at += comment;
    }
}

/// Returns where a type that begins here ends.
fn type_end(text: &str, at: usize) -> Option<usize> {
    let mut at = at;
    for _ in 0..200 {
        at = skip(text, at);
        if text[at..].starts_with(['|', '&']) {
            at = skip(text, at + 1);
        }
        while let prefix @ ("keyof" | "readonly" | "typeof" | "unique" | "asserts") = word_at(&text[at..]) {
            at = skip(text, at + prefix.len());
        }
        at = primary_end(text, at)?;
        // `T[]`, `T['key']`
        while text[at..].starts_with('[') {
            at = balanced(text, at)?;
        }
        let next = skip(text, at);
        let rest = &text[next..];
        if word_at(rest) == "is" {
            at = next + "is".len();
            continue;
        }
        let goes_on = rest.starts_with(['|', '&']) && !rest.starts_with("||") && !rest.starts_with("&&");
        if !goes_on {
            return Some(at);
        }
        at = next;
    }
    None
}

fn primary_end(text: &str, at: usize) -> Option<usize> {
    let rest = &text[at..];
    match rest.as_bytes().first()? {
        b'(' => {
            let end = balanced(text, at)?;
            let next = skip(text, end);
            match text[next..].strip_prefix("=>") {
                Some(_) => type_end(text, next + 2),
                None => Some(end),
            }
        }
        b'{' | b'[' => balanced(text, at),
        quote @ (b'"' | b'\'' | b'`') => string_end(text, at, *quote),
        b'-' | b'0'..=b'9' => {
            let digits = rest[1..].find(|c: char| !(c.is_ascii_digit() || c == '.')).map_or(rest.len(), |end| end + 1);
            Some(at + digits)
        }
        _ => {
            let mut end = at;
            loop {
                let word = word_at(&text[end..]);
                if word.is_empty() || word.starts_with(|c: char| c.is_ascii_digit()) {
                    return None;
                }
                end += word.len();
                if !text[end..].starts_with('.') {
                    break;
                }
                end += 1;
            }
            if text[end..].starts_with('<') { angle_end(text, end) } else { Some(end) }
        }
    }
}

/// Returns the end of `<…>`, in which there are types.
fn angle_end(text: &str, at: usize) -> Option<usize> {
    let mut at = at + 1;
    for _ in 0..50 {
        at = type_end(text, at)?;
        at = skip(text, at);
        // `<T extends A = B>`
        while let Some(word) = ["extends", "="].into_iter().find(|word| text[at..].starts_with(word)) {
            at = skip(text, type_end(text, at + word.len())?);
        }
        match text.as_bytes().get(at)? {
            b',' => at += 1,
            b'>' => return Some(at + 1),
            _ => return None,
        }
    }
    None
}

fn string_end(text: &str, at: usize, quote: u8) -> Option<usize> {
    let mut is_escaped = false;
    for (offset, byte) in text[at..].bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'\n' if quote != b'`' => return None,
            b'{' if quote == b'`' => return None,
            byte if byte == quote => return Some(at + offset + 1),
            _ => {}
        }
    }
    None
}

/// Returns the end of what a bracket opens here. Strings and comments in it are skipped.
fn balanced(text: &str, at: usize) -> Option<usize> {
    let mut open = Vec::new();
    let mut at = at;
    loop {
        at = skip(text, at);
        let byte = *text.as_bytes().get(at)?;
        match byte {
            b'(' => open.push(b')'),
            b'[' => open.push(b']'),
            b'{' => open.push(b'}'),
            b')' | b']' | b'}' => {
                if open.pop() != Some(byte) {
                    return None;
                }
                if open.is_empty() {
                    return Some(at + 1);
                }
            }
            b'"' | b'\'' | b'`' => {
                at = string_end(text, at, byte)?;
                continue;
            }
            _ => {}
        }
        at += text[at..].chars().next().map_or(1, char::len_utf8);
    }
}
