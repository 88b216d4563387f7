//! What the page shows of a question, and what is carried out after its answer.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use aiw_app::{App, sync};
use aiw_core::{Choice, Effect, NonInteractive, Plan, PromptError, Prompter, Question, RecordingReporter};
use aiw_home::{ExecutionContext, Home};
use aiw_markets::NoopObserver;
use aiw_sync::{PullRequest, PushRequest, SyncError, SyncPull, Synchronizer};
use serde_json::{Value, json};

use super::NO_SCRIPTS;
use crate::person::{PromptReply, WebPrompter};

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// Someone who has answered a question with this digest.
fn answered(digest: &Value, answer: Value) -> WebPrompter {
    let answer: PromptReply = serde_json::from_value(answer).unwrap();
    WebPrompter::new([(digest.as_str().unwrap().to_owned(), answer)].into())
}

/// The question as it is sent to the page.
fn shown(person: &WebPrompter) -> Value {
    serde_json::to_value(person.pending_prompt().unwrap()).unwrap()
}

fn asked(plan: &Plan, questions: &[&Question]) -> Value {
    let person = WebPrompter::default();
    let answer = wait(person.confirm(plan, questions));
    assert!(matches!(answer, Err(PromptError::Unsupported)));
    shown(&person)
}

fn agreed(digest: &Value, values: Value, plan: &Plan, questions: &[&Question]) -> Vec<(String, String)> {
    let person = answered(digest, json!({"yes": true, "values": values}));
    let given = wait(person.confirm(plan, questions)).unwrap();
    given.into_iter().map(|(name, value)| (name, value.expose().to_owned())).collect()
}

#[test]
fn nothing_of_a_script_is_pushed_out_of_sight() {
    let script = |text: String| Plan { text: Some(text), ..Plan::new("Offer this script?") };
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
        details: vec![hidden.clone(), format!("x{}y", "\n".repeat(3000))],
        effects: vec![Effect::Runs("b\u{2063}c".to_owned())],
        ..Plan::new(hidden.clone())
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
    assert_eq!(ask["details"], json!([seen, "x", "", "", "⟨2997 empty lines more⟩", "y"]));
    assert_eq!(ask["effects"], json!(["runs b\\u{2063}c"]));
    let value = &ask["values"][0];
    for field in ["name", "description", "default", "placeholder"] {
        assert_eq!(value[field], seen, "{field}");
    }
    assert_eq!(value["choices"], json!([seen, "other"]));

    let person = WebPrompter::default();
    let choice = Choice {
        name: "way",
        question: hidden.clone(),
        short_question: "Which?".to_owned(),
        options: vec![hidden.clone(), "other".to_owned()],
        optional: false,
        flag: "--method".to_owned(),
        hidden_digests: Vec::new(),
    };
    assert!(wait(person.select(&choice)).is_err());
    let ask = shown(&person);
    assert_eq!((&ask["question"], &ask["options"]), (&json!(seen), &json!([seen, "other"])));
    assert!(wait(person.text(&hidden)).is_err() && shown(&person)["question"] == seen);
    assert!(wait(person.secret(&hidden)).is_err() && shown(&person)["question"] == seen);
    assert!(wait(person.ask_yes_no(&hidden, false)).is_err() && shown(&person)["question"] == seen);
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
    let plan = Plan::new("Do it?");
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
    let person = WebPrompter::default();
    let answer = wait(person.confirm(&Plan::new("Do it?"), &[&question]));
    assert!(matches!(answer, Err(PromptError::Unsupported)) && person.pending_prompt().is_none());
    // The same one twice is one.
    let twice = Question { choices: vec![one.clone(), one], ..question };
    assert_eq!(asked(&Plan::new("Do it?"), &[&twice])["kind"], "plan");
}

#[test]
fn an_answer_counts_once_in_a_request() {
    let person = WebPrompter::default();
    assert!(wait(person.text("The value:")).is_err());
    let first = shown(&person)["digest"].clone();
    let person = answered(&first, json!({"typed": "a"}));
    assert_eq!(wait(person.text("The value:")).unwrap().as_deref(), Some("a"));
    // The same words once more may be about something else, or the answer was of no use.
    assert!(matches!(wait(person.text("The value:")), Err(PromptError::Unsupported)));
    assert_ne!(shown(&person)["digest"], first);
}

#[test]
fn a_choice_holds_for_what_it_does_not_show() {
    let digest = |unshown: &[u8]| {
        let mut choice = Choice {
            name: "conflict",
            question: "Which?".to_owned(),
            short_question: "Which?".to_owned(),
            options: vec!["a".to_owned()],
            optional: false,
            flag: String::new(),
            hidden_digests: Vec::new(),
        };
        choice.add_hidden_bytes(unshown);
        let person = WebPrompter::default();
        assert!(wait(person.select(&choice)).is_err());
        shown(&person)["digest"].clone()
    };
    assert_eq!(digest(b"a"), digest(b"a"));
    assert_ne!(digest(b"a"), digest(b"b"));
}

