//! Profiles: which tools a client may see and call.

use std::sync::Arc;

use aiw_core::matches_wildcard;
use aiw_home::{ListSettings, ProfileSettings};

/// Where a session's profile comes from. It is read again when the settings change.
pub type ProfileSource = Arc<dyn Fn() -> Profile + Send + Sync>;

/// Which tools a client may see and call. What is denied is denied, whatever is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Profile {
    /// Patterns of the tools that are allowed; without a list, all are.
    allow: Option<Vec<Pattern>>,
    deny: Vec<Pattern>,
    /// Tools that scripts call without asking, as patterns of [`matches_any_pattern`].
    scripts: Vec<String>,
    /// Settings of the listing that differ from the general ones.
    pub(crate) list: ListSettings,
}

/// `server/tool` with `*` for any text, `server` for all of its tools, or `read-only`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    /// Every tool that says that it changes nothing.
    ReadOnly,
    /// By names, in lower case.
    Glob {
        /// The servers.
        server: String,
        /// The tools.
        tool: String,
    },
}

impl Pattern {
    /// Reads a pattern. Names that differ only in case are the same for a reader, so they are here.
    pub fn parse(text: &str) -> Self {
        let text = text.to_lowercase();
        if text == "read-only" {
            return Self::ReadOnly;
        }
        let (server, tool) = text.split_once('/').unwrap_or((text.as_str(), "*"));
        Self::Glob { server: server.to_owned(), tool: tool.to_owned() }
    }

    /// Whether it means a tool. `is_read_only` says whether the tool declares that it changes nothing.
    pub fn matches(&self, server: &str, tool: &str, only_reads: bool) -> bool {
        match self {
            Self::ReadOnly => only_reads,
            Self::Glob { server: servers, tool: tools } => {
                matches_wildcard(servers, &server.to_lowercase()) && matches_wildcard(tools, &tool.to_lowercase())
            }
        }
    }
}

/// A tool that a profile can be about: its server, its name, and whether it only reads.
pub type KnownTool = (String, String, bool);

/// The patterns that match none of the known tools, nor anything of a server whose tools are not known yet. A denial
/// that matches nothing protects from nothing.
pub fn unmatched_patterns<'a>(
    patterns: impl IntoIterator<Item = &'a String>,
    tools: &[KnownTool],
    unknown: &[String],
) -> Vec<&'a String> {
    let is_idle = |text: &&String| match Pattern::parse(text) {
        Pattern::Glob { server, .. } if unknown.iter().any(|key| matches_wildcard(&server, &key.to_lowercase())) => {
            false
        }
        pattern => !tools.iter().any(|(server, tool, reads)| pattern.matches(server, tool, *reads)),
    };
    patterns.into_iter().filter(is_idle).collect()
}

impl Profile {
    /// Everything.
    pub fn allow_all() -> Self {
        Self::default()
    }

    /// The profile that allows no tool of a server.
    pub fn deny_all() -> Self {
        Self { allow: Some(Vec::new()), ..Self::default() }
    }

    /// A profile of the settings.
    pub fn from_settings(settings: &ProfileSettings) -> Self {
        let parsed = |patterns: &[String]| patterns.iter().map(|text| Pattern::parse(text)).collect();
        Self {
            allow: settings.allow.as_deref().map(parsed),
            deny: parsed(&settings.deny),
            scripts: settings.scripts.clone(),
            list: settings.list.clone(),
        }
    }

    /// Whether scripts call a tool that may change something without asking.
    pub fn allows_script_call(&self, server: &str, tool: &str) -> bool {
        matches_any_pattern(&self.scripts, server, tool)
    }

    /// Whether it allows a tool. `is_read_only` says whether the tool declares that it changes nothing.
    pub fn allows(&self, server: &str, tool: &str, only_reads: bool) -> bool {
        let is_in = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(server, tool, only_reads));
        self.allow.as_deref().is_none_or(is_in) && !is_in(&self.deny)
    }

    /// Whether it allows a tool of aiw's own. Tools that only reach what the profile allows need no permission.
    pub fn allows_builtin_tool(&self, tool: &str, only_reads: bool, is_door: bool) -> bool {
        let denied = self.deny.iter().any(|pattern| pattern.matches(AIW_SERVER_NAME, tool, only_reads));
        !denied && (is_door || self.allows(AIW_SERVER_NAME, tool, only_reads))
    }
}

/// Whether one of these patterns means a tool: `server/tool` with `*` for any text, or `server` for all of its tools.
/// Case counts, since what is like a name that was allowed was not allowed.
pub fn matches_any_pattern(patterns: &[String], server: &str, tool: &str) -> bool {
    patterns.iter().any(|pattern| {
        let (servers, tools) = pattern.split_once('/').unwrap_or((pattern, "*"));
        matches_wildcard(servers, server) && matches_wildcard(tools, tool)
    })
}

/// The name of aiw's own tools in patterns.
pub const AIW_SERVER_NAME: &str = "aiw";

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(allow: Option<&[&str]>, deny: &[&str]) -> Profile {
        let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Profile::from_settings(&ProfileSettings {
            allow: allow.map(owned),
            deny: owned(deny),
            ..ProfileSettings::default()
        })
    }

    #[test]
    fn a_pattern_that_matches_no_tool_is_idle_unless_a_server_is_unknown() {
        let tools = [("fs".to_owned(), "write_file".to_owned(), false), ("fs".to_owned(), "read".to_owned(), true)];
        let patterns =
            ["fs/delete*", "FS/Write_File", "files/*", "git/push", "read-only", "*/x"].map(str::to_owned).to_vec();
        assert_eq!(unmatched_patterns(&patterns, &tools, &[]), ["fs/delete*", "files/*", "git/push", "*/x"]);
        assert_eq!(unmatched_patterns(&patterns, &tools, &["Git".to_owned()]), ["fs/delete*", "files/*"]);
        assert_eq!(unmatched_patterns(&patterns, &[], &[]).len(), 6);
    }

    #[test]
    fn what_is_denied_is_denied_and_without_a_list_everything_else_is_allowed() {
        assert!(Profile::allow_all().allows("a", "b", false));
        let only = profile(Some(&["time/*", "git/git_log", "read-only"]), &["*/delete*", "secret"]);
        for (server, tool, reads, allowed) in [
            ("time", "now", false, true),
            ("time", "delete_all", false, false),
            ("time", "Delete_All", false, false),
            ("TIME", "now", false, true),
            ("Secret", "read", true, false),
            ("git", "git_log", false, true),
            ("git", "git_push", false, false),
            ("git", "git_status", true, true),
            ("secret", "read", true, false),
            ("times", "now", false, false),
        ] {
            assert_eq!(only.allows(server, tool, reads), allowed, "{server}/{tool}");
        }
        assert!(
            only.allows_builtin_tool("call_tool", false, true) && !only.allows_builtin_tool("start_task", false, false)
        );
        assert!(only.allows_builtin_tool("list_tasks", true, false));
        assert!(!profile(None, &["aiw/call_tool"]).allows_builtin_tool("call_tool", false, true));
        assert!(!profile(Some(&[]), &[]).allows("a", "b", true));
    }
}
