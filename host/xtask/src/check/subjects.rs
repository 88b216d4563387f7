//! Checks the subjects of commits: `scope: verb …` or `Verb …`, short, without a period at the end.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;

use aiw_tests::command::{self, root};

/// The last commit before the rule.
const BASE_COMMIT: &str = "e8a0a96f68cc05ffbe72d143d4df0fe3ec47c155";

const MAX_SUBJECT_CHARS: usize = 72;

/// Lowercase words that begin a noun phrase or a question. An imperative begins with a verb.
const NON_VERBS: [&str; 6] = ["a", "an", "the", "what", "who", "no"];

/// Returns the violations.
pub fn check() -> Result<Vec<String>> {
    check_since(&root(), BASE_COMMIT)
}

/// Returns the violations of the commits after `base`, without merges. Passes if `base` is not in the history, as in a shallow
/// clone or without a repository.
fn check_since(repository: &Path, base: &str) -> Result<Vec<String>> {
    let git = || {
        let mut git = Command::new("git");
        git.arg("-C").arg(repository);
        git
    };
    let mut reaches = git();
    reaches.args(["merge-base", "--is-ancestor", base, "HEAD"]).stdout(Stdio::null()).stderr(Stdio::null());
    if !reaches.status().is_ok_and(|status| status.success()) {
        eprintln!("warning: commit subjects were not checked: {base} is not in the history");
        return Ok(Vec::new());
    }
    let mut log = git();
    log.args(["-c", "log.showSignature=false", "log", "--no-merges", "--format=%h %s", &format!("{base}..HEAD")]);
    let log = command::output(&mut log)?;
    let subjects = log.lines().map(|line| line.split_once(' ').unwrap_or((line, "")));
    Ok(subjects
        .filter_map(|(commit, subject)| Some(format!("{commit} `{subject}` {}", check_subject(subject)?)))
        .collect())
}

/// Returns the violation, or `None` for a valid subject.
fn check_subject(subject: &str) -> Option<String> {
    let length = subject.chars().count();
    if length > MAX_SUBJECT_CHARS {
        return Some(format!("has {length} characters, more than {MAX_SUBJECT_CHARS}"));
    }
    if subject.ends_with('.') {
        return Some("ends with a period".to_owned());
    }
    let rest = strip_scope(subject).trim();
    let first = rest.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    if rest.is_empty() {
        return Some("is empty".to_owned());
    }
    let is_verb = !NON_VERBS.contains(&first.to_lowercase().as_str());
    (!is_verb).then(|| format!("begins with `{first}`: begin with a verb in the imperative"))
}

fn strip_scope(subject: &str) -> &str {
    let is_scope = |text: &str| {
        let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_/,".contains(c);
        !text.is_empty() && text.chars().all(is_allowed)
    };
    match subject.split_once(':') {
        Some((scope, rest)) if is_scope(scope) && (rest.is_empty() || rest.starts_with(' ')) => rest,
        _ => subject,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_short_imperatives_without_a_period() {
        for good in [
            "Check commit subjects",
            "xtask: check commit subjects",
            "sdk/rust,host: rename `Old` to `New`",
            "Answer whatever the server asks",
            "gateway: note failures",
            &"a".repeat(72),
            &"ä".repeat(72),
        ] {
            assert_eq!(check_subject(good), None, "{good}");
        }
        for bad in [
            "",
            "xtask:",
            "xtask: ",
            "Check commit subjects.",
            "The subjects are checked",
            "xtask: the subjects are checked",
            "Who stops a command reads no error",
            "What's new",
            "A check",
            "An error",
            "no error",
            &"a".repeat(73),
        ] {
            assert!(check_subject(bad).is_some(), "{bad}");
        }
        // Not a scope.
        assert!(check_subject("The gateway: retry once").is_some());
    }

    #[test]
    fn commits_after_the_base_are_checked_except_for_merges() {
        let repository = tempfile::tempdir().unwrap();
        let git = |arguments: &[&str]| {
            let mut git = Command::new("git");
            git.arg("-C").arg(repository.path()).args(["-c", "user.name=a", "-c", "user.email=a@example.com"]);
            git.args(["-c", "commit.gpgSign=false", "-c", "core.hooksPath=none"]).args(arguments);
            command::output(&mut git).unwrap()
        };
        let commit = |subject: &str| {
            git(&["commit", "--quiet", "--allow-empty", "--message", subject]);
            git(&["rev-parse", "HEAD"]).trim().to_owned()
        };
        git(&["init", "--quiet", "--initial-branch=main"]);
        let base = commit("The past is not checked.");
        commit("a: check it\n\nThe body is not checked.");
        git(&["switch", "--quiet", "--create", "side"]);
        commit("Add a side");
        git(&["switch", "--quiet", "main"]);
        commit("The future is checked");
        git(&["merge", "--quiet", "--no-ff", "--message", "The merge.", "side"]);

        let problems = check_since(repository.path(), &base).unwrap();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains("`The future is checked` begins with `The`"), "{problems:?}");
        assert_eq!(check_since(repository.path(), &"0".repeat(40)).unwrap(), [""; 0]);
        assert_eq!(check_since(&repository.path().join("none"), &base).unwrap(), [""; 0]);
    }
}
