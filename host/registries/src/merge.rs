//! One list of what several registries found: the same server once, the best first.

use std::collections::HashMap;

use aiw_core::registry::{Package, RegistryStatus, RegistryTransport, ServerVersion};
use aiw_core::{ExtensionId, skeleton};
use aiw_search::{FieldWeight, Index, Scores};
use url::Url;

use crate::plan::split_image;
use crate::registry::has_name;
use crate::{terms, vendor};

/// The answers of one registry.
pub(crate) struct RegistryResults<'r> {
    pub(crate) id: &'r ExtensionId,
    pub(crate) priority: u32,
    pub(crate) servers: Vec<ServerVersion>,
}

/// A server that a search found.
#[derive(Debug, Clone, PartialEq)]
pub struct MergedServer {
    /// The registry's entry.
    pub server: ServerVersion,
    /// The registry.
    pub source: ExtensionId,
    /// Other names of the same server, or other registries that have it.
    pub duplicates: Vec<(ExtensionId, String)>,
}

impl MergedServer {
    /// Its names in the registries that have it.
    fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.server.name.as_str()).chain(self.duplicates.iter().map(|(_, name)| name.as_str()))
    }

    /// Whether its name looks like another server's, and is another one.
    pub(crate) fn is_confusable_with(&self, other: &Self) -> bool {
        imitates(&self.server.name, &other.server.name)
    }
}

/// Whether a name is another one that a reader could take for it.
fn imitates(name: &str, other: &str) -> bool {
    name != other && skeleton(name) == skeleton(other)
}

/// Fields of a server, and how a word in each counts.
const FIELD_WEIGHTS: [FieldWeight; 2] =
    [FieldWeight { weight: 5.0, length_norm: 0.6 }, FieldWeight { weight: 1.0, length_norm: 0.4 }];

/// How much a word counts of which the query has only the beginning, or another form.
const PREFIX_MATCH_WEIGHT: f32 = 0.6;

/// Two servers are equally good if their scores differ by less than this part of the best.
const SCORE_STEP: f32 = 0.05;

/// Merges what registries found. The first of equally good ones is that of the registry that comes first.
pub(crate) fn merge(query: &str, answers: Vec<RegistryResults<'_>>, limit: usize) -> Vec<MergedServer> {
    let mut all: Vec<(u32, &ExtensionId, ServerVersion)> = Vec::new();
    for RegistryResults { id, priority, servers } in answers {
        all.extend(servers.into_iter().map(|server| (priority, id, server)));
    }
    let mut scores = scores(query, &all);
    let best = scores.iter().copied().fold(0.0, f32::max).max(f32::MIN_POSITIVE);
    if let Some(name) = vendor::parse_name_query(query) {
        for ((_, _, server), score) in all.iter().zip(&mut scores) {
            *score += best * vendor::match_publisher(&name, server).weight();
        }
    }
    let mut order: Vec<usize> = (0..all.len()).collect();
    let rank = |at: usize| {
        let (priority, _, server) = &all[at];
        // Whole numbers: so that there is an order whatever a score is.
        let step = (scores[at] / best / SCORE_STEP) as u32;
        let is_deprecated = server.status == RegistryStatus::Deprecated;
        let is_called = has_name(server, query);
        let uses = std::cmp::Reverse(server.uses);
        // Of names that look alike, the plainer one first: in bytes, capital letters would come before.
        let capitals = server.name.bytes().filter(u8::is_ascii_uppercase).count();
        (!is_called, is_deprecated, std::cmp::Reverse(step), *priority, uses, capitals, &server.name)
    };
    order.sort_by(|one, two| rank(*one).cmp(&rank(*two)));
    // With the registry: of one registry, two rows are two servers unless they share a name. What else they share is
    // what their publishers say.
    let mut places: HashMap<String, (usize, &ExtensionId)> = HashMap::new();
    let mut found: Vec<MergedServer> = Vec::new();
    let mut priorities: Vec<u32> = Vec::new();
    let mut rows: Vec<Option<(u32, &ExtensionId, ServerVersion)>> = all.into_iter().map(Some).collect();
    for at in order {
        let Some((priority, source, server)) = rows[at].take() else { continue };
        let keys = keys(&server);
        let is_same = |key: &&String| {
            let known = places.get(*key)?;
            let is_other =
                || found.get(known.0).is_some_and(|known| known.names().any(|name| imitates(name, &server.name)));
            (key.starts_with(NAME_PREFIX) || (known.1 != source && !is_other())).then_some(known.0)
        };
        let place = keys.iter().find_map(|key| is_same(&key)).unwrap_or(found.len());
        for key in keys {
            places.entry(key).or_insert((place, source));
        }
        let one = MergedServer { server, source: source.clone(), duplicates: Vec::new() };
        let Some((same, first)) = found.get_mut(place).zip(priorities.get_mut(place)) else {
            found.push(one);
            priorities.push(priority);
            continue;
        };
        // The place is that of the better row, and the row that of the first registry.
        let mut other = one;
        if priority < *first {
            *first = priority;
            std::mem::swap(same, &mut other);
            same.duplicates = std::mem::take(&mut other.duplicates);
        }
        same.duplicates.push((other.source, other.server.name));
    }
    found.truncate(limit);
    found
}

