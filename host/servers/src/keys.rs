//! Keys that stand in a declaration in clear, moved to the vault.

use std::str::FromStr;

use aiw_core::{
    EnvName, Secret, SecretName, is_path_value, is_revision, is_secret, is_secret_name, is_secret_token,
    is_secret_value, is_setting, one_line,
};
use aiw_home::{MAX_SECRET_BYTES, Vault};
use serde_json::{Map, Value};

use crate::declaration::MAX_DECLARATION_LEN;
use crate::{placeholders, secret_reference};

/// Finds keys in declarations and puts references to the vault in their place. Nothing is stored here.
pub struct SecretExtractor<'a> {
    vault: &'a Vault,
    new: Vec<(SecretName, Secret)>,
}

/// The fields whose values go to the vault, and the secrets' names.
pub type SecretFields = Vec<(String, SecretName)>;

impl<'a> SecretExtractor<'a> {
    /// The keys of a vault, to which others may come.
    pub fn new(vault: &'a Vault) -> Self {
        Self { vault, new: Vec::new() }
    }

    /// The secrets that have to be stored.
    pub fn into_secrets(self) -> Vec<(SecretName, Secret)> {
        self.new
    }

    /// How many secrets have to be stored so far.
    pub fn len(&self) -> usize {
        self.new.len()
    }

    /// Whether no secret has to be stored so far.
    pub fn is_empty(&self) -> bool {
        self.new.is_empty()
    }

    /// Forgets the secrets that came after so many.
    pub fn truncate(&mut self, length: usize) {
        self.new.truncate(length);
    }

    /// Puts references in place of what stands in clear and looks like a key, wherever it is in a server's declaration.
    ///
    /// # Errors
    ///
    /// The end of a sentence about the server.
    pub fn extract(&mut self, server: &str, declaration: &mut Map<String, Value>) -> Result<SecretFields, String> {
        // The name stands in lists, in logs and in the names of its secrets.
        if is_secret_token(server) {
            return Err("has a name that looks like a key: give it another one".to_owned());
        }
        let before = self.new.len();
        let mut hiding = Hiding { keys: self, server, hidden: Vec::new() };
        match hiding.declaration(declaration) {
            Ok(()) => Ok(hiding.hidden),
            Err(why) => {
                self.new.truncate(before);
                Err(why)
            }
        }
    }
}

/// The work on one declaration.
struct Hiding<'k, 'v> {
    keys: &'k mut SecretExtractor<'v>,
    server: &'k str,
    hidden: SecretFields,
}

impl Hiding<'_, '_> {
    fn declaration(&mut self, declaration: &mut Map<String, Value>) -> Result<(), String> {
        for (field, value) in declaration.iter_mut() {
            match (field.as_str(), value) {
                ("type", _) => {}
                ("env" | "headers", Value::Object(fields)) => self.pairs(field, fields)?,
                ("url", Value::String(address)) => *address = self.address(field, address)?,
                ("args", Value::Array(arguments)) => self.arguments(arguments)?,
                ("command" | "cwd", Value::String(text)) => *text = self.pieces(field, text)?,
                (_, value) => self.others(field, value)?,
            }
        }
        Ok(())
    }

    /// Variables and headers: a name says what its value is.
    fn pairs(&mut self, group: &str, fields: &mut Map<String, Value>) -> Result<(), String> {
        for (key, value) in fields {
            let Value::String(text) = value else { continue };
            let is_named = is_secret_name(key) || key.eq_ignore_ascii_case("authorization");
            if !placeholders(text).is_empty() {
                let defaults = defaults(text);
                if is_named && defaults.iter().any(|(_, default)| !default.is_empty() && !is_setting(key, default)) {
                    return Err(default_problem(defaults[0].0));
                }
                *text = self.pieces(&format!("{group}.{key}"), text)?;
                continue;
            }
            if !(is_named || is_secret_value(text)) || is_setting(key, text) || is_revision(key, text) {
                // Options and JSON may name a key within.
                if !named_values(text).is_empty() {
                    *text = self.pieces(&format!("{group}.{key}"), text)?;
                }
                continue;
            }
            // `TokenProvider`, `Basic`
            let (scheme, secret) = match text.split_once(' ') {
                Some((scheme, secret)) if group == "headers" && !secret.contains(' ') => (scheme, secret),
                _ => ("", text.as_str()),
            };
            let Some((reference, name)) = self.reference(key, secret)? else { continue };
            let blank = if scheme.is_empty() { "" } else { " " };
            self.hidden.push((format!("{group}.{}", one_line(key, 60)), name));
            *value = Value::String(format!("{scheme}{blank}{reference}"));
        }
        Ok(())
    }

