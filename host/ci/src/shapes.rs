//! Runs and jobs, as the API gives them and as they are shown. Each text is bounded and printable from here on.

use std::borrow::Cow;

use aiw_core::one_line;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// The longest name.
const MAX_NAME_LEN: usize = 120;

/// A run
#[warn(missing_docs)]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CiRun {
    /// Its id
    pub id: u64,
    /// The name of its workflow
    #[serde(default, deserialize_with = "line")]
    pub name: String,
    /// The file of its workflow: `.github/workflows/ci.yml`
    #[serde(default, deserialize_with = "line")]
    pub path: String,
    /// The number of the run among those of its workflow
    #[serde(default, rename(deserialize = "run_number"), deserialize_with = "number")]
    pub number: u64,
    /// The attempt: a run that is run again has the same id
    #[serde(default, rename(deserialize = "run_attempt"), deserialize_with = "number")]
    pub attempt: u64,
    /// Its title: usually the first line of a commit
    #[serde(default, rename(deserialize = "display_title"), deserialize_with = "line")]
    pub title: String,
    /// Its branch
    #[serde(default, rename(deserialize = "head_branch"), deserialize_with = "line")]
    pub branch: String,
    /// Its commit
    #[serde(default, rename(deserialize = "head_sha"), deserialize_with = "line")]
    pub commit: String,
    /// The event that started it: `push`, `pull_request` and others
    #[serde(default, deserialize_with = "line")]
    pub event: String,
    /// `queued`, `in_progress`, `completed` and others
    #[serde(default, deserialize_with = "word")]
    pub status: String,
    /// How it ended: `success`, `failure`, `cancelled` and others; empty until then
    #[serde(default, deserialize_with = "word")]
    pub conclusion: String,
    /// When it was made
    #[serde(default, rename(deserialize = "created_at"), deserialize_with = "line")]
    pub created: String,
    /// When it changed last
    #[serde(default, rename(deserialize = "updated_at"), deserialize_with = "line")]
    pub updated: String,
    /// Its page
    #[serde(default, rename(deserialize = "html_url"), deserialize_with = "line")]
    pub url: String,
}

/// A job of a run
#[warn(missing_docs)]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CiJob {
    /// Its id
    pub id: u64,
    /// Its name, with what a matrix gave it: `test (ubuntu, 20)`
    #[serde(default, deserialize_with = "line")]
    pub name: String,
    /// `queued`, `in_progress`, `completed` and others
    #[serde(default, deserialize_with = "word")]
    pub status: String,
    /// How it ended: `success`, `failure`, `skipped` and others; empty until then
    #[serde(default, deserialize_with = "word")]
    pub conclusion: String,
    /// Its steps that have failed, and the one that runs
    #[serde(default, deserialize_with = "notable")]
    pub steps: Vec<CiStep>,
}

/// A step of a job
#[warn(missing_docs)]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CiStep {
    /// Its number
    #[serde(default)]
    pub number: u64,
    /// Its name
    #[serde(default, deserialize_with = "line")]
    pub name: String,
    /// `queued`, `in_progress` or `completed`
    #[serde(default, deserialize_with = "word")]
    pub status: String,
    /// How it ended; empty until then
    #[serde(default, deserialize_with = "word")]
    pub conclusion: String,
}

/// A page of runs.
#[derive(Deserialize)]
pub(crate) struct RunPage {
    pub total_count: u64,
    pub workflow_runs: Vec<CiRun>,
}

/// A page of jobs.
#[derive(Deserialize)]
pub(crate) struct JobPage {
    pub total_count: u64,
    pub jobs: Vec<CiJob>,
}

/// Whether a run, job or step ended in a way that somebody has to look at.
pub(crate) fn is_failure(conclusion: &str) -> bool {
    matches!(conclusion, "failure" | "timed_out" | "startup_failure" | "action_required")
}

impl CiRun {
    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        self.status == "completed"
    }

    /// Whether it has failed.
    pub fn has_failed(&self) -> bool {
        is_failure(&self.conclusion)
    }

    /// Whether it has ended, and nothing in it failed or was cancelled.
    pub fn has_succeeded(&self) -> bool {
        self.is_over() && matches!(self.conclusion.as_str(), "success" | "neutral" | "skipped")
    }

    /// What tells its workflow from others.
    pub(crate) fn workflow_key(&self) -> (&str, &str) {
        (&self.name, &self.path)
    }

    /// Whether it is of a workflow, by its name or that of its file.
    pub(crate) fn matches_workflow(&self, workflow: &str) -> bool {
        // The path may have a ref: `.github/workflows/ci.yml@refs/heads/main`.
        let path = self.path.split('@').next().unwrap_or_default();
        let file = path.rsplit('/').next().unwrap_or_default();
        self.name.eq_ignore_ascii_case(workflow) || path == workflow || file == workflow && !file.is_empty()
    }

    /// Where it stands among runs of one commit: what failed is first, and what succeeded last.
    pub(crate) fn rank(&self) -> u8 {
        match (self.is_over(), self.has_failed(), self.has_succeeded()) {
            (true, true, _) => 0,
            (true, false, false) => 1,
            (false, ..) => 2,
            (true, false, true) => 3,
        }
    }

    /// Returns its name as GitHub shows it: `CI #12, attempt 2`.
    pub fn label(&self) -> String {
        let attempt = if self.attempt > 1 { format!(", attempt {}", self.attempt) } else { String::new() };
        format!("{} #{}{attempt}", self.name, self.number)
    }

    /// Returns its number alone: `run #12, attempt 2`. Its name was given by whoever wrote the repository.
    pub(crate) fn number_label(&self) -> String {
        Self { name: "run".into(), ..self.clone() }.label()
    }

    /// Returns how it is, in a word.
    pub fn state(&self) -> &str {
        state(&self.status, &self.conclusion)
    }
}

impl CiJob {
    /// Whether it has failed.
    pub fn has_failed(&self) -> bool {
        is_failure(&self.conclusion)
    }

    /// Returns how it is, in a word.
    pub fn state(&self) -> &str {
        state(&self.status, &self.conclusion)
    }

    /// Returns the step that failed first, as GitHub names it.
    pub fn failed_step(&self) -> Option<&CiStep> {
        self.steps.iter().find(|step| is_failure(&step.conclusion))
    }
}

fn state<'a>(status: &'a str, conclusion: &'a str) -> &'a str {
    match (status, conclusion) {
        ("completed", "") => "completed",
        ("completed", conclusion) => conclusion,
        (status, _) => status,
    }
}

fn line<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text: Option<Cow<'de, str>> = Option::deserialize(deserializer)?;
    Ok(text.map(|text| one_line(&text, MAX_NAME_LEN)).unwrap_or_default())
}

/// Reads a state or a conclusion: it is quoted in sentences, so only what has the form of GitHub's words passes.
fn word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = line(deserializer)?;
    let is_word = text.len() <= 40 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    Ok(if is_word { text } else { "unknown".to_owned() })
}

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn notable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<CiStep>, D::Error> {
    let mut steps: Vec<CiStep> = Option::deserialize(deserializer)?.unwrap_or_default();
    steps.retain(|step| is_failure(&step.conclusion) || step.status == "in_progress");
    steps.truncate(20);
    Ok(steps)
}