fn scores(query: &str, all: &[(u32, &ExtensionId, ServerVersion)]) -> Vec<f32> {
    let terms: Vec<[Vec<String>; 2]> =
        all.iter().map(|(_, _, server)| [terms::name_terms(server), terms::description_terms(server)]).collect();
    let records = terms.iter().map(|fields| {
        fields.iter().enumerate().flat_map(|(field, terms)| terms.iter().map(move |term| (field, term.as_str())))
    });
    let index = Index::new(FIELD_WEIGHTS, records);
    let asked = terms::query_terms(query);
    let mut request: Vec<(&str, f32)> = Vec::new();
    for term in &asked {
        request.push((term, 1.0));
        request.extend(
            index.similar_terms(term).chain(index.terms_with_prefix(term)).map(|other| (other, PREFIX_MATCH_WEIGHT)),
        );
    }
    let mut scores = Scores::default();
    index.score(request, &mut scores);
    let whole: String = asked.concat();
    for ((_, _, server), score) in all.iter().zip(&mut scores) {
        // The server that is called like the query is meant.
        let last = terms::last_segment(&server.name);
        if terms::query_terms(last).concat() == whole {
            *score *= if last.eq_ignore_ascii_case(query.trim()) { 1.8 } else { 1.5 };
        }
    }
    scores
}

/// The prefix of keys that are names.
const NAME_PREFIX: &str = "name ";

/// Returns the keys by which two rows are the same server: a name, a package, or an address. Names that differ in case,
/// or that only look alike, are two, unless those who resolve them say otherwise.
fn keys(server: &ServerVersion) -> Vec<String> {
    let names = std::iter::once(&server.name).chain(&server.aliases).map(|name| format!("{NAME_PREFIX}{name}"));
    let packages = server.packages.iter().filter(|package| is_own(package)).map(|package| {
        let identifier = package.identifier.as_str();
        let name = match package.kind.as_str() {
            "oci" => split_image(identifier).0.to_owned(),
            // <https://packaging.python.org/en/latest/specifications/name-normalization/>
            "pypi" => {
                let parts = identifier.split(['-', '_', '.']).filter(|part| !part.is_empty());
                parts.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
            }
            "nuget" => identifier.to_ascii_lowercase(),
            _ => identifier.to_owned(),
        };
        format!("package {} {name}", package.kind)
    });
    let addresses = server.remotes.iter().filter_map(|remote| match remote {
        RegistryTransport::StreamableHttp(at) if !at.url.contains(['{', '?']) => {
            let url = Url::parse(&at.url).ok()?;
            Some(format!("address {}", url.as_str().trim_end_matches('/')))
        }
        _ => None,
    });
    names.chain(packages).chain(addresses).collect()
}

