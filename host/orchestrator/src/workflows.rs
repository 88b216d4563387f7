//! Kept workflows: scripts in files, which are offered as tools once the user has approved them.
//!
//! A file is JavaScript, with a comment at its beginning that says in YAML what it does, what it takes and what it may
//! call:
//!
//! ```text
//! /*---
//! description: "Counts open issues by label"
//! tools:
//!   - github__list_issues
//! input: {"type": "object", "properties": {"repo": {"type": "string"}}, "required": ["repo"]}
//! ---*/
//! async function workflow(input) { … }
//! ```
//!
//! An approval is for the bytes of the file and the definitions of its tools. Where one of them is another, it is void.

use std::fs;
use std::path::PathBuf;

use aiw_core::{Diagnostic, InvalidName, WorkflowName, closest, quoted_text};
use aiw_home::{
    ApprovedWorkflow, Home, HomeError, Mode, WorkflowsLock, read_capped, read_dir, remove_file, replace, yaml,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// The text before the YAML, and after it.
const HEADER_START: &str = "/*---";
const HEADER_END: &str = "---*/";

/// The largest file.
pub const MAX_WORKFLOW_BYTES: u64 = 256 << 10;

/// How many workflows are listed.
const MAX_WORKFLOWS: usize = 200;

/// The longest description, in bytes, and the most tools of a workflow.
const MAX_DESCRIPTION_BYTES: usize = 500;
const MAX_TOOLS: usize = 100;

/// The largest schema of an input, as JSON.
const MAX_SCHEMA_BYTES: usize = 64 << 10;

/// The content of the comment.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScriptComment {
    description: String,
    #[serde(default)]
    tools: Vec<String>,
    #[serde(default)]
    input: Option<Value>,
}

/// A workflow as its file has it.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedWorkflow {
    /// Its name: that of the file.
    pub name: WorkflowName,
    /// Its file.
    pub path: PathBuf,
    /// Its description.
    pub description: String,
    /// The tools that it may call, by their names among all tools.
    pub tools: Vec<String>,
    /// The schema of what it is called with: an object.
    pub input_schema: Value,
    /// The whole file, which is the script.
    pub text: String,
    /// sha256 of the file, hexadecimal.
    pub sha256: String,
}

/// Whether a workflow may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApprovalState {
    /// The user has approved it as it is.
    Approved,
    /// The user has never approved it.
    New,
    /// Its file is not the one that was approved.
    Edited,
    /// These tools are not what they were when it was approved.
    ToolsChanged(Vec<String>),
    /// These tools are not there.
    ToolsMissing(Vec<String>),
}

impl ApprovalState {
    /// Returns the word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::New => "new",
            Self::Edited => "edited",
            Self::ToolsChanged(_) => "tools changed",
            Self::ToolsMissing(_) => "tools missing",
        }
    }

    /// Returns the tools that it concerns.
    pub fn tools(&self) -> &[String] {
        match self {
            Self::ToolsChanged(tools) | Self::ToolsMissing(tools) => tools,
            _ => &[],
        }
    }
}