    fn arguments(&mut self, arguments: &mut [Value]) -> Result<(), String> {
        let mut flag = String::new();
        for value in arguments {
            let Value::String(text) = value else { continue };
            let before = std::mem::take(&mut flag);
            if let Some((name, start, secret)) = header(text)
                && let Some((reference, stored)) = self.reference(name, secret)?
            {
                self.hidden.push((format!("args.{}", one_line(name, 60)), stored));
                *value = Value::String(format!("{start}{reference}"));
                continue;
            }
            // `--token VALUE`, `--token=VALUE`, `/token:VALUE`, `TOKEN=VALUE` as of `docker run -e`, or the value alone.
            // The end of a key in base64 is not a value, and a key is not a name.
            let is_name = |name: &str| {
                (name.starts_with('-') || EnvName::from_str(name).is_ok())
                    && !is_secret_value(name.trim_start_matches('-'))
            };
            let is_pair = |(name, value): &(&str, &str)| is_name(name) && !value.trim_matches('=').is_empty();
            let (key, start, secret) = match text.split_once('=').filter(is_pair) {
                Some((name, secret)) => (name, format!("{name}="), secret),
                None if let Some((name, secret)) = with_colon(text) => (name, format!("{name}:"), secret),
                None if text.starts_with('-')
                    && !text.contains(char::is_whitespace)
                    && !is_secret_value(text.trim_start_matches('-')) =>
                {
                    flag.clone_from(text);
                    continue;
                }
                None => (before.as_str(), String::new(), text.as_str()),
            };
            if start.is_empty() && secret.starts_with('-') {
                *text = self.pieces("argument", text)?;
                continue;
            }
            let is_flag = start.is_empty() || start.starts_with(['-', '/']) || is_variable(&before);
            let key = key.trim_start_matches(['-', '/']);
            if is_revision(key, secret) {
                continue;
            }
            // A file with a secret, and an image by its digest, are no secrets.
            let is_harmless = is_path_value(secret) || secret.contains("sha256:") || is_setting(key, secret);
            if !is_secret(key, secret) || is_harmless {
                *text = self.pieces(if key.is_empty() { "argument" } else { key }, text)?;
                continue;
            }
            let key = if key.is_empty() { "argument" } else { key };
            // A script, and a text around a key, have more than the key. A flag of a password has all of it.
            let is_whole = is_flag && is_secret_name(key) && named_values(secret).is_empty();
            if secret.contains(char::is_whitespace) && !is_whole {
                *text = self.pieces(key, text)?;
                continue;
            }
            let Some((reference, name)) = self.reference(key, secret)? else { continue };
            self.hidden.push((format!("args.{}", one_line(key, 60)), name));
            *value = Value::String(format!("{start}{reference}"));
        }
        Ok(())
    }

