//! Everything that aiw keeps in its home, in one table.

use std::ffi::OsString;

use crate::{Home, HomeError};

/// Whether a path may be a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// The path is configuration: it may be a link, or be in a linked directory.
    Allowed,
    /// No part of the path may be a link, and the file is ours.
    Refused,
    /// Other programs write in this directory. It is not a link itself; what is in it is left to them.
    LeftToOthers,
}

/// A file or directory that aiw keeps in its home.
#[derive(Debug, Clone, Copy)]
pub struct KeptPath {
    /// Its path from the home on. `*` is any one name. A directory ends in `/`.
    pub path: &'static str,
    /// The room that reads and writes it.
    pub room: &'static str,
    /// The version that aiw writes, if it has one.
    pub version: Option<u64>,
    /// Whether it may be a link. The longest path that matches decides.
    pub links: Links,
    /// What in it is secret; empty if nothing is.
    pub secret: &'static str,
    /// What in it says whom or what you trust. It means nothing on another machine.
    pub trust: &'static str,
    /// Reads it, to say what is wrong with it.
    pub(crate) check: Option<fn(&Home) -> Option<HomeError>>,
}

impl KeptPath {
    const fn of(path: &'static str, room: &'static str) -> Self {
        let (version, links, check) = (None, Links::Refused, None);
        Self { path, room, version, links, secret: "", trust: "", check }
    }

    const fn version(self, version: u64) -> Self {
        Self { version: Some(version), ..self }
    }

    const fn links(self, links: Links) -> Self {
        Self { links, ..self }
    }

    const fn secret(self, secret: &'static str) -> Self {
        Self { secret, ..self }
    }

    const fn trust(self, trust: &'static str) -> Self {
        Self { trust, ..self }
    }

    const fn check(self, check: fn(&Home) -> Option<HomeError>) -> Self {
        Self { check: Some(check), ..self }
    }

    /// Whether it is a directory in which aiw alone writes.
    pub(crate) fn is_our_directory(&self) -> bool {
        self.links == Links::Refused && self.path.ends_with('/')
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

/// All of them.
pub const KEPT_PATHS: &[KeptPath] = &[
    KeptPath::of("mcp.json", "servers").links(Links::Allowed).secret("what you put in it"),
    KeptPath::of("settings.json", "home")
        .links(Links::Allowed)
        .trust("`trustedDirectories`, `trustedFiles`, `mcp.scripts`, addresses"),
    KeptPath::of("providers.json", "providers")
        .version(crate::providers::VERSION)
        .links(Links::Allowed)
        .trust("`origins`")
        .check(|home| home.providers().err()),
    KeptPath::of("registry.yaml", "registries").links(Links::Allowed).check(|home| home.registry_settings().err()),
    KeptPath::of("mcp_servers.yaml", "setup").links(Links::Allowed),
    KeptPath::of("role/", "launch").links(Links::Allowed),
    KeptPath::of("plugins.json", "markets").version(crate::installed::VERSION).check(|home| home.plugins().err()),
    KeptPath::of("registry.lock", "registries")
        .version(crate::registries::VERSION)
        .check(|home| home.registry_lock().err()),
    KeptPath::of("extensions.lock", "extensions")
        .version(crate::lockfile::VERSION)
        .trust("digests and grants")
        .check(|home| home.extensions_lock().err()),
    KeptPath::of("models.lock", "vectors")
        .version(crate::models::VERSION)
        .trust("digests")
        .check(|home| home.models_lock().err()),
    KeptPath::of("workflows.lock", "orchestrator")
        .version(crate::workflows::VERSION)
        .trust("what you approved")
        .check(|home| home.workflows_lock().err()),
    KeptPath::of("workflows/*", "orchestrator").links(Links::Allowed),
    KeptPath::of("workflows/runs/", "orchestrator").secret("what scripts read"),
    KeptPath::of("workflows/tools.d.ts", "orchestrator"),
    KeptPath::of("vault/", "home").secret("everything, and the `key`"),
    KeptPath::of("mcp-token", "home").secret("everything"),
    KeptPath::of("servers/", "routing").secret("what servers wrote").trust("the tools that you approved"),
    KeptPath::of("servers-seen.json", "routing").trust("everything"),
    KeptPath::of("setup/", "setup").secret("clients' files as they were"),
    KeptPath::of("tasks/", "tasks").secret("prompts and logs"),
    KeptPath::of("processes/", "processes").secret("logs and input"),
    KeptPath::of("gateway/", "gateway").secret("tokens and keys, encrypted"),
    KeptPath::of("usage/", "usage"),
    KeptPath::of("usage-seal.json", "usage"),
    KeptPath::of("isolated/*", "launch").links(Links::LeftToOthers).secret("logins of CLIs"),
    KeptPath::of("gemini/*", "launch").links(Links::LeftToOthers).secret("a login"),
    KeptPath::of("gemini/*/.gemini/settings.json", "launch"),
    KeptPath::of("data/*", "markets").links(Links::LeftToOthers).secret("what plugins keep"),
    KeptPath::of("plugins/", "markets"),
    KeptPath::of("bundles/", "registries"),
    KeptPath::of("extensions/", "extensions"),
    KeptPath::of("vectors/", "vectors"),
    KeptPath::of("events/", "events"),
    KeptPath::of("history/", "history").secret("what you said in sessions"),
    KeptPath::of("logs/", "home"),
    KeptPath::of("cache/", "home"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_has_its_room_and_is_in_the_documentation() {
        let docs = include_str!("../../../docs/files.md");
        let host = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for kept in KEPT_PATHS {
            assert!(host.join(kept.room).join("src").is_dir(), "{}", kept.room);
            let name = kept.path.split('/').next().unwrap();
            let row = |line: &&str| line.starts_with(&format!("| `{name}")) && line.split('|').count() == 5;
            // The file of aiw 0.6 is only read to be replaced.
            assert!(name == "mcp_servers.yaml" || docs.lines().any(|line| row(&line)), "{name}");
        }
    }

    #[test]
    fn a_path_matches_by_its_names_and_never_by_a_part_of_one() {
        let length = |path: &str, of: &str| {
            let kept = KEPT_PATHS.iter().find(|kept| kept.path == of).unwrap();
            kept.matches(&path.split('/').map(OsString::from).collect::<Vec<_>>())
        };
        assert_eq!(length("role", "role/"), Some(1));
        assert_eq!(length("role/x.md", "role/"), Some(1));
        assert_eq!(length("roles", "role/"), None);
        assert_eq!(length("workflows", "workflows/*"), None);
        assert_eq!(length("gemini/x/.gemini/settings.json", "gemini/*/.gemini/settings.json"), Some(4));
    }
}
