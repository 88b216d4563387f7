//! `aiw mcp add`, `remove`, `enable`, `disable`

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use aiw_core::{ErrorKind, Secret, SecretName, one_line, shell_word};
use aiw_home::Home;
use aiw_routing::{PoolError, Records, check_remote, forget_logins};
use aiw_servers::{Hidden, Keys, McpFile, is_key, left_in_clear, placeholders, safe, secret_reference, server};
use serde_json::{Map, Value, json};

use super::pool;
use crate::commands::secret::note_unused;
use crate::cli::mcp::McpAddArgs;
use crate::failure::Failure;
use crate::output::Output;

/// The name of aiw's own tools in profiles.
const OWN: &str = "aiw";

/// How many definitions that are left out are named.
const MOST_NOTES: usize = 20;

pub async fn add(args: McpAddArgs, output: &Output) -> Result<(), Failure> {
    let name = args.name.as_str();
    if is_key(name) {
        let failure = Failure::new(ErrorKind::Usage, "the name looks like a key, and names are shown everywhere");
        return Err(failure.with_hint("give the name first, the key with `--env` or `--header`"));
    }
    if safe(name) != name || name == OWN {
        let why = if name == OWN { "aiw's own" } else { "not made of letters, digits, `_` and `-` alone" };
        let failure = Failure::new(ErrorKind::Usage, format!("`{name}` can't be the name of a server: it is {why}"));
        let other = if name == OWN { "mine".to_owned() } else { safe(name) };
        return Err(failure.with_hint(format!("for example `{other}`")));
    }
    let home = Home::find()?;
    let mut declaration = Map::new();
    match (&args.url, args.command.split_first()) {
        (Some(url), _) => {
            declaration.insert("type".into(), "http".into());
            declaration.insert("url".into(), url.as_str().into());
        }
        (None, Some((command, arguments))) => {
            declaration.insert("command".into(), absolute(command)?.into());
            declaration.insert("args".into(), arguments.to_vec().into());
        }
        (None, None) => return Err(Failure::new(ErrorKind::Usage, "give a command after `--`, or `--url`")),
    }
    let lowered = |(name, _): &(String, String)| name.to_ascii_lowercase();
    let names: BTreeSet<String> = args.header.iter().map(lowered).collect();
    if names.len() < args.header.len() {
        return Err(Failure::new(ErrorKind::Usage, "a header is given twice"));
    }
    for (field, pairs) in [("headers", &args.header), ("env", &args.env)] {
        if !pairs.is_empty() {
            let pairs = pairs.iter().map(|(name, value)| Ok((name.clone(), value_of(value, &home)?.into())));
            declaration.insert(field.into(), Value::Object(pairs.collect::<Result<_, Failure>>()?));
        }
    }
    if args.url.is_some() {
        let problem = |e| Failure::user(format!("the server `{name}` can't be reached like this: {e}"));
        check_remote(&aiw_net::Client::new()?, &declaration).map_err(problem)?;
    }
    let unusable = |problem: String| Failure::user(format!("the server `{name}` {problem}"));
    let vault = home.vault();
    let mut keys = Keys::new(&vault);
    let hidden = if args.plain { Hidden::new() } else { keys.hide(name, &mut declaration).map_err(unusable)? };
    let clear = left_in_clear(&declaration);
    let declaration = Value::Object(declaration);
    server(name, &declaration).map_err(unusable)?;
    let replaced = write(&home, name, &declaration, &keys.into_new(), args.force)?;
    let new = replaced.is_none();
    output.line(format!("{} `{name}`", if new { "Added" } else { "Replaced" }));
    for (field, secret) in &hidden {
        output.line(format!("  {field} is in the vault: ${{secret:{secret}}}"));
    }
    if let Some(field) = clear {
        output
            .note(format!("note: what looks like a key in its `{}` stays in mcp.json in clear", one_line(&field, 40)));
    }
    note_unused(&home, replaced.as_slice(), output);
    let secrets: Vec<_> = hidden.iter().map(|(_, secret)| secret).collect();
    output.answer(json!({"server": {"name": name, "new": new, "secrets": secrets}}));
    if !args.no_check {
        output.flush();
        let pool = pool(output)?;
        match pool.look(name).await {
            Ok(_) => {
                let record = pool.status().into_iter().find(|s| s.name == name).and_then(|s| s.record);
                let record = record.unwrap_or_default();
                let tools = record.accepted().count();
                output.note(format!("It works and has {tools} tool{}.", if tools == 1 { "" } else { "s" }));
                record.left_out().take(MOST_NOTES).for_each(|sentence| output.note(format!("note: {sentence}")));
                let more = record.left_out().count().saturating_sub(MOST_NOTES);
                if more > 0 {
                    output.note(format!("note: {more} more are left out: `aiw mcp doctor {name}` names them"));
                }
                super::approve::ask_about(name, &record, output).await?;
            }
            Err(e) => {
                output.note(format!("note: it does not work yet: it {}", e.brief()));
                e.hint().into_iter().for_each(|hint| output.note(format!("hint: {hint}")));
            }
        }
        pool.end().await;
    }
    Ok(())
}

