//! Who published a server, as far as a registry has checked: the namespace of its name, which is a domain, written backwards, or
//! an account.

use aiw_core::registry::ServerVersion;

/// Under a country's domain, these are no names: `uk.co.acme`.
const SECOND_LEVEL_DOMAINS: [&str; 7] = ["ac", "co", "com", "edu", "gov", "net", "org"];

/// The part of a publisher that the registry has checked.
pub(crate) enum Publisher<'a> {
    /// The name of a domain, and what stands before it.
    Domain(&'a str, Vec<&'a str>),
    Account(&'a str),
}

/// The publisher of a server.
pub(crate) fn publisher(server: &ServerVersion) -> Option<Publisher<'_>> {
    server.publisher.as_deref().or_else(|| namespace(&server.name)).map(publisher_of)
}

/// The beginning of a name, without its last part.
pub(crate) fn namespace(name: &str) -> Option<&str> {
    name.rsplit_once('/').map(|(namespace, _)| namespace)
}

fn publisher_of(publisher: &str) -> Publisher<'_> {
    if let Some(account) = publisher.strip_prefix("io.github.") {
        return Publisher::Account(account);
    }
    let labels: Vec<&str> = publisher.split('.').collect();
    let at = match labels[..] {
        [] | [_] => return Publisher::Account(publisher.trim_start_matches('@')),
        [country, second, _, ..] if country.len() == 2 && SECOND_LEVEL_DOMAINS.contains(&second) => 2,
        _ => 1,
    };
    Publisher::Domain(labels[at], labels[at + 1..].to_vec())
}

/// The words of a publisher's name by which it is found. Neither the end of its domain nor the host of its account is among them.
pub(crate) fn publisher_words(name: &str) -> String {
    match namespace(name).map(publisher_of) {
        Some(Publisher::Account(account)) => account.to_owned(),
        Some(Publisher::Domain(domain, parts)) => std::iter::once(domain).chain(parts).collect::<Vec<_>>().join(" "),
        None => String::new(),
    }
}
