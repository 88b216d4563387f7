//! The environment of a process: what every process gets, and what its definition adds.

use std::collections::BTreeMap;
use std::ffi::OsString;

use aiw_core::is_secret;
use aiw_home::{Home, read_nofollow};
use aiw_supervisor::is_usual_variable;

use crate::definition::{Definition, EnvValue, REPLICA_ENV};
use crate::error::ProcessError;
use crate::project::ProcessProject;

/// The longest file of variables.
const MAX_FILE_BYTES: u64 = 256 << 10;

/// The environment of a process, and the values in it that must not be shown.
pub(crate) struct ProcessEnvironment {
    pub variables: BTreeMap<String, OsString>,
    pub secrets: Vec<Vec<u8>>,
}

impl ProcessEnvironment {
    /// Returns the environment of a process, with its secrets.
    pub fn new(home: &Home, project: &ProcessProject, id: &str, definition: &Definition) -> Result<Self, ProcessError> {
        let passed = home.context().variables().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        let mut all =
            Self { variables: passed.filter(|(name, _)| is_usual_variable(name)).collect(), secrets: Vec::new() };
        if let Some(file) = &definition.env_file {
            let path = project.resolve_path(id, file)?;
            let problem = |problem: String| ProcessError::EnvFile { id: id.to_owned(), path: path.clone(), problem };
            let bytes = read_nofollow(&path, MAX_FILE_BYTES)?.ok_or_else(|| problem("is gone".into()))?;
            let text = String::from_utf8(bytes).map_err(|_| problem("is not UTF-8".into()))?;
            for (name, value) in parse(&text).map_err(|line| problem(format!("has no variable in line {line}")))? {
                all.set(name, value);
            }
        }
        if let Some(copy) = &definition.copy {
            all.variables.insert(REPLICA_ENV.into(), copy.number.to_string().into());
        }
        for (name, value) in &definition.env {
            match value {
                EnvValue::Literal(text) => all.set(name.clone(), text.clone()),
                EnvValue::Secret(secret) => {
                    if !home.vault().is_taken(secret) {
                        return Err(ProcessError::SecretNotFound { id: id.to_owned(), secret: secret.to_string() });
                    }
                    let value = home.vault().get(secret)?;
                    all.secrets.push(value.expose().as_bytes().to_vec());
                    all.variables.insert(name.clone(), value.expose().into());
                }
            }
        }
        Ok(all)
    }

    fn set(&mut self, name: String, value: String) {
        if is_secret(&name, &value) && value.len() >= 8 {
            self.secrets.push(value.clone().into_bytes());
        }
        self.variables.insert(name, value.into());
    }
}

/// Reads variables: `NAME=value`, with or without `export`. A value in quotes may have several lines. Returns the first
/// line that is not a variable.
pub(crate) fn parse(text: &str) -> Result<Vec<(String, String)>, usize> {
    let (found, bad_lines) = parse_lossy(text);
    bad_lines.first().map_or(Ok(found), |line| Err(*line))
}

/// Reads variables as [`parse`], and returns the numbers of the lines that are none beside them.
pub(crate) fn parse_lossy(text: &str) -> (Vec<(String, String)>, Vec<usize>) {
    let (mut found, mut bad_lines) = (Vec::new(), Vec::new());
    let (mut left, mut number) = (text.strip_prefix('\u{feff}').unwrap_or(text), 0);
    while !left.is_empty() {
        let (line, rest) = left.split_once('\n').unwrap_or((left, ""));
        number += 1;
        let line = line.trim();
        let start = line.strip_prefix("export ").unwrap_or(line);
        let variable = start.split_once('=').map(|(name, value)| (name.trim(), value.trim()));
        match variable.filter(|(name, _)| name.parse::<aiw_core::EnvName>().is_ok()) {
            _ if line.is_empty() || line.starts_with('#') => {}
            None => bad_lines.push(number),
            Some((name, value)) => {
                // What is left of the text from the value on.
                let from = left.split_once('=').map_or(rest, |(_, from)| from.trim_start_matches([' ', '\t']));
                match value.starts_with(['"', '\'']).then(|| quoted(from)).flatten() {
                    Some((value, length)) => {
                        number += from[..length].matches('\n').count();
                        found.push((name.to_owned(), value));
                        left = from[length..].split_once('\n').map_or("", |(_, rest)| rest);
                        continue;
                    }
                    None => found.push((name.to_owned(), unquoted(value))),
                }
            }
        }
        left = rest;
    }
    (found, bad_lines)
}

