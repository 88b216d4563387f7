//! Which servers' tools a client lists. What is left out is found and called all the same.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;

use aiw_core::{matches_wildcard, pluralize};
use aiw_home::ListSettings;

use crate::ServerUsage;

/// The tokens of all listed tools, unless the settings say otherwise: their definitions are in a model's context from
/// the first message on.
const DEFAULT_MAX_TOKENS: usize = 5000;

/// The most listed tools, unless the settings say otherwise.
const DEFAULT_MAX_TOOLS: usize = 100;

/// A server that was called within this time was used lately.
const RECENT_USE_WINDOW_SECS: u64 = 30 * 24 * 60 * 60;

/// Some tools: how many, and their tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// How many tools.
    pub tools: usize,
    /// The tokens of their definitions.
    pub tokens: usize,
}

impl Cost {
    /// The cost of tools that cost so many tokens each.
    pub fn new(tools: impl IntoIterator<Item = usize>) -> Self {
        tools.into_iter().fold(Self::default(), |sum, tokens| Self {
            tools: sum.tools + 1,
            tokens: sum.tokens.saturating_add(tokens),
        })
    }

    fn fits(self, room: Self) -> bool {
        self.tools <= room.tools && self.tokens <= room.tokens
    }

    fn without(self, other: Self) -> Self {
        Self { tools: self.tools.saturating_sub(other.tools), tokens: self.tokens.saturating_sub(other.tokens) }
    }
}

/// The limits of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListingLimits {
    most: Cost,
    always: Vec<String>,
    never: Vec<String>,
}

impl ListingLimits {
    /// The limits of the settings, and of a profile where it says otherwise.
    pub fn from_settings(settings: &ListSettings, profile: &ListSettings) -> Self {
        let names = |profile: &Option<Vec<String>>, settings: &Option<Vec<String>>| {
            profile.as_ref().or(settings.as_ref()).into_iter().flatten().map(|name| name.to_lowercase()).collect()
        };
        Self {
            most: Cost {
                tools: profile.tools.or(settings.tools).unwrap_or(DEFAULT_MAX_TOOLS),
                tokens: profile.tokens.or(settings.tokens).unwrap_or(DEFAULT_MAX_TOKENS),
            },
            always: names(&profile.always, &settings.always),
            never: names(&profile.never, &settings.never),
        }
    }

    /// The names of servers that are to be listed always or never, and that none of these has.
    pub fn unknown_servers<'a>(&self, servers: impl Iterator<Item = &'a str> + Clone) -> Vec<&str> {
        let names = self.always.iter().chain(&self.never).map(String::as_str);
        names.filter(|name| !servers.clone().any(|server| matches_wildcard(name, &server.to_lowercase()))).collect()
    }
}

/// A server whose tools could be listed.
#[derive(Debug, Clone, PartialEq)]
pub struct ListableServer {
    /// Its key.
    pub server: String,
    /// The cost of its tools.
    pub cost: Cost,
    /// How much it was used; none if it was never called.
    pub usage: Option<ServerUsage>,
}

impl ListableServer {
    /// The servers of some tools, by name. Of each tool it needs the server, and what it costs; `usage` says how
    /// much a server was used.
    pub(crate) fn from_tools<'a>(
        tools: impl Iterator<Item = (&'a str, usize)>,
        usage: impl Fn(&str) -> Option<ServerUsage>,
    ) -> Vec<Self> {
        let mut servers: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (server, tokens) in tools {
            servers.entry(server).or_default().push(tokens);
        }
        let candidate = |(server, tokens): (&str, Vec<usize>)| Self {
            server: server.to_owned(),
            cost: Cost::new(tokens),
            usage: usage(server),
        };
        servers.into_iter().map(candidate).collect()
    }
}

/// The decision about a server's tools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListingChoice {
    /// The server.
    pub server: String,
    /// The cost of its tools.
    pub cost: Cost,
    /// Why they are listed, or not.
    pub reason: ListingReason,
}

/// Why a server's tools are listed, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListingReason {
    /// The settings name it.
    Always,
    /// It was used lately, and there is room.
    RecentlyUsed,
    /// There is room.
    WithinBudget,
    /// The settings exclude it.
    Never,
    /// There is no room: what was left, and of how much.
    OverBudget {
        /// The cost that was left when its turn came.
        left: Cost,
        /// The limits.
        most: Cost,
    },
}

impl ListingReason {
    /// The reason in one word.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::RecentlyUsed => "used",
            Self::WithinBudget => "fits",
            Self::Never => "never",
            Self::OverBudget { .. } => "over-budget",
        }
    }
}

impl ListingChoice {
    /// Whether its tools are listed.
    pub fn is_listed(&self) -> bool {
        matches!(self.reason, ListingReason::Always | ListingReason::RecentlyUsed | ListingReason::WithinBudget)
    }
}

