//! The exports of a provider. Its answers are parsed into types that cannot hold invalid values.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use aiw_core::provider::{
    Account, Auth, Header, Health, Intent, KeyState, Model, Models, Preset, ProviderInfo, Requirement, Target, Tuning,
    Value,
};
use aiw_core::{Api, ExtensionId, Family, HeaderName, is_valid_model_name, one_line, printable};
use aiw_net::{host_and_port, origin};
use wasmtime::Store;

use super::generated::exports::aiw::plugin::provider as generated;
use super::host::{cli, value};
use crate::error::CallFailure;
use crate::host::CallState;
use crate::invalid_response::{InvalidResponse, check_count, validate_line};

/// The exported functions of an instance.
pub(crate) struct Guest(pub(super) generated::Guest);

impl Guest {
    pub(crate) async fn describe(&self, store: &mut Store<CallState>) -> Result<ProviderInfo, CallFailure> {
        info(self.0.call_describe(store).await?).map_err(|bad| CallFailure::Invalid("describes itself with", bad))
    }

    pub(crate) async fn plan(
        &self,
        store: &mut Store<CallState>,
        account: &Account,
        target: &Target,
    ) -> Result<Intent, CallFailure> {
        let planned = self.0.call_plan(store, &given(account), &given_target(target)).await??;
        intent(planned, account).map_err(|bad| CallFailure::Invalid("made a plan that", bad))
    }

    pub(crate) async fn check(&self, store: &mut Store<CallState>, account: &Account) -> Result<Health, CallFailure> {
        Ok(health(self.0.call_check(store, &given(account)).await??))
    }

    pub(crate) async fn models(
        &self,
        store: &mut Store<CallState>,
        account: &Account,
    ) -> Result<Vec<Model>, CallFailure> {
        let listed = self.0.call_list_models(store, &given(account)).await??;
        models(listed).map_err(|bad| CallFailure::Invalid("names models with", bad))
    }
}

fn given(account: &Account) -> generated::Account {
    let base_url = |(family, url): (&Family, &String)| generated::BaseUrl {
        family: match family {
            Family::Anthropic => generated::Family::Anthropic,
            Family::Openai => generated::Family::Openai,
            Family::Gemini => generated::Family::Gemini,
        },
        url: url.trim_end_matches('/').to_owned(),
    };
    generated::Account {
        name: account.name.to_string(),
        preset: account.preset.clone(),
        base_urls: account.base_urls.iter().map(base_url).collect(),
        model: account.model.clone(),
        secrets: account.secrets.iter().cloned().collect(),
    }
}

fn given_target(target: &Target) -> generated::Target {
    let api = |api: &Api| match api {
        Api::Messages => generated::Api::Messages,
        Api::Responses => generated::Api::Responses,
        Api::ChatCompletions => generated::Api::ChatCompletions,
        Api::GenerateContent => generated::Api::GenerateContent,
    };
    generated::Target {
        cli: target.cli.map_or_else(|| generated::Cli::Other("aiw".into()), cli),
        version: target.version.clone(),
        speaks: target.supported_apis.iter().map(api).collect(),
        model: target.model.clone(),
    }
}

const MAX_LABEL_LEN: usize = 100;
const MAX_NAME_LEN: usize = 200;
const MAX_NOTE_LEN: usize = 300;
const MAX_URL_LEN: usize = 2048;
const MAX_HEADERS: usize = 16;
const MAX_HEADER_LEN: usize = 4096;
const MAX_PREFIX_LEN: usize = 64;
const MAX_PRESETS: usize = 64;
/// The largest known gateway lists some 500.
const MAX_MODELS: usize = 2000;
const MAX_TAG_LEN: usize = 32;
const MAX_NOTES: usize = 8;
/// More than any model reads or writes, and a longer wait than any CLI should be configured with.
const MAX_TOKENS: u32 = 100_000_000;
const MAX_SECONDS: u32 = 24 * 60 * 60;

