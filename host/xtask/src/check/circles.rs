//! Checks that no files of a crate import each other in a cycle.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use aiw_tests::command::root;
use anyhow::Result;

/// The path of a module inside its crate; empty for the root.
type Module = Vec<String>;

/// Returns the cycles in all crates of the host, and in those that third parties build on.
pub fn check() -> Result<Vec<String>> {
    let mut crates: Vec<PathBuf> = vec![root().join("sdk/rust/src"), root().join("sdk/testkit/src")];
    for entry in std::fs::read_dir(root().join("host"))? {
        crates.push(entry?.path().join("src"));
    }
    crates.sort();
    let mut problems = Vec::new();
    for src in crates.iter().filter(|src| src.is_dir()) {
        let mut files = BTreeMap::new();
        read(src, &mut Vec::new(), &mut files)?;
        let name = src.strip_prefix(root()).unwrap_or(src).display().to_string();
        for circle in circles(&files) {
            let circle: Vec<String> = circle.iter().map(shown).collect();
            problems.push(format!("{name}: these files import each other in a circle: {}", circle.join(", ")));
        }
    }
    Ok(problems)
}

fn shown(module: &Module) -> String {
    if module.is_empty() { "the root".into() } else { module.join("/") }
}

/// Reads the text of each file, without its tests.
fn read(dir: &Path, at: &mut Module, files: &mut BTreeMap<Module, String>) -> Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            at.push(name);
            read(&path, at, files)?;
            at.pop();
        } else if path.extension().is_some_and(|extension| extension == "rs") && !["tests", "fuzz"].contains(&&*name) {
            let mut module = at.clone();
            if !["lib", "main", "mod"].contains(&&*name) {
                module.push(name);
            }
            files.insert(module, code(&std::fs::read_to_string(&path)?));
        }
    }
    Ok(())
}

/// Removes comments and code that only tests have.
fn code(text: &str) -> String {
    let tests = text.find("\nmod tests {").filter(|at| {
        text[..*at].rfind("#[cfg(test)]").is_some_and(|cfg| text[cfg..*at].lines().all(|line| line.starts_with("#[")))
    });
    let tests = tests.unwrap_or(text.len());
    let lines = text[..tests].lines().map(|line| line.split("//").next().unwrap_or_default());
    let mut code = String::new();
    let mut skip = false;
    for line in lines {
        if skip && line.trim_start().starts_with("use ") {
            skip = false;
            continue;
        }
        skip = line.trim() == "#[cfg(test)]";
        code.push_str(line);
        code.push('\n');
    }
    code
}

/// Expands a `use` into single paths.
fn paths(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((prefix, inner)) = tree.split_once('{') else {
        return vec![tree.split(" as ").next().unwrap_or_default().trim().to_owned()];
    };
    let inner = inner.trim_end().trim_end_matches('}');
    let (mut depth, mut from, mut parts) = (0, 0, Vec::new());
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inner[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inner[from..]);
    let close = |part: &str| {
        let missing = part.matches('{').count().saturating_sub(part.matches('}').count());
        format!("{part}{}", "}".repeat(missing))
    };
    let parts = parts.into_iter().map(str::trim).filter(|part| !part.is_empty());
    parts.flat_map(|part| paths(&close(part))).map(|path| format!("{}{path}", prefix.trim())).collect()
}

/// Returns the paths of a file: those of its `use` declarations, each with whether it is public, and those elsewhere, as
/// `crate::keys::Key` in a signature.
fn named(code: &str) -> Vec<(bool, String)> {
    let (mut found, mut rest) = (Vec::new(), String::new());
    let mut from = 0;
    for (at, _) in code.match_indices("use ") {
        let line = code[..at].rfind('\n').map_or(0, |end| end + 1);
        let before = code[line..at].trim();
        let public = before.starts_with("pub");
        if at < from || !(before.is_empty() || public) {
            continue;
        }
        let end = code[at..].find(';').map_or(code.len(), |end| at + end);
        found.extend(paths(&code[at + 4..end]).into_iter().map(|path| (public, path)));
        rest.push_str(&code[from..line.max(from)]);
        from = end;
    }
    rest.push_str(&code[from..]);
    let words = rest.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).map(|word| word.trim_matches(':'));
    found.extend(words.filter(|word| word.contains("::")).map(|word| (false, word.to_owned())));
    found
}

