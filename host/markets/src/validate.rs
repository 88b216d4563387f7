//! `plugin validate`: strict where listing is lenient.

use futures::future::BoxFuture;
use std::path::Path;

use aiw_core::RelPath;
use aiw_net::{Policy, Trees};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::document::{MARKETPLACE_JSON, MarketDocument, PluginEntry};
use crate::error::MarketError;
use crate::inspect::{Files, PLUGIN_JSON, inspect};
use crate::reserved::{confusable_reserved_name, is_reserved};
use crate::source::PluginSource;

/// The result of `validate`.
#[warn(missing_docs)]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Validation {
    /// Whether there is no error
    pub valid: bool,
    /// The checked document: a marketplace or a plugin
    #[schemars(extend("enum" = ["marketplace", "plugin"]))]
    pub kind: String,
    /// Errors, one sentence each
    pub errors: Vec<String>,
    /// Warnings, one sentence each
    pub warnings: Vec<String>,
}

impl Validation {
    fn error(&mut self, text: impl Into<String>) {
        self.errors.push(text.into());
    }

    fn warn(&mut self, text: impl Into<String>) {
        self.warnings.push(text.into());
    }
}

/// Validates a marketplace (directory or marketplace.json) or a plugin's directory.
pub fn validate<'a>(trees: &'a Trees, path: &'a Path) -> BoxFuture<'a, Result<Validation, MarketError>> {
    Box::pin(async move {
        let missing = |why: &str| MarketError::InvalidReference {
            reference: path.display().to_string(),
            why: why.to_owned(),
            hint: None,
        };
        let path = std::fs::canonicalize(path).map_err(|e| missing(&format!("cannot be opened: {e}")))?;
        let (root, document) = if path.is_dir() {
            (path.clone(), RelPath::parse(MARKETPLACE_JSON).unwrap_or_default())
        } else {
            let parent = path.parent().unwrap_or(&path);
            let root = if parent.ends_with(".claude-plugin") { parent.parent().unwrap_or(parent) } else { parent };
            let below = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            (root.to_owned(), RelPath::parse(&below).map_err(|e| missing(&e.to_string()))?)
        };
        let mut policy = Policy::none();
        policy.directories.push(root.clone());
        let tree = trees.open_directory(&policy, &root).await?;
        let mut report = Validation::default();
        match tree.read(&document, aiw_home::json::MAX_BYTES) {
            Ok(bytes) => {
                report.kind = "marketplace".into();
                marketplace(&mut report, &tree, &bytes);
            }
            Err(aiw_net::NetError::NotFound { .. })
                if root.join(PLUGIN_JSON).exists() || root.join(".mcp.json").exists() =>
            {
                report.kind = "plugin".into();
                plugin(&mut report, &tree, &bare_entry(), "");
            }
            Err(aiw_net::NetError::NotFound { .. }) => {
                return Err(missing(&format!("contains neither `{MARKETPLACE_JSON}` nor `{PLUGIN_JSON}`")));
            }
            Err(e) => {
                report.kind = "marketplace".into();
                report.error(format!("`{document}` cannot be read: {e}"));
            }
        }
        report.valid = report.errors.is_empty();
        Ok(report)
    })
}

