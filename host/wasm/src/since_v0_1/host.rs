//! The interfaces that a component imports.

use std::path::PathBuf;
use std::time::Duration;

use aiw_core::provider::Value;
use aiw_core::{CliKind, ProcessOutcome as TaskOutcome, ProcessState as TaskState, RelPath, Sha, unix_millis};
use aiw_net::{GitOrigin, ItemKind, Tree};
use wasmtime::component::Resource;

use super::interfaces::{
    cache, clock, embeddings, http, log, mcp, settings, task_starts, tasks, trees, types, vectors,
};
use crate::error::CallRejection;
use crate::host::{
    CacheImport, ClockImport, ComponentRequest, ComponentTask, EmbeddingsImport, HostCall, HostError, HostResult,
    HttpImport, Interface, LogImport, LogLevel, McpImport, McpResult, McpTool, SettingsImport, TaskRequest,
    TaskStartsImport, TasksImport, TreeOrigin, TreesImport, VectorsImport,
};

impl<I: Interface> types::Host for HostCall<'_, I> {
    fn convert_error(&mut self, error: HostError) -> wasmtime::Result<types::Error> {
        match error {
            HostError::Rejected(refused) => Ok(refused.into()),
            HostError::LimitExceeded(over) => Err(over.into()),
            HostError::InvalidHandle(error) => Err(error.into()),
        }
    }
}

impl http::Host for HostCall<'_, HttpImport> {
    async fn send(&mut self, request: http::Request) -> HostResult<http::Response> {
        let post = match request.method {
            http::Method::Get => None,
            http::Method::Post(body) => Some(body),
        };
        let headers = request.headers.into_iter().map(|header| (header.name, value(header.value))).collect();
        let outgoing =
            ComponentRequest { post_body: post, url: request.url, headers, max_response_bytes: request.limit };
        let response = HostCall::<HttpImport>::send(self, outgoing).await?;
        let field = |(name, value)| types::Field { name, value };
        Ok(http::Response {
            status: response.status,
            headers: response.headers.into_iter().map(field).collect(),
            body: response.body,
            url: response.url,
        })
    }
}

/// Converts a value that may be a secret, by its name.
pub(super) fn value(value: types::Value) -> Value {
    match value {
        types::Value::Literal(text) => Value::Literal(text),
        types::Value::Secret(types::Secret { name, prefix }) => Value::Secret { name, prefix },
    }
}

impl trees::Host for HostCall<'_, TreesImport> {
    async fn open(&mut self, origin: trees::Origin) -> HostResult<Resource<Tree>> {
        let origin = match origin {
            trees::Origin::Directory(directory) => Ok(TreeOrigin::Directory(PathBuf::from(directory))),
            trees::Origin::Git(origin) => git_origin(origin).map(TreeOrigin::Git),
        };
        HostCall::<TreesImport>::open(self, origin).await
    }
}

fn git_origin(origin: trees::GitOrigin) -> Result<GitOrigin, CallRejection> {
    Ok(GitOrigin {
        url: origin.url,
        reference: origin.ref_,
        sha: origin.sha.map(|sha| sha.parse::<Sha>()).transpose().map_err(CallRejection::invalid)?,
        path: origin.path.map(|path| RelPath::parse(&path)).transpose().map_err(CallRejection::invalid)?,
    })
}

impl trees::HostTree for HostCall<'_, TreesImport> {
    async fn revision(&mut self, tree: Resource<Tree>) -> wasmtime::Result<String> {
        HostCall::<TreesImport>::revision(self, &tree)
    }

    async fn list(&mut self, tree: Resource<Tree>, at: String) -> HostResult<Vec<trees::Item>> {
        let kind = |kind| match kind {
            ItemKind::File => trees::ItemKind::File,
            ItemKind::Directory => trees::ItemKind::Directory,
            ItemKind::Link => trees::ItemKind::Link,
            ItemKind::Submodule => trees::ItemKind::Submodule,
        };
        let items = HostCall::<TreesImport>::list(self, &tree, &at)?.into_iter();
        Ok(items.map(|item| trees::Item { name: item.name, kind: kind(item.kind), size: item.size }).collect())
    }

    async fn read(&mut self, tree: Resource<Tree>, at: String, limit: u32) -> HostResult<Vec<u8>> {
        self.read_file(&tree, &at, limit)
    }

    async fn subtree(&mut self, tree: Resource<Tree>, at: String) -> HostResult<Resource<Tree>> {
        HostCall::<TreesImport>::subtree(self, &tree, &at)
    }

    async fn drop(&mut self, tree: Resource<Tree>) -> wasmtime::Result<()> {
        self.call.table.delete(tree)?;
        Ok(())
    }
}

impl cache::Host for HostCall<'_, CacheImport> {
    async fn get(&mut self, key: String) -> wasmtime::Result<Option<Vec<u8>>> {
        Ok(HostCall::<CacheImport>::get(self, &key)?)
    }

    async fn put(&mut self, key: String, value: Vec<u8>, seconds: u32) -> wasmtime::Result<()> {
        Ok(HostCall::<CacheImport>::put(self, &key, &value, Duration::from_secs(u64::from(seconds)))?)
    }
}

impl settings::Host for HostCall<'_, SettingsImport> {
    async fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        Ok(HostCall::<SettingsImport>::get(self, &key)?)
    }
}

impl log::Host for HostCall<'_, LogImport> {
    async fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            log::Level::Debug => LogLevel::Debug,
            log::Level::Info => LogLevel::Info,
            log::Level::Warn => LogLevel::Warn,
            log::Level::Error => LogLevel::Error,
        };
        HostCall::<LogImport>::write(self, level, &message);
        Ok(())
    }
}

