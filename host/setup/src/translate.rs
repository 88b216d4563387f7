//! Placeholders of clients, as `mcp.json` writes them.

use serde_json::{Map, Value};

/// How a client refers to a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EnvSyntax {
    /// `${VAR}` and `${VAR:-default}`, as `mcp.json`.
    Shell,
    /// `$VAR` too.
    BareShell,
    /// `${env:VAR}`
    Env,
    /// `{env:VAR}`
    Braces,
    /// Not at all: everything is as it is written.
    Plain,
}

/// A value with the placeholders of `mcp.json`. The error is the end of a sentence about a server.
pub(crate) fn translate(value: &Value, style: EnvSyntax) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => Value::String(text_of(text, style)?),
        Value::Array(items) => items.iter().map(|item| translate(item, style)).collect::<Result<Vec<_>, _>>()?.into(),
        Value::Object(map) => {
            let fields = map.iter().map(|(key, value)| Ok((key.clone(), translate(value, style)?)));
            Value::Object(fields.collect::<Result<Map<_, _>, String>>()?)
        }
        other => other.clone(),
    })
}

/// A placeholder up to its default, which may be a secret.
fn named(placeholder: &str) -> &str {
    let end = placeholder.find(":-").unwrap_or(placeholder.len());
    let shown = &placeholder[..end];
    if aiw_core::is_secret_value(shown.trim_start_matches(|c: char| !c.is_alphanumeric())) { "${…}" } else { shown }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn text_of(text: &str, style: EnvSyntax) -> Result<String, String> {
    let (open, inside) = match style {
        EnvSyntax::Braces => ("{", "env:"),
        EnvSyntax::Env => ("${", "env:"),
        _ => ("${", ""),
    };
    let foreign =
        |what: &str| format!("contains `{}`, which only that client understands", aiw_core::one_line(named(what), 60));
    // What `mcp.json` would read as a reference to the vault, or the client as text.
    if text.contains("${secret:") || (matches!(style, EnvSyntax::Plain | EnvSyntax::Braces) && text.contains("${")) {
        return Err("contains `${`, which means something else in mcp.json".into());
    }
    if style == EnvSyntax::Plain {
        return Ok(text.to_owned());
    }
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(open) {
        // What does not end is text.
        let Some(end) = rest[at..].find('}').map(|end| at + end) else { break };
        out.push_str(&rest[..at]);
        let (whole, inner) = (&rest[at..=end], &rest[at + open.len()..end]);
        match inner.strip_prefix(inside) {
            Some(name) if is_name(name) && !aiw_core::is_secret_value(name) => out.push_str(&format!("${{{name}}}")),
            Some(name) if inside.is_empty() && name.split_once(":-").is_some_and(|(name, _)| is_name(name)) => {
                out.push_str(whole);
            }
            // Other braces are text, but `{file:…}` is not.
            _ if style == EnvSyntax::Braces && !inner.starts_with("file:") && !inner.starts_with("env:") => {
                out.push_str(whole);
            }
            _ => return Err(foreign(whole)),
        }
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    if style == EnvSyntax::BareShell { with_braces(&out) } else { Ok(out) }
}

/// `$VAR` as `${VAR}`. A key behind the name of a variable does not belong to the name: names are shown, and stand in files.
fn with_braces(text: &str) -> Result<String, String> {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find('$') {
        let after = &rest[at + 1..];
        let length = after.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
        out.push_str(&rest[..at]);
        match &after[..length] {
            name if is_name(name) && aiw_core::is_secret_value(name) => {
                return Err(
                    "contains a `$` before what looks like a key, which is not the name of a variable".to_owned()
                );
            }
            name if is_name(name) => out.push_str(&format!("${{{name}}}")),
            other => out.push_str(&format!("${other}")),
        }
        rest = &after[length..];
    }
    Ok(out + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_style_becomes_that_of_mcp_json() {
        let to = |text: &str, style| text_of(text, style).ok();
        assert_eq!(to("a ${B} ${C:-d} $E", EnvSyntax::Shell).as_deref(), Some("a ${B} ${C:-d} $E"));
        assert_eq!(to("a ${B} $E-$1 $", EnvSyntax::BareShell).as_deref(), Some("a ${B} ${E}-$1 $"));
        assert_eq!(to("a ${env:B} $E", EnvSyntax::Env).as_deref(), Some("a ${B} $E"));
        assert_eq!(to("a {env:B} {\"x\": 1}", EnvSyntax::Braces).as_deref(), Some("a ${B} {\"x\": 1}"));
        assert_eq!(to("a $B {c}", EnvSyntax::Plain).as_deref(), Some("a $B {c}"));
        assert_eq!(to("pa{ss {env:B} w{rd", EnvSyntax::Braces).as_deref(), Some("pa{ss {env:B} w{rd"));
        assert_eq!(to("{env:B} w{rd", EnvSyntax::Braces).as_deref(), Some("${B} w{rd"));
        assert_eq!(to("${B} pa${ss", EnvSyntax::Shell).as_deref(), Some("${B} pa${ss"));
        for (text, style) in [
            ("${input:key}", EnvSyntax::Env),
            ("${workspaceFolder}", EnvSyntax::Env),
            ("{file:x}", EnvSyntax::Braces),
            ("${B}", EnvSyntax::Braces),
            ("${B}", EnvSyntax::Plain),
            ("${secret:x}", EnvSyntax::Shell),
            ("${a b}", EnvSyntax::Shell),
            ("$Xghp_0123456789abcdefABCDEF0123456789abcd", EnvSyntax::BareShell),
            ("${Xghp_0123456789abcdefABCDEF0123456789abcd}", EnvSyntax::Shell),
        ] {
            assert_eq!(to(text, style), None, "{text}");
        }
    }
}
