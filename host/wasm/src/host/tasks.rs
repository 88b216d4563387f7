//! The interface `tasks`.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use aiw_core::{ProcessOutcome as TaskOutcome, ProcessState as TaskState};

use super::{CallState, refused};
use crate::bindings::v0_1::aiw::plugin::{tasks, types};
use crate::capabilities::{StartTask, Task};

type Answer<T> = wasmtime::Result<Result<T, types::Error>>;

impl tasks::Host for CallState {
    async fn list(&mut self) -> Answer<Vec<tasks::Task>> {
        self.allow("tasks.list")?;
        self.charge_read()?;
        let tasks = self.call.capabilities.tasks.clone();
        let listed = self.waiting(tasks.list()).await;
        Ok(listed.map(|listed| listed.into_iter().map(task).collect()).map_err(refused))
    }

    async fn get(&mut self, id: String) -> Answer<tasks::Task> {
        self.allow("tasks.get")?;
        self.charge_read()?;
        let id = match id.parse() {
            Ok(id) => id,
            Err(e) => return Ok(Err(invalid(e))),
        };
        let tasks = self.call.capabilities.tasks.clone();
        Ok(self.waiting(tasks.get(id)).await.map(task).map_err(refused))
    }

    async fn wait(&mut self, id: String, seconds: u32) -> Answer<tasks::Task> {
        self.allow("tasks.wait")?;
        self.charge_request()?;
        let id = match id.parse().map_err(invalid) {
            Ok(id) => id,
            Err(refused) => return Ok(Err(refused)),
        };
        let time = Duration::from_secs(u64::from(seconds)).min(self.call.limits.task_wait);
        let tasks = self.call.capabilities.tasks.clone();
        Ok(self.waiting(tasks.wait(id, time)).await.map(task).map_err(refused))
    }

    async fn start(&mut self, request: tasks::StartRequest) -> Answer<tasks::Task> {
        self.allow("tasks.start")?;
        self.charge_start()?;
        let request = match self.may_start().and_then(|()| start_task(request)) {
            Ok(request) => request,
            Err(refused) => return Ok(Err(refused)),
        };
        let tasks = self.call.capabilities.tasks.clone();
        Ok(self.waiting(tasks.start(&request)).await.map(task).map_err(refused))
    }
}

impl CallState {
    /// Checks that the component asks for `start` and the user agreed to it. The error names both, and the command
    /// to agree.
    fn may_start(&self) -> Result<(), types::Error> {
        let id = &self.call.id;
        match (
            self.call.wanted.allows(aiw_extensions::CapabilityKind::Tasks, "start"),
            self.call.granted.allows(aiw_extensions::CapabilityKind::Tasks, "start"),
        ) {
            (true, true) => Ok(()),
            (true, false) => Err(types::Error::Denied(format!(
                "component `{id}` may not start tasks: its manifest asks for it, but you did not agree to it; run `aiw extension update {id} --accept-changes`"
            ))),
            (false, _) => Err(types::Error::Denied(format!(
                "component `{id}` may not start tasks: its manifest does not name `start` under `tasks`"
            ))),
        }
    }
}

fn start_task(request: tasks::StartRequest) -> Result<StartTask, types::Error> {
    let cwd = request.cwd.map(PathBuf::from);
    if cwd.as_ref().is_some_and(|cwd| !cwd.is_absolute()) {
        return Err(types::Error::Invalid("the directory of a task must be an absolute path".into()));
    }
    Ok(StartTask {
        cli: request.cli.parse().map_err(invalid)?,
        prompt: request.prompt,
        provider: request.provider.map(|name| name.parse()).transpose().map_err(invalid)?,
        role: request.role.map(|name| name.parse()).transpose().map_err(invalid)?,
        cwd,
        model: request.model,
    })
}

fn invalid(e: aiw_core::InvalidName) -> types::Error {
    types::Error::Invalid(e.to_string())
}

fn task(task: Task) -> tasks::Task {
    let millis = |time: SystemTime| {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    };
    tasks::Task {
        id: task.id.to_string(),
        cli: task.cli.to_string(),
        provider: task.provider.map(|name| name.to_string()),
        role: task.role,
        tag: task.tag,
        state: match task.state {
            TaskState::Queued => tasks::State::Queued,
            TaskState::Starting => tasks::State::Starting,
            TaskState::Running => tasks::State::Running,
            TaskState::Stopping => tasks::State::Stopping,
            TaskState::Ended => tasks::State::Ended,
        },
        outcome: task.outcome.map(|outcome| match outcome {
            TaskOutcome::Succeeded => tasks::Outcome::Succeeded,
            TaskOutcome::Failed => tasks::Outcome::Failed,
            TaskOutcome::Signalled => tasks::Outcome::Signalled,
            TaskOutcome::Timeout => tasks::Outcome::Timeout,
            TaskOutcome::Lost => tasks::Outcome::Lost,
        }),
        exit_code: task.exit_code,
        started: millis(task.started),
        ended: task.ended.map(millis),
    }
}
