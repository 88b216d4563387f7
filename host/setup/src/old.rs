//! The `mcp_servers.yaml` of aiw 0.6: `mcpServers.NAME.{source, command, args, env}`, with keys in plain text.

use std::fs;
use std::path::{Path, PathBuf};

use aiw_core::{is_secret_token, one_line};
use aiw_home::{Home, HomeError, Mode, first_free, read_capped, remove_file, replace, yaml};
use aiw_servers::{McpFile, SecretExtractor, is_same_server};
use serde_json::{Map, Value};

use crate::SetupError;
use crate::clients::read_plain;
use crate::import::ImportPlan;
use crate::ours::{AiwEntry, NAME};
use crate::setup::SERVERS_KEY;
use crate::translate::EnvSyntax;

const OLD_SERVERS_FILE: &str = "mcp_servers.yaml";

/// The longest file: a server has a few lines.
const MAX_BYTES: u64 = 1 << 20;

/// The result of moving the servers of an old aiw to `mcp.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerMigration {
    /// The names of the servers that are in `mcp.json` now.
    pub migrated: Vec<String>,
    /// How many secrets were stored in the vault.
    pub secrets: usize,
    /// Notes about single servers, a sentence each. Everything left out is in the backup.
    pub notes: Vec<String>,
    /// The old file, encrypted.
    pub backup: PathBuf,
}

/// Moves the servers of aiw 0.6 to `mcp.json`, and turns the old file into an encrypted backup. None if there is
/// nothing to do. A server of `mcp.json` is never replaced.
///
/// The backup and the servers are written before the old file is removed, so a crash in between loses nothing, and the
/// next call does the rest.
///
/// # Errors
///
/// The old file can't be read, and was left alone; or `mcp.json` or the vault can't be written.
pub fn migrate_servers(home: &Home) -> Result<Option<ServerMigration>, SetupError> {
    let path = home.root().join(OLD_SERVERS_FILE);
    if fs::symlink_metadata(&path).is_err() {
        return Ok(None);
    }
    let lock = home.lock()?;
    let Some((bytes, servers)) = read(&path)? else { return Ok(None) };
    let (mut mcp, vault) = (McpFile::load(home)?, home.vault());
    let (mut import, mut keys) = (ImportPlan::default(), SecretExtractor::new(&vault));
    let backup = free_backup(home);
    let mut done = ServerMigration { migrated: Vec::new(), secrets: 0, notes: Vec::new(), backup };
    for (name, entry) in &servers {
        let before = keys.len();
        let added = take(&mut import, &mut keys, &mcp, name, entry);
        if let Err(why) = added {
            keys.truncate(before);
            // A name that is a key is not shown.
            let name = one_line(name, if is_secret_token(name) { 6 } else { 60 });
            done.notes.push(format!("server `{name}` of {OLD_SERVERS_FILE} is left out: it {why}"));
        }
    }
    done.notes.append(&mut import.notes);
    for moved in import.servers {
        if mcp.get(&moved.name).is_none() {
            mcp.put(&moved.name, Some(&moved.declaration))?;
        }
        done.migrated.push(moved.name);
    }
    let sealed = vault.seal(&lock, &bytes)?;
    replace(&done.backup, &sealed, Mode::Private)?;
    let secrets = keys.into_secrets();
    done.secrets = secrets.len();
    let names: Vec<_> = secrets.iter().map(|(name, _)| name.clone()).collect();
    home.record_pending_secrets(&lock, &home.mcp_path(), &names)?;
    secrets.iter().try_for_each(|(name, secret)| vault.set(&lock, name, secret))?;
    home.commit(&lock, &[mcp.document()])?;
    home.clear_pending_secrets(&lock, &names);
    remove_file(&path).map_err(|e| HomeError::io("remove", &path, e))?;
    Ok(Some(done))
}

/// A name that no backup has. An older one may hold what was left out.
fn free_backup(home: &Home) -> PathBuf {
    let name = |number: u32| match number {
        1 => format!("{OLD_SERVERS_FILE}.v0.age"),
        number => format!("{OLD_SERVERS_FILE}.v0.{number}.age"),
    };
    first_free(|number| home.root().join(name(number)))
}

/// The file's bytes, and the servers in it.
type OldFile = (Vec<u8>, Map<String, Value>);

/// Reads the file. None if it has nothing.
fn read(path: &Path) -> Result<Option<OldFile>, SetupError> {
    let invalid = |problem: String| SetupError::Invalid { path: path.to_owned(), problem };
    if fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink()) {
        return Err(invalid("is a link".into()));
    }
    let Some(bytes) = read_capped(path, MAX_BYTES)? else { return Ok(None) };
    let text = str::from_utf8(&bytes).map_err(|_| invalid("is not UTF-8".into()))?;
    if text.lines().all(|line| line.trim_start().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(None);
    }
    let file: Value = yaml::parse(text).map_err(|why| invalid(format!("cannot be read: {why}")))?;
    match file.get(SERVERS_KEY) {
        Some(Value::Object(servers)) => Ok(Some((bytes, servers.clone()))),
        _ => Err(invalid(format!("has no `{SERVERS_KEY}`"))),
    }
}

/// Takes one server, unless `mcp.json` has it. The error is the end of a sentence about it.
fn take(
    import: &mut ImportPlan,
    keys: &mut SecretExtractor<'_>,
    mcp: &McpFile,
    name: &str,
    entry: &Value,
) -> Result<(), String> {
    let fields = entry.as_object().ok_or("is not an object")?;
    if name == NAME || AiwEntry::default().is_started_by(entry) {
        return Err("is aiw itself".to_owned());
    }
    if [("enabled", false), ("disabled", true)].iter().any(|(key, off)| fields.get(*key) == Some(&Value::Bool(*off))) {
        return Err("is disabled there".to_owned());
    }
    // Which registry it came from says nothing of how it runs.
    let mut read = read_plain(fields, EnvSyntax::Shell, &["source", "enabled", "disabled"])?;
    read.skipped.clear();
    import.add(None, name, read, keys, None)?;
    let Some(there) = mcp.get(name) else { return Ok(()) };
    // A killed call may have written the same server already.
    match import.servers.pop_if(|moved| !is_same_server(there, &moved.declaration)) {
        Some(_) => Err("has the name of another server in mcp.json".to_owned()),
        None => Ok(()),
    }
}
