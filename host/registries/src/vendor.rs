//! Whose server a query means: a vendor's own comes before those that others made for it.
//!
//! Only what a registry has checked makes a server somebody's own: the namespace of its publisher, which is a domain, written
//! backwards, or an account (`io.github.ACCOUNT`). Titles, descriptions and addresses of source code are the publisher's words;
//! they count only where they agree with the namespace.

use aiw_core::registry::ServerVersion;
use url::Url;

use crate::publisher::{Publisher, publisher};
use crate::terms::last_segment;

/// How surely a server is what a query names, from the publisher of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PublisherMatch {
    /// No sign of it.
    None,
    /// It is called so, and its publisher has the source code under that name, `io.github.acme/tool` for `tool`, or an
    /// account that is called nearly so, which costs nobody anything: `io.github.acme-labs/acme`.
    Project,
    /// It is called so, and its publisher's domain nearly so: `com.getacme/acme`.
    SimilarDomain,
    /// Its publisher's account is called so, or a part of their domain.
    Account,
    /// Its publisher's domain is called so: `com.acme/anything`.
    Domain,
}

impl PublisherMatch {
    /// The addition to a score, in scores of the best server by words.
    pub(crate) fn weight(self) -> f32 {
        match self {
            Self::None => 0.0,
            Self::Project => 0.2,
            Self::SimilarDomain => 0.6,
            Self::Account => 1.0,
            Self::Domain => 2.0,
        }
    }
}

/// The longest query that can be a name, in words.
const MAX_WORDS: usize = 3;

/// Words that nearly every server has in its name.
const GENERIC_NAME_PARTS: [&str; 3] = ["mcp", "server", "servers"];

/// A name as it is compared: letters and digits, without what nearly every server has in its name.
pub(crate) fn normalize_name(text: &str) -> String {
    let words = || text.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase).filter(|word| !word.is_empty());
    let said: String = words().filter(|word| !GENERIC_NAME_PARTS.contains(&word.as_str())).collect();
    if said.is_empty() { words().collect() } else { said }
}

/// The name that a query may be; none if it is more than a name.
pub(crate) fn parse_name_query(query: &str) -> Option<String> {
    let words = query.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).count();
    (1..=MAX_WORDS).contains(&words).then(|| normalize_name(query)).filter(|name| name.chars().count() > 1)
}

