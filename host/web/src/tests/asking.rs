//! What the page shows of a question, and what is carried out after its answer.

use aiw_core::{Ask, AskError, Choice, Effect, Plan, Question};
use serde_json::{Value, json};

use crate::person::{AnswerOfPerson, PagePerson};

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

/// Someone who has answered a question with this digest.
fn answered(digest: &Value, answer: Value) -> PagePerson {
    let answer: AnswerOfPerson = serde_json::from_value(answer).unwrap();
    PagePerson::new([(digest.as_str().unwrap().to_owned(), answer)].into())
}

/// The question as it is sent to the page.
fn shown(person: &PagePerson) -> Value {
    serde_json::to_value(person.open().unwrap()).unwrap()
}

fn asked(plan: &Plan, questions: &[&Question]) -> Value {
    let person = PagePerson::default();
    let answer = wait(person.agree(plan, questions));
    assert!(matches!(answer, Err(AskError::NotHere)));
    shown(&person)
}

fn agreed(digest: &Value, values: Value, plan: &Plan, questions: &[&Question]) -> Vec<(String, String)> {
    let person = answered(digest, json!({"yes": true, "values": values}));
    let given = wait(person.agree(plan, questions)).unwrap();
    given.into_iter().map(|(name, value)| (name, value.expose().to_owned())).collect()
}

#[test]
fn nothing_of_a_script_is_pushed_out_of_sight() {
    let script = |text: String| Plan { text: Some(text), ..Plan::of("Offer this script?") };
    for (text, wanted) in [
        (format!("read();{}wipe();\n", "\n".repeat(3000)), "│ read();\n│\n│\n│ ⟨2997 empty lines more⟩\n│ wipe();\n│"),
        (format!("read();{}wipe();", " ".repeat(250)), "│ read();⟨250 blanks⟩wipe();"),
        (format!("a();\n{}wipe();", "//\n".repeat(3000)), "│ a();\n│ //\n│ //\n│ ⟨2998 such lines more⟩\n│ wipe();"),
        ("// fine\rwipe();\r\nb();\u{2028}c();".to_owned(), "│ // fine\\u{d}wipe();\n│ b();\\u{2028}c();"),
        (
            "a\u{202e}b\u{200b}c\u{2063}d\u{e0100}e\u{2800}f\u{fe0f}".to_owned(),
            "│ a\\u{202e}b\\u{200b}c\\u{2063}d\\u{e0100}e\\u{2800}f\\u{fe0f}",
        ),
        ("é 日本語 ❤\u{fe0f} می\u{200c}خواهم".to_owned(), "│ é 日本語 ❤\u{fe0f} می\u{200c}خواهم"),
    ] {
        let plan = script(text);
        assert_eq!(asked(&plan, &[])["text"], wanted, "{plan:?}");
    }
    // A line of a text is not one of aiw's.
    assert_eq!(asked(&script("x\nThis is safe.".to_owned()), &[])["text"], "│ x\n│ This is safe.");
}

#[test]
fn all_that_is_asked_is_shown_by_the_same_functions() {
    let hidden = format!("a{}b\u{2063}c\rd", " ".repeat(250));
    let seen = "a⟨250 blanks⟩b\\u{2063}c\\u{d}d";
    let plan = Plan {
        about: vec![hidden.clone(), format!("x{}y", "\n".repeat(3000))],
        effects: vec![Effect::Runs("b\u{2063}c".to_owned())],
        ..Plan::of(hidden.clone())
    };
    let question = Question {
        name: hidden.clone(),
        description: Some(hidden.clone()),
        default: Some(hidden.clone()),
        placeholder: Some(hidden.clone()),
        choices: vec![hidden.clone(), "other".to_owned()],
        ..Question::default()
    };
    let ask = asked(&plan, &[&question]);
    assert_eq!(ask["question"], seen);
    assert_eq!(ask["about"], json!([seen, "x", "", "", "⟨2997 empty lines more⟩", "y"]));
    assert_eq!(ask["effects"], json!(["runs b\\u{2063}c"]));
    let value = &ask["values"][0];
    for field in ["name", "description", "default", "placeholder"] {
        assert_eq!(value[field], seen, "{field}");
    }
    assert_eq!(value["choices"], json!([seen, "other"]));

    let person = PagePerson::default();
    let choice = Choice {
        name: "way",
        question: hidden.clone(),
        short: "Which?".to_owned(),
        options: vec![hidden.clone(), "other".to_owned()],
        flag: "--way".to_owned(),
    };
    assert!(wait(person.choose(&choice)).is_err());
    let ask = shown(&person);
    assert_eq!((&ask["question"], &ask["options"]), (&json!(seen), &json!([seen, "other"])));
    assert!(wait(person.text(&hidden)).is_err() && shown(&person)["question"] == seen);
    assert!(wait(person.secret(&hidden)).is_err() && shown(&person)["question"] == seen);
    assert!(wait(person.decide(&hidden, false)).is_err() && shown(&person)["question"] == seen);
}

#[test]
fn what_is_carried_out_is_what_was_asked_and_not_how_it_was_shown() {
    let odd = format!("a{}b", " ".repeat(20));
    let with_choices = Question {
        name: "MODE".to_owned(),
        default: Some("plain".to_owned()),
        choices: vec![odd.clone(), "plain".to_owned()],
        ..Question::default()
    };
    let typed = Question { name: "N\u{2063}".to_owned(), ..Question::default() };
    let questions = [&with_choices, &typed];
    let plan = Plan::of("Do it?");
    let ask = asked(&plan, &questions);
    // A choice comes back as it was shown, and what is typed as it was typed.
    let values = json!({"MODE": ["a⟨20 blanks⟩b"], "N\\u{2063}": ["a⟨20 blanks⟩b"]});
    let given = agreed(&ask["digest"], values, &plan, &questions);
    let typed_as = "a⟨20 blanks⟩b".to_owned();
    assert_eq!(given, [("MODE".to_owned(), odd.clone()), ("N\u{2063}".to_owned(), typed_as)]);
    let given = agreed(&ask["digest"], json!({}), &plan, &questions);
    assert_eq!(given, [("MODE".to_owned(), "plain".to_owned())]);
    // A text that is shown alike is another one.
    let tabs = Plan { text: Some(format!("x\n{}\ny", "\t".repeat(3))), ..plan.clone() };
    let spaces = Plan { text: Some("x\n \ny".to_owned()), ..plan.clone() };
    let (tabs, spaces) = (asked(&tabs, &[]), asked(&spaces, &[]));
    assert_eq!(tabs["text"], spaces["text"]);
    assert_ne!(tabs["digest"], spaces["digest"]);
}

#[test]
fn choices_that_look_alike_are_not_asked_about() {
    let [one, two] = [" ", "\u{a0}"].map(|blank| format!("a{}b", blank.repeat(20)));
    let question = Question { name: "MODE".to_owned(), choices: vec![one.clone(), two], ..Question::default() };
    let person = PagePerson::default();
    let answer = wait(person.agree(&Plan::of("Do it?"), &[&question]));
    assert!(matches!(answer, Err(AskError::NotHere)) && person.open().is_none());
    // The same one twice is one.
    let twice = Question { choices: vec![one.clone(), one], ..question };
    assert_eq!(asked(&Plan::of("Do it?"), &[&twice])["kind"], "plan");
}
