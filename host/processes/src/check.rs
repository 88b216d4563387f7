//! What is wrong with the processes of a project. Looking changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use aiw_core::shell_quote_printable;
use aiw_home::{Problem, move_aside_command};
use aiw_supervisor::{LimitEnforcer, SupervisorError};

use crate::definition::EventHook;
use crate::error::ProcessError;
use crate::manager::Manager;
use crate::probe::ProbeDefinition;
use crate::state::{ProcessStatus, RunState};

impl Manager {
    /// Looks at the file, at whether each definition can be started, and at what runs or has failed. Returns how many
    /// processes there are and how many of them run, and the problems.
    pub fn check(&self) -> (usize, usize, Vec<Problem>) {
        let mut problems = Vec::new();
        let loaded = self.load().unwrap_or_else(|error| {
            problems.push(Problem::from_diagnostic(&error, "aiw process edit"));
            crate::manager::LoadedDefinitions::default()
        });
        if loaded.needs_approval() {
            problems.push(problem_of(&ProcessError::Untrusted { path: self.project.file() }));
        }
        if let Err(error) = self.processes.check() {
            problems.push(problem_of(&error.into()));
        }
        let (supervised, unreadable) = self.processes.list_with_problems().unwrap_or_else(|e| (Vec::new(), vec![e]));
        problems.extend(unreadable.into_iter().map(|error| match &error {
            // A new start of the process does the same.
            SupervisorError::Unreadable { id, .. } | SupervisorError::NotADirectory { id, .. } => {
                Problem::new(error.to_string(), move_aside_command(&self.processes.process_directory(*id)))
            }
            _ => problem_of(&error.into()),
        }));
        problems.extend(self.processes.quarantined_directories().iter().map(|place| {
            let (shown, word) = (place.display(), place.to_string_lossy());
            let sentence = format!("the record of a process was damaged, and was put aside: `{shown}`");
            Problem::new(sentence, format!("rm -r {}", shell_quote_printable(&word)))
                .with_purpose("removes it and its log")
        }));
        let lost = supervised.iter().filter(|one| !one.is_persisted).count();
        if lost > 0 {
            let supervisors = aiw_core::pluralize(lost, "supervisor");
            problems.push(
                Problem::new(format!("{supervisors} died, and what ran under them was not ended yet"), "aiw ps")
                    .with_purpose("ends it, and starts again what is to run always"),
            );
        }
        let all = self.build_statuses(&loaded, supervised);
        for status in &all {
            // Whether it could start again matters for what runs, too.
            if let Some((definition, _)) = loaded.get(&status.id)
                && let Err(error) = self.prepare(&status.id, definition, Vec::new())
            {
                problems.push(problem_of(&error));
            }
            problems.extend(problems_of(status, loaded.get(&status.id).map(|(definition, _)| definition)));
        }
        let is_told = |id: &str| all.iter().any(|status| status.id == id && status.problem.is_some());
        for hook in loaded.hooks.iter().filter(|hook| !is_told(&hook.id())) {
            if let Err(error) = self.prepare(&hook.id(), &hook.definition(), Vec::new()) {
                problems.push(problem_of(&error));
            }
        }
        problems.extend(self.taken_ports(&all));
        (all.len(), all.iter().filter(|status| status.state.is_alive()).count(), problems)
    }

    /// Finds ports of probes on which a program listens that is none of the project's: such a probe says that a process is
    /// ready which is not.
    fn taken_ports(&self, all: &[ProcessStatus]) -> Vec<Problem> {
        let records: Vec<_> = all.iter().filter_map(|status| status.record.as_ref()).collect();
        let own: BTreeSet<u16> = self.processes.ports(&records).into_iter().flatten().collect();
        let probes = |status: &ProcessStatus| {
            let probes = [&status.definition.ready, &status.definition.live].into_iter().flatten();
            probes.filter_map(ProbeDefinition::local_port).collect::<BTreeSet<u16>>()
        };
        let mut asked: BTreeMap<u16, bool> = BTreeMap::new();
        let mut problems = Vec::new();
        for status in all {
            for port in probes(status).into_iter().filter(|port| !own.contains(port)) {
                let place = SocketAddr::from(([127, 0, 0, 1], port));
                if *asked.entry(port).or_insert_with(|| TcpStream::connect_timeout(&place, CONNECT_TIMEOUT).is_ok()) {
                    let problem = format!(
                        "a probe of `{}` asks port {port}, on which a program listens that is not of this project",
                        status.id
                    );
                    let names = Problem::new(problem, format!("lsof -nP -iTCP:{port} -sTCP:LISTEN"));
                    problems.push(names.with_purpose("names the program"));
                }
            }
        }
        problems
    }
}

/// How long a program on this machine may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(200);

fn problem_of(error: &ProcessError) -> Problem {
    Problem::from_diagnostic(error, "aiw process edit")
}

fn problems_of(status: &ProcessStatus, defined: Option<&crate::definition::Definition>) -> Vec<Problem> {
    let id = &status.id;
    let ill = match status.state {
        RunState::Failed => Some(("has failed", "it has failed")),
        RunState::CrashLooping => Some(("crashes again and again", "it ends soon after each start")),
        RunState::Unhealthy => Some(("does not work", "its probe fails")),
        _ => None,
    };
    if let Some(problem) = &status.problem {
        return vec![Problem::new(format!("hook `{id}`: {problem}"), "aiw process edit").with_purpose("changes it")];
    }
    let ill = ill.map(|(what, usual)| {
        let reason = status.reason().unwrap_or_else(|| usual.into());
        match id.starts_with(EventHook::PREFIX) {
            // Only the next event starts it again.
            true => Problem::new(format!("hook `{id}` {what}: {reason}"), format!("aiw logs {id}"))
                .with_purpose("shows what it wrote"),
            false => Problem::new(format!("process `{id}` {what}: {reason}"), format!("aiw restart {id}")),
        }
    });
    let mut problems = Vec::from_iter(ill);
    if status.state.is_alive() && defined.is_some_and(|defined| *defined != status.definition) {
        let sentence = format!("process `{id}` runs as it was defined before");
        problems.push(Problem::new(sentence, format!("aiw restart {id}")));
    }
    // Only that of processor time can be left without somebody who enforces it.
    if status.state.is_alive() && status.limits().values().any(|enforced| *enforced == LimitEnforcer::None) {
        let sentence = format!("nothing enforces the limit on the CPU time of `{id}`: no cgroup is delegated to you");
        problems.push(Problem::new(sentence, "aiw process edit").with_purpose("takes the limit out"));
    }
    problems
}

#[cfg(test)]
mod tests {
    use aiw_core::ProcessId;

    use super::*;
    use crate::definition::Definition;

    #[test]
    fn a_hook_that_failed_leads_to_its_log_since_nobody_can_restart_it() {
        let found = |id: &str| {
            let status = ProcessStatus {
                id: id.to_owned(),
                project: "/project".into(),
                state: RunState::Failed,
                definition: Definition::default(),
                source: None,
                process: ProcessId::from_number(1),
                record: None,
                last_lines: Vec::new(),
                next_run_at: None,
                problem: None,
            };
            problems_of(&status, None)
                .into_iter()
                .map(|one| format!("{} → {}", one.problem, one.next))
                .collect::<Vec<_>>()
        };
        assert_eq!(found("api"), ["process `api` has failed: it has failed → `aiw restart api`"]);
        let hook = "hook `on:failed:api` has failed: it has failed → `aiw logs on:failed:api` shows what it wrote";
        assert_eq!(found("on:failed:api"), [hook]);
    }
}
