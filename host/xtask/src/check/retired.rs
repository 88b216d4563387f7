//! Checks that code and generated documents don't use a name of `retired.tsv`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use memchr::memmem;

use super::comments::strip_comments;
use super::tree::NamedText;

const TABLE: &str = include_str!("retired.tsv");

const TABLE_FILE: &str = "host/xtask/src/check/retired.tsv";

/// `false` until comments, decisions and hand-written documents use the new names.
const CHECKS_COMMENTS_AND_DOCS: bool = false;

/// Paths that keep old names: the frozen contract, and the bundled page, which is compared with its source.
const EXEMPT_PREFIXES: [&str; 2] = ["wit/aiw-plugin-0.1/", "host/web/page/dist/"];

const GENERATED_DOCS: [&str; 5] =
    ["docs/cli.md", "docs/conformance.md", "docs/json.md", "docs/openapi.json", "docs/providers.schema.json"];

/// Documents with a generated table between a mark and `<!-- end -->`.
const GENERATED_TABLES: [(&str, &str); 2] = [("docs/files.md", "<!-- paths -->"), ("host/README.md", "<!-- rooms -->")];

#[derive(Debug, PartialEq, Eq)]
struct RetiredName<'a> {
    old: &'a str,
    new: &'a str,
    /// Paths of files that may use the old name.
    exceptions: Vec<&'a str>,
}

/// Returns the violations.
pub fn check(all: &[NamedText]) -> Vec<String> {
    find_violations(TABLE, all)
}

fn find_violations(table: &str, all: &[NamedText]) -> Vec<String> {
    let (rows, mut problems) = parse_table(table);
    let texts: Vec<(&str, Cow<'_, str>)> =
        all.iter().filter_map(|(name, text)| Some((name.as_str(), select_text(name, text)?))).collect();
    for RetiredName { old, new, exceptions } in rows {
        let mut needed = Vec::new();
        for (name, text) in &texts {
            let matches = find_name(text, old);
            if !matches.is_empty() && exceptions.contains(name) {
                needed.push(*name);
                continue;
            }
            let line = |at: &usize| text[..*at].matches('\n').count() + 1;
            let hits =
                matches.iter().map(|at| format!("{name}:{} uses the retired name `{old}`: use `{new}`", line(at)));
            problems.extend(hits);
        }
        let idle = exceptions.iter().filter(|name| !needed.contains(name));
        problems.extend(idle.map(|name| format!("{TABLE_FILE}: {name} does not use `{old}`: remove the exception")));
    }
    problems
}

/// Parses the table. Returns its valid rows, and a violation for each other one.
fn parse_table(table: &str) -> (Vec<RetiredName<'_>>, Vec<String>) {
    let mut rows = Vec::new();
    let mut problems = Vec::new();
    let mut lines = BTreeMap::new();
    for (line, number) in table.lines().zip(1..) {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let columns: Vec<&str> = line.split('\t').map(str::trim).collect();
        let (old, new) = (columns[0], columns.get(1).copied().unwrap_or_default());
        let problem = if old.is_empty() || new.is_empty() || columns.len() > 4 {
            Some("does not have the columns old, new, note, files".to_owned())
        } else if is_bare_word(old) {
            Some(format!("`{old}` is a bare word: qualify it, such as `{old}(` or `--{old}`"))
        } else {
            lines.insert(old, number).map(|first| format!("`{old}` is already in line {first}"))
        };
        match problem {
            Some(problem) => problems.push(format!("{TABLE_FILE}:{number} {problem}")),
            None => {
                let exceptions = columns.get(3).map(|files| files.split_whitespace().collect()).unwrap_or_default();
                rows.push(RetiredName { old, new, exceptions });
            }
        }
    }
    (rows, problems)
}

/// Returns `true` if the name could be a word of a sentence, which would be found everywhere.
fn is_bare_word(name: &str) -> bool {
    let is_compound = name.contains(['_', '-', '.', '/', ' ']) || name.contains("::");
    let is_camel_case = name.contains(char::is_lowercase) && name.chars().skip(1).any(char::is_uppercase);
    !(is_compound || is_camel_case || name.ends_with('(') || name.contains(|c: char| c.is_ascii_digit()))
}

/// Returns the checked part of a file, or `None` if the file is out of scope. Line numbers stay.
fn select_text<'a>(name: &str, text: &'a str) -> Option<Cow<'a, str>> {
    if name == TABLE_FILE || EXEMPT_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        return None;
    }
    let code = strip_comments(name, text);
    if CHECKS_COMMENTS_AND_DOCS {
        return (code.is_some() || name.ends_with(".md") || GENERATED_DOCS.contains(&name)).then_some(text.into());
    }
    if GENERATED_DOCS.contains(&name) {
        return Some(text.into());
    }
    let table = GENERATED_TABLES.iter().find(|(document, _)| *document == name);
    let Some((_, mark)) = table else { return code.map(Cow::Owned) };
    let (before, rest) = text.split_once(mark)?;
    let (table, _) = rest.split_once("<!-- end -->")?;
    Some(Cow::Owned("\n".repeat(before.matches('\n').count()) + table))
}

