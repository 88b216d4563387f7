//! `aiw secret …`, `aiw trust …`

use std::fs;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use aiw_core::{ErrorKind, Secret, SecretName};
use aiw_home::{Home, MAX_SECRET_BYTES, TrustSettings, read_capped};
use aiw_servers::{McpFile, reads};
use serde_json::{Value, json};

use crate::answers::SecretRemove;
use crate::cli::provider::{SecretCommand, TrustCommand};
use crate::failure::Failure;
use crate::output::Output;
use crate::{starter, terminal};

pub async fn run(command: SecretCommand, output: &Output) -> Result<(), Failure> {
    let home = Home::find()?;
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
        SecretCommand::Remove { name } => {
            starter::migrate_providers(&home, output)?;
            let servers = servers_with(&home, &name);
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

/// `aiw trust …`
pub fn trust(command: TrustCommand, output: &Output) -> Result<(), Failure> {
    let home = Home::find()?;
    match command {
        TrustCommand::Add { directory } => {
            let directory = whole(directory)?;
            let lock = home.lock()?;
            let mut settings = home.settings()?;
            let mut trust = settings.trust();
            let news = trust.add(&directory);
            let servers = trust_servers(&directory, &mut trust)?;
            settings.set_trust(&trust)?;
            settings.save(&lock)?;
            let word =
                if news || servers.as_ref().is_some_and(|(new, _)| *new) { "Trusted" } else { "Already trusted" };
            output.line(format!("{word}: `{}`", directory.display()));
            let targets = servers.map(|(_, targets)| targets).unwrap_or_default();
            targets.iter().for_each(|(name, target)| output.line(format!("  MCP server `{name}`: {target}")));
            let servers: Vec<&String> = targets.iter().map(|(name, _)| name).collect();
            output.answer(json!({"trusted": directory.to_string_lossy(), "new": news, "servers": servers}));
        }
        TrustCommand::List => {
            let trust = home.settings()?.trust();
            let all = trust.directories();
            if all.is_empty() {
                output.line("no directory is trusted");
            } else {
                let rows: Vec<_> = all.iter().map(|directory| vec![directory.display().to_string()]).collect();
                output.table(&["DIRECTORY"], &rows);
            }
            output.answer(json!({"directories": all.iter().map(|d| d.to_string_lossy()).collect::<Vec<_>>()}));
        }
        TrustCommand::Remove { directory } => {
            // One that is gone can still be taken out, as it is listed.
            let directory = match &directory {
                Some(listed) if listed.is_absolute() && !listed.exists() => listed.clone(),
                _ => whole(directory)?,
            };
            let lock = home.lock()?;
            let mut settings = home.settings()?;
            let mut trust = settings.trust();
            if !trust.remove(&directory) {
                let failure = Failure::user(format!("`{}` is not in the list", directory.display()));
                return Err(failure.with_hint("`aiw trust list` shows it"));
            }
            settings.set_trust(&trust)?;
            settings.save(&lock)?;
            output.line(format!("No longer trusted: `{}`", directory.display()));
            output.answer(json!({"removed": directory.to_string_lossy()}));
        }
    }
    Ok(())
}

/// Whether the trust is new, and the servers with what they run.
type TrustedServers = (bool, Vec<(String, String)>);

/// Trusts the directory's `.mcp.json` as it is now.
fn trust_servers(directory: &Path, trust: &mut TrustSettings) -> Result<Option<TrustedServers>, Failure> {
    let file = directory.join(".mcp.json");
    let Some(bytes) = read_capped(&file, 4 << 20)? else { return Ok(None) };
    let servers = aiw_servers::in_file(&bytes)
        .map_err(|problem| Failure::new(ErrorKind::Config, format!("`{}` {problem}", file.display())))?;
    let target = |(name, declaration): (String, Value)| {
        let target = aiw_servers::server(&name, &declaration).map_or_else(|why| why, |server| server.target());
        (name, target)
    };
    Ok(Some((trust.add_file(&file, &bytes), servers.into_iter().map(target).collect())))
}

/// A directory without links and dots.
fn whole(directory: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let directory = directory.unwrap_or_else(|| Path::new(".").to_owned());
    match fs::canonicalize(&directory) {
        Ok(whole) if whole.is_dir() => Ok(whole),
        Ok(_) => Err(Failure::user(format!("`{}` is not a directory", directory.display()))),
        Err(e) => Err(Failure::user(format!("there is no directory `{}`: {e}", directory.display()))),
    }
}
