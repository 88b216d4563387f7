//! Servers as Smithery describes them.
//!
//! A connection of the kind `http` is a remote, and the JSON Schema of its configuration says what its address needs. The
//! server takes the configuration as parameters of the query, or as headers where a property says so (`x-from`):
//!
//! - A required property becomes a parameter, `?apiKey={apiKey}` with a variable `apiKey`. An optional one is left out, since
//!   an address has no parts that can be left open; a header is always there, optional or not.
//! - It is a secret if its `format` is `password`, if it is `writeOnly`, or if its name has `key`, `token`, `secret`,
//!   `password` or `credential` in it.
//! - `enum` holds the choices, `default` the default, the first of `examples` an example.
//!
//! A connection of the kind `stdio` is a bundle (MCPB) without a digest. Its own manifest says what it needs.

use aiw_extension::registry_source::{Endpoint, Format, Input, Package, Server, Transport};
use registry_json::{InvalidRow, Object, encode};
use serde_json::Value;

/// Reads a row of a list, which has no connections.
pub fn parse_list_row(row: &Value) -> Result<Server, InvalidRow> {
    described(Object::new(row, "it")?)
}

/// Reads the description of one server.
pub fn parse_server(row: &Value) -> Result<Server, InvalidRow> {
    let row = Object::new(row, "it")?;
    let mut server = described(row)?;
    for connection in row.list("connections", |connection| Object::new(connection, "a connection"))? {
        match connection.text("type")? {
            Some("http") => server.remotes.extend(remote(connection)?),
            Some("stdio") => server.packages.extend(bundle(connection)?),
            _ => {}
        }
    }
    if let Some(security) = row.object("security")?
        && security.optional_flag("scanPassed")? == Some(false)
    {
        server.status_message = Some("it did not pass Smithery's security scan".to_owned());
    }
    Ok(server)
}

fn described(row: Object<'_>) -> Result<Server, InvalidRow> {
    let name = row.text("qualifiedName")?.ok_or_else(|| InvalidRow("it has no `qualifiedName`".to_owned()))?;
    // `@owner/name` and `owner/name` are one server.
    let parts = name.split_once('/').map(|(owner, name)| (owner.trim_start_matches('@'), name));
    let server = Server::new(name, "").description(row.text("description")?.unwrap_or_default());
    Ok(Server {
        title: row.string("displayName")?,
        publisher: parts.map(|(owner, _)| owner.to_owned()),
        website: row.string("homepage")?,
        uses: row.number("useCount")?,
        aliases: parts.map(|(owner, name)| format!("ai.smithery/{owner}-{name}")).into_iter().collect(),
        ..server
    })
}

fn bundle(connection: Object<'_>) -> Result<Option<Package>, InvalidRow> {
    let Some(url) = connection.text("bundleUrl")? else { return Ok(None) };
    Ok(Some(Package { runtime: connection.string("runtime")?, ..Package::new("mcpb", url, None) }))
}

fn remote(connection: Object<'_>) -> Result<Option<Transport>, InvalidRow> {
    let Some(url) = connection.text("deploymentUrl")? else { return Ok(None) };
    let mut endpoint = Endpoint::new(url);
    if let Some(schema) = connection.object("configSchema")? {
        let required = schema.scalars("required")?;
        let properties = schema.entries("properties", |name, property| Ok((name, property)))?;
        for (name, property) in properties {
            let property = Object::new(property, "a property of the configuration")?;
            let required = required.iter().any(|required| required == name);
            let input = input(name, property, required)?;
            let from = property.object("x-from")?;
            let header = from.map(|from| from.text("header")).transpose()?.flatten();
            match header {
                Some(header) => endpoint = endpoint.header(header, input),
                None if required => {
                    let parameter = from.map(|from| from.text("query")).transpose()?.flatten().unwrap_or(name);
                    let joint = if endpoint.url.contains('?') { '&' } else { '?' };
                    endpoint.url.push_str(&format!("{joint}{}={{{name}}}", encode(parameter)));
                    endpoint = endpoint.variable(name, input);
                }
                None => {}
            }
        }
    }
    Ok(Some(Transport::StreamableHttp(endpoint)))
}