// Long: one check after the other, of one document.
fn marketplace(report: &mut Validation, tree: &aiw_net::Tree, bytes: &[u8]) {
    match aiw_home::json::parse(bytes) {
        Ok(parsed) => {
            for key in &parsed.duplicates {
                report.error(format!("the key `{}` appears twice", aiw_core::one_line(key, 80)));
            }
            if parsed.has_bom {
                report.warn("the document begins with a byte order mark");
            }
            if parsed.value.get("owner").and_then(|o| o.get("name")).and_then(Value::as_str).is_none() {
                report.error("the document has no `owner.name`");
            }
            let described =
                [parsed.value.get("description"), parsed.value.get("metadata").and_then(|m| m.get("description"))];
            if !described.iter().flatten().any(|description| description.is_string()) {
                report.warn("the document has no `description`");
            }
        }
        Err(problem) => return report.error(format!("the document {problem}")),
    }
    let document = match MarketDocument::parse(bytes, &[]) {
        Ok(document) => document,
        Err(problem) => return report.error(format!("the document {problem}")),
    };
    match document.market_name() {
        Err(problem) => report.error(problem),
        Ok(name) => {
            if is_reserved(name.as_str()) {
                report.warn(format!("the name `{name}` belongs to repositories under github.com/anthropics"));
            }
            if let Some(reserved) = confusable_reserved_name(name.as_str()) {
                report.warn(format!("the name `{name}` looks like `{reserved}`, which is Anthropic's"));
            }
            if !is_kebab(name.as_str()) {
                report.warn(format!("the name `{name}` is not kebab-case"));
            }
        }
    }
    if document.entries.is_empty() {
        report.warn("the document lists no plugins");
    }
    for old in document.renames.keys() {
        match MarketDocument::resolve_rename(&document.renames, old) {
            Err(problem) => report.error(problem),
            Ok(Some(new)) if !document.entries.iter().any(|e| e.name == new) => {
                report.error(format!(
                    "`renames` leads from `{}` to `{}`, which is not listed",
                    aiw_core::one_line(old, 60),
                    aiw_core::one_line(&new, 60)
                ));
            }
            Ok(_) => {}
        }
    }
    report.errors.extend(document.problems.iter().filter(|p| !p.contains("appears twice")).cloned());
    for entry in &document.entries {
        let usable = match &entry.content {
            Ok(usable) => usable,
            Err(problem) => {
                report.error(format!("plugin `{}` {problem}", entry.name));
                continue;
            }
        };
        if !is_kebab(&entry.name) {
            report.warn(format!("plugin `{}` has a name that is not kebab-case", entry.name));
        }
        match &usable.source {
            PluginSource::Refused { reason, .. } => report.error(format!("plugin `{}`: {reason}", entry.name)),
            PluginSource::Relative { path } => {
                let path = RelPath::parse(path).unwrap_or_default();
                match tree.subtree(&path) {
                    Ok(tree) => plugin(report, &tree, entry, &format!("plugin `{}`: ", entry.name)),
                    Err(e) => report.error(format!("plugin `{}`: {e}", entry.name)),
                }
            }
            PluginSource::Git { sha: None, .. } => {
                report.warn(format!("plugin `{}` is not pinned to a commit by `sha`", entry.name))
            }
            PluginSource::Git { .. } | PluginSource::InMarketplace { .. } => {}
        }
    }
}

fn plugin(report: &mut Validation, tree: &aiw_net::Tree, entry: &PluginEntry, prefix: &str) {
    let files = match Files::from_tree(tree, entry) {
        Ok(files) => files,
        Err(e) => return report.error(format!("{prefix}{e}")),
    };
    for (name, bytes) in [(PLUGIN_JSON, &files.plugin_json), (".mcp.json", &files.mcp_json)] {
        let Some(Ok(parsed)) = bytes.as_ref().map(|bytes| aiw_home::json::parse(bytes)) else { continue };
        for key in &parsed.duplicates {
            report.error(format!("{prefix}the key `{}` appears twice in `{name}`", aiw_core::one_line(key, 80)));
        }
    }
    let inspection = inspect(entry, &files, None);
    if let Some(problem) = inspection.broken {
        report.error(format!("{prefix}the plugin {problem}"));
    }
    report.warnings.extend(inspection.skipped.iter().map(|line| format!("{prefix}{line}")));
    if let (Some(own), Some(listed)) = (&inspection.version, entry.text("version"))
        && *own != listed
    {
        report.warn(format!(
            "{prefix}plugin.json says version `{own}`, the marketplace `{listed}`; plugin.json takes precedence"
        ));
    }
    match tree.walk() {
        Err(e) => report.error(format!("{prefix}{e}")),
        Ok(items) => {
            let mut seen = std::collections::BTreeMap::new();
            for item in &items {
                if let Some(other) = seen.insert(item.path.as_str().to_lowercase(), item.path.clone()) {
                    report.error(format!(
                        "{prefix}`{other}` and `{}` are the same file on case-insensitive file systems",
                        item.path
                    ));
                }
            }
        }
    }
}

/// The entry for a plugin that is validated on its own.
fn bare_entry() -> PluginEntry {
    PluginEntry { name: "plugin".into(), content: Err(String::new()), fields: serde_json::Map::new() }
}

fn is_kebab(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}
