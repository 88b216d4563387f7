//! Secrets: what is removed is asked about where something uses it.

use aiw_app::{AppError, secrets};
use aiw_core::{Secret, SecretName};
use aiw_home::Home;
use serde_json::{Value, json};

use crate::person::{Does, Recorded};

fn home() -> (tempfile::TempDir, Home, SecretName) {
    let place = tempfile::tempdir().unwrap();
    let home = Home::from_root(place.path());
    let name: SecretName = "KEY".parse().unwrap();
    assert!(secrets::set(&home, &name, &Secret::new("one")).unwrap().secret.new);
    assert!(!secrets::set(&home, &name, &Secret::new("two")).unwrap().secret.new);
    (place, home, name)
}

fn names(home: &Home) -> Value {
    serde_json::to_value(secrets::list(home).unwrap()).unwrap()
}

#[tokio::test]
async fn what_nothing_uses_is_removed_without_a_question() {
    let (_place, home, name) = home();
    assert_eq!(names(&home), json!({"secrets": [{"name": "KEY"}]}));
    let person = Recorded::new(0, Does::Declines);
    secrets::remove(&home, &name, &person, &person).await.unwrap();
    assert_eq!((person.questions().len(), names(&home)), (0, json!({"secrets": []})));
    assert!(matches!(
        secrets::remove(&home, &name, &person, &person).await,
        Err(AppError::Provider(_) | AppError::Vault(_))
    ));
}

#[tokio::test]
async fn what_a_server_uses_is_removed_after_a_yes() {
    let (_place, home, name) = home();
    let servers = json!({"mcpServers": {"files": {"command": "x", "env": {"KEY": "${secret:KEY}"}}}});
    std::fs::write(home.mcp_path(), servers.to_string()).unwrap();
    for person in [Recorded::new(0, Does::Declines), Recorded::new(0, Does::Absent)] {
        assert!(matches!(secrets::remove(&home, &name, &person, &person).await, Err(AppError::Prompt(_))));
        assert_eq!(person.questions(), ["`KEY` is used by the MCP server `files`. Remove it?"]);
        assert_eq!(home.vault().get(&name).unwrap().expose(), "two");
    }
    let person = Recorded::agreeing();
    assert_eq!(secrets::remove(&home, &name, &person, &person).await.unwrap().servers, ["files"]);
    assert_eq!(names(&home), json!({"secrets": []}));
}

#[tokio::test]
async fn what_nothing_uses_any_more_is_asked_about_or_named() {
    let (_place, home, _) = home();
    let gone = [json!({"command": "x", "env": {"KEY": "${secret:KEY}"}})];
    let question = "Nothing uses `KEY` any more. Remove from the vault?";
    let person = Recorded::new(0, Does::Declines);
    secrets::remove_unused_secrets(&home, &gone, &person, &person).await.unwrap();
    assert_eq!(person.questions(), [question]);
    let person = Recorded::new(0, Does::Absent);
    secrets::remove_unused_secrets(&home, &gone, &person, &person).await.unwrap();
    assert!(person.heard()[0].contains("`aiw secret remove KEY`"));
    assert_eq!(names(&home), json!({"secrets": [{"name": "KEY"}]}));
    let person = Recorded::agreeing();
    secrets::remove_unused_secrets(&home, &gone, &person, &person).await.unwrap();
    assert_eq!(names(&home), json!({"secrets": []}));
    // Once it is gone there is nothing to say.
    secrets::remove_unused_secrets(&home, &gone, &person, &person).await.unwrap();
    assert_eq!(person.questions(), [question]);
}
