//! `--mcp`: the servers of aiw's `mcp.json`, handed to a CLI in its own way.

use std::ffi::OsString;

use aiw_core::CliKind;
use aiw_core::EnvName;
use aiw_home::Home;
use serde_json::{Map, Value, json};

use crate::LaunchError;
use crate::environment::Environment;

/// What a CLI gets of `mcp.json`.
#[derive(Default)]
pub(crate) struct Servers {
    pub(crate) arguments: Vec<OsString>,
    /// For the overlay of a CLI that takes servers from its settings alone.
    pub(crate) settings: Option<Value>,
    pub(crate) notes: Vec<String>,
}

pub(crate) fn servers(
    home: &Home,
    cli: CliKind,
    environment: &mut Environment,
    kept: &[EnvName],
) -> Result<Servers, LaunchError> {
    let document = home.mcp()?;
    let mut all = Servers::default();
    let servers = document.get(&["mcpServers"]).and_then(Value::as_object).cloned().unwrap_or_default();
    if servers.is_empty() {
        all.notes.push("`--mcp` passes nothing on: mcp.json has no servers".into());
        return Ok(all);
    }
    match cli {
        CliKind::Claude => all.arguments = vec!["--mcp-config".into(), home.mcp_path().into()],
        // It expands `${VAR}` in them as Claude Code does.
        CliKind::Gemini => all.settings = Some(json!({"mcpServers": gemini(&servers)})),
        CliKind::Codex => {
            for (name, server) in &servers {
                match codex(name, server, environment, kept) {
                    Ok(setting) => all.arguments.extend(["-c".into(), setting.into()]),
                    Err(problem) => {
                        let name = aiw_core::one_line(name, 60);
                        all.notes.push(format!("MCP server `{name}` is not passed on: {problem}"));
                    }
                }
            }
        }
    }
    Ok(all)
}

/// Gemini tells transports apart by the key of the address.
fn gemini(servers: &Map<String, Value>) -> Value {
    let convert = |server: &Value| {
        let mut server = server.clone();
        let kind = server.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        if let Some(map) = server.as_object_mut() {
            map.remove("type");
            if kind != "sse"
                && let Some(url) = map.remove("url")
            {
                map.insert("httpUrl".into(), url);
            }
        }
        server
    };
    servers.iter().map(|(name, server)| (name.clone(), convert(server))).collect::<Map<_, _>>().into()
}

/// A setting `mcp_servers.NAME={…}`. Every user of the machine can read it, so no value of a
/// variable stands there: it goes through the environment, and Codex is told its name.
fn codex(name: &str, server: &Value, environment: &mut Environment, kept: &[EnvName]) -> Result<String, String> {
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') || name.is_empty() {
        return Err("Codex takes no such name".into());
    }
    let plain = |value: &Value| match value.as_str() {
        Some(text) if text.contains("${") => {
            Err("Codex puts no variables into commands, arguments and addresses".into())
        }
        Some(text) => Ok(quoted(text)),
        None => Err("its entry makes no sense".to_owned()),
    };
    let mut fields = Vec::new();
    match (server.get("command"), server.get("url")) {
        (Some(command), _) => fields.push(format!("command={}", plain(command)?)),
        (None, Some(_)) if server.get("headers").and_then(Value::as_object).is_some_and(|h| !h.is_empty()) => {
            return Err("its headers would stand on the command line".into());
        }
        (None, Some(url)) if url.as_str().is_some_and(|url| url.contains(['@', '?'])) => {
            return Err("its address, which may hold a secret, would stand on the command line".into());
        }
        (None, Some(url)) => fields.push(format!("url={}", plain(url)?)),
        (None, None) => return Err("it has neither a command nor an address".into()),
    }
    let arguments = server.get("args").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let arguments = arguments.iter().map(plain).collect::<Result<Vec<_>, _>>()?;
    if !arguments.is_empty() {
        fields.push(format!("args=[{}]", arguments.join(",")));
    }
    let mut names = Vec::new();
    for (key, value) in server.get("env").and_then(Value::as_object).into_iter().flatten() {
        let key: EnvName = key.parse().map_err(|_| "it has a variable without a usable name".to_owned())?;
        let value = value.as_str().ok_or("it has a variable that is not text")?;
        if is_the_clis(key.as_str(), kept) {
            return Err(format!("its variable `{key}` would reach Codex itself, which it means something to"));
        }
        let own = format!("${{{key}}}");
        if value.contains("${") && value != own {
            return Err(format!("its variable `{key}` is made of others"));
        }
        if value != own {
            match environment.get(key.as_str()) {
                Some(other) if other != value => {
                    return Err(format!("its variable `{key}` has another value in your environment"));
                }
                _ => environment.set(&key, value),
            }
        }
        names.push(quoted(key.as_str()));
    }
    if !names.is_empty() {
        fields.push(format!("env_vars=[{}]", names.join(",")));
    }
    Ok(format!("mcp_servers.{name}={{{}}}", fields.join(",")))
}

