//! Changing what a file says of one process: only the lines of what changes are written anew.

use std::ops::Range;

use super::edit::{
    defaults, find_node, format_arguments, format_dependency, format_env, format_restart, format_variable, line_end,
    line_start, node_end, node_start, quote, separator_before, verify_edit,
};
use super::parse;
use super::read::{node_offset, parse_document};
use crate::definition::{CommandSpec, Definition, EnvValue};

/// Returns the text in which a process is defined otherwise. What stays the same stays as it is written. Returns none if
/// the text no longer says what it said of the process.
///
/// # Errors
///
/// Returns the obstacle as a sentence.
pub(crate) fn replace_definition(
    text: &str,
    id: &str,
    old: &Definition,
    new: &Definition,
) -> Result<Option<String>, String> {
    let mut wanted = parse(text).map_err(|problem| problem.to_string())?;
    if wanted.processes.insert(id.to_owned(), new.clone()).as_ref() != Some(old) {
        return Ok(None);
    }
    let base = defaults(text);
    let mut text = text.to_owned();
    for ((names, was), (_, is)) in said_by(old, &base).into_iter().zip(said_by(new, &base)) {
        let by_variable = || {
            let changed = (names == ["env"]).then(|| with_variables(&text, id, old, new)).flatten();
            // Part of a variable may be commented out, and would stay alone.
            let is_meant = |text: &String| {
                parse(text).is_ok_and(|read| read.processes.get(id).is_some_and(|one| one.env == new.env))
            };
            // A block in which nothing is left, not even a comment, goes as a whole.
            changed.filter(is_meant).filter(|text| !is.is_empty() || has_more_in_block(text, id))
        };
        if was != is {
            let changed = by_variable().map_or_else(|| with_lines(&text, id, names, &is), Ok);
            text = changed.map_err(|problem| format!("{problem}: change the file by hand"))?;
        }
    }
    verify_edit(text, &wanted).map(Some)
}

/// Returns the text in which these lines say what these nodes of a process said.
fn with_lines(text: &str, id: &str, names: &[&str], lines: &[String]) -> Result<String, String> {
    let document = parse_document(text).map_err(|(_, problem)| problem)?;
    let children = children_of(&document, id)?;
    let mut own = children.iter().filter(|child| names.contains(&child.name().value()));
    let place = own.next();
    let start = node_start(place.or(children.first()).ok_or_else(|| format!("`{id}` says nothing"))?, text);
    let between = separator_before(text, start);
    let mut lines = lines.join(&between);
    let mut new = text.to_owned();
    for other in own.rev() {
        new.replace_range(without_line(text, other), "");
    }
    // The text of several lines is ours.
    lines = lines.replace("\r\n", "\n").replace('\n', line_end(text));
    match place {
        None => new.insert_str(start, &(lines + &between)),
        Some(place) if lines.is_empty() => new.replace_range(without_line(text, place), ""),
        Some(place) => new.replace_range(node_offset(place)..node_end(place, text), &lines),
    }
    Ok(new)
}

/// Returns the text in which the variables of a process have other values. Returns none if they have to be written anew.
fn with_variables(text: &str, id: &str, old: &Definition, new: &Definition) -> Option<String> {
    let mut text = text.to_owned();
    let others = new.env.iter().filter(|(name, value)| old.env.get(*name) != Some(value));
    let gone = old.env.keys().filter(|name| !new.env.contains_key(*name));
    for (name, value) in others.map(|(name, value)| (name, Some(value))).chain(gone.map(|name| (name, None))) {
        text = with_variable(&text, id, name, value)?;
    }
    Some(text)
}

fn with_variable(text: &str, id: &str, name: &str, value: Option<&EnvValue>) -> Option<String> {
    let document = parse_document(text).ok()?;
    let blocks = || children_of(&document, id).into_iter().flatten().filter(|child| child.name().value() == "env");
    let nodes = || blocks().filter_map(|block| block.children()).flat_map(kdl::KdlDocument::nodes);
    let mut own = nodes().filter(|node| node.name().value() == name);
    let (place, again) = (own.next(), own.next());
    // The words of a block are variables too, and so is what `var` names, as ichimi 0.2.1 wrote them.
    let is_other = || nodes().any(|node| node.name().value() == "var");
    if again.is_some() || is_other() || blocks().any(|block| !block.entries().is_empty()) {
        return None;
    }
    let mut new = text.to_owned();
    match (place, value) {
        (Some(node), Some(value)) => {
            new.replace_range(node_offset(node)..node_end(node, text), &format_variable(name, value))
        }
        (Some(node), None) => new.replace_range(without_line(text, node), ""),
        (None, Some(value)) => {
            let first = nodes().next().map(|node| (node_start(node, text), ""));
            // A block of nothing but comments keeps them.
            let in_block =
                || text[..node_end(blocks().next()?, text)].strip_suffix('}').map(|inside| (inside.len(), "    "));
            let (start, deeper) = first.or_else(in_block)?;
            let between = separator_before(text, start);
            let deeper = if between.trim().is_empty() { deeper } else { "" };
            new.insert_str(start, &(deeper.to_owned() + &format_variable(name, value) + &between));
        }
        (None, None) => return None,
    }
    Some(new)
}

