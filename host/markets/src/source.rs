//! An entry's `source`: every form seen, and the ones that are refused with a reason.

use aiw_core::{RelPath, Sha, is_git_ref, one_line, without_query};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use aiw_core::skeleton;

/// The terms of Claude Code's format for where a plugin or a marketplace is. Only the host defines what they mean,
/// including those that it doesn't install.
const STANDARD_SOURCE_FORMS: [&str; 13] = [
    "archive",
    "command",
    "directory",
    "file",
    "git",
    "git-subdir",
    "github",
    "npm",
    "path",
    "pip",
    "relative",
    "settings",
    "url",
];

/// The most forms that a component may define.
const MAX_FORMS: usize = 32;

/// Where a plugin's files are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "form", rename_all = "kebab-case")]
pub enum PluginSource {
    /// Below the marketplace's root.
    Relative {
        /// `""` is the root itself.
        path: String,
    },
    /// A git repository; resolved by the host, once for all markets.
    Git {
        /// `owner/repo` (GitHub, at the address in the settings) or a URL.
        repository: String,
        /// The plugin's directory in it.
        path: String,
        /// A branch or tag.
        reference: Option<String>,
        /// A commit, which takes precedence over the reference.
        sha: Option<Sha>,
    },
    /// A form of the market's own component.
    InMarketplace {
        /// The word in `source`.
        word: String,
        /// Its text, number and boolean fields.
        fields: Vec<(String, String)>,
    },
    /// A form that aiw knows but doesn't install, or an unknown one.
    Refused {
        /// The word in `source`.
        word: String,
        /// Why, as a sentence.
        reason: String,
    },
}

/// `owner/repo` as GitHub allows them; `market-github` claims by the same rule. Older accounts have hyphens where new
/// ones can't.
pub fn is_github_repo(text: &str) -> bool {
    let Some((owner, repo)) = text.split_once('/') else { return false };
    let owner_ok = (1..=39).contains(&owner.len())
        && owner.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !owner.starts_with('-');
    let repo_ok = (1..=100).contains(&repo.len())
        && repo.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        && !matches!(repo, "." | ".." | ".git");
    owner_ok && repo_ok
}

/// Whether a form belongs to the format, or could be mistaken for one that does.
fn is_standard(form: &str) -> bool {
    STANDARD_SOURCE_FORMS.iter().any(|standard| skeleton(standard) == skeleton(form))
}

/// Which of the forms that a component names it may read itself, and one sentence for each that it may not.
pub(crate) fn partition_forms(component: &str, named: Vec<String>) -> (Vec<String>, Vec<String>) {
    let (mut own, mut notes) = (Vec::new(), Vec::new());
    for form in named.into_iter().take(MAX_FORMS) {
        let shown = one_line(&form, 40);
        if is_standard(&form) {
            notes.push(format!(
                "component `{component}` names the source form `{shown}`, which is aiw's own; the component is not asked for it"
            ));
        } else if (1..=64).contains(&form.len())
            && form.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        {
            own.push(form);
        } else {
            notes.push(format!(
                "component `{component}` names the source form `{shown}`, which is not 1 to 64 lowercase letters, digits \
                 and `-`: it is not asked for it"
            ));
        }
    }
    (own, notes)
}

impl PluginSource {
    /// Whether a component reads it with a form that only the host may read: an older aiw allowed that.
    pub(crate) fn has_reserved_form(&self) -> bool {
        matches!(self, Self::InMarketplace { word, .. } if is_standard(word))
    }

    /// Reads a `source`; the error is the end of a sentence about the entry.
    pub fn parse(value: &Value, plugin_root: &RelPath, own_forms: &[String]) -> Result<Self, String> {
        match value {
            Value::String(path) => Self::relative(path, plugin_root),
            Value::Object(fields) => Self::object(fields, own_forms),
            _ => Err("has a `source` that is neither a string nor an object".into()),
        }
    }

    fn relative(path: &str, plugin_root: &RelPath) -> Result<Self, String> {
        if path.is_empty() {
            return Err("has an empty `source`".into());
        }
        let parsed = RelPath::parse(path).map_err(|e| format!("has a bad `source`: {e}"))?;
        // `pluginRoot` is for bare names; real documents also combine it with full paths.
        let bare = !path.starts_with("./") && path != ".";
        if bare && path.contains('/') {
            return Err(format!("has a `source` that does not begin with `./`: `{}`", one_line(path, 80)));
        }
        let parsed = if bare { plugin_root.join(&parsed) } else { parsed };
        Ok(Self::Relative { path: parsed.as_str().to_owned() })
    }