/// Whether a variable changes what the CLI itself does, or holds its key: `mcp.json` is written by
/// plugins, and Codex hands its servers variables only by way of its own environment.
fn is_the_clis(name: &str, kept: &[EnvName]) -> bool {
    const BEGINNINGS: [&str; 15] = [
        "AIW_",
        "ANTHROPIC_",
        "AWS_",
        "BASH_",
        "CLAUDE",
        "CODEX_",
        "DYLD_",
        "GEMINI_",
        "GIT_",
        "GOOGLE_",
        "LD_",
        "NODE_",
        "OPENAI_",
        "RUST_",
        "SSL_",
    ];
    const NAMES: [&str; 9] = ["ENV", "HOME", "IFS", "LANG", "PATH", "PWD", "SHELL", "TMPDIR", "XDG_CONFIG_HOME"];
    let name = name.to_ascii_uppercase();
    Environment::is_key(&name)
        || kept.iter().any(|kept| kept.as_str() == name)
        || NAMES.contains(&name.as_str())
        || name.ends_with("_PROXY")
        || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codex_gets_no_value_of_a_variable_on_its_command_line() {
        let mut environment = Environment::default();
        let server =
            json!({"command": "/x/py\"thon", "args": ["-m", "a\nb"], "env": {"KEY": "canary", "OTHER": "${OTHER}"}});
        let setting = codex("one", &server, &mut environment, &[]).unwrap();
        assert_eq!(
            setting,
            r#"mcp_servers.one={command="/x/py\"thon",args=["-m","a\u000ab"],env_vars=["KEY","OTHER"]}"#
        );
        assert_eq!(environment.get("KEY").unwrap(), "canary");
        for bad in [
            json!({"command": "x", "args": ["${KEY}"]}),
            json!({"command": "x", "env": {"A": "x${B}"}}),
            json!({"command": "x", "env": {"KEY": "another"}}),
            json!({"url": "https://h", "headers": {"a": "b"}}),
            json!({"url": "https://user:canary@h/mcp"}),
            json!({"url": "https://h/mcp?api_key=canary"}),
            json!({"command": "x", "env": {"NODE_OPTIONS": "--require /evil.js"}}),
            json!({"command": "x", "env": {"https_proxy": "http://evil"}}),
            json!({"command": "x", "env": {"CODEX_HOME": "/evil"}}),
            json!({"command": "x", "env": {"OPENAI_API_KEY": "${OPENAI_API_KEY}"}}),
            json!({"command": "x", "env": {"THE_KEY": "${THE_KEY}"}}),
            json!({}),
            json!(3),
        ] {
            assert!(codex("one", &bad, &mut environment, &["THE_KEY".parse().unwrap()]).is_err(), "{bad}");
        }
        assert!(codex("a.b", &json!({"command": "x"}), &mut environment, &[]).is_err());
    }

    #[test]
    fn gemini_is_told_the_transport_by_the_key() {
        let servers = json!({"a": {"type": "http", "url": "https://h"}, "b": {"type": "sse", "url": "https://s"}, "c": {"command": "x"}});
        assert_eq!(
            gemini(servers.as_object().unwrap()),
            json!({"a": {"httpUrl": "https://h"}, "b": {"url": "https://s"}, "c": {"command": "x"}})
        );
    }
}
