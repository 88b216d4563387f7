//! What is asked of the user while a provider is added or changed.

use std::collections::BTreeSet;
use std::fmt::Display;

use aiw_core::provider::{Preset, Requirement};
use aiw_core::{
    Api, Choice, CliKind, EnvName, Plan, PromptError, Prompter, ProviderName, Reporter, Secret, SecretName, one_line,
};
use aiw_home::{Provider, SecretRef};

use crate::account::unchecked_account;
use crate::address::is_private;
use crate::changes::{NewTokenSource, ProviderChanges, TokenPurpose, reject_general_variable};
use crate::keys::{is_hidden_by_default, is_vendor_key, scrubbed_variables, variables};
use crate::{PresetEntry, ProviderError};

/// Nobody is there to answer a question that has an option of its own.
pub(crate) fn not_interactive(question: &str, hint: &str) -> ProviderError {
    PromptError::NotInteractive { question: question.into(), hint: hint.into() }.into()
}

fn no_token() -> PromptError {
    PromptError::Unreadable("no API key was typed".into())
}

/// Says why an answer is of no use, before the question is asked again.
pub(crate) fn report_invalid_input(sink: &dyn Reporter, error: impl Display) {
    sink.step(error.to_string());
}

/// Asks which of the suitable CLIs a provider is for; none for all of them.
pub(crate) async fn ask_clis(
    name: &ProviderName,
    fitting: &[CliKind],
    ask: &dyn Prompter,
    sink: &dyn Reporter,
) -> Result<Option<Vec<CliKind>>, ProviderError> {
    let all: Vec<String> = fitting.iter().map(CliKind::to_string).collect();
    let words = format!("CLIs (empty for {}) of `{name}`:", all.join(","));
    loop {
        let Some(names) = ask.choose_some(&words, &all).await? else { return Ok(None) };
        let chosen = names.iter().map(|name| fitting.iter().find(|cli| cli.to_string() == *name).copied().ok_or(name));
        match chosen.collect::<Result<Vec<_>, _>>() {
            Ok(chosen) => return Ok(Some(chosen)),
            Err(word) => report_invalid_input(sink, format_args!("`{}` is not one of them", one_line(word, 40))),
        }
    }
}

/// Asks which of the two APIs of OpenAI an address speaks.
pub(crate) async fn ask_openai_api(url: &str, ask: &dyn Prompter) -> Result<Api, ProviderError> {
    const APIS: [(Api, &str); 2] =
        [(Api::ChatCompletions, "/chat/completions, which most servers have"), (Api::Responses, "/responses")];
    let choice = Choice {
        name: "api",
        question: format!("Which API does {url} have?"),
        short_question: format!("API of {url}:"),
        options: APIS.iter().map(|(api, path)| format!("{}  {path}", api.as_str())).collect(),
        optional: false,
        flag: "--api".to_owned(),
        hidden_digests: Vec::new(),
    };
    let at = ask.select(&choice).await?;
    APIS.get(at).map(|(api, _)| *api).ok_or_else(|| PromptError::Declined.into())
}

/// The question whether the CLIs get the key of a provider.
pub(crate) fn gateway_question(name: &ProviderName) -> String {
    format!("Hide the key from the CLIs? Their requests to `{name}` then go through aiw's gateway, which adds it.")
}

/// The question for the token of a provider that points to other places now.
fn token_for(provider: &Provider, places: &BTreeSet<String>, had_one: bool, required: bool, page: &str) -> String {
    let (name, places) = (&provider.name, joined(places));
    let old = if had_one { "the old key does not go there; " } else { "" };
    let empty = match required {
        true => format!("without one nothing changes of `{name}`"),
        false => format!("empty leaves `{name}` without a key"),
    };
    format!("API key for {places}{page} ({old}{empty}):")
}

/// The question for the key of a provider: a key that was typed for one provider and place is not taken for another.
fn token_of(provider: &Provider, places: &BTreeSet<String>, required: bool, page: &str) -> String {
    let at = if places.is_empty() { String::new() } else { format!(" at {}", joined(places)) };
    let empty = if required { "" } else { " (empty for none)" };
    format!("API key of `{}`{at}{page}{empty}:", provider.name)
}

fn joined(places: &BTreeSet<String>) -> String {
    Vec::from_iter(places.iter().cloned()).join(" and ")
}

/// Shows which secrets a provider leaves behind, and asks whether they go.
pub(crate) async fn confirm_removal(
    before: &Provider,
    left: &[SecretName],
    places: &BTreeSet<String>,
    ask: &dyn Prompter,
) -> Result<(), ProviderError> {
    if left.is_empty() {
        return Ok(());
    }
    let name = &before.name;
    let to = Vec::from_iter(places.iter().cloned()).join(", ");
    let mut about = vec![format!("~ provider `{name}`: leads to {to} now")];
    about.extend(left.iter().map(|secret| format!("- the secret `{secret}` of the vault, for the old address")));
    let plan = Plan { details: about, ..Plan::new(format!("Change `{name}`, and remove its old key?")) };
    match ask.confirm(&plan, &[]).await {
        Err(PromptError::Declined) => Err(ProviderError::Declined),
        agreed => Ok(agreed.map(drop)?),
    }
}

