//! `aiw mcp add`, `remove`, `enable`, `disable`

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use aiw_app::current_dir;
use aiw_app::secrets::{forget_unused, note_unused};
use aiw_core::{ErrorKind, counted, one_line, quoted, quoted_list, shell_word};
use aiw_home::Home;
use aiw_routing::{PoolError, Records, ServerPlaces, check_remote, forget_logins};
use aiw_servers::{
    Hidden, Keys, McpFile, PROJECT_FILE, Scope, check_name, entry_value, left_in_clear, placeholders, server,
};
use serde_json::{Map, Value, json};

use super::pool;
use crate::ask::Person;
use crate::cli::mcp::{McpAddArgs, McpAddHow, McpAddJsonArgs};
use crate::components::session;
use crate::failure::Failure;
use crate::output::Output;

/// The flags of `aiw mcp add` that may be meant where they come after the command.
const OWN_FLAGS: [&str; 7] = ["--no-check", "--force", "--plain", "--url", "--header", "--env", "--json"];

/// The longest entry that is read from standard input.
const MOST_JSON: u64 = 1 << 20;

/// How many definitions that are left out are named.
const MOST_NOTES: usize = 20;

pub async fn add(mut args: McpAddArgs, output: &Output) -> Result<(), Failure> {
    let name = args.name.as_str();
    check_name(name)?;
    // Without `--`, a flag of aiw's after the command would be the server's.
    let is_marked = std::env::args_os().any(|word| word == "--");
    if let Some(flag) = args.command.iter().find(|word| OWN_FLAGS.contains(&word.as_str())).filter(|_| !is_marked) {
        let failure = Failure::new(ErrorKind::Usage, format!("`{flag}` comes after the command"));
        return Err(failure.with_hint(
            "flags of aiw go before the server's name; if it is the server's, put `--` before the command",
        ));
    }
    // As in `claude mcp add --transport http NAME URL`.
    if let [address] = &args.command[..]
        && (address.starts_with("http://") || address.starts_with("https://"))
    {
        args.url = args.command.pop();
    }
    if args.url.is_some() && !args.env.is_empty() {
        return Err(Failure::new(ErrorKind::Usage, "`--env` is for a server with a command; a URL has `--header`"));
    }
    if args.url.is_none() && !args.header.is_empty() {
        return Err(Failure::new(ErrorKind::Usage, "`--header` is for a server with a URL"));
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
        (None, None) => return Err(Failure::new(ErrorKind::Usage, "give a command, or `--url`")),
    }
    let lowered = |(name, _): &(String, String)| name.to_ascii_lowercase();
    let names: BTreeSet<String> = args.header.iter().map(lowered).collect();
    if names.len() < args.header.len() {
        return Err(Failure::new(ErrorKind::Usage, "a header is given twice"));
    }
    for (field, pairs) in [("headers", &args.header), ("env", &args.env)] {
        if !pairs.is_empty() {
            let pairs = pairs.iter().map(|(name, value)| Ok((name.clone(), entry_value(value, &home)?.into())));
            declaration.insert(field.into(), Value::Object(pairs.collect::<Result<_, Failure>>()?));
        }
    }
    add_declared(&home, name, declaration, &args.how, output).await
}