/// Whether a package is the server itself. With arguments of its own, it may be a bridge to another.
fn is_own(package: &Package) -> bool {
    package.package_arguments.iter().all(|argument| argument.name.is_some() || argument.input.value.is_none())
}

#[cfg(test)]
mod tests {
    use aiw_core::registry::{Argument, Endpoint, Input};

    use super::*;
    use crate::copy::tests::server;

    fn package(kind: &str, identifier: &str) -> Package {
        Package { kind: kind.into(), identifier: identifier.into(), ..Package::default() }
    }

    fn names(found: &[MergedServer]) -> Vec<&str> {
        found.iter().map(|found| found.server.name.as_str()).collect()
    }

    fn merged(query: &str, answers: Vec<(&ExtensionId, u32, Vec<ServerVersion>)>) -> Vec<MergedServer> {
        let answers = answers.into_iter().map(|(id, priority, servers)| RegistryResults { id, priority, servers });
        merge(query, answers.collect(), 10)
    }

    #[test]
    fn one_server_in_two_registries_is_found_once_from_the_first() {
        let (first, second): (ExtensionId, ExtensionId) = ("first".parse().unwrap(), "second".parse().unwrap());
        let at = |url: &str| {
            RegistryTransport::StreamableHttp(Endpoint { url: url.into(), headers: Vec::new(), variables: Vec::new() })
        };
        let mut hosted = server("acme/weather", "Forecasts");
        hosted.remotes = vec![at("https://server.smithery.ai/acme/weather/mcp")];
        hosted.aliases = vec!["ai.smithery/acme-weather".into()];
        let mut same = server("ai.smithery/acme-weather", "Weather forecasts");
        same.remotes = vec![at("https://server.smithery.ai/acme/weather/mcp/")];
        let mut npm = server("io.github.acme/weather-mcp", "Weather");
        npm.packages = vec![package("npm", "@acme/weather")];
        let mut renamed = server("com.acme/weather", "Weather");
        renamed.packages = vec![package("npm", "@acme/weather")];
        // Its publisher says so, and nobody has checked it.
        let mut claimed = server("com.evil/weather", "Weather");
        claimed.packages = vec![package("npm", "@acme/weather")];
        let answers = vec![(&second, 2, vec![hosted, renamed]), (&first, 1, vec![same, npm, claimed])];
        let found = merged("weather", answers);
        assert_eq!(found.len(), 3, "{:?}", names(&found));
        let both = found.iter().find(|found| found.server.name == "ai.smithery/acme-weather").unwrap();
        assert_eq!(both.duplicates, [(second, "acme/weather".to_owned())]);
    }

    #[test]
    fn names_that_differ_in_case_or_look_alike_are_two_servers() {
        let (first, second): (ExtensionId, ExtensionId) = ("first".parse().unwrap(), "second".parse().unwrap());
        let of = |name: &str, kind: &str, identifier: &str| {
            let mut server = server(name, "Weather");
            server.packages = vec![package(kind, identifier)];
            server
        };
        for (one, two, are_same) in [
            (of("acme/weather", "npm", "a"), of("Acme/weather", "npm", "b"), false),
            (of("acme/weather", "npm", "a"), of("acme/weather", "npm", "b"), true),
            (of("acme/weather", "npm", "a"), of("acme/w3ather", "npm", "b"), false),
            (of("a/x", "npm", "@acme/weather"), of("b/y", "npm", "@Acme/weather"), false),
            (of("a/x", "npm", "@acme/weather"), of("b/y", "npm", "@acme/weather"), true),
            (of("a/x", "oci", "docker.io/acme/weather:1"), of("b/y", "oci", "docker.io/Acme/weather:1"), false),
            // Those who resolve these see one name.
            (of("a/x", "pypi", "acme-weather"), of("b/y", "pypi", "Acme_Weather"), true),
            (of("a/x", "nuget", "Acme.Weather"), of("b/y", "nuget", "acme.weather"), true),
        ] {
            let found = merged("weather", vec![(&first, 1, vec![one.clone()]), (&second, 2, vec![two.clone()])]);
            assert_eq!(found.len() == 1, are_same, "{one:?} {two:?}");
        }
        let at = |name: &str, url: &str| {
            let mut server = server(name, "Weather");
            let endpoint = Endpoint { url: url.into(), headers: Vec::new(), variables: Vec::new() };
            server.remotes = vec![RegistryTransport::StreamableHttp(endpoint)];
            server
        };
        for (one, two, are_same) in [
            ("https://acme.example/mcp", "https://ACME.example:443/x/%2e%2e/mcp/", true),
            ("https://acme.example/mcp", "https://acme.example/MCP", false),
            ("https://acme.example/mcp", "https://\u{430}cme.example/mcp", false),
        ] {
            let found = merged("weather", vec![(&first, 1, vec![at("a/x", one)]), (&second, 2, vec![at("b/y", two)])]);
            assert_eq!(found.len() == 1, are_same, "{one} {two}");
        }
    }