/// Resolves a path in a module to its parts from the root of the crate, or `None` if it leads outside.
fn absolute(module: &Module, path: &str, files: &BTreeMap<Module, String>) -> Option<Module> {
    let mut parts: Vec<String> = path.split("::").map(str::to_owned).collect();
    let mut base = module.clone();
    match parts.first().map(String::as_str) {
        Some("crate") => base.clear(),
        Some("self") => {}
        Some("super") => {
            while parts.first().is_some_and(|part| part == "super") {
                parts.remove(0);
                base.pop();
            }
            base.extend(parts);
            return Some(base);
        }
        Some(first) => {
            base.push(first.to_owned());
            if !files.contains_key(&base) {
                return None;
            }
        }
        None => return None,
    }
    base.extend(parts.into_iter().skip(1));
    Some(base)
}

/// Returns the file that defines the item at a path, following re-exports.
fn file_of(
    path: &Module,
    files: &BTreeMap<Module, String>,
    handed: &BTreeMap<Module, Module>,
    depth: u8,
) -> Option<Module> {
    let length = (0..=path.len()).rev().find(|length| files.contains_key(&path[..*length]))?;
    if let Some(item) = path.get(..=length)
        && let Some(to) = handed.get(item).filter(|_| depth < 8)
    {
        let whole: Module = to.iter().chain(&path[length + 1..]).cloned().collect();
        return file_of(&whole, files, handed, depth + 1);
    }
    Some(path[..length].to_vec())
}

/// Returns groups of files in which each file reaches all others.
fn circles(files: &BTreeMap<Module, String>) -> Vec<Vec<Module>> {
    let mut handed = BTreeMap::new();
    for (module, code) in files {
        for (_, path) in named(code).into_iter().filter(|(public, _)| *public) {
            if let (Some(to), Some(name)) = (absolute(module, &path, files), path.rsplit("::").next()) {
                handed.insert(module.iter().cloned().chain([name.to_owned()]).collect(), to);
            }
        }
    }
    let mut edges: BTreeMap<&Module, BTreeSet<Module>> = BTreeMap::new();
    for (module, code) in files {
        let used = named(code).into_iter().filter(|(public, _)| !public).map(|(_, path)| path);
        let to = used.filter_map(|path| file_of(&absolute(module, &path, files)?, files, &handed, 0));
        edges.insert(module, to.filter(|to| to != module).collect());
    }
    let reached = |from: &Module| {
        let mut reached = BTreeSet::new();
        let mut open = vec![from.clone()];
        while let Some(module) = open.pop() {
            for next in edges.get(&module).into_iter().flatten() {
                if reached.insert(next.clone()) {
                    open.push(next.clone());
                }
            }
        }
        reached
    };
    let reach: BTreeMap<&Module, BTreeSet<Module>> = files.keys().map(|module| (module, reached(module))).collect();
    let mut found: Vec<Vec<Module>> = Vec::new();
    for module in files.keys().filter(|module| reach[module].contains(*module)) {
        let circle: Vec<Module> = files
            .keys()
            .filter(|other| reach[module].contains(*other) && reach[other].contains(module))
            .cloned()
            .collect();
        if !found.contains(&circle) {
            found.push(circle);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(texts: &[(&str, &str)]) -> BTreeMap<Module, String> {
        let module = |name: &str| name.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        texts.iter().map(|(name, text)| (module(name), code(text))).collect()
    }

    #[test]
    fn a_circle_is_found_through_what_the_root_hands_on_and_a_tree_is_none() {
        let tree = files(&[
            ("", "mod a;\nmod b;\npub use b::{Thing, inner::{Deep, Other as More}};"),
            ("a", "use crate::{Thing, x};\nuse super::b::inner::Deep;"),
            ("b", "mod inner;\nuse inner::Deep;\n#[cfg(test)]\nuse crate::a::X;"),
            ("b/inner", "use std::fmt;\n// use crate::a::X;\n#[cfg(test)]\nmod tests { use crate::a::X; }"),
        ]);
        assert_eq!(circles(&tree), Vec::<Vec<Module>>::new());
        let circle = files(&[
            ("", "mod a;\nmod b;\npub use b::Thing;"),
            ("a", "use crate::Thing;"),
            ("b", "use crate::c::Next;"),
            ("c", "use super::a::X;"),
        ]);
        let named = |name: &str| vec![name.to_owned()];
        assert_eq!(circles(&circle), [vec![named("a"), named("b"), named("c")]]);
        let inline = files(&[
            ("", "mod a;\nmod b;"),
            ("a", "fn f() -> Option<crate::b::Thing> { None }"),
            ("b", "use super::a::X;"),
        ]);
        assert_eq!(circles(&inline), [vec![named("a"), named("b")]]);
    }
}
