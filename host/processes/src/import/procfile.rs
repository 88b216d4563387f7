//! A Procfile, as foreman and honcho read it: `name: line for a shell`, and the `.env` beside it.

use super::foreign::{FileContext, ForeignDefinitions};
use crate::definition::{CommandSpec, Definition, EnvValue};

/// The port of the first process, unless `.env` has one; each further one has a hundred more.
///
/// Source: `port` in <https://github.com/ddollar/foreman/blob/main/lib/foreman/engine.rb>.
const DEFAULT_PORT: usize = 5000;

/// Reads a file. A line that is no process is left out.
pub(super) fn read(text: &str, beside: &FileContext<'_>) -> ForeignDefinitions {
    let mut foreign = ForeignDefinitions::default();
    // foreman takes the variable as the first port.
    let first = beside.variables.get("PORT").and_then(|port| port.trim().parse().ok()).unwrap_or(DEFAULT_PORT);
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
            foreign.skipped.push(format!("line {number} is left out: it is not `name: command`"));
            continue;
        };
        if foreign.definitions.contains_key(name) {
            foreign.skipped.push(format!("line {number} is left out: it names `{name}` a second time"));
            continue;
        }
        let port = first.saturating_add(100 * foreign.definitions.len());
        let definition = Definition {
            run: CommandSpec::Shell(command.to_owned()),
            cwd: Some(beside.to_project_path(".")).filter(|path| path != "."),
            env: [("PORT".to_owned(), EnvValue::Literal(port.to_string()))].into(),
            env_file: beside.env_file.clone(),
            ..Definition::default()
        };
        foreign.definitions.insert(name.to_owned(), definition);
    }
    foreign
}