/// A workflow can't be read, written or used.
#[derive(Debug, thiserror::Error)]
pub enum WorkflowError {
    /// No workflow has this name.
    #[error("there is no workflow {}", quoted_text(.name.as_str(), 60))]
    NotFound {
        /// The name.
        name: WorkflowName,
        /// The one that is most like it.
        nearest: Option<String>,
    },
    /// There is one of this name already.
    #[error("there is a workflow `{name}` already")]
    AlreadyExists {
        /// The name.
        name: WorkflowName,
    },
    /// There are as many as there can be.
    #[error("there are {MAX_WORKFLOWS} workflows already")]
    TooMany,
    /// A server has a tool of the name that it would have.
    #[error("a server's tool is `{}` already", tool_name(.name))]
    ToolNameConflict {
        /// The name.
        name: WorkflowName,
    },
    /// The file makes no sense.
    #[error("the workflow `{name}` {problem}")]
    Invalid {
        /// The name.
        name: WorkflowName,
        /// The end of a sentence about it.
        problem: String,
    },
    /// It may not be used.
    #[error("the workflow `{name}` {}", unusable(.standing))]
    NotApproved {
        /// The name.
        name: WorkflowName,
        /// Why.
        standing: ApprovalState,
    },
    /// The workflow changed after it was shown.
    #[error("the workflow `{name}` was changed meanwhile; nothing was approved")]
    Changed {
        /// The name.
        name: WorkflowName,
    },
    /// The name can't be one.
    #[error(transparent)]
    InvalidName(#[from] InvalidName),
    /// A file of the home.
    #[error(transparent)]
    Home(#[from] HomeError),
}

fn unusable(standing: &ApprovalState) -> String {
    let named = |tools: &[String]| {
        let shown: Vec<String> = tools.iter().take(5).map(|tool| quoted_text(tool, 80)).collect();
        shown.join(", ")
    };
    match standing {
        ApprovalState::Approved => "is approved".into(),
        ApprovalState::New => "has not been approved".into(),
        ApprovalState::Edited => "was edited after it was approved".into(),
        ApprovalState::ToolsChanged(tools) => {
            format!("calls tools that have changed since it was approved: {}", named(tools))
        }
        ApprovalState::ToolsMissing(tools) => format!("calls tools that are not there: {}", named(tools)),
    }
}

impl Diagnostic for WorkflowError {
    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        aiw_core::forward_diagnostic!(self, Home)
    }

    fn own_hint(&self) -> Option<String> {
        Some(match self {
            Self::NotFound { nearest: Some(nearest), .. } => format!("did you mean `{nearest}`?"),
            Self::NotFound { .. } => "`aiw workflow list` shows them".into(),
            Self::AlreadyExists { .. } | Self::ToolNameConflict { .. } => "choose another name".into(),
            Self::TooMany => "`aiw workflow remove` removes some".into(),
            Self::NotApproved { standing: ApprovalState::ToolsMissing(_), .. } => {
                "`aiw mcp status` looks at the servers".into()
            }
            Self::NotApproved { name, .. } => format!("`aiw workflow approve {name}` shows it, and asks"),
            Self::Changed { name } => format!("`aiw workflow approve {name}` shows the new one"),
            _ => return None,
        })
    }
}

impl SavedWorkflow {
    /// Reads a file. The error is the end of a sentence about it.
    pub fn parse(name: WorkflowName, path: PathBuf, bytes: Vec<u8>) -> Result<Self, String> {
        if bytes.len() as u64 > MAX_WORKFLOW_BYTES {
            return Err(format!("is larger than {} kB", MAX_WORKFLOW_BYTES >> 10));
        }
        let sha256 = aiw_core::hex(&Sha256::digest(&bytes));
        let text = String::from_utf8(bytes).map_err(|_| "is not UTF-8")?;
        let front: ScriptComment =
            yaml::parse(front(&text)?).map_err(|problem| format!("has a head that is not YAML: {problem}"))?;
        let description = front.description.split_whitespace().collect::<Vec<_>>().join(" ");
        let description = aiw_core::printable(&description).into_owned();
        if description.is_empty() || description.len() > MAX_DESCRIPTION_BYTES {
            return Err(format!("needs a `description` of 1 to {MAX_DESCRIPTION_BYTES} bytes"));
        }
        if front.tools.len() > MAX_TOOLS {
            return Err(format!("names more than {MAX_TOOLS} tools"));
        }
        let mut tools = front.tools;
        tools.sort();
        tools.dedup();
        let input_schema = match front.input {
            None | Some(Value::Null) => json!({"type": "object"}),
            Some(Value::Object(mut schema)) => {
                if schema.get("type").is_some_and(|kind| kind != "object") {
                    return Err("needs an `input` of the type object".into());
                }
                schema.insert("type".into(), "object".into());
                Value::Object(schema)
            }
            Some(_) => return Err("needs an `input` that is a JSON schema".into()),
        };
        if input_schema.to_string().len() > MAX_SCHEMA_BYTES {
            return Err(format!("has an `input` of more than {MAX_SCHEMA_BYTES} bytes"));
        }
        Ok(Self { name, path, description, tools, input_schema, text, sha256 })
    }

