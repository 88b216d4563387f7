//! The tools that one client session sees: the only source of `tools/list`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aiw_mcp::Tool;
use parking_lot::{Mutex, RwLock};

/// How long a registered tool stays after its last use.
pub const TTL: Duration = Duration::from_secs(600);

/// The most registered tools. The least recently used one goes first.
pub const MAX_DYNAMIC_TOOLS: usize = 100;

/// How often [`DynamicToolRegistry::sweep`] should be called.
pub const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// The tools of one client session. Base tools stay; the others are registered, and go when they are not used.
pub struct DynamicToolRegistry {
    tools: Mutex<RegisteredTools>,
    /// The tools that the client lists; made anew at each change.
    snapshot: RwLock<Arc<[Tool]>>,
}

#[derive(Default)]
struct RegisteredTools {
    base: Vec<Tool>,
    /// By name, with the time of the last use and a number that tells which of two at the same time came later.
    dynamic: BTreeMap<String, (Tool, Instant, u64)>,
    uses: u64,
}

impl RegisteredTools {
    fn listed(&self) -> Arc<[Tool]> {
        let base = self.base.iter();
        let dynamic = self.dynamic.values().map(|(tool, ..)| tool).filter(|tool| !self.is_base(tool.name()));
        base.chain(dynamic).cloned().collect()
    }

    fn is_base(&self, name: &str) -> bool {
        self.base.iter().any(|tool| tool.name() == name)
    }

    fn use_of(&mut self) -> u64 {
        self.uses += 1;
        self.uses
    }
}

impl DynamicToolRegistry {
    /// A registry with only its base tools.
    pub fn new(base: Vec<Tool>) -> Self {
        let tools = RegisteredTools { base, ..RegisteredTools::default() };
        let snapshot = RwLock::new(tools.listed());
        Self { tools: Mutex::new(tools), snapshot }
    }

    /// The tools that the client lists.
    pub fn tools(&self) -> Arc<[Tool]> {
        self.snapshot.read().clone()
    }

    /// Replaces the base tools. Returns whether the list changed.
    pub fn set_base(&self, base: Vec<Tool>) -> bool {
        self.change(|tools| tools.base = base)
    }

    /// Registers tools; those that are there already count as used. Returns whether the list changed.
    pub fn register(&self, registered: Vec<Tool>, now: Instant) -> bool {
        self.change(|tools| {
            for tool in registered {
                let number = tools.use_of();
                tools.dynamic.insert(tool.name().to_owned(), (tool, now, number));
            }
            while tools.dynamic.len() > MAX_DYNAMIC_TOOLS {
                let oldest = tools.dynamic.iter().min_by_key(|(_, (_, at, number))| (*at, *number));
                let Some(name) = oldest.map(|(name, _)| name.clone()) else { break };
                tools.dynamic.remove(&name);
            }
        })
    }

    /// A tool was called.
    pub fn touch(&self, name: &str, now: Instant) {
        let mut tools = self.tools.lock();
        let number = tools.use_of();
        if let Some((_, at, order)) = tools.dynamic.get_mut(name) {
            (*at, *order) = (now, number);
        }
    }

    /// Removes registered tools that `keep` rejects: their server is gone or has changed them. Returns whether the
    /// list changed.
    pub fn retain(&self, keep: impl Fn(&Tool) -> bool) -> bool {
        self.change(|tools| tools.dynamic.retain(|_, (tool, ..)| keep(tool)))
    }

    /// Removes the tools whose time is over. Returns whether the list changed.
    pub fn sweep(&self, now: Instant) -> bool {
        self.change(|tools| tools.dynamic.retain(|_, (_, at, _)| now.saturating_duration_since(*at) < TTL))
    }

    fn change(&self, change: impl FnOnce(&mut RegisteredTools)) -> bool {
        let mut tools = self.tools.lock();
        change(&mut tools);
        let listed = tools.listed();
        let mut snapshot = self.snapshot.write();
        let changed = **snapshot != *listed;
        if changed {
            *snapshot = listed;
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tool(name: &str) -> Tool {
        Tool::from_definition(json!({"name": name, "inputSchema": {"type": "object"}})).unwrap()
    }

    fn names(registry: &DynamicToolRegistry) -> Vec<String> {
        registry.tools().iter().map(|tool| tool.name().to_owned()).collect()
    }

    #[test]
    fn a_tool_goes_when_its_time_is_over_and_use_extends_it() {
        let registry = DynamicToolRegistry::new(vec![tool("base")]);
        let start = Instant::now();
        assert!(registry.register(vec![tool("a"), tool("b")], start));
        assert!(!registry.register(vec![tool("a")], start));
        let later = start + TTL - Duration::from_secs(1);
        registry.touch("b", later);
        assert!(!registry.sweep(later));
        assert!(registry.sweep(start + TTL));
        assert_eq!(names(&registry), ["base", "b"]);
        assert!(registry.sweep(later + TTL));
        assert_eq!(names(&registry), ["base"]);
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let registry = DynamicToolRegistry::new(Vec::new());
        let now = Instant::now();
        registry.register((0..MAX_DYNAMIC_TOOLS).map(|n| tool(&format!("t{n:03}"))).collect(), now);
        registry.touch("t000", now);
        registry.register(vec![tool("new")], now);
        let names = names(&registry);
        assert_eq!(names.len(), MAX_DYNAMIC_TOOLS);
        assert!(names.contains(&"t000".to_owned()) && !names.contains(&"t001".to_owned()));
        assert!(registry.retain(|tool| tool.name() != "new"));
    }

    #[test]
    fn a_change_is_told_only_if_it_is_one() {
        let registry = DynamicToolRegistry::new(vec![tool("base")]);
        assert!(!registry.set_base(vec![tool("base")]));
        assert!(registry.set_base(vec![tool("base"), tool("more")]));
        // A base tool is not hidden by a registered one.
        assert!(!registry.register(vec![tool("more")], Instant::now()));
        assert_eq!(names(&registry).len(), 2);
    }
}
