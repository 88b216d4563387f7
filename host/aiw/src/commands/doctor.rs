//! `aiw doctor`

use aiw_app::doctor::{Doctor, FoundProblem, ViewKnows, look};
use aiw_core::{ErrorKind, counted};
use aiw_home::Home;
use aiw_offer::{Toolset, own_tools};

use super::history_doctor;
use crate::failure::Failure;
use crate::output::Output;

/// Looks for problems.
pub fn found(home: &Home) -> Doctor {
    let toolsets = |names: &[String]| {
        let unknown = Toolset::named(names).err()?;
        Some(FoundProblem::new(format!("`mcp.toolsets` in settings.json: {unknown}"), unknown.hint()))
    };
    let history = history_doctor::found(home);
    let history = history.map_err(|e| FoundProblem::of(&e, e.hint().map(str::to_owned)));
    look(home, ViewKnows { own_tools: own_tools(), toolsets, history })
}

pub fn doctor(home: &Home, output: &Output) -> Result<(), Failure> {
    let answer = found(home);
    for part in &answer.parts {
        output.line(format!("{:<10} {}", part.name, part.summary));
        for found in &part.problems {
            output.line(format!("  {}", found.problem));
            if let Some(next) = &found.next {
                output.line(format!("    → {next}"));
            }
        }
    }
    let count = answer.parts.iter().map(|part| part.problems.len()).sum::<usize>();
    if count == 0 {
        output.line("no problems");
    }
    let failure =
        (count > 0).then(|| Failure::new(ErrorKind::User, format!("{} found", counted(count, "problem"))).with_code(1));
    output.conclude(answer, failure)
}
