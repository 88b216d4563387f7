//! `cargo xtask check`: house rules that people would otherwise have to remember.

mod circles;
mod contract;
mod length;
mod names;
mod prose;
pub mod rooms;
mod surroundings;
mod tree;
mod views;

use anyhow::Result;

use crate::{docs, plugins};

/// Prints all violations. Returns whether there are none.
pub fn run() -> Result<bool> {
    let mut problems = Vec::new();
    problems.extend(rooms::check()?);
    problems.extend(circles::check()?);
    problems.extend(contract::check()?);
    let all = tree::files()?;
    for check in [tree::check, surroundings::check, views::check, names::check, length::check, prose::check] {
        problems.extend(check(&all));
    }
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