/// Returns the byte offsets of the name as a whole word. A phrase may begin a sentence. A hyphen is part of a word if the
/// name has one, so that `--old` is not found in `--old-name`.
fn find_name(text: &str, name: &str) -> Vec<usize> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || (c == '-' && name.contains('-'));
    let find = |name: &str| {
        let parts: Vec<&str> = name.split(' ').collect();
        let is_whole = |at: &usize| {
            let before = &text[..*at];
            // The letter of an escape is not part of the word after it.
            let is_escape = ["\\n", "\\r", "\\t"].iter().any(|escape| before.ends_with(escape));
            let begins = !name.starts_with(is_word) || is_escape || !before.ends_with(is_word);
            let after = begins.then(|| strip_parts(&text[*at..], &parts)).flatten();
            after.is_some_and(|after| !name.ends_with(is_word) || !after.starts_with(is_word))
        };
        memmem::find_iter(text.as_bytes(), parts[0]).filter(is_whole).collect::<Vec<usize>>()
    };
    let mut found = find(name);
    let mut capitalized = name.to_owned();
    if let Some(first) = capitalized.get_mut(..1).filter(|_| name.contains(' ')) {
        first.make_ascii_uppercase();
    }
    if capitalized != name {
        found.extend(find(&capitalized));
    }
    found
}

/// Returns the text after the parts, which whitespace or the `\` of a continued line separates.
fn strip_parts<'a>(text: &'a str, parts: &[&str]) -> Option<&'a str> {
    let mut rest = text.strip_prefix(parts[0])?;
    for part in &parts[1..] {
        let next = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '\\');
        rest = next.strip_prefix(part).filter(|_| next.len() < rest.len())?;
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations_in(table: &str, name: &str, text: &str) -> Vec<String> {
        find_violations(table, &[(name.to_owned(), text.to_owned())])
    }

    #[test]
    fn an_old_name_in_code_is_found_and_in_a_comment_is_not() {
        let text = "// old_name\nlet a = 1; /* old_name */\nlet old_name = \"https://a old_name\";\n";
        assert_eq!(
            violations_in("old_name\tnew_name", "host/a/src/a.rs", text),
            ["host/a/src/a.rs:3 uses the retired name `old_name`: use `new_name`"; 2]
        );
        assert!(violations_in("old_name\tnew_name", "docs/decisions/0001-a.md", "old_name").is_empty());
        assert!(violations_in("old_name\tnew_name", "wit/aiw-plugin-0.1/types.wit", "old_name").is_empty());
        assert_eq!(violations_in("old_name\tnew_name", "docs/json.md", "`old_name`").len(), 1);
    }

    #[test]
    fn only_the_generated_part_of_a_map_is_checked() {
        let text = "old_name\n<!-- rooms -->\n| old_name |\n<!-- end -->\nold_name\n";
        assert_eq!(
            violations_in("old_name\tnew_name", "host/README.md", text),
            ["host/README.md:3 uses the retired name `old_name`: use `new_name`"]
        );
    }

    #[test]
    fn names_are_found_as_whole_words() {
        let found = |text: &str, name: &str| find_name(text, name).len();
        assert_eq!(found("old_name", "old_name"), 1);
        assert_eq!(found("self.old_name(x-old_name)", "old_name"), 2);
        assert_eq!(found("my_old_name old_names old_name2", "old_name"), 0);
        assert_eq!(found("\"a\\nold_name\"", "old_name"), 1);
        assert_eq!(found("of(a) of (a) prof(a)", "of("), 1);
        assert_eq!(found("`--old`, --old=1 and [--old]", "--old"), 3);
        assert_eq!(found("--old-name --older a--old", "--old"), 0);
        assert_eq!(found("the far end, the far\n      end, \"far \\\n end\"", "far end"), 3);
        assert_eq!(found("Far end", "far end"), 1);
        assert_eq!(found("far ends, afar end, farend", "far end"), 0);
        assert_eq!(found("docs/old.md docs/old.mdx", "old.md"), 1);
    }

    #[test]
    fn an_exception_is_kept_only_while_it_is_needed() {
        let table = "old_name\tnew_name\t\thost/a/src/old.rs";
        assert!(violations_in(table, "host/a/src/old.rs", "old_name").is_empty());
        assert_eq!(violations_in(table, "host/a/src/new.rs", "old_name").len(), 2);
        assert_eq!(
            violations_in(table, "host/a/src/old.rs", "new_name // old_name"),
            [format!("{TABLE_FILE}: host/a/src/old.rs does not use `old_name`: remove the exception")]
        );
    }

    #[test]
    fn rows_are_names_and_stand_once() {
        let bad = |table: &str| parse_table(table).1.len();
        for word in ["room", "Room", "ROOM"] {
            assert_eq!(bad(&format!("{word}\tcrate")), 1, "{word}");
        }
        for name in
            ["a_b", "--room", "old.md", "a/b", "room2", "A::Room", "far end", "OldRoom", "oldRoom", "OLD_ROOM", "room("]
        {
            assert_eq!(bad(&format!("# old, new\n\n{name}\tcrate\ta note")), 0, "{name}");
        }
        assert_eq!(bad("a_b\tc\na_b\td"), 1);
        assert_eq!(bad("a_b"), 1);
        assert_eq!(bad("a_b\tc\td\te\tf"), 1);
        assert_eq!(bad(TABLE), 0);
    }
}
