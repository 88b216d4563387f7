//! Stopping processes.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use aiw_supervisor::{StopOutcome, WaitMode};

use crate::error::ProcessError;
use crate::manager::Manager;
use crate::state::ProcessStatus;

/// A process that was to be stopped: its id, and whether it ran.
pub type StopResult = (String, Result<bool, ProcessError>);

impl Manager {
    /// Stops one process, with its whole tree. Returns it as it is then, and whether it ran before.
    pub fn stop(&self, id: &str) -> Result<(ProcessStatus, bool), ProcessError> {
        self.stop_with_timeout(id, None)
    }

    /// Stops one process. If it has not ended after this time, it is killed, whatever its definition says.
    pub fn stop_with_timeout(&self, id: &str, grace: Option<Duration>) -> Result<(ProcessStatus, bool), ProcessError> {
        // On a full disk it ends all the same.
        let left = self.stop_monitoring(|other| other == id, false);
        let ended = self.terminate(id, grace)?;
        left.map(|_| ended)
    }

    /// Ends a process. Its files and times are minded as before.
    pub(crate) fn terminate(&self, id: &str, grace: Option<Duration>) -> Result<(ProcessStatus, bool), ProcessError> {
        let status = self.get(id)?;
        let Some(record) = &status.record else { return Ok((status, false)) };
        let patience = status.definition.stop.grace;
        let processes = self.processes.clone().with_grace(patience);
        if let Some(grace) = grace.filter(|grace| *grace < patience)
            && let StopOutcome::Stopping(_) = processes.stop(record.id, false)?
        {
            let waited = processes.wait(
                &[record.id],
                WaitMode::All,
                Some(Instant::now() + grace),
                &AtomicBool::new(false),
                &mut |_| {},
            )?;
            if !waited.done {
                // It may end by itself just now.
                let _ = processes.signal(record.id, 9);
            }
            processes.stop(record.id, true)?;
            return Ok((self.get(id)?, true));
        }
        let ran = match processes.stop(record.id, true)? {
            StopOutcome::AlreadyEnded(_) => false,
            StopOutcome::Ended(_) | StopOutcome::Stopping(_) => true,
        };
        Ok((self.get(id)?, ran))
    }

    /// Stops processes, each before what it needs, and those that do not need each other side by side. Without names, it
    /// stops all of the project.
    pub fn down(&self, names: &[String]) -> Result<Vec<StopResult>, ProcessError> {
        let names = &self.expand_replica_ids(names);
        for name in names {
            self.get(name)?;
        }
        // Left alone first, so that nothing starts again behind the list. On a full disk all end all the same.
        let is_meant = |id: &str| names.is_empty() || names.iter().any(|name| name == id);
        let left_alone = self.stop_monitoring(is_meant, names.is_empty());
        let waiting = left_alone.as_ref().map_or(&[][..], Vec::as_slice);
        let all = self.list().or_else(|_| self.list_running())?;
        let is_left = |status: &&ProcessStatus| status.state.is_alive() && is_meant(&status.id);
        let mut left: Vec<&ProcessStatus> = all.iter().filter(is_left).collect();
        let is_idle = |id: &String| !left.iter().any(|status| status.id == *id);
        let mut done: Vec<StopResult> =
            waiting.iter().filter(|id| is_idle(id)).map(|id| (id.clone(), Ok(true))).collect();
        while !left.is_empty() {
            let needed: BTreeSet<&str> =
                left.iter().flat_map(|status| &status.definition.needs).map(|need| need.id.as_str()).collect();
            let (mut now, mut later): (Vec<&ProcessStatus>, Vec<&ProcessStatus>) =
                left.iter().partition(|status| !needed.contains(status.id.as_str()));
            if now.is_empty() {
                // A circle of older definitions.
                std::mem::swap(&mut now, &mut later);
            }
            std::thread::scope(|scope| {
                let stop = |status: &&ProcessStatus| {
                    let id = status.id.clone();
                    scope.spawn(move || self.stop(&id).map(|(_, ran)| ran))
                };
                let running: Vec<_> = now.iter().map(|status| (status.id.clone(), stop(status))).collect();
                for (id, thread) in running {
                    // A panic there is one of ours.
                    done.push((id, thread.join().unwrap_or(Ok(false))));
                }
            });
            left = later;
        }
        left_alone.map(|_| done)
    }
}
