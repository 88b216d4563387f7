//! What travels: one table of all files and keys that are known.

use std::collections::BTreeSet;

use aiw_core::matches_wildcard;
use aiw_home::{STATE_PATHS, SyncPolicy};
use serde::Serialize;

use SyncImpact::{Instructs, Nothing, Starts};
use SyncPolicy::{Always, Never, OnRequest};

use crate::content::ContentForm;
use crate::place::{SyncPath, SyncRoot};

aiw_core::string_enum! {
    /// The effect of a file or a key on the machine that it comes to.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum SyncImpact {
        /// It changes how something looks or is set.
        Nothing = "sets",
        /// A model reads it as instructions.
        Instructs = "instructs",
        /// It starts a program, says where requests and secrets go, or widens what may be done.
        Starts = "starts",
    }
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct SyncRule {
    /// The root.
    pub root: SyncRoot,
    /// A path below it: a file, a directory with all that is in it (`/` at its end), or files by their ending (`*.md`).
    pub path: &'static str,
    /// How it is read and merged.
    pub form: ContentForm,
    /// Whether it travels.
    pub policy: SyncPolicy,
    /// Its effect where it arrives.
    pub effect: SyncImpact,
    /// Why it stays, or travels on request only.
    pub reason: &'static str,
    /// Keys that are not like the rest of the file.
    pub keys: &'static [KeyRow],
    /// Whether keys travel that are not named, and what they do.
    pub default_rule: (SyncPolicy, SyncImpact),
}

/// A key of a file. `*` is any name.
#[derive(Debug, Clone, Copy)]
pub struct KeyRow {
    /// Its path: `mcp.profiles.*.scripts`.
    pub key: &'static str,
    /// Whether it travels.
    pub policy: SyncPolicy,
    /// Its effect.
    pub effect: SyncImpact,
    /// Whether it is a set: merged item by item.
    pub is_set: bool,
}

const fn row(root: SyncRoot, path: &'static str, form: ContentForm, effect: SyncImpact) -> SyncRule {
    SyncRule { root, path, form, policy: Always, effect, reason: "", keys: &[], default_rule: (Always, Starts) }
}

const fn text(root: SyncRoot, path: &'static str, effect: SyncImpact) -> SyncRule {
    row(root, path, ContentForm::Text, effect)
}

const fn stays(root: SyncRoot, path: &'static str, why: &'static str) -> SyncRule {
    SyncRule { policy: Never, reason: why, ..row(root, path, ContentForm::Text, Nothing) }
}

const fn asked(root: SyncRoot, path: &'static str, effect: SyncImpact, why: &'static str) -> SyncRule {
    SyncRule { policy: OnRequest, reason: why, ..row(root, path, ContentForm::Text, effect) }
}

impl SyncRule {
    const fn keys(self, keys: &'static [KeyRow]) -> Self {
        Self { keys, ..self }
    }

    const fn others(self, travels: SyncPolicy, effect: SyncImpact) -> Self {
        Self { default_rule: (travels, effect), ..self }
    }

    /// Returns the pattern with its root: `claude:agents/*.md`.
    pub fn pattern(&self) -> String {
        format!("{}:{}", self.root.as_str(), self.path)
    }

    /// Returns whether a key travels, and what it does. `None` if that depends on the keys below it.
    fn key(&self, path: &[String]) -> (Option<SyncPolicy>, SyncImpact) {
        // The longest that leads here decides.
        let above = self.keys.iter().filter(|row| row.leads(path) && row.depth() <= path.len());
        let own = above.max_by_key(|row| row.depth()).map_or(self.default_rule, |row| (row.policy, row.effect));
        let below = || self.keys.iter().filter(|row| row.is_below(path));
        let effect = below().map(|row| row.effect).chain([own.1]).max().unwrap_or(own.1);
        (below().all(|row| row.policy == own.0).then_some(own.0), effect)
    }

    /// Returns whether a key travels: `None` means that the keys below it decide.
    pub fn is_key_synced(&self, path: &[String]) -> Option<bool> {
        if path.is_empty() && self.keys.is_empty() && self.default_rule.0 == Always {
            return Some(true);
        }
        self.key(path).0.map(|travels| travels == Always)
    }

    /// Returns what a change at a key does.
    pub fn key_effect(&self, path: &[String]) -> SyncImpact {
        if path.is_empty() && self.keys.is_empty() { self.effect } else { self.key(path).1 }
    }