    /// Whether it may be used. `digest` is that of the definition of the tool of a name, if there is one.
    pub fn approval_state(&self, lock: &WorkflowsLock, digest: &dyn Fn(&str) -> Option<String>) -> ApprovalState {
        let those = |is: &dyn Fn(&String) -> bool| -> Vec<String> {
            self.tools.iter().filter(|tool| is(tool)).cloned().collect()
        };
        let Some(approved) = lock.workflows.get(&self.name) else { return ApprovalState::New };
        if approved.sha256 != self.sha256 {
            return ApprovalState::Edited;
        }
        let missing = those(&|tool| digest(tool).is_none());
        if !missing.is_empty() {
            return ApprovalState::ToolsMissing(missing);
        }
        match those(&|tool| approved.tools.get(tool).cloned() != digest(tool)) {
            changed if changed.is_empty() => ApprovalState::Approved,
            changed => ApprovalState::ToolsChanged(changed),
        }
    }
}

/// The prefix of kept workflows' names among the tools.
pub const TOOL_PREFIX: &str = "workflows__";

/// Returns the name of a kept workflow among the tools.
pub fn tool_name(name: &WorkflowName) -> String {
    format!("{TOOL_PREFIX}{name}")
}

/// Returns the YAML of a file. Comments of one line may stand before it.
fn front(text: &str) -> Result<&str, String> {
    let none = || format!("has no head: `{HEADER_START}`, what it does as YAML, `{HEADER_END}`");
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    while let Some(comment) = rest.strip_prefix("//") {
        rest = comment.split_once('\n').map_or("", |(_, rest)| rest).trim_start();
    }
    let rest = rest.strip_prefix(HEADER_START).ok_or_else(none)?;
    let (head, _) = rest.split_once("*/").ok_or_else(none)?;
    head.strip_suffix(HEADER_END.trim_end_matches("*/")).ok_or_else(none)
}

/// Returns a file: its head, and the code as it is. What the code has of a head goes.
pub fn workflow_file(description: &str, tools: &[String], input_schema: &Value, code: &str) -> String {
    // JSON is YAML but for some characters, and nothing in a string may end the comment.
    let quoted = |value: &Value| {
        let text = value.to_string().replace("*/", "*\\/");
        let written = |c: char| match aiw_core::is_unsafe_in_line(c) {
            true => c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
            false => c.to_string(),
        };
        text.chars().map(written).collect::<String>()
    };
    let tools: Vec<String> =
        tools.iter().map(|tool| format!("\n  - {}", quoted(&Value::from(tool.as_str())))).collect();
    let code = front(code).map_or(code, |_| code.split_once("*/").map_or(code, |(_, rest)| rest));
    let tools = if tools.is_empty() { " []".to_owned() } else { tools.concat() };
    format!(
        "{HEADER_START}\ndescription: {}\ntools:{tools}\ninput: {}\n{HEADER_END}\n{}\n",
        quoted(&description.into()),
        quoted(input_schema),
        code.trim_matches('\n')
    )
}

/// A workflow in a list.
#[derive(Debug)]
pub struct WorkflowEntry {
    /// Its name.
    pub name: WorkflowName,
    /// Its file.
    pub path: PathBuf,
    /// The workflow, or why it can't be used, as the end of a sentence.
    pub workflow: Result<SavedWorkflow, String>,
}

/// The workflows of a home: `workflows/`.
#[derive(Debug, Clone)]
pub struct Workflows {
    home: Home,
}

/// Whether a file that is there is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverwritePolicy {
    /// It is an error.
    Never,
    /// It is replaced.
    Always,
}

