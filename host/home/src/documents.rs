//! Everything that aiw keeps in its home, in one table.

use std::ffi::OsString;

use SymlinkPolicy::{Allowed, Refused, Unmanaged};
use SyncPolicy::{Always, Never, OnRequest};

pub(crate) const PROVIDERS_VERSION: u64 = 1;
pub(crate) const PLUGINS_VERSION: u64 = 1;
pub(crate) const REGISTRY_LOCK_VERSION: u64 = 1;
pub(crate) const EXTENSIONS_VERSION: u64 = 1;
pub(crate) const MODELS_VERSION: u64 = 1;
pub(crate) const WORKFLOWS_VERSION: u64 = 1;

/// Whether a path may be a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SymlinkPolicy {
    /// The path is configuration: it may be a link, or be in a linked directory.
    Allowed,
    /// No part of the path may be a link, and the file is ours.
    Refused,
    /// Other programs write in this directory. It is not a link itself; what is in it is left to them.
    Unmanaged,
}

aiw_core::string_enum! {
    /// Whether a file or a key goes along when configuration is synchronized between machines.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum SyncPolicy {
        /// It does.
        Always = "always",
        /// It does if the user includes it.
        OnRequest = "on-request",
        /// It stays on its machine.
        Never = "never",
    }
}

/// A file or directory that aiw keeps in its home.
#[derive(Debug, Clone, Copy)]
pub struct StatePath {
    /// Its path from the home on. `*` is any one name. A directory ends in `/`.
    pub path: &'static str,
    /// The room that reads and writes it.
    pub crate_name: &'static str,
    /// The version that aiw writes, if it has one.
    pub version: Option<u64>,
    /// Whether it may be a link. The longest path that matches decides, and the later one of two that are equally long.
    pub links: SymlinkPolicy,
    /// Its secrets, if it has some.
    pub secret: &'static str,
    /// The parts that say whom or what you trust, which mean nothing on another machine.
    pub trust: &'static str,
    /// Whether it travels.
    pub sync: SyncPolicy,
    /// Why it stays, or travels on request only.
    pub reason: &'static str,
}

const STATE_REASON: &str = "state of this machine";

const REINSTALLED_REASON: &str = "installed again on each machine, and agreed to again";

const TRUST_REASON: &str = "what you agreed to on this machine";

const fn kept(
    path: &'static str,
    room: &'static str,
    links: SymlinkPolicy,
    secret: &'static str,
    trust: &'static str,
) -> StatePath {
    StatePath { path, crate_name: room, version: None, links, secret, trust, sync: Never, reason: STATE_REASON }
}

impl StatePath {
    const fn version(self, version: u64) -> Self {
        Self { version: Some(version), ..self }
    }

    const fn always(self) -> Self {
        Self { sync: Always, reason: "", ..self }
    }

    const fn on_request(self, why: &'static str) -> Self {
        Self { sync: OnRequest, reason: why, ..self }
    }

    const fn stays(self, why: &'static str) -> Self {
        Self { reason: why, ..self }
    }

    /// Whether it is a directory in which aiw alone writes.
    pub(crate) fn is_owned_directory(&self) -> bool {
        self.links == Refused && self.path.ends_with('/')
    }

    /// Returns how many names of its path are those that a path begins with; `None` if it leads elsewhere.
    pub(crate) fn matches(&self, names: &[OsString]) -> Option<usize> {
        let mut names = names.iter();
        let mut parts = self.path.trim_end_matches('/').split('/');
        parts.try_fold(0, |length, part| {
            let name = names.next()?;
            (part == "*" || name.as_encoded_bytes() == part.as_bytes()).then_some(length + 1)
        })
    }
}

