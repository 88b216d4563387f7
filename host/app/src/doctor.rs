//! What is wrong with the parts of aiw. Looking starts nothing, and changes nothing but what a command that was cut
//! short left to be done, as every command does.

mod configured;
mod history;
mod limits;
mod machine;
mod online;
mod part;
mod running;
mod servers;

use aiw_core::pluralize;
pub use aiw_home::Problem;
use aiw_home::{Home, edit_command};
use aiw_orchestrator::{SavedWorkflow, WorkflowEntry, Workflows};
use aiw_routing::KnownTool;
use schemars::JsonSchema;
use serde::Serialize;

pub(crate) use self::configured::provider_problems;
use self::configured::{budgets, clis, installed_extensions, models, providers};
use self::limits::{PartCheck, check_all};
pub use self::online::{OnlineProblems, check_online};
pub use self::part::CheckedPart;
pub(crate) use self::servers::server_problems;
use crate::attention_state::{DoctorProblem, keep_doctor};
use crate::planners;

/// `aiw doctor`
#[warn(missing_docs)]
#[derive(Debug, Serialize, JsonSchema)]
pub struct Doctor {
    /// The parts that were checked
    pub parts: Vec<CheckedPart>,
}

/// Facts that only a view knows.
pub struct ViewContext {
    /// aiw's own tools.
    pub own_tools: Vec<KnownTool>,
    /// Says what is wrong with names of toolsets.
    pub check_toolsets: fn(&[String]) -> Option<String>,
    /// Whether a component is a part of aiw.
    pub is_bundled: fn(&str) -> bool,
    /// Whether the answer is shown on a terminal.
    pub is_terminal: bool,
}

/// The check of one part of a home.
type HomeCheck = Box<dyn FnOnce(&Home) -> Option<CheckedPart> + Send>;

/// Looks at each part, as it is for the current directory. A part that can't be read, or takes too long, stops no other.
pub fn inspect(home: &Home, knows: ViewContext) -> Doctor {
    let ViewContext { own_tools, check_toolsets: toolsets, is_bundled, is_terminal: on_terminal } = knows;
    let check = |name, by_hand, work: HomeCheck| {
        let home = home.clone();
        PartCheck { name, manual_command: by_hand, work: Box::new(move || work(&home)) }
    };
    let checks = vec![
        check("aiw", "aiw update", Box::new(move |home| Some(machine::own_installation(home, on_terminal)))),
        check("home", "aiw secret list", Box::new(move |home| Some(files(home, toolsets)))),
        check("clis", "aiw cli list", Box::new(|home| Some(clis(home)))),
        check("clients", "aiw setup --dry-run", Box::new(history::clients)),
        check("providers", "aiw provider list", Box::new(|home| Some(providers(home)))),
        check("roles", "aiw role list", Box::new(configured::roles)),
        check("budgets", "aiw budget list", Box::new(budgets)),
        check("tasks", "aiw task list", Box::new(|home| Some(running::tasks(home)))),
        check("processes", "aiw ps", Box::new(|home| Some(running::processes(home)))),
        check("mcp", "aiw mcp list", Box::new(move |home| Some(servers::servers(home, own_tools)))),
        check("trust", "aiw trust list", Box::new(machine::trust)),
        check("workflows", "aiw workflow list", Box::new(|home| Some(workflows(home)))),
        check("installed", "aiw extension verify", Box::new(move |home| Some(installed_extensions(home, is_bundled)))),
        check("models", "aiw model list", Box::new(|home| Some(models(home)))),
        check("history", "aiw history doctor", Box::new(|home| Some(history::history(home)))),
        check("sync", "aiw sync status", Box::new(synchronized)),
    ];
    Doctor { parts: check_all(home.root(), checks) }
}

/// Keeps what was found for the list of what needs a person, unless somebody else does right now. A home that can't be written
/// has a part that says so.
pub fn remember(home: &Home, doctor: &Doctor) {
    let Ok(cwd) = crate::directory(home) else { return };
    let problem = |part: &CheckedPart, found: &Problem| DoctorProblem {
        part: part.name.to_owned(),
        problem: found.problem.clone(),
        next: found.next.clone(),
    };
    let problems = doctor.parts.iter().flat_map(|part| part.problems.iter().map(move |found| problem(part, found)));
    keep_doctor(home, cwd, problems);
}

/// Looks at the home itself: its documents and secrets.
fn files(home: &Home, find_unknown: fn(&[String]) -> Option<String>) -> CheckedPart {
    let (secrets, mut problems) = home.check();
    let settings = home.settings_path();
    let toolsets = home.settings().and_then(|settings| settings.mcp()).ok().and_then(|mcp| mcp.toolsets);
    problems.extend(
        toolsets.and_then(|names| find_unknown(&names)).map(|unknown| {
            Problem::new(format!("`mcp.toolsets` in settings.json: {unknown}"), edit_command(&settings))
        }),
    );
    let key = planners::missing_key_command(home);
    problems.extend(key.map(|gives| Problem::new("the key of the model that plans jobs is missing", gives)));
    let summary = format!("{}, {}", home.root().display(), pluralize(secrets, "secret"));
    CheckedPart { name: "home", summary, problems }
}

/// Looks at what is not pushed, where there is a store.
fn synchronized(home: &Home) -> Option<CheckedPart> {
    let summary = match aiw_sync::unpushed_files(home)? {
        0 => "everything is pushed".to_owned(),
        count => format!("{} not pushed", pluralize(count, "change")),
    };
    Some(CheckedPart { name: "sync", summary, problems: Vec::new() })
}

/// The kept scripts as they are written. Whether their tools are there, `aiw workflow list` says.
fn workflows(home: &Home) -> CheckedPart {
    let workflows = Workflows::new(home.clone());
    let (listed, lock) = (workflows.list(), workflows.lock());
    let is_outdated = |kept: &SavedWorkflow| {
        let approved = lock.as_ref().ok().and_then(|lock| lock.workflows.get(&kept.name));
        approved.is_some_and(|approved| approved.sha256 != kept.sha256)
    };
    let problem = |found: &WorkflowEntry| {
        let name = &found.name;
        match &found.workflow {
            Err(problem) => {
                Some(Problem::new(format!("workflow `{name}` can't be used: it {problem}"), edit_command(&found.path)))
            }
            Ok(kept) if is_outdated(kept) => {
                let problem = format!("workflow `{name}` was edited after you approved it, so it does not run");
                Some(Problem::new(problem, format!("aiw workflow approve {name}")).with_purpose("shows it and asks"))
            }
            Ok(_) => None,
        }
    };
    let mut problems: Vec<Problem> = listed.iter().filter_map(problem).collect();
    problems.extend(lock.as_ref().err().map(|e| Problem::from_diagnostic(e, "aiw workflow list")));
    let summary = match listed.len() {
        0 => "no workflows".to_owned(),
        count => pluralize(count, "workflow"),
    };
    CheckedPart { name: "workflows", summary, problems }
}