impl Workflows {
    /// Returns the workflows of a home.
    pub fn new(home: Home) -> Self {
        Self { home }
    }

    /// Returns where a workflow's file is, whether it is there or not.
    pub fn path(&self, name: &WorkflowName) -> PathBuf {
        self.home.workflows().join(format!("{name}.js"))
    }

    /// Returns where the declarations of tools for editors are.
    pub fn declarations_path(&self) -> PathBuf {
        self.home.workflows().join("tools.d.ts")
    }

    /// Returns which of them the user has approved.
    pub fn lock(&self) -> Result<WorkflowsLock, WorkflowError> {
        Ok(self.home.workflows_lock()?)
    }

    fn names(&self) -> Vec<WorkflowName> {
        let files = read_dir(&self.home.workflows()).into_iter().flatten().flatten();
        let name = |file: &fs::DirEntry| file.file_name().to_str()?.strip_suffix(".js")?.parse().ok();
        let mut names: Vec<WorkflowName> = files.filter_map(|file| name(&file)).collect();
        names.sort();
        names.truncate(MAX_WORKFLOWS);
        names
    }

    /// Returns all of them, by name.
    pub fn list(&self) -> Vec<WorkflowEntry> {
        let listed = |name: WorkflowName| {
            let path = self.path(&name);
            let workflow = match read_capped(&path, MAX_WORKFLOW_BYTES) {
                Ok(Some(bytes)) => SavedWorkflow::parse(name.clone(), path.clone(), bytes),
                // It went meanwhile.
                Ok(None) => return None,
                Err(HomeError::Invalid { problem, .. }) => Err(problem),
                Err(e) => Err(format!("can't be read: {e}")),
            };
            Some(WorkflowEntry { name, path, workflow })
        };
        self.names().into_iter().filter_map(listed).collect()
    }

    /// Reads one.
    pub fn get(&self, name: &WorkflowName) -> Result<SavedWorkflow, WorkflowError> {
        match read_capped(&self.path(name), MAX_WORKFLOW_BYTES)? {
            Some(bytes) => self.parse(name, bytes),
            None => Err(self.unknown(name)),
        }
    }

    /// Returns the workflow that a file of this content would be.
    pub fn parse(&self, name: &WorkflowName, bytes: Vec<u8>) -> Result<SavedWorkflow, WorkflowError> {
        SavedWorkflow::parse(name.clone(), self.path(name), bytes)
            .map_err(|problem| WorkflowError::Invalid { name: name.clone(), problem })
    }

    fn unknown(&self, name: &WorkflowName) -> WorkflowError {
        let names = self.names();
        let nearest = closest(name.as_str(), names.iter().map(WorkflowName::as_str)).map(str::to_owned);
        WorkflowError::NotFound { name: name.clone(), nearest }
    }

    /// Writes the file of a workflow.
    pub fn write(&self, workflow: &SavedWorkflow, over: OverwritePolicy) -> Result<(), WorkflowError> {
        let SavedWorkflow { name, path, .. } = workflow;
        let _lock = self.home.lock()?;
        if over == OverwritePolicy::Never && fs::symlink_metadata(path).is_ok() {
            return Err(WorkflowError::AlreadyExists { name: name.clone() });
        }
        // A model could push others out of the list.
        if !path.exists() && self.names().len() >= MAX_WORKFLOWS {
            return Err(WorkflowError::TooMany);
        }
        self.home.make_dir(&self.home.workflows())?;
        Ok(replace(path, workflow.text.as_bytes(), Mode::Private)?)
    }

    /// Writes the declarations of tools for editors.
    pub fn write_declarations(&self, text: &str) -> Result<(), WorkflowError> {
        self.home.make_dir(&self.home.workflows())?;
        Ok(replace(&self.declarations_path(), text.as_bytes(), Mode::Private)?)
    }