/// A machine whose configuration travels to a folder.
fn machine(directory: &Path) -> (Home, Synchronizer) {
    std::fs::create_dir_all(directory.join(".claude")).unwrap();
    let around = ExecutionContext::new(Ok(directory.to_owned()), [("HOME".into(), directory.to_owned().into())]);
    let home = Home::from_root(directory.join(".aiw")).with_context(around);
    let app = App::open(home.clone(), &[], NO_SCRIPTS, Arc::new(NoopObserver));
    let own = sync::open(&app, &home).unwrap();
    (home, own)
}

fn write(directory: &Path, name: &str, text: &str) {
    let path = directory.join(".claude").join(name);
    std::fs::write(&path, text).unwrap();
    // Not one that somebody may still be writing.
    let past = std::time::SystemTime::now() - std::time::Duration::from_secs(10);
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(past).unwrap();
}

fn push(own: &Synchronizer) {
    wait(own.push(&PushRequest::default(), &NonInteractive, &RecordingReporter::default())).unwrap();
}

/// Pulls as the page does: each answer sends the request again, with all answers so far.
fn pull_on_page(
    own: &Synchronizer,
    answers: &mut BTreeMap<String, PromptReply>,
    answer: &dyn Fn(&Value) -> Option<Value>,
) -> Result<SyncPull, Value> {
    for _ in 0..20 {
        let person = WebPrompter::new(answers.clone());
        let pulled: Result<SyncPull, SyncError> = wait(own.pull(&PullRequest::default(), &person, &person));
        let Some(asked) = person.pending_prompt() else { return Ok(pulled.unwrap()) };
        let asked = serde_json::to_value(asked).unwrap();
        let Some(answer) = answer(&asked) else { return Err(asked) };
        let digest = asked["digest"].as_str().unwrap().to_owned();
        assert!(answers.insert(digest, serde_json::from_value(answer).unwrap()).is_none(), "asked twice: {asked}");
    }
    panic!("it asks without end: {:?}", answers.len());
}

#[test]
fn what_is_typed_for_one_conflict_is_not_written_into_the_next() {
    let (far, one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, other) = (one.path(), other.path());
    let settings = |value: &str| format!(r#"{{"model": "{value}", "theme": "{value}"}}"#);
    let (home, first) = machine(one);
    write(one, "settings.json", &settings("a"));
    let far = far.path().to_str().unwrap();
    wait(first.init(far, Some("first".into()), &NonInteractive, &RecordingReporter::default())).unwrap();
    push(&first);
    let phrase = home.vault().get(&"sync-phrase".parse().unwrap()).unwrap();
    let (_, second) = machine(other);
    wait(second.join(far, Some("second".into()), Some(phrase), &NonInteractive, &RecordingReporter::default()))
        .unwrap();
    wait(second.pull(&PullRequest::default(), &NonInteractive, &RecordingReporter::default())).unwrap();
    write(one, "settings.json", &settings("b"));
    push(&first);
    write(other, "settings.json", &settings("c"));
    let typed = |asked: &Value| {
        let about = |key: &str| asked["question"].as_str().unwrap().contains(&format!("claude:settings.json {key}"));
        Some(match asked["kind"].as_str().unwrap() {
            "choice" => json!({"chosen": 3}),
            "text" if about("model") => json!({"typed": "\"for the model\""}),
            "text" if about("theme") => json!({"typed": "\"for the theme\""}),
            "plan" => json!({"yes": true}),
            _ => panic!("{asked}"),
        })
    };
    pull_on_page(&second, &mut BTreeMap::new(), &typed).unwrap();
    let written: Value = serde_json::from_slice(&std::fs::read(other.join(".claude/settings.json")).unwrap()).unwrap();
    assert_eq!(written, json!({"model": "for the model", "theme": "for the theme"}));
    push(&second);

    // A yes to a plan is none to one that differs where it is not shown.
    let memory = |last: &str| (0..60).map(|line| format!("{line}\n")).collect::<String>() + last;
    wait(first.pull(&PullRequest::default(), &NonInteractive, &RecordingReporter::default())).unwrap();
    write(one, "CLAUDE.md", &memory("be brief\n"));
    push(&first);
    let mut answers = BTreeMap::new();
    let asked = pull_on_page(&second, &mut answers, &|_| None).unwrap_err();
    write(one, "CLAUDE.md", &memory("be careful\n"));
    push(&first);
    let yes = serde_json::from_value(json!({"yes": true})).unwrap();
    answers.insert(asked["digest"].as_str().unwrap().to_owned(), yes);
    let again = pull_on_page(&second, &mut answers, &|_| None).unwrap_err();
    assert_ne!(again["digest"], asked["digest"]);
    assert!(!other.join(".claude/CLAUDE.md").exists());
    pull_on_page(&second, &mut answers, &|_| Some(json!({"yes": true}))).unwrap();
    assert_eq!(std::fs::read_to_string(other.join(".claude/CLAUDE.md")).unwrap(), memory("be careful\n"));
}
