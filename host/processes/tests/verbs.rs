//! Verbs of processes, for a person who is recorded. Whatever they say, the file and what is allowed are as before or as
//! they agreed to.

#![expect(clippy::unwrap_used, reason = "a test ends by a panic, its helpers too")]

#[path = "../../app/tests/verbs/person.rs"]
mod person;

use std::fs;
use std::path::{Path, PathBuf};

use aiw_core::{
    Choice, Diagnostic, Effect, NonInteractive, Plan, PromptError, Prompter, Question, Secret, SnapshotName,
};
use aiw_home::Home;
use aiw_processes::{
    Author, DefineRequest, ExportFormat, ExportRequest, Manager, ProcessEdit, ProcessError, ProcessProject,
    RedefineRequest, SnapshotChange, SnapshotSummary, StartResults, WaitFor, Watch,
};
use futures::FutureExt;
use serde_json::{Value, from_value, json};

use person::{Does, Recorded};

/// A project with a home of its own.
struct Place {
    directory: tempfile::TempDir,
    manager: Manager,
}

impl Place {
    fn new(file: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("project");
        fs::create_dir_all(root.join(".ichimi")).unwrap();
        fs::write(root.join(".ichimi/processes.kdl"), file).unwrap();
        let home = Home::from_root(directory.path().join("home"));
        let manager = Manager::open(&home, ProcessProject::discover(&root).unwrap()).unwrap();
        Self { directory, manager }
    }

    fn file(&self) -> PathBuf {
        self.manager.project().file()
    }