fn input(name: &str, property: Object<'_>, required: bool) -> Result<Input, InvalidRow> {
    const SECRET_WORDS: [&str; 5] = ["key", "token", "secret", "password", "credential"];

    let name = name.to_ascii_lowercase();
    let named_so = SECRET_WORDS.iter().any(|word| name.contains(word));
    Ok(Input {
        description: property.string("description")?.or(property.string("title")?),
        required,
        secret: named_so || property.text("format")? == Some("password") || property.flag("writeOnly")?,
        // The type may be a list of types.
        format: match property.text("type").unwrap_or_default() {
            Some("number" | "integer") => Format::Number,
            Some("boolean") => Format::Boolean,
            _ => Format::Text,
        },
        value: property.scalar("const")?,
        // A default that is an object or a list is none that can be typed.
        default_value: property.scalar("default").unwrap_or_default(),
        placeholder: property.scalars("examples").unwrap_or_default().into_iter().next(),
        choices: property.scalars("enum")?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_listed_server_has_its_other_name() {
        let row = json!({
            "id": "1", "qualifiedName": "@acme/weather", "namespace": "acme", "slug": "weather", "displayName": "Weather",
            "description": "Says the weather", "iconUrl": null, "homepage": "https://acme.example", "verified": true,
            "useCount": 1200, "remote": true, "isDeployed": true, "createdAt": "2025-10-09T17:05:17Z", "score": 0.5
        });
        let server = parse_list_row(&row).unwrap();
        let alias = ["ai.smithery/acme-weather".to_owned()];
        assert_eq!(
            (server.name.as_str(), server.aliases.as_slice(), server.uses),
            ("@acme/weather", &alias[..], Some(1200))
        );
        assert_eq!((server.publisher.as_deref(), server.title.as_deref()), (Some("acme"), Some("Weather")));
        let single = parse_list_row(&json!({"qualifiedName": "exa"})).unwrap();
        assert_eq!((single.publisher, single.aliases.len()), (None, 0));
        for bad in
            [json!({}), json!([]), json!({"qualifiedName": 1}), json!({"qualifiedName": "a", "useCount": "many"})]
        {
            assert!(parse_list_row(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn connections_become_remotes_and_bundles() {
        let row = json!({
            "qualifiedName": "acme/weather", "deploymentUrl": "https://server.smithery.ai/acme/weather",
            "connections": [
                {"type": "http", "deploymentUrl": "https://server.smithery.ai/acme/weather/mcp", "configSchema": {
                    "type": "object", "required": ["apiKey", "unit"], "properties": {
                        "apiKey": {"type": "string", "description": "Your key"},
                        "unit": {"type": "string", "enum": ["c", "f"], "default": "c", "x-from": {"query": "u n"}},
                        "days": {"type": ["integer", "null"], "default": 3},
                        "trace": {"type": "boolean", "title": "Trace", "x-from": {"header": "x-trace"}},
                        "pin": {"type": "integer", "format": "password", "examples": [1234], "x-from": {"header": "x-pin"}}
                    }
                }},
                {"type": "stdio", "bundleUrl": "https://backend.smithery.ai/server.mcpb", "runtime": "node"},
                {"type": "stdio", "command": "npx"},
                {"type": "ws", "deploymentUrl": "wss://x.example"}
            ],
            "security": {"scanPassed": false}, "tools": null
        });
        let server = parse_server(&row).unwrap();
        let bundle = Package::new("mcpb", "https://backend.smithery.ai/server.mcpb", None);
        assert_eq!(server.packages, [Package { runtime: Some("node".to_owned()), ..bundle }]);
        let [Transport::StreamableHttp(at)] = server.remotes.as_slice() else { panic!("{:?}", server.remotes) };
        assert_eq!(at.url, "https://server.smithery.ai/acme/weather/mcp?apiKey={apiKey}&u%20n={unit}");
        let key = Input::new("Your key").required().secret();
        let unit = Input { required: true, default_value: Some("c".to_owned()), ..Input::default() };
        let unit = Input { choices: vec!["c".to_owned(), "f".to_owned()], ..unit };
        let variables: Vec<_> = at.variables.iter().map(|v| (v.name.as_str(), v.input.clone())).collect();
        assert_eq!(variables, [("apiKey", key), ("unit", unit)]);
        let pin = Input { format: Format::Number, placeholder: Some("1234".to_owned()), ..Input::default() };
        let trace = Input { format: Format::Boolean, ..Input::new("Trace") };
        let headers: Vec<_> = at.headers.iter().map(|h| (h.name.as_str(), h.input.clone())).collect();
        assert_eq!(headers, [("x-pin", pin.secret()), ("x-trace", trace)]);
        assert_eq!(server.status_message.as_deref(), Some("it did not pass Smithery's security scan"));
    }

    #[test]
    fn a_server_without_connections_has_no_way_to_it() {
        for row in
            [json!({"qualifiedName": "a/b"}), json!({"qualifiedName": "a/b", "connections": [], "security": null})]
        {
            let server = parse_server(&row).unwrap();
            assert!(server.remotes.is_empty() && server.packages.is_empty() && server.status_message.is_none());
        }
        assert!(parse_server(&json!({"qualifiedName": "a/b", "connections": [7]})).is_err());
    }
}
