//! What a setup or its undoing would change.

use std::path::PathBuf;

use aiw_core::{Secret, SecretName, hex};
use sha2::{Digest, Sha256};

use crate::clients::SetupClient;
use crate::record::{Record, Role};
use crate::scope::{SetupOptions, SetupScope};

/// A file that would change. It may contain secrets, so it has no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct FileChange {
    /// The file.
    pub path: PathBuf,
    pub(crate) role: Role,
    /// The present content; none if the file does not exist.
    pub(crate) old: Option<Vec<u8>>,
    /// The new content; none if the file will be removed.
    pub(crate) new: Option<Vec<u8>>,
    /// The lines that are added and removed, without values of the user's.
    pub lines: Vec<String>,
    /// Whether other users may read it if it is new.
    pub(crate) is_shared: bool,
}

impl FileChange {
    /// Returns the digests of what the file is and would be, for a yes that holds for exactly that: values of the user's are not
    /// shown.
    pub fn change_digest(&self) -> String {
        let digest = |bytes: &Option<Vec<u8>>| bytes.as_ref().map(|bytes| hex(&Sha256::digest(bytes)));
        format!("{} {:?} {:?}", self.path.display(), digest(&self.old), digest(&self.new))
    }

    /// Returns the file, followed by the lines that are added and removed, for people.
    pub(crate) fn diff_lines(&self) -> Vec<String> {
        let what = match (&self.old, &self.new) {
            (None, _) => " (new)",
            (_, None) => " (removed)",
            _ => "",
        };
        let lines = self.lines.iter().map(|line| format!("  {line}"));
        [format!("{}{what}", self.path.display())].into_iter().chain(lines).collect()
    }
}

/// The fate of the record.
pub(crate) enum RecordAction {
    Keep,
    Write(Record),
    Remove(Record),
}

/// All changes for one client.
pub struct SetupPlan {
    /// The client.
    pub client: &'static SetupClient,
    pub(crate) scope: SetupScope,
    /// The requested options; none if it undoes a setup.
    pub(crate) options: Option<SetupOptions>,
    /// The client's own file of servers.
    pub(crate) file: PathBuf,
    /// In the order of writing.
    pub(crate) files: Vec<FileChange>,
    pub(crate) new_secrets: Vec<(SecretName, Secret)>,
    /// Secrets that an import from another client stored.
    pub(crate) shared_secrets: Vec<SecretName>,
    pub(crate) old_secrets: Vec<SecretName>,
    /// The names of the servers that move.
    pub(crate) imported: Vec<String>,
    pub(crate) record_action: RecordAction,
    /// The fate of the record of `mcp.json`.
    pub(crate) mcp_record_action: RecordAction,
    /// Sentences for the user.
    pub notes: Vec<String>,
}

impl SetupPlan {
    /// A plan that changes nothing yet.
    pub(crate) fn new(
        client: &'static SetupClient,
        scope: &SetupScope,
        options: Option<SetupOptions>,
        file: PathBuf,
    ) -> Self {
        Self {
            client,
            scope: scope.clone(),
            options,
            file,
            files: Vec::new(),
            new_secrets: Vec::new(),
            shared_secrets: Vec::new(),
            old_secrets: Vec::new(),
            imported: Vec::new(),
            record_action: RecordAction::Keep,
            mcp_record_action: RecordAction::Keep,
            notes: Vec::new(),
        }
    }

    /// Whether nothing would change.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.new_secrets.is_empty() && self.old_secrets.is_empty()
    }

    /// Whether it adds servers to `mcp.json`, which then start in all sessions.
    pub fn has_new_servers(&self) -> bool {
        !self.imported.is_empty() && self.files.iter().any(|file| file.role == Role::Mcp)
    }

    /// The files that would change.
    pub fn files(&self) -> &[FileChange] {
        &self.files
    }

    /// Returns the changes for people: each file, followed by the lines that are added and removed.
    pub fn changes(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.files.iter().flat_map(FileChange::diff_lines).collect();
        for (name, _) in &self.new_secrets {
            lines.push(format!("vault  + {name}"));
        }
        for name in &self.old_secrets {
            lines.push(format!("vault  - {name}"));
        }
        lines
    }
}
