//! The environment of a process: what every process gets, and what its definition adds.

use std::collections::BTreeMap;
use std::ffi::OsString;

use aiw_core::is_secret;
use aiw_home::{Home, read_unlinked};
use aiw_supervisor::is_usual_variable;

use crate::definition::{COPY, Definition, EnvValue};
use crate::error::ProcessError;
use crate::project::ProcessProject;

/// The longest file of variables.
const MAX_FILE: u64 = 256 << 10;

/// The environment of a process, and the values in it that must not be shown.
pub(crate) struct ProcessEnvironment {
    pub variables: BTreeMap<String, OsString>,
    pub secrets: Vec<Vec<u8>>,
}

impl ProcessEnvironment {
    /// Returns the environment of a process, with its secrets.
    pub fn of(home: &Home, project: &ProcessProject, id: &str, definition: &Definition) -> Result<Self, ProcessError> {
        let passed = home.around().variables().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        let mut all =
            Self { variables: passed.filter(|(name, _)| is_usual_variable(name)).collect(), secrets: Vec::new() };
        if let Some(file) = &definition.env_file {
            let path = project.inside(id, file)?;
            let problem = |problem: String| ProcessError::EnvFile { id: id.to_owned(), path: path.clone(), problem };
            let bytes = read_unlinked(&path, MAX_FILE)?.ok_or_else(|| problem("is gone".into()))?;
            let text = String::from_utf8(bytes).map_err(|_| problem("is not UTF-8".into()))?;
            for (name, value) in parse(&text).map_err(|line| problem(format!("has no variable in line {line}")))? {
                all.set(name, value);
            }
        }
        if let Some(copy) = &definition.copy {
            all.variables.insert(COPY.into(), copy.number.to_string().into());
        }
        for (name, value) in &definition.env {
            match value {
                EnvValue::Literal(text) => all.set(name.clone(), text.clone()),
                EnvValue::Secret(secret) => {
                    if !home.vault().is_taken(secret) {
                        return Err(ProcessError::NoSecret { id: id.to_owned(), secret: secret.to_string() });
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

/// Reads variables, one a line: `NAME=value`, with or without quotes and `export`. Returns the first line that is not a variable.
pub(crate) fn parse(text: &str) -> Result<Vec<(String, String)>, usize> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = line.split_once('=').ok_or(number + 1)?;
        let name = name.trim();
        if name.parse::<aiw_core::EnvName>().is_err() {
            return Err(number + 1);
        }
        found.push((name.to_owned(), unquoted(value.trim())));
    }
    Ok(found)
}

fn unquoted(value: &str) -> String {
    let inside = |quote: char| value.strip_prefix(quote)?.split_once(quote).map(|(inside, _)| inside);
    if let Some(text) = inside('\'') {
        return text.to_owned();
    }
    if let Some(inside) = value.strip_prefix('"') {
        let mut out = String::new();
        let mut chars = inside.chars();
        while let Some(c) = chars.next() {
            match c {
                '"' => break,
                '\\' => match chars.next() {
                    Some('n') => out.push('\n'),
                    Some('t') => out.push('\t'),
                    Some(other) => out.push(other),
                    None => {}
                },
                c => out.push(c),
            }
        }
        return out;
    }
    // A comment begins behind a space.
    value.split(" #").next().unwrap_or_default().trim_end().to_owned()
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
