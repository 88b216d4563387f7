//! Checks that views have no flows of their own: a view turns arguments into a request, and draws the answer of a verb.

use super::tree::{NamedText, until_tests};

const VIEWS: [&str; 3] = ["host/aiw/src/", "host/offer/src/", "host/tui/src/"];

/// Returns the violations.
pub fn check(all: &[NamedText]) -> Vec<String> {
    let views = all.iter().filter(|(name, _)| VIEWS.iter().any(|view| name.starts_with(view)));
    views
        .flat_map(|(name, text)| flows(name, text).into_iter().map(move |(line, what)| format!("{name}:{line} {what}")))
        .collect()
}

/// Finds the lines at which a view does what belongs below it.
fn flows(name: &str, text: &str) -> Vec<(usize, &'static str)> {
    let code = until_tests(text);
    let line = |at: usize| code[..at].matches('\n').count() + 1;
    let locks = ["home.lock(", "home().lock("];
    let locks = locks.into_iter().flat_map(|lock| code.match_indices(lock));
    let locks = locks.map(|(at, _)| (at, "locks the home: a verb changes it, from the checks to the commit"));
    let untyped = code.match_indices("json!(").filter(|(at, _)| is_answer(&code[..*at]));
    let untyped = untyped.map(|(at, _)| (at, "makes an answer by `json!`: an answer is a type, next to its verb"));
    // The binary finds it once.
    let once = usize::from(name == "host/aiw/src/runtime.rs");
    let homes = code.match_indices("Home::find(").skip(once);
    let homes = homes.map(|(at, _)| (at, "finds the home: commands are given it"));
    locks.chain(untyped).chain(homes).map(|(at, what)| (line(at), what)).collect()
}

/// Whether what follows is given to a function that takes an answer.
fn is_answer(before: &str) -> bool {
    let statement = before.rsplit([';', '{', '}', ')']).next().unwrap_or_default();
    ["answer(", "conclude("].iter().any(|takes| statement.contains(takes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_and_answers_without_a_type_are_found() {
        let found = |text: &str| flows("host/aiw/src/x.rs", text).into_iter().map(|(line, _)| line).collect::<Vec<_>>();
        assert_eq!(found("let lock = home.lock()?;\nlet other = client.home().lock()?;"), [1, 2]);
        assert_eq!(found("output\n    .answer(\n        json!({\"a\": 1}),\n    );"), [3]);
        assert_eq!(found("return answer(&context, &json!({}), &call);\nf.with_answer(json!({}))"), [1, 2]);
        assert!(found("let schema = json!({});\noutput.answer(Answer { schema });\nself.lock()").is_empty());
        assert_eq!(found("let home = Home::find()?;"), [1]);
        assert_eq!(flows("host/aiw/src/runtime.rs", "Home::find();\nHome::find()").len(), 1);
        assert!(found("fn f() {}\n#[cfg(test)]\nmod tests { fn g() { home.lock(); answer(json!({})) } }").is_empty());
    }
}
