//! The model that plans jobs.

use std::time::Duration;

use aiw_app::planners::{PlannerKey, PlannerLocation, PlannerSet, PlannerSetError, disable, set, show};
use aiw_core::{Diagnostic, Secret, SecretName};
use aiw_home::{Home, PlannerApiName};
use serde_json::json;

use crate::person::Recorded;
use crate::state;

fn server(url: Option<&str>) -> Option<PlannerLocation> {
    Some(PlannerLocation::Server(PlannerApiName::ChatCompletions, url.map(str::to_owned)))
}

fn at(url: &str, model: Option<&str>) -> PlannerSet {
    let key = Some(PlannerKey::Prompted);
    PlannerSet { location: server(Some(url)), model: model.map(str::to_owned), key, ..PlannerSet::default() }
}

#[tokio::test]
async fn a_key_and_a_model_go_with_the_place_that_they_were_given_for() {
    let place = tempfile::tempdir().unwrap();
    let home = Home::from_root(place.path());
    let name: SecretName = "planner".parse().unwrap();
    let person = Recorded { answer: "sk-planner", ..Recorded::agreeing() };
    assert!(show(&home).unwrap().planner.is_none());
    // Without a word, that is Ollama here.
    set(&home, PlannerSet { code_timeout: Some(Duration::from_secs(7)), ..PlannerSet::default() }, &person)
        .await
        .unwrap();
    let ollama = show(&home).unwrap().planner.unwrap();
    assert_eq!((ollama.api, ollama.key, ollama.code_timeout_seconds), (Some("ollama"), Some("none"), 7));
    set(&home, at("https://one.example/v1", Some("small")), &person).await.unwrap();
    let one = serde_json::to_value(show(&home).unwrap()).unwrap();
    let expected = json!({"api": "chat-completions", "url": "https://one.example/v1", "provider": null, "model": "small",
        "key": "set", "from_variable": false, "timeout_seconds": ollama.timeout_seconds, "code_timeout_seconds": 7, "max_plan_tokens": ollama.max_plan_tokens});
    assert_eq!(one["planner"], expected);
    assert_eq!(home.vault().get(&name).unwrap().expose(), "sk-planner");
    let before = state(&home);
    let wrong = [
        (PlannerSet { location: server(None), ..PlannerSet::default() }, "`--openai` needs an address"),
        (
            PlannerSet { location: server(Some("ftp://x")), ..PlannerSet::default() },
            "the address is not an address such as",
        ),
        (at("https://two.example/v1", None), "no model is named"),
        (at("https://two.example/v1", Some("a\nb")), "is not a valid model name"),
        (
            PlannerSet {
                location: Some(PlannerLocation::Provider("router".parse().unwrap())),
                ..PlannerSet::default()
            },
            "there is no provider `router`",
        ),
    ];
    for (request, said) in wrong {
        let error = set(&home, request, &person).await.unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
        assert_eq!(state(&home), before);
    }
    let elsewhere = PlannerSet { key: None, ..at("https://two.example/v1", Some("other")) };
    set(&home, elsewhere, &person).await.unwrap();
    assert!(!home.vault().has(&name));
    disable(&home).unwrap();
    assert!(show(&home).unwrap().planner.is_none());
}

#[tokio::test]
async fn a_secret_of_the_keys_name_that_is_for_something_else_stays() {
    let place = tempfile::tempdir().unwrap();
    let home = Home::from_root(place.path());
    let name: SecretName = "planner".parse().unwrap();
    let lock = home.lock().unwrap();
    home.vault().set(&lock, &name, &Secret::new("mine")).unwrap();
    drop(lock);
    let before = state(&home);
    let taken = set(&home, at("https://one.example/v1", Some("small")), &Recorded::agreeing()).await.unwrap_err();
    assert!(matches!(taken, PlannerSetError::SecretExists), "{taken}");
    assert_eq!(taken.hint().unwrap(), "`aiw secret remove planner` removes it");
    assert_eq!(state(&home), before);
}
