//! The doctor finds what is wrong with each part, and changes nothing.

use std::fs;

use aiw_app::cli_updates::outdated;
use aiw_app::doctor::{Problem, ViewContext, inspect};
use aiw_home::{ExecutionContext, Home};

use crate::person::Recorded;
use crate::state;

/// The findings: each problem with its next step, below the name of its part.
fn found(home: &Home, cwd: &std::path::Path) -> Vec<String> {
    found_by(&home.with_context(home.context().in_directory(cwd)))
}

fn found_by(home: &Home) -> Vec<String> {
    let knows = ViewContext {
        own_tools: Vec::new(),
        check_toolsets: |names| Some(format!("no toolsets: {}", names.join(" "))),
        is_bundled: |_| false,
        is_terminal: false,
    };
    let before = state(home);
    let parts = inspect(home, knows).parts;
    assert_eq!(state(home), before);
    let names: Vec<_> =
        parts.iter().map(|part| part.name).filter(|name| !["trust", "clients"].contains(name)).collect();
    assert_eq!(
        names,
        [
            "aiw",
            "home",
            "clis",
            "providers",
            "tasks",
            "processes",
            "mcp",
            "workflows",
            "installed",
            "models",
            "history"
        ]
    );
    let line = |found: &Problem| format!("{} → {}", found.problem, found.next);
    parts.iter().flat_map(|part| part.problems.iter().map(|one| format!("{}: {}", part.name, line(one)))).collect()
}

