//! The errors of processes, and what to do about them.

use std::fmt;
use std::path::PathBuf;

use aiw_core::{Diagnostic, ErrorKind, InvalidName, PromptError, SnapshotName, one_line, shell_quote_printable};
use aiw_home::{HomeError, VaultError, edit_command};
use aiw_supervisor::SupervisorError;

/// A place in a file of processes, and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileProblem {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// The problem, as a sentence.
    pub problem: String,
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.problem)
    }
}

impl std::error::Error for FileProblem {}

/// An error that concerns processes.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// A file of processes can't be used.
    #[error("{}:{source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The problem, and its place.
        source: FileProblem,
    },
    /// The user has not allowed what a file starts.
    #[error("`{}` is new or has changed, and nothing of it runs until you allow it", .path.display())]
    Untrusted {
        /// The file.
        path: PathBuf,
    },
    /// There is no such process.
    #[error("there is no process `{id}` in `{}`", .project.display())]
    NotFound {
        /// The id.
        id: String,
        /// The project.
        project: PathBuf,
        /// The most similar id.
        nearest: Option<String>,
    },
    /// An id names replicas of a process where only one is meant.
    #[error("`{id}` stands for its replicas, and this takes one of them")]
    AmbiguousReplica {
        /// The id.
        id: String,
        /// The ids of the replicas.
        replicas: Vec<String>,
    },
    /// The project has no processes.
    #[error("`{}` has no processes", .project.display())]
    Empty {
        /// The project.
        project: PathBuf,
    },
    /// The file changed while the user edited a copy of it, or was asked about a change.
    #[error("`{}` was changed by something else meanwhile", .path.display())]
    ConcurrentChange {
        /// The file.
        path: PathBuf,
    },
    /// The user's version of the file can't take its place.
    #[error("{source}")]
    NotSaved {
        /// Why.
        source: Box<ProcessError>,
        /// The user's version.
        copy: PathBuf,
    },
    /// A process of this id is defined already.
    #[error("there is a process `{id}` already")]
    AlreadyExists {
        /// The id.
        id: String,
    },
    /// Processes need each other in a circle.
    #[error("processes need each other in a circle: {}", .0.join(" → "))]
    Cycle(Vec<String>),
    /// A definition makes no sense.
    #[error("process `{id}` {problem}")]
    InvalidDefinition {
        /// The process.
        id: String,
        /// The problem, as the end of a sentence.
        problem: String,
    },
    /// A process needs one that is not defined.
    #[error("process `{id}` needs `{needs}`, and there is none")]
    MissingDependency {
        /// The process.
        id: String,
        /// The process that it needs.
        needs: String,
    },
    /// Another process needs one that is to be removed.
    #[error("process `{by}` needs `{id}`")]
    HasDependents {
        /// The process.
        id: String,
        /// The process that needs it.
        by: String,
    },
    /// A process that is to be removed runs.
    #[error("process `{id}` runs")]
    StillRunning {
        /// The process.
        id: String,
    },
    /// A model is to change what the user defines.
    #[error("process `{id}` is defined in `{}`, which only the user changes", .file.display())]
    DefinedByUser {
        /// The process.
        id: String,
        /// The project's file.
        file: PathBuf,
    },
    /// The process does not run.
    #[error("process `{id}` does not run")]
    NotRunning {
        /// The process.
        id: String,
    },
    /// The process takes no input.
    #[error("process `{id}` takes no input")]
    InputClosed {
        /// The process.
        id: String,
    },
    /// The process was started by a version of aiw whose processes nobody can attach to.
    #[error("process `{id}` was started by an older aiw, to whose processes nobody can attach")]
    OlderShim {
        /// The process.
        id: String,
    },
    /// A file of another tool can't be taken over.
    #[error("{}`{}` {problem}", .line.map(|line| format!("line {line} of ")).unwrap_or_default(), .path.display())]
    ImportFailed {
        /// The file.
        path: PathBuf,
        /// The line, if it is known.
        line: Option<usize>,
        /// The problem, as the end of a sentence about the line or the file.
        problem: String,
    },
    /// A file that is to be written is there already.
    #[error("`{}` exists already", .path.display())]
    FileExists {
        /// The file.
        path: PathBuf,
    },
    /// An export is to take the place of what it exports.
    #[error("`{}` defines the processes: an export in its place would lose its comments", .path.display())]
    ExportOverwritesSource {
        /// The file.
        path: PathBuf,
    },
    /// There is no such template.
    #[error("there is no template `{}`", one_line(.name, 60))]
    TemplateNotFound {
        /// The name.
        name: String,
        /// The most similar one.
        nearest: Option<String>,
    },
    /// A template can't be used so.
    #[error("template `{template}` {problem}")]
    Template {
        /// The template.
        template: String,
        /// The problem, as the end of a sentence.
        problem: String,
    },
    /// There is no such snapshot.
    #[error("there is no snapshot `{name}`")]
    SnapshotNotFound {
        /// The name.
        name: SnapshotName,
        /// The most similar one.
        nearest: Option<String>,
    },
    /// There is a snapshot of this name already.
    #[error("there is a snapshot `{name}` already")]
    SnapshotExists {
        /// The name.
        name: SnapshotName,
    },
    /// A snapshot can't be used.
    #[error("snapshot `{name}` {problem}")]
    Snapshot {
        /// The snapshot.
        name: SnapshotName,
        /// The problem, as the end of a sentence.
        problem: String,
    },
    /// A snapshot is of another project.
    #[error("snapshot `{name}` is of `{}`", one_line(.project, 1000))]
    OtherProject {
        /// The snapshot.
        name: SnapshotName,
        /// The directory of its project.
        project: String,
    },
    /// A name is not valid.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// More is to be written than a person or a script types at once.
    #[error("there is more than 1 MB of input, and nothing was written")]
    TooMuchInput,
    /// There is no such signal.
    #[error("`{}` is not a signal: HUP, INT, QUIT, KILL, TERM, USR1, USR2, or a number", one_line(.signal, 40))]
    UnknownSignal {
        /// The signal.
        signal: String,
    },
    /// The process does not read its input.
    #[error("process `{id}` does not read its input: the rest was not written")]
    InputNotRead {
        /// The process.
        id: String,
    },
    /// Another process that it needs could not be started.
    #[error("process `{id}` needs `{need}`, which did not start")]
    StartSkipped {
        /// The process.
        id: String,
        /// The one that it needs.
        need: String,
    },
    /// The file is there, but it is not a program.
    #[error("process `{id}`: `{}` is not executable", .path.display())]
    NotExecutable {
        /// The process.
        id: String,
        /// The file.
        path: PathBuf,
    },
    /// The directory that it runs in is not there.
    #[error("process `{id}`: its directory `{}` {problem}", .path.display())]
    Directory {
        /// The process.
        id: String,
        /// The directory.
        path: PathBuf,
        /// The end of the sentence.
        problem: &'static str,
    },
    /// The program is not there.
    #[error("process `{id}`: there is no program `{program}`")]
    ProgramNotFound {
        /// The process.
        id: String,
        /// The program.
        program: String,
    },
    /// A secret that it reads is not stored.
    #[error("process `{id}` reads the secret `{secret}`, which is not stored")]
    SecretNotFound {
        /// The process.
        id: String,
        /// The secret.
        secret: String,
    },
    /// The environment file can't be used.
    #[error("process `{id}`: `{}` {problem}", .path.display())]
    EnvFile {
        /// The process.
        id: String,
        /// The file.
        path: PathBuf,
        /// The problem, as the end of a sentence.
        problem: String,
    },
    /// A file or directory leads out of the project.
    #[error("process `{id}`: `{}` is not in the project", .path.display())]
    OutsideProject {
        /// The process.
        id: String,
        /// The path.
        path: PathBuf,
    },
    /// The project's directory can't be found.
    #[error("there is no directory `{}`: {source}", .path.display())]
    Project {
        /// The directory.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The person, or nobody.
    #[error("{}", .0.to_message("nothing was started"))]
    Prompt(#[from] PromptError),
    /// The person does not want what a file of another tool says, or nobody can be asked.
    #[error("{}", .0.to_message("nothing was added"))]
    NotAdded(PromptError),
    /// A file that says what starts with the system is somebody else's.
    #[error("`{}` is not a file that aiw has written", one_line(&.path.to_string_lossy(), 1000))]
    UnmanagedFile {
        /// The file.
        path: PathBuf,
    },
    /// Nobody says where the user's own files are.
    #[error("HOME is not set, so your own files can't be found")]
    UserHomeNotFound,
    /// There is no such suggestion.
    #[error("there is no suggestion `{}`", one_line(.id, 80))]
    SuggestionNotFound {
        /// The id that was given.
        id: String,
    },
    /// A suggestion changes nothing in the project's file.
    #[error("`{id}` changes nothing: {why}")]
    NothingToAdd {
        /// The suggestion.
        id: String,
        /// The end of the sentence.
        why: String,
    },
    /// There are no habits of a process to forget, and it is not defined.
    #[error("nothing is known of `{id}` in this project")]
    HabitsNotFound {
        /// The id that was given.
        id: String,
    },
    /// Habits are switched off.
    #[error(
        "habits are switched off: `habits` is `false` in `settings.json`, so nothing is known and nothing suggested"
    )]
    HabitsDisabled,
    /// The person does not want a change of the file, or nobody can be asked.
    #[error("{}", .0.to_message("nothing was changed"))]
    NotChanged(PromptError),
    /// An error of the home.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The vault can't be used.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// An error of the supervisor.
    #[error(transparent)]
    Supervisor(#[from] SupervisorError),
}

