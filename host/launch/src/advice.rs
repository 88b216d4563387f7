//! What to do about a run that failed, where what the CLI said tells.

use aiw_core::CliKind;

/// Why a run failed, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// Why, as a sentence; none if the CLI's own words say it.
    pub reason: Option<String>,
    /// The line to type.
    pub hint: String,
}

/// The words that stand beside a 401 where a key is refused. In lower case, as all that is compared here.
const REFUSED_KEY_PHRASES: [&str; 6] =
    ["unauthorized", "unauthenticated", "authentication", "invalid x-api-key", "invalid_api_key", "api key"];

/// Says what to do about a run that failed. `said` is the end of what the CLI wrote, `provider` the one that it ran with.
pub fn advice(cli: CliKind, provider: Option<&str>, code: Option<i32>, said: &str) -> Option<Advice> {
    let said = said.to_lowercase();
    let hint = match cli {
        // <https://github.com/openai/codex/blob/main/codex-rs/exec/src/lib.rs>
        CliKind::Codex if said.contains("not inside a trusted directory") => {
            "Codex works in git repositories and in directories that it trusts: run `git init` or `codex` here once, or \
             add `-- --skip-git-repo-check`"
        }
        // Its exit code for a directory that is not trusted.
        CliKind::Gemini if code == Some(55) || said.contains("not running in a trusted directory") => {
            "Gemini CLI works in directories that you trust: `aiw trust add` for all of aiw, `gemini` for it alone, \
             `--trust` for one run"
        }
        _ => return refused(cli, provider, code, &said),
    };
    Some(Advice { reason: None, hint: hint.to_owned() })
}

/// A key that is refused. Gemini CLI exits with the status modulo 256.
fn refused(cli: CliKind, provider: Option<&str>, code: Option<i32>, said: &str) -> Option<Advice> {
    let is_status = (cli == CliKind::Gemini && code == Some(401 - 256)) || said.contains("401");
    let is_refused = is_status && REFUSED_KEY_PHRASES.iter().any(|word| said.contains(word));
    if !is_refused && !said.contains("invalid api key") {
        return None;
    }
    Some(match provider {
        Some(name) => Advice {
            reason: Some(format!("provider `{name}` refused the key")),
            hint: format!(
                "`aiw provider test {name}` tries it; `aiw provider edit {name} --token-stdin` takes a new one"
            ),
        },
        None => Advice {
            reason: Some(format!("{cli} is not logged in, or its login is not valid any more")),
            hint: format!("run `{cli}` once and log in, or use a provider: `aiw provider add`"),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_not_trusted_and_a_refused_key_are_explained() {
        let codex = advice(
            CliKind::Codex,
            Some("x"),
            Some(1),
            "Not inside a trusted directory and --skip-git-repo-check was not specified.",
        );
        assert!(codex.unwrap().hint.contains("-- --skip-git-repo-check"));
        assert!(advice(CliKind::Gemini, None, Some(55), "").unwrap().hint.contains("`--trust`"));
        for (cli, code, said) in [
            (CliKind::Claude, 1, "API Error: 401 {\"error\":{\"type\":\"authentication_error\"}}"),
            (CliKind::Claude, 1, "Invalid API key · Fix external API key"),
            (CliKind::Codex, 1, "unexpected status 401 Unauthorized: no"),
            (CliKind::Gemini, 145, "[API Error: API key not valid.]"),
        ] {
            let found = advice(cli, Some("bad"), Some(code), said).unwrap();
            assert_eq!(found.reason.as_deref(), Some("provider `bad` refused the key"), "{said}");
            assert!(found.hint.contains("aiw provider edit bad --token-stdin"));
            assert!(advice(cli, None, Some(code), said).unwrap().reason.unwrap().contains("is not logged in"));
        }
        for said in ["", "the tests failed: 401 of 402", "status 500"] {
            assert_eq!(advice(CliKind::Claude, Some("x"), Some(1), said), None, "{said}");
        }
    }
}
