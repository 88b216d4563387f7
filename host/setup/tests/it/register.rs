//! What is written, and what is left alone.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use aiw_core::Diagnostic;
use aiw_setup::{AiwEntry, Setup, SetupError, SetupScope, all, client};

use crate::world::{APPROVE, REGISTER, World, setup, text};

#[test]
fn each_client_gets_an_entry_once_and_loses_it_again() {
    for client in all() {
        let world = World::new();
        let path = world.file(client.id);
        assert!(world.set_up(client.id, &REGISTER), "{client:?}");
        let written = text(&path);
        assert!(written.contains("/opt/aiw") && written.contains("serve") && written.contains("AIW_HOME"), "{written}");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!world.set_up(client.id, &REGISTER), "{client:?} is set up twice");
        world.undo(client.id);
        // With the directories that were made for it.
        assert!(!path.exists() && !world.dir.path().join("user").exists(), "{client:?}");
        assert_eq!(fs::read_dir(world.home.root().join("setup")).unwrap().count(), 0);
        assert!(world.setup.plan_undo(client, &SetupScope::User).unwrap().is_none());
    }
}

#[test]
fn a_configuration_is_what_it_was_after_undo() {
    let json = "\u{feff}{\r\n  // mine\r\n  \"mcpServers\": {\r\n    \"a\": {\"command\": \"x\"}, // a\r\n  },\r\n  \"z\": 1.50\r\n}";
    let toml = "\u{feff}# mine\r\nmodel = \"x\"\r\n[mcp_servers.a] # a\r\ncommand = 'x'";
    for (id, before) in [("cursor", json), ("gemini", json), ("codex", toml), ("cursor", "{}"), ("codex", "")] {
        let world = World::new();
        let path = world.write(id, before);
        world.set_up(id, &REGISTER);
        assert_ne!(text(&path), before);
        world.undo(id);
        assert_eq!(text(&path), before);
    }
}

#[test]
fn codex_approves_what_only_reads_and_the_rest_when_asked_to() {
    let world = World::new();
    let path = world.write("codex", "model = \"x\"\n");
    world.set_up("codex", &REGISTER);
    let home = world.home.root().display();
    assert_eq!(
        text(&path),
        format!(
            "model = \"x\"\n\n[mcp_servers.aiw]\ncommand = \"/opt/aiw\"\nargs = [\"mcp\", \"serve\"]\n\
             env = {{ AIW_HOME = \"{home}\" }}\n\n[mcp_servers.aiw.tools]\n\
             list_roles = {{ approval_mode = \"approve\" }}\nwait_task = {{ approval_mode = \"approve\" }}\n"
        )
    );
    assert!(world.set_up("codex", &APPROVE));
    assert!(text(&path).contains("default_tools_approval_mode = \"approve\""));
    // Once given, it is taken away by undo alone.
    assert!(!world.set_up("codex", &REGISTER));
    world.undo("codex");
    assert_eq!(text(&path), "model = \"x\"\n");
}

#[test]
fn claude_code_and_gemini_are_told_not_to_ask() {
    let world = World::new();
    let settings = world.dir.path().join("user/.claude/settings.json");
    fs::create_dir_all(settings.parent().unwrap()).unwrap();
    let before = "{\n  \"permissions\": {\"allow\": [\"Bash(ls)\"]} // mine\n}\n";
    fs::write(&settings, before).unwrap();
    assert!(world.set_up("claude", &APPROVE) && world.set_up("gemini", &APPROVE));
    assert_eq!(text(&settings), "{\n  \"permissions\": {\"allow\": [\"Bash(ls)\", \"mcp__aiw\"]} // mine\n}\n");
    assert!(text(&world.file("gemini")).contains("\"trust\": true"));
    assert!(!world.set_up("claude", &APPROVE) && !world.set_up("gemini", &APPROVE));
    // With another path there is something to write, but nothing to say about calls.
    let moved = setup(&world.home, world.dir.path(), "/new/aiw");
    for id in ["claude", "gemini"] {
        let plan = moved.plan(client(id).unwrap(), &SetupScope::User, &REGISTER).unwrap();
        assert!(!plan.is_empty() && plan.notes.is_empty(), "{:?}", plan.notes);
    }
    // Others change it meanwhile: only ours goes.
    fs::write(&settings, text(&settings).replace("Bash(ls)", "Bash(cat)")).unwrap();
    world.undo("claude");
    assert_eq!(text(&settings), before.replace("ls", "cat"));
}

