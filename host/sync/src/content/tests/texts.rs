//! Texts, line by line, and bytes that are not text.

use super::*;

fn text(base: &str, mine: &str, theirs: &str) -> Option<String> {
    let merging = merging(ContentForm::Text, Some(base), mine, theirs);
    merging.conflicts().is_empty().then(|| decided(&merging, mine, &ContentChoice::Mine))
}

#[test]
fn lines_of_both_come_together() {
    assert_eq!(text("a\nb\nc\nd\n", "A\nb\nc\nd\n", "a\nb\nc\nD\n").as_deref(), Some("A\nb\nc\nD\n"));
    assert_eq!(text("a\nb\n", "A\nb\n", "Z\nb\n"), None);
    assert_eq!(text("a\n", "a\n", "b\n").as_deref(), Some("b\n"));
    assert_eq!(text("a\n", "b\n", "a\n").as_deref(), Some("b\n"));
    // The last line's end, and how lines end.
    assert_eq!(text("a\nb\nc\nd", "A\nb\nc\nd", "a\nb\nc\nd\n").as_deref(), Some("A\nb\nc\nd\n"));
    assert_eq!(text("a\nb\nc\nd\n", "A\nb\nc\nd", "a\nb\nc\nD\n").as_deref(), Some("A\nb\nc\nD"));
    assert_eq!(text("a\r\nb\r\nc\r\n", "A\r\nb\r\nc\r\n", "a\r\nb\r\nC\r\n").as_deref(), Some("A\r\nb\r\nC\r\n"));
    assert_eq!(text("a\nb\nc\n", "a\r\nb\r\nc\r\n", "a\nb\nC\n").as_deref(), Some("a\r\nb\r\nC\r\n"));
    assert_eq!(text("a\r\nb\nc\nd\n", "A\r\nb\nc\nd\n", "a\r\nb\nc\nD\n").as_deref(), Some("A\r\nb\nc\nD\n"));
    assert_eq!(text("", "a\n", "b\n"), None);
}

#[test]
fn a_conflict_is_the_whole_text_and_no_mark_is_ever_written() {
    let merging = merging(ContentForm::Text, Some("a\nb\n"), "A\nb\n", "Z\nb\n");
    assert_eq!(keys(&merging), [""]);
    assert_eq!(merging.conflicts()[0].mine.as_ref().unwrap().framed(), "│ A\n│ b");
    assert_eq!(decided(&merging, "A\nb\n", &ContentChoice::Mine), "A\nb\n");
    assert_eq!(decided(&merging, "A\nb\n", &ContentChoice::Theirs), "Z\nb\n");
    assert_eq!(decided(&merging, "A\nb\n", &ContentChoice::Edited(b"both".to_vec())), "both");
}

#[test]
fn without_a_base_texts_that_differ_are_a_conflict() {
    let versions = |bases, mine, theirs| Versions { bases, mine: Some(mine), theirs: Some(theirs) };
    let conflicts = |form, versions| merge(form, &versions, &RULES, home()).unwrap().conflicts().len();
    assert_eq!(conflicts(ContentForm::Text, versions(&[], b"a\n", b"a\nb\n")), 1);
    assert_eq!(conflicts(ContentForm::Text, versions(&[None], b"a\n", b"a\nb\n")), 1);
    assert_eq!(conflicts(ContentForm::Text, versions(&[], b"a\n", b"a\n")), 0);
    assert_eq!(conflicts(ContentForm::Text, versions(&[Some(b"a\n"), Some(b"b\n")], b"a\n", b"b\n")), 1);
    // Bytes are never merged.
    assert_eq!(conflicts(ContentForm::Binary, versions(&[Some(b"a\nb\nc\n")], b"A\nb\nc\n", b"a\nb\nC\n")), 1);
    assert_eq!(conflicts(ContentForm::Text, versions(&[Some(b"a\nb\nc\n")], b"A\nb\nc\n", b"a\nb\n\xff\n")), 1);
    assert_eq!(conflicts(ContentForm::Binary, versions(&[Some(b"a")], b"a", b"b")), 0);
}

