//! What is held of tokens whose forms no rule knows, and what stays of texts that only look so.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod tables;

use aiw_redact::rules::Redactor;

use tables::{Case, Dice, examples, share};

/// How many forms are drawn.
const FORMS: usize = 1500;

#[test]
fn forms_that_nobody_has_seen_are_held_in_every_place() {
    let redactor = Redactor::new(&[]).unwrap();
    let mut dice = Dice::fresh();
    let seed = dice.0;
    let cases: Vec<Case> = (0..FORMS).flat_map(|_| dice.places()).collect();
    for place in ["prose", "JSON", "command", "code"] {
        let of_place: Vec<Case> = cases
            .iter()
            .filter(|case| case.place == place)
            .map(|case| Case { place: place.to_owned(), text: case.text.clone(), secret: case.secret.clone() })
            .collect();
        let (held, failed) = share(&of_place, |text| redactor.redact(text).into_owned());
        eprintln!("{place}: {held:.1} %");
        assert!(held >= 96.0, "{place}: {held:.1} % of the forms of seed {seed:#x}\n{failed}");
    }
}

#[test]
fn texts_that_only_look_so_stay() {
    let redactor = Redactor::new(&[]).unwrap();
    let mut dice = Dice::fresh();
    let seed = dice.0;
    let cases: Vec<Case> = (0..2 * FORMS).map(|_| dice.harmless()).collect();
    let (kept, failed) = share(&cases, |text| redactor.redact(text).into_owned());
    eprintln!("harmless: {kept:.1} % stay");
    assert!(kept >= 97.0, "{kept:.1} % of the texts of seed {seed:#x}\n{failed}");
}

/// Some of them are placeholders, which stay, and of some the rule takes the user for a part of the secret.
#[test]
fn examples_of_another_scanner_are_held() {
    let redactor = Redactor::new(&[]).unwrap();
    let cases = examples();
    // It is a dependency of this test: cargo fetched it.
    assert!(cases.len() > 1000, "{} examples", cases.len());
    let (held, failed) = share(&cases, |text| redactor.redact(text).into_owned());
    eprintln!("{} examples: {held:.1} %", cases.len());
    assert!(held >= 90.0, "{held:.1} %\n{failed}");
}
