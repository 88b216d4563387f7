//! `.ichimi/processes.kdl`: its mistakes, who allows it, and what it can't do.

use std::fs;

use super::{Project, is_there};

#[test]
fn mistakes_are_named_with_their_place() {
    let cases = [
        ("process \"a\" {\n  command \"x\"\n  auto-start true\n}", "3:14: `true` is written `#true`"),
        ("process \"a\" {\n  comand \"x\"\n}", "2:3: `comand` is not known here: did you mean `command`?"),
        ("proces \"a\" { command \"x\" }", "1:1: `proces` is not known here: did you mean `process`?"),
        ("process \"a\" { command \"x\" }\nprocess \"a\" { command \"y\" }", "2:1: there are two processes `a`"),
        ("process \"a\" {\n command \"x\"; ready tcp=80 tcp=81\n}", "2:28: `tcp` stands here twice"),
        ("process \"a\" { command \"x\"; stop grace=5 }", "1:33: this is a time, such as"),
        ("process \"a\" { cwd \"x\" }", "1:1: process `a` has no command"),
        ("process \"a\" { command \"x\"; cwd \"../..\" }", "1:1: process `a` has a `cwd` outside the project"),
        ("process \"../a\" { command \"x\" }", "1:9: an id is letters"),
        (
            "process \"a\" { command \"x\"; restart \"sometimes\" }",
            "this is one of no, on-failure, always, unless-stopped",
        ),
        ("process \"a\" { command \"x\"; ready http=\"https://example.com/\" }", "is a plain URL of this machine"),
        ("process \"a\" {", "1:"),
        ("process \"a\" { command \"x\"; needs \"b\" }", "1:28: process `a` needs `b`, and there is none"),
        (
            "process \"a\" { command \"x\"; needs \"b\" }\nprocess \"b\" { command \"x\"; needs \"a\" }",
            "1:28: processes need each other in a circle: a → b → a",
        ),
    ];
    let project = Project::empty();
    for (text, expected) in cases {
        project.write(text);
        let up = project.run(&["up", "-d", "--yes"]);
        assert_eq!(up.code, 3, "{text}: {}", up.whole());
        assert!(up.stderr.contains(expected), "{text}:\n{}", up.stderr);
    }
}

#[test]
fn a_file_that_is_huge_or_deep_is_refused_without_harm() {
    let project = Project::empty();
    for text in [
        "{".repeat(100_000),
        format!("// {}", "x".repeat(300 << 10)),
        "/*".repeat(50_000),
        "a\0b".into(),
        // A raw string ends where an escape would go on, and what follows is as deep as may be.
        format!("a #\"\\\"# {} b \"", "x {".repeat(1990)),
    ] {
        project.write(&text);
        let up = project.run(&["ps"]);
        assert!([2, 3].contains(&up.code), "{} {}", up.code, up.stderr);
    }
}

#[test]
fn what_runs_is_shown_even_if_the_file_no_longer_makes_sense() {
    let project = Project::new("process \"a\" { command \"sleep\" \"1000\" }");
    project.up(&[]);
    project.write("process {");
    let shown = project.run(&["ps"]);
    assert!(shown.code == 3 && shown.stdout.contains("running"), "{}", shown.whole());
    project.run(&["stop", "a"]).ok();
}

#[test]
fn a_file_starts_nothing_until_it_is_allowed_as_it_is() {
    let project =
        Project::new("process \"a\" { command \"sleep\" \"1000\"; env { API_KEY \"sk-canary-0123456789abcdef\" } }");
    let asked = project.run(&["up", "-d"]);
    assert_eq!(asked.code, 2, "{}", asked.whole());
    assert!(asked.stdout.contains("a: sleep 1000") && asked.stderr.contains("--yes"), "{}", asked.whole());
    assert!(!asked.whole().contains("canary"), "{}", asked.whole());
    assert_eq!(project.ps("a")["state"], "not_started");
    let pid = project.up(&[])["processes"][0]["pid"].as_u64().unwrap();
    project.run(&["up", "-d"]).ok();
    // It is another file now: what runs goes on, and nothing else starts.
    project.write("process \"a\" { command \"sleep\" \"2000\" }\nprocess \"b\" { command \"sleep\" \"1000\" }");
    let asked = project.run(&["restart", "a"]);
    assert!(asked.code == 2 && asked.stdout.contains("`a` runs as it was defined before"), "{}", asked.whole());
    assert!(is_there(pid) && project.ps("b")["state"] == "not_started");
    project.up(&["b"]);
    assert!(is_there(pid));
    project.run(&["restart", "a"]).ok();
    assert!(!is_there(pid) && project.ps("a")["command"] == "sleep 2000");
}

