//! Adding, removing and renaming servers, and offering them to clients or not.

use std::path::{Path, PathBuf};

use aiw_core::{Diagnostic, ErrorKind, Prompter, Reporter, SecretName, one_line, pluralize, shell_quote};
use aiw_home::{Home, ProfileSettings};
use aiw_routing::{PoolError, Records, ServerSearchPaths, check_remote, forget_logins};
use aiw_servers::{
    McpFile, PROJECT_FILE, SecretExtractor, SecretFields, ServerScope, check_name, find_plaintext_secret, parse_server,
    placeholders,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::approve::approve_new_definitions;
use super::{Result, ServerError, note_left_out, notes, word};
use crate::ClientSession;
use crate::secrets::{remove_unused_secrets, report_unused_secrets};

/// A server that is added.
#[warn(missing_docs)]
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AddRequest {
    /// Its name
    pub name: String,
    /// Its entry in mcp.json; a relative command begins at the client's directory
    pub entry: Map<String, Value>,
    /// Whether what looks like a key stays in mcp.json, in clear, and does not go to the vault
    pub plain: bool,
    /// Whether it may replace another server of its name
    pub force: bool,
    /// Whether it is not started afterwards
    pub unchecked: bool,
}

/// `aiw mcp add`
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ServerAdd {
    /// The server
    pub server: ServerAdded,
    /// The others that were in the same JSON
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<ServerAdded>,
}

/// A server that was added.
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ServerAdded {
    /// Its name
    pub name: String,
    /// Whether there was none of its name
    pub new: bool,
    /// The names of the keys that went to the vault
    #[schemars(with = "Vec<String>")]
    pub secrets: Vec<SecretName>,
}

/// `aiw mcp remove`
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ServersRemove {
    /// The names of the servers that were removed
    pub removed: Vec<String>,
}

/// `aiw mcp rename`
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ServerRename {
    /// The names
    pub renamed: RenamedServer,
}

/// The names of a server that was renamed.
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RenamedServer {
    /// The old one
    pub from: String,
    /// The new one
    pub to: String,
}

/// `aiw mcp enable`, `disable`
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ServersSwitch {
    /// The names of the servers
    pub servers: Vec<String>,
    /// Whether they are offered to clients now
    pub enabled: bool,
}

/// Writes a server, starts it to see whether it works, and asks about what it offers where that is suspicious. Returns it, and
/// why that came to no end.
///
/// # Errors
///
/// Fails if its name is taken or can't be one, its entry can't be used, or it can't be written. One that does not work is
/// written all the same.
pub async fn add(
    client: &ClientSession,
    request: AddRequest,
    ask: &dyn Prompter,
    sink: &dyn Reporter,
) -> Result<(ServerAdd, Option<ServerError>)> {
    let (home, AddRequest { name, mut entry, plain, force, unchecked }) = (client.home(), request);
    check_name(&name)?;
    if let Some(Value::String(command)) = entry.get_mut("command") {
        *command = absolute(command, client.cwd())?;
    }
    let unusable = |problem: String| ServerError::InvalidEntry { name: name.clone(), problem };
    if entry.contains_key("url") {
        let problem = |e| unusable(format!("can't be reached like this: {e}"));
        check_remote(client.app().client()?, &entry).map_err(problem)?;
    }
    let vault = home.vault();
    let mut keys = SecretExtractor::new(&vault);
    let hidden = if plain { SecretFields::new() } else { keys.extract(&name, &mut entry).map_err(unusable)? };
    let clear = find_plaintext_secret(&entry);
    let entry = Value::Object(entry);
    parse_server(&name, &entry).map_err(unusable)?;
    let replaced = aiw_servers::add(home, &name, &entry, &keys.into_secrets(), None, |_| force)?;
    let (new, done) = (replaced.is_none(), |line: String| sink.done(line));
    done(format!("{} `{name}`", if new { "Added" } else { "Replaced" }));
    hidden.iter().for_each(|(field, secret)| done(format!("  {field} is in the vault: ${{secret:{secret}}}")));
    if let Some(field) = clear {
        let field = one_line(&field, 40);
        sink.note(format!("what looks like a key in its `{field}` stays in mcp.json in clear"));
    }
    report_unused_secrets(home, replaced.as_slice(), sink);
    // It is there, whatever comes of the trial.
    let problem = match unchecked {
        true => None,
        false => try_added(client, &name, ask, sink).await.err(),
    };
    let secrets = hidden.into_iter().map(|(_, secret)| secret).collect();
    Ok((ServerAdd { server: ServerAdded { name, new, secrets }, others: Vec::new() }, problem))
}

/// Adds servers one after the other, and returns the first problem of those that were added. One that can't be added ends
/// it.
pub async fn add_all(
    client: &ClientSession,
    requests: Vec<AddRequest>,
    ask: &dyn Prompter,
    sink: &dyn Reporter,
) -> Result<(Option<ServerAdd>, Option<ServerError>)> {
    let (mut added, mut problem) = (None::<ServerAdd>, None);
    for request in requests {
        let (one, its) = add(client, request, ask, sink).await?;
        problem = problem.or(its);
        match &mut added {
            Some(added) => added.others.push(one.server),
            None => added = Some(one),
        }
    }
    Ok((added, problem))
}

/// Starts a server that was added, and says what it is like.
async fn try_added(client: &ClientSession, name: &str, ask: &dyn Prompter, sink: &dyn Reporter) -> Result<()> {
    let pool = client.pool();
    // It may have been read before the server was written.
    pool.reload().await;
    notes(pool.problems(), sink);
    if let Err(e) = pool.refresh(name).await {
        sink.note(format!("it does not work yet: it {}", e.message_without_server()));
        e.hint().into_iter().for_each(|hint| sink.step(format!("hint: {hint}")));
        return Ok(());
    }
    let record = Records::new(client.home().clone()).load(name).unwrap_or_default();
    sink.step(format!("It works and has {}.", pluralize(record.accepted_tools().count(), "tool")));
    note_left_out(&record, name, sink);
    approve_new_definitions(client, name, ask, sink).await?;
    if let Some(choice) = client.listing_choices().iter().find(|choice| choice.server == name && !choice.is_listed()) {
        sink.note(format!("clients don't list its tools, and find and call them all the same: {choice}"));
    }
    Ok(())
}

/// A command that is the same in every directory: a relative path begins where it was typed.
fn absolute(command: &str, cwd: &Path) -> Result<String> {
    let path = Path::new(command);
    if !command.contains('/') || path.is_absolute() || !placeholders(command).is_empty() {
        return Ok(command.to_owned());
    }
    let path: PathBuf = cwd.join(path).components().collect();
    let why = "is not UTF-8, so mcp.json can't hold it";
    path.to_str().map(str::to_owned).ok_or_else(|| word(ErrorKind::User, &path.to_string_lossy(), why))
}

/// Removes servers of the user's, with their settings and all that is known of them. Their secrets are asked about.
///
/// # Errors
///
/// Fails if there is no such server in `mcp.json`, or it is a plugin's. Then none is removed.
pub async fn remove(
    client: &ClientSession,
    names: &[String],
    ask: &dyn Prompter,
    sink: &dyn Reporter,
) -> Result<ServersRemove> {
    let home = client.home();
    let lock = home.lock()?;
    let (mut file, mut settings, mut installed) = (McpFile::load(home)?, home.settings()?, home.registry_lock()?);
    let mut gone = Vec::new();
    for name in names {
        gone.push(users(client, &file, name)?);
        file.put(name, None)?;
        settings.remove_server(name)?;
        installed.put(name, None)?;
    }
    home.commit(&lock, &[file.document(), settings.document(), installed.document()])?;
    home.sweep_bundles(&lock);
    drop(lock);
    for name in names {
        forget(home, name)?;
        sink.done(format!("Removed `{name}`"));
    }
    remove_unused_secrets(home, &gone, ask, sink).await?;
    Ok(ServersRemove { removed: names.to_vec() })
}

/// Gives a server another name, with its settings and what is known of its tools.
///
/// # Errors
///
/// Fails if there is no such server in `mcp.json`, it is a plugin's, or the name is taken or can't be one.
pub fn rename(client: &ClientSession, name: &str, new: &str, sink: &dyn Reporter) -> Result<ServerRename> {
    check_name(new)?;
    let home = client.home();
    let lock = home.lock()?;
    let (mut file, mut settings, mut installed) = (McpFile::load(home)?, home.settings()?, home.registry_lock()?);
    let declaration = users(client, &file, name)?;
    if file.get(new).is_some() {
        return Err(word(ErrorKind::User, new, "is the name of a server already"));
    }
    file.put(new, Some(&declaration))?;
    file.put(name, None)?;
    settings.rename_server(name, new)?;
    if let Some(record) = installed.get(name) {
        installed.put(new, Some(&record))?;
        installed.put(name, None)?;
    }
    let records = Records::new(home.clone());
    let moved = records.load(name);
    home.commit(&lock, &[file.document(), settings.document(), installed.document()])?;
    drop(lock);
    if let Some(moved) = moved {
        records.update(new, |record| *record = moved)?;
    }
    forget(home, name)?;
    sink.done(format!("Renamed `{name}` to `{new}`"));
    let is_of_it = |pattern: &String| pattern.split('/').next().is_some_and(|of| of.eq_ignore_ascii_case(name));
    let names_it = |profile: &ProfileSettings| profile.allow.iter().flatten().chain(&profile.deny).any(is_of_it);
    for (profile, _) in settings.mcp()?.profiles.iter().filter(|(_, profile)| names_it(profile)) {
        let (shown, word) = (one_line(profile, 60), shell_quote(profile));
        let text = format!("the profile `{shown}` still names `{name}`: `aiw mcp profile edit {word}`");
        sink.note(text);
    }
    // Logins are kept by name and address.
    if declaration.get("url").is_some() {
        sink.note(format!("if it wants a login, log in again: `aiw mcp login {new}`"));
    }
    Ok(ServerRename { renamed: RenamedServer { from: name.to_owned(), to: new.to_owned() } })
}

/// Offers servers to clients again, or no longer.
///
/// # Errors
///
/// Fails if the directory has no such server, or the settings can't be written. Then none is changed.
pub fn switch(client: &ClientSession, names: &[String], enabled: bool, sink: &dyn Reporter) -> Result<ServersSwitch> {
    let home = client.home();
    let lock = home.lock()?;
    let (file, mut settings) = (McpFile::load(home)?, home.settings()?);
    let (configured, _) = ServerSearchPaths::load(home.clone(), client.cwd()).read()?;
    for name in names {
        if !configured.iter().any(|server| server.key == *name) {
            return Err(unknown(client, &file, name));
        }
        settings.set_server_enabled(name, enabled)?;
    }
    settings.save(&lock)?;
    let word = if enabled { "Enabled" } else { "Disabled" };
    names.iter().for_each(|name| sink.done(format!("{word} `{name}`")));
    Ok(ServersSwitch { servers: names.to_vec(), enabled })
}

/// Forgets what is known about a server that is gone: its logins, its tools and its log.
///
/// # Errors
///
/// Fails if a file of it can't be removed.
pub fn forget(home: &Home, name: &str) -> Result<()> {
    forget_logins(home, name)?;
    Ok(Records::new(home.clone()).remove(name)?)
}

/// The entry of a server that is the user's own.
fn users(client: &ClientSession, file: &McpFile, name: &str) -> Result<Value> {
    let Some(entry) = file.get(name) else { return Err(unknown(client, file, name)) };
    match client.home().plugins()?.key(name).owners.pop() {
        Some(plugin) => Err(ServerError::DeclaredByPlugin { name: name.to_owned(), plugin }),
        None => Ok(entry.clone()),
    }
}

/// Why there is no such server in `mcp.json`.
fn unknown(client: &ClientSession, file: &McpFile, name: &str) -> ServerError {
    let (configured, _) = ServerSearchPaths::load(client.home().clone(), client.cwd()).read().unwrap_or_default();
    let theirs = configured.iter().find(|server| server.key == name && server.scope == ServerScope::Project);
    let name = name.to_owned();
    match theirs {
        Some(found) => ServerError::DeclaredByProject { name, path: found.directory.join(PROJECT_FILE) },
        None => {
            PoolError::ServerNotFound { name, known: file.servers().map(|(key, _)| key.to_owned()).collect() }.into()
        }
    }
}