    /// Whether nothing is said of what is below a key.
    pub fn is_leaf(&self, path: &[String]) -> bool {
        !path.is_empty() && !self.keys.iter().any(|row| row.is_below(path))
    }

    /// Whether the list at a key is a set.
    pub fn is_set(&self, path: &[String]) -> bool {
        self.keys.iter().any(|row| row.is_set && row.depth() == path.len() && row.leads(path))
    }
}

impl KeyRow {
    fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.key.split('.')
    }

    fn depth(&self) -> usize {
        self.names().count()
    }

    /// Whether its key and a path are the same as far as the shorter one goes.
    fn leads(&self, path: &[String]) -> bool {
        self.names().zip(path).all(|(name, key)| name == "*" || name == key)
    }

    fn is_below(&self, path: &[String]) -> bool {
        self.depth() > path.len() && self.leads(path)
    }
}

const fn key(key: &'static str, effect: SyncImpact) -> KeyRow {
    KeyRow { key, policy: Always, effect, is_set: false }
}

const fn set(key: &'static str) -> KeyRow {
    KeyRow { key, policy: Always, effect: Starts, is_set: true }
}

const fn no(key: &'static str) -> KeyRow {
    KeyRow { key, policy: Never, effect: Nothing, is_set: false }
}

const CLAUDE_SETTINGS: &[KeyRow] = &[
    // Known to start nothing and to allow nothing. What is not named is agreed to.
    key("$schema", Nothing),
    key("alwaysThinkingEnabled", Nothing),
    key("attribution", Nothing),
    key("autoUpdatesChannel", Nothing),
    key("editorMode", Nothing),
    key("effortLevel", Nothing),
    key("includeCoAuthoredBy", Nothing),
    key("model", Nothing),
    key("outputStyle", Nothing),
    key("preferredNotifChannel", Nothing),
    key("prefersReducedMotion", Nothing),
    key("showTurnDuration", Nothing),
    key("spinnerTipsEnabled", Nothing),
    key("spinnerVerbs", Nothing),
    key("terminalProgressBarEnabled", Nothing),
    key("theme", Nothing),
    key("verbose", Nothing),
    set("permissions.allow"),
    set("permissions.ask"),
    set("permissions.deny"),
    set("permissions.additionalDirectories"),
    set("hooks.*"),
    // Answers that somebody gave on one machine.
    no("enableAllProjectMcpServers"),
    no("enabledMcpjsonServers"),
    no("disabledMcpjsonServers"),
    no("skipAutoPermissionPrompt"),
    no("skipDangerousModePermissionPrompt"),
];

const CODEX_CONFIG: &[KeyRow] = &[
    key("file_opener", Nothing),
    key("hide_agent_reasoning", Nothing),
    key("model", Nothing),
    key("model_auto_compact_token_limit", Nothing),
    key("model_context_window", Nothing),
    key("model_reasoning_effort", Nothing),
    key("model_reasoning_summary", Nothing),
    key("model_verbosity", Nothing),
    key("personality", Nothing),
    key("show_raw_agent_reasoning", Nothing),
    key("tui", Nothing),
    no("hooks.state"),
    no("marketplaces"),
    no("notice"),
    no("projects"),
];

const GEMINI_SETTINGS: &[KeyRow] = &[
    key("general.preferredEditor", Nothing),
    key("general.vimMode", Nothing),
    key("model", Starts),
    key("model.name", Nothing),
    key("output", Nothing),
    key("ui", Nothing),
    set("tools.allowed"),
    set("tools.exclude"),
    set("hooks.*"),
];

const AIW_SETTINGS: &[KeyRow] = &[
    // What widens what may be done is agreed to: tools that run programs, keys that are sent by themselves, prices by which a
    // budget refuses. docs/security.md says which these are.
    key("extraKnownMarketplaces", Starts),
    key("offerDefaultMarketplace", Nothing),
    key("enabledPlugins", Starts),
    key("clis", Starts),
    key("tasks", Starts),
    key("history", Starts),
    key("planner", Starts),
    key("models", Starts),
    key("budgets", Starts),
    key("sources", Starts),
    key("health", Starts),
    key("habits", Starts),
    key("updates", Starts),
    key("ci", Starts),
    key("mcp.list", Nothing),
    key("mcp.toolsets", Starts),
    key("mcp.servers", Starts),
    key("mcp.profiles", Starts),
    no("mcp.profiles.*.scripts"),
    no("mcp.scripts"),
    no("sync"),
    no("trustedDirectories"),
    no("untrustedDirectories"),
    no("trustedFiles"),
];