#[test]
fn after_a_change_by_others_undo_takes_out_only_our_entry() {
    let world = World::new();
    let path = world.write("cursor", "{\"mcpServers\": {}}");
    world.set_up("cursor", &REGISTER);
    let changed = text(&path).replacen("{\"mcpServers\"", "{\"theirs\": 1, \"mcpServers\"", 1);
    fs::write(&path, changed).unwrap();
    world.undo("cursor");
    assert_eq!(text(&path), "{\"theirs\": 1}");

    let path = world.write("codex", "a = 1\n");
    world.set_up("codex", &REGISTER);
    fs::write(&path, text(&path) + "\n[theirs]\nb = 2\n").unwrap();
    world.undo("codex");
    assert_eq!(text(&path), "a = 1\n\n[theirs]\nb = 2\n");
}

#[test]
fn what_the_user_added_to_the_entry_stays_and_an_old_path_goes() {
    let world = World::new();
    let path = world.write(
        "cursor",
        "{\"mcpServers\": {\"aiw\": {\"command\": \"/old/aiw\", /* mine */ \"timeout\": 5, \"args\": [\"mcp\", \"serve\"]}}}",
    );
    assert!(world.set_up("cursor", &REGISTER));
    let now = text(&path);
    assert!(now.contains("\"/opt/aiw\", /* mine */ \"timeout\": 5") && !now.contains("/old/aiw"), "{now}");
    // Ours has moved; between the two, others changed the file.
    fs::write(&path, now.replace('5', "6")).unwrap();
    let moved = setup(&world.home, world.dir.path(), "/new/aiw");
    let plan = moved.plan(client("cursor").unwrap(), &SetupScope::User, &REGISTER).unwrap();
    moved.apply(&plan).unwrap();
    let plan = moved.plan_undo(client("cursor").unwrap(), &SetupScope::User).unwrap().unwrap();
    moved.apply(&plan).unwrap();
    assert!(!text(&path).contains("aiw"));
}

#[test]
fn arguments_of_the_users_stay() {
    let world = World::new();
    let path = world
        .write("codex", "[mcp_servers.aiw]\ncommand = \"aiw\"\nargs = [\"mcp\", \"serve\", \"--profile\", \"x\"]\n");
    assert!(world.set_up("codex", &REGISTER));
    assert!(text(&path).contains("command = \"/opt/aiw\""));
    assert!(text(&path).contains("args = [\"mcp\", \"serve\", \"--profile\", \"x\"]"));
    let path = world.write(
        "opencode",
        "{\"mcp\": {\"aiw\": {\"type\": \"local\", \"command\": [\"aiw\", \"mcp\", \"serve\", \"-x\"]}}}",
    );
    assert!(world.set_up("opencode", &REGISTER));
    assert!(text(&path).contains("[\"/opt/aiw\", \"mcp\", \"serve\", \"-x\"]"), "{}", text(&path));
}

