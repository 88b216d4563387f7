//! `cargo xtask check`: house rules that would otherwise be a matter of memory.

mod circles;
mod contract;
mod rooms;
mod tree;

use anyhow::Result;

use crate::{docs, plugins};

/// Says what breaks a rule; whether nothing does.
pub fn run() -> Result<bool> {
    let mut problems = Vec::new();
    problems.extend(rooms::check()?);
    problems.extend(circles::check()?);
    problems.extend(contract::check()?);
    problems.extend(tree::check()?);
    plugins::setup()?;
    problems.extend(docs::stale()?);
    for problem in &problems {
        println!("{problem}");
    }
    match problems.len() {
        0 => println!("the house rules are kept"),
        count => println!("{count} broken rule{}", if count == 1 { "" } else { "s" }),
    }
    Ok(problems.is_empty())
}