/// Adds a server as its entry says.
pub async fn add_json(args: McpAddJsonArgs, output: &Output) -> Result<(), Failure> {
    let (name, entry) = match &args.entry {
        Some(entry) => (Some(args.name.as_str()), entry.as_str()),
        None => (None, args.name.as_str()),
    };
    let text = match entry {
        "-" => std::io::read_to_string(std::io::stdin().lock().take(MOST_JSON))
            .map_err(|e| Failure::user(format!("cannot read the entry from standard input: {e}")))?,
        text => text.to_owned(),
    };
    let usage = |problem: String| Failure::new(ErrorKind::Usage, problem);
    let value: Value = serde_json::from_str(&text).map_err(|e| usage(format!("the entry is not JSON: {e}")))?;
    let Value::Object(mut declaration) = value else { return Err(usage("the entry is not a JSON object".to_owned())) };
    // As it stands in a file, with the names around it.
    let is_entry = ["command", "url"].iter().any(|field| declaration.get(*field).is_some_and(Value::is_string));
    let mut found = name.map(str::to_owned);
    if !is_entry {
        let all = match declaration.remove("mcpServers").or_else(|| declaration.remove("servers")) {
            Some(Value::Object(all)) => all,
            _ => declaration,
        };
        let names: Vec<&str> = all.keys().map(String::as_str).collect();
        let chosen = match (name, &names[..]) {
            (Some(name), _) if all.contains_key(name) => name,
            (_, [one]) => one,
            _ => {
                let problem = format!("the JSON has {}: {}", counted(names.len(), "server"), quoted_list(&names));
                return Err(usage(problem).with_hint("name one of them: `aiw mcp add-json NAME JSON`"));
            }
        };
        found.get_or_insert_with(|| chosen.to_owned());
        let Some(Value::Object(entry)) = all.get(chosen) else {
            return Err(usage(format!("the entry of {} is not a JSON object", quoted(chosen))));
        };
        declaration = entry.clone();
    }
    let name = &found.ok_or_else(|| usage("the entry has no name: `aiw mcp add-json NAME JSON`".to_owned()))?;
    check_name(name)?;
    if let Some(command) = declaration.get("command").and_then(Value::as_str) {
        declaration.insert("command".into(), absolute(command)?.into());
    }
    add_declared(&Home::find()?, name, declaration, &args.how, output).await
}