impl Diagnostic for ProcessError {
    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        aiw_core::forward_diagnostic!(self, Prompt, NotAdded, NotChanged, Home, Vault, Supervisor, NotSaved { source })
    }

    fn own_kind(&self) -> ErrorKind {
        if matches!(self, Self::File { .. } | Self::Snapshot { .. }) { ErrorKind::Config } else { ErrorKind::User }
    }

    fn own_fix(&self) -> Option<String> {
        let word = |path: &PathBuf| shell_quote_printable(&path.to_string_lossy()).into_owned();
        Some(match self {
            Self::EnvFile { path, .. } | Self::OutsideProject { path, .. } => edit_command(path),
            Self::Untrusted { .. } => "aiw up".into(),
            Self::SecretNotFound { secret, .. } => format!("aiw secret set {}", shell_quote_printable(secret)),
            Self::NotExecutable { path, .. } => format!("chmod +x {}", word(path)),
            Self::Directory { path, .. } if !path.exists() => format!("mkdir -p {}", word(path)),
            Self::OlderShim { id } => format!("aiw restart {id}"),
            _ => return None,
        })
    }

    fn own_hint(&self) -> Option<String> {
        Some(match self {
            Self::Untrusted { .. } => "`aiw up` shows what it starts, and asks; `aiw up --yes` allows it".into(),
            Self::NotFound { nearest: Some(nearest), .. }
            | Self::SnapshotNotFound { nearest: Some(nearest), .. }
            | Self::TemplateNotFound { nearest: Some(nearest), .. } => {
                format!("did you mean `{nearest}`?")
            }
            Self::File { path, .. } if path.ends_with(".ichimi/processes.kdl") => "`aiw process edit` opens it".into(),
            Self::NotFound { .. } => "`aiw ps` shows the processes".into(),
            Self::AmbiguousReplica { replicas, .. } => {
                format!("name one: {}", one_line(&format!("`{}`", replicas.join("`, `")), 200))
            }
            Self::Empty { .. } => "`aiw process add ID -- COMMAND` adds one".into(),
            Self::ConcurrentChange { .. } => "look at it again, and repeat your change".into(),
            Self::AlreadyExists { id } => format!("choose another id, or `aiw process remove {id}` removes it"),
            Self::FileExists { .. } => "choose another file, or `--force` replaces it".into(),
            Self::UnmanagedFile { .. } => "remove it yourself if nothing needs it".into(),
            Self::ExportOverwritesSource { .. } => "choose another file".into(),
            Self::TemplateNotFound { .. } | Self::Template { .. } => {
                "`aiw process add --template` lists the templates and their values".into()
            }
            Self::SnapshotNotFound { .. } => "`aiw process snapshot list --all` lists them".into(),
            Self::SnapshotExists { .. } => "choose another name, or `--force` replaces it".into(),
            Self::OtherProject { .. } => "go to that directory, or choose another snapshot".into(),
            Self::HasDependents { by, .. } => format!("remove `{by}` first, or what it needs"),
            Self::MissingDependency { needs, .. } => format!("define `{needs}`, or take it out of the needs"),
            Self::NotSaved { copy, .. } => format!("your version is in `{}`", one_line(&copy.to_string_lossy(), 1000)),
            Self::StillRunning { id } => format!("stop it first: `aiw stop {id}`"),
            Self::NotRunning { id } => format!("`aiw process start {id}` starts it"),
            Self::OlderShim { id } => format!("`aiw restart {id}` starts it with this one"),
            Self::InputClosed { .. } => "`input #true` in its definition lets it, once it is restarted".into(),
            Self::NotChanged(PromptError::Unsupported) => "it is shown, and asked, in a terminal".into(),
            Self::SuggestionNotFound { .. } => "`aiw process suggest` lists them".into(),
            Self::HabitsNotFound { .. } => "`aiw process suggest` lists the suggestions, `aiw ps` the processes".into(),
            Self::NothingToAdd { id, .. } => format!("`aiw process suggest dismiss {id}` takes it off the list"),
            Self::SecretNotFound { secret, .. } => {
                format!("`aiw secret set {}` stores it", shell_quote_printable(secret))
            }
            Self::NotExecutable { path, .. } => {
                format!("`chmod +x {}` makes it so", shell_quote_printable(&path.to_string_lossy()))
            }
            Self::ProgramNotFound { .. } => "name it with its path, or install it where `PATH` leads".into(),
            Self::Supervisor(SupervisorError::StillRunning { .. }) => "`aiw restart ID` stops it first".into(),
            _ => return None,
        })
    }
}