/// The token: a reference goes into the provider; a secret is returned and not stored yet. `places` is where it goes.
pub(crate) async fn resolve_token(
    provider: &mut Provider,
    preset: &Preset,
    changes: &ProviderChanges,
    wanted: TokenPurpose,
    places: &BTreeSet<String>,
    ask: &dyn Prompter,
) -> Result<Option<Secret>, ProviderError> {
    match &changes.token {
        Some(NewTokenSource::Variable(variable)) => {
            reject_general_variable(variable)?;
            provider.token = Some(SecretRef::Variable(variable.clone()));
            return Ok(None);
        }
        Some(NewTokenSource::Prompted) => {
            let words = token_of(provider, places, true, "");
            return Ok(Some(ask.secret(&words).await?.ok_or_else(no_token)?));
        }
        None => {}
    }
    let required = preset.token == Requirement::Required;
    let needed = match wanted {
        TokenPurpose::Unchanged => return Ok(None),
        _ if preset.token == Requirement::Never || !provider.secrets.is_empty() => return Ok(None),
        TokenPurpose::UrlChanged { had_one: false } if !required => return Ok(None),
        TokenPurpose::New => required,
        // Don't guess that it works without one.
        TokenPurpose::UrlChanged { had_one } => required || had_one,
    };
    if ask.is_interactive() {
        let page = preset.token_page.as_ref().map(|page| format!(" ({page})")).unwrap_or_default();
        let words = match wanted {
            TokenPurpose::UrlChanged { had_one } => token_for(provider, places, had_one, required, &page),
            TokenPurpose::New | TokenPurpose::Unchanged => token_of(provider, places, required, &page),
        };
        let token = ask.secret(&words).await?;
        return match token {
            None if required => Err(no_token().into()),
            token => Ok(token),
        };
    }
    match (needed, wanted) {
        (false, _) => Ok(None),
        (true, TokenPurpose::UrlChanged { had_one: true }) => {
            Err(ProviderError::NeedsNewToken { provider: provider.name.clone() })
        }
        (true, _) => Err(ProviderError::NeedsToken { preset: preset.id.clone() }),
    }
}

/// Decides whether runs with other providers get the variables that hold the provider's secrets. The keys of vendors
/// are always withheld. Other variables may serve other programs as well, so the user decides.
pub(crate) async fn decide_scrub_env(
    before: Option<&Provider>,
    provider: &mut Provider,
    changes: &ProviderChanges,
    ask: &dyn Prompter,
    notes: &mut Vec<String>,
) -> Result<(), ProviderError> {
    let is_open = |name: &&EnvName| !is_vendor_key(name.as_str()) && !name.is_general();
    let all: BTreeSet<EnvName> = variables(provider).filter(is_open).cloned().collect();
    let known: BTreeSet<EnvName> = before.into_iter().flat_map(variables).cloned().collect();
    // Names that were written by hand stay; those that the provider no longer reads go.
    let is_kept = |name: &EnvName| all.contains(name) || !known.contains(name);
    let mut hidden: BTreeSet<EnvName> = scrubbed_variables(provider).into_iter().filter(is_kept).collect();
    let mut decided = provider.scrub_env.is_some();
    match changes.scrub_env {
        Some(hide) => {
            decided = decided || !all.is_empty();
            hidden = if hide { all } else { BTreeSet::new() };
        }
        None if ask.is_interactive() => {
            for name in all.difference(&known) {
                let question = format!(
                    "Hide `{name}`, which `{}` reads, from runs with other providers? Say no if other programs need it, such as git.",
                    provider.name
                );
                let is_hidden = ask.ask_yes_no(&question, is_hidden_by_default(name)).await?;
                let _ = if is_hidden { hidden.insert(name.clone()) } else { hidden.remove(name) };
                decided = true;
            }
        }
        None => notes.extend(all.difference(&known).map(|name| {
            let provider = &provider.name;
            if is_hidden_by_default(name) {
                hidden.insert(name.clone());
            }
            match hidden.contains(name) {
                true => format!(
                    "runs with other providers don't get `{name}`; `aiw provider edit {provider} --no-scrub-env` lets them"
                ),
                false => format!(
                    "runs with other providers see `{name}`; `aiw provider edit {provider} --scrub-env` hides it"
                ),
            }
        })),
    }
    if decided {
        provider.scrub_env = Some(hidden.into_iter().collect());
    }
    Ok(())
}

/// If a third-party preset names an address on this machine or in a private network, the user has to
/// agree, as if it were typed.
pub(crate) async fn confirm_private_urls(
    provider: &mut Provider,
    known: &PresetEntry,
    ask: &dyn Prompter,
) -> Result<(), ProviderError> {
    let account = unchecked_account(provider, known);
    for (family, url) in account.base_urls {
        if account.trusted_families.contains(&family) || !is_private(&url) {
            continue;
        }
        let question = format!(
            "The preset `{}` of component `{}` leads to `{url}`, on this machine or in a private network. Send the token of `{}` there?",
            known.preset.id, known.component, provider.name
        );
        match ask.confirm(&Plan::new(question), &[]).await {
            Err(PromptError::Declined) => return Err(ProviderError::Declined),
            agreed => agreed?,
        };
        provider.base_urls.insert(family, url);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_a_provider_can_do_without_is_asked_for_as_such() {
        let provider = Provider::new("x".parse().unwrap(), "any");
        let places = ["https://a.example".to_owned(), "https://b.example".to_owned()].into();
        let (page, none) = (" (https://keys.example)", BTreeSet::new());
        assert_eq!(token_of(&provider, &none, true, page), "API key of `x` (https://keys.example):");
        assert_eq!(
            token_of(&provider, &places, false, ""),
            "API key of `x` at https://a.example and https://b.example (empty for none):"
        );
    }
}