    fn write(&self, text: &str) {
        fs::write(self.file(), text).unwrap();
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    /// The settings, in which allowed files are.
    fn settings(&self) -> Option<String> {
        fs::read_to_string(self.directory.path().join("home/settings.json")).ok()
    }

    fn is_allowed(&self) -> bool {
        !self.manager.load().unwrap().needs_approval()
    }

    fn allow(&self) {
        now(self.manager.load_with_consent(&[], &Recorded::agreeing(), &NonInteractive)).unwrap();
        assert!(self.is_allowed());
    }

    fn ids(&self) -> Vec<String> {
        self.manager.load().unwrap().definitions.into_keys().collect()
    }
}

/// The result of a verb that waits for nobody.
fn now<T>(verb: impl Future<Output = T>) -> T {
    verb.now_or_never().unwrap()
}

fn names(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

const FILE: &str = r#"process "a" {
    command "serve" "--all"
    cwd "sub"
    env { LD_PRELOAD "/tmp/x.so"; API_KEY "hunter2"; TOKEN secret="mine" }
    env-file "vars"
    ready exec="check" "it \n now"
    live http="http://127.0.0.1:80/"
}
process "b" { shell "echo fine # \ntouch hidden"; needs "a"; auto-start #false }
"#;

#[test]
fn what_a_file_starts_is_shown_and_the_answer_counts() {
    let place = Place::new(FILE);
    let start = |person: &Recorded| place.manager.start(&[], person, person).now_or_never();
    let before = place.settings();
    assert!(matches!(start(&Recorded::new(0, Does::Declines)), Some(Err(ProcessError::Prompt(PromptError::Declined)))));
    // Where nobody is asked, nothing of the file starts.
    assert!(matches!(start(&Recorded::new(0, Does::Absent)), Some(Err(ProcessError::Untrusted { .. }))));
    // Who goes away at the question has allowed nothing.
    assert!(start(&Recorded::new(0, Does::Waits)).is_none());
    assert_eq!((place.settings(), place.is_allowed()), (before, false));
    let person = Recorded::agreeing();
    now(place.manager.load_with_consent(&[], &person, &person)).unwrap();
    assert!(place.is_allowed());
    let plan = person.plans.lock().unwrap()[0].clone();
    let expected = [
        format!("`{}` defines:", place.file().display()),
        "  a: serve --all in sub".into(),
        "    ready: runs check 'it \\n now'".into(),
        "    live: asks http://127.0.0.1:80/".into(),
        "    with API_KEY=…, LD_PRELOAD=/tmp/x.so, TOKEN from the secret mine".into(),
        "    decides by its variables which code runs: LD_PRELOAD".into(),
        "    with the variables of vars".into(),
        "  b (shell): echo fine # \\ntouch hidden".into(),
        "    starts a before it".into(),
        "    is started only when it is named".into(),
    ];
    assert_eq!(plan.details, expected);
    let runs = |line: &str| Effect::Runs(line.to_owned());
    assert_eq!(
        plan.effects,
        [
            runs("serve --all"),
            runs("check 'it \n now'"),
            Effect::Connects("http://127.0.0.1:80/".into()),
            Effect::Reads("vars".into()),
            runs("echo fine # \ntouch hidden"),
        ]
    );
    // Once is enough, until the file is another one.
    now(place.manager.load_with_consent(&[], &person, &person)).unwrap();
    place.write(&format!("{FILE}// more\n"));
    now(place.manager.load_with_consent(&[], &person, &person)).unwrap();
    assert_eq!(person.questions(), ["Allow this file to start these processes?"; 2]);
}

#[test]
fn a_yes_to_a_file_holds_for_all_that_it_says() {
    let plan = |file: &str| {
        let (place, person) = (Place::new(file), Recorded::agreeing());
        now(place.manager.load_with_consent(&[], &person, &person)).unwrap();
        let mut plan = person.plans.lock().unwrap()[0].clone();
        // Each project has a place of its own.
        plan.details.remove(0);
        plan
    };
    let before = plan(FILE);
    assert_eq!(before.digest(), plan(&format!("{FILE}// more\n")).digest());
    let shown = [
        ("cwd", "restart \"always\" max=3; cwd", "    restart \"always\" max=3 within=\"60s\" backoff=\"200ms..30s\""),
        ("cwd", "limits memory=\"2MB\" cpu=50; cwd", "    limits memory=\"2MB\" cpu=50"),
        ("cwd", "stop signal=\"INT\" grace=\"1s\"; cwd", "    stop signal=\"INT\" grace=\"1s\""),
        ("cwd", "terminal; input #true; cwd", "    input #true"),
    ];
    for (from, to, line) in shown {
        let after = plan(&FILE.replacen(from, to, 1));
        assert_ne!(after.digest(), before.digest(), "{to}");
        assert!(after.details.iter().any(|other| other == line), "{line}: {:?}", after.details);
    }
    // Masked, and not the same.
    let after = plan(&FILE.replace("hunter2", "hunter3"));
    assert_eq!(after.details, before.details);
    assert_ne!(after.digest(), before.digest());
    assert!(!format!("{after:?}").contains("hunter3"));
}

/// A person who agrees, while somebody else writes the file.
struct Meanwhile<'a>(&'a Place, &'a str);

#[async_trait::async_trait]
impl Prompter for Meanwhile<'_> {
    fn can_ask(&self, _: &[Question]) -> bool {
        true
    }

    async fn confirm(&self, _: &Plan, _: &[&Question]) -> Result<Vec<(String, Secret)>, PromptError> {
        self.0.write(self.1);
        Ok(Vec::new())
    }

    async fn select(&self, _: &Choice) -> Result<usize, PromptError> {
        Err(PromptError::Unsupported)
    }
}

#[test]
fn a_definition_that_changed_while_its_form_was_open_stays_and_the_user_is_told() {
    let (file, other) = ("process \"a\" { command \"x\" }\n", "process \"a\" { command \"y\" }\n");
    let place = Place::new(file);
    let edit = ProcessEdit { cwd: Some("sub".into()), ..ProcessEdit::default() };
    let refused = now(place.manager.edit_process("a", &edit, &Meanwhile(&place, other))).unwrap_err();
    assert!(matches!(refused, ProcessError::ConcurrentChange { .. }), "{refused}");
    assert_eq!(refused.hint().as_deref(), Some("look at it again, and repeat your change"));
    assert_eq!(place.text(), other);
    // Changes of other processes don't count.
    let more = format!("{other}process \"b\" {{ command \"z\" }}\n");
    assert!(now(place.manager.edit_process("a", &edit, &Meanwhile(&place, &more))).unwrap().changed);
    assert_eq!(place.text(), more.replace("{ command \"y\"", "{ cwd \"sub\"; command \"y\""));
}

#[test]
fn copies_are_edited_by_the_name_of_all_and_by_that_of_each() {
    let place = Place::new("process \"m\" { command \"true\"; replicas 2 }\nprocess \"n-1\" { command \"true\" }\n");
    let edited = |name: &str, cwd: &str| {
        let edit = ProcessEdit { cwd: Some(cwd.into()), ..ProcessEdit::default() };
        now(place.manager.edit_process(name, &edit, &Recorded::agreeing()))
    };
    for (name, cwd) in [("m", "one"), ("m-1", "two"), ("m-2", "three")] {
        let shown = place.manager.editable_process(name).unwrap();
        assert_eq!((shown.id.as_str(), shown.replicas), ("m", Some(2)));
        let done = edited(name, cwd).unwrap();
        assert_eq!((done.id.as_str(), done.changed), ("m", true));
        assert!(place.text().contains(&format!("process \"m\" {{ cwd \"{cwd}\";")), "{}", place.text());
    }
    assert_eq!(place.ids(), ["m-1", "m-2", "n-1"]);
    assert_eq!(place.manager.editable_process("n-1").unwrap().replicas, None);
    for unknown in ["m-3", "n"] {
        assert!(matches!(place.manager.editable_process(unknown), Err(ProcessError::NotFound { .. })), "{unknown}");
        assert!(matches!(edited(unknown, "four"), Err(ProcessError::NotFound { .. })), "{unknown}");
    }
}

#[test]
fn what_can_not_start_is_neither_started_nor_stopped() {
    let place = Place::new("process \"a\" { command \"no-such-program-anywhere\" }");
    let restart = |ids: &[&str]| now(place.manager.restart(&names(ids), &Recorded::agreeing(), &NonInteractive));
    assert!(matches!(restart(&["a"]), Err(ProcessError::ProgramNotFound { .. })));
    assert!(matches!(restart(&["b"]), Err(ProcessError::NotFound { .. })));
    // As what runs: nothing does.
    place.write("process {");
    assert!(matches!(restart(&["a"]), Err(ProcessError::File { .. })));
    place.write("");
    assert!(matches!(restart(&["a"]), Err(ProcessError::Empty { .. })));
}

#[test]
fn what_makes_no_sense_together_is_named_with_its_place() {
    let place = Place::new("");
    for (file, problem) in [
        ("process \"a\" {\n command \"x\"\n needs \"b\"\n}", "3:2: process `a` needs `b`, and there is none"),
        (
            "process \"a\" { command \"x\"; replicas 2; needs \"b\" }\nprocess \"b\" { command \"x\"; needs \"a\" }",
            "2:28: processes need each other in a circle: b → a-2 → b",
        ),
        (
            "process \"a\" { command \"x\"; replicas 2; needs \"a-2\" }",
            "1:40: processes need each other in a circle: a-2 → a-2",
        ),
        (
            "process \"a\" { command \"x\"; replicas 2 }\nprocess \"a-2\" { command \"y\" }",
            "2:1: process `a-2` has the name of a copy of another one",
        ),
    ] {
        place.write(file);
        let refused = place.manager.load().unwrap_err();
        assert_eq!(refused.to_string(), format!("{}:{problem}", place.file().display()));
    }
}

fn request(more: Value) -> DefineRequest {
    let mut request = json!({"id": "p", "command": "serve"});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    from_value(request).unwrap()
}

#[test]
fn a_user_and_a_model_define_by_the_same_words() {
    let file = "// mine\ndefaults { restart \"always\" }\nprocess \"a\" { command \"x\" }\n";
    let place = Place::new(file);
    place.allow();
    let mut words = json!({"args": ["-p", "80"], "env": {"KEY": "secret:mine"}, "cwd": "sub", "ready_port": 80});
    words["limits"] = json!({"memory": "512MB", "cpu": 150, "pids": 9});
    let model = DefineRequest { id: "m".into(), ..request(words.clone()) };
    let user = DefineRequest { author: Author::User, ..request(words) };
    assert!(place.manager.define(&model).unwrap().file.ends_with(".json"));
    assert_eq!(place.manager.define(&user).unwrap().file, place.file().to_string_lossy());
    assert!(place.text().starts_with(file) && place.text().contains("secret=\"mine\""), "{}", place.text());
    // The change was the user's own, so it is allowed. Of a model's words, none names a secret.
    let loaded = place.manager.load().unwrap();
    assert!(!loaded.needs_approval());
    let (mut models, mut users) = (loaded.definitions["m"].0.clone(), loaded.definitions["p"].0.clone());
    assert_eq!(format!("{:?} {:?}", models.env, users.env).matches("Literal").count(), 1);
    assert_ne!(models.restart, users.restart);
    assert_eq!((models.limits.memory, models.limits.cpu, models.limits.pids), (Some(512 << 20), Some(150), Some(9)));
    models.env.clear();
    users.env.clear();
    users.restart = models.restart;
    assert_eq!(models, users);
}

#[test]
fn what_no_process_may_be_is_refused_from_both_in_the_same_words() {
    let place = Place::new("process \"taken\" { command \"x\" }");
    for (words, expected) in [
        (json!({"id": "../p"}), "process `../p` has an id that is not letters"),
        (json!({"id": "taken"}), "there is a process `taken` already"),
        (json!({"command": ""}), "process `p` has no command"),
        (json!({"limits": {"memory": "much"}}), "process `p` has a limit of memory `much`, which is not a size"),
        (json!({"cwd": "../.."}), "process `p` has a `cwd` outside the project"),
        (json!({"cwd": "/"}), "process `p`: `/` is not in the project"),
        (json!({"env": {"A=B": "c"}}), "process `p` has a variable with the name `A=B`"),
        (json!({"needs": ["q"]}), "process `p` needs `q`, and there is none"),
        (json!({"needs": ["p"]}), "processes need each other in a circle: p → p"),
        (json!({"restart": "maybe"}), "process `p` has the restart policy `maybe`, which is not one of no, on-failure"),
    ] {
        for author in [Author::User, Author::Model] {
            let refused = place.manager.define(&DefineRequest { author, ..request(words.clone()) }).unwrap_err();
            assert!(refused.to_string().starts_with(expected), "{words}: {refused}");
        }
    }
    let user = DefineRequest { author: Author::User, shell: true, ..request(json!({"args": ["x"]})) };
    assert!(place.manager.define(&user).unwrap_err().to_string().contains("put it in quotes"));
    // What only the user may say has no field.
    for field in ["shell", "author", "ready"] {
        assert!(from_value::<DefineRequest>(json!({"id": "p", "command": "x", (field): "User"})).is_err());
    }
    assert_eq!((place.text().as_str(), place.ids()), ("process \"taken\" { command \"x\" }", names(&["taken"])));
}

#[test]
fn a_model_changes_and_removes_its_own_and_a_user_any() {
    let file = "// mine\nprocess \"a\" { command \"x\" } // a\n";
    let place = Place::new(&format!("{file}process \"b\" {{\n    command \"x\"\n}}\n"));
    place.allow();
    let change = |words: Value| place.manager.redefine(from_value::<RedefineRequest>(words).unwrap());
    let remove = |id: &str, author| {
        let person = Recorded::agreeing();
        place.manager.remove(&names(&[id]), author, &person).map(|_| person.heard())
    };
    place.manager.define(&request(json!({"args": ["1", "2"], "needs": ["a"]}))).unwrap();
    for id in ["a", "b"] {
        assert!(matches!(change(json!({"id": id, "command": "y"})), Err(ProcessError::DefinedByUser { .. })));
        assert!(matches!(remove(id, Author::Model), Err(ProcessError::DefinedByUser { .. })));
    }
    let line = |words: Value| change(words).unwrap().definition.run.command_line();
    assert_eq!(line(json!({"id": "p", "command": "other"})), "other 1 2");
    assert_eq!(line(json!({"id": "p", "args": []})), "other");
    assert!(change(json!({"id": "p", "env": {"A": "\0"}})).is_err());
    let changed = change(json!({"id": "p", "env": {"A": "b"}, "auto_start_on_restore": true})).unwrap().definition;
    assert_eq!((changed.env.len(), changed.auto_start, changed.needs.len()), (1, true, 1));
    assert!(matches!(remove("a", Author::User), Err(ProcessError::HasDependents { .. })));
    assert_eq!(remove("b", Author::User).unwrap(), ["Done(\"Removed `b`\")"]);
    assert_eq!((place.text().as_str(), place.is_allowed()), (file, true));
    remove("p", Author::Model).unwrap();
    assert_eq!(place.ids(), ["a"]);
    assert!(matches!(remove("p", Author::Model), Err(ProcessError::NotFound { .. })));
}

#[test]
fn an_export_takes_the_place_of_no_file_unless_the_user_says_so() {
    let place = Place::new(FILE);
    place.manager.define(&request(json!({"args": ["a b", "--token", "hunter2x"]}))).unwrap();
    let target = place.directory.path().join("out.kdl");
    let export = |file: Option<&Path>, force: bool, author: Author| {
        place.manager.export(&ExportRequest {
            file: file.map(Path::to_owned),
            force,
            author,
            ..ExportRequest::default()
        })
    };
    let printed = export(None, false, Author::User).unwrap();
    let text = printed.text.clone().unwrap();
    assert!(text.contains("command \"serve\" \"a b\" \"--token\" \"[secret]\"") && !text.contains("hunter2"), "{text}");
    assert!(text.contains("secret=\"mine\""), "{text}");
    assert_eq!((printed.hidden.clone(), printed.redaction_note().is_some()), (names(&["a", "p"]), true));
    export(Some(&target), false, Author::User).unwrap();
    assert_eq!(fs::read_to_string(&target).unwrap(), text);
    fs::write(&target, "mine").unwrap();
    assert!(matches!(export(Some(&target), false, Author::User), Err(ProcessError::FileExists { .. })));
    assert_eq!(fs::read_to_string(&target).unwrap(), "mine");
    export(Some(&target), true, Author::User).unwrap();
    assert_eq!(fs::read_to_string(&target).unwrap(), text);
    // A link that leads nowhere is something that is there.
    let link = place.directory.path().join("link.kdl");
    std::os::unix::fs::symlink("gone.kdl", &link).unwrap();
    assert!(matches!(export(Some(&link), false, Author::User), Err(ProcessError::FileExists { .. })));
    // What it exports keeps its comments, however it is reached.
    let itself = place.directory.path().join("itself.kdl");
    std::os::unix::fs::symlink(place.file(), &itself).unwrap();
    for path in [place.file(), itself] {
        assert!(matches!(export(Some(&path), true, Author::User), Err(ProcessError::ExportOverwritesSource { .. })));
    }
    assert_eq!(place.text(), FILE);
    // A model writes in the project alone.
    fs::write(&target, "").unwrap();
    assert!(export(Some(&target), true, Author::Model).is_err());
    assert_eq!(fs::read_to_string(&target).unwrap(), "");
}

#[test]
fn a_model_exports_yaml_only_where_no_other_program_reads_it() {
    let place = Place::new("process \"p\" {\n    command \"serve\"\n}\n");
    let project = place.directory.path().join("project");
    let export = |file: &Path, author: Author| {
        place.manager.export(&ExportRequest {
            format: ExportFormat::Yaml,
            file: Some(file.to_owned()),
            author,
            ..ExportRequest::default()
        })
    };
    let compose = project.join("compose.yaml");
    for wrong in [Path::new("compose.yaml"), compose.as_path(), Path::new(".ichimi/../compose.yaml")] {
        let refused = export(wrong, Author::Model).unwrap_err().to_string();
        assert!(refused.contains("it must be below `.ichimi`"), "{refused}");
        assert!(!compose.exists());
    }
    export(Path::new(".ichimi/out.yaml"), Author::Model).unwrap();
    assert!(fs::read_to_string(project.join(".ichimi/out.yaml")).unwrap().contains("serve"));
    // A person writes where they say.
    export(&compose, Author::User).unwrap();
    assert!(compose.exists());
}

impl Place {
    fn save(&self, name: &str) -> SnapshotSummary {
        self.manager.save_snapshot(&name.parse().unwrap(), true).unwrap()
    }

