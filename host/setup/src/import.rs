//! Moving a client's own servers to `mcp.json`.

use std::path::{Path, PathBuf};

use aiw_core::{CliKind, Secret, SecretName, is_secret_token, one_line, shell_quote};
use aiw_home::{Jsonc, Vault, json, read_capped};
use aiw_servers::{
    McpFile, SecretExtractor, SecretFields, Transport, find_plaintext_secret, is_reserved_name, is_same_server,
    placeholders, referenced_names, sanitize_name,
};
use serde_json::{Map, Value};

use crate::SetupError;
use crate::clients::{ParsedEntry, SetupClient};
use crate::config::Config;
use crate::ours::AiwEntry;
use crate::plan::{FileChange, SetupPlan};
use crate::record::{ImportedServer, Record, Role, digest, stem};
use crate::scope::SetupScope;
use crate::setup::{SERVERS_KEY, Setup};

/// A server that can be moved.
pub(crate) struct ServerImport {
    /// Its name, there and in `mcp.json`.
    pub(crate) name: String,
    /// Its declaration, with references in place of secrets.
    pub(crate) declaration: Value,
    /// The lines that the user sees of it: the command or the address, and for a project's server everything that
    /// decides.
    display_lines: Vec<String>,
    /// The fields whose values go to the vault, and the secrets' names.
    hidden: SecretFields,
}

/// Fields without which a server would start differently.
const UNSUPPORTED_FIELDS: [&str; 2] = ["envFile", "headersHelper"];

/// The variables that a declaration needs, but for those that every client passes on.
fn variables(declaration: &Map<String, Value>) -> Vec<String> {
    let needed = referenced_names(declaration).variables.into_iter().filter(|(_, is_needed)| *is_needed);
    needed.map(|(name, _)| name.to_string()).filter(|name| !matches!(name.as_str(), "HOME" | "PATH")).collect()
}

/// How a client that keeps variables from servers is told to pass them on. Codex passes on a few of every user's, Gemini
/// CLI none that may be secret.
fn way_of_variables(client: &SetupClient, names: &[String]) -> Option<String> {
    match client.cli {
        Some(CliKind::Codex) => Some(format!("`env_vars = [\"{}\"]`", names.join("\", \""))),
        Some(CliKind::Gemini) => {
            let fields: Vec<String> = names.iter().map(|name| format!("\"{name}\": \"${name}\"")).collect();
            Some(format!("`\"env\": {{{}}}`", fields.join(", ")))
        }
        _ => None,
    }
}

/// The plan of an import.
#[derive(Default)]
pub(crate) struct ImportPlan {
    pub(crate) servers: Vec<ServerImport>,
    /// Secrets that have to be stored.
    secrets: Vec<(SecretName, Secret)>,
    /// Sentences for the user.
    pub(crate) notes: Vec<String>,
}

impl ImportPlan {
    /// Looks through a client's servers. `project` is the directory whose servers they are, if they aren't the user's own.
    fn of(
        client: &SetupClient,
        servers: &Map<String, Value>,
        config: &Config,
        ours: &AiwEntry,
        vault: &Vault,
        project: Option<&Path>,
    ) -> Self {
        let (mut import, mut keys) = (Self::default(), SecretExtractor::new(vault));
        for (name, entry) in servers {
            if ours.is_started_by(entry) {
                continue;
            }
            let before = keys.len();
            let fields = entry.as_object().ok_or_else(|| "is not an object".to_owned());
            let fields = fields
                .and_then(|fields| (client.disabled_reason)(config, name).map_or(Ok(fields), |why| Err(why.into())));
            let read = fields.and_then(|fields| (client.parse_entry)(fields));
            if let Err(why) = read.and_then(|read| import.add(Some(client), name, read, &mut keys, project)) {
                keys.truncate(before);
                // A name that is a key is not shown.
                let most = if is_secret_token(name) { 6 } else { 60 };
                import.notes.push(format!("server `{}` stays in {}: it {why}", one_line(name, most), client.name));
            }
        }
        import.secrets = keys.into_secrets();
        import
    }

