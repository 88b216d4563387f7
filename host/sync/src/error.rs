//! Why configuration was not synchronized.

use std::io;

use aiw_core::{Diagnostic, ErrorKind, PromptError};
use aiw_home::{HomeError, VaultError};

use crate::keys::InvalidPhrase;
use crate::remote::RemoteError;

/// Why configuration was not synchronized.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// A file of aiw's own.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The remote.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The typed words are no phrase.
    #[error(transparent)]
    Phrase(#[from] InvalidPhrase),
    /// The system has no randomness, or no directory for what it was asked.
    #[error("{0}")]
    System(io::Error),
    /// This machine has no store yet.
    #[error("this machine synchronizes with nothing yet")]
    NotSetUp,
    /// The remote needs no login.
    #[error("that remote needs no login")]
    LoginNotRequired,
    /// This machine has a store.
    #[error("this machine synchronizes with `{remote}` already")]
    AlreadySetUp {
        /// The remote.
        remote: String,
    },
    /// The remote holds a store, and a new one was to begin there.
    #[error("`{remote}` holds a store already")]
    StoreAlreadyExists {
        /// The remote.
        remote: String,
    },
    /// The remote holds no store, and one was to be joined.
    #[error("`{remote}` holds no store yet")]
    StoreNotFound {
        /// The remote.
        remote: String,
    },
    /// The words are a phrase, but of another store.
    #[error("these words are without a typing error, but open no store at `{remote}`: they are another store's")]
    WrongRecoveryPhrase {
        /// The remote.
        remote: String,
    },
    /// The phrase is not in the vault.
    #[error("the phrase of the store is not in the vault")]
    MissingRecoveryPhrase,
    /// A snapshot can't be used.
    #[error("snapshot `{name}` {problem}")]
    InvalidSnapshot {
        /// Its name, shortened.
        name: String,
        /// The name of its object.
        object: String,
        /// The end of a sentence.
        problem: String,
    },
    /// A snapshot can't be read from the remote.
    #[error("cannot read snapshot `{name}`: {source}")]
    SnapshotReadFailed {
        /// Its name, shortened.
        name: String,
        /// The remote's error.
        source: RemoteError,
    },
    /// A snapshot can't be written to the remote.
    #[error("cannot write snapshot `{name}`: {source}")]
    SnapshotWriteFailed {
        /// Its name, shortened.
        name: String,
        /// The remote's error.
        source: RemoteError,
    },
    /// Two machines have the same id.
    #[error("there are two different snapshots `{name}`: `{}` and `{}`", .objects[0], .objects[1])]
    DuplicateMachine {
        /// Their name, shortened.
        name: String,
        /// The names of their objects.
        objects: [String; 2],
    },
    /// The files here can't be a snapshot.
    #[error("what travels from this machine {0}")]
    InvalidLocalFiles(String),
    /// The remote doesn't show what it showed before.
    #[error("{0}")]
    Integrity(String),
    /// Other machines have pushed what is not merged here.
    #[error("{} pushed, and that is not merged here yet", .machines.join(", "))]
    UnmergedChanges {
        /// Their names.
        machines: Vec<String>,
    },
    /// Conflicts wait for an answer.
    #[error("{} with what other machines pushed, and that is not decided yet", if .paths.len() == 1 { format!("`{}` conflicts", .paths[0]) } else { format!("{} files conflict", .paths.len()) })]
    UnresolvedConflicts {
        /// The files.
        paths: Vec<String>,
    },
    /// More travels than when this machine merged last.
    #[error("something travels from this machine now that did not when it merged last")]
    PermissionsWidened,
    /// Another phrase opens the store now.
    #[error("the store was replaced on `{machine}` by `aiw sync rekey`")]
    StoreRekeyed {
        /// The machine.
        machine: String,
    },
    /// No snapshot has that name.
    #[error("there is no snapshot `{0}`")]
    SnapshotNotFound(String),
    /// Several have.
    #[error("`{0}` is the beginning of several snapshots' names")]
    Ambiguous(String),
    /// No change can be undone.
    #[error("there is no change to undo")]
    NothingToUndo,
    /// All files of the change that would be undone were changed since.
    #[error("nothing was given back: {} changed since", if .paths.len() == 1 { format!("`{}` was", .paths[0]) } else { format!("{} files were", .paths.len()) })]
    FilesModified {
        /// The files.
        paths: Vec<String>,
    },
    /// It names nothing that travels.
    #[error("`{0}` names nothing that travels")]
    PathNotSynced(String),
    /// Files conflict, and there is nobody to ask.
    #[error("{} between this machine and others: nothing was written", aiw_core::pluralize(*.conflicts as u64, "conflict"))]
    Conflicts {
        /// How many.
        conflicts: usize,
        /// Where their versions are.
        directory: std::path::PathBuf,
    },
    /// Programs would be started, and nobody agreed.
    #[error("what comes in starts programs, says where secrets go or widens what may be done, and nobody agreed to it")]
    ExecutableChanges {
        /// The digest of the plan.
        digest: String,
    },
    /// A push would take much away from others.
    #[error("this push would take away {0}")]
    DestructivePush(String),
    /// Secrets would be pushed.
    #[error("{} would be pushed in clear text inside the sealed snapshot: {}", aiw_core::pluralize(.places.len() as u64, "secret"), .places.join(", "))]
    PlaintextSecrets {
        /// The files and keys.
        places: Vec<String>,
    },
    /// Some files could not be changed, and what was changed before was put back.
    #[error("{problem}; {}", .back.as_ref().map_or_else(|| "everything is as it was before".to_owned(), |back| format!("putting back what was changed before failed too: {back}")))]
    ApplyFailed {
        /// The failure.
        problem: String,
        /// Why the files are not as they were before.
        back: Option<String>,
        /// The step that helps against the failure.
        hint: Option<String>,
    },
    /// The user's home is not known.
    #[error("no home directory is known: `HOME` is not set")]
    HomeNotFound,
    /// The answer to a question.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// A thread failed.
    #[error("a part of the work failed: {0}")]
    Internal(String),
}

