//! The definitions that a server changed or that are suspicious, and the tools that scripts call without asking.

use aiw_core::{ErrorKind, Plan, PromptError, Prompter, Reporter, pluralize, quote_lines, quoted, quoted_list};
use aiw_routing::{DefinitionChange, PoolError, Records, ServerRecord};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Result, ServerError, pool, refresh_tools, word};
use crate::ClientSession;

/// `aiw mcp approve`
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Approval {
    /// The server
    pub server: String,
    /// The definitions that were accepted
    pub approved: Vec<DefinitionChange>,
}

/// Which tools of a server scripts call without asking.
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ScriptsRequest {
    /// The server
    pub server: String,
    /// The tools that they call without asking from now on
    pub allow: Vec<String>,
    /// The tools that they no longer call without asking
    pub revoke: Vec<String>,
}

/// `aiw mcp approve --scripts`
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ScriptApproval {
    /// The patterns of all tools that scripts call without asking
    pub scripts: Vec<String>,
}

/// Accepts the definitions of a server as they are now, after they were shown and agreed to.
///
/// # Errors
///
/// Fails if the answer is no, there is no such server, or it changes its definitions meanwhile.
///
/// With `numbers`, the numbers in descriptions in which nothing else has changed may change from now on.
pub async fn approve(
    client: &ClientSession,
    name: &str,
    numbers: bool,
    ask: &dyn Prompter,
    sink: &dyn Reporter,
) -> Result<Approval> {
    // What it offers now. One that does not start can still have a change that was seen before.
    refresh_tools(pool(client, sink), name, sink).await?;
    let records = Records::new(client.home().clone());
    let seen = records.load(name).unwrap_or_default();
    let (approved, shown) = (seen.changes(), quoted(name));
    if !approved.is_empty() {
        ask.confirm(&plan(name, &approved, numbers), &[]).await?;
    }
    if !approved.is_empty() || seen.lost {
        accept(&records, name, &seen, numbers)?;
    }
    sink.done(match (approved.len(), seen.lost) {
        (0, false) => format!("{shown} has changed nothing that waits for you"),
        (0, true) => format!("Accepted the tools of {shown} as they are now"),
        (count, _) => format!("Accepted {} of {shown}", pluralize(count, "definition")),
    });
    Ok(Approval { server: name.to_owned(), approved })
}

/// Shows what waits for the person after the first look at a server, and asks about it where they can answer.
///
/// # Errors
///
/// Fails if the person stops, or the record can't be written.
pub async fn approve_new_definitions(
    client: &ClientSession,
    name: &str,
    ask: &dyn Prompter,
    sink: &dyn Reporter,
) -> Result<()> {
    let records = Records::new(client.home().clone());
    let seen = records.load(name).unwrap_or_default();
    let changes = seen.changes();
    if changes.is_empty() {
        return Ok(());
    }
    match ask.confirm(&plan(name, &changes, false), &[]).await {
        Ok(_) => return accept(&records, name, &seen, false),
        Err(PromptError::Declined | PromptError::NotInteractive { .. } | PromptError::Unsupported) => {}
        Err(e) => return Err(e.into()),
    }
    let what = if changes.len() == 1 { "this definition" } else { "these definitions" };
    sink.note(format!("aiw withholds {what}: `aiw mcp approve {name}` accepts {what}"));
    Ok(())
}

/// Lets scripts call tools of a server without asking, or no longer.
///
/// # Errors
///
/// Fails if the answer is no, the server has no such tool, or scripts ask before they call it anyway.
pub async fn approve_for_scripts(
    client: &ClientSession,
    request: &ScriptsRequest,
    ask: &dyn Prompter,
    sink: &dyn Reporter,
) -> Result<ScriptApproval> {
    let (home, ScriptsRequest { server, allow, revoke }) = (client.home(), request);
    pool(client, sink).refresh(server).await?;
    let seen = Records::new(home.clone()).load(server).unwrap_or_default();
    let pattern = |tool: &String| format!("{server}/{tool}");
    if let Some(pattern) = allow.iter().map(pattern).find(|pattern| pattern.contains('*')) {
        let why = "would stand for other tools, too; a profile can have such patterns";
        return Err(word(ErrorKind::User, &pattern, why));
    }
    if let Some(unknown) = allow.iter().find(|tool| seen.tool(tool).is_none()) {
        return Err(PoolError::tool_not_found(server, unknown, seen.tools.iter()).into());
    }
    if !allow.is_empty() {
        let tools = quoted_list(allow);
        let question = format!("Let scripts call {tools} of {} without asking?", quoted(server));
        let mut plan = Plan::new(question);
        // Long names are cut, and of many some.
        plan.add_hidden_bytes(format!("{server} {allow:?}").as_bytes());
        ask.confirm(&plan, &[]).await?;
    }
    let lock = home.lock()?;
    let mut settings = home.settings()?;
    let mut scripts = settings.mcp()?.scripts;
    let removed: Vec<String> = revoke.iter().map(pattern).collect();
    if let Some(unknown) = removed.iter().find(|removed| !scripts.contains(removed)) {
        return Err(word(ErrorKind::User, unknown, "is not called without asking anyway"));
    }
    scripts.retain(|known| !removed.contains(known));
    for pattern in allow.iter().map(pattern) {
        if !scripts.contains(&pattern) {
            scripts.push(pattern);
        }
    }
    settings.set_script_patterns(&scripts)?;
    settings.save(&lock)?;
    for pattern in allow.iter().map(pattern) {
        sink.done(format!("Scripts call {} without asking", quoted(&pattern)));
    }
    for pattern in &removed {
        sink.done(format!("Scripts ask before they call {}", quoted(pattern)));
    }
    Ok(ScriptApproval { scripts })
}