#[test]
fn links_lead_nowhere() {
    let project = Project::new(
        "process \"out\" { command \"true\"; cwd \"link\" }
         process \"vars\" { command \"true\"; env-file \"secret-link\" }",
    );
    std::os::unix::fs::symlink("/", project.path("link")).unwrap();
    fs::write(project.user().join("secret"), "KEY=canary\n").unwrap();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "KEY=canary\n").unwrap();
    std::os::unix::fs::symlink(outside.path().join("secret"), project.path("secret-link")).unwrap();
    for id in ["out", "vars"] {
        let up = project.run(&["up", "-d", "--yes", id]);
        assert!(up.code == 2 && up.stderr.contains("is not in the project"), "{}", up.whole());
    }
    // The file itself is no link, either.
    fs::rename(project.path(".ichimi/processes.kdl"), project.path("real.kdl")).unwrap();
    std::os::unix::fs::symlink(project.path("real.kdl"), project.path(".ichimi/processes.kdl")).unwrap();
    let up = project.run(&["up", "-d", "--yes"]);
    assert_ne!(up.code, 0, "{}", up.whole());
}

#[test]
fn both_forms_of_the_old_server_are_read() {
    let project = Project::new(
        "meta { version \"1.0.0\" }
         process \"one\" { command \"sleep\"; args \"1000\" \"1001\"; cwd \".\"; auto_start #false }",
    );
    let shown = project.ps("one");
    assert_eq!(shown["command"], "sleep 1000 1001");
    fs::write(
        project.path("old.kdl"),
        "process \"two\" name=\"Two\" command=\"sleep\" args=\"1000\" auto_start=true { env { var \"K\" \"V\" }; state \"running\" pid=1 }",
    )
    .unwrap();
    let mut client = crate::mcp::Client::start_with(&project.env, &["mcp", "serve", "--toolsets", "processes"]);
    client.initialize("2025-06-18");
    let said = client.good("import_processes", serde_json::json!({"file_path": "old.kdl"}));
    assert!(said["message"].as_str().unwrap().contains("two"), "{said}");
    assert_eq!(project.ps("two")["command"], "sleep 1000");
}

#[test]
fn a_file_that_can_not_be_read_is_not_written_over() {
    let project = Project::empty();
    fs::create_dir_all(project.path(".ichimi")).unwrap();
    let bytes = b"// caf\xe9\nprocess \"a\" { command \"x\" }\n";
    fs::write(project.path(".ichimi/processes.kdl"), bytes).unwrap();
    for words in [&["process", "add", "b", "--", "x"][..], &["process", "edit"], &["process", "remove", "a"]] {
        assert_eq!(project.run(words).code, 3, "{words:?}");
        assert_eq!(fs::read(project.path(".ichimi/processes.kdl")).unwrap(), bytes);
    }
}

#[test]
fn the_question_shows_all_of_what_would_start() {
    let filler = "x".repeat(3000);
    let project = Project::new(&format!(
        "process \"a\" {{ shell \"echo {filler}; touch pwned\"; env {{ V \"{filler}end\" }}
             ready http=\"http://169.254.169.254/x\" }}
         process \"b\" {{ shell \"echo fine # \\ntouch hidden\"; env {{ LD_PRELOAD \"/tmp/sk-abcdefghijklmnopqrstuvwxyz0123.so\" }} }}"
    ));
    let asked = project.run(&["up", "-d"]);
    assert!(asked.stdout.contains("touch pwned") && asked.stdout.contains("xend"), "{}", asked.whole());
    assert!(asked.stdout.contains("asks http://169.254.169.254/x"), "{}", asked.whole());
    assert!(asked.stdout.contains("echo fine # \\ntouch hidden"), "{}", asked.whole());
    assert!(asked.stdout.contains("LD_PRELOAD=/tmp/sk-abcdefghijklmnopqrstuvwxyz0123.so"), "{}", asked.whole());
}

