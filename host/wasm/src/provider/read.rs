//! Answers of a component, read into words that cannot be wrong. What breaks a rule is refused
//! with the end of a sentence.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;

use aiw_core::{EnvName, ExtensionId, Family, one_line, printable};
use aiw_net::{host_and_port, origin};

use super::{
    Entry, Health, KeyState, Model, Need, Overlay, Passing, Plan, Preset, Profile, ProviderInfo, Value, Variable,
};
use crate::bindings::v0_1::aiw::plugin::types;
use crate::bindings::v0_1::exports::aiw::plugin::adapter;

/// The end of a sentence.
type Bad = String;

const LABEL: usize = 100;
const NAME: usize = 200;
const NOTE: usize = 300;
const URL: usize = 2048;
const TEXT: usize = 4096;
const PREFIX: usize = 64;
const PRESETS: usize = 64;
/// The largest gateway known lists some 500.
const MODELS: usize = 2000;
const VARIABLES: usize = 128;
const ARGUMENTS: usize = 64;
const OVERLAYS: usize = 4;
const ENTRIES: usize = 256;
const DEPTH: usize = 8;
const TAG: usize = 32;
const NOTES: usize = 8;

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
    // The same rule as for a component's own id.
    let id: ExtensionId = preset.id.parse().map_err(|e: aiw_core::InvalidName| format!("a preset whose {e}"))?;
    let mut base_urls = BTreeMap::new();
    for at in preset.base_urls {
        let url = (!at.url.is_empty()).then(|| preset_url(at.url)).transpose()?;
        if base_urls.insert(family(at.family), url).is_some() {
            return Err(format!("a preset `{id}` that has two addresses for one API"));
        }
    }
    let page = preset.token_page.map(|page| match page.starts_with("https://") && origin(&page).is_some() {
        true => line("a page", page, URL),
        false => Err(format!("a page `{}` that is no `https` address", one_line(&page, 80))),
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

/// An address that nobody typed: encrypted, or on this machine.
fn preset_url(url: String) -> Result<String, Bad> {
    let url = line("an address", url, URL)?;
    let bad = |why: &str| Err(format!("an address `{}` that {why}", one_line(&url, 80)));
    let (Some(_), Some((host, _))) = (origin(&url), host_and_port(&url)) else {
        return bad("is no `http` or `https` URL, or holds credentials");
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

pub(super) fn plan(plan: adapter::Plan, profile: &Profile) -> Result<Plan, Bad> {
    at_most(VARIABLES, plan.set.len() + plan.unset.len(), "variables").map_err(has)?;
    at_most(ARGUMENTS, plan.arguments.len(), "arguments").map_err(has)?;
    at_most(OVERLAYS, plan.overlays.len(), "overlays").map_err(has)?;
    at_most(NOTES, plan.notes.len(), "notes").map_err(has)?;
    let mut names = BTreeSet::new();
    let mut variable = |name: String| {
        let name: EnvName = name.parse().map_err(|e: aiw_core::InvalidName| format!("has a {e}"))?;
        match names.insert(name.clone()) {
            true => Ok(name),
            false => Err(format!("names the variable `{name}` twice")),
        }
    };
    let set =
        plan.set.into_iter().map(|set| Ok(Variable { name: variable(set.name)?, value: value(set.value, profile)? }));
    let set = set.collect::<Result<_, Bad>>()?;
    let unset = plan.unset.into_iter().map(&mut variable).collect::<Result<_, _>>()?;
    let overlays = plan.overlays.into_iter().map(|overlay| self::overlay(overlay, profile, &mut variable));
    Ok(Plan {
        overlays: overlays.collect::<Result<_, _>>()?,
        set,
        unset,
        arguments: plan.arguments.into_iter().map(|text| self::text("an argument", text)).collect::<Result<_, _>>()?,
        tag: plan.tag.map(|tag| line("a tag", tag, TAG)).transpose().map_err(has)?,
        notes: plan.notes.into_iter().map(|note| line("a note", note, NOTE)).collect::<Result<_, _>>().map_err(has)?,
    })
}

fn overlay(
    overlay: adapter::Overlay,
    profile: &Profile,
    variable: &mut impl FnMut(String) -> Result<EnvName, Bad>,
) -> Result<Overlay, Bad> {
    at_most(ENTRIES, overlay.entries.len(), "entries in an overlay").map_err(has)?;
    let beneath = overlay.beneath.map(|path| text("a path", path).map(PathBuf::from)).transpose()?;
    if let Some(path) = beneath.as_ref().filter(|path| !path.is_absolute()) {
        return Err(format!("keeps a file that is not an absolute path: `{}`", one_line(&path.to_string_lossy(), 80)));
    }
    let mut entries: Vec<Entry> = Vec::new();
    for entry in overlay.entries {
        if entry.path.is_empty() || entry.path.len() > DEPTH {
            return Err(format!("has an entry of an overlay that is not 1 to {DEPTH} keys deep"));
        }
        let path = entry.path.into_iter().map(|key| line("a key", key, NAME));
        let path = path.collect::<Result<Vec<_>, _>>().map_err(has)?;
        if entries.iter().any(|other| other.path.starts_with(&path) || path.starts_with(&other.path)) {
            return Err(format!("sets `{}` twice in an overlay", path.join(".")));
        }
        entries.push(Entry { path, value: value(entry.value, profile)? });
    }
    let passed = match overlay.passed {
        adapter::Passing::Argument(argument) => Passing::Argument(text("an argument", argument)?),
        adapter::Passing::Variable(name) => Passing::Variable(variable(name)?),
    };
    Ok(Overlay { passed, beneath, entries })
}

/// A value; a secret that it names is one that the profile has.
fn value(value: types::Value, profile: &Profile) -> Result<Value, Bad> {
    let types::Secret { name, prefix } = match value {
        types::Value::Literal(literal) => return Ok(Value::Literal(text("a value", literal)?)),
        types::Value::Secret(secret) => secret,
    };
    if !profile.secrets.contains(&name) {
        let name = one_line(&name, 60);
        return Err(format!("names the secret `{name}`, which the provider `{}` does not have", profile.name));
    }
    if prefix.len() > PREFIX || prefix.contains(char::is_control) {
        return Err(format!("puts something long or unprintable before the secret `{name}`"));
    }
    Ok(Value::Secret { name, prefix })
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

/// Text that is shown: one line, nothing that steers a terminal.
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

/// Text that goes into an environment or a command line.
fn text(what: &str, text: String) -> Result<String, Bad> {
    if text.len() > TEXT || text.contains('\0') {
        return Err(format!("has {what} that is longer than {} KiB or holds a NUL", TEXT >> 10));
    }
    Ok(text)
}