/// Whether a server is what a name says, from the publisher of that name.
pub(crate) fn match_publisher(name: &str, server: &ServerVersion) -> PublisherMatch {
    let Some(publisher) = publisher(server) else { return PublisherMatch::None };
    let (of_publisher, nearly) = match &publisher {
        Publisher::Domain(domain, parts) if parts.is_empty() && normalize_name(domain) == name => {
            return PublisherMatch::Domain;
        }
        Publisher::Domain(domain, _) => (domain, PublisherMatch::SimilarDomain),
        Publisher::Account(account) => (account, PublisherMatch::Project),
    };
    let label = normalize_name(of_publisher);
    if label == name {
        return PublisherMatch::Account;
    }
    if normalize_name(last_segment(&server.name)) != name {
        return PublisherMatch::None;
    }
    if label.starts_with(name) || label.ends_with(name) {
        return nearly;
    }
    let is_source = |address: &String| {
        let url = Url::parse(address).ok()?;
        let mut path = url.path_segments()?;
        let (owner, project) = (path.next()?, path.next()?);
        Some(normalize_name(owner) == label && normalize_name(project.trim_end_matches(".git")) == name)
    };
    match server.repository.as_ref().and_then(is_source) {
        Some(true) => PublisherMatch::Project,
        _ => PublisherMatch::None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::{Path, PathBuf};

    use aiw_core::ExtensionId;
    use aiw_home::Home;
    use serde_json::Value as Json;

    use super::*;
    use crate::copy::tests::server;
    use crate::copy::{CacheState, RegistryCache};
    use crate::merge::{RegistryResults, merge};
    use crate::plan::tests::server_of;
    use crate::publisher::namespace;
    use crate::terms;

    fn at(name: &str, repository: &str) -> ServerVersion {
        ServerVersion { repository: Some(repository.to_owned()).filter(|url| !url.is_empty()), ..server(name, "") }
    }

    #[test]
    fn a_server_is_somebodys_own_by_what_the_registry_has_checked() {
        for (query, name, repository, expected) in [
            ("acme", "com.acme/mcp", "", PublisherMatch::Domain),
            ("Acme MCP server", "com.acme/anything", "", PublisherMatch::Domain),
            ("acme", "uk.co.acme/mcp", "", PublisherMatch::Domain),
            ("big acme", "com.big-acme/mcp", "", PublisherMatch::Domain),
            ("acme", "com.acme.mcp/mcp", "", PublisherMatch::Account),
            ("acme", "io.github.Acme/tool", "", PublisherMatch::Account),
            ("acme", "com.getacme/acme-mcp", "", PublisherMatch::SimilarDomain),
            ("acme", "io.github.acme-labs/mcp-server-acme", "", PublisherMatch::Project),
            ("tool", "io.github.acme/tool", "https://github.com/acme/tool", PublisherMatch::Project),
            ("tool", "io.github.acme/tool", "https://github.com/acme/tool-mcp.git", PublisherMatch::Project),
            // What anybody can write.
            ("acme", "io.github.someone/acme", "https://github.com/acme/acme", PublisherMatch::None),
            ("tool", "io.github.someone/tool", "https://github.com/acme/tool", PublisherMatch::None),
            ("tool", "io.github.acme/tool", "https://github.com/acme/all", PublisherMatch::None),
            ("acme", "com.getacme/other", "", PublisherMatch::None),
            // Who is at somebody's place is not that somebody.
            ("smithery", "com.example.smithery/x", "", PublisherMatch::None),
            ("acme", "ai.smithery/someone-acme", "", PublisherMatch::None),
            ("github", "io.github.someone/github-issues", "", PublisherMatch::None),
            ("github", "io.github.github/github-mcp-server", "", PublisherMatch::Account),
            ("co", "uk.co.acme/mcp", "", PublisherMatch::None),
        ] {
            let name_in = parse_name_query(query).unwrap();
            assert_eq!(match_publisher(&name_in, &at(name, repository)), expected, "{query}: {name} {repository}");
        }
        assert_eq!(
            (parse_name_query("a forecast of the weather"), parse_name_query("x"), parse_name_query("")),
            (None, None, None)
        );
    }

    /// The newest row of each real server.
    fn real() -> Option<Vec<ServerVersion>> {
        let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora");
        let corpora = std::env::var_os("AIW_CORPORA").map_or_else(beside, PathBuf::from);
        let Ok(bytes) = std::fs::read(corpora.join("registry/servers.json")) else {
            println!("skipped: the corpus `registry` is absent (AIW_CORPORA names its folder)");
            return None;
        };
        let rows: Json = serde_json::from_slice(&bytes).unwrap();
        let mut newest: BTreeMap<String, ServerVersion> = BTreeMap::new();
        for row in rows["servers"].as_array().unwrap() {
            let row = &row["server"];
            let known = server_of(row);
            let text = |field: &Json| field.as_str().map(str::to_owned);
            let server = ServerVersion {
                description: text(&row["description"]).unwrap_or_default(),
                title: text(&row["title"]),
                repository: text(&row["repository"]["url"]),
                publisher: namespace(&known.name).map(str::to_owned),
                ..known
            };
            newest.insert(server.name.clone(), server);
        }
        Some(newest.into_values().collect())
    }

    /// Servers that others made for a vendor, with what anybody can write.
    fn copied(vendor: &str) -> [ServerVersion; 3] {
        let names = [
            format!("io.github.someone/{vendor}"),
            format!("io.github.other/{vendor}-mcp-server"),
            format!("ai.smithery/third-{vendor}"),
        ];
        names.map(|name| ServerVersion {
            publisher: namespace(&name).map(str::to_owned),
            repository: Some(format!("https://github.com/{vendor}/{vendor}")),
            ..server(&name, &format!("{vendor} for your assistant: the {vendor} MCP server"))
        })
    }

    #[test]
    fn real_vendors_come_before_copies_of_theirs_and_nothing_else_is_found_less() {
        let Some(real) = real() else { return };
        let domain = |server: &ServerVersion| match publisher(server) {
            Some(Publisher::Domain(domain, _)) => Some(domain.to_owned()),
            _ => None,
        };
        let account = |server: &ServerVersion| match publisher(server) {
            Some(Publisher::Account(account)) => Some(account.to_owned()),
            _ => None,
        };
        let domains: BTreeSet<String> = real.iter().filter_map(domain).collect();
        let accounts: BTreeSet<String> = real.iter().filter_map(account).collect();
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path().join("home"));
        let id: ExtensionId = "acme".parse().unwrap();
        let filled = |name: &str, rows: &[ServerVersion]| {
            let mut copy = RegistryCache::open(&home, &name.parse().unwrap()).unwrap();
            copy.apply_page(rows, &[], &CacheState { pass_number: 1, ..CacheState::default() }).unwrap();
            copy
        };
        let crowd: Vec<ServerVersion> =
            real.iter().cloned().chain(domains.iter().flat_map(|name| copied(name))).collect();
        let (plain, crowded) = (filled("plain", &real), filled("crowded", &crowd));
        let first = |copy: &RegistryCache, query: &str, limit: usize| -> Vec<String> {
            let servers = copy.search(&terms::query_terms(query), 200).unwrap();
            let found = merge(query, vec![RegistryResults { id: &id, priority: 1, servers }], limit);
            found.into_iter().map(|found| found.server.name).collect()
        };
        let mut shares: BTreeMap<String, (f64, f64)> = BTreeMap::new();
        let mut count = |what: &str, found: &[String], wanted: &[&str], most: usize| {
            let hits = found.iter().filter(|name| wanted.contains(&name.as_str())).count();
            let (number, sum) = shares.entry(what.to_owned()).or_default();
            *number += 1.0;
            *sum += 100.0 * hits as f64 / wanted.len().min(most) as f64;
        };
        let named = |wanted: &dyn Fn(&ServerVersion) -> bool| -> Vec<&str> {
            real.iter().filter(|server| wanted(server)).map(|server| server.name.as_str()).collect()
        };
        for (of, names) in [("domains", &domains), ("accounts", &accounts)] {
            for (at, name) in names.iter().enumerate() {
                let wanted = |server: &ServerVersion| {
                    [domain(server), account(server)].into_iter().flatten().any(|own| own == *name)
                };
                let wanted = named(&wanted);
                count(&format!("{of} of the half {}", at % 2), &first(&crowded, name, 1), &wanted, 1);
                count(&format!("{of} without copies"), &first(&plain, name, 1), &wanted, 1);
            }
        }
        // By the name that the source code has, which no rule asks for here: `exa-labs` for `ai.exa`.
        let owner = |server: &ServerVersion| {
            let url = Url::parse(server.repository.as_deref()?).ok()?;
            Some(url.path_segments()?.next()?.to_owned())
        };
        let owners: BTreeSet<String> =
            real.iter().filter(|server| domain(server).is_some()).filter_map(owner).collect();
        for name in &owners {
            let wanted = named(&|server| owner(server).as_ref() == Some(name));
            count("owners of source code", &first(&crowded, name, 1), &wanted, 1);
        }
        let requests = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/requests.jsonl");
        for line in std::fs::read_to_string(requests).unwrap().lines() {
            let request: Json = serde_json::from_str(line).unwrap();
            let wanted: Vec<&str> = request["wanted"].as_array().unwrap().iter().filter_map(Json::as_str).collect();
            count(request["kind"].as_str().unwrap(), &first(&plain, request["query"].as_str().unwrap(), 5), &wanted, 5);
        }
        for query in real.iter().map(|server| last_segment(&server.name)).collect::<BTreeSet<_>>() {
            let found = first(&plain, query, 5);
            let wanted = named(&|server| last_segment(&server.name) == query);
            count("last parts of names", &found, &wanted, 5);
            count("last parts of names, first", &found[..1], &wanted, 1);
        }
        for (what, (number, sum)) in &shares {
            println!("{what:<34} {number:>4} {:>6.1} %", sum / number);
        }
        for (what, least) in [
            ("domains of the half 0", 98.0),
            ("domains of the half 1", 98.0),
            ("domains without copies", 98.0),
            ("accounts of the half 0", 98.0),
            ("accounts of the half 1", 98.0),
            ("category", 92.0),
            ("request", 88.5),
            ("last parts of names", 99.0),
            ("last parts of names, first", 93.5),
        ] {
            let (number, sum) = shares[what];
            assert!(sum / number >= least, "{what}: {:.1}", sum / number);
        }
    }
}