async fn add_declared(
    home: &Home,
    name: &str,
    mut declaration: Map<String, Value>,
    how: &McpAddHow,
    output: &Output,
) -> Result<(), Failure> {
    if declaration.contains_key("url") {
        let problem = |e| Failure::user(format!("the server `{name}` can't be reached like this: {e}"));
        check_remote(session(output)?.app().client()?, &declaration).map_err(problem)?;
    }
    let unusable = |problem: String| Failure::user(format!("the server `{name}` {problem}"));
    let vault = home.vault();
    let mut keys = Keys::new(&vault);
    let hidden = if how.plain { Hidden::new() } else { keys.hide(name, &mut declaration).map_err(unusable)? };
    let clear = left_in_clear(&declaration);
    let declaration = Value::Object(declaration);
    server(name, &declaration).map_err(unusable)?;
    let lock = home.lock()?;
    // It no longer comes from a registry, if it did.
    let mut installed = home.registry_lock()?;
    installed.put(name, None)?;
    let also = [installed.document()];
    let replaced = aiw_servers::add(home, &lock, name, &declaration, &keys.into_new(), how.force, &also)?;
    drop(lock);
    let new = replaced.is_none();
    output.line(format!("{} `{name}`", if new { "Added" } else { "Replaced" }));
    for (field, secret) in &hidden {
        output.line(format!("  {field} is in the vault: ${{secret:{secret}}}"));
    }
    if let Some(field) = clear {
        output
            .note(format!("note: what looks like a key in its `{}` stays in mcp.json in clear", one_line(&field, 40)));
    }
    note_unused(home, replaced.as_slice(), output);
    let secrets: Vec<_> = hidden.iter().map(|(_, secret)| secret).collect();
    output.answer(json!({"server": {"name": name, "new": new, "secrets": secrets}}));
    if !how.no_check {
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
    let whole: PathBuf = current_dir()?.join(path).components().collect();
    let text = whole.to_str().map(str::to_owned);
    text.ok_or_else(|| Failure::user(format!("`{}` is not UTF-8, so mcp.json can't hold it", whole.display())))
}

pub async fn remove(names: &[String], output: &Output) -> Result<(), Failure> {
    let home = Home::find()?;
    let lock = home.lock()?;
    let (mut file, mut settings, plugins) = (McpFile::load(&home)?, home.settings()?, home.plugins()?);
    let mut installed = home.registry_lock()?;
    // All of them or none.
    let mut gone = Vec::new();
    for name in names {
        gone.extend(file.get(name).cloned());
        if file.get(name).is_none() {
            return Err(unknown(&home, &file, name));
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
        settings.remove_server(name)?;
        installed.put(name, None)?;
    }
    home.commit(&lock, &[file.document(), settings.document(), installed.document()])?;
    home.sweep_bundles(&lock);
    drop(lock);
    for name in names {
        forget(&home, name)?;
        output.line(format!("Removed `{name}`"));
    }
    output.flush();
    forget_unused(&home, &gone, &Person::new(output, false), output).await?;
    output.answer(json!({"removed": names}));
    Ok(())
}

/// Forgets what is known about a server that is gone: its logins, its tools and its log.
pub fn forget(home: &Home, name: &str) -> Result<(), Failure> {
    forget_logins(home, name)?;
    Ok(Records::new(home.clone()).remove(name)?)
}

/// Why there is no such server in `mcp.json`.
fn unknown(home: &Home, file: &McpFile, name: &str) -> Failure {
    let configured = current_dir().ok().and_then(|here| ServerPlaces::of(home.clone(), &here).read().ok());
    let servers = configured.into_iter().flat_map(|(servers, _)| servers);
    if let Some(found) = servers.into_iter().find(|server| server.key == name && server.scope == Scope::Project) {
        let path = found.directory.join(PROJECT_FILE);
        let failure = Failure::user(format!("the server `{name}` is declared in `{}`", path.display()));
        return failure.with_hint(format!(
            "take it out there; `aiw mcp disable {}` only hides it from clients",
            shell_word(name)
        ));
    }
    let known = file.servers().map(|(key, _)| key.to_owned()).collect();
    PoolError::NoServer { name: name.to_owned(), known }.into()
}

/// Gives a server another name, with its settings and what is known of its tools.
pub fn rename(name: &str, new: &str, output: &Output) -> Result<(), Failure> {
    check_name(new)?;
    let home = Home::find()?;
    let lock = home.lock()?;
    let (mut file, mut settings, plugins) = (McpFile::load(&home)?, home.settings()?, home.plugins()?);
    let Some(declaration) = file.get(name).cloned() else { return Err(unknown(&home, &file, name)) };
    if let Some(plugin) = plugins.key(name).owners.last() {
        return Err(Failure::user(format!("the server `{name}` belongs to the plugin `{plugin}`, which named it")));
    }
    if file.get(new).is_some() {
        return Err(Failure::user(format!("there is a server `{new}` already")));
    }
    file.put(new, Some(&declaration))?;
    file.put(name, None)?;
    settings.rename_server(name, new)?;
    let mut installed = home.registry_lock()?;
    if let Some(record) = installed.get(name) {
        installed.put(new, Some(&record))?;
        installed.put(name, None)?;
    }
    let moved = Records::new(home.clone()).load(name);
    home.commit(&lock, &[file.document(), settings.document(), installed.document()])?;
    drop(lock);
    if let Some(moved) = moved {
        Records::new(home.clone()).update(new, |record| *record = moved)?;
    }
    forget(&home, name)?;
    output.line(format!("Renamed `{name}` to `{new}`"));
    for (profile, patterns) in settings.mcp()?.profiles {
        let names =
            |pattern: &String| pattern.split('/').next().is_some_and(|server| server.eq_ignore_ascii_case(name));
        if patterns.allow.iter().flatten().chain(&patterns.deny).any(names) {
            let profile = one_line(&profile, 60);
            output.note(format!(
                "note: the profile `{profile}` still names `{name}`: `aiw mcp profile edit {}`",
                shell_word(&profile)
            ));
        }
    }
    // Logins are kept by name and address.
    if declaration.get("url").is_some() {
        output.note(format!("note: if it wants a login, log in again: `aiw mcp login {new}`"));
    }
    output.answer(json!({"renamed": {"from": name, "to": new}}));
    Ok(())
}

pub fn switch(names: &[String], enabled: bool, output: &Output) -> Result<(), Failure> {
    let home = Home::find()?;
    let lock = home.lock()?;
    let (file, mut settings) = (McpFile::load(&home)?, home.settings()?);
    let (configured, _) = ServerPlaces::of(home.clone(), &current_dir()?).read()?;
    for name in names {
        if !configured.iter().any(|server| server.key == *name) {
            return Err(unknown(&home, &file, name));
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
