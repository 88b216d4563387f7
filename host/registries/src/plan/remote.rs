//! Servers that run already, at an address.

use std::collections::BTreeSet;

use aiw_core::registry::{Endpoint, Input, ServerSetting};
use aiw_core::{HeaderName, is_internal, is_loopback, quoted, quoted_text};
use url::Url;

use super::command::Env;
use super::error::{Note, UnsupportedReason};
use super::inputs::{Questions, TemplatePart, Value, ValueSlot, check_literal, is_host_placeholder, parse_template};

const MAX_HEADERS: usize = 50;

/// An address with open places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EndpointTemplate {
    pub(super) url: Value,
    pub(super) headers: Vec<Env>,
}

pub(super) fn endpoint_template<'a>(
    questions: &mut Questions<'a>,
    endpoint: &'a Endpoint,
) -> Result<EndpointTemplate, UnsupportedReason> {
    questions.declare(&endpoint.variables);
    endpoint.headers.iter().for_each(|header| questions.declare(&header.variables));
    let url = address(questions, &endpoint.url)?;
    Ok(EndpointTemplate { url, headers: headers(questions, &endpoint.headers)? })
}

fn address(questions: &mut Questions<'_>, text: &str) -> Result<Value, UnsupportedReason> {
    let refused = |why| UnsupportedReason::Url { url: quoted_text(text, 200), why };
    check_literal("the address", text)?;
    let value = parse_template(text);
    let value = questions.url_template(
        ValueSlot { secret: false, repeated: false, allows_bare_flag: false, name: "the address" },
        value,
    )?;
    // Something in each open place, to see what stays the same.
    let mut plain = String::new();
    for (at, piece) in value.0.iter().enumerate() {
        match piece {
            TemplatePart::Text(text) => plain.push_str(text),
            TemplatePart::Placeholder(_) if at == 0 => plain.push_str("https://x1.example"),
            // A port, or a part of a name or a path.
            TemplatePart::Placeholder(_) => plain.push_str(if plain.ends_with(':') { "1" } else { "x1" }),
        }
    }
    let url = check_address(&plain).map_err(refused)?;
    let has_host = !value
        .0
        .iter()
        .enumerate()
        .any(|(at, piece)| matches!(piece, TemplatePart::Placeholder(_)) && is_host_placeholder(&value.0, at));
    if is_loopback(&url) {
        questions.notes.push(Note::LoopbackUrl);
    } else if has_host && is_internal(&url) {
        questions.notes.push(Note::PrivateNetwork { host: quoted(url.host_str().unwrap_or_default()) });
    }
    let asked = url.as_str();
    if asked.trim_end_matches('/') == plain.trim_end_matches('/') {
        return Ok(value);
    }
    // Shown and written as it will be asked: a host in its one form, no detour in the path.
    if value.as_literal().is_none() {
        return Err(refused("is not written as it would be asked"));
    }
    questions.notes.push(Note::Rewritten { written: quoted_text(text, 200) });
    Ok(Value(vec![TemplatePart::Text(asked.to_owned())]))
}

/// Checks an address without open places: https, or http on this machine. The error is the end of a sentence.
pub(super) fn check_address(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "is not a URL")?;
    // What is on this machine is reached as it is. A name below `localhost` may lead elsewhere, by what DNS says of it.
    let is_below = url.domain().is_some_and(|name| name.ends_with(".localhost"));
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url) && !is_below) {
        return Err(
            "is not reached over https, so others could read what is sent; `aiw mcp add NAME --url URL` adds it",
        );
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("has no host");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("has a user or a password, which aiw does not send");
    }
    Ok(url)
}

fn headers(questions: &mut Questions<'_>, given: &[ServerSetting]) -> Result<Vec<Env>, UnsupportedReason> {
    if given.len() > MAX_HEADERS {
        return Err(UnsupportedReason::TooMany { most: MAX_HEADERS, what: "headers" });
    }
    let (mut headers, mut seen) = (Vec::new(), BTreeSet::new());
    for setting in given {
        let (name, input) = (setting.name.as_str(), &setting.input);
        let lower = name.to_ascii_lowercase();
        let is_name = name.parse::<HeaderName>().is_ok() && !aiw_net::RESERVED_HEADERS.contains(&lower.as_str());
        if is_name && !seen.insert(lower) {
            continue;
        }
        let is_needed = if is_name { questions.is_needed(input) } else { input.required };
        let made = header(questions, name, is_name, input);
        headers.extend(questions.skip_if_optional(name, is_needed, made)?);
    }
    Ok(headers)
}

fn header(
    questions: &mut Questions<'_>,
    name: &str,
    is_name: bool,
    input: &Input,
) -> Result<Option<Env>, UnsupportedReason> {
    if !is_name {
        return Err(UnsupportedReason::Name { name: quoted(name), what: "a header" });
    }
    let Some(value) = questions.value(ValueSlot::named(name), input)? else { return Ok(None) };
    let is_allowed = |piece: &TemplatePart| match piece {
        TemplatePart::Text(text) => text.bytes().all(|b| matches!(b, b' '..=b'~')),
        TemplatePart::Placeholder(_) => true,
    };
    if !value.0.iter().all(is_allowed) {
        return Err(UnsupportedReason::Value { name: quoted(name), why: "can't be sent in a header" });
    }
    Ok(Some(Env { name: name.to_owned(), value }))
}