    #[test]
    fn a_bridge_to_another_server_is_not_that_server() {
        let id: ExtensionId = "first".parse().unwrap();
        let bridge = |name: &str, to: &str| {
            let mut bridge = package("npm", "mcp-remote");
            let input = Input { required: true, value: Some(to.into()), ..Input::default() };
            bridge.package_arguments = vec![Argument { input, ..Argument::default() }];
            let mut server = server(name, "Weather");
            server.packages = vec![bridge];
            server
        };
        let rows = vec![bridge("a/one", "https://one.example/mcp"), bridge("b/two", "https://two.example/mcp")];
        assert_eq!(merged("weather", vec![(&id, 1, rows)]).len(), 2);
    }

    #[test]
    fn names_that_look_alike_stand_side_by_side_and_say_so_whatever_they_share() {
        let (first, second): (ExtensionId, ExtensionId) = ("first".parse().unwrap(), "second".parse().unwrap());
        let at = |name: &str| {
            let endpoint =
                Endpoint { url: "https://acme.example/mcp".into(), headers: Vec::new(), variables: Vec::new() };
            let mut server = server(name, "Weather");
            server.remotes = vec![RegistryTransport::StreamableHttp(endpoint)];
            server
        };
        // Whichever registry comes first, and whoever names the same address.
        for (real, copy) in [(1, 2), (2, 1)] {
            let imitations = vec![at("io.github.Acme/weather"), at("io.github.acrne/weather")];
            let found = merged(
                "weather",
                vec![(&second, copy, imitations), (&first, real, vec![at("io.github.acme/weather")])],
            );
            assert_eq!(found.len(), 3, "{:?}", names(&found));
            let of = |name: &str| found.iter().find(|found| found.server.name == name).unwrap();
            let (own, other) = (of("io.github.acme/weather"), of("io.github.Acme/weather"));
            assert!(
                own.duplicates.is_empty()
                    && own.is_confusable_with(other)
                    && other.is_confusable_with(own)
                    && !own.is_confusable_with(own)
            );
        }
        // Of one registry, the plainer name comes first, and one that is typed whole before all.
        let rows = || vec![at("io.github.Acme/weather"), at("io.github.acme/Weather"), at("io.github.acme/weather")];
        assert_eq!(names(&merged("weather", vec![(&first, 1, rows())]))[0], "io.github.acme/weather");
        assert_eq!(names(&merged("io.github.Acme/weather", vec![(&first, 1, rows())]))[0], "io.github.Acme/weather");
    }

    #[test]
    fn names_come_before_descriptions_and_deprecated_servers_last() {
        let id: ExtensionId = "first".parse().unwrap();
        let mut old = server("a/postgres", "Postgres");
        old.status = RegistryStatus::Deprecated;
        let rows = vec![
            server("b/everything", "Postgres, MySQL and SQLite"),
            old,
            server("c/postgres-tools", "Queries"),
            server("d/postgresql", "A database"),
        ];
        let found = merged("postgres", vec![(&id, 1, rows)]);
        assert_eq!(names(&found), ["c/postgres-tools", "d/postgresql", "b/everything", "a/postgres"]);
    }
}
