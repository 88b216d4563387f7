//! What needs what, with states: as a tree for people, and as a graph for `dot`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use aiw_supervisor::DependencyCondition;
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::ProcessError;
use crate::manager::Manager;
use crate::state::RunState;

/// The needs of a project's processes
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProcessGraph {
    /// The processes, by id
    pub processes: BTreeMap<String, GraphNode>,
}

/// A process and what it needs
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct GraphNode {
    /// Its state, as in a list
    #[schemars(with = "String")]
    pub state: RunState,
    /// The processes that it waits for before it starts: the state (`ready`, `started`, `healthy` or `completed`), by id
    #[schemars(with = "BTreeMap<String, String>")]
    pub needs: BTreeMap<String, DependencyCondition>,
}

impl Manager {
    /// Returns what needs what in this project.
    pub fn graph(&self) -> Result<ProcessGraph, ProcessError> {
        let node = |needs: Vec<_>, state| GraphNode { state, needs: needs.into_iter().collect() };
        let nodes = self.list()?.into_iter().map(|status| {
            let needs = status.definition.needs.into_iter().map(|need| (need.id, need.until)).collect();
            (status.id, node(needs, status.state))
        });
        Ok(ProcessGraph { processes: nodes.collect() })
    }
}

impl ProcessGraph {
    /// Returns the graph as a tree: below each process what it needs. What was drawn before is not drawn again below.
    pub fn tree(&self) -> String {
        let needed: BTreeSet<&String> = self.processes.values().flat_map(|node| node.needs.keys()).collect();
        let (mut tree, mut drawn) = (String::new(), BTreeSet::new());
        for first in self.processes.keys().filter(|id| !needed.contains(id)) {
            // No recursion: a chain may be long. Each with what is before it, and what its children have before them.
            let mut left = vec![(first.as_str(), String::new(), String::new(), None)];
            while let Some((id, before, below, until)) = left.pop() {
                let node = self.processes.get(id);
                let state = node.map_or_else(|| "not defined".into(), |node| node.state.to_string());
                let is_new = drawn.insert(id);
                let needs = node.filter(|_| is_new).map(|node| &node.needs);
                let is_cut = !is_new && node.is_some_and(|node| !node.needs.is_empty());
                let how =
                    until.filter(|until| *until != DependencyCondition::Ready).map(|until| format!(", needed {until}"));
                let cut = if is_cut { ", as above" } else { "" };
                let _ = writeln!(tree, "{before}{id}  {state}{}{cut}", how.unwrap_or_default());
                let last = needs.and_then(|needs| needs.keys().next_back());
                for (need, until) in needs.into_iter().flatten().rev() {
                    let (mark, line) = if Some(need) == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
                    left.push((need, format!("{below}{mark}"), format!("{below}{line}"), Some(*until)));
                }
            }
        }
        tree
    }

    /// Returns the graph in the language of Graphviz.
    pub fn dot(&self) -> String {
        // No id has a quote.
        let mut dot = "digraph processes {\n".to_owned();
        for (id, GraphNode { state, needs }) in &self.processes {
            let _ = writeln!(dot, "    \"{id}\" [label=\"{id}\\n{state}\"];");
            for (need, until) in needs {
                let _ = writeln!(dot, "    \"{id}\" -> \"{need}\" [label=\"{until}\"];");
            }
        }
        dot.push_str("}\n");
        dot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(needs: &[(&str, &[(&str, DependencyCondition)])]) -> ProcessGraph {
        let node = |needs: &[(&str, DependencyCondition)]| GraphNode {
            state: RunState::NotStarted,
            needs: needs.iter().map(|(id, until)| ((*id).to_owned(), *until)).collect(),
        };
        ProcessGraph { processes: needs.iter().map(|(id, needs)| ((*id).to_owned(), node(needs))).collect() }
    }

    #[test]
    fn each_process_is_drawn_with_what_it_needs_and_only_once_whole() {
        let graph = graph(&[
            ("api", &[("db", DependencyCondition::Ready), ("migrate", DependencyCondition::Completed)]),
            ("db", &[]),
            ("migrate", &[("db", DependencyCondition::Healthy)]),
            ("web", &[("api", DependencyCondition::Ready)]),
            ("worker", &[("api", DependencyCondition::Started), ("gone", DependencyCondition::Ready)]),
        ]);
        let tree = "web  not started\n\
                    └─ api  not started\n   \
                       ├─ db  not started\n   \
                       └─ migrate  not started, needed completed\n      \
                          └─ db  not started, needed healthy\n\
                    worker  not started\n\
                    ├─ api  not started, needed started, as above\n\
                    └─ gone  not defined\n";
        assert_eq!(graph.tree(), tree);
        assert!(graph.dot().contains("\"migrate\" -> \"db\" [label=\"healthy\"];\n"), "{}", graph.dot());
    }

    #[test]
    fn a_long_chain_is_drawn() {
        let ids: Vec<String> = (0..1000).map(|number| format!("p{number:04}")).collect();
        let links: Vec<_> = ids.windows(2).map(|pair| [(pair[1].as_str(), DependencyCondition::Ready)]).collect();
        let needs: Vec<(&str, &[(&str, DependencyCondition)])> =
            ids.iter().zip(&links).map(|(id, need)| (id.as_str(), need.as_slice())).collect();
        assert_eq!(graph(&needs).tree().lines().count(), 1000);
    }
}