#[test]
fn toolsets_replace_those_that_an_entry_names() {
    for (before, after) in [
        (r#""serve""#, r#""serve", "--toolsets", "tasks,history""#),
        (r#""serve", "--profile", "x""#, r#""serve", "--profile", "x", "--toolsets", "tasks,history""#),
        (r#""serve", "--toolsets", "routing", "-x""#, r#""serve", "--toolsets", "tasks,history", "-x""#),
        (r#""serve", "--toolsets=a", "-x", "--toolsets""#, r#""serve", "--toolsets", "tasks,history", "-x""#),
    ] {
        let world = World::new();
        let entry = |args: &str| format!(r#"{{"mcp": {{"aiw": {{"command": ["aiw", "mcp", {args}]}}}}}}"#);
        let path = world.write("opencode", entry(before));
        let toolsets = Some("tasks,history".to_owned());
        let setup = Setup::new(world.home.clone(), world.places("", ""), AiwEntry { toolsets, ..world.ours() });
        let plan = || setup.plan(client("opencode").unwrap(), &SetupScope::User, &REGISTER).unwrap();
        setup.apply(&plan()).unwrap();
        assert!(text(&path).contains(&format!(r#"["/opt/aiw", "mcp", {after}]"#)), "{}", text(&path));
        assert!(plan().is_empty() && !world.set_up("opencode", &REGISTER), "{}", text(&path));
        world.undo("opencode");
        assert_eq!(text(&path), entry(before));
    }
}

#[test]
fn a_setup_is_undone_where_it_was_made() {
    let world = World::new();
    let places = |codex: &str| world.places("CODEX_HOME", codex);
    let setup = |codex: &str| Setup::new(world.home.clone(), places(codex), world.ours());
    let codex = client("codex").unwrap();
    for dir in ["one", "two"] {
        let plan = setup(dir).plan(codex, &SetupScope::User, &REGISTER).unwrap();
        setup(dir).apply(&plan).unwrap();
    }
    let one = world.dir.path().join("one/config.toml");
    fs::write(&one, format!("a = 1\n{}", text(&one))).unwrap();
    let plan = setup("three").plan_undo(codex, &SetupScope::User).unwrap().unwrap();
    setup("three").apply(&plan).unwrap();
    assert_eq!(text(&one), "a = 1\n");
    assert!(!world.dir.path().join("two").exists());
}

#[test]
fn what_was_written_before_a_failure_is_undone() {
    let world = World::new();
    let path = world.write("claude", "{\"theirs\": 1}");
    // The second file can't be written.
    let settings = world.dir.path().join("user/.claude/settings.json");
    fs::create_dir_all(settings.parent().unwrap()).unwrap();
    symlink(world.dir.path().join("nowhere/settings.json"), &settings).unwrap();
    let plan = world.plan("claude", &APPROVE).unwrap();
    assert!(world.setup.apply(&plan).is_err());
    assert!(text(&path).contains("/opt/aiw"));
    world.undo("claude");
    assert_eq!(text(&path), "{\"theirs\": 1}");
    assert!(settings.is_symlink() && !world.home.root().join("setup/claude.json").exists());
}

#[test]
fn a_link_stays_a_link_and_a_mode_stays_as_it_is() {
    let world = World::new();
    let real = world.dir.path().join("dotfiles.json");
    fs::write(&real, "{}").unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    let path = world.file("gemini");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    symlink(&real, &path).unwrap();
    world.set_up("gemini", &REGISTER);
    assert!(path.is_symlink() && text(&real).contains("/opt/aiw"));
    assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
    world.undo("gemini");
    assert!(path.is_symlink() && text(&real) == "{}");
}

#[test]
fn what_is_hostile_or_somebody_elses_is_left_alone() {
    let big = format!("{{\"a\": \"{}\"}}", "x".repeat(9 << 20));
    for (id, text) in [
        ("claude", "[]"),
        ("claude", "{\"mcpServers\": []}"),
        ("claude", "{\"a\": 1, \"a\": 2}"),
        ("claude", "{\"mcpServers\": {\"aiw\": {\"command\": \"rm\"}}}"),
        ("claude", big.as_str()),
        ("codex", "[mcp_servers"),
        ("codex", "mcp_servers = 3"),
        ("vscode", "{ servers: {} }"),
    ] {
        let world = World::new();
        let path = world.write(id, text);
        let error = world.plan(id, &REGISTER).map(|_| ()).unwrap_err();
        assert!(!error.to_string().contains('\n') && error.to_string().contains(path.to_str().unwrap()), "{error}");
        assert!(error.hint().is_some());
        assert_eq!(fs::read(&path).unwrap(), text.as_bytes());
    }
    let world = World::new();
    let path = world.file("cursor");
    fs::create_dir_all(&path).unwrap();
    assert!(world.plan("cursor", &REGISTER).is_err());
}

#[test]
fn a_file_that_changed_after_the_plan_is_not_written() {
    let world = World::new();
    let path = world.write("cursor", "{}");
    let plan = world.plan("cursor", &REGISTER).unwrap();
    fs::write(&path, "{\"new\": 1}").unwrap();
    assert!(matches!(world.setup.apply(&plan), Err(SetupError::ConcurrentChange { .. })));
    assert_eq!(text(&path), "{\"new\": 1}");
    assert!(!world.home.root().join("setup").exists());
}

#[test]
fn a_project_has_its_own_file_and_record() {
    let world = World::new();
    let project = SetupScope::Project(world.dir.path().join("project"));
    for client in all().iter().filter(|client| client.has_projects()) {
        let plan = world.setup.plan(client, &project, &APPROVE).unwrap();
        world.setup.apply(&plan).unwrap();
        let path = world.setup.file(client, &project).unwrap();
        assert!(path.starts_with(world.dir.path().join("project")) && text(&path).contains("/opt/aiw"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
        assert!(world.setup.registered_clients(&SetupScope::User).unwrap().is_empty());
        assert_eq!(world.setup.registered_clients(&project).unwrap().len(), 1);
        let plan = world.setup.plan_undo(client, &project).unwrap().unwrap();
        world.setup.apply(&plan).unwrap();
        assert!(!world.dir.path().join("project").exists(), "{client:?}");
    }
    let none = world.setup.plan(client("windsurf").unwrap(), &project, &REGISTER).map(|_| ()).unwrap_err();
    assert_eq!(none.to_string(), "Windsurf has no configuration for projects");
}