/// Whether something stands in a block of variables of a process: a variable, a comment, or what is commented out.
fn has_more_in_block(text: &str, id: &str) -> bool {
    let Ok(document) = parse_document(text) else { return false };
    let mut blocks = children_of(&document, id).into_iter().flatten().filter(|child| child.name().value() == "env");
    blocks.any(|block| {
        let name = block.name().span();
        let behind = &text[name.offset() + name.len()..node_end(block, text)];
        !behind.chars().filter(|c| !c.is_whitespace() && *c != ';').eq("{}".chars())
    })
}

fn children_of<'a>(document: &'a kdl::KdlDocument, id: &str) -> Result<&'a [kdl::KdlNode], String> {
    Ok(find_node(document, id)?.children().map(kdl::KdlDocument::nodes).unwrap_or_default())
}

/// Returns the range of a node with the rest of its line, if nothing else stands there.
fn without_line(text: &str, node: &kdl::KdlNode) -> Range<usize> {
    let (start, end) = (node_start(node, text), node_end(node, text));
    let line = line_start(text, start);
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
        CommandSpec::Command(argv) => format!("command {}", format_arguments(argv)),
        CommandSpec::Shell(line) => format!("shell {}", quote(line)),
    };
    let cwd = definition.cwd.iter().map(|cwd| format!("cwd {}", quote(cwd))).collect();
    let needs = definition.needs.iter().map(format_dependency).collect();
    let restart = format_restart(&definition.restart);
    let auto = format!("auto-start #{}", definition.auto_start);
    [
        (&["command", "shell"], vec![run]),
        (&["cwd"], cwd),
        (&["env"], format_env(definition, base).into_iter().collect()),
        (&["needs"], needs),
        (&["restart"], vec![restart]),
        (&["auto-start"], vec![auto]),
    ]
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::{EnvValue, RestartCondition};

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
        replace_definition(FILE, id, &old, &new).map(Option::unwrap)
    }

    #[test]
    fn what_stays_the_same_stays_as_it_is_written() {
        assert_eq!(changed("api", |_| {}).unwrap(), FILE);
        let text = changed("api", |new| new.run = CommandSpec::Command(vec!["bun".into(), "a b".into()])).unwrap();
        assert_eq!(text, FILE.replace("\"node\" \"server.js\"", "\"bun\" \"a b\""));
        let text = changed("api", |new| new.run = CommandSpec::Shell("x | y".into())).unwrap();
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
    fn a_variable_is_changed_where_it_stands() {
        let text = "process \"x\" {\r\n  command \"y\"\r\n  env {\r\n    A \"1\" // why\r\n    B \"2\"\r\n  }\r\n}\r\n";
        let old = parse(text).unwrap().processes["x"].clone();
        let literal = |text: &str| EnvValue::Literal(text.into());
        let with = |edits: &[(&str, Option<&str>)]| {
            let mut new = old.clone();
            for (name, value) in edits {
                match value {
                    Some(value) => drop(new.env.insert((*name).into(), literal(value))),
                    None => drop(new.env.remove(*name)),
                }
            }
            replace_definition(text, "x", &old, &new).unwrap().unwrap()
        };
        assert_eq!(with(&[("A", Some("3"))]), text.replace("A \"1\"", "\"A\" \"3\""));
        assert_eq!(with(&[("B", None)]), text.replace("    B \"2\"\r\n", ""));
        let more = text.replace("    A \"1\"", "    \"C\" \"4\"\r\n    A \"1\"");
        assert_eq!(with(&[("C", Some("4"))]), more);
        assert_eq!(
            with(&[("A", None), ("C", Some("4"))]),
            text.replace("A \"1\" // why", "\"C\" \"4\"\r\n     // why")
        );
        // A comment on a variable stays without it.
        assert_eq!(
            with(&[("A", None), ("B", None)]),
            text.replace("    A \"1\" // why\r\n    B \"2\"\r\n", "     // why\r\n")
        );
        // A block of comments keeps them.
        let only = text.replace("    A \"1\" // why\r\n    B \"2\"\r\n", "    // A \"1\" }\r\n");
        let first = parse(&only).unwrap().processes["x"].clone();
        let set = Definition { env: [("A".into(), literal("3"))].into(), ..first.clone() };
        let said = only.replace("}\r\n  }", "}\r\n      \"A\" \"3\"\r\n  }");
        assert_eq!(replace_definition(&only, "x", &first, &set), Ok(Some(said)));
        // A new block has the line ends of the file.
        let bare = text.replace("  env {\r\n    A \"1\" // why\r\n    B \"2\"\r\n  }\r\n", "");
        let first = parse(&bare).unwrap().processes["x"].clone();
        let block = replace_definition(&bare, "x", &first, &old).unwrap().unwrap();
        assert_eq!(block.matches('\n').count(), block.matches("\r\n").count(), "{block:?}");
    }

    #[test]
    fn the_last_variable_takes_its_block_along_but_no_comment() {
        let without = |block: &str| {
            let text = format!("process \"x\" {{\n  command \"y\"\n{block}}}\n");
            let old = parse(&text).unwrap().processes["x"].clone();
            let new = Definition { env: [].into(), ..old.clone() };
            let changed = replace_definition(&text, "x", &old, &new).unwrap().unwrap();
            let inside = changed.strip_prefix("process \"x\" {\n  command \"y\"\n");
            inside.and_then(|inside| inside.strip_suffix("}\n")).unwrap().to_owned()
        };
        let commented = "  env {\n    /- A \"1\" // why\n    B \"2\" // note\n    /- C \"3\"\n  }\n";
        assert_eq!(without(commented), commented.replace("B \"2\"", ""));
        let above = "  env {\n    // the port }\n    B \"2\"\n  }\n";
        assert_eq!(without(above), above.replace("    B \"2\"\n", ""));
        assert_eq!(without("  env { A \"1\"; B \"2\"; /* } */ }\n"), "  env {   /* } */ }\n");
        for bare in ["  env { B \"2\" }\n", "  env {\n    A \"1\"\n    B \"2\";\n  }\n", "  env B=\"2\"\n"] {
            assert_eq!(without(bare), "", "{bare}");
        }
    }

    #[test]
    fn an_annotation_stays_with_its_node() {
        let text = "process \"x\" {\n  (t)command \"y\"\n  (d)cwd \"z\"\n  env { (n)A \"1\"; B \"2\" }\n}\n";
        let old = parse(text).unwrap().processes["x"].clone();
        let edited = |edit: fn(&mut Definition)| {
            let mut new = old.clone();
            edit(&mut new);
            replace_definition(text, "x", &old, &new).unwrap().unwrap()
        };
        assert_eq!(
            edited(|new| new.auto_start = false),
            text.replace("  (t)command", "  auto-start #false\n  (t)command")
        );
        assert_eq!(edited(|new| new.cwd = None), text.replace("  (d)cwd \"z\"\n", ""));
        let set = edited(|new| drop(new.env.insert("A".into(), EnvValue::Literal("3".into()))));
        assert_eq!(set, text.replace("(n)A \"1\"", "(n)\"A\" \"3\""));
        assert_eq!(edited(|new| drop(new.env.remove("A"))), text.replace("(n)A \"1\";", ""));
        let added = edited(|new| drop(new.env.insert("C".into(), EnvValue::Literal("4".into()))));
        assert_eq!(added, text.replace("(n)A", "\"C\" \"4\"; (n)A"));
    }

    #[test]
    fn several_changes_are_made_at_once() {
        let text = changed("api", |new| {
            new.env.remove("A");
            new.env.insert("C".into(), EnvValue::Literal("\"}".into()));
            new.restart.when = RestartCondition::Always;
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
        assert_eq!(replace_definition(&other, "api", &old, &Definition { cwd: None, ..old.clone() }), Ok(None));
        assert_eq!(replace_definition(FILE, "nope", &old, &old), Ok(None));
        // A default of the file can't be taken away from one process.
        let text = "defaults { env { A \"1\" } }\nprocess \"x\" { command \"y\" }\n";
        let old = parse(text).unwrap().processes["x"].clone();
        let new = Definition { env: [].into(), ..old.clone() };
        assert!(replace_definition(text, "x", &old, &new).unwrap_err().contains("by hand"));
    }
}
