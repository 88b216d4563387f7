//! Whether a request asks for what a plan would change.
//!
//! This catches a model that was talked into something by a tool's description, or that misread the request. It is no
//! permission: what changes something asks the user all the same when it is called.

use serde_json::Value;

use super::Candidate;

/// Verbs that only look.
const READS: [&str; 44] = [
    "analyse",
    "analyze",
    "browse",
    "calculate",
    "check",
    "compare",
    "compute",
    "convert",
    "count",
    "describe",
    "diff",
    "display",
    "explain",
    "extract",
    "fetch",
    "find",
    "get",
    "grep",
    "how",
    "inspect",
    "is",
    "list",
    "look",
    "lookup",
    "measure",
    "preview",
    "print",
    "query",
    "read",
    "recall",
    "retrieve",
    "scan",
    "search",
    "see",
    "show",
    "summarise",
    "summarize",
    "validate",
    "view",
    "what",
    "when",
    "where",
    "which",
    "who",
];

/// Verbs that change something, and are hardly ever something else.
const WRITES: [&str; 45] = [
    "add",
    "append",
    "apply",
    "approve",
    "assign",
    "buy",
    "cancel",
    "create",
    "delete",
    "deploy",
    "disable",
    "edit",
    "enable",
    "execute",
    "insert",
    "install",
    "invite",
    "make",
    "merge",
    "modify",
    "move",
    "notify",
    "overwrite",
    "pay",
    "publish",
    "push",
    "put",
    "refund",
    "remember",
    "rename",
    "reply",
    "restart",
    "save",
    "schedule",
    "send",
    "start",
    "stop",
    "store",
    "submit",
    "transfer",
    "uninstall",
    "update",
    "upload",
    "withdraw",
    "write",
];

/// Verbs that change something where they come first, and are nouns or adjectives elsewhere: the open orders.
const LEADING_WRITES: [&str; 23] = [
    "archive", "book", "change", "charge", "click", "close", "comment", "commit", "copy", "email", "fill", "fix",
    "fork", "give", "mail", "message", "open", "order", "post", "run", "set", "share", "tell",
];

/// Verbs that destroy.
const DESTROYS: [&str; 12] = [
    "clear",
    "delete",
    "destroy",
    "drop",
    "erase",
    "kill",
    "purge",
    "remove",
    "reset",
    "truncate",
    "uninstall",
    "wipe",
];

/// What stands before the verb of a request.
const BEFORE: [&str; 17] = [
    "also", "can", "could", "finally", "first", "i", "just", "like", "need", "now", "please", "then", "to", "want",
    "we", "would", "you",
];

/// Returns why a request does not ask for what a tool does, as the end of a sentence about the tool.
pub(super) fn objection(request: &str, tool: &Candidate<'_>) -> Option<&'static str> {
    let name = words(own_name(tool.whole_name));
    if !seems_to_read(tool, &name) && only_reads(request) {
        return Some("may change something, and the request only asks to look");
    }
    if !tool.only_reads && has(&name, &DESTROYS) && !has(&words(request), &DESTROYS) {
        return Some("destroys something, and the request does not ask for that");
    }
    None
}

fn has(words: &[String], verbs: &[&str]) -> bool {
    words.iter().any(|word| is_in(word, verbs))
}

/// Whether a request only asks to look: a part of it begins with such a verb, and none has one that changes something.
fn only_reads(request: &str) -> bool {
    let mut looks = false;
    for part in request.split(['.', ',', ';', ':', '!', '?', '\n']) {
        let words = words(part);
        for clause in words.split(|word| word == "and" || word == "then") {
            let clause = &clause[clause.iter().take_while(|word| BEFORE.contains(&word.as_str())).count()..];
            let Some(lead) = clause.first() else { continue };
            // "Tell me" asks, "tell Anna" sends.
            let is_to_me = clause.get(1).is_some_and(|next| next == "me" || next == "us");
            let changes = is_in(lead, &LEADING_WRITES) && !is_to_me;
            if changes || has(clause, &WRITES) || has(clause, &DESTROYS) {
                return false;
            }
            looks |= is_to_me || is_in(lead, &READS);
        }
    }
    looks
}

/// Whether a tool only looks, by what it says of itself or by its name. Most servers say nothing.
fn seems_to_read(tool: &Candidate<'_>, name: &[String]) -> bool {
    if tool.only_reads {
        return true;
    }
    let says_more = tool.definition["annotations"]["readOnlyHint"] == Value::Bool(false);
    let leads = name.first().is_some_and(|lead| is_in(lead, &LEADING_WRITES));
    // A name without a verb, as `forecast`, tells what one gets.
    !says_more && !leads && !has(name, &WRITES) && !has(name, &DESTROYS)
}

/// Whether a word is one of these verbs, or one of its forms.
fn is_in(word: &str, verbs: &[&str]) -> bool {
    verbs.contains(&word)
        || ["s", "es", "d", "ed", "ing"].iter().any(|end| {
            word.strip_suffix(end).is_some_and(|stem| {
                verbs.contains(&stem)
                    || (*end == "ing" && verbs.iter().any(|verb| verb.strip_suffix('e') == Some(stem)))
            })
        })
}

/// A tool's name without its server's.
fn own_name(whole_name: &str) -> &str {
    whole_name.split_once("__").map_or(whole_name, |(_, name)| name)
}

/// The words of a text in small letters; `getUserName` has three.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut before) = (Vec::new(), String::new(), ' ');
    for c in text.chars() {
        let begins = c.is_uppercase() && before.is_lowercase();
        if (begins || !c.is_alphanumeric()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_changes_something_must_be_asked_for() {
        let none = json!({});
        let denies = json!({"annotations": {"readOnlyHint": false}});
        for (request, tool, definition, only_reads, objects) in [
            ("List the open issues of cli/cli", "github__list_issues", &none, false, false),
            ("List the open issues of cli/cli", "github__forecast", &none, false, false),
            ("List the open issues of cli/cli", "github__close_issue", &none, false, true),
            ("List the open issues of cli/cli", "github__list_issues", &denies, false, true),
            ("List the open issues of cli/cli", "github__delete_repo", &none, true, false),
            ("What is the weather in Oslo?", "mail__sendMessage", &none, false, true),
            ("Send the weather in Oslo to Anna", "mail__sendMessage", &none, false, false),
            ("Send the weather in Oslo to Anna", "mail__delete_all", &none, false, true),
            ("Deleting old mails is what I want", "mail__delete_all", &none, false, false),
            ("Closes issue 7", "github__close_issue", &none, false, false),
            ("Please find the open orders, then tell me which are late", "crm__order", &none, false, true),
            ("Find the open orders, then tell Anna which are late", "mail__send", &none, false, false),
            ("Find the open orders", "crm__list_orders", &none, false, false),
            ("Which posts have no comments?", "blog__comment", &none, false, true),
            // In a language that it does not know, it objects to what destroys alone.
            ("Schicke Anna eine Nachricht", "mail__send_message", &none, false, false),
            ("Schicke Anna eine Nachricht", "mail__purge", &none, false, true),
        ] {
            let candidate = Candidate { whole_name: tool, definition, only_reads };
            assert_eq!(objection(request, &candidate).is_some(), objects, "{request} {tool}");
        }
        for words in [&READS[..], &WRITES, &LEADING_WRITES, &DESTROYS, &BEFORE] {
            assert!(words.is_sorted());
        }
    }
}
