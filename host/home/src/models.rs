//! `models.lock`: which sentence models there are, which is in use, and the digests of their files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::documents::MODELS_VERSION as VERSION;
use crate::lockfile::{read_toml, write_toml};
use crate::{HomeError, Lock};

/// A file and what it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockedFile {
    /// Its size in bytes.
    pub size: u64,
    /// Its sha256, hexadecimal.
    pub sha256: String,
}

/// A model or a library that was pulled, or a directory that is used in place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockedModel {
    /// Where it came from: a path or URL.
    pub source: String,
    /// The directory with its files, if that is the user's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<PathBuf>,
    /// Its files by name.
    pub files: BTreeMap<String, LockedFile>,
}

/// `models.lock` (TOML), written only by aiw.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ModelsLock {
    version: u64,
    /// The name of the model in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<String>,
    /// The model in use is switched off: it stays, and nothing uses it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub off: bool,
    /// The library of ONNX Runtime.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<LockedModel>,
    /// The models by name.
    #[serde(default)]
    pub models: BTreeMap<String, LockedModel>,
    #[serde(skip)]
    path: PathBuf,
}

impl ModelsLock {
    pub(crate) fn load(path: &Path) -> Result<Self, HomeError> {
        let invalid = |problem: String| HomeError::invalid(path, problem);
        let Some(mut file) = read_toml(path, 1 << 20, VERSION, |file: &Self| file.version)? else {
            return Ok(Self { version: VERSION, path: path.to_owned(), ..Self::default() });
        };
        // Names become paths.
        let names = file.models.keys().chain(file.models.values().chain(&file.runtime).flat_map(|m| m.files.keys()));
        if let Some(bad) = names.into_iter().find(|name| !is_model_name(name)) {
            return Err(invalid(format!("has a name that is not valid: `{}`", aiw_core::one_line(bad, 60))));
        }
        path.clone_into(&mut file.path);
        Ok(file)
    }

    /// Writes the file.
    pub fn save(&self, _lock: &Lock) -> Result<(), HomeError> {
        write_toml(&self.path, "# Written by `aiw model`. Pins the files of each model.", self)
    }
}

/// Whether a name of a model or of one of its files is valid: 1 to 80 letters, digits, `.`, `-` and `_`, beginning
/// with a letter or digit.
pub fn is_model_name(name: &str) -> bool {
    (1..=80).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_paths() {
        for good in ["all-MiniLM-L6-v2", "a", "0.1_x", "model.onnx"] {
            assert!(is_model_name(good), "{good}");
        }
        for bad in ["", ".", "..", ".hidden", "a/b", "a\\b", "a b", "ä", "a\0", &"x".repeat(81)] {
            assert!(!is_model_name(bad), "{bad}");
        }
    }

    #[test]
    fn a_file_with_a_path_for_a_name_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("models.lock");
        let one = "source = \"x\"\n";
        for text in [
            format!("version = 1\n[models.\"../x\"]\n{one}[models.\"../x\".files]\n"),
            format!("version = 1\n[models.x]\n{one}[models.x.files.\"../y\"]\nsize = 1\nsha256 = \"0\"\n"),
            format!("version = 1\n[runtime]\n{one}[runtime.files.\"/y\"]\nsize = 1\nsha256 = \"0\"\n"),
            "version = 2\n".into(),
            "models".into(),
        ] {
            std::fs::write(&path, &text).unwrap();
            assert!(ModelsLock::load(&path).is_err(), "{text}");
        }
    }
}
