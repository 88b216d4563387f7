//! Tests of what travels and of three versions made one.

mod examples;
mod generated;
mod texts;

use std::path::Path;

use super::*;

const HOME: &str = "/home/me";

fn home() -> &'static Path {
    Path::new(HOME)
}

/// Everything travels but `local`, and `x` in `open`; lists that are called `set` are sets.
fn travels(path: &[String]) -> Option<bool> {
    match path.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] | ["open"] => None,
        ["local"] | ["open", "x"] => Some(false),
        _ => Some(true),
    }
}

fn is_set(path: &[String]) -> bool {
    path.last().is_some_and(|last| last == "set")
}

const RULES: KeyRules<'static> = KeyRules { is_synced: &travels, is_set: &is_set };

fn merging(form: ContentForm, base: Option<&str>, mine: &str, theirs: &str) -> ContentMerge {
    let base = base.map(|base| vec![Some(base.as_bytes())]).unwrap_or_default();
    let versions = Versions { bases: &base, mine: Some(mine.as_bytes()), theirs: Some(theirs.as_bytes()) };
    merge(form, &versions, &RULES, home()).unwrap()
}

/// The file if all conflicts are decided alike.
fn decided(merging: &ContentMerge, mine: &str, choice: &ContentChoice) -> String {
    match merging.resolve(&mut |_| choice.clone()).unwrap() {
        FileAction::Unchanged => mine.to_owned(),
        FileAction::Write(bytes) => String::from_utf8(bytes).unwrap(),
        FileAction::Delete => panic!("deleted"),
    }
}

fn keys(merging: &ContentMerge) -> Vec<String> {
    merging.conflicts().iter().map(|conflict| conflict.key.join(".")).collect()
}
