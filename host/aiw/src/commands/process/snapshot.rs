//! `aiw process snapshot …`

use aiw_core::{SnapshotName, one_line};
use aiw_home::Home;
use aiw_processes::{ProcessSummaries, SnapshotSummary};

use super::opened::{manager, open_reconciled};
use super::started::report;
use crate::ask::TerminalPrompter;
use crate::cli::process::{RestoreSnapshotArgs, SnapshotCommand};
use crate::commands::each::remove_files;
use crate::failure::CliError;
use crate::output::Output;
use crate::runtime;

pub fn run(command: &SnapshotCommand, home: &Home, output: &Output) -> Result<(), CliError> {
    match command {
        SnapshotCommand::Save(args) => {
            let saved = manager(home)?.save_snapshot(&name(&args.name)?, args.force)?;
            let (ran, all) = (saved.running.len(), saved.processes);
            output.line(format!("Saved {all} processes, of which {ran} run, in `{}`", one_line(&saved.file, 1000)));
            output.set_json(saved);
        }
        SnapshotCommand::List { all } => list(*all, home, output)?,
        SnapshotCommand::Show(args) => {
            let shown = manager(home)?.snapshot(&name(&args.name)?)?;
            shown.text.lines().for_each(|line| output.line(line));
            output.set_json(shown);
        }
        SnapshotCommand::Diff(args) => {
            let difference = manager(home)?.compare_snapshot(&name(&args.name)?)?;
            if difference.changes.is_empty() {
                output.line(format!("everything is as in `{}`", difference.snapshot));
            }
            for change in &difference.changes {
                output.line(change.title());
                change.lines.iter().for_each(|line| output.line(format!("  {line}")));
            }
            output.set_json(difference);
        }
        SnapshotCommand::Restore(args) => return restore(args, home, output),
        SnapshotCommand::Remove { names } => {
            let manager = manager(home)?;
            return remove_files(names, output, |given| Ok(manager.remove_snapshot(&name(given)?)?));
        }
    }
    Ok(())
}

fn name(text: &str) -> Result<SnapshotName, CliError> {
    text.parse().map_err(|e: aiw_core::InvalidName| CliError::user(e.to_string()))
}

fn list(all: bool, home: &Home, output: &Output) -> Result<(), CliError> {
    let list = manager(home)?.snapshots(all)?;
    if list.snapshots.is_empty() {
        output.line("no snapshots: `aiw process snapshot save NAME` makes one");
    }
    let row = |one: &SnapshotSummary| {
        let what = one.problem.clone().unwrap_or_else(|| match one.running.as_slice() {
            [] => "nothing ran".into(),
            ids => ids.join(" "),
        });
        let mut row =
            vec![one.name.clone(), one.saved.clone().unwrap_or_else(|| "-".into()), one.processes.to_string()];
        row.extend(all.then(|| one.project.clone().unwrap_or_else(|| "-".into())));
        row.push(one_line(&what, 200));
        row
    };
    let headers: &[&str] = match all {
        true => &["NAME", "SAVED", "PROCESSES", "PROJECT", "RAN"],
        false => &["NAME", "SAVED", "PROCESSES", "RAN"],
    };
    output.table(headers, &list.snapshots.iter().map(row).collect::<Vec<_>>());
    output.set_json(list);
    Ok(())
}

fn restore(args: &RestoreSnapshotArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    let (manager, person) = (open_reconciled(home)?, TerminalPrompter::new(output, args.yes));
    let results = runtime::new_runtime()?.block_on(manager.restore(&name(&args.name)?, &person, output))?;
    if results.is_empty() {
        output.line("nothing was to be started");
        output.set_json(ProcessSummaries::default());
        return Ok(());
    }
    report(results, output)
}