impl Diagnostic for SyncError {
    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        aiw_core::forward_diagnostic!(
            self,
            Home,
            Vault,
            Remote,
            SnapshotReadFailed { source },
            SnapshotWriteFailed { source },
            Prompt
        )
    }

    fn own_kind(&self) -> ErrorKind {
        match self {
            Self::Internal(_) => ErrorKind::Internal,
            Self::System(_) | Self::ApplyFailed { .. } => ErrorKind::Unavailable,
            Self::MissingRecoveryPhrase | Self::HomeNotFound => ErrorKind::Config,
            _ => ErrorKind::User,
        }
    }

    fn own_hint(&self) -> Option<String> {
        Some(match self {
            Self::NotSetUp => "`aiw sync init REMOTE` begins a store, `aiw sync join REMOTE` joins one".into(),
            Self::AlreadySetUp { .. } => "`aiw sync status` shows it; `aiw sync leave` forgets it".into(),
            Self::StoreAlreadyExists { remote } => format!("`aiw sync join {}`", aiw_core::shell_quote_printable(remote)),
            Self::StoreNotFound { remote } => format!("`aiw sync init {}`", aiw_core::shell_quote_printable(remote)),
            Self::WrongRecoveryPhrase { .. } => "`aiw sync phrase` on a machine of that store shows its words".into(),
            Self::MissingRecoveryPhrase => "`aiw sync leave`, and join again with the words".into(),
            Self::Integrity(_) => {
                "if you know why, for example because the remote was restored from a backup: `aiw sync pull --allow-rollback`".into()
            }
            Self::UnmergedChanges { .. } | Self::UnresolvedConflicts { .. } | Self::PermissionsWidened => "`aiw sync pull`".into(),
            Self::StoreRekeyed { .. } => "`aiw sync leave`, and join again with the new words".into(),
            Self::SnapshotNotFound(_) | Self::Ambiguous(_) => "`aiw sync list`".into(),
            Self::FilesModified { .. } => {
                "`aiw sync restore SNAPSHOT` makes the files here those of one that `aiw sync list` names".into()
            }
            Self::PathNotSynced(_) => "`aiw sync list --what`".into(),
            Self::Conflicts { directory, .. } => format!(
                "`aiw sync pull` on a terminal asks; both versions are in `{}`; `--partial` writes the rest",
                directory.display()
            ),
            Self::ExecutableChanges { digest } => {
                format!("`aiw sync pull --dry-run` shows it; `--allow-executable {digest}` agrees to exactly that")
            }
            Self::InvalidSnapshot { object, .. } => format!(
                "`aiw sync push` on the machine that wrote it puts it again; if that one can't, delete `{object}` at the remote, and pull with `--allow-rollback`"
            ),
            Self::DuplicateMachine { .. } => {
                "if a copy of a machine's home is in use as well, `aiw sync leave` and join again there; then delete one of the two at the remote".into()
            }
            Self::Home(e @ HomeError::Io { source, .. }) => match source.kind() {
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::StorageFull => {
                    format!("`{}`", e.fix()?)
                }
                _ => return None,
            },
            Self::ApplyFailed { back: Some(_), .. } => "the next `aiw sync` command tries again".into(),
            Self::ApplyFailed { back: None, hint, .. } => return hint.clone(),
            Self::DestructivePush(_) => "if that is meant: `--allow-deletions`".into(),
            Self::PlaintextSecrets { .. } => {
                "put them into the vault (`aiw secret set`), leave the file out (`aiw sync exclude`), or agree on a terminal".into()
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn what_may_not_be_read_or_written_has_a_next_step() {
        let refused = |kind: io::ErrorKind| HomeError::io("write in", Path::new("/nowhere/a"), kind.into());
        let hint = |error: SyncError| error.hint().unwrap();
        let far = |kind| hint(SyncError::Remote(refused(kind).into()));
        assert_eq!(
            far(io::ErrorKind::PermissionDenied),
            "if it is yours, `chmod u+rwX /nowhere/a`; else `aiw sync leave`, and another folder"
        );
        assert!(far(io::ErrorKind::ReadOnlyFilesystem).starts_with("mount it"));
        assert!(far(io::ErrorKind::NotConnected).contains("`/nowhere/a` is mounted"));
        assert_eq!(hint(refused(io::ErrorKind::PermissionDenied).into()), "`chmod u+rwX /nowhere/a`");
    }

    #[test]
    fn a_question_that_nobody_answers_says_what_would() {
        let nobody =
            PromptError::NotInteractive { question: "showing the phrase".into(), hint: "`aiw sync phrase`".into() };
        let error = SyncError::from(nobody);
        assert_eq!(error.hint().as_deref(), Some("`aiw sync phrase`"));
        assert!(matches!(error.prompt_error(), Some(PromptError::NotInteractive { .. })));
        assert_eq!(SyncError::from(PromptError::Interrupted).kind(), ErrorKind::Interrupted);
    }
}
