//! What is installed on your machines. It doesn't travel itself: it is installed again, and agreed to again.

use std::collections::{BTreeMap, BTreeSet};

use aiw_core::{ExtensionId, PluginId, one_line, shell_quote_printable};
use aiw_home::{Home, HomeError, is_model_name};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{GeneratedFiles, PENDING_INSTALLS_PATH, generated_path, read, text};

/// Something that is installed on another machine of yours, and not here.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PendingInstall {
    /// `plugin`, `server`, `extension` or `model`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The command that installs it here.
    pub next: String,
}

/// Names by kind. A kind that this aiw doesn't know stays in the file.
type NamesByKind = BTreeMap<String, BTreeSet<String>>;

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct PendingInstallsFile {
    /// Things that are installed on some machine.
    pending_installs: NamesByKind,
    /// The part of it that this machine has. It stays: it tells what was installed and removed since.
    #[serde(default)]
    here: NamesByKind,
}

/// The longest name.
const MAX_NAME_LEN: usize = 1000;

/// Returns the wishes as they are to be, with what was installed here since, and without what was removed. `others` are those of
/// snapshots that are merged here: of them, a file that is gone is made again.
pub(crate) fn generate_pending_installs(home: &Home, stays: &BTreeSet<String>, others: &[Vec<u8>]) -> GeneratedFiles {
    let made = || -> Option<_> {
        let before = read(home, PENDING_INSTALLS_PATH).ok()?;
        let old = before.as_deref().and_then(parsed).unwrap_or_else(|| again(others));
        // Of a document that can't be read, nothing is known.
        let here = installed(home, stays).ok()?;
        let (mut wishes, none) = (old.pending_installs.clone(), BTreeSet::new());
        for (kind, now) in &here {
            let was = old.here.get(kind).unwrap_or(&none);
            let own = wishes.entry(kind.clone()).or_default();
            own.extend(now.difference(was).cloned());
            own.retain(|name| now.contains(name) || !was.contains(name));
        }
        wishes.retain(|kind, own| !own.is_empty() || old.pending_installs.contains_key(kind));
        let new = PendingInstallsFile { pending_installs: wishes, here };
        let is_new = new != old && (before.is_some() || !new.pending_installs.is_empty());
        let bytes = if is_new { Some(text(&new)) } else { before };
        Some((generated_path(PENDING_INSTALLS_PATH)?, bytes?))
    };
    made().into_iter().collect()
}

fn parsed(bytes: &[u8]) -> Option<PendingInstallsFile> {
    serde_json::from_slice(bytes).ok()
}

/// Returns all that is wished in some files.
fn again(files: &[Vec<u8>]) -> PendingInstallsFile {
    let mut wishes = NamesByKind::new();
    for (kind, names) in files.iter().filter_map(|bytes| parsed(bytes)).flat_map(|file| file.pending_installs) {
        wishes.entry(kind).or_default().extend(names);
    }
    PendingInstallsFile { pending_installs: wishes, here: NamesByKind::new() }
}

/// Returns what is wished and not installed here, by what is to be written or was.
pub(crate) fn missing_installs(home: &Home, stays: &BTreeSet<String>) -> Vec<PendingInstall> {
    let made = generate_pending_installs(home, stays, &[]);
    let file = generated_path(PENDING_INSTALLS_PATH).and_then(|path| parsed(made.get(&path)?));
    let Some(PendingInstallsFile { pending_installs: wishes, here }) = file else { return Vec::new() };
    let mut missing = Vec::new();
    for (kind, names) in wishes {
        let has = here.get(&kind).into_iter().flatten();
        let has: BTreeSet<&str> = has.map(|name| identity(&kind, name)).collect();
        let own = names.iter().filter(|name| name.len() <= MAX_NAME_LEN && !has.contains(identity(&kind, name)));
        missing.extend(own.filter_map(|name| wish(&kind, name)));
    }
    missing
}

/// Returns what two machines call the same. An extension may come from another place.
fn identity<'a>(kind: &str, name: &'a str) -> &'a str {
    if kind == "extensions" { name.rsplit(' ').next().unwrap_or(name) } else { name }
}

/// Returns a wish as people see it; `None` if it is not a name of its kind, whoever wrote it.
fn wish(kind: &str, name: &str) -> Option<PendingInstall> {
    let (kind, next) = match kind {
        "plugins" => {
            let id: PluginId = name.parse().ok()?;
            ("plugin", format!("aiw plugin marketplace update {} && aiw plugin install {id}", id.market))
        }
        "servers" => {
            let (source, name) = name.split_once(' ')?;
            let is_server = name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '@') && is_plain(name);
            let source: ExtensionId = source.parse().ok()?;
            is_server
                .then_some(("server", format!("aiw mcp install {} --source {source}", shell_quote_printable(name))))?
        }
        "extensions" => {
            let (source, id) = name.rsplit_once(' ')?;
            let _: ExtensionId = id.parse().ok()?;
            let is_source = !source.starts_with('-') && !source.contains(char::is_control);
            is_source.then_some(("extension", format!("aiw extension add {}", shell_quote_printable(source))))?
        }
        "models" if is_model_name(name) => ("model", format!("aiw model pull {name}")),
        _ => return None,
    };
    Some(PendingInstall { kind: kind.into(), name: one_line(name, 200), next })
}

fn is_plain(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || "@/._:-".contains(c))
}

/// Returns what is installed here. `stays` are the servers of `mcp.json` whose entries mean nothing elsewhere.
fn installed(home: &Home, stays: &BTreeSet<String>) -> Result<NamesByKind, HomeError> {
    let plugins = home.plugins()?.all()?.into_iter().map(|(id, _)| id.to_string()).collect();
    let servers = home.registry_lock()?.all().into_iter().filter(|(key, _)| stays.contains(key));
    let servers = servers.map(|(_, server)| format!("{} {}", server.source, server.name)).collect();
    // The source first: a path in the home is known by its beginning.
    let extensions = home.extensions_lock()?.extensions.into_values();
    let extensions = extensions.map(|own| format!("{} {}", own.source, own.id)).collect();
    // A directory of the user's own is on this machine alone.
    let models = home.models_lock()?.models.into_iter().filter(|(_, model)| model.directory.is_none());
    let models = models.map(|(name, _)| name).collect();
    let kinds = [("plugins", plugins), ("servers", servers), ("extensions", extensions), ("models", models)];
    Ok(kinds.into_iter().map(|(kind, names)| (kind.to_owned(), names)).collect())
}
