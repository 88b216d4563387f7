//! Moving a client's own servers to `mcp.json`.

use aiw_core::{CliKind, Secret, SecretName, is_secret, is_secret_value, one_line};
use aiw_home::{Jsonc, Vault, json, read_capped};
use aiw_servers::{McpFile, Transport, placeholders, reads, secret_reference};
use serde_json::{Map, Value};

use crate::SetupError;
use crate::clients::Client;
use crate::config::Config;
use crate::names::name_for;
use crate::ours::Ours;
use crate::plan::{FileChange, Plan};
use crate::record::{Imported, Record, Role, digest, stem};
use crate::setup::{SERVERS, Setup};

/// A server that can be moved.
struct Moved {
    /// Its name, there and in `mcp.json`.
    name: String,
    /// Its declaration, with references in place of secrets.
    declaration: Value,
    /// What it runs or reaches.
    target: String,
    /// The fields whose values go to the vault, and the secrets' names.
    hidden: Vec<(String, SecretName)>,
}

/// What an import does.
/// Fields without which a server would start differently.
const UNREAD: [&str; 2] = ["envFile", "headersHelper"];

/// The variables that a declaration needs, but for those that every client passes on.
fn variables(declaration: &Map<String, Value>) -> Vec<String> {
    let needed = reads(declaration).variables.into_iter().filter(|(_, is_needed)| *is_needed);
    needed.map(|(name, _)| name.to_string()).filter(|name| !matches!(name.as_str(), "HOME" | "PATH")).collect()
}

/// How a client that keeps variables from servers is told to pass them on. Codex passes on a few of every user's, Gemini
/// CLI none that may be secret.
fn way_of_variables(client: &Client, names: &[String]) -> Option<String> {
    match client.cli {
        Some(CliKind::Codex) => Some(format!("`env_vars = [\"{}\"]`", names.join("\", \""))),
        Some(CliKind::Gemini) => {
            let fields: Vec<String> = names.iter().map(|name| format!("\"{name}\": \"${name}\"")).collect();
            Some(format!("`\"env\": {{{}}}`", fields.join(", ")))
        }
        _ => None,
    }
}

#[derive(Default)]
struct Import {
    moved: Vec<Moved>,
    /// Secrets that have to be stored.
    secrets: Vec<(SecretName, Secret)>,
    /// Sentences for the user.
    notes: Vec<String>,
}

impl Import {
    /// Looks through a client's servers.
    fn of(client: &Client, servers: &Map<String, Value>, ours: &Ours, vault: &Vault) -> Self {
        let mut import = Self::default();
        for (name, entry) in servers {
            if ours.is_started_by(entry) {
                continue;
            }
            if let Err(why) = import.add(client, name, entry, vault) {
                import.notes.push(format!("server `{}` stays in {}: it {why}", one_line(name, 60), client.name));
            }
        }
        import
    }

    fn add(&mut self, client: &Client, name: &str, entry: &Value, vault: &Vault) -> Result<(), String> {
        let fields = entry.as_object().ok_or("is not an object")?;
        let read = (client.read)(fields)?;
        let mut declaration = read.declaration;
        if let Some(field) = UNREAD.iter().find(|field| declaration.contains_key(**field)) {
            return Err(format!("has `{field}`, which aiw does not read"));
        }
        let variables = variables(&declaration);
        let before = self.secrets.len();
        let hidden = self.hide(name, &mut declaration, vault).inspect_err(|_| self.secrets.truncate(before))?;
        let checked = aiw_servers::server(name, &Value::Object(declaration.clone()));
        let server = checked.inspect_err(|_| self.secrets.truncate(before))?;
        if let Transport::Sse | Transport::Ws = server.transport {
            self.secrets.truncate(before);
            return Err(format!("speaks {}, which aiw does not", server.transport));
        }
        if !read.left.is_empty() {
            let fields: Vec<String> = read.left.iter().map(|field| format!("`{}`", one_line(field, 40))).collect();
            self.notes.push(format!("server `{}` comes without {}", one_line(name, 60), fields.join(", ")));
        }
        if !variables.is_empty()
            && let Some(way) = way_of_variables(client, &variables)
        {
            let (name, names) = (one_line(name, 60), variables.join("`, `"));
            self.notes.push(format!(
                "server `{name}` needs `{names}`, which {} does not pass on by itself: add {way} to aiw's entry there",
                client.name
            ));
        }
        let mut shown = declaration.get("args").and_then(Value::as_array).into_iter().flatten();
        let is_hidden = shown.any(|argument| argument.as_str().is_some_and(is_secret_value));
        if is_hidden {
            let name = one_line(name, 60);
            self.notes.push(format!("server `{name}` may have a secret in its arguments; it stays there"));
        }
        let target = if is_hidden { "…".to_owned() } else { one_line(&server.target(), 200) };
        self.moved.push(Moved { name: name.to_owned(), declaration: Value::Object(declaration), target, hidden });
        Ok(())
    }

