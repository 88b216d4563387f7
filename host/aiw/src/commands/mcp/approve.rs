//! `aiw mcp approve`

use aiw_home::Home;
use aiw_routing::{Difference, PoolError, Records};
use serde_json::json;

use super::pool;
use crate::answers::{ChangedField, ChangedTool};
use crate::failure::Failure;
use crate::output::Output;
use crate::terminal;

pub async fn approve(name: &str, yes: bool, output: &Output) -> Result<(), Failure> {
    let pool = pool(output)?;
    // What it offers now. One that does not start can still have a change that was seen before.
    match pool.look(name).await {
        Ok(_) => {}
        Err(e @ PoolError::NoServer { .. }) => return Err(e.into()),
        Err(e) => output.note(format!("note: `{name}` {}; this is what was seen last", e.brief())),
    }
    pool.end().await;
    let records = Records::new(Home::find()?);
    let seen = records.load(name).unwrap_or_default();
    let changes: Vec<ChangedTool> = seen.changes().into_iter().map(changed).collect();
    if changes.is_empty() {
        output.line(format!("`{name}` has changed no tool"));
        output.answer(json!({"server": name, "approved": changes}));
        return Ok(());
    }
    for tool in &changes {
        output.before_question(format!("{}/{}", name, tool.name));
        for field in &tool.fields {
            output.before_question(format!("  {}", field.field));
            field.before.lines().for_each(|line| output.before_question(format!("  - {line}")));
            field.now.lines().for_each(|line| output.before_question(format!("  + {line}")));
        }
    }
    output.flush();
    if !terminal::confirm("Do you accept these definitions?", "--yes", yes).await? {
        return Err(Failure::user("nothing was accepted"));
    }
    let mut is_same = true;
    records.update(name, |record| {
        // What was shown is what is accepted.
        is_same = record.tools == seen.tools && record.pins == seen.pins;
        if is_same {
            record.approve();
        }
    })?;
    if !is_same {
        return Err(Failure::user(format!("`{name}` has changed its tools again meanwhile; nothing was accepted"))
            .with_hint(format!("`aiw mcp approve {name}` shows the new change")));
    }
    let tools = if changes.len() == 1 { "1 tool".to_owned() } else { format!("{} tools", changes.len()) };
    output.line(format!("Accepted the change of {tools} of `{name}`"));
    output.answer(json!({"server": name, "approved": changes}));
    Ok(())
}

fn changed((name, differences): (String, Vec<Difference>)) -> ChangedTool {
    let field = |d: Difference| ChangedField { field: d.field, before: d.before, now: d.now };
    ChangedTool { name, fields: differences.into_iter().map(field).collect() }
}
