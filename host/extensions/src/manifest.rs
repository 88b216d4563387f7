use aiw_core::ExtensionId;
use serde::Deserialize;

/// A component's manifest: the custom section `aiw:manifest`. What a component may do is
/// read off its imports; this says what imports can't say.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Its name everywhere.
    pub id: ExtensionId,
    /// Its own version.
    pub version: String,
    /// A few words for people.
    pub label: String,
    /// Who made it.
    #[serde(default)]
    pub publisher: Option<String>,
    /// Where to read more.
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
    /// What `tasks` may do beside looking: `start`.
    #[serde(default)]
    pub tasks: Vec<String>,
}

/// Bounds: a manifest is shown to people, who read it before they agree.
const MAX_TEXT: usize = 200;
const MAX_ITEMS: usize = 64;

impl Manifest {
    /// Parses a manifest; the error is the end of a sentence.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > 16 << 10 {
            return Err("is larger than 16 KiB".into());
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(|e| format!("cannot be read: {e}"))?;
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
                    "holds a text that is empty, long or not printable: `{}`",
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
            return Err(format!("asks of tasks for `{word}`, which is not `start`"));
        }
        Ok(manifest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_tasks_only_their_start_can_be_asked_for() {
        let manifest = |tasks: &str| {
            Manifest::parse(format!(r#"{{"id": "x", "version": "1", "label": "x", "tasks": {tasks}}}"#).as_bytes())
        };
        assert_eq!(manifest(r#"["start"]"#).unwrap().tasks, ["start"]);
        assert_eq!(manifest(r#"["stop"]"#), Err("asks of tasks for `stop`, which is not `start`".to_owned()));
    }
}