    /// Puts references in place of what stands in clear and looks like a key.
    fn hide(
        &mut self,
        server: &str,
        declaration: &mut Map<String, Value>,
        vault: &Vault,
    ) -> Result<Vec<(String, SecretName)>, String> {
        let mut hidden = Vec::new();
        for group in ["env", "headers"] {
            let Some(Value::Object(fields)) = declaration.get_mut(group) else { continue };
            for (key, value) in fields {
                let Value::String(text) = value else { continue };
                // `Bearer`, `Basic`
                let (scheme, secret) = match text.split_once(' ') {
                    Some((scheme, secret)) if group == "headers" && !secret.contains(' ') => (scheme, secret),
                    _ => ("", text.as_str()),
                };
                if !placeholders(text).is_empty() || !is_secret(key, text) {
                    continue;
                }
                let Some((reference, name)) = self.reference(server, key, secret, vault)? else { continue };
                let blank = if scheme.is_empty() { "" } else { " " };
                hidden.push((format!("{group}.{}", one_line(key, 60)), name));
                *value = Value::String(format!("{scheme}{blank}{reference}"));
            }
        }
        if let Some(Value::String(address)) = declaration.get_mut("url") {
            *address = self.hide_in_address(server, address, vault, &mut hidden)?;
        }
        let arguments = declaration.get_mut("args").and_then(Value::as_array_mut).into_iter().flatten();
        let mut flag = String::new();
        for value in arguments {
            let Value::String(text) = value else { continue };
            let before = std::mem::take(&mut flag);
            // `--token VALUE`, `--token=VALUE`, or the value alone.
            let (key, start, secret) = match text.split_once('=').filter(|(name, _)| name.starts_with('-')) {
                Some((name, secret)) => (name, format!("{name}="), secret),
                None if text.starts_with('-') => {
                    flag.clone_from(text);
                    continue;
                }
                None => (before.as_str(), String::new(), text.as_str()),
            };
            let key = key.trim_start_matches('-');
            // A file with a secret, and an image by its digest, are no secrets.
            if !is_secret(key, secret) || secret.starts_with(['/', '.', '~']) || secret.contains("sha256:") {
                continue;
            }
            let key = if key.is_empty() { "argument" } else { key };
            let Some((reference, name)) = self.reference(server, key, secret, vault)? else { continue };
            hidden.push((format!("args.{}", one_line(key, 60)), name));
            *value = Value::String(format!("{start}{reference}"));
        }
        Ok(hidden)
    }

    /// An address with references in place of the values of its query and the parts of its path that look like keys.
    fn hide_in_address(
        &mut self,
        server: &str,
        address: &str,
        vault: &Vault,
        hidden: &mut Vec<(String, SecretName)>,
    ) -> Result<String, String> {
        let Some(start) = address.find("://").map(|at| at + 3) else { return Ok(address.to_owned()) };
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
            let found = match is_secret(decoded.as_deref().unwrap_or_default(), value) {
                true => self.reference(server, if name.is_empty() { "url" } else { name }, value, vault)?,
                false => None,
            };
            result.push_str(&piece[..piece.len() - value.len()]);
            match found {
                Some((reference, secret)) => {
                    hidden.push((format!("url {}", one_line(name, 60)).trim_end().to_owned(), secret));
                    result.push_str(&reference);
                }
                None => result.push_str(value),
            }
            (from, mark) = (to, if next == '&' { mark } else { next });
        }
        Ok(result)
    }

    /// What stands for a secret, and its name in the vault; none if it is no text of its own.
    fn reference(
        &mut self,
        server: &str,
        key: &str,
        secret: &str,
        vault: &Vault,
    ) -> Result<Option<(String, SecretName)>, String> {
        if secret.trim().is_empty() || !placeholders(secret).is_empty() {
            return Ok(None);
        }
        if secret.contains(['\n', '\r', '\0']) || secret.len() > aiw_home::MAX_SECRET_BYTES {
            return Err(format!("has a `{}` that the vault can't hold", one_line(key, 60)));
        }
        let secret = Secret::new(secret);
        let (name, is_new) =
            name_for(server, key, &secret, vault, &self.secrets).ok_or("has a secret without a free name")?;
        let reference = secret_reference(&name);
        if is_new {
            self.secrets.push((name.clone(), secret));
        }
        Ok(Some((reference, name)))
    }
}

