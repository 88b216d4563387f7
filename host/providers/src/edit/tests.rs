//! What happens to the key of a provider that moves, and to one that has changed before it is removed.

use std::sync::Mutex;

use aiw_core::provider::{Account, Health, Intent, Model, Target};
use aiw_core::{Api, Choice, ExtensionId, Family, Plan, Question, RecordingReporter};
use aiw_home::Home;
use async_trait::async_trait;

use super::*;
use crate::changes::NewTokenSource;
use crate::{CliApis, ProviderComponentError, ProviderComponents, ServedClis};

/// A component with one preset, which may have a key.
struct OnePreset(Requirement);

#[async_trait]
impl ProviderComponents for OnePreset {
    async fn presets(&self) -> Result<(Vec<PresetEntry>, Vec<ProviderComponentError>), ProviderComponentError> {
        Ok((vec![self.preset("any", None).await?], Vec::new()))
    }

    async fn preset(&self, id: &str, _: Option<&ExtensionId>) -> Result<PresetEntry, ProviderComponentError> {
        if id != "any" {
            return Err(ProviderComponentError::UnknownPreset { preset: id.to_owned(), known: vec!["any".into()] });
        }
        let preset = Preset {
            id: "any".into(),
            label: "Any".into(),
            base_urls: [(Family::Anthropic, None)].into(),
            token: self.0,
            token_page: None,
            model: None,
        };
        Ok(PresetEntry { component: "c".parse().unwrap(), bundled: true, preset })
    }

    async fn check_address(&self, _: &str) -> Result<(), ProviderComponentError> {
        Ok(())
    }

    async fn try_connection(&self, _: &str) -> Result<(), ProviderComponentError> {
        Ok(())
    }

    async fn plan(&self, _: &ExtensionId, _: &Account, _: &Target) -> Result<Intent, ProviderComponentError> {
        unreachable!("nothing is started")
    }

    async fn check(
        &self,
        _: &ExtensionId,
        _: &Account,
        _: &BTreeMap<String, Secret>,
    ) -> Result<Health, ProviderComponentError> {
        unreachable!("nobody is asked")
    }

    async fn models(
        &self,
        _: &ExtensionId,
        _: &Account,
        _: &BTreeMap<String, Secret>,
    ) -> Result<Vec<Model>, ProviderComponentError> {
        unreachable!("nobody is asked")
    }
}

/// A person who is recorded: what they type for a key, and whether they agree.
struct Typing {
    key: &'static str,
    agrees: bool,
    is_there: bool,
    words: Mutex<Vec<String>>,
    plans: Mutex<Vec<Plan>>,
}

impl Typing {
    fn new(key: &'static str, agrees: bool) -> Self {
        Self { key, agrees, is_there: true, words: Mutex::default(), plans: Mutex::default() }
    }
}

#[async_trait]
impl Prompter for Typing {
    fn can_ask(&self, _: &[Question]) -> bool {
        true
    }

    async fn confirm(&self, plan: &Plan, _: &[&Question]) -> Result<Vec<(String, Secret)>, PromptError> {
        assert_eq!(plan.truncated_part(), None, "{plan:?}");
        self.plans.lock().unwrap().push(plan.clone());
        if self.agrees { Ok(Vec::new()) } else { Err(PromptError::Declined) }
    }

    /// Chooses the first.
    async fn select(&self, choice: &Choice) -> Result<usize, PromptError> {
        self.words.lock().unwrap().push(format!("{} {}", choice.short_question, choice.options.join(" | ")));
        Ok(0)
    }

    fn is_interactive(&self) -> bool {
        self.is_there
    }

    /// Types a wrong word first.
    async fn text(&self, words: &str) -> Result<Option<String>, PromptError> {
        self.words.lock().unwrap().push(words.to_owned());
        Ok(Some(if self.words.lock().unwrap().len() == 1 { "wrong" } else { "any" }.to_owned()))
    }