#[test]
fn a_difference_says_keys_lines_or_sizes() {
    let changes =
        difference(ContentForm::Json, Some(b"{\"a\": {\"b\": 1, \"c\": 2}}"), Some(b"{\"a\": {\"b\": 3}, \"d\": []}"));
    let said: Vec<String> = changes
        .iter()
        .map(|change| {
            format!(
                "{} {:?} {:?}",
                change.key.join("."),
                change.old.as_ref().map(ToString::to_string),
                change.new.as_ref().map(ToString::to_string)
            )
        })
        .collect();
    assert_eq!(said, ["a.b Some(\"1\") Some(\"3\")", "a.c Some(\"2\") None", "d None Some(\"[]\")"]);
    let changes = difference(ContentForm::Text, Some(b"a\nb\n"), Some(b"a\nc\n"));
    assert_eq!(changes[0].diff.as_deref(), Some("--- original\n+++ modified\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n"));
    let changes = difference(ContentForm::Binary, None, Some(b"ab"));
    assert!(changes[0].new.as_ref().unwrap().as_str().unwrap().starts_with("2 bytes, sha256 fb8e20fc"));
    assert!(difference(ContentForm::Json, Some(b"{"), Some(b"{}")).iter().all(|change| change.diff.is_some()));
    assert!(difference(ContentForm::Toml, Some(b"a = 1"), Some(b"a   = 1")).is_empty());
}

/// Comparing takes time that grows with the square of what differs.
#[test]
fn hostile_repetition_is_bounded() {
    let lines = |pattern: [&str; 3]| (0..4998 / 3).map(|_| pattern.concat()).collect::<String>();
    let sides = [lines(["a\n", "b\n", "a\n"]), lines(["b\n", "a\n", "c\n"]), lines(["c\n", "c\n", "a\n"])];
    let _ = text(&sides[0], &sides[1], &sides[2]);
    let mut seed = 1u32;
    let mut noise = || {
        (0..5000)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if seed >> 31 == 0 { "a\n" } else { "b\n" }
            })
            .collect::<String>()
    };
    let _ = text(&noise(), &noise(), &noise());
    // What is longer is a choice.
    let long = "a\n".repeat(5001);
    assert_eq!(text(&long, &(long.clone() + "b\n"), &("b\n".to_owned() + &long)), None);
}

#[test]
fn hostile_structures_are_answered() {
    for form in [ContentForm::Json, ContentForm::Toml] {
        let json = form == ContentForm::Json;
        let many = |prefix: &str| -> String {
            let keys = (0..2_000).map(|n| {
                if json { format!("\"{prefix}{n}\": {{\"a\": 1}},") } else { format!("{prefix}{n} = {{ a = 1 }}\n") }
            });
            let keys: String = keys.collect();
            if json { format!("{{{keys}}}") } else { keys }
        };
        let (mine, theirs) = (many("a"), many("b"));
        let versions = Versions { bases: &[], mine: Some(mine.as_bytes()), theirs: Some(theirs.as_bytes()) };
        assert!(matches!(merge(form, &versions, &RULES, home()), Err(ContentError::Unwritable { .. })));
        let some = |text: &str| text.split_inclusive(if json { "}," } else { "\n" }).take(5).collect::<String>();
        let theirs = some(&theirs) + if json { "}" } else { "" };
        let versions = Versions { bases: &[], mine: Some(mine.as_bytes()), theirs: Some(theirs.as_bytes()) };
        assert!(merge(form, &versions, &RULES, home()).is_ok());
        for deep in [
            "[".repeat(300_000),
            "a.".repeat(300_000) + "a = 1",
            "{\"a\":".repeat(150_000),
            "a = {".repeat(200_000),
            format!("[{}a]", "a.".repeat(300_000)),
        ] {
            assert!(to_synced_content(form, deep.as_bytes(), &RULES, home()).is_err(), "{}", &deep[..10]);
        }
    }
}
