//! The manifest of a component.

use aiw_core::ExtensionId;
use serde::Deserialize;

use crate::ToolPattern;

/// A component's manifest, from the custom section `aiw:manifest`. The imports show which interfaces a component
/// may use; the manifest says what the imports cannot.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The component's id, which names it everywhere.
    pub id: ExtensionId,
    /// The component's own version.
    pub version: String,
    /// A few words for people.
    pub label: String,
    /// The author or organization that made it.
    #[serde(default)]
    pub publisher: Option<String>,
    /// A page with more information.
    #[serde(default)]
    pub homepage: Option<String>,
    /// The hosts of `http`: `example.com`, `example.com:8443`, `*.example.com`, `*`.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// The origins of `trees`: `git:HOST` in the same patterns, `directory`.
    #[serde(default)]
    pub origins: Vec<String>,
    /// The keys that `settings` may read.
    #[serde(default)]
    pub settings: Vec<String>,
    /// The collections of `vectors`: 1–40 of `a-z 0-9 -`, at most 8.
    #[serde(default)]
    pub collections: Vec<String>,
    /// The tools that `mcp` may list and call, as `server/tool`. `*` stands for any part of a name; a tool that may
    /// destroy something must be named.
    #[serde(default)]
    pub mcp: Vec<String>,
}

/// The limits. A manifest is shown to people, who read it before they agree.
const MAX_TEXT: usize = 200;
const MAX_ITEMS: usize = 64;
const MAX_COLLECTIONS: usize = 8;

/// Returns whether a version is lower than another, or `false` if either is not a semver version.
pub fn is_lower_version(version: &str, than: &str) -> bool {
    let parsed = |text: &str| semver::Version::parse(text.strip_prefix('v').unwrap_or(text)).ok();
    matches!((parsed(version), parsed(than)), (Some(version), Some(than)) if version.cmp_precedence(&than).is_lt())
}

impl Manifest {
    /// Parses a manifest. The error is the end of a sentence.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > 16 << 10 {
            return Err("is larger than 16 KiB".into());
        }
        let manifest: Self = serde_json::from_slice(bytes)
            .map_err(|e| format!("cannot be read: {}", aiw_core::one_line(&e.to_string(), 240)))?;
        let texts =
            [&manifest.version, &manifest.label].into_iter().chain(&manifest.publisher).chain(&manifest.homepage);
        let lists = [&manifest.hosts, &manifest.origins, &manifest.settings, &manifest.collections, &manifest.mcp];
        for text in texts.chain(lists.into_iter().flatten()) {
            if text.is_empty() || text.len() > MAX_TEXT || text.contains(aiw_core::is_unsafe_in_line) {
                return Err(format!(
                    "contains text that is empty, too long or not printable: `{}`",
                    aiw_core::one_line(text, 60)
                ));
            }
        }
        if lists.iter().any(|list| list.len() > MAX_ITEMS) {
            return Err(format!("has a list of more than {MAX_ITEMS} items"));
        }
        for origin in &manifest.origins {
            if origin != "directory" && origin.strip_prefix("git:").is_none_or(str::is_empty) {
                return Err(format!("has an origin `{origin}` that is neither `git:HOST` nor `directory`"));
            }
        }
        if let Some(name) = manifest.collections.iter().find(|name| !is_collection(name)) {
            return Err(format!("has a collection `{name}`, which is not 1–40 of `a-z 0-9 -`"));
        }
        if manifest.collections.len() > MAX_COLLECTIONS {
            return Err(format!("has more than {MAX_COLLECTIONS} collections"));
        }
        if let Some(pattern) = manifest.mcp.iter().find(|pattern| ToolPattern::parse(pattern).is_none()) {
            return Err(format!("has `{pattern}` under `mcp`, which is not `server/tool`"));
        }
        Ok(manifest)
    }
}

/// Whether a collection may have this name, which becomes that of a file.
fn is_collection(name: &str) -> bool {
    (1..=40).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_semver_has_them() {
        for (version, than) in [("0.0.1", "2.0.0"), ("1.9.0", "1.10.0"), ("2.0.0-rc.1", "2.0.0"), ("v1.0.0", "1.0.1")] {
            assert!(is_lower_version(version, than), "{version} {than}");
            assert!(!is_lower_version(than, version), "{version} {than}");
        }
        for (version, than) in
            [("1.0.0", "1.0.0"), ("1.0.0+a", "1.0.0+b"), ("1", "2"), ("0.1.0", "2026"), ("", "1.0.0")]
        {
            assert!(!is_lower_version(version, than) && !is_lower_version(than, version), "{version} {than}");
        }
    }

    #[test]
    fn what_is_said_of_a_manifest_steers_no_terminal() {
        for bad in [
            "{\"\\u001b[31m\": 1}",
            "{\"id\": \"\\u001b[31m\"}",
            "{\"id\": \"x\", \"version\": \"a\\nb\", \"label\": \"x\"}",
        ] {
            let said = Manifest::parse(bad.as_bytes()).unwrap_err();
            assert_eq!(aiw_core::one_line(&said, 500), said);
        }
    }

    #[test]
    fn collections_are_names_and_tools_are_patterns() {
        let manifest = |list: &str, value: &str| {
            let value = serde_json::json!({"id": "x", "version": "1", "label": "x", list: [value]});
            Manifest::parse(value.to_string().as_bytes())
        };
        for good in ["notes", "a", "0-9", &"x".repeat(40)] {
            assert_eq!(manifest("collections", good).unwrap().collections, [good]);
        }
        for bad in ["", "..", "../x", "a/b", "A", "ä", ".x", "-x", "a\0", &"x".repeat(41)] {
            assert!(manifest("collections", bad).is_err(), "{bad}");
        }
        for good in ["time/*", "*/*", "*/get_*", "files/delete", "a.b/c.d"] {
            assert_eq!(manifest("mcp", good).unwrap().mcp, [good]);
        }
        for bad in ["", "*", "time", "/x", "x/", "../x", "a/b/c", "a /b", "a/b\0", "a/**b\n", &"x/".repeat(200)] {
            assert!(manifest("mcp", bad).is_err(), "{bad}");
        }
        let many = serde_json::json!({"id": "x", "version": "1", "label": "x", "collections": vec!["a"; 9]});
        assert!(Manifest::parse(many.to_string().as_bytes()).is_err());
    }
}