/// A wish starts nothing: it is shown with the command that installs it.
const PENDING_INSTALL_KEYS: &[KeyRow] =
    &[KeyRow { key: "pending_installs.*", policy: Always, effect: Nothing, is_set: true }];

use ContentForm::{Binary, Json, Toml};
use SyncRoot::{Agents, Aiw, Claude, ClaudeState, Codex, Gemini};

const HISTORY_REASON: &str = "history of sessions: `aiw history` keeps it";
const STATE_REASON: &str = "state or a cache of this machine";
const LOGIN_REASON: &str = "a login: a token that one machine renews logs the others out";
const TRUST_REASON: &str = "what you agreed to on this machine";
const LOCAL_REASON: &str = "of this machine by its purpose";
const MACHINE_PATHS_REASON: &str = "named by paths of this machine";

/// The rows of the CLIs. The first one that matches decides; what none matches stays.
const RULES: &[SyncRule] = &[
    text(Claude, "CLAUDE.md", Instructs),
    text(Claude, "rules/", Instructs),
    text(Claude, "output-styles/", Instructs),
    text(Claude, "agents/", Instructs),
    row(Claude, "settings.json", Json, Starts).keys(CLAUDE_SETTINGS),
    text(Claude, "skills/", Starts),
    text(Claude, "commands/", Starts),
    text(Claude, "workflows/", Starts),
    text(Claude, "hooks/", Starts),
    // A key may run a command (`command:NAME`), or answer a question.
    row(Claude, "keybindings.json", Json, Starts),
    text(Claude, "themes/", Nothing),
    text(Claude, "loop.md", Instructs),
    asked(Claude, "agent-memory/", Instructs, MACHINE_PATHS_REASON),
    asked(Claude, "plans/", Instructs, MACHINE_PATHS_REASON),
    asked(Claude, "projects/*/memory/", Instructs, MACHINE_PATHS_REASON),
    SyncRule { form: Binary, ..asked(Claude, ".credentials.json", Starts, LOGIN_REASON) },
    stays(Claude, "settings.local.json", LOCAL_REASON),
    stays(Claude, "scheduled_tasks.json", LOCAL_REASON),
    stays(Claude, "projects/", HISTORY_REASON),
    stays(Claude, "history.jsonl", HISTORY_REASON),
    stays(Claude, "plugins/", "paths of this machine; `enabledPlugins` travels"),
    SyncRule {
        form: Json,
        ..asked(ClaudeState, ".claude.json", Starts, "the servers alone: the rest is state and trust")
    }
    .keys(&[key("mcpServers", Starts)])
    .others(Never, Nothing),
    text(Codex, "AGENTS.md", Instructs),
    text(Codex, "AGENTS.override.md", Instructs),
    text(Codex, "prompts/", Instructs),
    row(Codex, "config.toml", Toml, Starts).keys(CODEX_CONFIG),
    row(Codex, "*.config.toml", Toml, Starts).keys(CODEX_CONFIG),
    text(Codex, "rules/*.rules", Starts),
    row(Codex, "hooks.json", Json, Starts),
    stays(Codex, "skills/.system/", STATE_REASON),
    text(Codex, "skills/", Starts),
    asked(Codex, "memories/", Instructs, MACHINE_PATHS_REASON),
    SyncRule { form: Binary, ..asked(Codex, "auth.json", Starts, LOGIN_REASON) },
    SyncRule { form: Binary, ..asked(Codex, ".credentials.json", Starts, LOGIN_REASON) },
    SyncRule { form: Binary, ..asked(Codex, ".env", Starts, LOGIN_REASON) },
    stays(Codex, "sessions/", HISTORY_REASON),
    stays(Codex, "history.jsonl", HISTORY_REASON),
    text(Gemini, "GEMINI.md", Instructs),
    row(Gemini, "settings.json", Json, Starts).keys(GEMINI_SETTINGS),
    text(Gemini, "commands/", Starts),
    text(Gemini, "agents/*.md", Starts),
    text(Gemini, "skills/", Starts),
    text(Gemini, "policies/*.toml", Starts),
    text(Gemini, "hooks/", Starts),
    row(Gemini, "keybindings.json", Json, Starts),
    row(Gemini, "mcp-server-enablement.json", Json, Starts),
    SyncRule { form: Binary, ..asked(Gemini, ".env", Starts, LOGIN_REASON) },
    SyncRule { form: Binary, ..asked(Gemini, "oauth_creds.json", Starts, LOGIN_REASON) },
    SyncRule { form: Binary, ..asked(Gemini, "google_accounts.json", Starts, LOGIN_REASON) },
    SyncRule { form: Binary, ..asked(Gemini, "mcp-oauth-tokens.json", Starts, LOGIN_REASON) },
    SyncRule { form: Binary, ..asked(Gemini, "a2a-oauth-tokens.json", Starts, LOGIN_REASON) },
    SyncRule { form: Binary, ..asked(Gemini, "gemini-credentials.json", Starts, LOGIN_REASON) },
    stays(Gemini, "trustedFolders.json", TRUST_REASON),
    stays(Gemini, "trusted_hooks.json", TRUST_REASON),
    stays(Gemini, "extensions/", "Gemini CLI installs them: `gemini extensions install`"),
    stays(Gemini, "tmp/", HISTORY_REASON),
    text(Agents, "skills/", Starts),
];