    /// Fields that aiw does not know, to any depth.
    fn others(&mut self, field: &str, value: &mut Value) -> Result<(), String> {
        match value {
            Value::String(text) if !placeholders(text).is_empty() => *text = self.pieces(field, text)?,
            Value::String(text) if text.contains("://") && !is_secret_value(text) => {}
            Value::String(text) => {
                let is_word = text.len() >= 8 && !text.contains(char::is_whitespace);
                if is_word && is_secret(field.rsplit('.').next().unwrap_or(field), text) {
                    let secret = text.clone();
                    if let Some((reference, name)) = self.reference(field, &secret)? {
                        self.hidden.push((one_line(field, 60), name));
                        *text = reference;
                    }
                } else {
                    *text = self.pieces(field, text)?;
                }
            }
            Value::Array(items) => items.iter_mut().try_for_each(|item| self.others(field, item))?,
            Value::Object(fields) => {
                fields.iter_mut().try_for_each(|(key, value)| self.others(&format!("{field}.{key}"), value))?;
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
        Ok(())
    }

    /// A text with references in place of the values that a name in it says are keys, and of the pieces that look like
    /// keys: a command line, a path, a script, JSON.
    fn pieces(&mut self, field: &str, text: &str) -> Result<String, String> {
        // No declaration that can be used has more.
        if text.len() > MAX_DECLARATION_LEN {
            return Err(format!("has a `{}` of more than {} KiB", one_line(field, 60), MAX_DECLARATION_LEN >> 10));
        }
        let (mut result, mut from) = (String::with_capacity(text.len()), 0);
        for (name, value) in named_values(text) {
            let Some((reference, secret)) = self.reference(name, &text[value.clone()])? else { continue };
            self.hidden.push((one_line(field, 60), secret));
            let before = self.unnamed(field, &text[from..value.start])?;
            result.extend([before, reference]);
            from = value.end;
        }
        result.push_str(&self.unnamed(field, &text[from..])?);
        Ok(result)
    }

    /// Takes out a secret that has no name.
    fn unnamed(&mut self, field: &str, text: &str) -> Result<String, String> {
        let whole = placeholders(text);
        if let Some((name, _)) = defaults(text).iter().find(|(_, default)| is_secret_value(default)) {
            return Err(default_problem(name));
        }
        let mut result = String::with_capacity(text.len());
        let (mut from, mut is_path) = (0, is_path(text));
        // The end of the text ends a piece too.
        let ends = text.char_indices().filter(|(_, c)| is_end(*c)).map(|(at, c)| (at, c.len_utf8()));
        for (at, length) in ends.chain([(text.len(), 0)]).collect::<Vec<_>>() {
            let (piece, end) = (&text[from..at], &text[at..at + length]);
            let (sign, piece) = piece.split_at(piece.len() - piece.trim_start_matches(['-', '.', '_']).len());
            result.push_str(sign);
            // In a path, and after the name of a digest, a long piece is a digest.
            let is_secret = match is_path || is_digest(&text[..from], piece) {
                true => is_secret_token(piece),
                false => piece.len() >= 12 && is_secret_value(piece),
            };
            let is_placeholder = whole.iter().any(|place| place.start < at && from < place.end);
            let found = if is_secret && !is_placeholder { self.reference(field, piece)? } else { None };
            match found {
                Some((reference, name)) => {
                    self.hidden.push((one_line(field, 60), name));
                    result.push_str(&reference);
                }
                None => result.push_str(piece),
            }
            result.push_str(end);
            from = at + length;
            if end.contains(|c: char| c.is_whitespace() || "='\"".contains(c)) {
                is_path = self::is_path(&text[from..]);
            }
        }
        Ok(result)
    }

    /// An address with references in place of the values of its query and the parts of its path that look like keys.
    fn address(&mut self, field: &str, address: &str) -> Result<String, String> {
        let Some(start) = address.find("://").map(|at| at + 3) else { return Ok(address.to_owned()) };
        if let Some((name, _)) = defaults(address).iter().find(|(_, default)| is_secret_value(default)) {
            return Err(default_problem(name));
        }
        let whole = placeholders(address);
        let mut marks = address.char_indices().filter(|(at, _)| !whole.iter().any(|place| place.contains(at)));
        let host = marks.find(|(at, c)| *at >= start && ['/', '?', '#'].contains(c));
        let (host, mut mark) = host.unwrap_or((address.len(), '/'));
        if address[start..host].contains('@') {
            return Err("has a user or a password in its address, which aiw does not send".to_owned());
        }
        let mut result = address[..host].to_owned();
        let mut from = host;
        while from < address.len() {
            // Parts of the path, and pairs of the query and of what follows it.
            let is_end = |c: char| match mark {
                '/' => ['/', '?', '#'].contains(&c),
                '?' => ['&', '#'].contains(&c),
                _ => c == '&',
            };
            let end = marks.find(|(_, c)| is_end(*c));
            let (to, next) = end.unwrap_or((address.len(), mark));
            let (before, piece) = address[from..to].split_at(1);
            result.push_str(before);
            let (name, value) = piece.split_once('=').unwrap_or(("", piece));
            let decoded = url::form_urlencoded::parse(name.as_bytes()).next().map(|(name, _)| name.into_owned());
            // Beside a placeholder, and as a name, a key is a piece of the text.
            if !placeholders(value).is_empty() || is_secret_value(name) {
                let text = self.pieces(field, piece)?;
                result.push_str(&text);
                (from, mark) = (to, if next == '&' { mark } else { next });
                continue;
            }
            let found = match is_secret(decoded.as_deref().unwrap_or_default(), value) {
                true => self.reference(if name.is_empty() { field } else { name }, value)?,
                false => None,
            };
            result.push_str(&piece[..piece.len() - value.len()]);
            match found {
                Some((reference, secret)) => {
                    self.hidden.push((format!("{field} {}", one_line(name, 60)).trim_end().to_owned(), secret));
                    result.push_str(&reference);
                }
                None => result.push_str(value),
            }
            (from, mark) = (to, if next == '&' { mark } else { next });
        }
        Ok(result)
    }

    /// Returns the reference to a secret, and its name in the vault; `None` if the reference is only a part of the text.
    fn reference(&mut self, key: &str, secret: &str) -> Result<Option<(String, SecretName)>, String> {
        if secret.trim().is_empty() || !placeholders(secret).is_empty() {
            return Ok(None);
        }
        if secret.contains(['\n', '\r', '\0']) || secret.len() > MAX_SECRET_BYTES {
            return Err(format!("has a `{}` that the vault can't hold", one_line(key, 60)));
        }
        let secret = Secret::new(secret);
        let (name, is_new) = (self.keys.vault.name_for(self.server, key, &secret, &self.keys.new))
            .ok_or("has a secret without a free name")?;
        let reference = secret_reference(&name);
        if is_new {
            self.keys.new.push((name.clone(), secret));
        }
        Ok(Some((reference, name)))
    }
}

/// The name of a header that has a key, what stands before the key, and the key: `X-Api-Key: KEY`,
/// `Authorization: Bearer KEY`.
fn header(text: &str) -> Option<(&str, &str, &str)> {
    let (name, rest) = text.split_once(':')?;
    let is_name = name.len() > 1 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let is_secret = is_secret_name(name) || name.eq_ignore_ascii_case("authorization");
    let rest = rest.trim();
    let secret = rest.split_once(' ').map_or(rest, |(_, secret)| secret.trim_start());
    let is_word = !secret.is_empty() && !secret.contains(char::is_whitespace) && placeholders(secret).is_empty();
    let start = text.rfind(secret)?;
    (is_name && is_secret && is_word && !is_setting(name, secret)).then(|| (name, &text[..start], secret))
}

/// The defaults of a text's placeholders, with the variables' names.
fn defaults(text: &str) -> Vec<(&str, &str)> {
    let inner = |place: std::ops::Range<usize>| text[place.start + 2..place.end - 1].split_once(":-");
    placeholders(text).into_iter().filter_map(inner).collect()
}

fn default_problem(name: &str) -> String {
    let name = if is_secret_value(name) { "…".to_owned() } else { one_line(name, 60) };
    format!("has a key as the default of `{name}`: `aiw secret set` keeps it in the vault")
}

/// Whether the value of a variable is a secret, as far as its name says: that of `API_TOKEN`, not that of `TOKEN_FILE`.
pub fn is_secret_variable(name: &str) -> bool {
    // `accessKey` is `access_Key`.
    let mut words = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() && words.ends_with(|before: char| before.is_ascii_lowercase()) {
            words.push('_');
        }
        words.push(if c == '-' { '_' } else { c });
    }
    let is_named = is_secret_name(&words) || name.eq_ignore_ascii_case("authorization");
    is_named && !is_setting(&words, "x")
}

/// Whether a variable for another program follows: `docker run -e NAME=VALUE`.
fn is_variable(flag: &str) -> bool {
    matches!(flag, "-e" | "--env")
}

/// The name, with its sign, and the value of `/token:VALUE`, as programs of Windows have it.
fn with_colon(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once(':')?;
    let bare = name.strip_prefix('/').or_else(|| name.strip_prefix('-'))?.trim_start_matches('-');
    let is_name = !bare.is_empty() && bare.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    (is_name && is_secret_name(bare) && !value.is_empty()).then_some((name, value))
}

/// The values in a text that a name before them says are keys, with these names: `DB_PASSWORD=VALUE` in a script or in
/// the query of an address, `"token": "VALUE"` in JSON. A value shorter than four characters does not count.
fn named_values(text: &str) -> Vec<(&str, std::ops::Range<usize>)> {
    const MIN_VALUE_LEN: usize = 4;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let whole = placeholders(text);
    let mut found: Vec<(&str, std::ops::Range<usize>)> = Vec::new();
    for (at, sign) in text.match_indices(['=', ':']) {
        if found.last().is_some_and(|(_, value)| at < value.end) {
            continue;
        }
        let (before, after) = (&text[..at], &text[at + 1..]);
        // In JSON, which may stand in a script, names and values have quotes.
        let quoted = before.trim_end().strip_suffix('"');
        let before = match (sign, quoted) {
            ("=", _) => before,
            (_, Some(before)) => before.strip_suffix('\\').unwrap_or(before),
            _ => continue,
        };
        let name = &before[before.trim_end_matches(is_name).len()..];
        if !is_secret_name(name) {
            continue;
        }
        let blanks = if sign == ":" { after.len() - after.trim_start().len() } else { 0 };
        let start = at + 1 + blanks;
        let rest = &text[start..];
        let quote = ["\\\"", "\"", "'"].into_iter().find(|quote| rest.starts_with(quote));
        let value = match quote {
            Some(quote) => {
                let start = start + quote.len();
                let Some(length) = quoted_length(&text[start..], quote) else { continue };
                start..start + length
            }
            None if sign == ":" => continue,
            None => {
                let ends = |c: char| c.is_whitespace() || ";&|<>()#,'\"`".contains(c);
                start..start + rest.find(ends).unwrap_or(rest.len())
            }
        };
        let secret = &text[value.clone()];
        let is_clear = !whole.iter().any(|place| place.start < value.end && value.start < place.end);
        // What begins with `$` is a variable of the shell.
        if is_clear && secret.len() >= MIN_VALUE_LEN && !secret.starts_with(['$', '`']) && !is_setting(name, secret) {
            found.push((name, value));
        }
    }
    found
}

/// How long a text is up to a quote that nothing takes its meaning from.
fn quoted_length(text: &str, quote: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + text[from..].find(quote)?;
        let escapes = text[..at].bytes().rev().take_while(|b| *b == b'\\').count();
        if quote != "\"" || escapes % 2 == 0 {
            return Some(at);
        }
        from = at + quote.len();
    }
}

