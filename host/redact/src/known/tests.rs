//! Tests of what is masked and what is not, in whole and in pieces.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn of(secrets: &[&str]) -> Mask {
    Mask::new(&secrets.iter().map(|secret| secret.as_bytes().to_vec()).collect::<Vec<_>>())
}

fn masked(secrets: &[&str], pieces: &[&str]) -> String {
    let mut mask = of(secrets);
    let mut out: Vec<u8> = pieces.iter().flat_map(|piece| mask.push(piece.as_bytes())).collect();
    out.extend(mask.finish());
    String::from_utf8(out).unwrap()
}

fn delta(text: &str) -> String {
    format!("{}\n", json!({"type": "message", "role": "assistant", "content": text, "delta": true}))
}

#[test]
fn secrets_are_masked_wherever_the_pieces_end() {
    assert_eq!(masked(&["sk-12345"], &["a sk-12345 b", "sk-12", "345\nsk-1234\n"]), "a [secret] b[secret]\nsk-1234\n");
    assert_eq!(masked(&["a\"b\\c-long"], &[r#"{"x": "a\"b\\c-long"}"#]), r#"{"x": "[secret]"}"#);
    assert_eq!(masked(&["longer-secret", "longer-s"], &["longer-secret longer-s"]), "[secret] [secret]");
    assert_eq!(masked(&["longer-secret", "longer-s"], &["longer-s", "ecret"]), "[secret]");
    assert_eq!(masked(&["a-long-secret-of-it", "secret-of"], &["a-long-secret-of", " x"]), "a-long-[secret] x");
    assert_eq!(masked(&["short"], &["short"]), "short");
    assert_eq!(masked(&[], &["as it is"]), "as it is");
}

#[test]
fn escapes_and_codes_do_not_hide_a_secret() {
    for hidden in [
        r#"{"x":"sk-1\u0032\u00334/5"}"#,
        r#"{"x":"\u0073\u006B-1234\/5"}"#,
        r#"{"x":"sk-1\u001b[31m234/\u001b]0;t\u00075"}"#,
        r#"{"x":"sk-\u0000123\u200b4/5"}"#,
        "{\"x\":\"sk-1\u{ad}234/\u{9b}1m5\"}",
    ] {
        assert_eq!(masked(&["sk-1234/5"], &[hidden]), r#"{"x":"[secret]"}"#, "{hidden}");
    }
    assert_eq!(
        masked(&["sk-12345"], &["it's \x1b[1msk-\x1b[0;31m123\x1b(B45\x1b[m\n"]),
        "it's \x1b[1m[secret]\x1b[m\n"
    );
    // JSON within JSON within JSON.
    let nested = r#"{"x":"\\\\u0073k-1234\\\\\\/5"}"#;
    assert_eq!(masked(&["sk-1234/5"], &[nested]), r#"{"x":"\\[secret]"}"#);
    assert_eq!(masked(&["пароль-🔑"], &[r#"{"x":"\u043f\u0430роль-\ud83d\uDD11"}"#]), r#"{"x":"[secret]"}"#);
    assert_eq!(masked(&["sk-12345"], &["key=\\x73k-12345, \\u{73}k-12345\n"]), "key=[secret], [secret]\n");
}

#[test]
fn what_stands_around_a_secret_stays_valid_json() {
    for (secrets, line, expected) in [
        (&["12345678"][..], r#"{"pin":12345678,"x":[12345678]}"#, r#"{"pin":"[secret]","x":["[secret]"]}"#),
        (&["nvapi-12345"], r#"["a\nvapi-12345","a\\nvapi-12345"]"#, r#"["a[secret]","a\\[secret]"]"#),
        (&["secret-with\\"], r#"["secret-with\\","secret-with\"","x"]"#, r#"["[secret]","[secret]","x"]"#),
        (&["0041bcdef"], r#"["\u0041bcdef"]"#, r#"["[secret]"]"#),
        (&[r#"{"type":"account"}"#], r#"{"out":{"type":"account"}}"#, r#"{"out":"[secret]"}"#),
        (&["key-of-an-object"], r#"{"key-of-an-\u006fbject":1}"#, r#"{"[secret]":1}"#),
    ] {
        let out = masked(secrets, &[line]);
        assert_eq!(out, expected, "{line}");
        serde_json::from_str::<Value>(&out).unwrap();
    }
    assert_eq!(masked(&["first-line-of-it\nsecond-line-of-it\n"], &["x\nsecond-line-of-it\ny"]), "x\n[secret]\ny");
}

#[test]
fn a_secret_in_pieces_is_masked_and_what_only_looks_like_one_is_not() {
    let whole = |texts: &[&str]| masked(&["sk-12345678"], &[&texts.iter().map(|text| delta(text)).collect::<String>()]);
    assert_eq!(whole(&["it is sk-1", "234", "5678."]), delta("it is [secret]") + &delta("") + &delta("."));
    assert_eq!(whole(&["it is sk-1", "234", "5679."]), delta("it is sk-1") + &delta("234") + &delta("5679."));
    assert_eq!(whole(&["it is s", "k-12345678."]), delta("it is s") + &delta("[secret]."));
    // A string that ends with most of a secret is masked, because nothing shows that it is not one.
    assert_eq!(whole(&["it is sk-1234567"]), delta("it is [secret]"));
    assert_eq!(whole(&["it is sk-12"]), delta("it is sk-12"));
    // Escape codes that end with their piece, or do not.
    for (one, two) in [("sk-123\u{1b}[3", "1m45678."), ("sk-123\u{1b}[3", "45678."), ("sk-123\u{1b}]0;x", "45678.")] {
        assert_eq!(whole(&[one, two]), delta(&one.replace("sk-123", "[secret]")) + &delta(&two.replace("45678", "")));
    }
    // Nothing tells which of the words next to a string name its text.
    let lines = ["sk-12", "345678."].map(|text| format!("{{\"at\":\"{text}\",\"text\":\"{text}\"}}\n")).concat();
    assert!(!masked(&["sk-12345678"], &[&lines]).contains("345678"));
}

#[test]
fn others_may_speak_between_the_pieces_of_a_secret() {
    let mut mask = of(&["sk-12345678"]);
    let user = "{\"type\":\"message\",\"role\":\"user\",\"content\":\"go on\"}\n";
    let tool = "{\"type\":\"tool_use\",\"tool_name\":\"x\",\"parameters\":{\"content\":\"sk-12\"}}\n";
    let mut out = mask.push(delta("sk-12").as_bytes());
    assert_eq!(
        (out.as_slice(), mask.release_deadline().is_some()),
        (&br#"{"type":"message","role":"assistant","content":""#[..], true)
    );
    for line in [user.to_owned(), tool.to_owned(), delta("345678")] {
        out.extend(mask.push(line.as_bytes()));
    }
    out.extend(mask.finish());
    assert_eq!(String::from_utf8(out).unwrap(), delta("[secret]") + user + tool + &delta(""));
}

#[test]
fn held_lines_are_passed_on_after_a_while_and_what_follows_is_masked_still() {
    let mut mask = of(&["sk-12345678"]);
    let take = |mask: &mut Mask, text: &str, waits: bool| {
        let mut out = mask.push(delta(text).as_bytes());
        assert_eq!(mask.release_deadline().is_some(), waits, "{text}");
        out.extend(mask.release());
        assert_eq!(mask.release_deadline(), None);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(take(&mut mask, "is", false), delta("is"));
    assert_eq!(take(&mut mask, "it is sk-", true), delta("it is sk-"));
    assert_eq!(take(&mut mask, "1234", true), delta("[secret]"));
    assert_eq!(take(&mut mask, "56", true), delta(""));
    assert_eq!(take(&mut mask, "78 and more", false), delta(" and more"));
    // There is no need to wait for an incomplete line.
    assert!(mask.push(b"sk-1234").is_empty());
    assert_eq!(mask.release_deadline(), None);
    assert!(mask.release().is_empty());
    assert_eq!(mask.push(b"5678\n"), b"[secret]\n");
}

#[test]
fn what_never_ends_is_not_held_back_for_ever() {
    let mut mask = of(&["sk-12345678"]);
    let mut out = mask.push(b"sk-1234567\x1b]");
    for _ in 0..100 {
        out.extend(mask.push(&[b'x'; 4096]));
        assert!(mask.text.len() <= MAX_HELD_BYTES + 4096);
    }
    out.extend(mask.push(b"\x078\n"));
    out.extend(mask.finish());
    assert!(out.starts_with(b"[secret]\x1b]xxx") && out.ends_with(b"x\x07\n"));
    for number in 0..10_000 {
        out.extend(mask.push(format!("{{\"key {number}\":\"sk-1\"}}\n").as_bytes()));
    }
    assert!(mask.parked.len() <= MAX_POSITIONS && mask.text.len() <= MAX_HELD_BYTES);
}

/// How a character is written.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Form {
    Plain,
    Lower,
    Upper,
}

/// A secret in disguise: the code before each of its characters, how the character is written, and whether a piece
/// ends before it.
type Hidden = Vec<(Option<&'static str>, Form, bool)>;

/// Invisible codes, as written in JSON.
const CODES: [&str; 9] = [
    r"\u001b[31m",
    r"\u001B[0;38;2;1;22;133m",
    r"\u001b]0;title\u0007",
    r"\u001b]8;;http:\/\/x\u001b\\",
    r"\u001b(B",
    r"\u0000\u0008",
    r"\u200b",
    "\u{ad}",
    r"\u009b1m",
];

fn hidden() -> impl Strategy<Value = Hidden> {
    let code = prop_oneof![8 => Just(None), 2 => proptest::sample::select(&CODES[..]).prop_map(Some)];
    let form = prop_oneof![4 => Just(Form::Plain), 1 => Just(Form::Lower), 1 => Just(Form::Upper)];
    proptest::collection::vec((code, form, proptest::bool::weighted(0.15)), 40)
}

fn secret() -> impl Strategy<Value = String> {
    let any = proptest::string::string_regex(r#"[a-c0-9/\\"'u é€🔑_-]{8,40}"#).unwrap();
    let usual = proptest::string::string_regex("sk-[a-zA-Z0-9/+=-]{5,37}").unwrap();
    prop_oneof![any, usual].prop_filter("long enough", |secret| secret.trim() == secret)
}

/// Returns the pieces of a text with a secret, as written between JSON quotes.
fn pieces(secret: &str, hidden: &Hidden) -> Vec<String> {
    let mut pieces = vec!["it is ".to_owned()];
    for (c, (code, form, cut)) in secret.chars().zip(hidden) {
        let mut code = code.unwrap_or_default();
        if *cut {
            // The code itself may be cut, or end with its piece.
            if let Some(begin) = code.strip_suffix('m') {
                pieces.last_mut().unwrap().push_str(begin);
                code = if *form == Form::Lower { "" } else { "m" };
            }
            pieces.push(String::new());
        }
        let Some(piece) = pieces.last_mut() else { continue };
        piece.push_str(code);
        let mut units = [0; 2];
        match (form, c) {
            (Form::Plain, '"' | '\\') => piece.extend(['\\', c]),
            (Form::Plain, _) => piece.push(c),
            (Form::Lower, '/') => piece.push_str(r"\/"),
            (Form::Lower, _) => c.encode_utf16(&mut units).iter().for_each(|unit| *piece += &format!("\\u{unit:04x}")),
            (Form::Upper, _) => c.encode_utf16(&mut units).iter().for_each(|unit| *piece += &format!("\\u{unit:04X}")),
        }
    }
    pieces.last_mut().unwrap().push_str(" or so");
    pieces
}

/// Returns the lines of a CLI that writes these pieces.
fn lines(kind: usize, pieces: &[String]) -> String {
    let line = |piece: &String| match kind {
        0 => format!(r#"{{"type":"message","role":"assistant","content":"{piece}","delta":true}}"#),
        1 => format!(
            r#"{{"type":"stream_event","event":{{"index":0,"delta":{{"type":"text_delta","text":"{piece}"}}}}}}"#
        ),
        2 => format!(r#"{{"type":"item.updated","item":{{"id":"item_1","text":[{{"text":"{piece}"}}]}}}}"#),
        _ => format!(r#"{{"content":"{piece}","type":"message","{piece}":null}}"#),
    };
    let others =
        ["", "\n{\"type\":\"message\",\"role\":\"user\",\"content\":\"so\"}", "\n{\"type\":\"turn\"}", "\nwarn: s"];
    let with_other = |(number, piece): (usize, &String)| format!("{}{}\n", line(piece), others[(number + kind) % 4]);
    pieces.iter().enumerate().map(with_other).collect()
}

/// Returns the visible part of a text.
fn seen(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string().chars().filter(|c| !aiw_core::is_unsafe(*c)).collect()
}

/// Collects all strings of a value, including keys.
fn strings(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| strings(item, found)),
        Value::Object(fields) => fields.iter().for_each(|(key, value)| {
            found.push(key.clone());
            strings(value, found);
        }),
        _ => {}
    }
}

/// Returns the text of a delta in a stream of [`lines`].
fn said(value: &Value) -> &str {
    let role = value["role"] != "user";
    let places = [&value["content"], &value["event"]["delta"]["text"], &value["item"]["text"][0]["text"]];
    places.into_iter().filter(|_| role).find_map(Value::as_str).unwrap_or_default()
}

/// Passes a text through a mask in parts; time passes after some of them.
fn take(mask: &mut Mask, text: &[u8], cuts: &[(usize, bool)]) -> String {
    let (mut out, mut rest) = (Vec::new(), text);
    for (cut, pause) in cuts.iter().copied().chain([(usize::MAX, false)]) {
        let (part, left) = rest.split_at(cut.min(rest.len()));
        out.extend(mask.push(part));
        if pause {
            out.extend(mask.release());
        }
        rest = left;
    }
    out.extend(mask.finish());
    assert!(mask.text.is_empty() && mask.hits.is_empty());
    String::from_utf8(out).unwrap()
}

fn cuts() -> impl Strategy<Value = Vec<(usize, bool)>> {
    proptest::collection::vec((1usize..60, proptest::bool::weighted(0.2)), 0..40)
}

mod fuzz {
    use super::*;
    proptest! {
        #[test]
        fn a_secret_in_lines_of_json_is_never_read_again(
            secret in secret(), more in secret(), hidden in hidden(), kind in 0usize..4, cuts in cuts(),
        ) {
            let text = lines(kind, &pieces(&secret, &hidden));
            let out = take(&mut of(&[&secret, &more]), text.as_bytes(), &cuts);
            prop_assert!(!out.contains(&secret), "{}", out);
            prop_assert_eq!(out.lines().count(), text.lines().count());
            let (mut first, mut last) = (String::new(), String::new());
            for (before, line) in text.lines().zip(out.lines()) {
                let Ok(before) = serde_json::from_str::<Value>(before) else { continue };
                let value: Value = serde_json::from_str(line).map_err(|e| TestCaseError::fail(format!("{e}: {line}")))?;
                let mut found = Vec::new();
                strings(&value, &mut found);
                prop_assert!(found.iter().all(|text| !text.contains(&secret) && !seen(text).contains(&secret)), "{}", line);
                prop_assert_eq!(said(&before).is_empty() && !said(&value).is_empty(), false);
                // Joined before codes are removed, and after.
                first.push_str(said(&value));
                last.push_str(&seen(said(&value)));
            }
            prop_assert!(!first.contains(&secret) && !seen(&first).contains(&secret) && !last.contains(&secret), "{}", out);
            prop_assert!(first.starts_with("it is ") && first.ends_with(" or so"), "{}", first);
        }

        #[test]
        fn a_secret_in_plain_lines_is_never_read_again(
            secret in secret(), hidden in hidden(), cuts in cuts(), before in "[a-zé\\\\\"{\\[: ]{0,20}",
        ) {
            let uncut: Hidden = hidden.iter().map(|(code, form, _)| (*code, *form, false)).collect();
            let disguised = pieces(&secret, &uncut).concat();
            // As printed by a program that knows no JSON.
            let naked: String = secret.chars().zip(&hidden).flat_map(|(c, (code, _, _))| {
                let code: Option<String> = code.map(|code| serde_json::from_str(&format!("\"{code}\"")).unwrap());
                code.unwrap_or_default().chars().chain([c]).collect::<Vec<_>>()
            }).collect();
            let text = format!("{before}{disguised}\n{before}{naked}\n{before}{secret}");
            let out = take(&mut of(&[&secret]), text.as_bytes(), &cuts);
            prop_assert!(!out.contains(&secret) && !seen(&out).contains(&secret), "{}", out);
            let decoded = serde_json::from_str(&format!("\"{}\"", out.lines().next().unwrap().trim_start_matches(&before)));
            prop_assert!(!decoded.is_ok_and(|text: String| seen(&text).contains(&secret)), "{}", out);
        }

        #[test]
        fn what_holds_no_secret_comes_as_it_was(text in r#"([{}\[\]",:0-9a-rt-z \\\n/u]|\\u00[0-6]f|\x1b\[m|é){0,200}"#, cuts in cuts()) {
            let out = take(&mut of(&["sk-12345", "s3cr3t-s3cr3t"]), text.as_bytes(), &cuts);
            prop_assert_eq!(out, text);
        }

        #[test]
        fn any_bytes_are_taken(bytes: Vec<u8>, secret in proptest::collection::vec(any::<u8>(), 8..12), at in any::<proptest::sample::Index>()) {
            let secret: Vec<u8> = secret.into_iter().map(|byte| if byte.is_ascii_whitespace() { b'x' } else { byte }).collect();
            let at = at.index(bytes.len() + 1);
            let text = [&bytes[..at], &secret, &bytes[at..]].concat();
            let mut mask = Mask::new(std::slice::from_ref(&secret));
            let mut out: Vec<u8> = text.chunks(7).flat_map(|part| mask.push(part)).collect();
            out.extend(mask.finish());
            prop_assert!(!out.windows(secret.len()).any(|part| part == secret));
        }

        #[test]
        fn how_it_is_cut_does_not_matter(text in "[ab\n]{0,80}", cuts in cuts()) {
            let secrets = ["abababab", "aabbaabb"];
            let whole = masked(&secrets, &[&text]);
            prop_assert!(secrets.iter().all(|secret| !whole.contains(secret)));
            let calm: Vec<_> = cuts.iter().map(|(cut, _)| (*cut, false)).collect();
            prop_assert_eq!(take(&mut of(&secrets), text.as_bytes(), &calm), whole);
            prop_assert!(secrets.iter().all(|secret| !take(&mut of(&secrets), text.as_bytes(), &cuts).contains(secret)));
        }
    }
}