fn info(info: generated::ProviderInfo) -> Result<ProviderInfo, InvalidResponse> {
    check_count(MAX_PRESETS, info.presets.len(), "presets")?;
    let presets = info.presets.into_iter().map(preset).collect::<Result<Vec<_>, _>>()?;
    let mut ids = BTreeSet::new();
    if let Some(twice) = presets.iter().find(|preset| !ids.insert(preset.id.as_str())) {
        return Err(InvalidResponse::DuplicatePreset { id: twice.id.clone() });
    }
    Ok(ProviderInfo { label: validate_line("a label", info.label, MAX_LABEL_LEN)?, presets })
}

fn preset(preset: generated::Preset) -> Result<Preset, InvalidResponse> {
    // Preset ids follow the same rule as component ids.
    let id: ExtensionId = preset.id.parse().map_err(InvalidResponse::PresetId)?;
    let mut base_urls = BTreeMap::new();
    for at in preset.base_urls {
        let url = (!at.url.is_empty()).then(|| preset_url(at.url)).transpose()?;
        if base_urls.insert(family(at.family), url).is_some() {
            return Err(InvalidResponse::MultipleUrls { id: id.to_string() });
        }
    }
    let page = preset.token_page.map(|page| match page.starts_with("https://") && origin(&page).is_some() {
        true => validate_line("a page", page, MAX_URL_LEN),
        false => Err(InvalidResponse::Page { page }),
    });
    Ok(Preset {
        id: id.to_string(),
        label: validate_line("a label", preset.label, MAX_LABEL_LEN)?,
        base_urls,
        token: match preset.token {
            generated::Need::Required => Requirement::Required,
            generated::Need::Optional => Requirement::Optional,
            generated::Need::Never => Requirement::Never,
        },
        token_page: page.transpose()?,
        model: preset.model.map(|model| validate_line("a model", model, MAX_NAME_LEN)).transpose()?,
    })
}

/// Checks an address that nobody typed: it must be encrypted, or on this machine.
fn preset_url(url: String) -> Result<String, InvalidResponse> {
    let url = validate_line("an address", url, MAX_URL_LEN)?;
    let bad = |why| Err(InvalidResponse::Address { url: url.clone(), why });
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

fn intent(intent: generated::Intent, account: &Account) -> Result<Intent, InvalidResponse> {
    check_count(MAX_HEADERS, intent.headers.len(), "headers").map_err(InvalidResponse::into_prefixed)?;
    check_count(MAX_NOTES, intent.notes.len(), "notes").map_err(InvalidResponse::into_prefixed)?;
    let api = match intent.api {
        generated::Api::Messages => Api::Messages,
        generated::Api::Responses => Api::Responses,
        generated::Api::ChatCompletions => Api::ChatCompletions,
        generated::Api::GenerateContent => Api::GenerateContent,
    };
    if !account.base_urls.contains_key(&api.family()) {
        return Err(InvalidResponse::MissingUrl { api, account: account.name.to_string() });
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
            return Err(InvalidResponse::ReservedHeader(name));
        }
        if !names.insert(name.as_str().to_ascii_lowercase()) {
            return Err(InvalidResponse::DuplicateHeader(name));
        }
        headers.push(Header { value: check_value(&name, value(header.value), account)?, name });
    }
    Ok(Intent {
        api,
        auth,
        headers,
        models: models_by_size(intent.models)?,
        tuning: tuning(intent.tuning)?,
        tag: intent
            .tag
            .map(|tag| validate_line("a tag", tag, MAX_TAG_LEN))
            .transpose()
            .map_err(InvalidResponse::into_prefixed)?,
        notes: intent
            .notes
            .into_iter()
            .map(|note| validate_line("a note", note, MAX_NOTE_LEN))
            .collect::<Result<_, _>>()
            .map_err(InvalidResponse::into_prefixed)?,
    })
}

