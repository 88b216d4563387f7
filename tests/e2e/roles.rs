//! `aiw role …`: aiw's own roles, and Claude Code's subagents.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use aiw_tests::{Environment, FakeClis};
use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use serde_json::{Value, json};

const REVIEWER: &str = "Reviews code\n------------\nYou review.\n\nBe kind.\n";

fn write(path: PathBuf, bytes: impl AsRef<[u8]>) -> PathBuf {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    path
}

fn role(env: &Environment, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    write(env.home().join(format!("role/{name}.md")), bytes)
}

/// Creates a subagent of the project, which is the directory that tests start in.
fn project(env: &Environment, name: &str, bytes: &str) -> PathBuf {
    write(env.path(&format!(".claude/agents/{name}.md")), bytes)
}

fn user(env: &Environment, name: &str, bytes: &str) -> PathBuf {
    write(env.user().join(format!(".claude/agents/{name}.md")), bytes)
}

fn listed(env: &Environment) -> Vec<Value> {
    env.json(&["role", "list"])["roles"].as_array().unwrap().clone()
}

#[test]
fn roles_of_all_folders_are_listed_by_what_counts() {
    let env = Environment::cold();
    insta::assert_snapshot!(env.run(&["role", "list"]).ok().whole(), @"
    no roles: `aiw role new NAME` creates one
    ------- stderr -------
    ------- exit code 0 -------
    ");
    assert_eq!(env.json(&["role", "list"]), json!({"roles": []}));
    assert!(!env.home().exists());

    let own = role(&env, "reviewer", REVIEWER);
    let broken = role(&env, "broken", "no delimiter");
    let shadowed = project(&env, "reviewer", "---\nname: reviewer\ndescription: Another\n---\nx");
    let agent =
        user(&env, "file-name", "---\nname: tester\ndescription: |\n  Tests\n  it\ntools: Read\n---\nYou test.\n");
    env.run(&["trust", "add", "--yes", &env.path("").display().to_string()]).ok();
    insta::assert_snapshot!(env.stable(&env.run(&["role", "list"]).ok().whole()), @"
    NAME      SOURCE   DESCRIPTION
    broken    aiw      (broken)
    reviewer  aiw      Reviews code
    reviewer  project  (not used: `[TMP]/aiw/role/reviewer.md` takes precedence)
    tester    user     Tests it
    ------- stderr -------
    `[TMP]/aiw/role/broken.md` has no line of exactly 12 dashes
    ------- exit code 0 -------
    ");
    let expected = json!({"roles": [
        {"name": "broken", "description": null, "source": "aiw", "path": broken, "bytes": 12,
            "problem": "has no line of exactly 12 dashes", "shadowed_by": null, "trusted": true},
        {"name": "reviewer", "description": "Reviews code", "source": "aiw", "path": own, "bytes": 48,
            "problem": null, "shadowed_by": null, "trusted": true},
        {"name": "reviewer", "description": "Another", "source": "project", "path": shadowed, "bytes": 45,
            "problem": null, "shadowed_by": own, "trusted": true},
        {"name": "tester", "description": "Tests\nit", "source": "user", "path": agent, "bytes": 71,
            "problem": null, "shadowed_by": null, "trusted": true},
    ]});
    assert_eq!(env.json(&["role", "list"]), expected);
}

#[test]
fn roles_of_a_project_that_is_not_trusted_are_shown_as_such() {
    let env = Environment::cold();
    project(&env, "theirs", "---\nname: theirs\ndescription: Helps\n---\nx");
    insta::assert_snapshot!(env.stable(&env.run(&["role", "list"]).ok().whole()), @"
    NAME    SOURCE   DESCRIPTION
    theirs  project  (not used: the directory is not trusted)
    ------- stderr -------
    `aiw trust add` lets the roles of this directory be used
    ------- exit code 0 -------
    ");
    assert_eq!(listed(&env)[0]["trusted"], false);
    insta::assert_snapshot!(env.stable(&env.run(&["role", "show", "theirs"]).ok().whole()), @"
    Helps

    x
    ------- stderr -------
    no run gets this role: the directory is not trusted (`aiw trust add`)
    ------- exit code 0 -------
    ");
    env.run(&["role", "validate"]).ok();
    env.run(&["trust", "add", "--yes", &env.path("").display().to_string()]).ok();
    assert_eq!(listed(&env)[0]["trusted"], true);
}

#[test]
fn a_role_is_shown_as_it_is() {
    let env = Environment::cold();
    let path = role(&env, "reviewer", REVIEWER);
    insta::assert_snapshot!(env.run(&["role", "show", "reviewer"]).ok().whole(), @"
    Reviews code

    You review.

    Be kind.
    ------- stderr -------
    ------- exit code 0 -------
    ");
    let expected = json!({"role": {"name": "reviewer", "description": "Reviews code", "source": "aiw", "path": path,
        "bytes": 48, "problem": null, "shadowed_by": null, "trusted": true, "content": "You review.\n\nBe kind."}});
    assert_eq!(env.json(&["role", "show", "reviewer"]), expected);

    role(&env, "windows", "\u{feff}From\r\n------------\r\none\r\ntwo\r\n");
    assert_eq!(env.run(&["role", "show", "windows"]).ok().stdout, "From\n\none\ntwo\n");
    assert_eq!(env.json(&["role", "show", "windows"])["role"]["content"], "one\r\ntwo");

    role(&env, "steering", "a\u{1b}[2J\n------------\nb\u{202e}\u{1b}]0;x\u{7}");
    let run = env.run(&["role", "show", "steering"]).ok();
    assert!(!run.stdout.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{:?}", run.stdout);
    assert_eq!(env.json(&["role", "show", "steering"])["role"]["content"], "b\u{202e}\u{1b}]0;x\u{7}");

    user(&env, "agent", "---\nname: agent\ndescription: Use it so: well\n---\n\nYou are.\n");
    assert_eq!(env.run(&["role", "show", "agent"]).ok().stdout, "Use it so: well\n\nYou are.\n");
}

#[test]
fn what_is_no_role_is_refused_with_the_reason() {
    let env = Environment::cold();
    let secret = write(env.path("secret.md"), "d\n------------\nsecret");
    role(&env, "real", REVIEWER);
    symlink(&secret, env.home().join("role/absolute.md")).unwrap();
    symlink("../../secret.md", env.home().join("role/relative.md")).unwrap();
    fs::create_dir(env.home().join("role/directory.md")).unwrap();
    role(&env, "eleven", "d\n-----------\nc");
    role(&env, "thirteen", "d\n-------------\nc");
    role(&env, "none", "d");
    role(&env, "latin", b"d\xe9\n------------\nc");
    let mut large = b"d\n------------\n".to_vec();
    large.resize(1_048_576, b'x');
    role(&env, "largest", &large);
    large.push(b'x');
    role(&env, "larger", &large);
    env.run(&["role", "show", "largest"]).ok();
    for (name, told) in [
        ("absolute", "is a link that leaves its folder"),
        ("relative", "is a link that leaves its folder"),
        ("directory", "is not a regular file"),
        ("eleven", "has no line of exactly 12 dashes: line 2 has 11"),
        ("thirteen", "has no line of exactly 12 dashes: line 2 has 13"),
        ("none", "has no line of exactly 12 dashes"),
        ("latin", "is not UTF-8: byte 1 doesn't begin a character"),
        ("larger", "is larger than 1 MB: it has 1048577 bytes, and 1048576 are allowed"),
        ("../../secret", "role name `../../secret` has characters other than letters, digits, `.`, `_` and `-`"),
        (env.path("secret").to_str().unwrap(), "has characters other than letters"),
        ("..", "role name `..` does not begin with a letter or a digit"),
        ("", "role name `` is empty"),
        ("nul", "role name `nul` is a device name on Windows"),
        ("nobody", "there is no role `nobody`"),
    ] {
        let run = env.run(&["role", "show", name]);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{name}: {}", run.whole());
        assert!(run.stderr.starts_with("error: ") && run.stderr.contains(told), "{name}: {}", run.whole());
        let answer = env.json(&["role", "show", name]);
        assert_eq!(answer["error"]["kind"], "user", "{name}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(told), "{answer:#}");
        assert!(!answer.to_string().contains("secret\\n"), "{answer:#}");
    }
    for command in ["new", "edit", "validate"] {
        assert_eq!(env.run(&["role", command, "../x"]).code, 2);
    }
    assert!(!env.home().join("x.md").exists());
}

#[test]
fn a_new_role_comes_from_a_template_a_file_or_standard_input() {
    let env = Environment::cold();
    insta::assert_snapshot!(env.stable(&env.run(&["role", "new", "plain"]).ok().whole()), @"
    Wrote `[TMP]/aiw/role/plain.md`
    Edit it with `aiw role edit plain`
    ------- stderr -------
    ------- exit code 0 -------
    ");
    // What nobody wrote yet is no good role.
    insta::assert_snapshot!(env.stable(&env.run(&["role", "validate", "plain"]).whole()), @"
    plain: still has the description and the content of the template: `aiw role edit plain`
    ------- stderr -------
    error: invalid: `[TMP]/aiw/role/plain.md`
    ------- exit code 2 -------
    ");
    let run = env.run(&["role", "validate", "--json"]);
    let problem = "still has the description and the content of the template: `aiw role edit plain`";
    assert_eq!((run.code, &run.json()["roles"][0]["problem"]), (2, &json!(problem)));

    env.run(&["role", "new", "described", "--description", "Does it"]).ok();
    assert!(env.read("role/described.md").starts_with("Does it\n------------\n"));
    let run = env.run(&["role", "validate", "described"]);
    assert!(run.code == 2 && run.stdout.contains("still has the content of the template"), "{}", run.whole());
    role(&env, "described", "Does it\n------------\nYou do it.\n");
    assert_eq!(env.run(&["role", "validate", "described"]).ok().stdout, "described: good\n");

    let file = write(env.path("role.txt"), REVIEWER);
    let answer = env.json(&["role", "new", "copied", "--from", file.to_str().unwrap()]);
    let path = env.home().join("role/copied.md");
    let expected = json!({"role": {"name": "copied", "description": "Reviews code", "source": "aiw", "path": path,
        "bytes": 48, "problem": null, "shadowed_by": null, "trusted": true}});
    assert_eq!(answer, expected);
    assert_eq!(env.read("role/copied.md"), REVIEWER);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    let content = "You do it.\r\n'\"$(x)\0\n";
    env.run_with_input(&["role", "new", "piped", "--description", "Does: it", "--from", "-"], content.as_bytes()).ok();
    assert_eq!(env.read("role/piped.md"), format!("Does: it\n------------\n{content}"));
}

#[test]
fn a_role_is_not_replaced_unasked_nor_by_what_is_none() {
    let env = Environment::cold();
    role(&env, "mine", REVIEWER);
    insta::assert_snapshot!(env.stable(&env.run(&["role", "new", "mine"]).whole()), @"
    ------- stderr -------
    error: the role `mine` already exists: `[TMP]/aiw/role/mine.md`
    hint: change it with `aiw role edit mine`, or replace it with `--force`
    ------- exit code 2 -------
    ");
    for (input, told) in [
        (b"nothing".to_vec(), "has no line of exactly 12 dashes"),
        (b"d\n------------\n\xff".to_vec(), "is not UTF-8: byte 15 doesn't begin a character"),
        (vec![b'x'; 2 << 20], "is larger than 1 MB"),
    ] {
        let run = env.run_with_input(&["role", "new", "mine", "--force", "--from", "-"], &input);
        assert_eq!(run.code, 2, "{}", run.whole());
        assert!(run.stderr.contains(told), "{}", run.whole());
    }
    let run = env.run(&["role", "new", "mine", "--force", "--description", "a\nb"]);
    assert!(run.code == 2 && run.stderr.contains("the description must be one line"), "{}", run.whole());
    let run = env.run(&["role", "new", "other", "--from", "nowhere"]);
    assert!(run.code == 2 && run.stderr.contains("cannot read `nowhere`"), "{}", run.whole());
    assert_eq!(env.read("role/mine.md"), REVIEWER);
    env.run(&["role", "new", "mine", "--force", "--description", "New"]).ok();
    assert!(env.read("role/mine.md").starts_with("New\n"));
    let names: Vec<Value> = listed(&env).into_iter().map(|role| role["name"].clone()).collect();
    assert_eq!(names, ["mine"]);
}

#[test]
fn roles_of_aiw_are_removed_and_those_of_others_stay() {
    let env = Environment::new();
    let mine = role(&env, "mine", REVIEWER);
    let broken = role(&env, "broken", "no delimiter");
    let theirs = user(&env, "theirs", "---\nname: theirs\ndescription: x\n---\nBe.\n");
    env.run(&["role", "remove", "mine", "broken"]).ok();
    assert!(!mine.exists() && !broken.exists());
    let refused = env.run(&["role", "remove", "theirs", "gone"]);
    assert_eq!(refused.code, 2, "{}", refused.whole());
    assert!(refused.stderr.contains("belongs to Claude Code") && refused.stderr.contains("no role `gone`"));
    assert!(theirs.exists());
}

#[test]
fn validate_checks_all_or_one() {
    let env = Environment::cold();
    assert_eq!(env.json(&["role", "validate"]), json!({"roles": []}));
    role(&env, "good", REVIEWER);
    env.run(&["role", "validate"]).ok();
    role(&env, "bad", "d\n-----------\nc");
    role(&env, "not a name", REVIEWER);
    project(&env, "agent", "no front matter");
    insta::assert_snapshot!(env.stable(&env.run(&["role", "validate"]).whole()), @"
    bad: has no line of exactly 12 dashes: line 2 has 11
    good: good
    not a name: has a name that can't be used: role name `not a name` has characters other than letters, digits, `.`, `_` and `-`
    agent: does not begin with front matter (a line `---`)
    ------- stderr -------
    error: invalid: `[TMP]/aiw/role/bad.md`, `[TMP]/aiw/role/not a name.md`, `[TMP]/.claude/agents/agent.md`
    ------- exit code 2 -------
    ");
    let run = env.run(&["role", "validate", "--json"]);
    assert_eq!(run.code, 2);
    let problems: Vec<Value> = run.json()["roles"].as_array().unwrap().iter().map(|r| r["problem"].clone()).collect();
    assert_eq!(problems.iter().filter(|problem| problem.is_null()).count(), 1, "{problems:?}");
    assert_eq!(env.run(&["role", "validate", "good"]).ok().stdout, "good: good\n");
    assert_eq!(env.run(&["role", "validate", "bad"]).code, 2);
    assert_eq!(env.run(&["role", "validate", "not a name"]).code, 2);
    assert_eq!(env.run(&["role", "validate", "nobody"]).code, 2);
}

/// Sets an editor that runs this script on the file in `$2`.
fn editor(env: &mut Environment, script: &str) {
    let path = write(env.path("an editor"), format!("#!/bin/sh\n{script}\n"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    // With a space in its path, and an argument before the file.
    env.set("EDITOR", format!("'{}' --wait", path.display()));
}

/// Runs the binary on a terminal. Returns the final output and the exit code.
fn on_a_terminal(env: &Environment, arguments: &[&str]) -> (String, u32) {
    let pair = native_pty_system().openpty(PtySize { rows: 24, cols: 200, pixel_width: 0, pixel_height: 0 }).unwrap();
    let (binary, variables) = env.parts();
    let mut command = CommandBuilder::new(binary);
    command.args(arguments);
    command.env_clear();
    for (name, value) in variables {
        command.env(name, value);
    }
    command.cwd(env.path(""));
    let mut child = pair.slave.spawn_command(command).unwrap();
    drop(pair.slave);
    let mut output = pair.master.try_clone_reader().unwrap();
    let reader = std::thread::spawn(move || {
        let (mut text, mut piece) = (Vec::new(), [0; 4096]);
        // Reading the terminal of a process that has ended is an error.
        while let Ok(read @ 1..) = output.read(&mut piece) {
            text.extend_from_slice(&piece[..read]);
        }
        String::from_utf8(text).unwrap()
    });
    let start = Instant::now();
    let code = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.exit_code();
        }
        assert!(start.elapsed() < aiw_tests::HANG_TIMEOUT, "it does not end");
        std::thread::sleep(Duration::from_millis(10));
    };
    drop(pair.master);
    (reader.join().unwrap().replace("\r\n", "\n"), code)
}

#[test]
fn an_edited_role_is_replaced_when_it_is_one() {
    let mut env = Environment::cold();
    role(&env, "mine", REVIEWER);
    // The editor gets the terminal, and a copy that other users can't read.
    let seen = env.path("seen").display().to_string();
    let script =
        format!("test -t 0 && test -t 1 && stat -c %a \"$(dirname \"$2\")\" > {seen}; basename \"$2\" >> {seen}");
    editor(&mut env, &format!("{script}; sed -i s/kind/brief/ \"$2\""));
    let (said, code) = on_a_terminal(&env, &["role", "edit", "mine"]);
    assert_eq!((said.as_str(), code), ("Changed mine\n", 0));
    assert_eq!(env.read("role/mine.md"), REVIEWER.replace("kind", "brief"));
    assert_eq!(fs::read_to_string(env.path("seen")).unwrap(), "700\nmine.md\n");

    editor(&mut env, "true");
    assert_eq!(on_a_terminal(&env, &["role", "edit", "mine"]), ("mine is unchanged\n".into(), 0));
    // VISUAL takes precedence, and a broken role can be repaired.
    role(&env, "mine", b"\xff");
    editor(&mut env, "printf 'd\\n------------\\nmended\\n' > \"$2\"");
    let visual = env.parts().1["EDITOR"].clone();
    env.set("VISUAL", visual);
    env.set("EDITOR", "false");
    assert_eq!(on_a_terminal(&env, &["role", "edit", "mine"]).1, 0);
    assert_eq!(env.read("role/mine.md"), "d\n------------\nmended\n");
}

#[test]
fn an_invalid_edit_is_kept_aside() {
    let mut env = Environment::cold();
    role(&env, "mine", REVIEWER);
    fs::create_dir(env.path("tmp")).unwrap();
    env.set("TMPDIR", env.path("tmp").display().to_string());
    editor(&mut env, "echo 'no role any more' > \"$2\"");
    let (said, code) = on_a_terminal(&env, &["role", "edit", "mine"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("the role was not changed") && said.contains("has no line of exactly 12 dashes"), "{said}");
    let (_, path) = said.split_once("your text is kept in `").unwrap();
    let path = path.split('`').next().unwrap();
    assert_eq!(fs::read_to_string(path).unwrap(), "no role any more\n");
    assert_eq!(env.read("role/mine.md"), REVIEWER);

    // Another program changed the role first.
    let mine = env.home().join("role/mine.md");
    editor(&mut env, &format!("sed -i s/kind/brief/ \"$2\"; echo >> {}", mine.display()));
    let (said, code) = on_a_terminal(&env, &["role", "edit", "mine"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("was changed by another program") && said.contains("kept in"), "{said}");
    assert_eq!(env.read("role/mine.md"), REVIEWER.to_owned() + "\n");

    // An editor that fails means that nothing should be changed. What it wrote is kept.
    editor(&mut env, "echo more >> \"$2\"; exit 3");
    let (said, code) = on_a_terminal(&env, &["role", "edit", "mine"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("the editor exited with exit status: 3") && said.contains("kept in"), "{said}");

    // Copies that are not needed are removed.
    let left = fs::read_dir(env.path("tmp")).unwrap().count();
    editor(&mut env, "exit 1");
    let (said, code) = on_a_terminal(&env, &["role", "edit", "mine"]);
    assert!(code == 2 && !said.contains("kept in"), "{said}");
    assert_eq!((left, fs::read_dir(env.path("tmp")).unwrap().count()), (3, 3));
}

#[test]
fn editing_says_what_it_needs() {
    let mut env = Environment::cold();
    role(&env, "mine", REVIEWER);
    user(&env, "agent", "---\nname: agent\n---\nc");
    env.set("EDITOR", "true");
    insta::assert_snapshot!(env.run(&["role", "edit", "mine"]).whole(), @"
    ------- stderr -------
    error: editing needs a terminal
    hint: `aiw role new mine --from FILE --force` replaces it without one
    ------- exit code 2 -------
    ");
    insta::assert_snapshot!(env.run(&["role", "edit", "nobody"]).whole(), @"
    ------- stderr -------
    error: there is no role `nobody`
    hint: `aiw role list` lists the roles; `aiw role new nobody` creates one
    ------- exit code 2 -------
    ");
    insta::assert_snapshot!(env.stable(&env.run(&["role", "edit", "agent"]).whole()), @"
    ------- stderr -------
    error: the role `agent` belongs to Claude Code, and aiw does not change it: `[TMP]/user/.claude/agents/agent.md`
    hint: `aiw role new agent --description … --from FILE` creates an aiw role that takes precedence over `[TMP]/user/.claude/agents/agent.md`
    ------- exit code 2 -------
    ");
    env.unset("EDITOR");
    let (said, code) = on_a_terminal(&env, &["role", "edit", "mine"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(said, @"
    error: neither `VISUAL` nor `EDITOR` names an editor, and git has none
    hint: for example, `export EDITOR=nano`
    ");
    // Then the editor of git is the user's.
    let configured = write(env.path("configured"), "#!/bin/sh\nprintf 'Edited\\n------------\\nby git\\n' > \"$1\"\n");
    fs::set_permissions(&configured, fs::Permissions::from_mode(0o755)).unwrap();
    env.git_config(&format!("[core]\n\teditor = '{}'\n", configured.display()));
    let (said, code) = on_a_terminal(&env, &["role", "edit", "mine"]);
    assert_eq!((said.as_str(), code), ("Changed mine\n", 0));
    assert!(env.read("role/mine.md").starts_with("Edited\n"));
    role(&env, "mine", REVIEWER);
    env.set("VISUAL", "no-such-editor");
    let (said, code) = on_a_terminal(&env, &["role", "edit", "mine"]);
    assert!(code == 2 && said.contains("exit status: 127"), "{said}");
    assert_eq!(env.read("role/mine.md"), REVIEWER);
}

#[test]
fn a_signal_of_the_editors_keys_does_not_end_us() {
    let mut env = Environment::cold();
    role(&env, "mine", REVIEWER);
    // Like Ctrl-C on the terminal, which signals both the editor and the process that started it.
    editor(&mut env, "trap : INT; kill -INT 0; sed -i s/kind/brief/ \"$2\"");
    let (said, code) = on_a_terminal(&env, &["role", "edit", "mine"]);
    assert_eq!((said.as_str(), code), ("Changed mine\n", 0));
}

#[test]
fn a_role_that_nobody_has_written_is_put_before_no_task() {
    let (env, clis) = FakeClis::environment();
    env.run(&["role", "new", "empty"]).ok();
    let refused = env.run(&["claude", "-r", "empty", "hello"]);
    assert!(
        refused.code == 2 && refused.stderr.contains("still has the text that a new role begins with"),
        "{}",
        refused.whole()
    );
    assert!(refused.stderr.contains("aiw role edit empty") && clis.seen().is_empty(), "{}", refused.whole());
}