impl Setup {
    /// Moves servers from a client's configuration to `mcp.json`.
    pub(crate) fn import(
        &self,
        client: &Client,
        servers: &Map<String, Value>,
        config: &mut Config,
        lines: &mut Vec<String>,
        plan: &mut Plan,
    ) -> Result<Vec<Imported>, SetupError> {
        let path = self.home.mcp_path();
        // Strict, as whoever else reads it.
        McpFile::load(&self.home)?;
        let invalid = |problem: String| SetupError::Invalid { path: path.clone(), problem };
        let old = read_capped(&path, json::MAX_BYTES)?;
        let mut mcp = Jsonc::parse(old.as_deref().unwrap_or_default()).map_err(invalid)?;
        let import = Import::of(client, servers, &self.ours, &self.home.vault());
        // With this client's own, from a setup before: what is moved once more is still aiw's to take out.
        let stem = stem(client, &plan.scope);
        let mut records = Record::others(&self.home, &stem)?;
        records.extend(Record::load(&self.home, &stem)?);
        let (mut all, mut added, mut used) = (Vec::new(), Vec::new(), Vec::new());
        plan.notes.extend(import.notes);
        for moved in import.moved {
            let name = one_line(&moved.name, 60);
            let there = mcp.get(&[SERVERS, &moved.name]);
            let is_new = there.is_none();
            if there.is_some_and(|there| *there != moved.declaration) {
                let note = format!("server `{name}` stays in {}: mcp.json has another one of that name", client.name);
                plan.notes.push(note);
                continue;
            }
            // What can't be taken out stays on both sides unchanged.
            let mut without = config.clone();
            if let Err(problem) = without.remove(client.servers, &moved.name) {
                plan.notes.push(format!("server `{name}` stays in {}: the file {problem}", client.name));
                continue;
            }
            if is_new {
                mcp.set(&[SERVERS, &moved.name], &moved.declaration).map_err(invalid)?;
                added.push(format!("+ {SERVERS}.{name}: {}", moved.target));
                let hidden = moved.hidden.iter();
                added.extend(hidden.map(|(field, secret)| format!("  {field} becomes ${{secret:{secret}}}")));
            }
            *config = without;
            lines.push(format!("- {}.{name}, which moves to mcp.json", client.servers));
            used.extend(moved.hidden.into_iter().map(|(_, secret)| secret));
            plan.imported.push(moved.name.clone());
            let digest = digest(moved.declaration.to_string().as_bytes());
            // What came from another client belongs to both: whichever is undone last takes it out.
            let is_ours = is_new || records.iter().any(|record| record.added(&moved.name, &digest));
            let entry = servers.get(&moved.name).cloned().unwrap_or_default();
            all.push(Imported { name: moved.name, added: is_ours.then_some(digest), entry });
        }
        let stored = records.iter().flat_map(|record| &record.secrets);
        plan.shared_secrets = stored.filter(|name| used.contains(name)).cloned().collect();
        plan.new_secrets = import.secrets.into_iter().filter(|(name, _)| used.contains(name)).collect();
        if !added.is_empty() {
            plan.files.push(FileChange {
                path,
                role: Role::Mcp,
                old,
                new: Some(mcp.bytes()),
                lines: added,
                is_shared: false,
            });
        }
        Ok(all)
    }
}
