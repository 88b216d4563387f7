//! The manifest of a component.

use aiw_core::ExtensionId;
use serde::Deserialize;

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
    /// What `http` may reach: `example.com`, `example.com:8443`, `*.example.com`, `*`.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// What `trees` may open: `git:HOST` in the same patterns, `directory`.
    #[serde(default)]
    pub origins: Vec<String>,
    /// The keys that `settings` may read.
    #[serde(default)]
    pub settings: Vec<String>,
    /// What `tasks` may do besides looking: `start`.
    #[serde(default)]
    pub tasks: Vec<String>,
}

/// The limits. A manifest is shown to people, who read it before they agree.
const MAX_TEXT: usize = 200;
const MAX_ITEMS: usize = 64;

/// Returns whether a version is lower than another, or `false` if either is not a semver version.
pub fn is_lower(version: &str, than: &str) -> bool {
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
        let lists = [&manifest.hosts, &manifest.origins, &manifest.settings, &manifest.tasks];
        for text in texts.chain(lists.into_iter().flatten()) {
            if text.is_empty()
                || text.len() > MAX_TEXT
                || aiw_core::printable(text) != text.as_str()
                || text.contains('\n')
            {
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
        if let Some(word) = manifest.tasks.iter().find(|word| *word != "start") {
            return Err(format!("asks for `{word}` under `tasks`, which is not `start`"));
        }
        Ok(manifest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_semver_has_them() {
        for (version, than) in [("0.0.1", "2.0.0"), ("1.9.0", "1.10.0"), ("2.0.0-rc.1", "2.0.0"), ("v1.0.0", "1.0.1")] {
            assert!(is_lower(version, than), "{version} {than}");
            assert!(!is_lower(than, version), "{version} {than}");
        }
        for (version, than) in
            [("1.0.0", "1.0.0"), ("1.0.0+a", "1.0.0+b"), ("1", "2"), ("0.1.0", "2026"), ("", "1.0.0")]
        {
            assert!(!is_lower(version, than) && !is_lower(than, version), "{version} {than}");
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
    fn of_tasks_only_their_start_can_be_asked_for() {
        let manifest = |tasks: &str| {
            Manifest::parse(format!(r#"{{"id": "x", "version": "1", "label": "x", "tasks": {tasks}}}"#).as_bytes())
        };
        assert_eq!(manifest(r#"["start"]"#).unwrap().tasks, ["start"]);
        assert_eq!(manifest(r#"["stop"]"#), Err("asks for `stop` under `tasks`, which is not `start`".to_owned()));
    }
}
