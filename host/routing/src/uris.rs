//! Which server a URI belongs to. A URI that only one server has stays as it is; one that several could answer for is
//! listed as `aiw://SERVER/URI`, so that no server answers in another's place. That of an MCP App is always
//! `ui://aiw/SERVER/REST`: it stands in definitions of tools, which must not depend on what other servers have.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::shape::{OWN_SCHEME, UI_PREFIX};

/// A server's claim to certain URIs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct UriClaim<'a> {
    /// The URI of a resource, or what all URIs of a template begin with.
    text: &'a str,
    is_template: bool,
    pub(crate) server: &'a str,
}

impl<'a> UriClaim<'a> {
    /// A resource's.
    pub(crate) fn resource(server: &'a str, uri: &'a str) -> Self {
        Self { text: uri, is_template: false, server }
    }

    /// A template's; none if its URIs could be of any scheme.
    pub(crate) fn template(server: &'a str, template: &'a str) -> Option<Self> {
        let fixed = template.split('{').next().unwrap_or_default();
        fixed.contains(':').then_some(Self { text: fixed, is_template: true, server })
    }

    /// Whether it covers a URI.
    pub(crate) fn covers(&self, uri: &str) -> bool {
        if self.is_template { uri.starts_with(self.text) } else { uri == self.text }
    }
}

/// The claims that another server's claim overlaps with.
pub(crate) fn conflicting_claims<'a>(mut claims: Vec<UriClaim<'a>>) -> BTreeSet<UriClaim<'a>> {
    claims.sort_unstable();
    claims.dedup();
    let mut contested = BTreeSet::new();
    // In this order a text comes after all that it begins with.
    let mut around: Vec<UriClaim<'a>> = Vec::new();
    for claim in claims {
        while around.last().is_some_and(|last| !last.covers(claim.text) && last.text != claim.text) {
            around.pop();
        }
        for other in around.iter().filter(|other| other.server != claim.server && other.covers(claim.text)) {
            contested.insert(*other);
            contested.insert(claim);
        }
        around.push(claim);
    }
    contested
}

/// A server's URI under the name that only it has.
pub(crate) fn qualify_uri(server: &str, uri: &str) -> String {
    match uri.strip_prefix(UI_PREFIX) {
        Some(rest) => format!("{}{rest}", ui_qualifier(server)),
        None => format!("{}{uri}", qualifier(server)),
    }
}

/// A server's own form of a qualified URI.
pub(crate) fn unqualify_uri<'a>(server: &str, uri: &'a str) -> Option<Cow<'a, str>> {
    let of_app = || Some(format!("{UI_PREFIX}{}", uri.strip_prefix(ui_qualifier(server).as_str())?).into());
    uri.strip_prefix(qualifier(server).as_str()).map(Cow::Borrowed).or_else(of_app)
}

/// Whether a URI names its server. Only that server can answer for it, whatever others claim.
pub(crate) fn is_qualified(uri: &str) -> bool {
    let scheme = uri.split_once(':').map_or("", |(scheme, _)| scheme);
    let is_app = uri.strip_prefix(UI_PREFIX).and_then(|rest| rest.strip_prefix(OWN_SCHEME));
    scheme.eq_ignore_ascii_case(OWN_SCHEME) || is_app.is_some_and(|rest| rest.starts_with('/'))
}

fn qualifier(server: &str) -> String {
    format!("{OWN_SCHEME}://{}/", encode_server(server))
}

fn ui_qualifier(server: &str) -> String {
    format!("{UI_PREFIX}{OWN_SCHEME}/{}/", encode_server(server))
}