impl clock::Host for HostCall<'_, ClockImport> {
    async fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(unix_millis(HostCall::<ClockImport>::now(self)?))
    }
}

impl tasks::Host for HostCall<'_, TasksImport> {
    async fn list(&mut self) -> HostResult<Vec<tasks::Task>> {
        Ok(HostCall::<TasksImport>::list(self).await?.into_iter().map(task).collect())
    }

    async fn get(&mut self, id: String) -> HostResult<tasks::Task> {
        HostCall::<TasksImport>::get(self, &id).await.map(task)
    }

    async fn wait(&mut self, id: String, seconds: u32) -> HostResult<tasks::Task> {
        let time = Duration::from_secs(u64::from(seconds));
        HostCall::<TasksImport>::wait(self, &id, time).await.map(task)
    }
}

/// Converts the kind of a CLI. One that this contract has no word for would be `other`.
pub(super) fn cli(cli: CliKind) -> types::Cli {
    match cli {
        CliKind::Claude => types::Cli::Claude,
        CliKind::Codex => types::Cli::Codex,
        CliKind::Gemini => types::Cli::Gemini,
    }
}

fn task(task: ComponentTask) -> tasks::Task {
    tasks::Task {
        id: task.id.to_string(),
        cli: cli(task.cli),
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
        started: unix_millis(task.started_at),
        ended: task.ended_at.map(unix_millis),
    }
}

impl task_starts::Host for HostCall<'_, TaskStartsImport> {
    async fn start(&mut self, request: task_starts::StartRequest) -> HostResult<String> {
        let request = start_task(request).map_err(CallRejection::invalid);
        Ok(HostCall::<TaskStartsImport>::start(self, request).await?.to_string())
    }
}

fn start_task(request: task_starts::StartRequest) -> Result<TaskRequest, aiw_core::InvalidName> {
    Ok(TaskRequest {
        cli: match request.cli {
            types::Cli::Claude => CliKind::Claude,
            types::Cli::Codex => CliKind::Codex,
            types::Cli::Gemini => CliKind::Gemini,
            types::Cli::Other(command) => command.parse()?,
        },
        prompt: request.prompt,
        provider: request.provider.map(|name| name.parse()).transpose()?,
        role: request.role.map(|name| name.parse()).transpose()?,
        cwd: request.cwd.map(PathBuf::from),
        model: request.model,
    })
}

impl embeddings::Host for HostCall<'_, EmbeddingsImport> {
    async fn state(&mut self) -> wasmtime::Result<embeddings::ModelState> {
        Ok(match HostCall::<EmbeddingsImport>::model_info(self).await? {
            Ok((id, dimensions)) => {
                embeddings::ModelState::Ready(embeddings::SentenceModel { id, dimensions: small(dimensions) })
            }
            Err(why) => embeddings::ModelState::Missing(why),
        })
    }

    async fn embed(&mut self, texts: Vec<String>) -> HostResult<Vec<Vec<f32>>> {
        HostCall::<EmbeddingsImport>::embed(self, texts).await
    }
}

fn small(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

impl vectors::Host for HostCall<'_, VectorsImport> {
    async fn upsert(&mut self, collection: String, entries: Vec<vectors::VectorEntry>) -> HostResult<()> {
        let entries = entries.into_iter().map(|entry| (entry.id, entry.vector)).collect();
        HostCall::<VectorsImport>::upsert(self, &collection, entries).await
    }

    async fn delete(&mut self, collection: String, ids: Vec<String>) -> HostResult<u32> {
        HostCall::<VectorsImport>::delete(self, &collection, ids).await.map(small)
    }

    async fn get(&mut self, collection: String, id: String) -> HostResult<Option<Vec<f32>>> {
        HostCall::<VectorsImport>::get(self, &collection, id).await
    }

    async fn count(&mut self, collection: String) -> HostResult<u32> {
        HostCall::<VectorsImport>::count(self, &collection).await.map(small)
    }

    async fn search(&mut self, collection: String, query: Vec<f32>, limit: u32) -> HostResult<Vec<vectors::VectorHit>> {
        let hits = HostCall::<VectorsImport>::search(self, &collection, query, limit).await?.into_iter();
        Ok(hits.map(|(id, score)| vectors::VectorHit { id, score }).collect())
    }

    async fn clear(&mut self, collection: String) -> HostResult<()> {
        HostCall::<VectorsImport>::clear(self, &collection).await
    }
}

impl mcp::Host for HostCall<'_, McpImport> {
    async fn list(&mut self) -> HostResult<Vec<mcp::McpTool>> {
        let convert = |tool: McpTool| mcp::McpTool {
            server: tool.server,
            name: tool.name,
            description: tool.description,
            input_schema: tool.input_schema,
            destructive: tool.destructive,
        };
        Ok(HostCall::<McpImport>::list(self).await?.into_iter().map(convert).collect())
    }

    async fn call(&mut self, server: String, tool: String, arguments: String) -> HostResult<mcp::McpResult> {
        HostCall::<McpImport>::call(self, &server, &tool, &arguments).await.map(mcp_result)
    }

    async fn start_call(&mut self, server: String, tool: String, arguments: String) -> HostResult<u32> {
        HostCall::<McpImport>::start_call(self, &server, &tool, &arguments)
    }

    async fn next_result(&mut self) -> wasmtime::Result<Option<mcp::FinishedCall>> {
        let ended = HostCall::<McpImport>::next_result(self).await?;
        Ok(ended.map(|(call, outcome)| mcp::FinishedCall {
            call,
            outcome: outcome.map(mcp_result).map_err(types::Error::from),
        }))
    }
}

fn mcp_result(result: McpResult) -> mcp::McpResult {
    mcp::McpResult { is_error: result.is_error, json: result.json }
}
