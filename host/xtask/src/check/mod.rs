//! `cargo xtask check`: house rules that people would otherwise have to remember.

mod circles;
mod comments;
mod contract;
mod length;
mod retired;
pub mod rooms;
mod subjects;
mod surroundings;
mod tree;
mod views;

use anyhow::Result;

use crate::{docs, plugins};

/// Prints all violations, those in generated documents only if `text_only` is not set: they need the binary. Returns
/// `true` if there are none.
pub fn run(text_only: bool) -> Result<bool> {
    let mut problems = Vec::new();
    problems.extend(rooms::check()?);
    problems.extend(circles::check()?);
    problems.extend(contract::check()?);
    problems.extend(subjects::check()?);
    let all = tree::files()?;
    for check in [tree::check, surroundings::check, views::check, length::check, retired::check] {
        problems.extend(check(&all));
    }
    if !text_only {
        plugins::setup()?;
        problems.extend(docs::stale()?);
    }
    for problem in &problems {
        println!("{problem}");
    }
    match problems.len() {
        0 => println!("the house rules are kept"),
        count => println!("{count} broken rule{}", if count == 1 { "" } else { "s" }),
    }
    Ok(problems.is_empty())
}
