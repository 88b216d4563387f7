//! What a server may ask a client: bounded, printable, and in the server's own name.

use aiw_core::{fold_homoglyphs, is_safe, is_secret_name, is_unsafe_in_line, one_line, printable, quoted};
use aiw_mcp::RpcError;
use serde_json::{Map, Value, json};
use url::Url;

/// The most characters of the text that a person reads.
const MAX_TEXT_CHARS: usize = 2000;

/// The most characters of a field's name, and of its title or description.
const MAX_NAME_CHARS: usize = 100;
const MAX_LABEL_CHARS: usize = 300;

/// The most fields of a form, and choices of a field.
const MAX_FIELDS: usize = 20;
const MAX_CHOICES: usize = 100;

/// The longest address, in bytes.
const MAX_URL_BYTES: usize = 2048;

/// The most bytes of a request to a model, and of any other question.
const MAX_SAMPLING_BYTES: usize = 256 << 10;
const MAX_QUESTION_BYTES: usize = 64 << 10;

/// Returns the part of a question that passes on to a client with these capabilities.
pub(crate) fn filter_question(
    server: &str,
    method: &str,
    params: Option<Value>,
    capabilities: &Value,
) -> Result<Option<Value>, RpcError> {
    let refuse = |problem: &str| Err(RpcError::invalid_params(&format!("`{method}` {problem}")));
    let (kind, most) = match method {
        "sampling/createMessage" => ("sampling", MAX_SAMPLING_BYTES),
        "elicitation/create" => ("elicitation", MAX_QUESTION_BYTES),
        "roots/list" => ("roots", MAX_QUESTION_BYTES),
        _ => return Err(RpcError::method_not_found(method)),
    };
    let Some(able) = capabilities.get(kind).filter(|able| !able.is_null()) else {
        return Err(RpcError::method_not_found(method));
    };
    if params.as_ref().is_some_and(|params| params.to_string().len() > most) {
        return refuse(&format!("has more than {} KiB", most >> 10));
    }
    // It takes no parameters.
    if kind == "roots" {
        return Ok(None);
    }
    let Some(Value::Object(params)) = params else {
        return Err(RpcError::invalid_params(&format!("the parameters of `{method}` are no object")));
    };
    let asked = if kind == "sampling" { sampling(server, params, able) } else { elicitation(server, &params, able) };
    asked.map(Some).or_else(|problem| refuse(&problem))
}

/// Why a question is not asked, as the end of a sentence about it.
type QuestionProblem = String;

/// A request to the client's model says whose it is, at both ends of what it tells the model.
fn sampling(server: &str, mut params: Map<String, Value>, able: &Value) -> Result<Value, QuestionProblem> {
    let whose = format!("This request is from the MCP server {}.", quoted(server));
    let own = params.get("systemPrompt").and_then(Value::as_str).unwrap_or_default().trim();
    let prompt = match own {
        "" => whose,
        own => format!("{whose}\n\n{}\n\n{whose}", printable(own)),
    };
    // The context is that of all servers behind aiw.
    params.shift_remove("includeContext");
    params.shift_remove("_meta");
    params.shift_remove("task");
    if able.get("tools").is_none() {
        params.shift_remove("tools");
        params.shift_remove("toolChoice");
    }
    if let Some(messages) = params.get_mut("messages") {
        make_printable(messages);
    }
    params.insert("systemPrompt".into(), prompt.into());
    Ok(params.into())
}

/// Makes every `text` in a value printable.
fn make_printable(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(make_printable),
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if name == "text" && !is_safe(text) => *text = printable(text).into_owned(),
                    other => make_printable(other),
                }
            }
        }
        _ => {}
    }
}

