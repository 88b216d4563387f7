//! Parses the answers of a component into types that cannot hold invalid values. An answer that breaks a rule is
//! refused with the end of a sentence.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use aiw_core::{Api, ExtensionId, Family, HeaderName, InvalidName, is_model, one_line, printable};
use aiw_net::{host_and_port, origin};

use super::{
    Account, Auth, Header, Health, Intent, KeyState, Model, Models, Need, Preset, ProviderInfo, Tuning, Value,
};
use crate::bindings::v0_1::aiw::plugin::types;
use crate::bindings::v0_1::exports::aiw::plugin::adapter;

/// The end of a sentence that says what is wrong.
type Bad = String;

const LABEL: usize = 100;
const NAME: usize = 200;
const NOTE: usize = 300;
const URL: usize = 2048;
const HEADERS: usize = 16;
const HEADER: usize = 4096;
const PREFIX: usize = 64;
const PRESETS: usize = 64;
/// The largest known gateway lists some 500.
const MODELS: usize = 2000;
const TAG: usize = 32;
const NOTES: usize = 8;
/// More than any model reads or writes, and a longer wait than any CLI should be configured with.
const TOKENS: u32 = 100_000_000;
const SECONDS: u32 = 24 * 60 * 60;

pub(super) fn info(info: adapter::ProviderInfo) -> Result<ProviderInfo, Bad> {
    at_most(PRESETS, info.presets.len(), "presets")?;
    let presets = info.presets.into_iter().map(preset).collect::<Result<Vec<_>, _>>()?;
    let mut ids = BTreeSet::new();
    if let Some(twice) = presets.iter().find(|preset| !ids.insert(preset.id.as_str())) {
        return Err(format!("two presets `{}`", twice.id));
    }
    Ok(ProviderInfo { label: line("a label", info.label, LABEL)?, presets })
}

fn preset(preset: adapter::Preset) -> Result<Preset, Bad> {
    // Preset ids follow the same rule as component ids.
    let id: ExtensionId = preset.id.parse().map_err(|e: InvalidName| format!("a preset whose {e}"))?;
    let mut base_urls = BTreeMap::new();
    for at in preset.base_urls {
        let url = (!at.url.is_empty()).then(|| preset_url(at.url)).transpose()?;
        if base_urls.insert(family(at.family), url).is_some() {
            return Err(format!("a preset `{id}` that has two addresses for one API"));
        }
    }
    let page = preset.token_page.map(|page| match page.starts_with("https://") && origin(&page).is_some() {
        true => line("a page", page, URL),
        false => Err(format!("a page `{}` that is not an `https` address", one_line(&page, 80))),
    });
    Ok(Preset {
        id: id.to_string(),
        label: line("a label", preset.label, LABEL)?,
        base_urls,
        token: match preset.token {
            adapter::Need::Required => Need::Required,
            adapter::Need::Optional => Need::Optional,
            adapter::Need::Never => Need::Never,
        },
        token_page: page.transpose()?,
        model: preset.model.map(|model| line("a model", model, NAME)).transpose()?,
    })
}

/// Checks an address that nobody typed: it must be encrypted, or on this machine.
fn preset_url(url: String) -> Result<String, Bad> {
    let url = line("an address", url, URL)?;
    let bad = |why: &str| Err(format!("an address `{}` that {why}", one_line(&url, 80)));
    let (Some(_), Some((host, _))) = (origin(&url), host_and_port(&url)) else {
        return bad("is not an `http` or `https` URL, or contains credentials");
    };
    if url.contains(['?', '#']) || url.ends_with('/') {
        return bad("has a query, or a `/` at its end");
    }
    let own = host == "localhost" || host.trim_matches(['[', ']']).parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    if !url.to_ascii_lowercase().starts_with("https://") && !own {
        return bad("is neither `https` nor on this machine");
    }
    Ok(url)
}

pub(super) fn intent(intent: adapter::Intent, account: &Account) -> Result<Intent, Bad> {
    at_most(HEADERS, intent.headers.len(), "headers").map_err(has)?;
    at_most(NOTES, intent.notes.len(), "notes").map_err(has)?;
    let api = match intent.api {
        adapter::Api::Messages => Api::Messages,
        adapter::Api::Responses => Api::Responses,
        adapter::Api::ChatCompletions => Api::ChatCompletions,
        adapter::Api::GenerateContent => Api::GenerateContent,
    };
    if !account.base_urls.contains_key(&api.family()) {
        return Err(format!("wants {api}, for which the provider `{}` has no address", account.name));
    }
    let auth = auth(intent.auth, account)?;
    let mut names = BTreeSet::new();
    if let Auth::Header { header, .. } = &auth {
        names.insert(header.as_str().to_ascii_lowercase());
    }
    let mut headers = Vec::new();
    for header in intent.headers {
        let name = header_name(header.name)?;
        if name.is_reserved() {
            return Err(format!("sets the header `{name}`, which is not one that a plan can set"));
        }
        if !names.insert(name.as_str().to_ascii_lowercase()) {
            return Err(format!("sets the header `{name}` twice"));
        }
        headers.push(Header { value: value(&name, header.value, account)?, name });
    }
    Ok(Intent {
        api,
        auth,
        headers,
        models: models_by_size(intent.models)?,
        tuning: tuning(intent.tuning)?,
        tag: intent.tag.map(|tag| line("a tag", tag, TAG)).transpose().map_err(has)?,
        notes: intent
            .notes
            .into_iter()
            .map(|note| line("a note", note, NOTE))
            .collect::<Result<_, _>>()
            .map_err(has)?,
    })
}