/// How those of aiw's own files are read that travel; the table of documents says which do.
const STATE_FILE_RULES: &[SyncRule] = &[
    row(Aiw, crate::generated::PENDING_INSTALLS_PATH, Json, Nothing).keys(PENDING_INSTALL_KEYS).others(Never, Nothing),
    SyncRule {
        form: Json,
        ..asked(Aiw, crate::generated::SECRETS_PATH, Starts, "the secrets of the vault, each sealed to the phrase")
    }
    .keys(&[key("secrets", Starts)])
    .others(Never, Nothing),
    row(Aiw, "settings.json", Json, Starts).keys(AIW_SETTINGS).others(Never, Nothing),
    row(Aiw, "providers.json", Json, Starts).keys(&[
        key("providers", Starts),
        no("providers.*.origins"),
        key("pools", Starts),
        no("$schema"),
    ]),
    row(Aiw, "mcp.json", Json, Starts).keys(&[key("mcpServers", Starts)]),
    text(Aiw, "registry.yaml", Starts),
    text(Aiw, "role/*.md", Instructs),
    text(Aiw, "workflows/*.js", Starts),
];

/// Returns the table, with aiw's own files.
pub fn sync_rules() -> Vec<SyncRule> {
    let stays_own = |kept: &&aiw_home::StatePath| kept.sync == Never;
    let own = STATE_PATHS.iter().filter(stays_own).map(|kept| stays(Aiw, kept.path, kept.reason));
    RULES.iter().chain(STATE_FILE_RULES).copied().chain(own).collect()
}

/// Whether a pattern of a row, with or without its root, leads to a path.
fn fits(pattern: &str, path: &str) -> bool {
    let (pattern, is_directory) = pattern.strip_suffix('/').map_or((pattern, false), |pattern| (pattern, true));
    let mut names = path.split('/');
    for part in pattern.split('/') {
        if !names.next().is_some_and(|name| matches_wildcard(part, name)) {
            return false;
        }
    }
    names.next().is_some() == is_directory
}

/// Whether a pattern with its root leads to a path.
pub(crate) fn is_covered(pattern: &str, path: &SyncPath) -> bool {
    pattern
        .split_once(':')
        .is_some_and(|(root, pattern)| root == path.root.as_str() && fits(pattern, path.relative_path()))
}

/// Whether a path is one that is left out, or below one.
pub(crate) fn is_within(left_out: &str, path: &SyncPath) -> bool {
    let path = path.to_string();
    let left_out = left_out.strip_suffix('/').unwrap_or(left_out);
    path.strip_prefix(left_out).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || left_out.ends_with(':'))
}

/// The user's choice of what travels.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    include: Vec<String>,
    exclude: Vec<String>,
    rows: Vec<SyncRule>,
}

impl Scope {
    pub(crate) fn new(include: Vec<String>, exclude: Vec<String>) -> Self {
        Self { include, exclude, rows: sync_rules() }
    }

    /// Returns the row of a path.
    pub(crate) fn lookup_rule(&self, path: &SyncPath) -> Option<&SyncRule> {
        self.rows.iter().find(|row| row.root == path.root && fits(row.path, path.relative_path()))
    }

