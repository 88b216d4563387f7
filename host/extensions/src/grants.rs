use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::{About, INTERFACES};

/// One thing that a component may do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Capability {
    /// `imports`, `hosts`, `origins`, `settings`, `tasks`.
    pub kind: String,
    /// The interface, host pattern, origin or key.
    pub value: String,
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = &self.value;
        match self.kind.as_str() {
            "hosts" if value == "*" => f.write_str("ask any public host over HTTPS"),
            "hosts" => write!(f, "ask `{value}` over HTTPS"),
            "origins" if value == "git:*" => f.write_str("read git repositories on any public host"),
            "origins" if value == "directory" => f.write_str("read directories that you name"),
            "origins" => write!(f, "read git repositories on `{}`", value.trim_start_matches("git:")),
            "settings" => write!(f, "read its setting `{value}`"),
            "tasks" => write!(f, "{value} tasks"),
            _ => match INTERFACES.iter().find(|(name, _)| name == value) {
                Some((name, what)) => write!(f, "{what} (`{name}`)"),
                None => write!(f, "import `{value}`, which is empty here"),
            },
        }
    }
}

/// What a component asks for, or what the user agreed to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grants(BTreeSet<Capability>);

impl Grants {
    /// What a component asks for: its imports and its manifest.
    pub fn wanted(about: &About) -> Self {
        let manifest = &about.manifest;
        let of = |kind: &str, values: &[String]| {
            let kind = kind.to_owned();
            values.iter().map(move |value| Capability { kind: kind.clone(), value: value.clone() }).collect::<Vec<_>>()
        };
        // `types` is an import of every component and gives nothing.
        let imports: Vec<String> = about.interfaces().into_iter().filter(|name| name != "types").collect();
        let lists = [
            of("imports", &imports),
            of("hosts", &manifest.hosts),
            of("origins", &manifest.origins),
            of("settings", &manifest.settings),
            of("tasks", &manifest.tasks),
        ];
        Self(lists.into_iter().flatten().collect())
    }

    /// As the lock file has them.
    pub fn from_map(map: &BTreeMap<String, Vec<String>>) -> Self {
        let pairs = map.iter().flat_map(|(kind, values)| values.iter().map(move |value| (kind, value)));
        Self(pairs.map(|(kind, value)| Capability { kind: kind.clone(), value: value.clone() }).collect())
    }

    /// For the lock file.
    pub fn to_map(&self) -> BTreeMap<String, Vec<String>> {
        let mut map: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for capability in &self.0 {
            map.entry(capability.kind.clone()).or_default().push(capability.value.clone());
        }
        map
    }

    /// The values of one kind.
    pub fn values(&self, kind: &str) -> Vec<String> {
        self.0.iter().filter(|c| c.kind == kind).map(|c| c.value.clone()).collect()
    }

    /// Whether a capability is among them.
    pub fn allows(&self, kind: &str, value: &str) -> bool {
        self.0.contains(&Capability { kind: kind.to_owned(), value: value.to_owned() })
    }

    /// What is in `self` and not in `agreed`: what an update asks for in addition.
    pub fn beyond(&self, agreed: &Self) -> Vec<Capability> {
        self.0.difference(&agreed.0).cloned().collect()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Capability> {
        self.0.iter()
    }
}