    /// Adds a server of a client's, or of nobody else's. The error is the end of a sentence about it.
    pub(crate) fn add(
        &mut self,
        client: Option<&SetupClient>,
        name: &str,
        read: ParsedEntry,
        keys: &mut SecretExtractor<'_>,
        project: Option<&Path>,
    ) -> Result<(), String> {
        let mut declaration = read.declaration;
        if let Some(field) = UNSUPPORTED_FIELDS.iter().find(|field| declaration.contains_key(**field)) {
            return Err(format!("has `{field}`, which aiw does not read"));
        }
        let variables = variables(&declaration);
        if let Some(root) = project {
            begin_at(root, &mut declaration)?;
        }
        let hidden = keys.extract(name, &mut declaration)?;
        let server = aiw_servers::parse_server(name, &Value::Object(declaration.clone()))?;
        if let Transport::Sse | Transport::Ws = server.transport {
            return Err(format!("speaks {}, which aiw does not", server.transport));
        }
        if !read.skipped.is_empty() {
            let fields: Vec<String> = read.skipped.iter().map(|field| format!("`{}`", one_line(field, 40))).collect();
            self.notes.push(format!("server `{}` comes without {}", one_line(name, 60), fields.join(", ")));
        }
        if !variables.is_empty()
            && let Some(client) = client
            && let Some(way) = way_of_variables(client, &variables)
        {
            let (name, names) = (one_line(name, 60), variables.join("`, `"));
            self.notes.push(format!(
                "server `{name}` needs `{names}`, which {} does not pass on by itself: add {way} to aiw's entry there",
                client.name
            ));
        }
        let clear = find_plaintext_secret(&declaration);
        if let Some(field) = &clear {
            let (name, field) = (one_line(name, 60), one_line(field, 40));
            self.notes.push(format!("server `{name}` may have a secret in its `{field}`; it stays there"));
        }
        let target = if clear.is_some() { "…".to_owned() } else { one_line(&server.target(), 200) };
        let shown = match project {
            Some(_) => server.describe(name),
            None => vec![target],
        };
        self.servers.push(ServerImport {
            name: name.to_owned(),
            declaration: Value::Object(declaration),
            display_lines: shown,
            hidden,
        });
        Ok(())
    }
}

/// Gives a project's server the directory that its relative paths begin at. `mcp.json` is in another one, and its servers
/// start in all directories.
fn begin_at(root: &Path, declaration: &mut Map<String, Value>) -> Result<(), String> {
    let Some(command) = declaration.get("command").and_then(Value::as_str) else { return Ok(()) };
    // `ROOT/./tools` is `ROOT/tools`.
    let text = |path: PathBuf| {
        let path: PathBuf = path.components().collect();
        path.to_str().map(str::to_owned).ok_or("is in a directory that is not UTF-8")
    };
    if command.contains('/') && placeholders(command).is_empty() {
        let whole = text(root.join(command))?;
        declaration.insert("command".into(), whole.into());
    }
    let cwd = declaration.get("cwd").and_then(Value::as_str).unwrap_or_default();
    if placeholders(cwd).is_empty() {
        let whole = if cwd.is_empty() { text(root.to_owned())? } else { text(root.join(cwd))? };
        declaration.insert("cwd".into(), whole.into());
    }
    Ok(())
}