#[test]
fn each_problem_is_told_with_its_next_step_and_a_damaged_part_hides_no_other() {
    let place = tempfile::tempdir().unwrap();
    let home = Home::from_root(place.path().join("home"));
    drop(home.lock().unwrap());
    let project = place.path().join("project");
    fs::create_dir_all(project.join(".ichimi")).unwrap();
    assert_eq!(found(&home, &project), [""; 0]);

    fs::write(home.settings_path(), r#"{"tsks": {}, "mcp": {"toolsets": ["x"]}}"#).unwrap();
    fs::write(home.providers_path(), "{").unwrap();
    fs::write(home.mcp_path(), r#"{"mcpServers": {"bad": {"command": 1}}}"#).unwrap();
    fs::write(project.join(".ichimi/processes.kdl"), "process \"web\" { comand \"sleep\" }").unwrap();
    fs::create_dir_all(home.history().join("history.db")).unwrap();
    let all = found(&home, &project);
    for (part, said) in [
        ("home: ", "`tsks` in settings.json means nothing; did you mean `tasks`? → `${EDITOR:-vi} "),
        ("home: ", "providers.json"),
        ("home: ", "no toolsets: x → `${EDITOR:-vi} "),
        ("processes: ", "→ `aiw process edit`"),
        ("mcp: ", "server `bad` can't be used"),
        ("history: ", "→ `mv "),
    ] {
        assert!(all.iter().any(|line| line.starts_with(part) && line.contains(said)), "{said}: {all:#?}");
    }
    assert_eq!(all.len(), 6, "{all:#?}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_registry_that_cannot_be_reached_is_told_once_and_not_for_each_cli() {
    use std::os::unix::fs::PermissionsExt;

    let place = tempfile::tempdir().unwrap();
    for cli in ["claude", "codex", "gemini"] {
        let path = place.path().join(cli);
        fs::write(&path, "#!/bin/sh\necho 1.2.3\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let around = ExecutionContext::new(Ok(place.path().into()), [("PATH".into(), place.path().into())]);
    let home = Home::from_root(place.path().join("home")).with_context(around);
    drop(home.lock().unwrap());
    fs::write(home.settings_path(), r#"{"updates": {"npm_url": "http://127.0.0.1:1"}}"#).unwrap();
    let person = Recorded::agreeing();
    let refused = outdated(&home, &person).await.unwrap_err().to_string();
    assert!(refused.starts_with("the newest version is not known: "), "{refused}");
    assert_eq!(person.heard(), ["Step(\"asking for the newest version of claude\")"]);
}

#[test]
fn what_every_command_meets_first_is_told() {
    let place = tempfile::tempdir().unwrap();
    let home = Home::from_root(place.path().join("home"));
    drop(home.lock().unwrap());
    let gone = ExecutionContext::new(Err(std::io::ErrorKind::NotFound.into()), []);
    let all = found_by(&home.with_context(gone));
    assert_eq!(
        all.iter().map(|line| line.split(':').next().unwrap()).collect::<Vec<_>>(),
        ["processes", "mcp", "history"]
    );
    assert!(all[..2].iter().all(|line| line.contains("directory")), "{all:?}");
    // No command that changes something could begin.
    fs::create_dir(home.root().join(".journal.json")).unwrap();
    let all = found(&home, place.path());
    assert!(all.iter().any(|line| line.starts_with("processes: ") && line.contains(".journal.json")), "{all:?}");
}

#[cfg(unix)]
#[test]
fn a_home_that_others_can_write_to_is_told_with_the_command_that_closes_it() {
    use std::os::unix::fs::PermissionsExt;

    let place = tempfile::tempdir().unwrap();
    let home = Home::from_root(place.path().join("home"));
    drop(home.lock().unwrap());
    fs::set_permissions(home.root(), fs::Permissions::from_mode(0o777)).unwrap();
    let all = found(&home, place.path());
    assert!(
        all[0].contains(&format!("others can write to aiw's home → `chmod go-w {}`", home.root().display())),
        "{all:?}"
    );
}

#[cfg(unix)]
#[test]
fn a_token_that_others_can_read_and_a_lock_that_somebody_keeps_are_told() {
    use std::os::unix::fs::PermissionsExt;

    let place = tempfile::tempdir().unwrap();
    let home = Home::from_root(place.path().join("home"));
    let lock = home.lock().unwrap();
    let token = home.root().join("mcp-token");
    fs::write(&token, "x").unwrap();
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).unwrap();
    // In a directory that nobody else enters, its mode doesn't matter.
    let all = found(&home, place.path());
    assert!(all.iter().any(|line| line.contains("/.lock`, so no command can change anything → `")), "{all:#?}");
    assert!(
        cfg!(not(target_os = "linux"))
            || all.iter().any(|line| line.contains(&format!("process {} holds", std::process::id())))
    );
    assert!(all.iter().all(|line| !line.contains("mcp-token")), "{all:#?}");
    drop(lock);
    fs::set_permissions(home.root(), fs::Permissions::from_mode(0o755)).unwrap();
    let all = found(&home, place.path());
    let told = format!("→ `chmod go-rwx {}`", token.display());
    assert!(all.len() == 1 && all[0].contains(&told), "{all:#?}");
}

#[test]
fn what_names_a_provider_or_an_extension_that_is_gone_is_told() {
    let place = tempfile::tempdir().unwrap();
    let home = Home::from_root(place.path().join("home"));
    drop(home.lock().unwrap());
    let settings = r#"{"extraKnownMarketplaces": {"acme": {"source": {"source": "acme", "location": "x", "extension": "acme-market"}}}}"#;
    fs::write(home.settings_path(), settings).unwrap();
    let providers = r#"{"version": 1, "default": "gone", "providers": {"mine": {"id": "0a1b2c3d4e5f6071", "preset": "openai", "component": "acme-provider"}}}"#;
    fs::write(home.providers_path(), providers).unwrap();
    let all = found(&home, place.path());
    for said in [
        "the default provider `gone` does not exist → `aiw provider default own`",
        "the marketplace `acme` uses the extension `acme-market`, which is not installed → `aiw plugin marketplace remove acme`",
        "the provider `mine` uses the extension `acme-provider`, which is not installed → `aiw provider remove mine`",
    ] {
        assert!(all.iter().any(|line| line.contains(said)), "{said}: {all:#?}");
    }
}

#[test]
fn a_role_that_cannot_be_used_is_told() {
    let place = tempfile::tempdir().unwrap();
    let home = Home::from_root(place.path().join("home"));
    drop(home.lock().unwrap());
    fs::create_dir_all(home.root().join("role")).unwrap();
    fs::write(home.root().join("role/reviewer.md"), [0xff, 0xfe]).unwrap();
    let project = place.path().join("project");
    fs::create_dir(&project).unwrap();
    let home = home.with_context(home.context().in_directory(&project));
    let knows =
        ViewContext { own_tools: Vec::new(), check_toolsets: |_| None, is_bundled: |_| false, is_terminal: false };
    let parts = inspect(&home, knows).parts;
    let roles = parts.iter().find(|part| part.name == "roles").unwrap();
    let problem = &roles.problems[0];
    assert!(problem.problem.starts_with("the role `reviewer` can't be used as it is: "), "{problem:?}");
    assert!(problem.next.starts_with("`${EDITOR:-vi} "), "{problem:?}");
}
