//! Editing the project's file in the user's editor.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use aiw_core::{PromptError, Prompter, Reporter};
use aiw_home::{HomeError, Mode, read_nofollow, replace};
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::ProcessError;
use crate::file::MAX_BYTES;
use crate::manager::{Manager, OriginalFile};

/// The project's file after an editor had it
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct EditedFile {
    /// The file
    pub file: String,
    /// How many processes are defined now
    pub processes: usize,
    /// Whether the user changed anything
    pub changed: bool,
}

impl Manager {
    /// Opens the project's file in an editor. The editor gets a copy, so that what others write into the file meanwhile
    /// isn't taken for the user's. A file that was allowed before is allowed again: only the user's own changes are new
    /// then. Of another one, the user is asked.
    ///
    /// # Errors
    ///
    /// The file can't be read or written, it makes no sense, somebody else changed it meanwhile, the user declines, or
    /// `open` fails.
    pub async fn edit<E: From<ProcessError>>(
        &self,
        open: impl FnOnce(&Path) -> Result<(), E>,
        ask: &dyn Prompter,
        sink: &dyn Reporter,
    ) -> Result<EditedFile, E> {
        let before = self.read_for_edit()?;
        let file = self.project.file();
        let failed = |e: io::Error| ProcessError::from(HomeError::io("copy for your editor", &file, e));
        let directory = tempfile::Builder::new().prefix("aiw-edit-").tempdir().map_err(failed)?;
        // A temporary directory may be reached by links.
        let copy = directory.path().canonicalize().map_err(failed)?.join(file.file_name().unwrap_or_default());
        let bytes = before.bytes.as_deref().unwrap_or_default();
        replace(&copy, bytes, Mode::Private).map_err(ProcessError::from)?;
        open(&copy)?;
        let edited = read_nofollow(&copy, MAX_BYTES as u64 + 1).map_err(ProcessError::from);
        let edited = edited.and_then(|edited| edited.ok_or_else(|| failed(io::ErrorKind::NotFound.into())));
        let changed = edited.and_then(|edited| self.after_edit(&before, &edited)).map_err(|source| {
            let _ = directory.keep();
            ProcessError::NotSaved { source: Box::new(source), copy }
        })?;
        let mut loaded = self.load()?;
        if changed {
            let before = before.bytes.as_deref().and_then(|bytes| self.parse(bytes).ok()).unwrap_or_default().processes;
            let is_new = |id: &&String| loaded.get(id).map(|(definition, _)| definition) != before.get(*id);
            let ids: BTreeSet<&String> = loaded.definitions.keys().chain(before.keys()).filter(is_new).collect();
            ids.into_iter().for_each(|id| self.log_definition_change(id));
        }
        if changed && !loaded.definitions.is_empty() {
            match self.request_consent(&mut loaded, ask).await {
                Err(ProcessError::Prompt(PromptError::Unsupported)) => {
                    sink.note("it was not allowed before: `aiw up` shows what it starts, and asks".into());
                }
                asked => asked?,
            }
        }
        let file = file.to_string_lossy().into_owned();
        Ok(EditedFile { file, processes: loaded.definitions.len(), changed })
    }

    /// Writes what the user made of the file, and allows it if the file was allowed before. Returns whether there were
    /// any changes.
    fn after_edit(&self, before: &OriginalFile, edited: &[u8]) -> Result<bool, ProcessError> {
        if before.bytes.as_deref().unwrap_or_default() == edited {
            return Ok(false);
        }
        let path = self.project.file();
        let _turn = self.home.lock_start()?;
        let now = self.read_for_edit()?;
        if now.bytes != before.bytes {
            return Err(ProcessError::ConcurrentChange { path });
        }
        // The user may have taken it back meanwhile.
        self.write_file(edited, before.is_trusted && now.is_trusted, None)?;
        Ok(true)
    }
}