    fn snapshot(&self, name: &str) -> PathBuf {
        self.directory.path().join("home/processes/snapshots").join(name).with_extension("yaml")
    }

    /// The snapshot as if all processes had run.
    fn as_if_they_ran(&self, name: &str) {
        let text = fs::read_to_string(self.snapshot(name)).unwrap();
        fs::write(self.snapshot(name), text.replace("running: false", "running: true")).unwrap();
    }

    fn restore(&self, name: &str, person: &Recorded) -> Result<StartResults, ProcessError> {
        now(self.manager.restore(&name.parse().unwrap(), person, person))
    }
}

#[test]
fn a_snapshot_says_what_ran_and_how_it_was_defined_and_shows_what_differs() {
    let place = Place::new(FILE);
    let args = json!({"args": ["a b", "'\"\\", "--token", "hunter2x", "ü\u{1F600}"], "env": {"API_KEY": "hunter2"}});
    place.manager.define(&request(args)).unwrap();
    let saved = place.save("one");
    assert_eq!((saved.processes, saved.running.len()), (3, 0));
    let text = fs::read_to_string(place.snapshot("one")).unwrap();
    assert!(!text.contains("hunter2") && text.contains("[secret]") && text.contains("secret: mine"), "{text}");
    assert!(text.contains("- id: p\n  running: false\n  source: home\n  command: serve\n  args:\n  - a b\n"), "{text}");
    assert_eq!(place.manager.snapshot(&"one".parse().unwrap()).unwrap().text, text);
    let changes = || place.manager.compare_snapshot(&"one".parse().unwrap()).unwrap().changes;
    assert!(changes().is_empty(), "{:?}", changes());
    place.as_if_they_ran("one");
    place.write(&FILE.replace("\"--all\"", "\"--some\"").replace("process \"b\"", "process \"c\""));
    let titles: Vec<String> = changes().iter().map(SnapshotChange::title).collect();
    assert_eq!(
        titles,
        [
            "`a` is defined differently now, ran then and does not now",
            "`b` is no longer defined, ran then and does not now",
            "`c` was not defined then",
            "`p` ran then and does not now",
        ]
    );
    assert_eq!(changes()[0].lines, ["- command \"serve\" \"--all\"", "+ command \"serve\" \"--some\""]);
    // It takes no other's place unless it is told.
    let again = place.manager.save_snapshot(&"one".parse().unwrap(), false);
    assert!(matches!(again, Err(ProcessError::SnapshotExists { .. })));
    place.save("two");
    let listed: Vec<String> =
        place.manager.snapshots(false).unwrap().snapshots.into_iter().map(|one| one.name).collect();
    assert_eq!(listed, ["one", "two"]);
    // That of another project is neither compared nor restored.
    let other = Place { manager: elsewhere(&place), directory: tempfile::tempdir().unwrap() };
    assert!(other.manager.snapshots(false).unwrap().snapshots.is_empty());
    assert_eq!(other.manager.snapshots(true).unwrap().snapshots.len(), 2);
    let refused = other.restore("one", &Recorded::agreeing());
    assert!(matches!(refused, Err(ProcessError::OtherProject { .. })), "{refused:?}");
    place.manager.remove_snapshot(&"one".parse().unwrap()).unwrap();
    let gone = place.manager.remove_snapshot(&"twi".parse().unwrap()).unwrap_err();
    assert_eq!(gone.hint().as_deref(), Some("did you mean `two`?"));
}

/// Another project with the same home.
fn elsewhere(place: &Place) -> Manager {
    let root = place.directory.path().join("other");
    fs::create_dir_all(root.join(".git")).unwrap();
    Manager::open(&Home::from_root(place.directory.path().join("home")), ProcessProject::discover(&root).unwrap())
        .unwrap()
}

#[test]
fn a_restore_shows_what_changed_and_adds_what_is_gone_only_after_a_yes() {
    let place = Place::new("process \"a\" { command \"no-such-program\" }\n");
    let define =
        |id: &str, args: Value| place.manager.define(&DefineRequest { id: id.into(), ..request(args) }).unwrap();
    define("p", json!({"command": "no-such-program"}));
    define("keyed", json!({"args": ["--token", "hunter2x"]}));
    place.save("s");
    place.as_if_they_ran("s");
    place.manager.remove(&names(&["p", "keyed"]), Author::Model, &NonInteractive).unwrap();
    place.write("process \"a\" { command \"no-such-program\" \"more\" }\n");
    let (settings, ids) = (place.settings(), place.ids());
    // Who declines has added, started and allowed nothing.
    let no = Recorded::new(0, Does::Declines);
    assert!(matches!(place.restore("s", &no), Err(ProcessError::Prompt(PromptError::Declined))));
    assert_eq!((place.settings(), place.ids()), (settings.clone(), ids.clone()));
    let heard = no.heard().join("\n");
    assert!(
        heard.contains("`a` has changed since") && heard.contains("+ command \\\"no-such-program\\\" \\\"more"),
        "{heard}"
    );
    assert!(heard.contains("process `keyed` has a value that exports don't show"), "{heard}");
    let plan = no.plans.lock().unwrap()[0].clone();
    assert_eq!((plan.question.as_str(), plan.effects.len()), ("Define these again?", 1));
    assert_eq!(plan.details[1], "  p: no-such-program");
    // Where nobody can be asked, nothing is added, and nothing of a file that is not allowed starts.
    let results = now(place.manager.restore(&"s".parse().unwrap(), &NonInteractive, &NonInteractive)).unwrap();
    assert!(matches!(results.as_slice(), [(id, Err(ProcessError::Untrusted { .. }))] if id == "a"), "{results:?}");
    assert_eq!((place.settings(), place.ids()), (settings, ids));
    // A yes to the first question is not one to the second.
    let second = Recorded::new(1, Does::Declines);
    assert!(place.restore("s", &second).is_err() && !place.is_allowed());
    assert_eq!(place.ids(), ["a", "p"]);
    let results = place.restore("s", &Recorded::agreeing()).unwrap();
    let failed = |(_, result): &(String, Result<_, _>)| matches!(result, Err(ProcessError::ProgramNotFound { .. }));
    assert!(results.len() == 2 && results.iter().all(failed), "{results:?}");
    assert!(place.is_allowed() && place.text().contains("more"));
}

#[test]
fn a_snapshot_that_makes_no_sense_is_refused_with_a_sentence() {
    let place = Place::new("process \"a\" { command \"x\" }\n");
    place.save("good");
    let good = fs::read_to_string(place.snapshot("good")).unwrap();
    let aliases = format!("a: &a [x, x]\nb: &b [{}]\nc: [{}]\n", "*a,".repeat(40), "*b,".repeat(90));
    let nul = good.replace("command: x", "command: \"x\\0\"");
    for (text, problem) in [
        (String::new(), "snapshot `bad` can't be read as YAML: "),
        ("[".repeat(5000), "snapshot `bad` can't be read as YAML: "),
        (aliases, "snapshot `bad` can't be read as YAML: "),
        (good.replace("version: 1", "version: 2"), "snapshot `bad` is of version 2, which this aiw doesn't know"),
        (good.replace("saved:", "savd:"), "snapshot `bad` can't be read as YAML: "),
        (good.replace("id: a", "id: ../a"), "snapshot `bad` says of `../a` what makes no sense: it "),
        (nul, "snapshot `bad` says of `a` what makes no sense: it has a NUL character in a text"),
        (
            good.replace("command: x", "command: x\n  cwd: ../.."),
            "snapshot `bad` says of `a` what makes no sense: it has a `cwd` outside",
        ),
        (good.replace("command: x", "comand: x"), "snapshot `bad` says of `a`: it has no command"),
        (
            good.replace("command: x", "command: x\n  colour: red"),
            "snapshot `bad` says of `a`: `colour` is not known here",
        ),
        ("x".repeat(2 << 20), ""),
    ] {
        fs::write(place.snapshot("bad"), &text).unwrap();
        let refused = place.restore("bad", &Recorded::agreeing()).unwrap_err().to_string();
        assert!(refused.starts_with(problem), "{problem}: {refused}");
        let listed = place.manager.snapshots(false).unwrap().snapshots;
        assert_eq!((listed.len(), listed[0].problem.is_some(), listed[1].problem.is_none()), (2, true, true));
    }
    // Nothing is followed, and no file of another name is taken for one.
    for target in [place.snapshot("good"), "/dev/zero".into()] {
        let _ = fs::remove_file(place.snapshot("bad"));
        std::os::unix::fs::symlink(target, place.snapshot("bad")).unwrap();
        assert!(place.restore("bad", &Recorded::agreeing()).is_err());
    }
    let mine = place.directory.path().join("mine");
    fs::write(&mine, "mine").unwrap();
    let _ = fs::remove_file(place.snapshot("bad"));
    std::os::unix::fs::symlink(&mine, place.snapshot("bad")).unwrap();
    assert!(place.manager.save_snapshot(&"bad".parse().unwrap(), true).is_err());
    assert_eq!(fs::read_to_string(&mine).unwrap(), "mine");
    // Nor is a linked directory an empty one.
    let directory = place.snapshot("good").parent().unwrap().to_owned();
    fs::rename(&directory, place.directory.path().join("moved")).unwrap();
    std::os::unix::fs::symlink(place.directory.path().join("moved"), &directory).unwrap();
    assert!(place.manager.snapshots(false).unwrap_err().to_string().contains("is a link"));
    assert!(place.manager.remove_snapshot(&"good".parse().unwrap()).is_err());
    for name in ["", "..", "../x", "a/b", "a b", "con", ".x", "x."] {
        assert!(name.parse::<SnapshotName>().is_err(), "{name}");
    }
}

#[test]
fn an_editor_allows_only_what_the_user_changed_in_a_file_that_was_allowed() {
    let place = Place::new("process \"a\" { command \"x\" }\n");
    let new = |text: &str| {
        let text = text.to_owned();
        move |copy: &Path| -> Result<(), ProcessError> {
            fs::write(copy, text).unwrap();
            Ok(())
        }
    };
    let looked =
        now(place.manager.edit(|_| Ok::<_, ProcessError>(()), &Recorded::agreeing(), &NonInteractive)).unwrap();
    assert_eq!((looked.changed, looked.processes, place.is_allowed()), (false, 1, false));
    // Of a file that was not allowed, the user is asked.
    let edit = |text: &str, person: &Recorded| place.manager.edit(new(text), person, person).now_or_never();
    let text = "process \"a\" { command \"y\" }\n";
    let declined = edit(text, &Recorded::new(0, Does::Declines));
    assert!(matches!(declined, Some(Err(ProcessError::Prompt(PromptError::Declined)))));
    assert_eq!((place.text().as_str(), place.is_allowed()), (text, false));
    assert!(edit("process \"a\" { command \"z\" }\n", &Recorded::new(0, Does::Waits)).is_none());
    assert!(!place.is_allowed());
    let absent = Recorded::new(0, Does::Absent);
    assert!(edit(text, &absent).unwrap().unwrap().changed);
    assert!(absent.heard()[0].contains("`aiw up` shows what it starts"), "{:?}", absent.heard());
    assert!(!place.is_allowed());
    // Of one that was, nobody is.
    place.allow();
    let person = Recorded::agreeing();
    edit("process \"b\" { command \"x\" }\n", &person).unwrap().unwrap();
    assert_eq!((person.questions().len(), place.is_allowed(), place.ids()), (0, true, names(&["b"])));
    // What the user took back meanwhile is asked about again.
    let taken_back = |copy: &Path| {
        fs::remove_file(place.directory.path().join("home/settings.json")).unwrap();
        new("process \"b\" { command \"y\" }\n")(copy)
    };
    let absent = Recorded::new(0, Does::Absent);
    now(place.manager.edit(taken_back, &absent, &absent)).unwrap();
    assert!(!place.is_allowed());
    place.allow();
    edit("process \"b\" { command \"x\" }\n", &person).unwrap().unwrap();
    // An editor that fails changes nothing.
    let failed = now(place.manager.edit(|_| Err(ProcessError::TooMuchInput), &person, &person));
    assert!(matches!(failed, Err(ProcessError::TooMuchInput)));
    // What others write meanwhile stays, and the user's version is kept.
    let stranger = "process \"c\" { command \"stranger\" }\n";
    let meanwhile = |copy: &Path| {
        place.write(stranger);
        new("process \"d\" { command \"x\" }\n")(copy)
    };
    let refused = now(place.manager.edit(meanwhile, &person, &person)).unwrap_err();
    let ProcessError::NotSaved { copy, .. } = &refused else { panic!("{refused}") };
    assert!(refused.to_string().contains("was changed by something else"), "{refused}");
    assert!(fs::read_to_string(copy).unwrap().contains("process \"d\""));
    assert!(refused.hint().unwrap().contains("your version is in"));
    fs::remove_dir_all(copy.parent().unwrap()).unwrap();
    assert_eq!((place.text().as_str(), place.is_allowed()), (stranger, false));
}

#[test]
fn a_changed_file_is_carried_out_after_a_yes_and_else_not_at_all() {
    let old = "process \"web\" { command \"x\" }\n";
    let place = Place::new(old);
    place.allow();
    let mut loaded = place.manager.load().unwrap();
    let mut changed = |wanted: &[&str]| {
        let change = place.manager.detect_changes(&mut loaded, &names(wanted), &names(&["web"]));
        change.map(|change| change.map(|change| (loaded.clone(), change)))
    };
    assert!(changed(&[]).unwrap().is_none());
    // What makes no sense is said once.
    place.write("process {");
    assert!(matches!(changed(&[]), Err(ProcessError::File { .. })));
    assert!(changed(&[]).unwrap().is_none());
    let new = "process \"new\" { command \"no-such-program-anywhere\" }\nprocess \"web\" { command \"y\" }\n";
    place.write(new);
    // What was not named does not start, and what does not run is not restarted.
    assert!(changed(&["web2"]).unwrap().is_none());
    place.write(&format!("{new}// more\n"));
    let before = place.settings();
    for does in [Does::Declines, Does::Absent, Does::Waits, Does::Agrees] {
        place.write(&format!("{}// more\n", place.text()));
        let (mut loaded, change) = changed(&[]).unwrap().unwrap();
        let person = Recorded::new(0, does);
        let mut stopped = Vec::new();
        let mut stop = |ids: Vec<String>| {
            stopped.extend(ids);
            Ok(())
        };
        let done = place.manager.apply_changes(&mut loaded, change, &person, &person, &mut stop).now_or_never();
        let about = person.plans.lock().unwrap()[0].clone();
        assert_eq!(about.question, "Allow this file, and do that?");
        assert_eq!(
            about.details[1..3],
            ["  `new` is new or has changed, and starts:", "    new: no-such-program-anywhere"]
        );
        assert_eq!(about.details[3], "  `web` is new or has changed, and stays as it is for now:");
        assert_eq!(loaded.definitions.len(), 1, "it shows what is left the next time");
        assert_eq!((done.is_none(), stopped.len()), (matches!(does, Does::Waits), 0));
        let heard = person.heard().join("\n");
        match does {
            Does::Agrees => assert!(heard.contains("there is no program") && place.is_allowed(), "{heard}"),
            Does::Waits => assert_eq!(heard, ""),
            Does::Declines | Does::Absent => assert!(heard.contains("everything runs as before"), "{heard}"),
        }
        if !matches!(does, Does::Agrees) {
            assert_eq!(place.settings(), before);
        }
    }
}

#[test]
fn what_was_not_started_gets_no_signal_and_no_input() {
    let place = Place::new("process \"a\" { command \"x\" }");
    let ids = names(&["a"]);
    let error = |result: Result<(), ProcessError>| result.unwrap_err().to_string();
    assert!(
        error(place.manager.signal_each(&ids, "NOPE", &NonInteractive).map(drop)).starts_with("`NOPE` is not a signal")
    );
    assert_eq!(
        error(place.manager.signal_each(&ids, "TERM", &NonInteractive).map(drop)),
        "process `a` was not started"
    );
    assert_eq!(error(place.manager.write_input("a", b"x").map(drop)), "process `a` was not started");
    let much = vec![0; aiw_processes::MAX_INPUT_BYTES + 1];
    assert!(matches!(place.manager.write_input("a", &much), Err(ProcessError::TooMuchInput)));
    let waited = place.manager.wait("a", &WaitFor::Up, None, &Watch::new().unwrap(), &|| false).unwrap();
    assert!(!waited.done && waited.status.record.is_none());
    let (answer, problem) = place.manager.ps(false, true).unwrap();
    assert_eq!(
        (answer.processes.len(), answer.processes[0].reason_text(), problem.is_none()),
        (1, String::new(), true)
    );
}

#[test]
fn an_id_of_copies_names_them_where_one_is_meant() {
    let place = Place::new("process \"c\" { command \"x\"; replicas 2 }");
    let errors = [
        place.manager.write_input("c", b"x").map(drop),
        place.manager.attach("c", false).map(drop),
        place.manager.context("c").map(drop),
    ];
    for error in errors.map(Result::unwrap_err) {
        assert_eq!(error.to_string(), "`c` stands for its replicas, and this takes one of them");
        assert_eq!(error.hint().unwrap(), "name one: `c-1`, `c-2`");
    }
    let unknown = place.manager.context("nope").unwrap_err();
    assert!(matches!(unknown, ProcessError::NotFound { .. }));
}

#[test]
fn what_was_noted_of_a_process_that_is_gone_can_be_forgotten_once() {
    let place = Place::new("process \"a\" { command \"x\" }");
    note_pair(&place, 2);
    place.manager.forget_habits(Some("b")).unwrap();
    let again = place.manager.forget_habits(Some("b"));
    assert!(matches!(again, Err(ProcessError::HabitsNotFound { .. })));
    // One that is defined is known, and the file is not needed.
    place.manager.forget_habits(Some("a")).unwrap();
    note_pair(&place, 2);
    place.write("process \"a\" {");
    place.manager.forget_habits(Some("b")).unwrap();
}

/// Starts of a pair on the last days, as they are noted.
fn note_pair(place: &Place, days: u64) {
    let line = |day: u64, late: u64, process: &str| {
        let time = aiw_home::now_millis() - day * 90_000_000 + late;
        let project = place.manager.project().directory();
        format!(
            "{}\n",
            json!({"time": time, "project": project, "process": process, "by": "you", "hour": day, "weekend": false})
        )
    };
    let directory = place.directory.path().join("home/processes/habits");
    fs::create_dir_all(&directory).unwrap();
    let lines: String = (1..=days).flat_map(|day| [line(day, 0, "a"), line(day, 2000, "b")]).collect();
    fs::write(directory.join("starts.jsonl"), lines).unwrap();
}

#[test]
fn a_suggestion_changes_the_file_once_it_was_shown_and_is_made_no_more() {
    let file = "process \"a\" { command \"serve\" }\nprocess \"b\" {\n\tcommand \"api\" // keep\n}\n";
    let place = Place::new(file);
    note_pair(&place, 8);
    let ids = || -> Vec<String> {
        place.manager.suggestions(None).unwrap().suggestions.into_iter().map(|suggestion| suggestion.id).collect()
    };
    let suggestion = place.manager.suggestions(Some("a")).unwrap().suggestions.remove(0);
    assert_eq!((suggestion.id.as_str(), suggestion.confidence_level.as_str()), ("after:a:b", "high"));
    assert_eq!((suggestion.times, suggestion.of, suggestion.events.len()), (8, 8, 8));
    assert_eq!(suggestion.added_line.as_deref(), Some("needs \"a\""));
    assert!(place.manager.suggestions(Some("b")).unwrap().suggestions.is_empty());
    let accept = |person: &Recorded| now(place.manager.accept_suggestion("after:a:b", person));
    let declined = Recorded::new(0, Does::Declines);
    assert!(matches!(accept(&declined), Err(ProcessError::NotChanged(PromptError::Declined))));
    let absent = Recorded::new(0, Does::Absent);
    assert!(matches!(accept(&absent), Err(ProcessError::NotChanged(PromptError::Unsupported))));
    assert_eq!((place.text(), ids()), (file.to_owned(), vec!["after:a:b".to_owned()]));
    let unknown = now(place.manager.accept_suggestion("after:b:a", &Recorded::agreeing()));
    assert!(matches!(unknown, Err(ProcessError::SuggestionNotFound { .. })));
    let person = Recorded::agreeing();
    accept(&person).unwrap();
    let about = person.plans.lock().unwrap()[0].details.clone();
    assert_eq!(about[0], "`b` is started after `a`: 8 of 8 times");
    assert_eq!(about[2], "  needs \"a\"");
    assert_eq!(place.text(), file.replace("\tcommand \"api\"", "\tneeds \"a\"\n\tcommand \"api\""));
    // A file that was not allowed is not allowed by this.
    assert_eq!((place.is_allowed(), ids()), (false, Vec::<String>::new()));
    // What was dismissed is so until it is forgotten.
    place.write(file);
    place.allow();
    assert_eq!(ids(), [] as [String; 0]);
    place.manager.forget_habits(None).unwrap();
    note_pair(&place, 8);
    place.manager.dismiss_suggestion("after:a:b").unwrap();
    assert_eq!(ids(), [] as [String; 0]);
    place.manager.forget_habits(Some("a")).unwrap();
    let unknown = place.manager.forget_habits(Some("nope")).unwrap_err();
    assert_eq!(unknown.to_string(), "nothing is known of `nope` in this project");
    note_pair(&place, 8);
    accept(&Recorded::agreeing()).unwrap();
    // One that was allowed stays so.
    assert!(place.is_allowed() && place.text().contains("needs"));
}

#[test]
fn habits_that_are_switched_off_are_not_read() {
    let place = Place::new("process \"a\" { command \"x\" }\nprocess \"b\" { command \"y\" }\n");
    note_pair(&place, 8);
    let settings = place.directory.path().join("home/settings.json");
    fs::write(&settings, r#"{"habits": false}"#).unwrap();
    assert!(matches!(place.manager.suggestions(None), Err(ProcessError::HabitsDisabled)));
    // What was noted before can be removed.
    place.manager.forget_habits(None).unwrap();
    fs::write(&settings, "{}").unwrap();
    assert!(place.manager.suggestions(None).unwrap().suggestions.is_empty());
}

#[cfg(all(unix, not(target_vendor = "apple")))]
mod autostart {
    use std::os::unix::fs::symlink;

    use aiw_home::ExecutionContext;
    use aiw_processes::Autostart;

    use super::*;

    /// A project, as a user with a home directory of their own sees it.
    fn seen(file: &str) -> (Place, Manager) {
        let place = Place::new(file);
        let user = place.directory.path().join("user");
        let around = ExecutionContext::new(Ok(user.clone()), [("HOME".into(), user.into())]);
        let manager =
            Manager::open(&place.manager.home().with_context(around), place.manager.project().clone()).unwrap();
        (place, manager)
    }

    fn on(manager: &Manager) -> Result<Autostart, ProcessError> {
        now(manager.enable_autostart(Path::new("/opt/aiw"), &Recorded::agreeing()))
    }

    /// Where the unit is, and the link to it.
    fn paths(manager: &Manager) -> (PathBuf, PathBuf) {
        let file = PathBuf::from(manager.autostart().unwrap().file);
        let link = file.parent().unwrap().join("default.target.wants").join(file.file_name().unwrap());
        (file, link)
    }

    fn is_refused(manager: &Manager) -> bool {
        matches!(on(manager), Err(ProcessError::UnmanagedFile { .. }))
            && matches!(manager.disable_autostart(), Err(ProcessError::UnmanagedFile { .. }))
    }

    #[test]
    fn a_file_of_somebody_else_is_left_alone_whatever_its_bytes() {
        let (_place, manager) = seen("process \"a\" { command \"x\" }");
        let (file, _) = paths(&manager);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        for bytes in [&b"[Unit]\n"[..], b"[Unit]\nDescription=caf\xe9\n", b""] {
            fs::write(&file, bytes).unwrap();
            assert!(is_refused(&manager), "{bytes:?}");
            assert_eq!(fs::read(&file).unwrap(), bytes);
        }
        fs::remove_file(&file).unwrap();
        symlink("/nowhere/at/all", &file).unwrap();
        assert!(is_refused(&manager) && file.is_symlink());
        // What can't be read is not ours either.
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        assert!(on(&manager).is_err() && manager.disable_autostart().is_err() && file.is_dir());
    }

    #[test]
    fn a_project_starts_at_boot_only_while_the_link_leads_to_its_unit() {
        let (_place, manager) = seen("process \"a\" { command \"x\" }");
        let (file, link) = paths(&manager);
        let is_on = || manager.autostart().unwrap().on;
        assert!(on(&manager).unwrap().on && is_on());
        // As `systemctl --user disable` does.
        fs::remove_file(&link).unwrap();
        assert!(!is_on());
        assert!(on(&manager).unwrap().on);
        fs::remove_file(&link).unwrap();
        symlink("/dev/null", &link).unwrap();
        assert!(!is_on());
        assert!(on(&manager).unwrap().on);
        assert_eq!(fs::read_link(&link).unwrap(), file);
        // As `systemctl --user enable` may write it.
        fs::remove_file(&link).unwrap();
        symlink(Path::new("..").join(file.file_name().unwrap()), &link).unwrap();
        assert!(is_on());
        fs::remove_file(&link).unwrap();
        fs::write(&link, "theirs").unwrap();
        assert!(!is_on() && is_refused(&manager));
        assert_eq!(fs::read_to_string(&link).unwrap(), "theirs");
        fs::remove_file(&link).unwrap();
        assert!(!manager.disable_autostart().unwrap().on && !file.exists());
    }

    #[test]
    fn only_what_is_defined_starts_at_boot_and_it_is_said_whether_it_may() {
        let (place, manager) = seen("");
        let (file, _) = paths(&manager);
        assert!(matches!(on(&manager), Err(ProcessError::Empty { .. })));
        place.write("process \"a\" {");
        assert!(matches!(on(&manager), Err(ProcessError::File { .. })));
        assert!(!file.exists());
        place.write("process \"a\" { command \"x\" }");
        let answer = on(&manager).unwrap();
        assert_eq!((answer.on, answer.allowed), (true, false));
        let why = || manager.autostart().unwrap().problem.unwrap_or_default();
        assert!(answer.problem.unwrap().ends_with("until you allow it: `aiw up` shows it, and asks"));
        place.allow();
        assert!(manager.autostart().unwrap().allowed);
        assert_eq!(why(), "");
        place.write("process \"a\" {");
        assert!(why().contains("processes.kdl:1:"), "{}", why());
        place.write("");
        assert!(why().ends_with("has no processes"), "{}", why());
    }
}