fn elicitation(server: &str, params: &Map<String, Value>, able: &Value) -> Result<Value, QuestionProblem> {
    let mode = params.get("mode").map_or(Some("form"), Value::as_str).unwrap_or_default();
    // Before there were other modes, the object was empty.
    let has_mode = match able.as_object() {
        Some(modes) if !modes.contains_key("form") && !modes.contains_key("url") => mode == "form",
        modes => ["form", "url"].contains(&mode) && modes.is_some_and(|modes| modes.contains_key(mode)),
    };
    if !has_mode {
        return Err("is of a mode that this client does not have".into());
    }
    let text = params.get("message").and_then(Value::as_str).unwrap_or_default();
    let name = quoted(server);
    let message = |text: &str| format!("The MCP server {name} asks: {text} (asked by the MCP server {name})");
    let room = MAX_TEXT_CHARS.saturating_sub(message("").chars().count());
    // What it does to show on one line counts.
    let shown = one_line(text, usize::MAX);
    if shown.chars().count() > room {
        return Err(format!("has a `message` of more than {room} characters"));
    }
    let message = message(&shown);
    if mode == "url" {
        let url = address(params.get("url").and_then(Value::as_str).unwrap_or_default())?;
        let id = params.get("elicitationId").and_then(Value::as_str).unwrap_or_default();
        if !is_name(id) {
            return Err("has no `elicitationId` of at most 100 visible characters".into());
        }
        return Ok(json!({"mode": mode, "message": message, "url": url, "elicitationId": id}));
    }
    let schema = form(params.get("requestedSchema").unwrap_or(&Value::Null), text)?;
    let mut question = json!({"message": message, "requestedSchema": schema});
    if params.contains_key("mode") {
        question["mode"] = mode.into();
    }
    Ok(question)
}

/// Checks an address that a person is asked to open.
fn address(text: &str) -> Result<String, QuestionProblem> {
    let url = Some(text).filter(|text| text.len() <= MAX_URL_BYTES && !text.contains(is_unsafe_in_line));
    let url = url.and_then(|text| Url::parse(text).ok());
    let plain =
        |url: &Url| url.scheme() == "https" && url.has_host() && url.username().is_empty() && url.password().is_none();
    url.filter(plain).map(String::from).ok_or_else(|| "has a `url` that is not https, or that has a user in it".into())
}

fn is_name(text: &str) -> bool {
    (1..=MAX_NAME_CHARS).contains(&text.chars().count()) && !text.contains(is_unsafe_in_line)
}

/// Checks a form, and takes of it what the protocol knows.
///
/// <https://modelcontextprotocol.io/specification/2025-11-25/client/elicitation#requested-schema>
fn form(schema: &Value, message: &str) -> Result<Value, QuestionProblem> {
    let none = Map::new();
    let fields = match schema.get("properties") {
        None | Some(Value::Null) => &none,
        Some(Value::Object(fields)) => fields,
        Some(_) => return Err("has a form that is not a list of fields".into()),
    };
    if fields.len() > MAX_FIELDS {
        return Err(format!("has a form of more than {MAX_FIELDS} fields"));
    }
    let fields: Map<String, Value> = fields
        .iter()
        .map(|(name, asked)| {
            let about = || format!("has a field {} that ", quoted(name));
            if !is_name(name) {
                return Err(format!("{}has no name of at most {MAX_NAME_CHARS} visible characters", about()));
            }
            Ok((name.clone(), field(name, asked, message).map_err(|problem| format!("{}{problem}", about()))?))
        })
        .collect::<Result<_, QuestionProblem>>()?;
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    let required: Vec<&Value> =
        required.filter(|name| name.as_str().is_some_and(|name| fields.contains_key(name))).collect();
    Ok(json!({"type": "object", "properties": fields, "required": required}))
}

/// Checks one field.
fn field(name: &str, asked: &Value, message: &str) -> Result<Value, QuestionProblem> {
    let kind = asked["type"].as_str().unwrap_or_default();
    if !["string", "number", "integer", "boolean", "array"].contains(&kind) {
        return Err("is neither a text nor a number, a switch or a choice".into());
    }
    let mut field = Map::from_iter([("type".to_owned(), Value::from(kind))]);
    for key in ["title", "description"] {
        if let Some(text) = asked.get(key).and_then(Value::as_str) {
            field.insert(key.into(), one_line(text, MAX_LABEL_CHARS).into());
        }
    }
    for key in ["minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems"] {
        if let Some(number) = asked.get(key).filter(|value| value.is_number()) {
            field.insert(key.into(), number.clone());
        }
    }
    if let Some(format) = asked.get("format").and_then(Value::as_str) {
        match format {
            "email" | "uri" | "date" | "date-time" => field.insert("format".into(), format.into()),
            _ => return Err("has a format that forms don't have".into()),
        };
    }
    let has_choices = choices(asked, &mut field)?;
    // Secrets belong to the provider's own page, never to a form.
    let labels = [name, label(&field, "title"), label(&field, "description")];
    let is_typed = kind != "boolean" && !has_choices;
    // A count of tokens is not a token.
    let is_number = kind != "string";
    let is_secret = |label: &str| (!is_number && is_secret_name(label)) || names_secret(label, is_number);
    if is_typed && (labels.into_iter().any(is_secret) || names_secret(message, is_number)) {
        return Err("asks for a secret, which a form may not".into());
    }
    if let Some(default) = asked.get("default") {
        let is_short = match default {
            Value::String(text) => text.chars().count() <= MAX_LABEL_CHARS && !text.contains(is_unsafe_in_line),
            Value::Array(texts) => {
                texts.len() <= MAX_CHOICES && texts.iter().all(|text| text.as_str().is_some_and(is_name))
            }
            Value::Bool(_) | Value::Number(_) => true,
            _ => false,
        };
        if !is_short {
            return Err("has a default that can't be shown".into());
        }
        field.insert("default".into(), default.clone());
    }
    Ok(field.into())
}

