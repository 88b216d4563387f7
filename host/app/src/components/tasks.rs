//! The tasks of this session, as components are given them.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use aiw_core::{Diagnostic, ErrorKind, ProcessId, one_line};
use aiw_launch::RunRequest;
use aiw_tasks::{Tasks as Table, WaitMode};
use aiw_wasm::host::{ComponentTask, TaskCapability, TaskRequest, TaskStartCapability};
use aiw_wasm::{CallRejection, ComponentReason};
use async_trait::async_trait;
use tokio::runtime::Handle;

use super::refusal::{rejection, session_ended, unavailable};
use crate::AppError;
use crate::reach::ComponentClient;

/// The tasks of the session of the component's client.
pub(crate) struct SessionTasks(pub(crate) Weak<dyn ComponentClient>);

fn error(e: aiw_tasks::TaskError) -> CallRejection {
    match &e {
        aiw_tasks::TaskError::TaskNotFound { .. } => rejection(ComponentReason::NotFound, e.to_string()),
        _ => unavailable(&e),
    }
}

/// Why a task does not start. What a component asked wrongly is told apart from what may work later.
fn not_started(e: &AppError) -> CallRejection {
    match e.kind() {
        ErrorKind::Unavailable | ErrorKind::Internal => unavailable(e),
        _ => rejection(ComponentReason::Invalid, one_line(&e.to_string(), 400)),
    }
}

impl SessionTasks {
    fn client(&self) -> Result<Arc<dyn ComponentClient>, CallRejection> {
        self.0.upgrade().ok_or_else(session_ended)
    }

    /// Does work over the session's tasks, off the runtime's thread.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Table) -> Result<T, aiw_tasks::TaskError> + Send + 'static,
    ) -> Result<T, CallRejection> {
        let client = self.client()?;
        let done = tokio::task::spawn_blocking(move || {
            let table = client.tasks().map_err(|e| unavailable(&e))?;
            work(&table).map_err(error)
        });
        done.await.map_err(|e| unavailable(&e))?
    }
}

#[async_trait]
impl TaskCapability for SessionTasks {
    async fn list(&self) -> Result<Vec<ComponentTask>, CallRejection> {
        let tasks = self.with(Table::list_repaired).await?;
        Ok(tasks.into_iter().rev().map(convert).collect())
    }

    async fn get(&self, id: ProcessId) -> Result<ComponentTask, CallRejection> {
        self.with(move |table| table.get(id)).await.map(convert)
    }

    async fn wait(&self, id: ProcessId, time: Duration) -> Result<ComponentTask, CallRejection> {
        let cancelled = Arc::new(AtomicBool::new(false));
        // A call that is given up must not leave a thread that waits on.
        let _cancel = CancelOnDrop(cancelled.clone());
        let wait = move |table: &Table| {
            table.wait(&[id], WaitMode::All, Some(Instant::now() + time), &cancelled, &mut |_| {})?;
            table.get(id)
        };
        self.with(wait).await.map(convert)
    }
}

#[async_trait]
impl TaskStartCapability for SessionTasks {
    async fn start(&self, request: &TaskRequest) -> Result<ProcessId, CallRejection> {
        let client = self.client()?;
        let cwd = request.cwd.clone().unwrap_or_else(|| client.cwd());
        let request = RunRequest {
            provider: request.provider.as_ref().map(ToString::to_string),
            roles: request.role.iter().cloned().collect(),
            prompt: Some(request.prompt.clone().into_bytes()),
            model: request.model.clone(),
            started_by: "an extension".into(),
            ..RunRequest::new(request.cli, cwd)
        };
        let runtime = Handle::current();
        let started = tokio::task::spawn_blocking(move || client.start(request, &runtime));
        started.await.map_err(|e| unavailable(&e))?.map(|task| task.id).map_err(|e| not_started(&e))
    }
}

struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

fn convert(task: aiw_tasks::Task) -> ComponentTask {
    let time = |millis: u64| SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
    ComponentTask {
        id: task.id,
        cli: task.about.cli,
        provider: task.about.provider.and_then(|name| name.parse().ok()),
        role: task.about.role,
        tag: task.about.tag,
        state: task.state,
        outcome: task.outcome,
        exit_code: task.exit_code,
        started_at: time(task.started),
        ended_at: task.ended.map(time),
    }
}