/// Whether a character ends a piece of a text.
fn is_end(c: char) -> bool {
    c.is_whitespace() || "=/\\:,;&|?@#'\"`()[]{}<>$".contains(c)
}

/// Whether a text begins with a path, or with an address that has no key.
fn is_path(text: &str) -> bool {
    let word = text.split(|c: char| c.is_whitespace() || "'\"".contains(c)).next().unwrap_or_default();
    is_path_value(word)
        || (word.starts_with("${") && word.contains("}/"))
        || (word.contains("://") && !is_secret_value(word))
}

/// Whether a piece is a digest by the text before it: `sha256:`, `sha512-`, `COMMIT=`.
fn is_digest(before: &str, piece: &str) -> bool {
    let Some(name) = before.strip_suffix([':', '=']) else { return false };
    let start = name.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-').len();
    let is_named = before.ends_with(':') && name.trim_end_matches(|c: char| c.is_ascii_digit()).ends_with("sha");
    is_named || is_revision(&name[start..], piece)
}

/// Whether a declaration still has a text that looks like a key, and where.
pub fn find_plaintext_secret(declaration: &Map<String, Value>) -> Option<String> {
    fn is_clear(value: &Value) -> bool {
        match value {
            Value::String(text) => placeholders(text).is_empty() && is_secret_value(text) && !text.starts_with('/'),
            Value::Array(items) => items.iter().any(is_clear),
            Value::Object(fields) => fields.iter().any(|(key, value)| match value {
                Value::String(text) if is_secret_name(key) && !text.is_empty() => placeholders(text).is_empty(),
                value => is_clear(value),
            }),
            _ => false,
        }
    }
    declaration.iter().find(|(_, value)| is_clear(value)).map(|(key, _)| key.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use aiw_home::Home;
    use serde_json::json;

    const KEY: &str = "ghp_0123456789abcdefABCDEF0123456789abcd";

    fn hidden(declaration: &Value) -> (Value, Vec<String>) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path());
        let vault = home.vault();
        let mut keys = SecretExtractor::new(&vault);
        let mut fields = declaration.as_object().unwrap().clone();
        keys.extract("srv", &mut fields).unwrap();
        let new = keys.into_secrets().into_iter().map(|(_, secret)| secret.expose().to_owned()).collect();
        (Value::Object(fields), new)
    }

    #[test]
    fn a_header_in_an_argument_and_a_key_within_a_variable_go_to_the_vault() {
        const ID: &str = "3f2504e0-4f89-11d3-9a0c-0305e82c3301";
        for (declaration, key) in [
            (json!({"command": "mcp-remote", "args": ["https://h/mcp", "--header", format!("X-API-Key: {ID}")]}), ID),
            (json!({"command": "mcp-remote", "args": ["-H", format!("Authorization: Bearer {ID}")]}), ID),
            (json!({"command": "x", "env": {"CONFIG": "{\"password\":\"hunter22hunter\"}"}}), "hunter22hunter"),
            (json!({"command": "x", "env": {"OPTS": "--password=hunter22hunter -v"}}), "hunter22hunter"),
        ] {
            let (shown, new) = hidden(&declaration);
            assert_eq!(new, [key], "{shown}");
            assert!(!shown.to_string().contains(key) && shown.to_string().contains("${secret:"), "{shown}");
        }
        for declaration in [
            json!({"command": "x", "args": ["--header", "X-Team: blue", "-e", "http://127.0.0.1:9/token"]}),
            json!({"command": "x", "args": ["--header", "Authorization: Bearer ${TOKEN}"]}),
            json!({"command": "x", "env": {"OPTS": "--verbose --level=3"}}),
        ] {
            assert_eq!(hidden(&declaration), (declaration.clone(), Vec::<String>::new()));
        }
    }

    #[test]
    fn a_key_goes_to_the_vault_wherever_it_stands() {
        for declaration in [
            json!({"command": "x", "env": {"TOKEN": KEY}}),
            json!({"url": "https://h", "headers": {"Authorization": format!("Bearer {KEY}")}}),
            json!({"url": format!("https://h/mcp?api_key={KEY}")}),
            json!({"url": format!("https://h/{KEY}/mcp")}),
            json!({"command": "x", "args": ["--token", KEY]}),
            json!({"command": "x", "args": [format!("--token={KEY}")]}),
            json!({"command": "sh", "args": ["-c", format!("TOKEN={KEY} exec server")]}),
            json!({"command": "sh", "args": ["-c", format!("curl -H 'Authorization: Bearer {KEY}' h")]}),
            json!({"command": "docker", "args": ["run", "-e", format!("TOKEN={KEY}"), "image"]}),
            json!({"command": format!("/opt/{KEY}/server")}),
            json!({"command": format!("TOKEN={KEY} server")}),
            json!({"command": "x", "cwd": format!("/srv/{KEY}")}),
            json!({"command": "x", "custom": KEY}),
            json!({"command": "x", "custom": {"deep": [{"value": KEY}]}}),
            json!({"url": "https://h", "oauth": {"clientId": "me", "clientSecret": KEY}}),
            json!({"command": "x", "note": format!("use {KEY} here")}),
            json!({"command": "x", "env": {"TOKEN": format!("prefix-${{USER}}-{KEY}")}}),
            json!({"url": "https://h", "headers": {"Authorization": format!("Bearer {KEY}, ${{USER}}")}}),
            json!({"command": "x", "note": format!("${{USER}}:{KEY}")}),
            json!({"command": "x", "args": ["--pw", KEY]}),
            json!({"command": "x", "args": [format!("--{KEY}")]}),
            json!({"url": format!("https://h/${{X}}{KEY}/mcp")}),
            json!({"url": format!("https://h/mcp?token=${{X}}{KEY}")}),
            json!({"url": format!("https://h/mcp?{KEY}=1")}),
        ] {
            let (after, new) = hidden(&declaration);
            assert_eq!(new, [KEY], "{declaration}");
            assert!(!after.to_string().contains(KEY) && after.to_string().contains("${secret:srv"), "{after}");
            assert_eq!(find_plaintext_secret(after.as_object().unwrap()), None, "{after}");
        }
    }

    #[test]
    fn what_a_name_says_is_a_key_goes_to_the_vault_whole() {
        for (arguments, secret, after) in [
            (json!(["--password", "my horse 9"]), "my horse 9", json!(["--password", "${secret:srv-password}"])),
            (json!(["--password=my horse 9"]), "my horse 9", json!(["--password=${secret:srv-password}"])),
            (json!(["-e", "DB_PASSWORD=my horse"]), "my horse", json!(["-e", "DB_PASSWORD=${secret:srv-db-password}"])),
            (
                json!(["-c", "DB_PASSWORD=horse9 cmd"]),
                "horse9",
                json!(["-c", "DB_PASSWORD=${secret:srv-db-password} cmd"]),
            ),
            (
                json!(["-c", "cd /x && DB_PASSWORD='my horse' exec cmd --max-tokens=4096"]),
                "my horse",
                json!(["-c", "cd /x && DB_PASSWORD='${secret:srv-db-password}' exec cmd --max-tokens=4096"]),
            ),
            (
                json!(["--config", r#"{"url": "http://h:80", "apiKey": "horse\"9", "n": 1}"#]),
                r#"horse\"9"#,
                json!(["--config", r#"{"url": "http://h:80", "apiKey": "${secret:srv-apikey}", "n": 1}"#]),
            ),
            (json!(["/token:horse9"]), "horse9", json!(["/token:${secret:srv-token}"])),
        ] {
            let (declaration, new) = hidden(&json!({"command": "x", "args": arguments}));
            assert_eq!((&declaration["args"], new), (&after, vec![secret.to_owned()]));
        }
        // Two of them, and a key by its form between them.
        let script = format!("A_TOKEN=horse9 x --y {KEY} B_TOKEN=cow77");
        let (declaration, new) = hidden(&json!({"command": "sh", "args": ["-c", script]}));
        assert_eq!(new.len(), 3, "{declaration}");
        assert!(!["horse9", "cow77", KEY].iter().any(|key| declaration.to_string().contains(key)), "{declaration}");
    }

    #[test]
    fn a_key_that_no_reference_can_stand_for_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path());
        let vault = home.vault();
        let hide = |name: &str, declaration: Value| {
            let mut fields = declaration.as_object().unwrap().clone();
            SecretExtractor::new(&vault).extract(name, &mut fields).unwrap_err()
        };
        let default = hide("srv", json!({"command": "x", "env": {"TOKEN": format!("${{TOKEN:-{KEY}}}")}}));
        assert!(default.contains("the default of `TOKEN`") && !default.contains(KEY), "{default}");
        for declaration in [
            json!({"command": "x", "env": {"API_KEY": "${P:-9f86d081884c7d659a2feaa0c55ad015}"}}),
            json!({"command": "x", "env": {"DB_PASSWORD": "${P:-correct-horse-9}"}}),
            json!({"command": "x", "env": {"A": format!("${{P:-Bearer {KEY}}}")}}),
            json!({"url": format!("https://h/mcp?k=${{P:-{KEY}}}")}),
        ] {
            let said = hide("srv", declaration);
            assert!(said.contains("the default of `P`") && !said.contains(KEY) && !said.contains("horse"), "{said}");
        }
        let long = hide("srv", json!({"command": "x", "args": ["${A},".repeat(100_000)]}));
        assert!(long.contains("more than 8 KiB"), "{long}");
        let name = hide(KEY, json!({"command": "x"}));
        assert!(name.contains("looks like a key") && !name.contains(KEY), "{name}");
    }

    #[test]
    fn a_key_is_never_a_name() {
        for (arguments, secret) in [
            (json!([format!("{KEY}=")]), format!("{KEY}=")),
            (
                json!(["--storage-key", "k3JhZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXo3ODkw=="]),
                "k3JhZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXo3ODkw==".to_owned(),
            ),
        ] {
            let (after, new) = hidden(&json!({"command": "x", "args": arguments}));
            assert_eq!(new, [secret], "{after}");
            assert!(!after.to_string().to_lowercase().contains(&KEY.to_lowercase()), "{after}");
            assert!(!after.to_string().contains("k3JhZGVm"), "{after}");
        }
        let (after, new) = hidden(&json!({"url": "https://h", "headers": {"Authorization": "Bearer correct-horse-9"}}));
        assert_eq!(
            (new, &after["headers"]["Authorization"]),
            (vec!["correct-horse-9".to_owned()], &json!("Bearer ${secret:srv-authorization}"))
        );
    }

    #[test]
    fn what_is_no_key_stays_as_it_is() {
        for declaration in [
            json!({"command": "/nix/store/0f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c-node/bin/node", "args": ["/srv/Team/Projects2024/a.js"]}),
            json!({"command": "/home/me/.nvm/versions/node/v18.17.0/bin/npx", "args": ["-y", "@scope/server-name@1.2.3"]}),
            json!({"command": "docker", "args": ["run", "-i", "--rm", "image@sha256:0f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c0f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c"]}),
            json!({"command": "x", "env": {"REGION": "eu-west-1", "A": "${TOKEN}"}, "cwd": "/srv/sk-learn-project-2024", "timeout": 60}),
            json!({"url": "https://h/mcp", "headers": {"Authorization": "Bearer ${TOKEN}"}, "type": "http"}),
            json!({"url": "https://h", "oauth": {"clientId": "me", "issuer": "https://login.h/token", "scopes": ["read:all"]}}),
            json!({"command": "x", "args": ["--token-file", "/run/secrets/token", "3f2504e0-4f89-11d3-9a0c-0305e82c3301"]}),
            json!({"command": "uvx", "args": ["--from", "git+https://github.com/o/r@v1.2.3", "server"], "description": "reads your notes"}),
            json!({"command": "x", "env": {"PYTHONPATH": "${HOME}/venvs/0f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c/lib"}}),
            json!({"command": "sh", "args": ["-c", "PATH=/nix/store/0f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c-x/bin:$PATH exec x"]}),
            json!({"command": "uvx", "args": ["--from", "git+https://github.com/o/r@0f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c0f9a8b7c", "x"]}),
            json!({"command": "x", "args": ["--max-tokens", "4096", "--max-tokens=4096", "--auth", "oauth2", "--auth=none"]}),
            json!({"command": "x", "args": ["COMMIT=0f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c0f9a8b7c", "--rev", "0f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c0f9a8b7c"]}),
            json!({"command": "x", "env": {"GIT_COMMIT": "0f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c0f9a8b7c", "MAX_TOKENS": "4096"}}),
            json!({"command": "sh", "args": ["-c", "COMMIT=0f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c0f9a8b7c TOKEN=$TOKEN KEY=2 exec x --token-file=/run/t"]}),
            json!({"command": "x", "args": ["--token-command", "pass show mail", "/path:x", "/nologo"]}),
        ] {
            assert_eq!(hidden(&declaration), (declaration, Vec::new()));
        }
    }
}