    /// Returns the row of a path that travels from and to this machine.
    pub(crate) fn rule(&self, path: &SyncPath) -> Option<&SyncRule> {
        let row = self.lookup_rule(path).filter(|row| self.is_row_in(row))?;
        (!self.exclude.iter().any(|left_out| is_within(left_out, path))).then_some(row)
    }

    fn is_row_in(&self, row: &SyncRule) -> bool {
        match row.policy {
            Always => true,
            OnRequest => self.include.contains(&row.pattern()),
            Never => false,
        }
    }

    /// Returns the rows that travel.
    pub(crate) fn synced_rules(&self) -> impl Iterator<Item = &SyncRule> {
        self.rows.iter().filter(|row| self.is_row_in(row))
    }

    /// Returns what is left out of them.
    pub(crate) fn excluded(&self) -> &[String] {
        &self.exclude
    }

    /// Returns the patterns of what travels from a set of roots.
    pub(crate) fn patterns(&self, roots: &BTreeSet<SyncRoot>) -> Vec<String> {
        self.synced_rules().filter(|row| roots.contains(&row.root)).map(SyncRule::pattern).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// The names in backticks at the beginning of a text, up to its first colon or cell.
    fn names(text: &str) -> Vec<String> {
        let parts: Vec<&str> = text.split('`').collect();
        let is_between = |between: &str| matches!(between, "" | ", ");
        let beginning = parts.chunks(2).take_while(|pair| is_between(pair[0]));
        beginning.filter_map(|pair| pair.get(1)).map(|name| (*name).to_owned()).collect()
    }

    /// The keys of the settings, as docs/files.md describes them: one list entry each.
    fn described() -> Vec<String> {
        let document = include_str!("../../../docs/files.md");
        let section = document.split("## settings.json\n").nth(1).unwrap().split("\n## ").next().unwrap();
        let entries = section.lines().filter_map(|line| line.strip_prefix("- "));
        entries.flat_map(names).filter(|name| !name.is_empty()).collect()
    }

    /// What docs/security.md says becomes of keys that come from other machines.
    fn promised() -> BTreeMap<String, String> {
        let document = include_str!("../../../docs/security.md");
        let section = document.split("## Configuration from other machines\n").nth(1).unwrap();
        let table = section.split("\n## ").next().unwrap().lines().filter_map(|line| line.strip_prefix("| `"));
        let mut promised = BTreeMap::new();
        for line in table {
            let line = format!("`{line}");
            let cells: Vec<&str> = line.trim_end_matches(" |").split(" | ").collect();
            for name in names(cells[0]) {
                assert!(promised.insert(name.clone(), cells[2].to_owned()).is_none(), "{name} is there twice");
            }
        }
        promised
    }

    #[test]
    fn every_key_that_is_a_choice_of_the_user_is_agreed_to_or_stays() {
        let (described, promised) = (described(), promised());
        assert!(described.len() > 20 && described.contains(&"health.every".to_owned()), "{described:?}");
        let rows = sync_rules();
        let row = rows.iter().find(|row| row.pattern() == "aiw:settings.json").unwrap();
        let path = |name: &str| -> Vec<String> {
            name.split('.').map(|part| part.trim_matches(['<', '>']).to_owned()).collect()
        };
        for name in &described {
            let says =
                promised.get(name).unwrap_or_else(|| panic!("docs/security.md does not say what becomes of `{name}`"));
            let key = path(name);
            let (travels, effect) = (row.is_key_synced(&key), row.key_effect(&key));
            let is = match says.as_str() {
                "stays here" => travels == Some(false),
                "you agree" => travels != Some(false) && effect == Starts,
                "comes" => travels == Some(true) && effect == Nothing,
                other => panic!("`{name}`: {other}"),
            };
            assert!(is, "`{name}` {says}, but the table says {travels:?}, {effect:?}");
        }
        for name in promised.keys() {
            assert!(described.contains(name), "docs/files.md does not describe `{name}`");
        }
        // What is no setting and travels: all of it is agreed to, but what a model reads and wishes.
        for row in rows.iter().filter(|row| row.root == Aiw && row.policy != Never && row.path != "settings.json") {
            let is_read = row.path == "role/*.md" || row.path == crate::generated::PENDING_INSTALLS_PATH;
            assert!(is_read || row.effect == Starts, "{}", row.pattern());
        }
    }
}