fn auth(auth: generated::Auth, account: &Account) -> Result<Auth, InvalidResponse> {
    Ok(match auth {
        generated::Auth::None => Auth::None,
        generated::Auth::Bearer(name) => Auth::Bearer(secret(name, account)?),
        generated::Auth::ApiKey(name) => Auth::ApiKey(secret(name, account)?),
        generated::Auth::Header(named) => {
            let header = header_name(named.name)?;
            if header.is_reserved() {
                return Err(InvalidResponse::SecretInReservedHeader(header));
            }
            Auth::Header { header, secret: secret(named.value, account)? }
        }
    })
}

fn header_name(name: String) -> Result<HeaderName, InvalidResponse> {
    name.parse().map_err(InvalidResponse::HeaderName)
}

fn models_by_size(models: generated::Models) -> Result<Models, InvalidResponse> {
    let model = |name: Option<String>| match name {
        Some(name) if !is_valid_model_name(&name) || printable(&name) != name.as_str() => {
            Err(InvalidResponse::ModelName { name })
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

fn tuning(tuning: generated::Tuning) -> Result<Tuning, InvalidResponse> {
    let within = |what, number: Option<u32>, most| match number {
        Some(number) if number == 0 || number > most => Err(InvalidResponse::OutOfRange { what, number, most }),
        number => Ok(number),
    };
    let quirks = tuning.quirks;
    Ok(Tuning {
        context_tokens: within("the context", tuning.context_tokens, MAX_TOKENS)?,
        output_tokens: within("the output", tuning.output_tokens, MAX_TOKENS)?,
        timeout_seconds: within("the timeout", tuning.timeout_seconds, MAX_SECONDS)?,
        no_betas: quirks.contains(generated::Quirks::NO_BETAS),
        no_prompt_caching: quirks.contains(generated::Quirks::NO_PROMPT_CACHING),
        no_tool_search: quirks.contains(generated::Quirks::NO_TOOL_SEARCH),
    })
}

/// Checks that the account has a secret with this name.
fn secret(name: String, account: &Account) -> Result<String, InvalidResponse> {
    match account.secrets.contains(&name) {
        true => Ok(name),
        false => Err(InvalidResponse::MissingSecret { name, account: account.name.to_string() }),
    }
}

/// Checks the value of a header: it must not end the header or begin another one.
fn check_value(header: &HeaderName, value: Value, account: &Account) -> Result<Value, InvalidResponse> {
    let is_plain = |text: &str| text.bytes().all(|b| matches!(b, b' '..=b'~'));
    match value {
        Value::Literal(text) if text.is_empty() || text.len() > MAX_HEADER_LEN || !is_plain(&text) => {
            Err(InvalidResponse::HeaderValue { name: header.clone(), limit: MAX_HEADER_LEN })
        }
        Value::Literal(text) => Ok(Value::Literal(text)),
        Value::Secret { prefix, .. } if prefix.len() > MAX_PREFIX_LEN || !is_plain(&prefix) => {
            Err(InvalidResponse::Prefix(header.clone()))
        }
        Value::Secret { name, prefix } => Ok(Value::Secret { name: secret(name, account)?, prefix }),
    }
}

fn health(health: generated::Health) -> Health {
    Health {
        key: match health.key {
            generated::KeyState::Accepted => KeyState::Accepted,
            generated::KeyState::Refused => KeyState::Refused,
            generated::KeyState::Unknown => KeyState::Unknown,
        },
        message: one_line(&health.message, MAX_NOTE_LEN),
    }
}

fn models(models: Vec<generated::Model>) -> Result<Vec<Model>, InvalidResponse> {
    check_count(MAX_MODELS, models.len(), "entries")?;
    let model = |model: generated::Model| {
        let label = model.label.map(|label| validate_line("a label", label, MAX_NAME_LEN)).transpose()?;
        Ok(Model { id: validate_line("an id", model.id, MAX_NAME_LEN)?, label })
    };
    models.into_iter().map(model).collect()
}

fn family(family: generated::Family) -> Family {
    match family {
        generated::Family::Anthropic => Family::Anthropic,
        generated::Family::Openai => Family::Openai,
        generated::Family::Gemini => Family::Gemini,
    }
}
