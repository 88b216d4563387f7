//! The errors of roles.

use std::io;
use std::path::PathBuf;

use aiw_core::{Diagnostic, ErrorKind, InvalidName, RoleName, one_line};
use aiw_home::HomeError;

/// The maximum size of a role's file: 1 MB.
pub const MAX_ROLE_BYTES: u64 = 1 << 20;

/// A problem with one role's file, as the end of a sentence.
#[derive(Debug, thiserror::Error)]
pub enum RoleProblem {
    /// The file is larger than a role may be.
    #[error("is larger than 1 MB: it has {bytes} bytes, and {MAX_ROLE_BYTES} are allowed")]
    TooLarge {
        /// The size, or the bytes that were seen if the file is growing.
        bytes: u64,
    },
    /// The bytes are not text.
    #[error("is not UTF-8: byte {at} doesn't begin a character")]
    NotUtf8 {
        /// The first invalid byte, counted from 0.
        at: usize,
    },
    /// No line separates the description from the content.
    #[error("has no line of exactly 12 dashes{near}")]
    MissingDelimiter {
        /// The line that may have been meant, as the end of the sentence; empty if there is none.
        near: String,
    },
    /// The content is empty.
    #[error("has a description but no content")]
    Empty,
    /// The file is a directory, a pipe, a socket or a device.
    #[error("is not a regular file")]
    NotAFile,
    /// The file is a link that is absolute or leads out of the folder.
    #[error("is a link that leaves its folder")]
    OutsideFolder,
    /// A subagent's file has a character that nobody sees, or that changes how the text around it looks.
    #[error("has a hidden character in line {line}: `{}`", .character.escape_unicode())]
    HiddenCharacter {
        /// The line, counted from 1.
        line: usize,
        /// The character.
        character: char,
    },
    /// A subagent's file does not begin with front matter.
    #[error("does not begin with front matter (a line `---`)")]
    MissingFrontMatter,
    /// The closing line of the front matter is missing.
    #[error("has front matter without a closing line `---`")]
    UnclosedFrontMatter,
    /// The front matter is too long: usually it is a few lines.
    #[error("has front matter of more than 64 KiB")]
    FrontMatterTooLong,
    /// The front matter is not valid.
    #[error("has front matter that can't be read: {why}")]
    InvalidFrontMatter {
        /// The message of the YAML parser, on one line.
        why: String,
    },
    /// The name of the file, or in the front matter, is not valid.
    #[error("has a name that can't be used: {source}")]
    InvalidName {
        /// The rule that the name breaks.
        source: InvalidName,
    },
    /// The system refused to read it.
    #[error("cannot be read: {source}")]
    Io {
        /// The system's error.
        source: io::Error,
    },
}

/// An error of reading or writing a role.
#[derive(Debug, thiserror::Error)]
pub enum RoleError {
    /// No folder has a role of this name.
    #[error("there is no role `{name}`")]
    Unknown {
        /// The requested name.
        name: RoleName,
    },
    /// The role belongs to a directory that the user has not trusted.
    #[error("role `{name}` belongs to a project whose directory is not trusted")]
    NotTrusted {
        /// The requested name.
        name: RoleName,
        /// The directory.
        directory: PathBuf,
    },
    /// Nobody has written the role yet.
    #[error("role `{name}` still has the text that a new role begins with")]
    Unedited {
        /// The requested name.
        name: RoleName,
    },
    /// The file of the role is not valid.
    #[error("`{}` {problem}", .path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// The problem.
        problem: RoleProblem,
    },
    /// The text to write is not a valid role.
    #[error("the text given for the role `{name}` {problem}")]
    Invalid {
        /// The role to write.
        name: RoleName,
        /// The problem.
        problem: RoleProblem,
    },
    /// The description cannot be distinguished from what follows it.
    #[error("the description must be one line: `{}`", one_line(.description, 80))]
    InvalidDescription {
        /// The given description.
        description: String,
    },
    /// The role already exists and was not to be replaced.
    #[error("the role `{name}` already exists: `{}`", .path.display())]
    Exists {
        /// The name.
        name: RoleName,
        /// Its file.
        path: PathBuf,
    },
    /// The role is a subagent of Claude Code, whose files aiw only reads.
    #[error("the role `{name}` belongs to Claude Code, and aiw does not change it: `{}`", .path.display())]
    ReadOnly {
        /// The name.
        name: RoleName,
        /// Its file.
        path: PathBuf,
    },
    /// The path of the role is taken by something that is not a regular file.
    #[error("`{}` is a link or not a regular file, so aiw does not replace it", .path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// Another program changed the role while it was being edited.
    #[error("the role `{name}` was changed by another program in the meantime")]
    Changed {
        /// The name.
        name: RoleName,
    },
    /// A folder contains implausibly many files.
    #[error("`{}` contains more than {limit} files", .path.display())]
    TooManyFiles {
        /// The folder.
        path: PathBuf,
        /// The maximum number of files.
        limit: usize,
    },
    /// The system refused an operation.
    #[error("cannot {action} `{}`: {source}", .path.display())]
    Io {
        /// `read`, `write`, …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// aiw's home can't be used.
    #[error(transparent)]
    Home(#[from] HomeError),
}

impl Diagnostic for RoleError {
    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        aiw_core::forward_diagnostic!(self, Home, Broken { problem }, Invalid { problem })
    }

    fn own_kind(&self) -> ErrorKind {
        if matches!(self, Self::Io { .. }) { ErrorKind::Unavailable } else { ErrorKind::User }
    }

    fn own_hint(&self) -> Option<String> {
        match self {
            Self::Unknown { name } => {
                Some(format!("`aiw role list` lists the roles; `aiw role new {name}` creates one"))
            }
            Self::NotTrusted { directory, .. } => Some(format!("`aiw trust add {}`", directory.display())),
            Self::Unedited { name } => Some(format!("`aiw role edit {name}`")),
            Self::Exists { name, .. } => {
                Some(format!("change it with `aiw role edit {name}`, or replace it with `--force`"))
            }
            Self::ReadOnly { name, path } => Some(format!(
                "`aiw role new {name} --description … --from FILE` creates an aiw role that takes precedence over `{}`",
                path.display()
            )),
            _ => None,
        }
    }
}

impl Diagnostic for RoleProblem {
    fn own_hint(&self) -> Option<String> {
        matches!(self, Self::MissingDelimiter { .. })
            .then(|| "a role is a description, a line of exactly 12 dashes, and the content".into())
    }
}
