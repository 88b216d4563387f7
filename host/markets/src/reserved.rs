//! Names that belong to Anthropic's own marketplaces; Claude Code re-checks them at every
//! load. <https://code.claude.com/docs/en/plugin-marketplaces>

use aiw_core::MarketKind;
use aiw_home::MarketSettings;

use crate::source::is_github_repo;
use aiw_core::is_confusable;

const RESERVED_NAMES: [&str; 16] = [
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

/// Whether a name is reserved, or imitates one that is.
pub fn is_reserved(name: &str) -> bool {
    let name: String = name.chars().map(|c| if c == '_' || c == '.' { '-' } else { c.to_ascii_lowercase() }).collect();
    let words: Vec<&str> = name.split('-').filter(|w| !w.is_empty()).collect();
    let has = |word: &str| words.contains(&word);
    RESERVED_NAMES.contains(&name.as_str())
        || has("anthropic")
        || has("anthropics")
        || (has("claude") && has("official"))
        || name == "claude-code-official"
        || words.split_last().is_some_and(|(last, stem)| {
            let version = last.trim_start_matches('v');
            !version.is_empty()
                && version.bytes().all(|b| b.is_ascii_digit())
                && RESERVED_NAMES.contains(&stem.join("-").as_str())
        })
}

/// The reserved name that a name could be mistaken for, unless it is one itself.
pub fn confusable_reserved_name(name: &str) -> Option<&'static str> {
    if is_reserved(name) {
        return None;
    }
    let words: Vec<&str> = name.split(['-', '_', '.']).collect();
    let has = |word: &str| words.iter().any(|w| is_confusable(w, word));
    let whole = RESERVED_NAMES.into_iter().find(|reserved| is_confusable(name, reserved));
    whole.or_else(|| has("anthropic").then_some("anthropic")).or_else(|| {
        let both = has("claude") && has("official");
        both.then_some("claude-plugins-official")
    })
}

/// Whether a source may use a reserved name: a repository under github.com/anthropics, as aiw itself reads it.
pub fn is_anthropic(market: &MarketSettings) -> bool {
    // Another component may read the same text differently.
    if market.extension.is_some() {
        return false;
    }
    let location = market.location.to_ascii_lowercase();
    let prefixes: &[&str] = match market.kind {
        MarketKind::Github => &["anthropics/"],
        MarketKind::Git => {
            &["https://github.com/anthropics/", "ssh://git@github.com/anthropics/", "git@github.com:anthropics/"]
        }
        _ => return false,
    };
    // It must be exactly a name: `anthropics/../other/x` leads elsewhere.
    let name = prefixes.iter().find_map(|prefix| location.strip_prefix(prefix));
    let name = name.map(|name| name.strip_suffix('/').unwrap_or(name));
    name.is_some_and(|name| is_github_repo(&format!("anthropics/{}", name.strip_suffix(".git").unwrap_or(name))))
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

    #[test]
    fn names_that_are_taken_for_reserved_ones_are_known_by_them() {
        for (name, reserved) in [
            ("cIaude-plugins-official", "claude-plugins-official"),
            ("claude-plugins-offical", "claude-plugins-official"),
            ("CLAUDE-PLUGINS-0FFICIAL", "claude-plugins-official"),
            ("claude-code-plugin", "claude-code-plugins"),
            ("agent-ski11s", "agent-skills"),
            ("healthcane", "healthcare"),
            ("anthr0pic-extras", "anthropic"),
            ("antropic.tools", "anthropic"),
            ("officiaI-claude-x", "claude-plugins-official"),
        ] {
            assert_eq!(confusable_reserved_name(name), Some(reserved), "{name}");
        }
        for name in [
            // Refused by themselves.
            "claude-plugins-official",
            "anthropic-extras",
            // Of the marketplaces that were seen.
            "claude-code-workflows",
            "claude-code-lsps",
            "trailofbits",
            "superpowers-marketplace",
            "every-marketplace",
            "acme-tools",
            "my-plugins",
            "skills",
            "health",
        ] {
            assert_eq!(confusable_reserved_name(name), None, "{name}");
        }
    }

    #[test]
    fn only_what_aiw_reads_from_anthropics_repositories_is_theirs() {
        let market = |kind: &str, location: &str, extension: Option<&str>| MarketSettings {
            name: "m".parse().unwrap(),
            kind: kind.parse().unwrap(),
            location: location.into(),
            reference: None,
            extension: extension.map(|id| id.parse().unwrap()),
            enabled: true,
        };
        for (kind, location) in [
            ("github", "anthropics/skills"),
            ("github", "Anthropics/skills"),
            ("git", "https://github.com/anthropics/skills.git"),
            ("git", "https://github.com/anthropics/skills/"),
            ("git", "git@github.com:anthropics/skills.git"),
            ("git", "ssh://git@github.com/anthropics/skills"),
        ] {
            assert!(is_anthropic(&market(kind, location, None)), "{location}");
            assert!(!is_anthropic(&market(kind, location, Some("acme-index"))), "{location}");
        }
        for (kind, location) in [
            ("github", "anthropics/../other/skills"),
            ("github", "anthropics-fan/skills"),
            ("git", "https://github.com/anthropics/../other/skills.git"),
            ("git", "https://github.com/anthropics/%2e%2e/other/skills.git"),
            ("git", "https://github.com.evil.example/anthropics/skills.git"),
            ("git", "git@evil.example:anthropics/skills.git"),
            ("directory", "anthropics/skills"),
        ] {
            assert!(!is_anthropic(&market(kind, location, None)), "{location}");
        }
    }
}