    fn object(fields: &Map<String, Value>, own_forms: &[String]) -> Result<Self, String> {
        let text = |key: &str| match fields.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(format!("has a source whose `{key}` is not a string")),
        };
        let word = text("source")?.ok_or("has a source object without the field `source`")?;
        if own_forms.contains(&word) && !is_standard(&word) {
            let scalar = |value: &Value| match value {
                Value::String(text) => Some(text.clone()),
                Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
                _ => None,
            };
            let fields = fields.iter().filter_map(|(k, v)| Some((k.clone(), scalar(v)?))).collect();
            return Ok(Self::InMarketplace { word, fields });
        }
        let need = |key: &str| text(key)?.ok_or_else(|| format!("has a `{word}` source without `{key}`"));
        let repository = match word.as_str() {
            "github" => {
                let repo = need("repo")?;
                let repo = repo.strip_suffix(".git").unwrap_or(&repo).to_owned();
                if !is_github_repo(&repo) {
                    return Err(format!(
                        "has a `github` source whose `repo` is not `owner/repo`: `{}`",
                        one_line(&repo, 80)
                    ));
                }
                repo
            }
            "url" | "git-subdir" => {
                let url = need("url")?;
                let url = if is_github_repo(&url) { url.strip_suffix(".git").unwrap_or(&url).to_owned() } else { url };
                check_git_url(&url)?;
                url
            }
            other => return Ok(Self::Refused { word: one_line(&word, 40), reason: refusal(other) }),
        };
        // `path` beside `url` is undocumented, but its intent is clear, and real entries use it.
        let path = match (word.as_str(), text("path")?) {
            ("git-subdir", None) => return Err("has a `git-subdir` source without `path`".into()),
            (_, path) => path.unwrap_or_default(),
        };
        let path = RelPath::parse(&path).map_err(|e| format!("has a bad source: {e}"))?;
        let sha = match text("sha")? {
            None => None,
            Some(sha) => {
                let sha = sha.to_ascii_lowercase();
                Some(sha.parse().map_err(|e: aiw_core::InvalidName| format!("has a bad source: {e}"))?)
            }
        };
        let reference = text("ref")?;
        if let Some(reference) = &reference
            && !is_git_ref(reference)
        {
            return Err(format!("has a source with a bad `ref`: `{}`", one_line(reference, 80)));
        }
        Ok(Self::Git { repository, path: path.as_str().to_owned(), reference, sha })
    }

    /// The source as one word, for display.
    pub fn describe(&self) -> String {
        let text = match self {
            Self::Relative { path } if path.is_empty() => "./".into(),
            Self::Relative { path } => format!("./{path}"),
            Self::Git { repository, path, reference, sha } => {
                let mut text = if is_github_repo(repository) {
                    format!("github:{repository}")
                } else {
                    without_query(repository).into_owned()
                };
                if !path.is_empty() {
                    text = format!("{text}/{path}");
                }
                match (sha, reference) {
                    (Some(sha), _) => format!("{text}@{}", &sha.as_str()[..12]),
                    (None, Some(reference)) => format!("{text}#{reference}"),
                    (None, None) => text,
                }
            }
            Self::InMarketplace { word, .. } | Self::Refused { word, .. } => word.clone(),
        };
        // A repository's name may contain terminal controls.
        aiw_core::printable(&text).into_owned()
    }
}

fn check_git_url(url: &str) -> Result<(), String> {
    let shown = one_line(&without_query(url), 80);
    if url.is_empty() {
        return Err("has an empty `url`".into());
    }
    if url.starts_with('-') || url.contains(aiw_core::is_unsafe_in_line) {
        return Err(format!("has a source that is not a git URL: `{shown}`"));
    }
    if let Ok(parsed) = url::Url::parse(url)
        && parsed.password().is_some()
    {
        return Err("has a source URL that contains a password".into());
    }
    let known = ["https://", "http://", "ssh://", "file://"].iter().any(|scheme| url.starts_with(scheme));
    let scp = url
        .split_once(':')
        .is_some_and(|(host, path)| host.contains('@') && !host.contains('/') && !path.starts_with("//"));
    if !(known || scp || is_github_repo(url)) {
        return Err(format!("has a source that is not a git URL: `{shown}`"));
    }
    Ok(())
}

