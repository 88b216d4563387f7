//! Tests of the whole search.

use std::path::Path;

use proptest::prelude::*;

use crate::{Cli, Hit, Message, Progress, Query, Role, Store};

const DAY: i64 = 24 * 60 * 60 * 1000;
const START: i64 = 1_780_000_000_000;

/// A store with messages, each given as session and text; a day lies between them.
fn filled(messages: &[(&str, &str)]) -> (tempfile::TempDir, Store) {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path()).unwrap();
    let messages: Vec<Message> = (0..)
        .zip(messages)
        .map(|(number, (session, text))| Message {
            uuid: format!("m{number}"),
            session: (*session).into(),
            project: format!("/p/{session}"),
            time: Some(START + number * DAY),
            role: Role::User,
            tools: Vec::new(),
            text: (*text).into(),
            agent: None,
            offset: 0,
        })
        .collect();
    let progress = Progress { offset: 1, last_uuid: None, size: 1, modified: 0, inode: 0, head: [0; 32] };
    store.append(Cli::Claude, Path::new("/t"), &messages, &progress).unwrap();
    (home, store)
}

fn found(store: &Store, text: &str) -> Vec<Hit> {
    store.search(&Query { text, ..Query::default() }, None).unwrap()
}

fn uuids(store: &Store, text: &str) -> Vec<String> {
    found(store, text).into_iter().map(|hit| hit.uuid).collect()
}

#[test]
fn the_same_text_is_found_once_and_boilerplate_does_not_hide_what_was_said_once() {
    let mut messages = vec![("real", "the login form hangs because the pool is exhausted")];
    let boilerplate = "reminder: the login form and the pool are on your list";
    messages.extend([("other", boilerplate); 300]);
    let (_home, store) = filled(&messages);
    assert_eq!(uuids(&store, "login form pool").len(), 2);
    assert_eq!(uuids(&store, "login form hangs pool")[0], "m0");
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
    // The first of their copies: the others count less.
    assert_eq!(uuids(&store, "build failed"), ["m1", "m0"]);
}

#[test]
fn filters_hold_for_every_hit() {
    let (_home, store) = filled(&[("one", "a cedar tree"), ("two", "a cedar desk"), ("three", "a cedar box")]);
    let search =
        |query: Query<'_>| store.search(&query, None).unwrap().into_iter().map(|hit| hit.uuid).collect::<Vec<_>>();
    let query = Query { text: "cedar", ..Query::default() };
    assert_eq!(search(Query { project: Some(Path::new("/p/two")), ..query }), ["m1"]);
    assert_eq!(search(Query { project: Some(Path::new("/p")), ..query }).len(), 3);
    assert_eq!(search(Query { session: Some("thr"), ..query }), ["m2"]);
    assert_eq!(search(Query { since: Some(START + DAY), ..query }).len(), 2);
    assert_eq!(search(Query { role: Some(Role::Tool), ..query }), [""; 0]);
    assert_eq!(search(Query { cli: Some(Cli::Codex), ..query }), [""; 0]);
    assert_eq!(search(Query { limit: 1, ..query }).len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_request_is_answered(text in "(\\PC|[a-z\"*^(): -]|登录){0,80}") {
        let (_home, store) = filled(&[("a", "a text with words"), ("b", "登录 \"quoted\" AND OR NOT NEAR(x)")]);
        found(&store, &text);
    }
}