fn auth(auth: adapter::Auth, account: &Account) -> Result<Auth, Bad> {
    Ok(match auth {
        adapter::Auth::None => Auth::None,
        adapter::Auth::Bearer(name) => Auth::Bearer(secret(name, account)?),
        adapter::Auth::ApiKey(name) => Auth::ApiKey(secret(name, account)?),
        adapter::Auth::Header(named) => {
            let header = header_name(named.header)?;
            if header.is_reserved() {
                return Err(format!("sends a secret in the header `{header}`, which is not one that a plan can set"));
            }
            Auth::Header { header, secret: secret(named.secret, account)? }
        }
    })
}

fn header_name(name: String) -> Result<HeaderName, Bad> {
    name.parse().map_err(|e: InvalidName| format!("has a {e}"))
}

fn models_by_size(models: adapter::Models) -> Result<Models, Bad> {
    let model = |name: Option<String>| match name {
        Some(name) if !is_model(&name) || printable(&name) != name.as_str() => {
            Err(format!("names a model `{}`, which is not a valid model name", one_line(&name, 60)))
        }
        name => Ok(name),
    };
    Ok(Models {
        main: model(models.main)?,
        large: model(models.large)?,
        medium: model(models.medium)?,
        small: model(models.small)?,
    })
}

fn tuning(tuning: adapter::Tuning) -> Result<Tuning, Bad> {
    let within = |what: &str, number: Option<u32>, most: u32| match number {
        Some(number) if number == 0 || number > most => Err(format!("sets {what} to {number}, not to 1 to {most}")),
        number => Ok(number),
    };
    let quirks = tuning.quirks;
    Ok(Tuning {
        context_tokens: within("the context", tuning.context_tokens, TOKENS)?,
        output_tokens: within("the output", tuning.output_tokens, TOKENS)?,
        timeout_seconds: within("the timeout", tuning.timeout_seconds, SECONDS)?,
        no_betas: quirks.contains(adapter::Quirks::NO_BETAS),
        no_prompt_caching: quirks.contains(adapter::Quirks::NO_PROMPT_CACHING),
        no_tool_search: quirks.contains(adapter::Quirks::NO_TOOL_SEARCH),
    })
}

/// Checks that the account has a secret with this name.
fn secret(name: String, account: &Account) -> Result<String, Bad> {
    match account.secrets.contains(&name) {
        true => Ok(name),
        false => {
            let name = one_line(&name, 60);
            Err(format!("names the secret `{name}`, which the provider `{}` does not have", account.name))
        }
    }
}

/// Checks the value of a header: it must not end the header or begin another one.
fn value(header: &HeaderName, value: types::Value, account: &Account) -> Result<Value, Bad> {
    let is_plain = |text: &str| text.bytes().all(|b| matches!(b, b' '..=b'~'));
    match value {
        types::Value::Literal(text) if text.is_empty() || text.len() > HEADER || !is_plain(&text) => {
            Err(format!("sets the header `{header}` to something that is not 1 to {HEADER} visible characters"))
        }
        types::Value::Literal(text) => Ok(Value::Literal(text)),
        types::Value::Secret(named) if named.prefix.len() > PREFIX || !is_plain(&named.prefix) => {
            Err(format!("puts something long or unprintable before the secret in the header `{header}`"))
        }
        types::Value::Secret(named) => Ok(Value::Secret { name: secret(named.name, account)?, prefix: named.prefix }),
    }
}

pub(super) fn health(health: adapter::Health) -> Health {
    Health {
        key: match health.key {
            adapter::KeyState::Accepted => KeyState::Accepted,
            adapter::KeyState::Refused => KeyState::Refused,
            adapter::KeyState::Unknown => KeyState::Unknown,
        },
        message: one_line(&health.message, NOTE),
    }
}

pub(super) fn models(models: Vec<adapter::Model>) -> Result<Vec<Model>, Bad> {
    at_most(MODELS, models.len(), "entries")?;
    let model = |model: adapter::Model| {
        let label = model.label.map(|label| line("a label", label, NAME)).transpose()?;
        Ok(Model { id: line("an id", model.id, NAME)?, label })
    };
    models.into_iter().map(model).collect()
}

fn family(family: adapter::Family) -> Family {
    match family {
        adapter::Family::Anthropic => Family::Anthropic,
        adapter::Family::Openai => Family::Openai,
        adapter::Family::Gemini => Family::Gemini,
    }
}

fn has(bad: Bad) -> Bad {
    format!("has {bad}")
}

fn at_most(limit: usize, count: usize, what: &str) -> Result<(), Bad> {
    if count > limit { Err(format!("more than {limit} {what}")) } else { Ok(()) }
}

/// Checks text for display: one line, without terminal control characters.
fn line(what: &str, text: String, limit: usize) -> Result<String, Bad> {
    let plain = !text.trim().is_empty() && !text.contains(['\n', '\t']) && printable(&text) == text.as_str();
    if !plain || text.chars().count() > limit {
        return Err(format!(
            "{what} that is not one line of 1 to {limit} printable characters: `{}`",
            one_line(&text, 60)
        ));
    }
    Ok(text)
}