impl Setup {
    /// Moves servers from a client's configuration to `mcp.json`, which may be as other plans will leave it.
    // Long: one flow from the plan to the commit.
    pub(crate) fn import(
        &self,
        client: &SetupClient,
        servers: &Map<String, Value>,
        config: &mut Config,
        lines: &mut Vec<String>,
        plan: &mut SetupPlan,
        planned: Option<&[u8]>,
    ) -> Result<Vec<ImportedServer>, SetupError> {
        let path = self.home.mcp_path();
        // Strict, as whoever else reads it.
        McpFile::load(&self.home)?;
        let invalid = |problem: String| SetupError::Invalid { path: path.clone(), problem };
        let old = read_capped(&path, json::MAX_BYTES)?;
        let mut mcp = Jsonc::parse(planned.or(old.as_deref()).unwrap_or_default()).map_err(invalid)?;
        let project = match &plan.scope {
            SetupScope::User => None,
            SetupScope::Project(root) => Some(root.as_path()),
        };
        let import = ImportPlan::of(client, servers, config, &self.aiw_entry, &self.home.vault(), project);
        // With this client's own, from a setup before: what is moved once more is still aiw's to take out.
        let stem = stem(client, &plan.scope);
        let mut records = Record::load_others(&self.home, &stem)?;
        records.extend(Record::load(&self.home, &stem)?);
        let (mut all, mut added, mut used) = (Vec::new(), Vec::new(), Vec::new());
        plan.notes.extend(import.notes);
        for moved in import.servers {
            let name = one_line(&moved.name, 60);
            let renamed = self.renames.get(&moved.name).cloned();
            let target = renamed.clone().unwrap_or_else(|| moved.name.clone());
            if is_reserved_name(&target) {
                plan.notes.push(format!("server `{name}` stays in {}: `{target}` is aiw's own name", client.name));
                continue;
            }
            let there = mcp.get(&[SERVERS_KEY, &target]);
            let is_new = there.is_none();
            if there.is_some_and(|there| !is_same_server(there, &moved.declaration)) {
                plan.notes.push(format!(
                    "server `{name}` stays in {}: mcp.json has another one of that name; `aiw setup {} --import --rename \
                     {}={}` moves it under a name of its own",
                    client.name,
                    client.id,
                    shell_quote(&name),
                    shell_quote(&sanitize_name(&format!("{name}-{}", client.id)))
                ));
                continue;
            }
            // What can't be taken out stays on both sides unchanged.
            let mut without = config.clone();
            if let Err(problem) = without.remove(client.servers_key, &moved.name) {
                plan.notes.push(format!("server `{name}` stays in {}: the file {problem}", client.name));
                continue;
            }
            if is_new {
                mcp.set(&[SERVERS_KEY, &target], &moved.declaration).map_err(invalid)?;
                let target = one_line(&target, 60);
                match &plan.scope {
                    SetupScope::User => {
                        added.push(format!("+ {SERVERS_KEY}.{target}: {}", moved.display_lines.join("; ")))
                    }
                    SetupScope::Project(_) => {
                        added.push(format!("+ {SERVERS_KEY}.{target}, which then starts in all your sessions:"));
                        added.extend(moved.display_lines.iter().map(|line| format!("  {line}")));
                    }
                }
                let hidden = moved.hidden.iter();
                added.extend(hidden.map(|(field, secret)| format!("  {field} becomes ${{secret:{secret}}}")));
            }
            *config = without;
            lines.push(format!("- {}.{name}, which moves to mcp.json", client.servers_key));
            used.extend(moved.hidden.into_iter().map(|(_, secret)| secret));
            plan.imported.push(moved.name.clone());
            // Of what is there: it may say the same in other words.
            let written = mcp.get(&[SERVERS_KEY, &target]).unwrap_or(&moved.declaration);
            let digest = digest(written.to_string().as_bytes());
            // What came from another client belongs to both: whichever is undone last takes it out.
            let is_ours = is_new || records.iter().any(|record| record.has_added(&target, &digest));
            let entry = servers.get(&moved.name).cloned().unwrap_or_default();
            all.push(ImportedServer { name: moved.name, renamed, added: is_ours.then_some(digest), entry });
        }
        let stored = records.iter().flat_map(|record| &record.secrets);
        plan.shared_secrets = stored.filter(|name| used.contains(name)).cloned().collect();
        plan.new_secrets = import.secrets.into_iter().filter(|(name, _)| used.contains(name)).collect();
        if !added.is_empty() {
            plan.files.push(FileChange {
                path,
                role: Role::Mcp,
                old,
                new: Some(mcp.text().into_bytes()),
                lines: added,
                is_shared: false,
            });
        }
        Ok(all)
    }
}