    async fn secret(&self, words: &str) -> Result<Option<Secret>, PromptError> {
        self.words.lock().unwrap().push(words.to_owned());
        Ok(Some(self.key).filter(|key| !key.is_empty()).map(Secret::new))
    }
}

/// Providers with one, `x`, whose key is in the vault.
fn with_one(need: Requirement) -> (tempfile::TempDir, Providers) {
    let place = tempfile::tempdir().unwrap();
    let home = Home::from_root(place.path().join("home"));
    let lock = home.lock().unwrap();
    home.vault().set(&lock, &"x".parse().unwrap(), &Secret::new("sk-old")).unwrap();
    let mut provider = Provider::new("x".parse().unwrap(), "any");
    provider.component = Some("c".parse().unwrap());
    provider.base_urls.insert(Family::Anthropic, "https://old.example".into());
    provider.token = Some(SecretRef::Vault("x".parse().unwrap()));
    let mut file = home.providers().unwrap();
    file.set(&provider).unwrap();
    file.save(&lock).unwrap();
    drop(lock);
    let apis =
        CliApis { cli: CliKind::Claude, apis: &[Api::Messages], managed_env_vars: &[], forbidden_header_chars: &[] };
    let components = std::sync::Arc::new(OnePreset(need));
    (place, Providers::new(home, components, ServedClis::new([apis])))
}

fn moves() -> ProviderChanges {
    let base_urls = vec![(Some(Family::Anthropic), "https://new.example/v1".to_owned())];
    ProviderChanges { base_urls, ..ProviderChanges::default() }
}

fn has(providers: &Providers, name: &str) -> bool {
    providers.home.vault().is_taken(&name.parse().unwrap())
}