/// Whether a sentence names something that is a secret, or that can be one as a number.
fn names_secret(text: &str, is_number: bool) -> bool {
    const SECRET_PHRASES: [&str; 8] =
        ["pin", "otp", "cvv", "cvc", "card number", "credit card number", "senha", "heslo"];
    const SECRET_WORDS: [&str; 37] = [
        "passw",
        "passphrase",
        "passcode",
        "secret",
        "api key",
        "api-key",
        "api_key",
        "access key",
        "private key",
        "token",
        "credential",
        "seed phrase",
        "recovery phrase",
        "recovery words",
        "words of your wallet",
        "mnemonic",
        "one-time code",
        "one time code",
        "verification code",
        "security code",
        "sk-ant",
        "kennwort",
        "geheimwort",
        "mot de passe",
        "contrase",
        "clave de acceso",
        "wachtwoord",
        "lösenord",
        "adgangskode",
        "salasana",
        "hasło",
        "jelszó",
        "şifre",
        "пароль",
        "密码",
        "パスワード",
        "비밀번호",
    ];
    let text = text.to_lowercase();
    let latin = fold_homoglyphs(&text);
    let spelled = spelled_out(&latin);
    let is_word = |word: &&&str| !(is_number && **word == "token");
    // A description may say that none is to be given.
    let forms = [&text, &latin, &spelled];
    SECRET_PHRASES.iter().any(|word| latin.trim() == *word || spelled.trim() == *word)
        || SECRET_WORDS.iter().filter(is_word).any(|word| forms.iter().any(|form| form.contains(word)))
}

/// Returns the words of a text that are spelled out: `p a s s w o r d`.
fn spelled_out(text: &str) -> String {
    let signs = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let mut spelled = String::new();
    for sign in signs {
        match sign.chars().count() {
            1 => spelled.push_str(sign),
            _ => spelled.push(' '),
        }
    }
    spelled
}

fn label<'a>(field: &'a Map<String, Value>, key: &str) -> &'a str {
    field.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Takes over the choices of a field, in each of the protocol's forms. Returns whether there are any: with an empty
