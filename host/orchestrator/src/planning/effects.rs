//! Whether a request asks for what a plan would change.
//!
//! This catches a model that was talked into something by a tool's description, or that misread the request. It does not
//! replace consent: a call that changes something still asks the user.

use serde_json::Value;

use super::CandidateTool;

/// Verbs that only look.
const READ_VERBS: [&str; 44] = [
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
const WRITE_VERBS: [&str; 43] = [
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
    "submit",
    "text",
    "transfer",
    "uninstall",
    "update",
    "upload",
    "withdraw",
    "write",
];

/// Verbs that change something where they come first, and are nouns or adjectives elsewhere: the open orders.
const LEADING_WRITE_VERBS: [&str; 26] = [
    "archive", "book", "change", "charge", "click", "close", "comment", "commit", "copy", "email", "fill", "fix",
    "fork", "give", "mail", "message", "open", "order", "post", "run", "set", "share", "start", "stop", "store",
    "tell",
];

/// Verbs that add, and leave what was there.
const CREATE_VERBS: [&str; 16] = [
    "add", "append", "comment", "create", "email", "insert", "invite", "message", "notify", "open", "post", "reply",
    "send", "start", "tell", "text",
];

/// Verbs that destroy.
const DELETE_VERBS: [&str; 12] = [
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

/// Other words with which people ask for that.
const DELETE_WORDS: [&str; 10] =
    ["cancel", "discard", "empty", "forget", "rid", "scrap", "throw", "trash", "undo", "void"];

/// Words that may come before the verb of a request.
const LEADING_WORDS: [&str; 17] = [
    "also", "can", "could", "finally", "first", "i", "just", "like", "need", "now", "please", "then", "to", "want",
    "we", "would", "you",
];

/// Words that begin a part which continues the part before: the authors, with their names.
const CONTINUATION_WORDS: [&str; 34] = [
    "a", "all", "an", "any", "are", "at", "between", "both", "by", "each", "every", "for", "from", "if", "in", "into",
    "its", "of", "on", "only", "or", "per", "sorted", "than", "that", "the", "their", "these", "those", "was", "were",
    "whether", "with", "without",
];

/// Returns why a request does not ask for what a tool does, as the end of a sentence about the tool.
pub(super) fn rejection_reason(request: &str, tool: &CandidateTool<'_>) -> Option<&'static str> {
    let name = name_of(tool.qualified_name);
    if !seems_to_read(tool, &name) && only_reads(request) {
        return Some("may change something, and the request only asks to look");
    }
    if !tool.is_read_only && has(&name, &DELETE_VERBS) && !asks_to_destroy(&words(request)) {
        return Some("destroys something, and the request does not ask for that");
    }
    None
}

/// Whether a tool may destroy something, by what it says of itself or by its name. One that says nothing may, as the
/// protocol has it, unless its name says that it only looks or adds.
pub fn is_destructive(whole_name: &str, definition: &Value) -> bool {
    let annotations = &definition["annotations"];
    let name = name_of(whole_name);
    let is_verb =
        |word: &&String| [&READ_VERBS[..], &WRITE_VERBS, &LEADING_WRITE_VERBS].iter().any(|verbs| is_in(word, verbs));
    let is_harmless =
        || name.iter().find(is_verb).is_some_and(|verb| is_in(verb, &READ_VERBS) || is_in(verb, &CREATE_VERBS));
    match (annotations["readOnlyHint"] == true, annotations["destructiveHint"].as_bool()) {
        (true, _) => false,
        (false, Some(true)) => true,
        (false, Some(false)) => has(&name, &DELETE_VERBS),
        (false, None) => has(&name, &DELETE_VERBS) || !is_harmless(),
    }
}

fn has(words: &[String], verbs: &[&str]) -> bool {
    words.iter().any(|word| is_in(word, verbs))
}

/// Whether a request asks to destroy something. "That nobody has cleared" does not.
fn asks_to_destroy(request: &[String]) -> bool {
    let is_past = |at: usize, word: &str| {
        let before = at.checked_sub(1).and_then(|at| request.get(at));
        let helps = ["are", "be", "been", "had", "has", "have", "is", "not", "was", "were"];
        word.ends_with("ed") && before.is_some_and(|before| helps.contains(&before.as_str()))
    };
    request
        .iter()
        .enumerate()
        .any(|(at, word)| (is_in(word, &DELETE_VERBS) || is_in(word, &DELETE_WORDS)) && !is_past(at, word))
}

/// Whether a request only asks to look: each of its parts begins with such a verb or goes on with the one before, and
/// none has a verb that changes something.
fn only_reads(request: &str) -> bool {
    let mut looks = false;
    for part in request.split(['.', ',', ';', ':', '!', '?', '\n']) {
        let words = words(part);
        for clause in words.split(|word| word == "and" || word == "then") {
            let clause = &clause[clause.iter().take_while(|word| LEADING_WORDS.contains(&word.as_str())).count()..];
            let Some(lead) = clause.first() else { continue };
            // "Tell me" asks, "tell Anna" sends.
            let is_to_me = clause.get(1).is_some_and(|next| next == "me" || next == "us");
            let asks = (is_to_me && is_in(lead, &LEADING_WRITE_VERBS)) || is_in(lead, &READ_VERBS);
            let goes_on = CONTINUATION_WORDS.contains(&lead.as_str()) || lead.chars().all(char::is_numeric);
            if !(asks || goes_on) || has(clause, &WRITE_VERBS) || asks_to_destroy(clause) {
                return false;
            }
            looks |= asks;
        }
    }
    looks
}

/// Whether a tool only looks, by what it says of itself or by its name. Most servers say nothing.
fn seems_to_read(tool: &CandidateTool<'_>, name: &[String]) -> bool {
    if tool.is_read_only {
        return true;
    }
    let annotations = &tool.definition["annotations"];
    if annotations["readOnlyHint"] == false || annotations["destructiveHint"] == true {
        return false;
    }
    let is_verb = |word: &&String| {
        [&READ_VERBS[..], &WRITE_VERBS, &LEADING_WRITE_VERBS, &DELETE_VERBS].iter().any(|verbs| is_in(word, verbs))
    };
    match name.iter().find(is_verb) {
        Some(verb) if is_in(verb, &READ_VERBS) => !name.iter().any(|word| word == "and" || word == "or"),
        // A store's search.
        Some(verb) if is_in(verb, &LEADING_WRITE_VERBS) => name.last().is_some_and(|last| is_in(last, &READ_VERBS)),
        Some(_) => false,
        // A name without a verb, as `forecast`, tells what one gets.
        None => true,
    }
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

/// The words of a tool's name, without those of its server, which many names repeat.
fn name_of(whole_name: &str) -> Vec<String> {
    let (server, own) = whole_name.split_once("__").unwrap_or(("", whole_name));
    let (server, own) = (words(server), words(own));
    let repeated = own.iter().zip(&server).take_while(|(own, server)| own == server).count();
    if repeated < own.len() { own[repeated..].to_vec() } else { own }
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
    fn what_destroys_is_known_by_its_hint_or_by_its_name() {
        let hint = |hint: bool| json!({"annotations": {"destructiveHint": hint}});
        for name in ["db__deleteRows", "fs__remove_file", "x__purges", "x__wiping"] {
            assert!(is_destructive(name, &json!({})) && is_destructive(name, &hint(false)), "{name}");
            assert!(!is_destructive(name, &json!({"annotations": {"readOnlyHint": true}})));
        }
        assert!(is_destructive("x__set", &hint(true)));
        assert!(!is_destructive("x__set", &hint(false)) && !is_destructive("delete__list", &json!({})));
        // What says nothing may destroy something, unless its name says that it does not.
        for (name, expected) in [
            ("x__set", true),
            ("fs__write_file", true),
            ("x__frobnicate", true),
            ("github__create_issue", false),
            ("mail__send", false),
            ("db__list_tables", false),
        ] {
            assert_eq!(is_destructive(name, &json!({})), expected, "{name}");
        }
    }

    #[test]
    fn what_changes_something_must_be_asked_for() {
        let none = json!({});
        let destroys = json!({"annotations": {"destructiveHint": true}});
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
            ("What is the first open order? Let Anna know by mail", "mail__send", &none, false, false),
            ("Check the open orders and text them to Anna", "mail__send", &none, false, false),
            ("Get rid of the order o-1 of the shop", "crm__delete_orders", &none, false, false),
            ("Cancel the order o-1", "crm__delete_orders", &none, false, false),
            ("Show the orders that nobody has cleared", "crm__delete_orders", &none, false, true),
            ("When does the shop open, what are the opening times?", "crm__get_schedule", &none, false, false),
            ("Which shops are near?", "shop__app_store_search", &none, false, false),
            ("Which shops are near?", "shop__shop_search_and_replace", &none, false, true),
            ("Which orders of the shop are open?", "mail__mail_post_message", &none, false, true),
            ("Which orders of the shop are open?", "mail__slack_post_message", &none, false, true),
            ("Which orders of the shop are open?", "crm__orders", &destroys, false, true),
            ("List the issues and their authors", "git__close_issue", &none, false, true),
            // In a language that it does not know, it objects to what destroys alone.
            ("Schicke Anna eine Nachricht", "mail__send_message", &none, false, false),
            ("Schicke Anna eine Nachricht", "mail__purge", &none, false, true),
        ] {
            let candidate = CandidateTool { qualified_name: tool, definition, is_read_only: only_reads };
            assert_eq!(rejection_reason(request, &candidate).is_some(), objects, "{request} {tool}");
        }
        for words in [
            &READ_VERBS[..],
            &WRITE_VERBS,
            &LEADING_WRITE_VERBS,
            &DELETE_VERBS,
            &DELETE_WORDS,
            &LEADING_WORDS,
            &CONTINUATION_WORDS,
        ] {
            assert!(words.is_sorted());
        }
    }
}
