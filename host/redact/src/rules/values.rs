//! Forms in which a known value may occur in a text.

/// Runs of base64 shorter than this are not looked for.
const MIN_BASE64_LEN: usize = 7;

/// All forms of a value, each once.
pub(super) fn encoded_forms(value: &str) -> Vec<String> {
    let mut forms = vec![value.to_owned()];
    // A tool's result may have JSON, and that a string of JSON.
    for once in json(value) {
        forms.extend(json(&once));
        forms.push(once);
    }
    forms.extend(percent(value));
    forms.extend(html(value));
    forms.extend(quoted(value));
    forms.extend(hex(value));
    forms.extend(base64(value));
    forms.sort();
    forms.dedup();
    forms
}

/// As it stands in URLs and forms: with few signs kept or many, and spaces as `%20` or `+`.
fn percent(value: &str) -> Vec<String> {
    let mut forms = Vec::new();
    // What `encodeURIComponent`, `encodeURI`, Python's `quote` and RFC 3986 keep.
    for kept in ["-_.~", "-_.!~*'()", "-_.!~*'();/?:@&=+$,#", "/-_.~", "*-._", ""] {
        for space in ["%20", "+"] {
            for is_upper in [true, false] {
                let mut out = String::new();
                for byte in value.bytes() {
                    match byte {
                        b' ' => out.push_str(space),
                        _ if byte.is_ascii_alphanumeric() || kept.as_bytes().contains(&byte) => {
                            out.push(char::from(byte))
                        }
                        _ if is_upper => out.push_str(&format!("%{byte:02X}")),
                        _ => out.push_str(&format!("%{byte:02x}")),
                    }
                }
                // A URL in a URL.
                forms.push(out.replace('%', "%25"));
                forms.push(out);
            }
        }
    }
    forms.push(value.bytes().map(|byte| format!("%{byte:02X}")).collect());
    forms.push(value.bytes().map(|byte| format!("%{byte:02x}")).collect());
    forms
}

/// As it stands in HTML and XML.
fn html(value: &str) -> Vec<String> {
    let escape = |quote: &str, apostrophe: &str, is_slash: bool, wide: fn(char) -> Option<String>| {
        let mut out = String::new();
        for c in value.chars() {
            match c {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '"' => out.push_str(quote),
                '\'' => out.push_str(apostrophe),
                '/' if is_slash => out.push_str("&#x2F;"),
                c => match wide(c) {
                    Some(entity) => out.push_str(&entity),
                    None => out.push(c),
                },
            }
        }
        out
    };
    let as_is: fn(char) -> Option<String> = |_| None;
    let decimal: fn(char) -> Option<String> = |c| (!c.is_ascii()).then(|| format!("&#{};", u32::from(c)));
    let hex: fn(char) -> Option<String> = |c| (!c.is_ascii()).then(|| format!("&#x{:x};", u32::from(c)));
    let mut forms = Vec::new();
    for wide in [as_is, decimal, hex] {
        for (quote, apostrophe) in [
            ("\"", "'"),
            ("&quot;", "'"),
            ("&quot;", "&#39;"),
            ("&#34;", "&#39;"),
            ("&quot;", "&#x27;"),
            ("&quot;", "&apos;"),
        ] {
            forms.push(escape(quote, apostrophe, false, wide));
            forms.push(escape(quote, apostrophe, true, wide));
        }
    }
    forms.push(value.chars().map(|c| format!("&#{};", u32::from(c))).collect());
    forms.push(value.chars().map(|c| format!("&#x{:x};", u32::from(c))).collect());
    forms.push(value.chars().map(|c| format!("&#x{:X};", u32::from(c))).collect());
    // Twice.
    let twice: Vec<String> =
        forms.iter().filter(|form| form.as_str() != value).map(|form| form.replace('&', "&amp;")).collect();
    forms.extend(twice);
    forms
}