fn refusal(word: &str) -> String {
    let why = match word {
        "npm" => "npm would run the package's install scripts",
        "pip" => "pip may run the package's build scripts",
        "command" => "it would run a command that the marketplace chooses",
        "archive" => "an archive has no commit to pin",
        _ => return format!("the source form `{}` is not known", one_line(word, 40)),
    };
    format!("the source form `{word}` is not installed: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(value: &Value) -> Result<String, String> {
        PluginSource::parse(value, &RelPath::parse("./pkgs").unwrap(), &["acme".into()]).map(|s| s.describe())
    }

    #[test]
    fn every_form_that_was_seen_is_read() {
        let sha = "d16d14ac7f817336e21bf9392cf51b6cac6194d8";
        for (value, expected) in [
            (json!("./a/b/"), "./a/b"),
            (json!("./"), "./"),
            (json!("."), "./"),
            (json!("formatter"), "./pkgs/formatter"),
            (json!({"source": "github", "repo": "o/r.git", "ref": "v1"}), "github:o/r#v1"),
            (
                json!({"source": "url", "url": "https://x/r.git", "path": "p", "sha": sha}),
                "https://x/r.git/p@d16d14ac7f81",
            ),
            (json!({"source": "git-subdir", "url": "o/r", "path": "p/q"}), "github:o/r/p/q"),
            (json!({"source": "git-subdir", "url": "git@h:o/r.git", "path": "p"}), "git@h:o/r.git/p"),
            (json!({"source": "acme", "n": 1}), "acme"),
            (json!({"source": "npm", "package": "x"}), "npm"),
        ] {
            assert_eq!(parse(&value).as_deref(), Ok(expected), "{value}");
        }
    }

    #[test]
    fn the_formats_own_words_are_no_components() {
        let claimed: Vec<String> = ["github", "npm", "acme", "GitHub", "g1thub", "git_subdir", "a b", "", "url", "git"]
            .map(str::to_owned)
            .into();
        let (own, notes) = partition_forms("x", claimed.clone());
        assert_eq!(own, ["acme"]);
        assert_eq!(notes.len(), 9);
        assert_eq!(
            notes[0],
            "component `x` names the source form `github`, which is aiw's own; the component is not asked for it"
        );
        // Whatever got through, the host's forms are read first.
        let parse = |value: Value| PluginSource::parse(&value, &RelPath::root(), &claimed);
        assert!(matches!(parse(json!({"source": "github", "repo": "o/r"})), Ok(PluginSource::Git { .. })));
        assert!(matches!(parse(json!({"source": "npm", "package": "x"})), Ok(PluginSource::Refused { .. })));
        assert!(parse(json!({"source": "github"})).is_err());
        assert!(matches!(parse(json!({"source": "acme"})), Ok(PluginSource::InMarketplace { .. })));
        assert!(PluginSource::InMarketplace { word: "github".into(), fields: Vec::new() }.has_reserved_form());
        let many = (0..1000).map(|n| format!("form-{n}")).collect();
        assert_eq!(partition_forms("x", many).0.len(), MAX_FORMS);
    }

    #[test]
    fn sources_that_trick_are_refused() {
        for value in [
            json!("a/b"),
            json!("../x"),
            json!(""),
            json!(3),
            json!({"source": "github", "repo": "../x"}),
            json!({"source": "github", "repo": "-o/r"}),
            json!({"source": "url", "url": "--upload-pack=x"}),
            json!({"source": "url", "url": "ext::sh -c x"}),
            json!({"source": "url", "url": "https://u:p@h/r"}),
            json!({"source": "url", "url": ""}),
            json!({"source": "url", "url": "https://h/r", "sha": "abc"}),
            json!({"source": "url", "url": "https://h/r", "ref": "-x"}),
            json!({"source": "git-subdir", "url": "o/r", "path": "../x"}),
            json!({"source": "git-subdir", "url": "o/r"}),
        ] {
            assert!(parse(&value).is_err(), "{value}");
        }
    }

    /// Tests the same table as `plugins/market-github/src/claim.rs`.
    #[test]
    fn repositories_of_github_are_told_by_their_names() {
        let long = ["a".repeat(39), "a".repeat(40), "b".repeat(100), "b".repeat(101)];
        let (owner, repo) = (format!("{}/x", long[0]), format!("x/{}", long[2]));
        for good in ["owner/repo", "a-b/.github", "a-/b", "a--b/c", "1/2", "a/-", "a/_x.y", &owner, &repo] {
            assert!(is_github_repo(good), "{good}");
        }
        let (owner, repo) = (format!("{}/x", long[1]), format!("x/{}", long[3]));
        for bad in [
            "",
            "owner",
            "owner/",
            "/repo",
            "-a/b",
            "a_b/c",
            "a.b/c",
            "owner/.",
            "owner/..",
            "owner/.git",
            "a/b/c",
            "owner/re po",
            "owner/r\u{e9}po",
            "owner/a%2e",
            &owner,
            &repo,
        ] {
            assert!(!is_github_repo(bad), "{bad}");
        }
    }
}
