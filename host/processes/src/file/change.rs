//! Changing what a file says of one process: only the lines of what changes are written anew.

use std::cmp::Reverse;
use std::iter::once;
use std::ops::Range;

use super::edit::{checked, defaults, end_of, env, need, node_of, quoted, restart, words};
use super::parse;
use super::read::document;
use crate::definition::{Definition, Run};

/// Returns the text in which a process is defined otherwise. What stays the same stays as it is written.
///
/// # Errors
///
/// Returns the obstacle as a sentence.
pub(crate) fn change(text: &str, id: &str, old: &Definition, new: &Definition) -> Result<String, String> {
    let mut wanted = parse(text).map_err(|problem| problem.to_string())?;
    match wanted.processes.insert(id.to_owned(), new.clone()) {
        Some(before) if before == *old => {}
        _ => return Err(format!("somebody else changed `{id}` meanwhile")),
    }
    let document = document(text).map_err(|(_, problem)| problem)?;
    let children = node_of(&document, id)?.children().map(kdl::KdlDocument::nodes).unwrap_or_default();
    let first = children.first().ok_or_else(|| format!("`{id}` says nothing"))?;
    let base = defaults(text);
    let mut edits = Vec::new();
    for (names, was, is) in said_by(old, &base).into_iter().zip(said_by(new, &base)).map(|(a, b)| (a.0, a.1, b.1)) {
        if was == is {
            continue;
        }
        let own: Vec<_> = children.iter().filter(|child| names.contains(&child.name().value())).collect();
        let at = |child: &kdl::KdlNode| child.name().span().offset();
        match own.split_first() {
            None => edits.push((
                at(first)..at(first),
                format!("{}{}", is.join(&break_before(text, at(first))), break_before(text, at(first))),
            )),
            Some((place, rest)) => {
                let lines = is.join(&break_before(text, at(place)));
                let gone = rest.iter().map(|node| (node, String::new()));
                for (node, lines) in once((place, lines)).chain(gone) {
                    let end = end_of(node, text).max(at(node));
                    edits.push((
                        if lines.is_empty() { without_line(text, at(node), end) } else { at(node)..end },
                        lines,
                    ));
                }
            }
        }
    }
    edits.sort_by_key(|(range, _)| Reverse(range.start));
    let mut new = text.to_owned();
    edits.into_iter().for_each(|(range, lines)| new.replace_range(range, &lines));
    checked(new, &wanted)
}

/// Returns what stands between a node and one that is written before it.
fn break_before(text: &str, start: usize) -> String {
    let line = text[..start].rfind('\n').map_or(0, |at| at + 1);
    if text[line..start].trim().is_empty() { format!("\n{}", &text[line..start]) } else { "; ".to_owned() }
}

/// Returns the range of a node with the rest of its line, if nothing else stands there.
fn without_line(text: &str, start: usize, end: usize) -> Range<usize> {
    let line = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let rest = text[end..].len() - text[end..].trim_start_matches([' ', '\t', '\r']).len();
    match text[end + rest..].chars().next() {
        Some('\n') if text[line..start].trim().is_empty() => line..end + rest + 1,
        Some(';') => start..end + rest + 1,
        _ => start..end,
    }
}

/// Returns what a form may change of a definition: the names of the nodes, and the lines that say it.
fn said_by(definition: &Definition, base: &Definition) -> [(&'static [&'static str], Vec<String>); 6] {
    let run = match &definition.run {
        Run::Command(argv) => format!("command {}", words(argv)),
        Run::Shell(line) => format!("shell {}", quoted(line)),
    };
    let cwd = definition.cwd.iter().map(|cwd| format!("cwd {}", quoted(cwd))).collect();
    let needs = definition.needs.iter().map(need).collect();
    let restart = restart(&definition.restart);
    let auto = format!("auto-start #{}", definition.auto_start);
    [
        (&["command", "shell"], vec![run]),
        (&["cwd"], cwd),
        (&["env"], env(definition, base).into_iter().collect()),
        (&["needs"], needs),
        (&["restart"], vec![restart]),
        (&["auto-start"], vec![auto]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::{EnvValue, RestartWhen};

    const FILE: &str = r#"// Processes of this project.
process "api" { // keep me
    command "node" "server.js" // a } in a comment
    cwd "api"
    env { A "1"; B secret="token" }
    ready tcp="3000" // and me
    needs "db"; needs "cache"
}
process "db" { command "postgres" }; process "cache" { command "redis"; auto-start #false }
"#;

    fn changed(id: &str, edit: impl FnOnce(&mut Definition)) -> Result<String, String> {
        let old = parse(FILE).unwrap().processes[id].clone();
        let mut new = old.clone();
        edit(&mut new);
        change(FILE, id, &old, &new)
    }

    #[test]
    fn what_stays_the_same_stays_as_it_is_written() {
        assert_eq!(changed("api", |_| {}).unwrap(), FILE);
        let text = changed("api", |new| new.run = Run::Command(vec!["bun".into(), "a b".into()])).unwrap();
        assert_eq!(text, FILE.replace("\"node\" \"server.js\"", "\"bun\" \"a b\""));
        let text = changed("api", |new| new.run = Run::Shell("x | y".into())).unwrap();
        assert_eq!(text, FILE.replace("command \"node\" \"server.js\"", "shell \"x | y\""));
        let text = changed("api", |new| new.cwd = None).unwrap();
        assert_eq!(text, FILE.replace("    cwd \"api\"\n", ""));
        let text = changed("db", |new| new.cwd = Some("data".into())).unwrap();
        assert_eq!(text, FILE.replace("{ command \"postgres\" }", "{ cwd \"data\"; command \"postgres\" }"));
        let text = changed("cache", |new| new.auto_start = true).unwrap();
        assert_eq!(text, FILE.replace("auto-start #false", "auto-start #true"));
        let text = changed("api", |new| new.needs.truncate(1)).unwrap();
        assert!(text.contains("    needs \"db\" until=\"ready\"; \n}") && text.contains("// and me"), "{text}");
    }

    #[test]
    fn several_changes_are_made_at_once() {
        let text = changed("api", |new| {
            new.env.remove("A");
            new.env.insert("C".into(), EnvValue::Literal("\"}".into()));
            new.restart.when = RestartWhen::Always;
            new.cwd = Some("else where".into());
            new.auto_start = false;
        });
        let text = text.unwrap();
        for kept in
            ["// keep me", "command \"node\" \"server.js\" // a } in a comment", "// and me", "B secret=\"token\""]
        {
            assert!(text.contains(kept) || text.contains(&kept.replace("B ", "\"B\" ")), "{kept}: {text}");
        }
        assert!(text.contains("restart \"always\"") && text.contains("cwd \"else where\""), "{text}");
    }

    #[test]
    fn what_somebody_else_changed_meanwhile_is_left_alone() {
        let old = parse(FILE).unwrap().processes["api"].clone();
        let other = FILE.replace("server.js", "evil.js");
        assert!(
            change(&other, "api", &old, &Definition { cwd: None, ..old.clone() }).unwrap_err().contains("meanwhile")
        );
        assert!(change(FILE, "nope", &old, &old).is_err());
        // A default of the file can't be taken away from one process.
        let text = "defaults { env { A \"1\" } }\nprocess \"x\" { command \"y\" }\n";
        let old = parse(text).unwrap().processes["x"].clone();
        let new = Definition { env: [].into(), ..old.clone() };
        assert!(change(text, "x", &old, &new).unwrap_err().contains("by hand"));
    }
}
