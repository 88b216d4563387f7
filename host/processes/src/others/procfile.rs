//! A Procfile, as foreman and honcho read it: `name: line for a shell`, and the `.env` beside it.

use super::foreign::{FileSurroundings, Foreign};
use crate::definition::{Definition, EnvValue, Run};

/// The port of the first process; each further one has a hundred more.
const PORT: usize = 5000;

/// Reads a file. The error is a line and a sentence.
pub(super) fn read(text: &str, beside: &FileSurroundings) -> Result<Foreign, (usize, String)> {
    let mut foreign = Foreign::default();
    for (line, number) in text.lines().zip(1..) {
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        // As strict as foreman and honcho, which pass over other lines: nobody has seen those run.
        let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let found = line.split_once(':').map(|(name, command)| (name, command.trim()));
        let Some((name, command)) =
            found.filter(|(name, command)| name.chars().all(is_letter) && !name.is_empty() && !command.is_empty())
        else {
            return Err((number, "is not `name: command`".into()));
        };
        let port = PORT + 100 * foreign.definitions.len();
        let definition = Definition {
            run: Run::Shell(command.to_owned()),
            cwd: Some(beside.path(".")).filter(|path| path != "."),
            env: [("PORT".to_owned(), EnvValue::Literal(port.to_string()))].into(),
            env_file: beside.env_file.clone(),
            ..Definition::default()
        };
        if foreign.definitions.insert(name.to_owned(), definition).is_some() {
            return Err((number, format!("names `{name}` a second time")));
        }
    }
    Ok(foreign)
}
