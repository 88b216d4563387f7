//! `aiw history doctor`

use aiw_app::history::{HistoryDoctor, format_forgotten, inspect};
use aiw_app::setup::hook_statuses;
use aiw_home::Home;

use crate::failure::CliError;
use crate::output::Output;

/// Looks at what the history is made of.
pub fn run_checks(home: &Home) -> Result<HistoryDoctor, CliError> {
    Ok(inspect(home, hook_statuses(home)?)?)
}

pub fn doctor(home: &Home, output: &Output) -> Result<(), CliError> {
    let answer = run_checks(home)?;
    output.line(match answer.hooks_installed {
        true => "hooks: installed",
        false if answer.hooks.iter().any(|status| status.installed) => "hooks: switched off by `disableAllHooks`",
        false => "hooks: not installed; `aiw history hooks install` puts them into Claude Code's settings",
    });
    if answer.off {
        output.line("`AIW_HISTORY` is off here: nothing is read");
    }
    output.line(format!("transcripts: {}, of which {} were not read yet", answer.transcripts, answer.unread));
    output.line(format!("waiting requests: {}", answer.queued));
    if let Some(meaning) = &answer.embeddings {
        output.line(format!("meaning: {meaning}"));
    }
    if answer.excluded > 0 {
        let what = format_forgotten(&answer.excluded_amount);
        output.line(format!("excluded, but there: {what}; `aiw history import` takes them out"));
    }
    for reason in &answer.unreadable_secrets {
        output.line(format!("{reason}: what can't be read is not taken out of sessions"));
    }
    for skipped in &answer.skipped {
        output.line(format!("{}: {}", skipped.path, skipped.reason));
    }
    output.set_json(answer);
    Ok(())
}