/// list, a client may show a place to type in.
fn choices(asked: &Value, field: &mut Map<String, Value>) -> Result<bool, QuestionProblem> {
    let is_choice = |value: &Value| value.as_str().is_some_and(is_name);
    let titled = |value: &Value| {
        let (of, title) = (value.get("const")?, value.get("title")?);
        (is_choice(of) && is_choice(title)).then(|| json!({"const": of, "title": title}))
    };
    let checked = |list: &Value, one: &dyn Fn(&Value) -> Option<Value>| {
        let list = list.as_array().filter(|list| list.len() <= MAX_CHOICES);
        let list = list.and_then(|list| list.iter().map(one).collect::<Option<Vec<Value>>>());
        list.map(Value::from).ok_or_else(|| "has choices that can't be shown".to_owned())
    };
    let plain = |value: &Value| is_choice(value).then(|| value.clone());
    let mut some = false;
    if asked["type"] == "array" {
        let items = &asked["items"];
        let (key, list) = match items.get("anyOf") {
            Some(list) => ("anyOf", checked(list, &titled)?),
            None => ("enum", checked(&items["enum"], &plain)?),
        };
        some = list.as_array().is_some_and(|list| !list.is_empty());
        let mut items = json!({ key: list });
        if key == "enum" {
            items["type"] = "string".into();
        }
        field.insert("items".into(), items);
        return Ok(some);
    }
    for (key, one) in [("enum", &plain as &dyn Fn(&Value) -> Option<Value>), ("enumNames", &plain), ("oneOf", &titled)]
    {
        if let Some(list) = asked.get(key) {
            let list = checked(list, one)?;
            some |= key != "enumNames" && list.as_array().is_some_and(|list| !list.is_empty());
            field.insert(key.into(), list);
        }
    }
    Ok(some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ask(method: &str, params: Value) -> Result<Value, String> {
        let able = json!({"sampling": {}, "elicitation": {"form": {}, "url": {}}, "roots": {}});
        let asked = filter_question("s", method, Some(params), &able).map_err(|e| e.message)?;
        Ok(asked.unwrap_or_default())
    }

    fn form_of(properties: Value) -> Result<Value, String> {
        let params = json!({"message": "?", "requestedSchema": {"type": "object", "properties": properties}});
        Ok(ask("elicitation/create", params)?["requestedSchema"]["properties"].take())
    }

    #[test]
    fn a_question_is_one_line_that_begins_and_ends_with_its_server() {
        let params = json!({"message": "Go\n\n\n on?\u{1b}[2J\u{200b} ", "odd": 1, "_meta": {}, "requestedSchema":
            {"type": "object", "properties": {"x": {"type": "string", "odd": 1}}, "required": ["x", "y"]}});
        assert_eq!(
            ask("elicitation/create", params).unwrap(),
            json!({"message": "The MCP server `s` asks: Go on?\\u{1b}[2J\\u{200b} (asked by the MCP server `s`)",
                "requestedSchema": {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]}})
        );
        let long = |n: usize| ask("elicitation/create", json!({"message": "x".repeat(n)}));
        let question = long(1900).unwrap();
        let said = question["message"].as_str().unwrap();
        assert!(said.len() <= MAX_TEXT_CHARS && said.ends_with("(asked by the MCP server `s`)"));
        assert!(long(2000).unwrap_err().contains("`message` of more than"));
        assert!(long(5_000_000).unwrap_err().contains("has more than 64 KiB"));
        // What does not count in characters counts in what it shows.
        assert!(ask("elicitation/create", json!({"message": "\u{200b}".repeat(400)})).is_err());
    }

    #[test]
    fn no_form_asks_for_a_secret_or_for_more_than_anybody_reads() {
        let many = |n: usize| (0..n).map(|n| (format!("f{n}"), json!({"type": "boolean"}))).collect::<Map<_, _>>();
        assert!(form_of(many(20).into()).is_ok());
        assert!(form_of(many(21).into()).unwrap_err().contains("more than 20 fields"));
        for secret in [
            json!({"password": {"type": "string"}}),
            json!({"api_key": {"type": "string"}}),
            json!({"x": {"type": "string", "title": "Your password"}}),
            // An empty list offers nothing, and numbers are typed, too.
            json!({"x": {"type": "string", "title": "Your password", "enum": []}}),
            json!({"x": {"type": "string", "title": "Your password", "oneOf": []}}),
            json!({"x": {"type": "string", "title": "Your password", "enumNames": ["a"]}}),
            json!({"x": {"type": "array", "title": "Your password", "items": {"enum": []}}}),
            json!({"x": {"type": "integer", "title": "Your password (digits)"}}),
            json!({"x": {"type": "integer", "title": "PIN"}}),
            // In letters that look the same, and in other languages.
            json!({"x": {"type": "string", "title": "Your p\u{430}ssword"}}),
            json!({"x": {"type": "string", "title": "\u{ff30}assword"}}),
            json!({"x": {"type": "string", "title": "Kennwort"}}),
            json!({"x": {"type": "string", "title": "Mot de passe"}}),
            json!({"x": {"type": "string", "title": "\u{5bc6}\u{7801}"}}),
            json!({"x": {"type": "string", "title": "One-time code"}}),
            json!({"x": {"type": "string", "title": "Your p a s s w o r d"}}),
            json!({"x": {"type": "integer", "title": "P. I. N."}}),
            json!({"x": {"type": "string", "title": "Credit card number"}}),
            json!({"x": {"type": "string", "description": "Paste the token here"}}),
            json!({"x": {"type": "string", "format": "password"}}),
            json!({"x": {"type": "object"}}),
            json!({"a\nb": {"type": "string"}}),
            json!({"a\u{202e}b": {"type": "string"}}),
            json!({"x": {"type": "string", "enum": ["a\u{1b}[2J"]}}),
            json!({"x": {"type": "string", "default": "\n".repeat(9)}}),
            json!({"x": {"type": "array", "items": {"enum": ["a".repeat(101)]}}}),
        ] {
            assert!(form_of(secret.clone()).is_err(), "{secret}");
        }
        let asked =
            json!({"message": "Type your password", "requestedSchema": {"properties": {"x": {"type": "string"}}}});
        assert!(ask("elicitation/create", asked).unwrap_err().contains("asks for a secret"));
        for fine in [
            json!({"name": {"type": "string", "title": "Name", "minLength": 1, "format": "email", "default": "a"}}),
            json!({"n": {"type": "integer", "minimum": 0, "maximum": 9}}),
            json!({"token_kind": {"type": "string", "enum": ["a", "b"], "enumNames": ["A", "B"]}}),
            json!({"c": {"type": "string", "oneOf": [{"const": "a", "title": "A"}]}}),
            json!({"m": {"type": "array", "minItems": 1, "items": {"enum": ["a"], "type": "string"}, "default": ["a"]}}),
            json!({"m": {"type": "array", "items": {"anyOf": [{"const": "a", "title": "A"}]}}}),
        ] {
            assert_eq!(form_of(fine.clone()).unwrap(), fine);
        }
    }

    #[test]
    fn a_client_is_asked_in_its_own_modes_and_sent_to_https_alone() {
        let with = |able: Value, mode: &str| {
            let params = json!({"mode": mode, "message": "?", "url": "https://a.example/x", "elicitationId": "1"});
            filter_question("s", "elicitation/create", Some(params), &json!({"elicitation": able})).is_ok()
        };
        assert!(with(json!({}), "form") && !with(json!({}), "url") && !with(json!({"form": {}}), "url"));
        assert!(with(json!({"url": {}}), "url") && !with(json!({"url": {}}), "form"));
        assert!(!with(json!({"form": {}, "odd": {}}), "odd"));
        let url = |url: &str| ask("elicitation/create", json!({"mode": "url", "url": url, "elicitationId": "1"}));
        assert_eq!(url("https://a.example/x").unwrap()["url"], "https://a.example/x");
        for bad in [
            "javascript:alert(1)",
            "file:///etc/passwd",
            "http://a.example/",
            "https://bank.example@evil.example/",
            "https://u:p@a.example/",
            "https://a.example/\u{202e}x",
            "",
            &format!("https://a.example/{}", "x".repeat(MAX_URL_BYTES)),
        ] {
            assert!(url(bad).is_err(), "{bad}");
        }
        assert!(ask("elicitation/create", json!({"mode": "url", "url": "https://a.example"})).is_err());
    }

    #[test]
    fn a_model_is_told_whose_request_it_is_and_gets_no_context() {
        let asked = ask(
            "sampling/createMessage",
            json!({"messages": [{"role": "user", "content": {"type": "text", "text": "a\u{e0041}b"}}],
                "systemPrompt": "Be aiw.\u{200b}", "includeContext": "allServers", "tools": [1], "maxTokens": 5}),
        )
        .unwrap();
        let whose = "This request is from the MCP server `s`.";
        assert_eq!(
            asked,
            json!({"messages": [{"role": "user", "content": {"type": "text", "text": "a\\u{e0041}b"}}],
                "systemPrompt": format!("{whose}\n\nBe aiw.\\u{{200b}}\n\n{whose}"), "maxTokens": 5})
        );
        assert_eq!(ask("sampling/createMessage", json!({})).unwrap()["systemPrompt"], whose);
        assert!(ask("sampling/createMessage", json!({"messages": "x".repeat(5_000_000)})).is_err());
        assert_eq!(ask("roots/list", json!({"odd": 1})).unwrap(), Value::Null);
        assert!(filter_question("s", "roots/list", None, &json!({})).is_err());
        assert!(filter_question("s", "tools/call", Some(json!({})), &json!({"tools": {}})).is_err());
    }

    proptest! {
        #[test]
        fn whatever_is_asked_is_bounded_and_printable(
            message in "(?s).{0,300}", name in "(?s).{0,20}", title in "(?s).{0,400}", kind in "string|number|x",
        ) {
            let params = json!({"message": message, "requestedSchema": {"properties": {name: {"type": kind, "title": title}}}});
            if let Ok(asked) = ask("elicitation/create", params) {
                let text = asked["message"].as_str().unwrap();
                prop_assert!(!text.contains('\n') && text.chars().count() <= MAX_TEXT_CHARS && text.ends_with("server `s`)"));
                prop_assert!(is_safe(text) && is_safe(&asked["requestedSchema"].to_string()));
            }
        }
    }
}
