//! Trusted directories: what is shown is what is trusted.

use std::fs;

use aiw_app::trust::{TrustError, add, list, remove};
use aiw_core::{Diagnostic, PromptError};
use aiw_home::Home;
use serde_json::json;

use crate::person::{Does, Recorded};
use crate::state;

fn project() -> (tempfile::TempDir, Home, std::path::PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let home = Home::from_root(place.path().join("home"));
    drop(home.lock().unwrap());
    let project = fs::canonicalize(place.path()).unwrap().join("project");
    fs::create_dir_all(project.join("below")).unwrap();
    let servers = json!({"mcpServers": {"files": {"command": "serve", "args": ["--all"]}}});
    fs::write(project.join(".mcp.json"), servers.to_string()).unwrap();
    (place, home, project)
}

#[tokio::test]
async fn what_its_files_start_is_shown_and_the_answer_counts() {
    let (_place, home, project) = project();
    let before = state(&home);
    for does in [Does::Declines, Does::Absent] {
        let person = Recorded::new(0, does);
        let refused = add(&home, project.clone(), &person, &person).await;
        assert!(matches!(refused, Err(TrustError::Prompt(PromptError::Declined | PromptError::Unsupported))));
        assert_eq!(state(&home), before);
    }
    let person = Recorded::agreeing();
    let added = add(&home, project.clone(), &person, &person).await.unwrap();
    assert_eq!((added.new, added.servers), (true, vec!["files".to_owned()]));
    let plan = person.plans.lock().unwrap()[0].clone();
    assert!(plan.details.iter().any(|line| line.contains("serve --all")), "{plan:?}");
    assert_eq!(list(&home).unwrap().directories, [project.to_string_lossy()]);
    // Once is enough, until the file that starts something is another one.
    let again = Recorded::agreeing();
    assert!(!add(&home, project.clone(), &again, &again).await.unwrap().new);
    assert!(again.questions().is_empty());
    fs::write(project.join(".mcp.json"), "{}").unwrap();
    add(&home, project.clone(), &again, &again).await.unwrap();
    assert_eq!(again.questions(), ["Trust this directory and everything below it?"]);
}

#[tokio::test]
async fn all_that_a_file_decides_is_shown_whatever_it_is_called() {
    let (_place, home, project) = project();
    for directory in [".claude", ".gemini"] {
        fs::create_dir(project.join(directory)).unwrap();
    }
    let long = "a".repeat(500);
    let hooks = json!({
        "Stop": [{"matcher": "*", "hooks": [
            {"type": "command", "command": "run this"},
            {"type": "mcp_tool", "server": "mine", "tool": "erase"},
            {"type": "command", "command": "x", "args": ["and that"]},
            "odd",
        ]}],
    });
    fs::write(project.join(".claude/settings.json"), json!({"hooks": hooks}).to_string()).unwrap();
    fs::write(project.join(".claude/settings.local.json"), json!({"hooks": ["no object"]}).to_string()).unwrap();
    let tools = json!({"tools": {"allowed": [long], "discoveryCommand": "touch this"}});
    fs::write(project.join(".gemini/settings.json"), tools.to_string()).unwrap();
    let person = Recorded::agreeing();
    add(&home, project, &person, &person).await.unwrap();
    let about = person.plans.lock().unwrap()[0].details.join("\n");
    for shown in ["run this", "erase", "and that", "odd", "no object", "discoveryCommand", "touch this"] {
        assert!(about.contains(shown), "{shown}: {about}");
    }
}

#[tokio::test]
async fn a_no_can_be_taken_back() {
    let (_place, home, project) = project();
    let person = Recorded::agreeing();
    add(&home, project.clone(), &person, &person).await.unwrap();
    aiw_app::trust::decline(&home, &project).unwrap();
    assert!(home.settings().unwrap().trust().is_declined(&project));
    add(&home, project.clone(), &person, &person).await.unwrap();
    assert!(!home.settings().unwrap().trust().is_declined(&project));
    assert_eq!(person.questions().len(), 2);
}

#[tokio::test]
async fn a_file_of_processes_is_allowed_apart_and_that_is_said() {
    let (_place, home, project) = project();
    let file = project.join(".ichimi/processes.kdl");
    fs::create_dir(project.join(".ichimi")).unwrap();
    fs::write(&file, "process \"web\" { command \"serve\" }").unwrap();
    let person = Recorded::agreeing();
    add(&home, project, &person, &person).await.unwrap();
    let plan = person.plans.lock().unwrap()[0].clone();
    let said = format!("  {} is allowed apart: `aiw up` shows what it starts, and asks", file.display());
    assert!(plan.details.contains(&said), "{plan:?}");
    assert!(!home.settings().unwrap().trust().has_file(&file, &fs::read(&file).unwrap()));
}

#[tokio::test]
async fn who_goes_away_has_trusted_nothing() {
    let (_place, home, project) = project();
    let (before, person) = (state(&home), Recorded::new(0, Does::Waits));
    tokio::select! {
        biased;
        _ = add(&home, project, &person, &person) => panic!("it waits"),
        () = async { while person.questions().is_empty() { tokio::task::yield_now().await; } } => {}
    }
    assert_eq!(state(&home), before);
}

#[tokio::test]
async fn a_directory_is_taken_out_by_its_own_name() {
    let (_place, home, project) = project();
    let person = Recorded::agreeing();
    add(&home, project.clone(), &person, &person).await.unwrap();
    let below = remove(&home, project.join("below"), &person).unwrap_err();
    assert!(below.hint().unwrap().contains("it is trusted with"), "{below}");
    fs::remove_dir_all(&project).unwrap();
    remove(&home, project.clone(), &person).unwrap();
    assert!(person.heard().last().unwrap().contains("No longer trusted"), "{:?}", person.heard());
    assert!(list(&home).unwrap().directories.is_empty());
    let gone = add(&home, project, &person, &person).await.unwrap_err();
    assert!(matches!(gone, TrustError::NotFound { .. }), "{gone}");
}
