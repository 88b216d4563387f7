//! Why a role cannot be used.

use std::io;
use std::path::PathBuf;

use aiw_core::{ErrorKind, InvalidName, RoleName, one_line};
use aiw_home::HomeError;

/// The most bytes that a role's file may have: 1 MB.
pub const MAX_ROLE_BYTES: u64 = 1 << 20;

/// What is wrong with one role's file, as the end of a sentence.
#[derive(Debug, thiserror::Error)]
pub enum RoleProblem {
    /// More bytes than a role may have.
    #[error("is larger than 1 MB: it has {bytes} bytes, and {MAX_ROLE_BYTES} are allowed")]
    TooLarge {
        /// How many it has; those that were seen, where the file grows.
        bytes: u64,
    },
    /// Its bytes are no text.
    #[error("is not UTF-8: byte {at} doesn't begin a character")]
    NotUtf8 {
        /// The first such byte, counted from 0.
        at: usize,
    },
    /// Nothing parts the description from the content.
    #[error("has no line of exactly 12 dashes{near}")]
    NoDelimiter {
        /// The line that was perhaps meant, as the end of the sentence; else empty.
        near: String,
    },
    /// There is nothing to tell an AI.
    #[error("has a description but no content")]
    NoContent,
    /// A directory, a pipe, a socket, a device.
    #[error("is not a regular file")]
    NotAFile,
    /// A link, absolute or past the folder's edge.
    #[error("is a link that leaves its folder")]
    LeadsOut,
    /// A subagent's file that does not begin like one.
    #[error("does not begin with front matter (a line `---`)")]
    NoFrontMatter,
    /// The front matter's second line of dashes is missing.
    #[error("has front matter without a closing line `---`")]
    OpenFrontMatter,
    /// Front matter is a few lines; this is something else.
    #[error("has front matter of more than 64 KiB")]
    LongFrontMatter,
    /// The front matter is not what it must be.
    #[error("has front matter that can't be read: {why}")]
    FrontMatter {
        /// What the YAML parser said, on one line.
        why: String,
    },
    /// The name, of the file or in the front matter, is none.
    #[error("has a name that can't be used: {source}")]
    Name {
        /// The rule that it breaks.
        source: InvalidName,
    },
    /// The system refused to read it.
    #[error("cannot be read: {source}")]
    Io {
        /// What the system said.
        source: io::Error,
    },
}

/// Why a role can't be had or written.
#[derive(Debug, thiserror::Error)]
pub enum RoleError {
    /// No folder has a role of this name.
    #[error("there is no role `{name}`")]
    Unknown {
        /// What was asked for.
        name: RoleName,
    },
    /// It is of a directory that the user has not trusted.
    #[error("role `{name}` belongs to a project whose directory is not trusted")]
    NotTrusted {
        /// What was asked for.
        name: RoleName,
        /// The directory.
        directory: PathBuf,
    },
    /// Its file is not what it must be.
    #[error("`{}` {problem}", .path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: RoleProblem,
    },
    /// What should be written is not a role.
    #[error("the text given for the role `{name}` {problem}")]
    Invalid {
        /// The role that it would be.
        name: RoleName,
        /// What is wrong.
        problem: RoleProblem,
    },
    /// A description that could not be told from what follows it.
    #[error("the description must be one line: `{}`", one_line(.description, 80))]
    Description {
        /// What was given.
        description: String,
    },
    /// A role of this name is there, and was not to be replaced.
    #[error("the role `{name}` already exists: `{}`", .path.display())]
    Exists {
        /// The name.
        name: RoleName,
        /// Its file.
        path: PathBuf,
    },
    /// The role is a subagent of Claude Code, whose files aiw only reads.
    #[error("the role `{name}` belongs to Claude Code, and aiw does not change it: `{}`", .path.display())]
    NotOurs {
        /// The name.
        name: RoleName,
        /// Its file.
        path: PathBuf,
    },
    /// Where the role would be written stands something else.
    #[error("`{}` is a link or not a regular file, so aiw does not replace it", .path.display())]
    InTheWay {
        /// What stands there.
        path: PathBuf,
    },
    /// Somebody else changed the role while it was edited.
    #[error("the role `{name}` was changed by another program in the meantime")]
    Changed {
        /// The name.
        name: RoleName,
    },
    /// A folder holds more files than anybody writes.
    #[error("`{}` contains more than {limit} files", .path.display())]
    TooMany {
        /// The folder.
        path: PathBuf,
        /// How many it may hold.
        limit: usize,
    },
    /// The system refused an operation.
    #[error("cannot {action} `{}`: {source}", .path.display())]
    Io {
        /// `read`, `write`, …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// aiw's home can't be used.
    #[error(transparent)]
    Home(#[from] HomeError),
}

impl RoleError {
    /// The kind, for the exit code.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { .. } => ErrorKind::Unavailable,
            Self::Home(e) => e.kind(),
            _ => ErrorKind::User,
        }
    }

    /// What to do next, where there is one thing to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { name } => {
                Some(format!("`aiw role list` lists the roles; `aiw role new {name}` creates one"))
            }
            Self::NotTrusted { directory, .. } => Some(format!("`aiw trust add {}`", directory.display())),
            Self::Broken { problem, .. } | Self::Invalid { problem, .. } => problem.hint(),
            Self::Exists { name, .. } => {
                Some(format!("change it with `aiw role edit {name}`, or replace it with `--force`"))
            }
            Self::NotOurs { name, path } => Some(format!(
                "`aiw role new {name} --description … --from FILE` creates an aiw role that takes precedence over `{}`",
                path.display()
            )),
            Self::Home(e) => e.hint(),
            _ => None,
        }
    }
}

impl RoleProblem {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoDelimiter { .. } => {
                Some("a role is a description, a line of exactly 12 dashes, and the content".into())
            }
            _ => None,
        }
    }
}
