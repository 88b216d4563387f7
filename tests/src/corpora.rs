//! Finds the recorded real-world data, if it is present.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// A real marketplace: some of its files, and a list of all of them.
pub struct Corpus {
    directory: PathBuf,
}

/// The folder of all of them.
fn corpora() -> PathBuf {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora");
    std::env::var_os("AIW_CORPORA").map_or(beside, PathBuf::from)
}

/// The real rows of the official registry of MCP servers, if they are present.
pub fn registry_rows() -> Option<Vec<Value>> {
    let text = fs::read_to_string(corpora().join("registry/servers.json")).ok()?;
    let page: Value = serde_json::from_str(&text).unwrap();
    page["servers"].as_array().cloned()
}

/// The real tools of MCP servers, a JSON object each, if they are present.
pub fn tool_rows() -> Option<Vec<Value>> {
    let text = fs::read_to_string(corpora().join("tools/livemcpbench/tools.jsonl")).ok()?;
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// Finds a real marketplace by the name of its directory in `AIW_CORPORA`, otherwise in the folder beside the
/// repository. If it is absent, prints a line and returns `None`.
pub fn corpus(name: &str) -> Option<Corpus> {
    let directory = corpora().join("markets").join(name);
    if directory.is_dir() {
        return Some(Corpus { directory });
    }
    crate::not_run(&format!("the corpus `{name}` is absent (AIW_CORPORA names its folder)"));
    None
}

impl Corpus {
    /// Writes the marketplace as it is in its repository: the recorded files, and an empty file for each that is
    /// only listed.
    pub fn write(&self, to: &Path) {
        let tree = fs::read_to_string(self.directory.join("TREE.txt")).unwrap();
        for line in tree.lines() {
            let mut words = line.split_whitespace();
            let (mode, _, path) = (words.next().unwrap_or_default(), words.next(), words.collect::<Vec<_>>().join(" "));
            let target = to.join(&path);
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            let kept = self.directory.join(&path);
            if kept.is_file() {
                fs::copy(&kept, &target).unwrap();
                fs::set_permissions(&target, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
            } else if mode.starts_with("100") {
                fs::write(&target, "").unwrap();
            }
        }
    }
}
