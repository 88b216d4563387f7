//! The tasks of this session, as components are given them.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant, SystemTime};

use aiw_core::{TaskId, one_line};
use aiw_home::Home;
use aiw_tasks::{Scope, Tasks as Table, WaitMode};
use aiw_wasm::Refusal;
use aiw_wasm::capabilities::{Refused, StartTask, Task, Tasks};
use async_trait::async_trait;

use crate::executable::own_executable;

pub struct ComponentTasks(pub Home);

fn refused(refusal: Refusal, message: impl Into<String>) -> Refused {
    Refused { refusal, message: message.into() }
}

fn error(e: aiw_tasks::TaskError) -> Refused {
    let refusal = match &e {
        aiw_tasks::TaskError::NoTask { .. } => Refusal::NotFound,
        _ => Refusal::Unavailable { retry_after: None },
    };
    refused(refusal, e.to_string())
}

impl ComponentTasks {
    /// Work over the session's table, off the runtime's thread.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Table) -> Result<T, aiw_tasks::TaskError> + Send + 'static,
    ) -> Result<T, Refused> {
        let home = self.0.clone();
        let done = tokio::task::spawn_blocking(move || {
            let table = Table::open(&home, Scope::Session(aiw_launch::session().root)).map_err(error)?;
            work(&table).map_err(error)
        });
        done.await.map_err(|e| refused(Refusal::Unavailable { retry_after: None }, e.to_string()))?
    }
}

#[async_trait]
impl Tasks for ComponentTasks {
    async fn list(&self) -> Result<Vec<Task>, Refused> {
        let tasks = self.with(Table::list_settled).await?;
        Ok(tasks.into_iter().rev().map(convert).collect())
    }

    async fn get(&self, id: TaskId) -> Result<Task, Refused> {
        self.with(move |table| table.get(id)).await.map(convert)
    }

    async fn wait(&self, id: TaskId, time: Duration) -> Result<Task, Refused> {
        let cancelled = Arc::new(AtomicBool::new(false));
        // A call that is given up must not leave a thread that waits on.
        let _cancel = CancelOnDrop(cancelled.clone());
        let wait = move |table: &Table| {
            table.wait(&[id], WaitMode::All, Some(Instant::now() + time), &cancelled, &mut |_| {})?;
            table.get(id)
        };
        self.with(wait).await.map(convert)
    }

    /// By aiw's own command line: what a component may start is what a user may, and no more.
    async fn start(&self, request: &StartTask) -> Result<Task, Refused> {
        let request = request.clone();
        let started = tokio::task::spawn_blocking(move || start(&request));
        let id = started.await.map_err(|e| refused(Refusal::Unavailable { retry_after: None }, e.to_string()))??;
        self.get(id).await
    }
}

struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

fn start(request: &StartTask) -> Result<TaskId, Refused> {
    let unavailable = |why: String| refused(Refusal::Unavailable { retry_after: None }, why);
    let aiw = own_executable().map_err(|e| unavailable(e.message().to_owned()))?;
    let mut command = Command::new(aiw);
    command.args([request.cli.as_str(), "--json", "--detach"]);
    if let Some(provider) = &request.provider {
        command.args(["--provider", provider.as_str()]);
    }
    if let Some(role) = &request.role {
        command.args(["--role", role.as_str()]);
    }
    if let Some(model) = &request.model {
        command.arg(format!("--model={model}"));
    }
    if let Some(cwd) = &request.cwd {
        command.arg("--cwd").arg(cwd);
    }
    // The prompt is nobody else's business.
    let spawned = command.arg("-").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut child = spawned.map_err(|e| unavailable(format!("aiw failed to start: {e}")))?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that refuses the prompt says so itself.
        let _ = stdin.write_all(request.prompt.as_bytes());
    }
    let output = child.wait_with_output().map_err(|e| unavailable(format!("aiw did not exit: {e}")))?;
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    match answer["task"]["id"].as_str().and_then(|id| id.parse().ok()) {
        Some(id) => Ok(id),
        None => {
            let message = answer["error"]["message"].as_str().unwrap_or("the task did not start");
            Err(refused(Refusal::Invalid, one_line(message, 400)))
        }
    }
}

fn convert(task: aiw_tasks::Task) -> Task {
    let time = |millis: u64| SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
    Task {
        id: task.id,
        cli: task.about.cli,
        provider: task.about.provider.and_then(|name| name.parse().ok()),
        role: task.about.role,
        tag: task.about.tag,
        state: task.state,
        outcome: task.outcome,
        exit_code: task.exit_code,
        started: time(task.started),
        ended: task.ended.map(time),
    }
}