/// The value that a quote begins, and its length with both quotes. None if the quote does not end, or ends on another line
/// with something else behind it.
fn quoted(text: &str) -> Option<(String, usize)> {
    let mut chars = text.char_indices();
    let (_, quote) = chars.next()?;
    let mut out = String::new();
    while let Some((at, c)) = chars.next() {
        match c {
            _ if c == quote => {
                let end = at + c.len_utf8();
                let is_end = text[end..].chars().next().is_none_or(|next| next.is_whitespace() || next == '#');
                return (is_end || !text[..at].contains('\n')).then_some((out, end));
            }
            '\\' if quote == '"' => match chars.next()?.1 {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                other => out.push(other),
            },
            c => out.push(c),
        }
    }
    None
}

/// The value of one line, whose quote may not end. A comment begins behind a space.
fn unquoted(value: &str) -> String {
    match value.strip_prefix(['"', '\'']) {
        Some(inside) => inside.to_owned(),
        None => value.split(" #").next().unwrap_or_default().trim_end().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn variables_are_read_as_other_programs_read_them() {
        let text = "# comment\nA=1\nexport B = \"two\\n\\\"x\\\"\" # c\nC='a $b'\nD=x # y\nE=\n";
        let expected = [("A", "1"), ("B", "two\n\"x\""), ("C", "a $b"), ("D", "x"), ("E", "")];
        let expected: Vec<_> = expected.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        assert_eq!(parse(text).unwrap(), expected);
        assert_eq!((parse("A=1\nnothing"), parse("1 2=3")), (Err(2), Err(1)));
        let text = "\u{feff}A=1\r\nKEY=\"-----BEGIN-----\nabc=\n-----END-----\"\nnothing\nB='x\ny' # c\nC=\"open\nD=2";
        let expected =
            [("A", "1"), ("KEY", "-----BEGIN-----\nabc=\n-----END-----"), ("B", "x\ny"), ("C", "open"), ("D", "2")];
        let expected: Vec<_> = expected.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        assert_eq!(parse_lossy(text), (expected, vec![5]));
        let (windows, bad_lines) = parse_lossy("DIR=\"C:\\tools\\\"\nTOKEN=\"abc\"\n");
        assert_eq!((windows[1].clone(), bad_lines.len()), (("TOKEN".to_owned(), "abc".to_owned()), 0));
    }

    #[test]
    fn values_that_their_names_say_are_secrets_are_masked() {
        let directory = tempfile::tempdir().unwrap();
        let around = aiw_home::ExecutionContext::new(Ok(directory.path().to_owned()), []);
        let home = Home::from_root(directory.path().join(".aiw")).with_context(around);
        let file = "dbpass=hunter2x\nFILEKEY=hunter3x\nWEBHOOK=https://hooks.example/T0/B0\nHOST=db.example\n";
        std::fs::write(directory.path().join(".env"), file).unwrap();
        let project = ProcessProject::discover(directory.path()).unwrap();
        let env = [("SLACK_WEBHOOK_URL", "https://hooks.example/T1"), ("WEBHOOK_PORT", "12345678")];
        let env = env.map(|(name, value)| (name.to_owned(), EnvValue::Literal(value.to_owned())));
        let definition = Definition { env_file: Some(".env".into()), env: env.into(), ..Definition::default() };
        let environment = ProcessEnvironment::new(&home, &project, "x", &definition).unwrap();
        let masked: Vec<String> =
            environment.secrets.iter().map(|secret| String::from_utf8(secret.clone()).unwrap()).collect();
        let expected = ["hunter2x", "hunter3x", "https://hooks.example/T0/B0", "https://hooks.example/T1"];
        assert_eq!(masked, expected);
        assert_eq!(environment.variables.len(), 6);
    }

    mod fuzz {
        use super::*;
        proptest! {
            #[test]
            fn any_file_is_read_or_refused(text: String) {
                let _ = parse(&text);
            }
        }
    }
}