#[tokio::test]
async fn who_moves_a_provider_is_told_where_the_key_goes_and_agrees_before_the_old_one_is_removed() {
    let (_place, providers) = with_one(Requirement::Optional);
    let (before, name) = (providers.file().unwrap().get("x").unwrap().cloned(), "x".parse().unwrap());
    let declines = Typing::new("", false);
    let declined = providers.edit(&name, &moves(), &declines).await;
    assert!(matches!(declined, Err(ProviderError::Declined)), "{declined:?}");
    assert_eq!(providers.file().unwrap().get("x").unwrap().cloned(), before);
    assert!(has(&providers, "x"));
    assert_eq!(
        *declines.words.lock().unwrap(),
        ["API key for https://new.example (the old key does not go there; empty leaves `x` without a key):"]
    );
    let agrees = Typing::new("", true);
    providers.edit(&name, &moves(), &agrees).await.unwrap();
    let plans = agrees.plans.lock().unwrap().clone();
    assert_eq!(plans.len(), 1);
    let about = plans[0].details.join("\n");
    assert!(about.contains("https://new.example") && about.contains("- the secret `x` of the vault"), "{about}");
    assert!(!has(&providers, "x"));
    // A second move leaves nothing behind, so there is nothing to agree to.
    let again = Typing::new("sk-new", false);
    let changes = ProviderChanges { base_urls: vec![(None, "https://third.example".into())], ..Default::default() };
    providers.edit(&name, &changes, &again).await.unwrap();
    assert_eq!(again.words.lock().unwrap().len() + again.plans.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn a_key_is_asked_for_by_the_name_and_the_places_that_it_is_for() {
    let given = ProviderChanges {
        preset: Some("any".into()),
        base_urls: vec![(Some(Family::Anthropic), "https://new.example/v1".to_owned())],
        token: Some(NewTokenSource::Prompted),
        ..ProviderChanges::default()
    };
    let other_place = ProviderChanges { base_urls: vec![(None, "https://other.example".into())], ..given.clone() };
    let mut asked = Vec::new();
    for (need, name, changes) in [
        (Requirement::Required, "a", &given),
        (Requirement::Required, "b", &given),
        (Requirement::Required, "a", &other_place),
        (Requirement::Required, "a", &ProviderChanges { token: None, ..other_place.clone() }),
    ] {
        let (_place, providers) = with_one(need);
        let (person, name) = (Typing::new("sk-new", true), name.parse().unwrap());
        providers.add(Some(name), changes, &person, &RecordingReporter::default()).await.unwrap();
        asked.extend(person.words.lock().unwrap().drain(..));
    }
    assert_eq!(
        asked,
        [
            "API key of `a` at https://new.example:",
            "API key of `b` at https://new.example:",
            "API key of `a` at https://other.example:",
            "API key of `a` at https://other.example:",
        ]
    );
    // And where a provider is changed that leads elsewhere by now.
    let (_place, providers) = with_one(Requirement::Required);
    let (person, name) = (Typing::new("sk-new", true), "x".parse().unwrap());
    let key = ProviderChanges { token: Some(NewTokenSource::Prompted), ..ProviderChanges::default() };
    providers.edit(&name, &key, &person).await.unwrap();
    providers.edit(&name, &ProviderChanges { token: key.token.clone(), ..moves() }, &person).await.unwrap();
    assert_eq!(
        *person.words.lock().unwrap(),
        ["API key of `x` at https://old.example:", "API key of `x` at https://new.example:"]
    );
}

#[tokio::test]
async fn a_provider_that_needs_a_key_does_not_move_without_one() {
    let (_place, providers) = with_one(Requirement::Required);
    let (person, name) = (Typing::new("", true), "x".parse().unwrap());
    assert!(providers.edit(&name, &moves(), &person).await.is_err());
    assert!(person.words.lock().unwrap()[0].contains("without one nothing changes"));
    assert!(has(&providers, "x") && person.plans.lock().unwrap().is_empty());
    let person = Typing::new("sk-new", true);
    providers.edit(&name, &moves(), &person).await.unwrap();
    assert!(has(&providers, "x-2") && !has(&providers, "x"));
}

#[tokio::test]
async fn a_key_that_nobody_agreed_to_remove_stays_in_the_vault() {
    let (_place, providers) = with_one(Requirement::Never);
    let nobody = Typing { is_there: false, ..Typing::new("", false) };
    let moved = providers.edit(&"x".parse().unwrap(), &moves(), &nobody).await.unwrap();
    assert!(has(&providers, "x"));
    assert!(moved.notes.iter().any(|note| note.contains("`aiw secret remove x`")), "{:?}", moved.notes);
}

#[tokio::test]
async fn a_provider_that_has_changed_since_it_was_seen_is_not_removed() {
    let (_place, providers) = with_one(Requirement::Optional);
    let seen = providers.file().unwrap().get("x").unwrap().cloned().unwrap();
    providers.edit(&seen.name, &moves(), &Typing::new("sk-new", true)).await.unwrap();
    let refused = providers.remove_if_unchanged(&seen);
    assert!(matches!(refused, Err(ProviderError::ConcurrentChange { .. })), "{refused:?}");
    let now = providers.file().unwrap().get("x").unwrap().cloned().unwrap();
    assert_eq!(providers.remove_if_unchanged(&now).unwrap().name, "x");
}

#[tokio::test]
async fn the_presets_are_a_list_to_choose_from() {
    let (_place, providers) = with_one(Requirement::Optional);
    let person = Typing::new("", true);
    assert_eq!(providers.ask_preset(&person).await.unwrap().preset.id, "any");
    assert_eq!(*person.words.lock().unwrap(), ["Preset: any  Any"]);
}

#[tokio::test]
async fn an_address_for_openai_has_one_of_two_apis() {
    let person = Typing::new("", true);
    assert_eq!(ask_openai_api("https://own.example/v1", &person).await.unwrap(), Api::ChatCompletions);
    assert!(person.words.lock().unwrap()[0].starts_with("API of https://own.example/v1: chat-completions  "));
}
