//! A model in the form that is loaded at once: its graph, and its weights in a file that is mapped into memory.
//!
//! Comparing digests, reading 90 MB and optimising the graph take most of a second and three times the memory. So this is
//! done once, and noted together with what the files looked like then. Whoever changes a file changes its stamp, and
//! the model is read whole again.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use aiw_home::{Mode, read_capped, read_dir, remove_tree, rename};
use ort::environment::Environment;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use serde::{Deserialize, Serialize};

use super::files::{ModelFiles, ModelState, ONNX_FILE, TOKENIZER_FILES};
use super::runtime::{catch_panic, is_telemetry_disabled};

/// The graph without its large weights.
const GRAPH_FILE: &str = "graph.onnx";

/// The weights.
const WEIGHTS_FILE: &str = "weights.bin";

/// The file with the results of checks, and the stamps of the files that were checked.
const CHECK_RECORD_FILE: &str = "checked.json";

/// The mark of a model file whose weights are bytes.
const QUANTIZE_OPERATOR: &[u8] = b"DynamicQuantizeLinear";

/// The longest note, and the longest graph without its weights.
const MAX_CHECK_RECORD_BYTES: u64 = 64 << 10;
const MAX_GRAPH_BYTES: u64 = 256 << 20;

/// The stamp of a file.
#[derive(PartialEq, Serialize, Deserialize)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    /// In seconds and nanoseconds. Only the system sets the second one.
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let meta = fs::metadata(path).ok()?;
        Some(Self {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        })
    }
}

#[derive(Serialize, Deserialize)]
struct PreparedNote {
    is_quantized: bool,
    /// Of the model, the library, the graph and the weights.
    stamps: [Stamp; 4],
}

/// A prepared model.
pub(super) struct PreparedModel {
    /// The graph, which names the file of its weights in `directory`.
    pub graph: Vec<u8>,
    pub directory: PathBuf,
    pub is_quantized: bool,
}

impl PreparedModel {
    /// Returns the prepared form of a model, if there is one and no file has changed since.
    pub fn find(files: &ModelFiles) -> Option<Self> {
        let directory = files.prepared_dir.clone()?;
        let note: PreparedNote =
            serde_json::from_slice(&read_capped(&directory.join(CHECK_RECORD_FILE), MAX_CHECK_RECORD_BYTES).ok()??)
                .ok()?;
        (is_telemetry_disabled() && stamps(files, &directory)? == note.stamps).then_some(())?;
        let graph = read_capped(&directory.join(GRAPH_FILE), MAX_GRAPH_BYTES).ok()??;
        Some(Self { graph, directory, is_quantized: note.is_quantized })
    }

    /// Prepares a model whose files were compared with their digests, in place of what was prepared before.
    pub fn create(files: &ModelFiles, environment: &Environment, weights: &[u8]) -> Option<Self> {
        let directory = files.prepared_dir.as_ref()?;
        let parent = directory.parent()?;
        aiw_home::make_private_dir(parent).ok()?;
        let new = parent.join(format!(".new-{}", std::process::id()));
        let made = make_private(&new).and_then(|()| {
            save(environment, weights, &new)?;
            let stamps = stamps(files, &new)?;
            let note = serde_json::to_vec(&PreparedNote { is_quantized: is_quantized(weights), stamps }).ok()?;
            aiw_home::replace(&new.join(CHECK_RECORD_FILE), &note, Mode::Private).ok()?;
            // That of another model, or of this one as it was.
            for entry in read_dir(parent).ok()?.flatten().filter(|entry| entry.path() != new) {
                let _ = remove_tree(&entry.path());
            }
            rename(&new, directory).ok()
        });
        if made.is_none() {
            let _ = remove_tree(&new);
        }
        Self::find(files)
    }
}

impl ModelFiles {
    /// Finds out whether the model can be used: reads its files, compares their digests and loads the library, but
    /// not the model, unless it has to be prepared. Takes some tenths of a second.
    pub fn state(&self) -> ModelState {
        let check = || {
            let weights = self.read(ONNX_FILE)?;
            TOKENIZER_FILES.iter().try_for_each(|name| self.read(name).map(drop))?;
            let environment = self.load_runtime()?;
            if PreparedModel::find(self).is_none() {
                // Without it, loading takes longer.
                let _ = PreparedModel::create(self, &environment, &weights);
            }
            Ok(())
        };
        match check() {
            Ok(()) => ModelState::Ready,
            Err(error) => ModelState::Unusable(error),
        }
    }
}

/// Whether the weights of a model are bytes.
pub(super) fn is_quantized(weights: &[u8]) -> bool {
    memchr::memmem::find(weights, QUANTIZE_OPERATOR).is_some()
}

fn make_private(directory: &Path) -> Option<()> {
    let _ = remove_tree(directory);
    aiw_home::make_private_dir(directory).ok()
}

fn stamps(files: &ModelFiles, directory: &Path) -> Option<[Stamp; 4]> {
    Some([
        Stamp::of(&files.directory.join(ONNX_FILE))?,
        Stamp::of(&files.runtime)?,
        Stamp::of(&directory.join(GRAPH_FILE))?,
        Stamp::of(&directory.join(WEIGHTS_FILE))?,
    ])
}

fn save(environment: &Environment, weights: &[u8], directory: &Path) -> Option<()> {
    let save = || -> Result<(), String> {
        let said = |e: ort::Error<SessionBuilder>| e.to_string();
        let mut builder = SessionBuilder::new(environment)
            .map_err(|e| e.to_string())?
            .with_intra_threads(1)
            .map_err(said)?
            // No further: what comes after that is for this very processor.
            .with_optimization_level(GraphOptimizationLevel::Level2)
            .map_err(said)?
            .with_config_entry("session.optimized_model_external_initializers_file_name", WEIGHTS_FILE)
            .map_err(said)?
            .with_optimized_model_path(directory.join(GRAPH_FILE))
            .map_err(said)?;
        builder.commit_from_memory(weights).map(drop).map_err(|e| e.to_string())
    };
    catch_panic(save).ok()?.ok()
}