/// As it is quoted for a shell, in YAML and in SQL.
fn quoted(value: &str) -> Vec<String> {
    let escape = |signs: &str| -> String {
        let with = |c: char| if signs.contains(c) { format!("\\{c}") } else { c.to_string() };
        value.chars().map(with).collect()
    };
    let all: String = value
        .chars()
        .map(|c| if c.is_alphanumeric() || "-_./,:@%+=".contains(c) { c.to_string() } else { format!("\\{c}") })
        .collect();
    vec![
        // In single quotes.
        value.replace('\'', r"'\''"),
        value.replace('\'', "'\"'\"'"),
        value.replace('\'', "''"),
        value.replace('\'', r"\'"),
        escape(r"\'"),
        // In double quotes.
        escape("\\\"$`"),
        escape("\\\"$`!"),
        value.replace('"', "\"\""),
        // Without quotes.
        all,
        // What SQL has besides.
        value.replace('\\', r"\\").replace('\'', "''"),
        // PowerShell
        value.chars().map(|c| if "`$\"".contains(c) { format!("`{c}") } else { c.to_string() }).collect(),
        // What the shells' `$'…'` has.
        value.replace('\\', r"\\").replace('\'', r"\'").replace('\n', r"\n").replace('\t', r"\t"),
    ]
}

/// As hexadecimal, in small and large letters, together, apart and escaped.
fn hex(value: &str) -> Vec<String> {
    let mut forms = Vec::new();
    for (before, between) in
        [("", ""), ("", " "), ("", ":"), ("", "-"), ("\\x", ""), ("\\\\x", ""), ("0x", ", "), ("0x", ",")]
    {
        let small: Vec<String> = value.bytes().map(|byte| format!("{before}{byte:02x}")).collect();
        let large: Vec<String> = value.bytes().map(|byte| format!("{before}{byte:02X}")).collect();
        forms.extend([small.join(between), large.join(between)]);
    }
    forms
}

/// As base64 of it, or of more: where it begins decides how its bytes fall into letters. What its neighbours have a part
/// in is left out.
fn base64(value: &str) -> Vec<String> {
    const ALPHABETS: [&[u8; 64]; 2] = [
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
    ];
    let mut forms = Vec::new();
    for letters in ALPHABETS {
        for before in 0..3 {
            let bits: Vec<bool> =
                value.bytes().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1)).collect();
            let skipped = (6 - before * 8 % 6) % 6;
            let letter = |bits: &[bool]| {
                let index = bits.iter().fold(0, |index, bit| index * 2 + usize::from(*bit));
                char::from(letters[(index << (6 - bits.len())) % 64])
            };
            let bits = bits.get(skipped..).unwrap_or_default();
            let whole: String = bits.chunks_exact(6).map(letter).collect();
            if whole.len() < MIN_BASE64_LEN {
                continue;
            }
            forms.push(whole.replace('/', "\\/"));
            // Its end, where nothing follows.
            let end = bits.chunks_exact(6).remainder();
            if !end.is_empty() {
                let last = format!("{whole}{}", letter(end));
                let padding = "=".repeat((4 - (last.len() + (before * 8 + skipped) / 6) % 4) % 4);
                forms.extend([format!("{last}{padding}"), last]);
            }
            forms.push(whole);
        }
    }
    forms
}

/// A value as it may stand in strings of JSON. Slashes, what isn't ASCII and what HTML has are escaped by some writers.
fn json(value: &str) -> Vec<String> {
    let mut forms = Vec::new();
    for (is_slash, is_ascii, is_html) in (0..8).map(|n| (n & 1 != 0, n & 2 != 0, n & 4 != 0)) {
        for is_upper in [false, true] {
            let mut out = String::new();
            for c in value.chars() {
                match c {
                    '"' => out.push_str("\\\""),
                    '\\' => out.push_str("\\\\"),
                    '\n' => out.push_str("\\n"),
                    '\r' => out.push_str("\\r"),
                    '\t' => out.push_str("\\t"),
                    '\u{8}' => out.push_str("\\b"),
                    '\u{c}' => out.push_str("\\f"),
                    '/' if is_slash => out.push_str("\\/"),
                    _ if c < ' ' || (is_ascii && c >= '\u{7f}') || (is_html && "<>&'".contains(c)) => {
                        for unit in c.encode_utf16(&mut [0; 2]) {
                            out.push_str(&if is_upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") });
                        }
                    }
                    _ => out.push(c),
                }
            }
            if out != value && !forms.contains(&out) {
                forms.push(out);
            }
        }
    }
    forms
}