/// A command that is the same in every directory: a relative path begins where it was typed.
fn absolute(command: &str) -> Result<String, Failure> {
    let path = Path::new(command);
    if !command.contains('/') || path.is_absolute() || !placeholders(command).is_empty() {
        return Ok(command.to_owned());
    }
    let whole: PathBuf = super::directory()?.join(path).components().collect();
    let text = whole.to_str().map(str::to_owned);
    text.ok_or_else(|| Failure::user(format!("`{}` is not UTF-8, so mcp.json can't hold it", whole.display())))
}

/// Writes a server's declaration, and returns the one that it replaces.
fn write(
    home: &Home,
    name: &str,
    declaration: &Value,
    secrets: &[(SecretName, Secret)],
    force: bool,
) -> Result<Option<Value>, Failure> {
    let lock = home.lock()?;
    let mut file = McpFile::load(home)?;
    let known = file.get(name).cloned();
    if let Some(known) = &known {
        if let Some(plugin) = home.plugins()?.key(name).owners.last() {
            let failure = Failure::user(format!("the plugin `{plugin}` has a server `{name}`"));
            return Err(failure.with_hint("choose another name"));
        }
        if !force && known != declaration {
            let failure = Failure::user(format!("there is a server `{name}` already"));
            return Err(failure.with_hint("choose another name, or replace it with `--force`"));
        }
    }
    let vault = home.vault();
    secrets.iter().try_for_each(|(name, secret)| vault.set(&lock, name, secret))?;
    file.put(name, Some(declaration))?;
    file.document().save(&lock)?;
    Ok(known)
}

/// A value as `mcp.json` holds it: `@NAME` is a secret of the vault.
fn value_of(value: &str, home: &Home) -> Result<String, Failure> {
    let Some(name) = value.strip_prefix('@') else { return Ok(value.to_owned()) };
    let name: SecretName = name.parse()?;
    if !home.vault().is_taken(&name) {
        let failure = Failure::user(format!("there is no secret `{name}` in the vault"));
        return Err(failure.with_hint(format!("`aiw secret set {name}` stores it")));
    }
    Ok(secret_reference(&name))
}

pub fn remove(names: &[String], output: &Output) -> Result<(), Failure> {
    let home = Home::find()?;
    let lock = home.lock()?;
    let (mut file, mut settings, plugins) = (McpFile::load(&home)?, home.settings()?, home.plugins()?);
    // All of them or none.
    let mut gone = Vec::new();
    for name in names {
        gone.extend(file.get(name).cloned());
        if file.get(name).is_none() {
            return Err(unknown(&file, name).into());
        }
        if let Some(plugin) = plugins.key(name).owners.last() {
            let failure = Failure::user(format!("the server `{name}` belongs to the plugin `{plugin}`"));
            return Err(failure.with_hint(format!(
                "`aiw plugin remove {}` removes both; `aiw mcp disable {}` only hides the server",
                shell_word(&plugin.to_string()),
                shell_word(name)
            )));
        }
        file.put(name, None)?;
        settings.remove_server(name);
    }
    home.commit(&lock, &[file.document(), settings.document()])?;
    drop(lock);
    for name in names {
        forget(&home, name)?;
        output.line(format!("Removed `{name}`"));
    }
    note_unused(&home, &gone, output);
    output.answer(json!({"removed": names}));
    Ok(())
}

/// Forgets what is known about a server that is gone: its logins, its tools and its log.
pub fn forget(home: &Home, name: &str) -> Result<(), Failure> {
    forget_logins(home, name)?;
    Ok(Records::new(home.clone()).remove(name)?)
}

fn unknown(file: &McpFile, name: &str) -> PoolError {
    PoolError::NoServer { name: name.to_owned(), known: file.servers().map(|(key, _)| key.to_owned()).collect() }
}

pub fn switch(names: &[String], enabled: bool, output: &Output) -> Result<(), Failure> {
    let home = Home::find()?;
    let lock = home.lock()?;
    let (file, mut settings) = (McpFile::load(&home)?, home.settings()?);
    let (configured, _) = aiw_routing::Places::of(home.clone(), &super::directory()?).read()?;
    for name in names {
        if !configured.iter().any(|server| server.key == *name) {
            return Err(unknown(&file, name).into());
        }
        settings.set_server_enabled(name, enabled)?;
    }
    settings.save(&lock)?;
    for name in names {
        output.line(format!("{} `{name}`", if enabled { "Enabled" } else { "Disabled" }));
    }
    output.answer(json!({"servers": names, "enabled": enabled}));
    Ok(())
}
