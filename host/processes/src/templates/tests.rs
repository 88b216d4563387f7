//! What comes out of templates, whatever the project's files say.

use aiw_core::{NonInteractive, PromptError};
use aiw_home::Home;
use futures::FutureExt;
use proptest::prelude::*;

use super::*;
use crate::project::ProcessProject;

struct Files {
    dir: tempfile::TempDir,
    manager: Manager,
}

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("p/.git")).unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join("p").join(name), text).unwrap();
        }
        let project = ProcessProject::discover(&dir.path().join("p")).unwrap();
        let manager = Manager::open(&Home::from_root(dir.path().join("home")), project).unwrap();
        Self { dir, manager }
    }

    fn make(&self, template: &str, values: &[(&str, &str)]) -> Result<Definition, ProcessError> {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let id = format!("p{}", self.manager.load().unwrap().definitions.len());
        let request =
            TemplateRequest { template: template.into(), id: Some(id.clone()), values, ..TemplateRequest::default() };
        self.manager.instantiate(&request, &NonInteractive).now_or_never().unwrap()?;
        Ok(self.manager.load().unwrap().get(&id).unwrap().0.clone())
    }

    fn line(&self, template: &str, values: &[(&str, &str)]) -> String {
        self.make(template, values).map_or_else(|e| e.to_string(), |definition| definition.run.command_line())
    }
}

const PACKAGE: &str = r#"{"scripts": {"start": "x", "dev": "y", "--odd": "z", "a; rm -rf /": "z", "": "z"}}"#;

