//! `aiw doctor`

use std::io::{self, IsTerminal};
use std::time::Duration;

use aiw_app::doctor::{Doctor, ViewContext, check_online, inspect, remember};
use aiw_core::{ErrorKind, pluralize};
use aiw_home::Home;
use aiw_offer::{Toolset, own_tools};

use super::mcp::{client, serve};
use crate::components::is_bundled;
use crate::failure::CliError;
use crate::output::Output;

/// How long servers may take to end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);

/// Looks for problems, and keeps them for the list of what needs a person.
pub fn run_checks(home: &Home) -> Doctor {
    let toolsets = |names: &[String]| {
        let unknown = Toolset::from_names(names).err()?;
        Some(format!("{unknown}; {}", unknown.hint()))
    };
    let on_terminal = io::stdout().is_terminal();
    let facts = ViewContext { own_tools: own_tools(), check_toolsets: toolsets, is_bundled, is_terminal: on_terminal };
    let found = inspect(home, facts);
    remember(home, &found);
    found
}

/// Looks for problems, and asks those who know more.
pub async fn run_online_checks(home: &Home, output: &Output) -> Result<(), CliError> {
    let client = client::client(home, None, output)?;
    // Settings that can't be read are a problem that is found without asking.
    let asked = match serve::toolsets(None, home) {
        Ok(_) => Some(check_online(&client, output).await),
        Err(_) => None,
    };
    // One that hangs while it starts is ended with this process.
    let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, client.pool().shut_down()).await;
    let mut answer = run_checks(home);
    if let Some(asked) = asked {
        asked.add_to(&mut answer);
    }
    doctor(answer, output)
}

pub fn doctor(answer: Doctor, output: &Output) -> Result<(), CliError> {
    for part in &answer.parts {
        output.line(format!("{:<10} {}", part.name, part.summary));
        for found in &part.problems {
            output.line(format!("  {}", found.problem));
            output.line(format!("    → {}", found.next));
        }
    }
    let count = answer.parts.iter().map(|part| part.problems.len()).sum::<usize>();
    if count == 0 {
        output.line("no problems");
    }
    let failure = (count > 0)
        .then(|| CliError::new(ErrorKind::User, format!("{} found", pluralize(count, "problem"))).with_code(1));
    output.set_json_or_error(answer, failure)
}
