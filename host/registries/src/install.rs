//! What is recorded of a server that was installed, and what has become of it since.

use aiw_core::registry::{RegistryStatus, ServerVersion};
use aiw_core::{SecretName, hex, shell_quote};
use aiw_extensions::is_lower_version;
use aiw_home::{InstalledServer, now_rfc3339};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::merge::MergedServer;
use crate::plan::{EntryPlan, InstallMethod, MethodKind, split_image};
use crate::terms;

/// Returns the sha256 of what a registry says of how a server runs. What else it says changes from day to day.
pub fn digest(server: &ServerVersion) -> String {
    let how = (&server.name, &server.version, &server.packages, &server.remotes);
    hex(&Sha256::digest(postcard::to_allocvec(&how).unwrap_or_default()))
}

/// Returns the name in `mcp.json` that a server gets if the user chooses none: the last part of its name, without what
/// nearly every server is called.
pub fn default_key(server: &ServerVersion) -> String {
    let last = terms::last_segment(&server.name);
    let plain = terms::strip_generic_affixes(last);
    // `io.github.acme/mcp` is the server of `acme`.
    let owner = server.name.rsplit_once('/').map_or("", |(owner, _)| owner.rsplit('.').next().unwrap_or(owner));
    let word = if plain.is_empty() || matches!(plain, "mcp" | "server") { owner } else { plain };
    aiw_servers::sanitize_name(if word.is_empty() { last } else { word })
}

/// Returns the record of an installation.
pub fn record(found: &MergedServer, way: &InstallMethod, entry: &EntryPlan) -> InstalledServer {
    let written = Value::Object(entry.declaration.clone());
    let secrets: Vec<SecretName> = entry.secrets.iter().map(|(name, _)| name.clone()).collect();
    InstalledServer {
        source: found.source.to_string(),
        name: found.server.name.clone(),
        version: found.server.version.clone(),
        publisher: found.server.publisher.clone(),
        digest: digest(&found.server),
        written,
        method: method_id(way),
        answers: entry.answers.clone(),
        secrets,
        installed_at: now_rfc3339(),
    }
}

/// Returns the name of a way that stays the same from version to version: its kind, and what it runs or reaches.
pub fn method_id(way: &InstallMethod) -> String {
    let target = way.target();
    let version = match way.kind() {
        MethodKind::Npm | MethodKind::Nuget => target.rfind('@').filter(|at| *at > 0),
        MethodKind::Pypi => target.find("=="),
        MethodKind::Oci => Some(split_image(target).0.len()),
        MethodKind::Bundle => Some(0),
        MethodKind::Remote | MethodKind::Other => None,
    };
    let base = version.map_or(target, |at| &target[..at]);
    format!("{} {base}", way.kind().as_str()).trim_end().to_owned()
}

/// A change of a server since its installation.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum UpdateStatus {
    /// There is a newer version
    Newer {
        /// The version
        version: String,
    },
    /// The registry's version is older now
    Older {
        /// The version
        version: String,
    },
    /// Its publisher advises against it
    Deprecated {
        /// Why
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The registry no longer has it
    Removed,
    /// Somebody else publishes it now
    Publisher {
        /// The publisher
        publisher: String,
    },
    /// The description of the same version changed
    Changed,
}

impl UpdateStatus {
    /// Says it in a sentence about the server.
    pub fn describe(&self) -> String {
        match self {
            Self::Newer { version } => format!("has a newer version: {}", aiw_core::one_line(version, 40)),
            Self::Older { version } => format!("has an older version now: {}", aiw_core::one_line(version, 40)),
            Self::Deprecated { reason: Some(reason) } => format!("is deprecated: {reason}"),
            Self::Deprecated { reason: None } => "is deprecated".to_owned(),
            Self::Removed => "is no longer in its registry".to_owned(),
            Self::Publisher { publisher } => {
                format!("has another publisher now: {}", aiw_core::quoted(publisher))
            }
            Self::Changed => "is described differently by its registry than when you installed it".to_owned(),
        }
    }

    /// Returns the command that helps with a server.
    pub fn command(&self, key: &str, name: &str) -> String {
        match self {
            Self::Newer { .. } | Self::Changed => format!("aiw mcp update {}", shell_quote(key)),
            Self::Older { .. } | Self::Publisher { .. } => format!("aiw mcp info {}", shell_quote(name)),
            Self::Deprecated { .. } | Self::Removed => format!("aiw mcp remove {}", shell_quote(key)),
        }
    }
}

/// Compares what was installed with what the registry says now.
pub fn update_statuses(installed: &InstalledServer, now: Option<&ServerVersion>) -> Vec<UpdateStatus> {
    let Some(now) = now.filter(|server| server.status != RegistryStatus::Deleted) else {
        return vec![UpdateStatus::Removed];
    };
    let mut news = Vec::new();
    if now.publisher != installed.publisher {
        let publisher = now.publisher.clone().unwrap_or_else(|| "nobody".to_owned());
        news.push(UpdateStatus::Publisher { publisher });
    }
    if now.status == RegistryStatus::Deprecated {
        news.push(UpdateStatus::Deprecated { reason: now.status_message.clone() });
    }
    let version = now.version.clone();
    if is_lower_version(&now.version, &installed.version) {
        news.push(UpdateStatus::Older { version });
    } else if now.version != installed.version {
        news.push(UpdateStatus::Newer { version });
    } else if digest(now) != installed.digest && now.status == RegistryStatus::Active {
        news.push(UpdateStatus::Changed);
    }
    news
}