/// All of them: path, room, links, secrets, trust.
pub const STATE_PATHS: &[StatePath] = &[
    kept("mcp.json", "servers", Allowed, "what you put in it", "").always(),
    kept(
        "settings.json",
        "home",
        Allowed,
        "",
        "`trustedDirectories`, `trustedFiles`, `untrustedDirectories`, `mcp.scripts`, `ci.hosts`, addresses",
    )
    .always(),
    kept("providers.json", "providers", Allowed, "", "`origins`").version(PROVIDERS_VERSION).always(),
    kept("registry.yaml", "registries", Allowed, "", "").always(),
    kept("mcp_servers.yaml", "setup", Allowed, "keys of aiw 0.6", ""),
    kept("role/", "launch", Allowed, "", "").always(),
    kept("plugins.json", "markets", Refused, "", "the installed plugins")
        .version(PLUGINS_VERSION)
        .stays(REINSTALLED_REASON),
    kept("registry.lock", "registries", Refused, "", "").version(REGISTRY_LOCK_VERSION).stays(REINSTALLED_REASON),
    kept("extensions.lock", "extensions", Refused, "", "digests and grants")
        .version(EXTENSIONS_VERSION)
        .stays(REINSTALLED_REASON),
    kept("models.lock", "vectors", Refused, "", "digests").version(MODELS_VERSION).stays(REINSTALLED_REASON),
    kept("workflows.lock", "orchestrator", Refused, "", "what you approved")
        .version(WORKFLOWS_VERSION)
        .stays(TRUST_REASON),
    kept("workflows/*", "orchestrator", Allowed, "", "").always(),
    kept("workflows/runs/", "orchestrator", Refused, "what scripts read", ""),
    kept("workflows/tools.d.ts", "orchestrator", Refused, "", ""),
    kept("vault/", "home", Refused, "everything, and its key", "")
        .stays("secrets, and their key: `sync/secrets.json` takes them along"),
    kept("mcp-token", "home", Refused, "everything", "").stays("a secret of this machine"),
    kept("servers/", "routing", Refused, "what servers wrote", "the tools that you approved").stays(TRUST_REASON),
    kept("servers-seen.json", "routing", Refused, "", "everything").stays(TRUST_REASON),
    kept("setup/", "setup", Refused, "clients' files as they were", ""),
    kept("tasks/", "tasks", Refused, "prompts and logs", ""),
    kept("processes/", "processes", Refused, "logs and input", ""),
    kept("daemon/", "supervisor", Refused, "", ""),
    kept("web/", "web", Refused, "", ""),
    kept("health/", "providers", Refused, "", ""),
    kept("attention.json", "app", Refused, "", ""),
    kept("attention.lock", "app", Refused, "", ""),
    kept("gateway/", "gateway", Refused, "tokens and keys, encrypted", ""),
    kept("usage/", "usage", Refused, "", ""),
    kept("usage-checksums.json", "usage", Refused, "", ""),
    kept("isolated/*", "launch", Unmanaged, "logins of CLIs", ""),
    kept("gemini/*", "launch", Unmanaged, "a login", ""),
    kept("gemini/*/.gemini/settings.json", "launch", Refused, "", ""),
    kept("data/*", "markets", Unmanaged, "what plugins keep", ""),
    kept("plugins/", "markets", Refused, "", ""),
    kept("bundles/", "registries", Refused, "", ""),
    kept("extensions/", "extensions", Refused, "", ""),
    kept("vectors/", "vectors", Refused, "", ""),
    kept("ci/", "ci", Refused, "", ""),
    kept("events/", "events", Refused, "", ""),
    kept("history/", "history", Refused, "what was said in sessions", ""),
    kept("logs/", "home", Refused, "", ""),
    kept("sync/", "sync", Refused, "files as they were", ""),
    kept("sync/pending-installs.json", "sync", Refused, "", "").always(),
    kept("sync/secrets.json", "sync", Refused, "the vault's, each sealed to the phrase", "")
        .on_request("the secrets of the vault, each sealed to the phrase"),
    kept("cache/", "home", Refused, "", ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_has_its_room_and_is_in_the_documentation() {
        let docs = include_str!("../../../docs/files.md");
        let host = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for kept in STATE_PATHS {
            assert!(host.join(kept.crate_name).join("src").is_dir(), "{}", kept.crate_name);
            let name = kept.path.split('/').next().unwrap();
            let row = |line: &&str| line.starts_with(&format!("| `{name}")) && line.split('|').count() == 5;
            // The file of aiw 0.6 is only read to be replaced.
            assert!(name == "mcp_servers.yaml" || docs.lines().any(|line| row(&line)), "{name}");
        }
    }

    #[test]
    fn a_path_matches_by_its_names_and_never_by_a_part_of_one() {
        let length = |path: &str, of: &str| {
            let kept = STATE_PATHS.iter().find(|kept| kept.path == of).unwrap();
            kept.matches(&path.split('/').map(OsString::from).collect::<Vec<_>>())
        };
        assert_eq!(length("role", "role/"), Some(1));
        assert_eq!(length("role/x.md", "role/"), Some(1));
        assert_eq!(length("roles", "role/"), None);
        assert_eq!(length("workflows", "workflows/*"), None);
        assert_eq!(length("gemini/x/.gemini/settings.json", "gemini/*/.gemini/settings.json"), Some(4));
    }
}
