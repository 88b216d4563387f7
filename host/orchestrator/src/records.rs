//! Traces of runs, for whoever looks at them later: `workflows/runs/` of the home.

use std::path::PathBuf;

use aiw_home::{Home, HomeError, Mode, now_millis, read_capped, read_dir, remove_file, replace, rfc3339};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::RunResult;
use crate::trace::CallTrace;

/// How many runs are kept. The oldest go first.
const MAX_RUNS: usize = 200;

/// The largest trace.
const MAX_TRACE_BYTES: u64 = 2 << 20;

/// The longest error that is kept.
const MAX_ERROR_LEN: usize = 2000;

/// A run of a script
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunRecord {
    /// Its id
    pub id: String,
    /// The kept workflow that ran; none for a script that was sent
    pub workflow: Option<String>,
    /// The runner: an MCP client's name, or `aiw`
    pub client: String,
    /// When it began, in RFC 3339
    pub started_at: String,
    /// How long it took, in milliseconds
    pub duration_ms: u64,
    /// Why it failed; none if it came to its end
    pub error: Option<String>,
    /// The length of its result as JSON, in bytes
    pub bytes: usize,
    /// Its calls, in the order of their ends
    pub calls: Vec<CallTrace>,
    /// The tools of the calls that were cancelled at its end
    #[serde(default)]
    pub cancelled: Vec<String>,
}

impl RunRecord {
    /// Describes a run that has ended. None without random numbers.
    pub fn new(
        ended: &RunResult,
        workflow: Option<String>,
        client: &str,
        started_millis: u64,
        keep_arguments: bool,
    ) -> Option<Self> {
        let call = |call: &CallTrace| CallTrace {
            arguments: call.arguments.clone().filter(|_| keep_arguments),
            ..call.clone()
        };
        let (error, bytes) = match &ended.outcome {
            Ok(result) => (None, result.get().len()),
            Err(error) => (Some(aiw_core::one_line(&error.to_string(), MAX_ERROR_LEN)), 0),
        };
        Some(Self {
            // Sorted by time.
            id: format!("{started_millis:011x}{}", aiw_core::random_hex::<2>().ok()?),
            workflow,
            client: aiw_core::one_line(client, 80),
            started_at: rfc3339(started_millis),
            duration_ms: now_millis().saturating_sub(started_millis),
            error,
            bytes,
            calls: ended.trace.calls.iter().map(call).collect(),
            cancelled: ended.trace.cancelled.clone(),
        })
    }
}

/// The traces of a home.
#[derive(Debug, Clone)]
pub struct RunRecords {
    home: Home,
}

impl RunRecords {
    /// Returns the traces of a home.
    pub fn new(home: Home) -> Self {
        Self { home }
    }

    /// Returns where they are.
    pub fn directory(&self) -> PathBuf {
        self.home.workflows().join("runs")
    }

    /// Keeps a trace, and forgets the oldest.
    pub fn add(&self, record: &RunRecord) -> Result<(), HomeError> {
        let directory = self.directory();
        self.home.make_dir(&self.home.workflows())?;
        self.home.make_dir(&directory)?;
        let bytes = serde_json::to_vec(record).unwrap_or_default();
        replace(&directory.join(format!("{}.json", record.id)), &bytes, Mode::Private)?;
        let ids = self.ids();
        for id in ids.iter().take(ids.len().saturating_sub(MAX_RUNS)) {
            // Another process may have removed it.
            let _ = remove_file(&directory.join(format!("{id}.json")));
        }
        Ok(())
    }

    /// Returns the ids, the oldest first.
    fn ids(&self) -> Vec<String> {
        let files = read_dir(&self.directory()).into_iter().flatten().flatten();
        let id = |name: &str| Some(name.strip_suffix(".json")?.to_owned()).filter(|id| is_id(id));
        let mut ids: Vec<String> = files.filter_map(|file| id(file.file_name().to_str()?)).collect();
        ids.sort_unstable();
        ids
    }

    /// Returns the runs, the newest first, at most `most` of them; of one workflow, or of all. A file that can't be
    /// read is left out.
    pub fn list(&self, workflow: Option<&str>, most: usize) -> Vec<RunRecord> {
        let all = self.ids().into_iter().rev().filter_map(|id| self.read(&id));
        all.filter(|run| workflow.is_none_or(|name| run.workflow.as_deref() == Some(name))).take(most).collect()
    }

    /// Returns a run by its id, or by the beginning or the end of it.
    pub fn get(&self, id: &str) -> Option<RunRecord> {
        let ids = self.ids();
        let mut fit = ids.iter().filter(|known| known.starts_with(id) || known.ends_with(id));
        let one = fit.next()?;
        fit.next().is_none().then(|| self.read(one))?
    }

    fn read(&self, id: &str) -> Option<RunRecord> {
        let bytes = read_capped(&self.directory().join(format!("{id}.json")), MAX_TRACE_BYTES).ok()??;
        serde_json::from_slice(&bytes).ok()
    }
}

/// 11 digits of the time, and 4 random ones.
fn is_id(text: &str) -> bool {
    text.len() == 15 && text.bytes().all(|b| b.is_ascii_hexdigit())
}
