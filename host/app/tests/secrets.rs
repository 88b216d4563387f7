//! Secrets: what is removed is asked about where something uses it.

#![expect(clippy::unwrap_used, reason = "a test ends by a panic")]

use std::sync::Mutex;

use aiw_app::{AppError, secrets};
use aiw_core::{Ask, AskError, Choice, Plan, Question, Secret, SecretName, Sink, Told};
use aiw_home::Home;
use async_trait::async_trait;
use serde_json::{Value, json};

/// Gives one answer to everything.
struct Always(Result<(), AskError>, Mutex<Vec<String>>);

impl Always {
    fn yes() -> Self {
        Self(Ok(()), Mutex::default())
    }

    fn no() -> Self {
        Self(Err(AskError::Declined), Mutex::default())
    }

    fn nobody() -> Self {
        Self(Err(AskError::NotHere), Mutex::default())
    }

    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.1.lock().unwrap())
    }
}

#[async_trait]
impl Ask for Always {
    fn can_ask(&self, _: &[Question]) -> bool {
        true
    }

    async fn agree(&self, plan: &Plan, _: &[&Question]) -> Result<Vec<(String, Secret)>, AskError> {
        self.1.lock().unwrap().push(plan.question.clone());
        match self.0 {
            Ok(()) => Ok(Vec::new()),
            Err(AskError::Declined) => Err(AskError::Declined),
            Err(_) => Err(AskError::NotHere),
        }
    }

    async fn choose(&self, _: &Choice) -> Result<usize, AskError> {
        Err(AskError::NotHere)
    }
}

impl Sink for Always {
    fn tell(&self, told: Told) {
        self.1.lock().unwrap().push(format!("{told:?}"));
    }
}

fn home() -> (tempfile::TempDir, Home, SecretName) {
    let place = tempfile::tempdir().unwrap();
    let home = Home::at(place.path());
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
    let person = Always::no();
    secrets::remove(&home, &name, &person, &person).await.unwrap();
    assert_eq!((person.heard(), names(&home)), (Vec::new(), json!({"secrets": []})));
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
    for person in [Always::no(), Always::nobody()] {
        assert!(matches!(secrets::remove(&home, &name, &person, &person).await, Err(AppError::Ask(_))));
        assert_eq!(person.heard(), ["`KEY` is used by the MCP server `files`. Remove it?"]);
        assert_eq!(home.vault().get(&name).unwrap().expose(), "two");
    }
    let person = Always::yes();
    assert_eq!(secrets::remove(&home, &name, &person, &person).await.unwrap().servers, ["files"]);
    assert_eq!(names(&home), json!({"secrets": []}));
}

#[tokio::test]
async fn what_nothing_uses_any_more_is_asked_about_or_named() {
    let (_place, home, _) = home();
    let gone = [json!({"command": "x", "env": {"KEY": "${secret:KEY}"}})];
    let question = "Nothing uses `KEY` any more. Remove from the vault?";
    let person = Always::no();
    secrets::forget_unused(&home, &gone, &person, &person).await.unwrap();
    assert_eq!(person.heard(), [question]);
    let person = Always::nobody();
    secrets::forget_unused(&home, &gone, &person, &person).await.unwrap();
    assert!(person.heard()[1].contains("`aiw secret remove KEY`"));
    assert_eq!(names(&home), json!({"secrets": [{"name": "KEY"}]}));
    let person = Always::yes();
    secrets::forget_unused(&home, &gone, &person, &person).await.unwrap();
    assert_eq!(names(&home), json!({"secrets": []}));
    // Once it is gone there is nothing to say.
    assert!({
        secrets::forget_unused(&home, &gone, &person, &person).await.unwrap();
        person.heard() == [question]
    });
}