/// A server's key as a segment of a path.
///
/// <https://www.rfc-editor.org/rfc/rfc3986#section-2.3>
fn encode_server(server: &str) -> String {
    let byte = |b: u8| match b {
        b if b.is_ascii_alphanumeric() || b"-._~".contains(&b) => char::from(b).to_string(),
        b => format!("%{b:02X}"),
    };
    // Segments of dots lead elsewhere.
    if server.bytes().all(|b| b == b'.') {
        return "%2E".repeat(server.len());
    }
    server.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn claims<'a>(all: &'a [(&'a str, &'a str)]) -> Vec<UriClaim<'a>> {
        let claim = |(server, uri): &(&'a str, &'a str)| match uri.contains('{') {
            true => UriClaim::template(server, uri),
            false => Some(UriClaim::resource(server, uri)),
        };
        all.iter().filter_map(claim).collect()
    }

    #[test]
    fn what_two_servers_could_answer_for_is_contested_and_nothing_else() {
        let all = [
            ("a", "file:///x"),
            ("b", "file:///x"),
            ("a", "file:///y"),
            ("a", "https://a.example/{+rest}"),
            ("b", "https://a.example/1"),
            ("b", "https://b.example/1"),
            ("b", "https://b.example/{id}"),
            ("c", "test:{id}"),
            ("c", "test:item/{id}"),
            ("c", "test:one"),
            ("d", "deep:{+all}"),
            ("e", "deep:a/{x}"),
            ("d", "deep:a/b/c"),
            ("f", "deeper"),
            ("g", "https{+rest}"),
        ];
        let claims = claims(&all);
        let contested: Vec<_> = conflicting_claims(claims.clone()).into_iter().map(|c| (c.server, c.text)).collect();
        let expected = [
            ("d", "deep:"),
            ("d", "deep:a/b/c"),
            ("e", "deep:a/"),
            ("a", "file:///x"),
            ("b", "file:///x"),
            ("a", "https://a.example/"),
            ("b", "https://a.example/1"),
        ];
        assert_eq!(contested.into_iter().collect::<BTreeSet<_>>(), BTreeSet::from(expected));
        // A template without a scheme claims nothing.
        assert!(claims.iter().all(|claim| claim.server != "g"));
    }

    #[test]
    fn a_marked_uri_leads_back_to_its_server_alone() {
        assert_eq!(qualify_uri("my time/1", "file:///x"), "aiw://my%20time%2F1/file:///x");
        assert_eq!(unqualify_uri("my time/1", "aiw://my%20time%2F1/file:///x").as_deref(), Some("file:///x"));
        assert_eq!(unqualify_uri("my time", "aiw://my%20time%2F1/file:///x"), None);
        assert_eq!(unqualify_uri("a", "aiw://ab/x"), None);
        // What looks qualified already is a server's own, too.
        for own in ["ui://charts/page", "ui://aiw/other/page", "ui://", "ui:/x", "UI://x", "aiw-x:y"] {
            let qualified = qualify_uri("my time/1", own);
            assert!(is_qualified(&qualified), "{qualified}");
            assert_eq!(unqualify_uri("my time/1", &qualified).as_deref(), Some(own));
            assert_eq!(unqualify_uri("other", &qualified), None, "{qualified}");
        }
        assert_eq!(qualify_uri("my time/1", "ui://charts/page"), "ui://aiw/my%20time%2F1/charts/page");
        assert_eq!(
            ["AIW://x", "ui://aiw/", "ui://aiwx/", "ui://aiw", "aiw"].map(is_qualified),
            [true, true, false, false, false]
        );
    }

    mod fuzz {
        use super::*;

        proptest! {
            #[test]
            fn it_is_the_same_as_comparing_each_with_each(
                all in proptest::collection::vec(("[abc]", "x:[ab]{0,3}(\\{v\\})?"), 0..12)
            ) {
                let all: Vec<(&str, &str)> = all.iter().map(|(server, uri)| (server.as_str(), uri.as_str())).collect();
                let claims = claims(&all);
                let overlap = |one: &UriClaim<'_>, two: &UriClaim<'_>| {
                    one.server != two.server && (one.covers(two.text) || two.covers(one.text))
                };
                let slow = claims.iter().filter(|one| claims.iter().any(|two| overlap(one, two))).copied();
                prop_assert_eq!(slow.collect::<BTreeSet<_>>(), conflicting_claims(claims.clone()));
            }
        }
    }
}