impl fmt::Display for ListingChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            ListingReason::Always => f.write_str("`always` in `mcp.list`"),
            ListingReason::RecentlyUsed => f.write_str("used lately"),
            ListingReason::WithinBudget => f.write_str("there is room"),
            ListingReason::Never => f.write_str("`never` in `mcp.list`"),
            ListingReason::OverBudget { left, most } if self.cost.tokens > left.tokens => write!(
                f,
                "{} tokens > {} left of {} (raise `mcp.list.tokens`)",
                self.cost.tokens, left.tokens, most.tokens
            ),
            ListingReason::OverBudget { left, most } => write!(
                f,
                "{} > {} left of {} (raise `mcp.list.tools`)",
                pluralize(self.cost.tools, "tool"),
                left.tools,
                most.tools
            ),
        }
    }
}

/// Chooses the servers whose tools are listed beside aiw's own, which come first in the limits: those that the settings
/// name, then those used most lately, then the smallest. A server is listed whole or not at all, and the next smaller one
/// has the room that it leaves. The answer has the order of `servers`.
pub fn choose(servers: &[ListableServer], own: Cost, limits: &ListingLimits, now: u64) -> Vec<ListingChoice> {
    let is_in =
        |names: &[String], server: &str| names.iter().any(|name| matches_wildcard(name, &server.to_lowercase()));
    let lately = |server: &ListableServer| {
        server.usage.filter(|usage| now.saturating_sub(usage.last_used) < RECENT_USE_WINDOW_SECS)
    };
    let mut turns: Vec<usize> = (0..servers.len()).collect();
    turns.sort_by_key(|at| {
        let server = &servers[*at];
        // In thousandths, which can be compared.
        let used = lately(server).map(|usage| (usage.score_at(now) * 1000.0) as u64);
        (
            !is_in(&limits.always, &server.server),
            Reverse(used),
            server.cost.tokens,
            server.cost.tools,
            server.server.as_str(),
        )
    });
    let mut left = limits.most.without(own);
    let mut reasons = BTreeMap::new();
    for at in turns {
        let server = &servers[at];
        let reason = if is_in(&limits.never, &server.server) {
            ListingReason::Never
        } else if is_in(&limits.always, &server.server) {
            ListingReason::Always
        } else if !server.cost.fits(left) {
            ListingReason::OverBudget { left, most: limits.most }
        } else if lately(server).is_some() {
            ListingReason::RecentlyUsed
        } else {
            ListingReason::WithinBudget
        };
        if matches!(reason, ListingReason::Always | ListingReason::RecentlyUsed | ListingReason::WithinBudget) {
            left = left.without(server.cost);
        }
        reasons.insert(at, reason);
    }
    let choice = |(server, reason): (&ListableServer, ListingReason)| ListingChoice {
        server: server.server.clone(),
        cost: server.cost,
        reason,
    };
    servers.iter().zip(reasons.into_values()).map(choice).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 100 * RECENT_USE_WINDOW_SECS;

    fn candidate(server: &str, tools: usize, tokens: usize, used: Option<u64>) -> ListableServer {
        let usage = used.map(|last_used| ServerUsage { last_used, score: 1.0 });
        ListableServer { server: server.to_owned(), cost: Cost { tools, tokens }, usage }
    }

    fn limits(tokens: usize, tools: usize, always: &[&str], never: &[&str]) -> ListingLimits {
        let owned = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
        let settings =
            ListSettings { tokens: Some(tokens), tools: Some(tools), always: owned(always), never: owned(never) };
        ListingLimits::from_settings(&settings, &ListSettings::default())
    }

    fn listed(choices: &[ListingChoice]) -> Vec<&str> {
        choices.iter().filter(|choice| choice.is_listed()).map(|choice| choice.server.as_str()).collect()
    }

    #[test]
    fn what_is_pinned_comes_first_then_what_was_used_lately_then_what_is_small() {
        let servers = [
            candidate("big", 40, 4000, None),
            candidate("mid", 10, 1500, Some(NOW - 10)),
            candidate("old", 10, 1500, Some(NOW - RECENT_USE_WINDOW_SECS)),
            candidate("small", 2, 200, None),
            candidate("tiny", 1, 100, None),
        ];
        let own = Cost { tools: 10, tokens: 2000 };
        let of = |limits: &ListingLimits| listed(&choose(&servers, own, limits, NOW)).join(" ");
        assert_eq!(of(&limits(5000, 100, &[], &[])), "mid small tiny");
        assert_eq!(of(&limits(5000, 100, &["BIG"], &[])), "big");
        assert_eq!(of(&limits(5000, 100, &[], &["t*", "mid"])), "old small");
        // A denial counts more, and no budget lists nothing.
        assert_eq!(of(&limits(5000, 100, &["big"], &["big"])), "mid small tiny");
        assert_eq!(of(&limits(2000, 100, &[], &[])), "");
        assert_eq!(of(&limits(50_000, 13, &[], &[])), "small tiny");
        // Of two that were used, the later one, unless the other was used more.
        const DAY: u64 = 24 * 60 * 60;
        let mut rivals = [candidate("a", 1, 900, Some(NOW - DAY)), candidate("b", 1, 900, Some(NOW - 40))];
        let of_rivals =
            |rivals: &[_]| listed(&choose(rivals, Cost::default(), &limits(1000, 100, &[], &[]), NOW)).join(" ");
        assert_eq!(of_rivals(&rivals), "b");
        rivals[0].usage = Some(ServerUsage { last_used: NOW - DAY, score: 3.0 });
        assert_eq!(of_rivals(&rivals), "a");
    }

    #[test]
    fn a_server_that_is_left_out_says_what_was_missing() {
        let servers = [candidate("a", 3, 900, None), candidate("b", 60, 2000, None), candidate("c", 1, 1, None)];
        let choices = choose(&servers, Cost { tools: 5, tokens: 500 }, &limits(3000, 50, &[], &["c"]), NOW);
        let said: Vec<String> = choices.iter().map(ListingChoice::to_string).collect();
        assert_eq!(said[0], "there is room");
        assert_eq!(said[1], "2000 tokens > 1600 left of 3000 (raise `mcp.list.tokens`)");
        assert_eq!(said[2], "`never` in `mcp.list`");
        let choices = choose(&servers, Cost::default(), &limits(9000, 50, &[], &[]), NOW);
        assert_eq!(choices[1].to_string(), "60 tools > 46 left of 50 (raise `mcp.list.tools`)");
    }

    #[test]
    fn a_profile_says_otherwise_field_by_field() {
        let settings = ListSettings { tokens: Some(1), always: Some(vec!["a".into()]), ..ListSettings::default() };
        let profile = ListSettings { tokens: Some(7), always: Some(Vec::new()), ..ListSettings::default() };
        let limits = ListingLimits::from_settings(&settings, &profile);
        assert_eq!((limits.most, limits.always.len()), (Cost { tools: DEFAULT_MAX_TOOLS, tokens: 7 }, 0));
        let limits = ListingLimits::from_settings(&settings, &ListSettings::default());
        assert_eq!((limits.most.tokens, limits.unknown_servers(["b", "c"].into_iter())), (1, vec!["a"]));
    }

    fn servers() -> impl Strategy<Value = Vec<ListableServer>> {
        let one =
            ("[a-d]{1,2}", 1..80usize, 1..6000usize, proptest::option::of(NOW - 2 * RECENT_USE_WINDOW_SECS..NOW + 5));
        proptest::collection::btree_map("[a-d]{1,3}", one, 0..12).prop_map(|all| {
            let of = |(name, (_, tools, tokens, used)): (String, _)| candidate(&name, tools, tokens, used);
            all.into_iter().map(of).collect()
        })
    }

    proptest! {
        #[test]
        fn the_limits_hold_but_for_what_is_pinned(
            servers in servers(), tokens in 0..12_000usize, tools in 0..150usize, own in (0..40usize, 0..6000usize),
            always in proptest::collection::vec("[a-d*]{1,2}", 0..2),
        ) {
            let always: Vec<&str> = always.iter().map(String::as_str).collect();
            let own = Cost { tools: own.0, tokens: own.1 };
            let limits = limits(tokens, tools, &always, &["d*"]);
            let choices = choose(&servers, own, &limits, NOW);
            // Each server has an answer, in the order that it came in.
            prop_assert!(choices.iter().map(|c| &c.server).eq(servers.iter().map(|s| &s.server)));
            let sum = |of: &dyn Fn(&&ListingChoice) -> bool| {
                let costs = choices.iter().filter(|c| c.is_listed()).filter(of).map(|choice| choice.cost);
                costs.fold(own, |a, b| Cost { tools: a.tools + b.tools, tokens: a.tokens + b.tokens })
            };
            let (all, pinned) = (sum(&|_| true), sum(&|choice| choice.reason == ListingReason::Always));
            if all != pinned {
                prop_assert!(all.tools <= tools && all.tokens <= tokens, "{all:?} {choices:?}");
            }
            prop_assert!(choices.iter().all(|c| !(c.server.starts_with('d') && c.is_listed())));
            // The order in which servers come makes no difference, so the list is the same each time.
            let mut turned: Vec<ListableServer> = servers.clone();
            turned.reverse();
            let mut again = choose(&turned, own, &limits, NOW);
            again.reverse();
            prop_assert_eq!(&again, &choices);
            // Whatever is left out would not fit beside what is listed.
            let room = limits.most.without(all);
            for choice in choices.iter().filter(|c| matches!(c.reason, ListingReason::OverBudget { .. })) {
                prop_assert!(!choice.cost.fits(room), "{choice:?} {room:?}");
            }
        }
    }
}
