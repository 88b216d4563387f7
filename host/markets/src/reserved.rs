//! Names that belong to Anthropic's own marketplaces; Claude Code re-checks them at every
//! load. <https://code.claude.com/docs/en/plugin-marketplaces>

use aiw_home::MarketSettings;

const RESERVED: [&str; 16] = [
    "agent-skills",
    "anthropic-agent-skills",
    "anthropic-marketplace",
    "anthropic-plugins",
    "claude-code-marketplace",
    "claude-code-plugins",
    "claude-community",
    "claude-for-financial-services",
    "claude-for-legal",
    "claude-plugins-community",
    "claude-plugins-official",
    "financial-services-plugins",
    "first-party-plugins",
    "healthcare",
    "knowledge-work-plugins",
    "life-sciences",
];

/// Whether a name is reserved, or made to be taken for one that is.
pub fn is_reserved(name: &str) -> bool {
    let name: String = name.chars().map(|c| if c == '_' || c == '.' { '-' } else { c.to_ascii_lowercase() }).collect();
    let words: Vec<&str> = name.split('-').filter(|w| !w.is_empty()).collect();
    let has = |word: &str| words.contains(&word);
    RESERVED.contains(&name.as_str())
        || has("anthropic")
        || has("anthropics")
        || (has("claude") && has("official"))
        || name == "claude-code-official"
        || words.split_last().is_some_and(|(last, stem)| {
            let version = last.trim_start_matches('v');
            !version.is_empty()
                && version.bytes().all(|b| b.is_ascii_digit())
                && RESERVED.contains(&stem.join("-").as_str())
        })
}

/// Whether a source may bear a reserved name: a repository under github.com/anthropics.
pub fn is_anthropic(market: &MarketSettings) -> bool {
    let location = market.location.to_ascii_lowercase();
    match market.kind.as_str() {
        "github" => location.starts_with("anthropics/"),
        "git" => ["https://github.com/anthropics/", "ssh://git@github.com/anthropics/", "git@github.com:anthropics/"]
            .iter()
            .any(|prefix| location.starts_with(prefix)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_names_and_their_look_alikes_are_known() {
        for name in [
            "claude-plugins-official",
            "Official_Claude.Plugins",
            "anthropic-plugins-v2",
            "life-sciences-2",
            "healthcare",
        ] {
            assert!(is_reserved(name), "{name}");
        }
        for name in ["my-plugins", "claude-tools", "life-sciences-lab", "official-tools", "v2"] {
            assert!(!is_reserved(name), "{name}");
        }
    }
}
