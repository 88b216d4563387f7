//! Tests of the whole search.

use std::path::Path;

use proptest::prelude::*;

use crate::{Cli, HistoryQuery, MessageAuthor, ReadProgress, SessionHit, SessionMessage, Store};

const DAY: i64 = 24 * 60 * 60 * 1000;
const START: i64 = 1_780_000_000_000;

/// A store with messages, each given as session and text; a day lies between them.
fn filled(messages: &[(&str, &str)]) -> (tempfile::TempDir, Store) {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path()).unwrap();
    let messages: Vec<SessionMessage> = (0..)
        .zip(messages)
        .map(|(number, (session, text))| SessionMessage {
            uuid: format!("m{number}"),
            session: (*session).into(),
            project: format!("/p/{session}"),
            time: Some(START + number * DAY),
            role: MessageAuthor::User,
            tools: Vec::new(),
            text: (*text).into(),
            agent: None,
            offset: 0,
        })
        .collect();
    let progress = ReadProgress { offset: 1, last_uuid: None, size: 1, modified: 0, inode: 0, prefix_digest: [0; 32] };
    store.append(Cli::Claude, Path::new("/t"), &messages, &progress).unwrap();
    (home, store)
}

fn found(store: &Store, text: &str) -> Vec<SessionHit> {
    store.search(&HistoryQuery { text, ..HistoryQuery::default() }, None).unwrap()
}

fn uuids(store: &Store, text: &str) -> Vec<String> {
    found(store, text).into_iter().map(|hit| hit.uuid).collect()
}

#[test]
fn boilerplate_does_not_hide_what_was_said_once_and_a_few_copies_are_all_found() {
    let mut messages = vec![("real", "the login form hangs because the pool is exhausted")];
    let boilerplate = "reminder: the login form and the pool are on your list";
    let others: Vec<String> = (0..300).map(|n| format!("other{n}")).collect();
    messages.extend(others.iter().map(|session| (session.as_str(), boilerplate)));
    messages.extend([("one", "restart the sextant"), ("two", "restart the sextant")]);
    let (_home, store) = filled(&messages);
    assert!(uuids(&store, "login form pool")[..2].contains(&"m0".to_owned()));
    assert_eq!(uuids(&store, "login form hangs pool")[0], "m0");
    let mut copies = uuids(&store, "restart sextant");
    copies.sort();
    assert_eq!(copies, ["m301", "m302"]);
}

#[test]
fn what_a_session_says_twice_is_found_once() {
    let (_home, store) = filled(&[("a", "restart the sextant"), ("a", "why?"), ("a", "restart the sextant\n")]);
    assert_eq!(uuids(&store, "restart sextant").len(), 1);
}

#[test]
fn what_differs_in_a_number_alone_is_not_the_same() {
    let messages: Vec<(String, String)> =
        (0..12).map(|n| (format!("s{n}"), format!("the sensor listens on port {}", 4100 + n))).collect();
    let messages: Vec<(&str, &str)> = messages.iter().map(|(session, text)| (&**session, &**text)).collect();
    let (_home, store) = filled(&messages);
    for n in [0, 7, 11] {
        assert_eq!(uuids(&store, &format!("which sensor listens on port {}", 4100 + n))[0], format!("m{n}"));
    }
}

#[test]
fn accents_apostrophes_and_the_place_of_a_name_hide_nothing() {
    let (_home, store) = filled(&[
        ("a", "l'écran s’affiche après la création"),
        ("b", "store.fetchLedgerRow(id) returns nothing"),
        ("c", "fetch a ledger, then the row of another ledger"),
        ("d", "Lucas's wrench"),
    ]);
    for (text, uuid) in
        [("ecran", "m0"), ("écran creation", "m0"), ("fetchledgerrow", "m1"), ("fetchLedgerRow", "m1"), ("lucas", "m3")]
    {
        assert_eq!(uuids(&store, text).first().map(String::as_str), Some(uuid), "{text}");
    }
}

#[test]
fn a_session_about_it_counts_for_each_of_its_messages() {
    let (_home, store) = filled(&[
        ("apart", "we deploy on friday"),
        ("about", "the certificate of the mirror is broken"),
        ("about", "the mirror serves an old certificate"),
        ("about", "we deploy on friday, maybe"),
        ("apart", "nothing else"),
    ]);
    let order = uuids(&store, "deploy friday certificate mirror");
    let place = |uuid: &str| order.iter().position(|found| found == uuid).unwrap();
    assert!(place("m3") < place("m0"), "{order:?}");
}

#[test]
fn misspelt_words_and_starts_of_words_are_found() {
    let (_home, store) = filled(&[("a", "the authentication of the gateway"), ("b", "an orchard of apples")]);
    for text in ["authentcation", "authent", "gatway", "orchrad"] {
        assert_eq!(uuids(&store, text).len(), 1, "{text}");
    }
    assert_eq!(uuids(&store, "zzzzzz"), [""; 0]);
}

#[test]
fn names_are_found_whole_in_parts_and_in_any_case() {
    let (_home, store) = filled(&[
        ("a", "calls getUserName twice"),
        ("b", "the user gets a name"),
        ("c", "error[E0502]: cannot borrow"),
        ("d", "登录页面一直卡住"),
        ("e", "ログイン画面が遅い"),
    ]);
    for (text, uuid) in [
        ("getUserName", "m0"),
        ("getusername", "m0"),
        ("get_user_name", "m0"),
        ("E0502", "m2"),
        ("登录", "m3"),
        ("ログイン", "m4"),
    ] {
        assert_eq!(uuids(&store, text).first().map(String::as_str), Some(uuid), "{text}");
    }
}