    /// Approves a workflow as it was shown, with its tools. `digest` is that of the definition of the tool of a name.
    pub fn approve(&self, seen: &SavedWorkflow, digest: &dyn Fn(&str) -> Option<String>) -> Result<(), WorkflowError> {
        let lock = self.home.lock()?;
        if self.get(&seen.name)?.sha256 != seen.sha256 {
            return Err(WorkflowError::Changed { name: seen.name.clone() });
        }
        let tools = seen.tools.iter().filter_map(|tool| Some((tool.clone(), digest(tool)?))).collect();
        let mut approved = self.home.workflows_lock()?;
        approved.workflows.insert(seen.name.clone(), ApprovedWorkflow { sha256: seen.sha256.clone(), tools });
        Ok(approved.save(&lock)?)
    }

    /// Removes a workflow, and that it was approved. Returns where its file was.
    pub fn remove(&self, name: &WorkflowName) -> Result<PathBuf, WorkflowError> {
        let lock = self.home.lock()?;
        let path = self.path(name);
        match remove_file(&path) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(self.unknown(name)),
            Err(source) => return Err(HomeError::Io { action: "remove", path, source }.into()),
        }
        let mut approved = self.home.workflows_lock()?;
        if approved.workflows.remove(name).is_some() {
            approved.save(&lock)?;
        }
        Ok(path)
    }
}

/// A workflow as programs get it.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct WorkflowSummary {
    /// Its name
    pub name: String,
    /// Its file
    pub path: PathBuf,
    /// `approved`, `new`, `edited`, `tools changed`, `tools missing` or `broken`
    pub state: &'static str,
    /// Its description
    pub description: Option<String>,
    /// The tools that it may call
    pub tools: Vec<String>,
    /// The schema of what it is called with
    pub input_schema: Option<Map<String, Value>>,
    /// sha256 of the file
    pub sha256: Option<String>,
    /// Why it can't be used
    pub problem: Option<String>,
}

