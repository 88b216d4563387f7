//! `aiw secret …`

use std::collections::BTreeSet;
use std::io::{self, IsTerminal, Read};

use aiw_core::{ErrorKind, Secret, SecretName, quoted};
use aiw_home::{Home, MAX_SECRET_BYTES};
use aiw_providers::RemovedSecret;
use aiw_servers::{McpFile, reads};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::provider::SecretCommand;
use crate::failure::Failure;
use crate::output::Output;
use crate::terminal;

/// `aiw secret remove`
#[derive(Serialize, JsonSchema)]
pub struct SecretRemove {
    /// The secret
    #[serde(flatten)]
    pub removed: RemovedSecret,
    /// The MCP servers of mcp.json that still refer to it
    pub servers: Vec<String>,
}

pub async fn run(command: SecretCommand, output: &Output) -> Result<(), Failure> {
    let home = Home::find()?;
    home.recover()?;
    let vault = home.vault();
    match command {
        SecretCommand::Set { name, env } => {
            let secret = match env {
                Some(variable) => match std::env::var(variable.as_str()) {
                    Ok(value) => Secret::new(value),
                    Err(_) => {
                        return Err(Failure::user(format!("the variable `{variable}` is not set, or is not text")));
                    }
                },
                None => read(&format!("Secret `{name}`:")).await?,
            };
            let news = !vault.is_taken(&name);
            vault.set(&home.lock()?, &name, &secret)?;
            output.line(format!("{} `{name}`", if news { "Stored" } else { "Replaced" }));
            output.answer(json!({"secret": {"name": name, "new": news}}));
        }
        SecretCommand::List => {
            let names = vault.names()?;
            if names.is_empty() {
                output.line("no secrets: `aiw secret set NAME` stores one");
            } else {
                output.table(&["NAME"], &names.iter().map(|name| vec![name.to_string()]).collect::<Vec<_>>());
            }
            output.answer(json!({"secrets": names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()}));
        }
        SecretCommand::Remove { name, yes } => {
            aiw_app::providers::migrate(&home)?.iter().for_each(|note| output.note(note));
            let servers = servers_with(&home, &name);
            let file = home.providers()?;
            let providers = file.users_of(&name).map(|provider| format!("the provider `{}`", provider.name));
            let users: Vec<String> =
                providers.chain(servers.iter().map(|server| format!("the MCP server {}", quoted(server)))).collect();
            if !users.is_empty() {
                let question = format!("`{name}` is used by {}. Remove it?", users.join(", "));
                if !terminal::confirm(&question, "--yes", yes).await? {
                    return Err(Failure::declined("nothing was removed"));
                }
            }
            let removed = aiw_providers::remove_secret(&home, &name)?;
            output.line(format!("Removed `{name}`"));
            for (kind, users) in [("providers", &removed.providers), ("MCP servers", &servers)] {
                if !users.is_empty() {
                    output.note(format!("{kind} that use it: {}", users.join(", ")));
                }
            }
            output.answer(SecretRemove { removed, servers });
        }
    }
    Ok(())
}

/// The servers of `mcp.json` that refer to a secret. A file that can't be read refers to none.
fn servers_with(home: &Home, secret: &SecretName) -> Vec<String> {
    let Ok(file) = McpFile::load(home) else { return Vec::new() };
    let refers = |declaration: &Value| declaration.as_object().is_some_and(|d| reads(d).secrets.contains(secret));
    file.servers().filter(|(_, declaration)| refers(declaration)).map(|(key, _)| key.to_owned()).collect()
}

/// The secrets of declarations that are gone, which nothing else names. A file that can't be read may name them all.
pub fn unused(home: &Home, gone: &[Value]) -> Vec<SecretName> {
    let (Ok(providers), Ok(_)) = (home.providers(), McpFile::load(home)) else { return Vec::new() };
    let named: BTreeSet<SecretName> = gone.iter().filter_map(Value::as_object).flat_map(|d| reads(d).secrets).collect();
    let vault = home.vault();
    let is_unused = |name: &SecretName| {
        vault.is_taken(name) && servers_with(home, name).is_empty() && providers.users_of(name).next().is_none()
    };
    named.into_iter().filter(is_unused).collect()
}

/// Says which secrets nothing names any more.
pub fn note_unused(home: &Home, gone: &[Value], output: &Output) {
    for name in unused(home, gone) {
        output.note(format!("note: nothing uses the secret `{name}` any more: `aiw secret remove {name}`"));
    }
}

/// A secret from standard input: from a pipe without the line break at its end, from a terminal unseen.
pub async fn read(question: &str) -> Result<Secret, Failure> {
    if io::stdin().is_terminal() {
        return terminal::ask_hidden(question).await;
    }
    let mut text = String::new();
    io::stdin()
        .lock()
        .take(MAX_SECRET_BYTES as u64 + 2)
        .read_to_string(&mut text)
        .map_err(|e| Failure::new(ErrorKind::User, format!("cannot read the secret from standard input: {e}")))?;
    let secret = Secret::new(text.strip_suffix('\n').map_or(text.as_str(), |t| t.strip_suffix('\r').unwrap_or(t)));
    if secret.expose().is_empty() {
        return Err(Failure::user("there is no secret on standard input"));
    }
    Ok(secret)
}