#[test]
fn of_equals_the_newer_is_first_and_words_that_everybody_uses_are_searched_too() {
    let messages: Vec<(String, String)> =
        (0..400).map(|n| (format!("s{n}"), format!("the build failed with item {}", ["red", "blue"][n % 2]))).collect();
    let messages: Vec<(&str, &str)> =
        messages.iter().map(|(session, text)| (session.as_str(), text.as_str())).collect();
    let (_home, store) = filled(&messages);
    // Not what was stored first.
    assert_eq!(uuids(&store, "build failed")[..2], ["m399", "m398"]);
}

#[test]
fn filters_hold_for_every_hit() {
    let (_home, store) = filled(&[("one", "a cedar tree"), ("two", "a cedar desk"), ("three", "a cedar box")]);
    let search = |query: HistoryQuery<'_>| {
        store.search(&query, None).unwrap().into_iter().map(|hit| hit.uuid).collect::<Vec<_>>()
    };
    let query = HistoryQuery { text: "cedar", ..HistoryQuery::default() };
    assert_eq!(search(HistoryQuery { project: Some(Path::new("/p/two")), ..query }), ["m1"]);
    assert_eq!(search(HistoryQuery { project: Some(Path::new("/p")), ..query }).len(), 3);
    assert_eq!(search(HistoryQuery { session: Some("thr"), ..query }), ["m2"]);
    assert_eq!(search(HistoryQuery { since: Some(START + DAY), ..query }).len(), 2);
    assert_eq!(search(HistoryQuery { role: Some(MessageAuthor::Tool), ..query }), [""; 0]);
    assert_eq!(search(HistoryQuery { cli: Some(Cli::Codex), ..query }), [""; 0]);
    assert_eq!(search(HistoryQuery { limit: 1, ..query }).len(), 1);
}

mod fuzz {
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn any_request_is_answered(text in "(\\PC|[a-z\"*^(): -]|登录){0,80}") {
            let (_home, store) = filled(&[("a", "a text with words"), ("b", "登录 \"quoted\" AND OR NOT NEAR(x)")]);
            found(&store, &text);
        }

        /// The operators, columns and quotes of FTS5 are words here.
        #[test]
        fn what_looks_like_a_query_language_is_words(
            parts in prop::collection::vec(
                prop_oneof![
                    Just("AND"), Just("OR"), Just("NOT"), Just("NEAR(a b, 3)"), Just("\""), Just("''"), Just("*"), Just("^"),
                    Just("terms:"), Just("{terms}:"), Just("+"), Just("("), Just(")"), Just(";--"), Just("\0"), Just("%"),
                    Just("§"), Just("\u{202e}"), Just("e\u{301}"), Just("l'"), Just("’s"), Just("a.b::c"), Just("登"),
                ],
                0..40,
            ),
            joint in prop_oneof![Just(""), Just(" ")],
        ) {
            let (_home, store) = filled(&[("a", "a zebra on the ark"), ("b", "another zebra")]);
            let text = format!("{} zebra", parts.join(joint));
            prop_assert_eq!(uuids(&store, &text).len(), 2, "{}", text);
        }

        /// However long a request is, only a bounded part of it is looked for.
        #[test]
        fn a_request_has_a_bounded_number_of_terms(piece in "(\\PC|[a-zA-Z_.:'’é ]){1,40}", times in 1..4000_usize) {
            let (_home, store) = filled(&[("a", "a text with words"), ("b", "登录 max_retries zebra")]);
            let text = piece.repeat(times);
            let mut end = text.len().min(super::super::MAX_QUERY);
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            let request = super::super::spelling::ParsedQuery::new(&store.connection, &text[..end]);
            let request = request.map_err(|e| TestCaseError::fail(e.to_string()))?;
            prop_assert!(request.terms.len() <= 48 * 3 && request.pairs.len() <= super::super::MAX_QUERY);
            prop_assert!(request.terms.iter().all(|term| !term.term.contains('"') && term.weight.is_finite()));
            found(&store, &text);
        }
    }
}

#[test]
fn what_has_all_of_the_words_stays_first_whatever_means_the_same() {
    let Some(runtime) = aiw_tests::onnx_runtime() else { return };
    let (_home, store) = filled(&[
        ("a", "find zebra headlines: convert the pdf, send mail, play music, then the weather and the time zone"),
        ("b", "find search look up headlines"),
        ("b", "search news headlines articles"),
        ("b", "look up articles and news"),
    ]);
    let directory = tempfile::tempdir().unwrap();
    aiw_tests::tiny_model(directory.path());
    let files = aiw_vectors::ModelFiles::new(directory.path(), runtime);
    let embedder = aiw_vectors::Embedder::load(&files).unwrap();
    store.embed(&embedder, 10).unwrap();
    let first = |text: &str| {
        let hits = store.search(&HistoryQuery { text, ..HistoryQuery::default() }, Some(&embedder)).unwrap();
        hits[0].uuid.clone()
    };
    assert_eq!(uuids(&store, "find zebra headlines")[0], "m0");
    assert_eq!(first("find zebra headlines"), "m0");
    // Meaning still brings what no word does.
    assert_ne!(first("web articles news"), "m0");
}
