//! `aiw mcp approve`: the definitions that a server changed, or that are suspicious.

use aiw_core::{quoted, quoted_list, shown_lines};
use aiw_home::Home;
use aiw_routing::{Change, PoolError, Record, Records};
use serde_json::json;

use super::pool;
use crate::failure::Failure;
use crate::output::Output;
use crate::terminal;

/// Lets scripts call tools without asking, or no longer.
pub async fn approve_for_scripts(name: &str, scripts: Scripts<'_>, yes: bool, output: &Output) -> Result<(), Failure> {
    let pool = pool(output)?;
    pool.look(name).await?;
    pool.end().await;
    let seen = Records::new(Home::find()?).load(name).unwrap_or_default();
    for tool in scripts.allow {
        if format!("{name}/{tool}").contains('*') {
            let problem = format!("{} would stand for other tools, too", quoted(&format!("{name}/{tool}")));
            return Err(Failure::user(problem).with_hint("a profile can have such patterns"));
        }
        if seen.tool(tool).is_none() {
            let known = seen.tools.iter().map(|tool| tool.name().to_owned()).collect();
            return Err(PoolError::NoTool { server: name.to_owned(), tool: tool.clone(), known }.into());
        }
    }
    let pattern = |tool: &String| format!("{name}/{tool}");
    if !scripts.allow.is_empty() {
        let tools = quoted_list(scripts.allow);
        let question = format!("Let scripts call {tools} of {} without asking?", quoted(name));
        if !terminal::confirm(&question, "--yes", yes).await? {
            return Err(Failure::declined("nothing was changed"));
        }
    }
    let home = Home::find()?;
    let lock = home.lock()?;
    let mut settings = home.settings()?;
    let mut patterns = settings.mcp()?.scripts;
    let removed: Vec<String> = scripts.revoke.iter().map(pattern).collect();
    if let Some(unknown) = removed.iter().find(|removed| !patterns.contains(removed)) {
        return Err(Failure::user(format!("scripts ask before they call {}", quoted(unknown))));
    }
    patterns.retain(|known| !removed.contains(known));
    for pattern in scripts.allow.iter().map(pattern) {
        if !patterns.contains(&pattern) {
            patterns.push(pattern);
        }
    }
    settings.set_scripts(&patterns)?;
    settings.save(&lock)?;
    for tool in scripts.allow {
        output.line(format!("Scripts call {} without asking", quoted(&pattern(tool))));
    }
    for gone in &removed {
        output.line(format!("Scripts ask before they call {}", quoted(gone)));
    }
    output.answer(json!({"scripts": patterns}));
    Ok(())
}

/// The tools that scripts call without asking, and those of which they ask again.
#[derive(Clone, Copy)]
pub struct Scripts<'a> {
    pub allow: &'a [String],
    pub revoke: &'a [String],
}

pub async fn approve(name: &str, yes: bool, output: &Output) -> Result<(), Failure> {
    let pool = pool(output)?;
    // What it offers now. One that does not start can still have a change that was seen before.
    match pool.look(name).await {
        Ok(_) => {}
        Err(e @ PoolError::NoServer { .. }) => return Err(e.into()),
        Err(e) => output.note(format!("note: {} {}; this is what was seen last", quoted(name), e.brief())),
    }
    pool.end().await;
    let records = Records::new(Home::find()?);
    let seen = records.load(name).unwrap_or_default();
    let changes = seen.changes();
    if changes.is_empty() {
        match seen.lost {
            true => {
                accept(&records, name, &seen)?;
                output.line(format!("Accepted the tools of {} as they are now", quoted(name)));
            }
            false => output.line(format!("{} has changed nothing that waits for you", quoted(name))),
        }
        output.answer(json!({"server": name, "approved": changes}));
        return Ok(());
    }
    show(&changes, output);
    if !terminal::confirm("Do you accept these definitions?", "--yes", yes).await? {
        return Err(Failure::declined("nothing was accepted"));
    }
    accept(&records, name, &seen)?;
    let count = changes.len();
    let definitions = if count == 1 { "1 definition".to_owned() } else { format!("{count} definitions") };
    output.line(format!("Accepted {definitions} of {}", quoted(name)));
    output.answer(json!({"server": name, "approved": changes}));
    Ok(())
}

/// Shows what waits for the user after the first look at a server, and asks about it where somebody can answer.
pub async fn ask_about(name: &str, seen: &Record, output: &Output) -> Result<(), Failure> {
    let changes = seen.changes();
    if changes.is_empty() {
        return Ok(());
    }
    show(&changes, output);
    if terminal::can_ask() && terminal::confirm("Do you accept these definitions?", "--yes", false).await? {
        return accept(&Records::new(Home::find()?), name, seen);
    }
    let what = if changes.len() == 1 { "this definition" } else { "these definitions" };
    output.note(format!("note: aiw withholds {what}: `aiw mcp approve {name}` accepts {what}"));
    Ok(())
}

fn show(changes: &[Change], output: &Output) {
    for change in changes {
        let state = if change.is_new { "is new and suspicious" } else { "has changed" };
        output.before_question(format!("{} {} {state}", change.kind, quoted(&change.name)));
        change.signs.iter().for_each(|sign| output.before_question(format!("  it {sign}")));
        for field in &change.fields {
            output.before_question(format!("  {}", field.field));
            for (mark, text) in [("-", &field.before), ("+", &field.now)] {
                // All of it: what is accepted is what was shown.
                if !text.is_empty() {
                    shown_lines(text).iter().for_each(|line| output.before_question(format!("  {mark} {line}")));
                }
            }
        }
    }
    output.flush();
}

fn accept(records: &Records, name: &str, seen: &Record) -> Result<(), Failure> {
    let mut is_same = true;
    records.update(name, |record| {
        // What was shown is what is accepted.
        is_same = record.asks_the_same(seen);
        if is_same {
            record.approve();
        }
    })?;
    if is_same {
        return Ok(());
    }
    Err(Failure::user(format!("{} has changed its definitions again meanwhile; nothing was accepted", quoted(name)))
        .with_hint(format!("`aiw mcp approve {name}` shows the new change")))
}