impl WorkflowSummary {
    /// Describes a workflow.
    pub fn new(listed: &WorkflowEntry, lock: &WorkflowsLock, digest: &dyn Fn(&str) -> Option<String>) -> Self {
        let (name, path) = (listed.name.to_string(), listed.path.clone());
        match &listed.workflow {
            Ok(workflow) => {
                let standing = workflow.approval_state(lock, digest);
                Self {
                    name,
                    path,
                    state: standing.as_str(),
                    description: Some(workflow.description.clone()),
                    tools: workflow.tools.clone(),
                    input_schema: workflow.input_schema.as_object().cloned(),
                    sha256: Some(workflow.sha256.clone()),
                    problem: (standing != ApprovalState::Approved).then(|| unusable(&standing)),
                }
            }
            Err(problem) => Self {
                name,
                path,
                state: "broken",
                description: None,
                tools: Vec::new(),
                input_schema: None,
                sha256: None,
                problem: Some(problem.clone()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<SavedWorkflow, String> {
        SavedWorkflow::parse("count".parse().unwrap(), "count.js".into(), text.as_bytes().to_vec())
    }

    #[test]
    fn a_file_says_what_it_is_and_is_read_as_it_was_written() {
        let schema = json!({"type": "object", "properties": {"a */ b": {"type": "string"}}});
        let code = "async function workflow(input) {\n  return 1;\n}";
        let text = workflow_file("Counts */ all: \"of\" them\n# no comment", &["a__b".into()], &schema, code);
        let read = parsed(&text).unwrap();
        assert_eq!(read.description, "Counts */ all: \"of\" them # no comment");
        assert_eq!((read.tools, read.input_schema), (vec!["a__b".to_owned()], schema));
        assert!(text.ends_with("---*/\nasync function workflow(input) {\n  return 1;\n}\n"), "{text}");
        // What the code has of a head goes.
        assert_eq!(workflow_file("Again", &[], &json!({}), &text).matches("---*/").count(), 1);
        let by_hand = "// @ts-check\n\n/*---\ndescription: Counts\ninput:\n  properties:\n    city: {type: string}\n---*/\nreturn 1";
        let read = parsed(by_hand).unwrap();
        assert_eq!(read.input_schema, json!({"properties": {"city": {"type": "string"}}, "type": "object"}));
        assert!(read.tools.is_empty());
        for bad in [
            "",
            "return 1",
            "/*---\ndescription: x",
            "/*---\ndescription: x\n*/ return 1",
            "/*---\ntools: []\n---*/",
            "/*---\ndescription: x\nother: 1\n---*/",
            "/*---\ndescription: x\ninput: {type: string}\n---*/",
            "/*---\ndescription: x\ninput: 5\n---*/",
            "/*---\ndescription: x\ntools: 5\n---*/",
        ] {
            assert!(parsed(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_approval_is_for_the_file_and_the_tools_that_were_shown() {
        let dir = tempfile::tempdir().unwrap();
        let workflows = Workflows::new(Home::from_root(dir.path()));
        let name: WorkflowName = "count".parse().unwrap();
        let file = |code: &str| workflow_file("Counts", &["a__b".into()], &json!({}), code);
        let known = |digest: &'static str| move |name: &str| (name == "a__b").then(|| digest.to_owned());
        let standing = |known: &dyn Fn(&str) -> Option<String>| {
            workflows.get(&name).unwrap().approval_state(&workflows.lock().unwrap(), known)
        };
        let write = |code: &str, over| {
            let workflow = workflows.parse(&name, file(code).into_bytes()).unwrap();
            workflows.write(&workflow, over).map(|()| workflow)
        };
        let first = write("return 1", OverwritePolicy::Never).unwrap();
        assert_eq!(standing(&known("1")), ApprovalState::New);
        workflows.approve(&first, &known("1")).unwrap();
        assert_eq!(standing(&known("1")), ApprovalState::Approved);
        assert_eq!(standing(&known("2")), ApprovalState::ToolsChanged(vec!["a__b".into()]));
        assert_eq!(standing(&|_: &str| None), ApprovalState::ToolsMissing(vec!["a__b".into()]));
        assert!(matches!(write("return 2", OverwritePolicy::Never), Err(WorkflowError::AlreadyExists { .. })));
        write("return 2", OverwritePolicy::Always).unwrap();
        assert_eq!(standing(&known("1")), ApprovalState::Edited);
        // What was shown is not what is there.
        assert!(matches!(workflows.approve(&first, &known("1")), Err(WorkflowError::Changed { .. })));
        workflows.remove(&name).unwrap();
        assert!(matches!(workflows.get(&name), Err(WorkflowError::NotFound { .. })));
        assert!(workflows.lock().unwrap().workflows.is_empty());
        // One that comes again under the name is new.
        write("return 1", OverwritePolicy::Never).unwrap();
        assert_eq!(standing(&known("1")), ApprovalState::New);
    }

    mod fuzz {
        use proptest::prelude::*;

        use super::*;

        proptest! {
            #[test]
            fn any_text_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "(/\\*---)?[\n :a-z\\-*/]{0,80}(---\\*/)?.{0,20}") {
                let _ = SavedWorkflow::parse("x".parse().unwrap(), "x.js".into(), bytes);
                let _ = parsed(&text);
            }

            #[test]
            fn what_is_written_is_read_back(description in "[^\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}\\p{Z}]{1,40}", tools in prop::collection::btree_set("[a-z*/_\"\\\\:#-]{1,20}", 0..5), key in ".{0,20}") {
                let tools: Vec<String> = tools.into_iter().collect();
                let schema = json!({"type": "object", "properties": {key: {"type": "string"}}});
                let read = parsed(&workflow_file(&description, &tools, &schema, "return 1")).unwrap();
                prop_assert_eq!(read.tools, tools);
                prop_assert_eq!(read.input_schema, schema);
            }
        }
    }
}