#[test]
fn a_lock_file_decides_the_tool_and_values_the_rest() {
    for (lock, tool) in
        [("package-lock.json", "npm"), ("pnpm-lock.yaml", "pnpm"), ("yarn.lock", "yarn"), ("bun.lock", "bun")]
    {
        let files = Files::new(&[("package.json", PACKAGE), (lock, "")]);
        assert_eq!(files.line("node", &[]), format!("{tool} run dev"));
    }
    let files = Files::new(&[
        ("package.json", r#"{"scripts": {"start": "x"}}"#),
        ("Cargo.toml", ""),
        ("pyproject.toml", ""),
        ("uv.lock", ""),
        ("app.py", ""),
        ("go.mod", ""),
    ]);
    for (template, values, line) in [
        ("node", &[][..], "npm run start"),
        ("cargo", &[], "cargo run"),
        ("cargo", &[("bin", "api")], "cargo run '--bin=api'"),
        ("python", &[], "uv run python app.py"),
        ("python", &[("tool", "python3 -u"), ("file", "a b.py")], "python3 -u 'a b.py'"),
        ("go", &[("package", "./cmd/api")], "go run ./cmd/api"),
        ("worker", &[("command", "bin/work 'a b' $HOME; `id`")], "bin/work 'a b' '$HOME;' '`id`'"),
        ("redis", &[("port", "7000")], "redis-server --port 7000 --bind 127.0.0.1 --save '' --appendonly no"),
    ] {
        let made = files.line(template, values);
        assert_eq!(shell_words::split(&made).unwrap(), shell_words::split(line).unwrap(), "{made}");
    }
    let postgres = files.make("postgres", &[("port", "5433")]).unwrap();
    assert_eq!((postgres.stop.signal.as_str(), postgres.restart.when), ("INT", RestartCondition::UnlessStopped));
    assert_eq!(postgres.ready.unwrap().check, CheckDefinition::Tcp("5433".into()));
    let node = files.make("node", &[("port", "3000")]).unwrap();
    assert_eq!((&node.env["PORT"], node.ready.is_some()), (&EnvValue::Literal("3000".into()), true));
}

#[test]
fn what_does_not_fit_is_refused_and_not_listed() {
    let files = Files::new(&[("package.json", PACKAGE)]);
    let listed = files.manager.templates(None).unwrap();
    let names: Vec<&str> = listed.templates.iter().map(|template| template.name.as_str()).collect();
    assert_eq!(names, ["node", "postgres", "redis", "worker", "tunnel"]);
    assert_eq!(listed.templates[1].first.as_deref(), Some("initdb -D data"));
    assert_eq!((listed.templates[3].command.as_str(), listed.templates[3].values[0].needed), ("{command}", true));
    for (template, values, problem) in [
        ("nod", &[][..], "there is no template `nod`"),
        ("cargo", &[], "template `cargo` is for a project with `Cargo.toml`, and there is none"),
        ("tunnel", &[], "template `tunnel` needs a value for `host`: The other machine, as ssh knows it"),
        (
            "tunnel",
            &[("host", "-oProxyCommand=id")],
            "template `tunnel` can't have `-oProxyCommand=id` as `host`: it begins with `-`",
        ),
        ("redis", &[("port", "0")], "template `redis` can't have `0` as `port`: it is not a port from 1 to 65535"),
        ("redis", &[("post", "1")], "template `redis` has no value `post`: it has port"),
        ("node", &[("script", "--odd")], "template `node` can't have `--odd` as `script`: it begins with `-`"),
        ("worker", &[("command", "a 'b")], "template `worker` has a quote that doesn't end"),
        (
            "worker",
            &[("command", "printf 'x$' \"$'\" $'\\x41'")],
            "template `worker` can't have `printf 'x$' \"$'\" $'\\x41'` as `command`: `$'…'` is not read here: use other quotes",
        ),
        ("worker", &[("command", " ")], "template `worker` can't have `` as `command`: it is empty or too long"),
        ("postgres", &[("data", "a\0b")], "process `p0` has a NUL character in a text"),
    ] {
        assert_eq!(files.line(template, values), problem);
    }
    // A dollar before the end of quotes, or within them, is one.
    for text in ["grep 'x$' file", "echo \"$'a'\"", "echo \\$'a'"] {
        assert!(!has_coded_quotes(text), "{text}");
    }
    // An odd name is a word like others.
    let odd = files.make("node", &[("script", "a; rm -rf /")]).unwrap();
    assert_eq!(odd.run.argv(), ["npm", "run", "a; rm -rf /"]);
    let missing = files.line("node", &[("script", "gone")]);
    assert!(missing.contains("package.json has no such script, but `start`, `dev`"), "{missing}");
}

#[test]
fn a_hostile_package_gives_a_sentence() {
    let deep = format!("{{\"scripts\": {}", "[".repeat(100_000));
    let long = format!("{{\"scripts\": {{\"dev\": \"{}\"}}}}", "x".repeat(300 << 10));
    for (text, expected) in
        [("{", "can't be read"), (deep.as_str(), "can't be read"), (long.as_str(), "is larger than")]
    {
        let files = Files::new(&[("package.json", text)]);
        let listed = files.manager.templates(None).unwrap();
        assert!(listed.problems.len() == 1 && listed.problems[0].contains(expected), "{:?}", listed.problems);
        assert!(files.make("node", &[("script", "dev")]).is_err());
    }
    for text in ["[]", "{\"scripts\": 7}", "{\"scripts\": {}}"] {
        let files = Files::new(&[("package.json", text)]);
        let listed = files.manager.templates(None).unwrap();
        assert!(listed.templates.iter().all(|template| template.name != "node"), "{text}");
    }
    let files = Files::new(&[]);
    std::os::unix::fs::symlink("/etc/hostname", files.dir.path().join("p/package.json")).unwrap();
    assert!(files.manager.templates(None).unwrap().templates.iter().all(|template| template.name != "node"));
    assert!(matches!(files.manager.templates(Some("../..")), Err(ProcessError::OutsideProject { .. })));
}

#[test]
fn a_user_is_asked_and_the_file_gains_what_was_shown() {
    let files = Files::new(&[]);
    let request = TemplateRequest { template: "postgres".into(), author: Author::User, ..TemplateRequest::default() };
    let unasked = files.manager.instantiate(&request, &NonInteractive).now_or_never().unwrap();
    assert!(matches!(unasked, Err(ProcessError::NotAdded(PromptError::Unsupported))), "{unasked:?}");
    assert!(files.manager.load().unwrap().definitions.is_empty());
}

mod fuzz {
    use super::*;

    proptest! {
        #[test]
        fn any_value_is_one_word_or_refused(value in "(?s).{0,40}", script in "(?s).{0,20}") {
            let place = TemplateDirectory { directory: "/nowhere".into(), scripts: Ok(vec![script.clone()]) };
            for (name, slot, given, before) in [
                ("go", "package", &value, &["go", "run"][..]),
                ("node", "script", &script, &["npm", "run"]),
            ] {
                let template = TEMPLATES.iter().find(|template| template.name == name).unwrap();
                let given: BTreeMap<String, String> = [(slot.to_owned(), given.clone())].into();
                if let Ok(values) = template.values(&place, &given) {
                    let argv = template.argv(&values).unwrap();
                    prop_assert_eq!(&argv[..2], before);
                    prop_assert_eq!(&argv[2..], [given[slot].clone()]);
                    prop_assert!(!argv[2].starts_with('-'));
                }
            }
        }
    }
}

#[test]
fn half_a_character_is_read() {
    let dir = tempfile::tempdir().unwrap();
    aiw_tests::assert_reads_odd_json(r#"{"name": "a", "scripts": {"TEXT": "vite"}}"#, |bytes| {
        std::fs::write(dir.path().join("package.json"), bytes).unwrap();
        scripts(dir.path()).unwrap().pop()
    });
}
