//! Patterns for the tools of MCP servers.

use aiw_core::matches_wildcard;

/// `server/tool`, where `*` stands for any characters of one of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToolPattern<'a> {
    server: &'a str,
    tool: &'a str,
}

impl<'a> ToolPattern<'a> {
    /// Parses a pattern. Returns `None` if it is not one.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (server, tool) = text.split_once('/')?;
        let is_part = |part: &str| {
            (1..=128).contains(&part.len())
                && part != "."
                && part != ".."
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-:@*".contains(&b))
        };
        // The tools of some servers have `/` in their names; those must be named by a pattern with `*`.
        (is_part(server) && is_part(tool)).then_some(Self { server, tool })
    }

    /// Whether it names one tool of one server.
    pub fn is_exact(&self) -> bool {
        !self.server.contains('*') && !self.tool.contains('*')
    }

    /// Whether it covers a tool. Only a name covers one that may destroy something.
    pub fn matches(&self, server: &str, tool: &str, destructive: bool) -> bool {
        (self.is_exact() || !destructive) && matches_wildcard(self.server, server) && matches_wildcard(self.tool, tool)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_part_of_a_name_and_no_destructive_tool() {
        let covers = |pattern, server, tool, destructive| {
            ToolPattern::parse(pattern).unwrap().matches(server, tool, destructive)
        };
        for (pattern, server, tool) in [
            ("*/*", "a", "b"),
            ("*/*", "a", "b/c"),
            ("a/get_*", "a", "get_"),
            ("a/*_x_*", "a", "1_x_2"),
            ("a/b", "a", "b"),
        ] {
            assert!(covers(pattern, server, tool, false), "{pattern}");
            assert_eq!(covers(pattern, server, tool, true), !pattern.contains('*'), "{pattern}");
        }
        for (pattern, server, tool) in [
            ("a/b", "a", "bc"),
            ("a/b", "aa", "b"),
            ("a/get_*", "a", "xget_1"),
            ("a/*x*x", "a", "x"),
            ("a/ab*ba", "a", "aba"),
            ("a*/b", "ba", "b"),
        ] {
            assert!(!covers(pattern, server, tool, false), "{pattern} {server}/{tool}");
        }
        let stars = format!("{}/x", "*a".repeat(60));
        assert!(!covers(&stars, &"a".repeat(1 << 20).replace("aaaa", "bbbb"), "x", false));
    }
}