#[test]
fn what_is_added_takes_the_files_defaults() {
    let project = Project::new("defaults { restart \"always\"; stop signal=\"INT\"; env { A \"b\" } }\n");
    project.run(&["process", "add", "p", "--", "sleep", "5"]).ok();
    let text = fs::read_to_string(project.path(".ichimi/processes.kdl")).unwrap();
    assert!(text.ends_with("process \"p\" {\n    command \"sleep\" \"5\"\n}\n"), "{text}");
    assert_eq!(project.ps("p")["restart"], "always");
}

#[test]
fn what_a_long_file_says_is_kept_and_follows_the_file() {
    let text =
        |seconds: u32| format!("// {}\nprocess \"web\" {{ command \"sleep\" \"{seconds}\" }}\n", "x".repeat(5000));
    let project = Project::new(&text(1000));
    let command = || project.ps("web")["command"].clone();
    assert_eq!(command(), "sleep 1000");
    let kept = fs::read_dir(project.home().join("cache/processes")).unwrap().next().unwrap().unwrap().path();
    let before = fs::read(&kept).unwrap();
    assert_eq!(command(), "sleep 1000");
    project.write(&text(2000));
    assert_eq!(command(), "sleep 2000");
    assert_ne!(fs::read(&kept).unwrap(), before);
    // Nothing is written where a link leads.
    let elsewhere = project.path("elsewhere");
    fs::write(&elsewhere, "mine").unwrap();
    fs::remove_file(&kept).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &kept).unwrap();
    assert_eq!(command(), "sleep 2000");
    assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "mine");
    fs::remove_file(&kept).unwrap();
    // It is only a copy, and of no other text.
    for odd in [&before[..], &before[..100], b"", b"{}"] {
        fs::write(&kept, odd).unwrap();
        assert_eq!(command(), "sleep 2000");
    }
}

/// An editor that only looks allows nothing, and what others write meanwhile is not the user's.
#[test]
fn an_editor_allows_only_what_the_user_changed_in_a_file_that_was_allowed() {
    let mut project = Project::empty();
    let stranger = "process \"a\" {\n    command \"touch\" \"stranger\"\n}\n";
    project.write(stranger);
    project.env.set("EDITOR", "true");
    let looked = project.json(&["process", "edit"]);
    assert_eq!(looked["changed"], false, "{looked:#}");
    assert_eq!(project.run(&["up", "-d"]).code, 2);
    // What the user adds to a file that was never allowed doesn't allow the rest of it.
    project.env.set("EDITOR", "sh -c 'echo \"// mine\" >> \"$1\"' sh");
    assert_eq!(project.json(&["process", "edit"])["changed"], true);
    assert!(fs::read_to_string(project.path(".ichimi/processes.kdl")).unwrap().ends_with("// mine\n"));
    assert_eq!(project.run(&["up", "-d"]).code, 2);
    assert!(!project.path("stranger").exists());
    // Of an allowed file, the user's change is allowed.
    let own = "process \"a\" {\n    command \"sleep\" \"1000\"\n}\n";
    project.write(own);
    project.up(&[]);
    project.run(&["down"]).ok();
    project.run(&["process", "edit"]).ok();
    project.run(&["up", "-d"]).ok();
    project.run(&["down"]).ok();
    // What somebody writes while the editor is open stays, and isn't allowed; the user's version is kept.
    let file = project.path(".ichimi/processes.kdl");
    let script = format!("sh -c 'echo \"// two\" >> \"$1\"; cp stranger.kdl \"{}\"' sh", file.display());
    fs::write(project.path("stranger.kdl"), stranger).unwrap();
    project.env.set("EDITOR", script);
    let run = project.run(&["process", "edit"]);
    assert_eq!(run.code, 2, "{}", run.whole());
    let said = &run.stderr;
    assert!(said.contains("was changed by something else") && said.contains("your version is in"), "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), stranger);
    assert_eq!(project.run(&["up", "-d"]).code, 2);
    assert!(!project.path("stranger").exists());
    // An editor that nobody named would wait for a terminal.
    project.env.set("EDITOR", "");
    project.env.set("GIT_EDITOR", "vi");
    let run = project.run(&["process", "edit"]);
    assert!(run.code == 64 && run.stderr.contains("there is no terminal for an editor"), "{}", run.whole());
}