/// The question about a server's definitions. All of each is shown: what is accepted is what was shown, of this server.
fn plan(server: &str, changes: &[DefinitionChange], numbers: bool) -> Plan {
    let whole = serde_json::to_vec(changes).unwrap_or_default();
    let mut plan = Plan::new(String::new());
    plan.add_hidden_bytes(server.as_bytes());
    plan.add_hidden_bytes(&[numbers.into()]);
    plan.add_hidden_bytes(&whole);
    let digest: String = plan.hidden_digests.last().map(|digest| digest.chars().take(16).collect()).unwrap_or_default();
    plan.question = format!("Do you accept these definitions of {} (sha256 {digest})?", quoted(server));
    for change in changes {
        let state = if change.is_new { "is new and suspicious" } else { "has changed" };
        plan.details.push(format!("{} {} {state}", change.kind, quoted(&change.name)));
        plan.details.extend(change.injection_findings.iter().map(|sign| format!("  it {sign}")));
        if let Some(pattern) = change.numbers.as_ref().filter(|_| numbers) {
            plan.details.push("  from now on, each `#` may be another number without a question:".to_owned());
            plan.details.extend(quote_lines(pattern).iter().map(|line| format!("  = {line}")));
        }
        for field in &change.fields {
            plan.details.push(format!("  {}", field.field));
            for (mark, text) in
                [("-", &field.before), ("+", &field.now)].into_iter().filter(|(_, text)| !text.is_empty())
            {
                plan.details.extend(quote_lines(text).iter().map(|line| format!("  {mark} {line}")));
            }
        }
    }
    plan
}

/// Accepts what was shown, unless it is something else by now.
fn accept(records: &Records, name: &str, seen: &ServerRecord, numbers: bool) -> Result<()> {
    let mut is_same = true;
    records.update(name, |record| {
        is_same = record.has_same_changes(seen);
        if is_same {
            record.approve(numbers);
        }
    })?;
    if is_same { Ok(()) } else { Err(ServerError::DefinitionsChanged { name: name.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use aiw_routing::Difference;

    use super::*;

    #[test]
    fn a_yes_to_definitions_is_one_for_this_server_and_all_that_they_say() {
        let change = |name: &str, now: &str| DefinitionChange {
            kind: "tool",
            name: name.to_owned(),
            is_new: false,
            injection_findings: Vec::new(),
            fields: vec![Difference { field: "description".into(), before: "a".into(), now: now.to_owned() }],
            numbers: None,
        };
        let long = |end: &str| format!("{}{end}", "n".repeat(100));
        let (server, other) = (long("a"), long("b"));
        let plans = [
            plan(&server, &[change("x", "b")], false),
            plan(&other, &[change("x", "b")], false),
            plan(&server, &[change("x", "c")], false),
            plan(&server, &[change(&long("1"), "b")], false),
            plan(&server, &[change(&long("2"), "b")], false),
            plan(&server, &[change("x", &format!("{}1{}", long(""), "m".repeat(20_000)))], false),
            plan(&server, &[change("x", &format!("{}2{}", long(""), "m".repeat(20_000)))], false),
        ];
        let digests: std::collections::BTreeSet<String> = plans.iter().map(Plan::digest).collect();
        assert_eq!(digests.len(), plans.len());
        for asked in &plans {
            assert_eq!(asked.truncated_part(), None);
            assert!(asked.question.contains("`nnn") && asked.question.contains("(sha256 "), "{}", asked.question);
        }
    }
}
