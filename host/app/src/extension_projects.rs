//! Projects of extensions, as `aiw extension new` writes them: what builds one, and when its files have changed.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, SystemTime};

use aiw_core::{Diagnostic, ErrorKind};
use serde_json::Value;

/// How often files are looked at.
const FILE_POLL_INTERVAL: Duration = Duration::from_millis(200);

/// More files than this are no project of an extension.
const MAX_FILES: usize = 5000;

/// Folders that a build writes, or that are fetched for it.
const GENERATED_DIRS: [&str; 3] = ["target", "dist", "node_modules"];

/// A project can't be built.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// The directory is not a project.
    #[error("`{}` is not a project of an extension: it has neither `Cargo.toml` nor `build.mjs`", .0.display())]
    NotFound(PathBuf),
    /// Its files can't be read.
    #[error("cannot read `{}`: {source}", .path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It has too many files.
    #[error("`{}` has more than {MAX_FILES} files, and none of an extension has", .0.display())]
    TooManyFiles(PathBuf),
    /// The program that builds it can't be started.
    #[error("cannot run `{program}`: {source}")]
    SpawnFailed {
        /// The program.
        program: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// The build failed. It has said why itself.
    #[error("`{command}` failed ({status})")]
    BuildFailed {
        /// The command.
        command: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// The build made no component.
    #[error("`{0}` made no component")]
    MissingComponent(String),
}

impl Diagnostic for ProjectError {
    fn own_kind(&self) -> ErrorKind {
        if matches!(self, Self::Read { .. } | Self::SpawnFailed { .. }) {
            ErrorKind::Unavailable
        } else {
            ErrorKind::User
        }
    }

    fn own_hint(&self) -> Option<String> {
        let hint = match self {
            Self::NotFound(_) => "`aiw extension new` writes one",
            Self::SpawnFailed { program: "node", .. } => "install Node.js, and run `npm ci` in the project",
            Self::SpawnFailed { .. } => "install Rust from https://rustup.rs",
            _ => return None,
        };
        Some(hint.into())
    }
}

#[derive(Debug, Clone, Copy)]
enum Language {
    Rust,
    JavaScript,
}

/// A project of an extension.
#[derive(Debug, Clone)]
pub struct ExtensionProject {
    directory: PathBuf,
    language: Language,
}

/// The files of a project at one time: each with its length and when it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFiles(Vec<(PathBuf, u64, Option<SystemTime>)>);

impl ExtensionProject {
    /// Returns the project in a directory.
    pub fn open(directory: &Path) -> Result<Self, ProjectError> {
        let has = |name: &str| directory.join(name).is_file();
        let language = match () {
            () if has("Cargo.toml") => Language::Rust,
            () if has("build.mjs") => Language::JavaScript,
            () => return Err(ProjectError::NotFound(directory.to_owned())),
        };
        Ok(Self { directory: directory.to_owned(), language })
    }

    /// Returns what its author has written, as it is now.
    pub fn files(&self) -> Result<SourceFiles, ProjectError> {
        let (mut found, mut open) = (Vec::new(), vec![self.directory.clone()]);
        while let Some(directory) = open.pop() {
            let failed = |source| ProjectError::Read { path: directory.clone(), source };
            for entry in fs::read_dir(&directory).map_err(failed)?.flatten() {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                // Editors write beside a file first.
                if name.starts_with('.') || name.ends_with('~') || GENERATED_DIRS.contains(&name.as_ref()) {
                    continue;
                }
                // One that went meanwhile is not there.
                let Ok(about) = entry.metadata() else { continue };
                match about.is_dir() {
                    true => open.push(entry.path()),
                    false => found.push((entry.path(), about.len(), about.modified().ok())),
                }
                if found.len() + open.len() > MAX_FILES {
                    return Err(ProjectError::TooManyFiles(self.directory.clone()));
                }
            }
        }
        found.sort();
        Ok(SourceFiles(found))
    }

    /// Waits until the files are no longer what they were, and then for a quiet moment: editors save in several steps.
    pub async fn wait_for_change(&self, since: &SourceFiles) -> Result<(), ProjectError> {
        let mut last = self.files()?;
        loop {
            tokio::time::sleep(FILE_POLL_INTERVAL).await;
            let now = self.files()?;
            if now == last && now != *since {
                return Ok(());
            }
            last = now;
        }
    }

    /// Builds the component. What the build says goes to stderr. Returns the component's file.
    pub async fn build(&self) -> Result<PathBuf, ProjectError> {
        let (program, arguments): (_, &[&str]) = match self.language {
            Language::Rust => (
                "cargo",
                &["build", "--release", "--target", "wasm32-wasip2", "--message-format", "json-render-diagnostics"],
            ),
            Language::JavaScript => ("node", &["build.mjs"]),
        };
        let start = |source| ProjectError::SpawnFailed { program, source };
        // What programs read stands on stdout, and may be more than a pipe holds.
        let mut said = tempfile::tempfile().map_err(start)?;
        let child = Command::new(program)
            .args(arguments)
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(said.try_clone().map_err(start)?)
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(start)?;
        let status = Building(child).ended().await.map_err(start)?;
        let command = format!("{program} {}", arguments.join(" "));
        if !status.success() {
            return Err(ProjectError::BuildFailed { command, status });
        }
        let made = match self.language {
            Language::Rust => artifact(&mut said),
            Language::JavaScript => self.bundle(),
        };
        made.ok_or(ProjectError::MissingComponent(command))
    }

    /// Where `build.mjs` writes: the name is the extension's id.
    fn bundle(&self) -> Option<PathBuf> {
        let manifest: Value = serde_json::from_slice(&fs::read(self.directory.join("manifest.json")).ok()?).ok()?;
        Some(self.directory.join(format!("dist/{}.wasm", manifest["id"].as_str()?))).filter(|file| file.is_file())
    }
}

/// The component among what cargo says it made, last.
fn artifact(said: &mut File) -> Option<PathBuf> {
    let mut text = String::new();
    said.seek(SeekFrom::Start(0)).ok()?;
    said.read_to_string(&mut text).ok()?;
    let messages = text.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let files = messages.flat_map(|message| message["filenames"].as_array().cloned().unwrap_or_default());
    files.filter_map(|file| file.as_str().map(PathBuf::from)).find(|file| file.extension().is_some_and(|e| e == "wasm"))
}

/// A build under way, which ends when nobody waits for it.
struct Building(Child);

impl Building {
    async fn ended(mut self) -> std::io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(status);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Building {
    fn drop(&mut self) {
        // It isn't a failure if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_save_is_noticed_once_it_is_whole_and_what_a_build_writes_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        assert!(matches!(ExtensionProject::open(dir.path()), Err(ProjectError::NotFound(_))));
        fs::write(path("build.mjs"), "").unwrap();
        fs::create_dir_all(path("dist")).unwrap();
        let project = ExtensionProject::open(dir.path()).unwrap();
        let before = project.files().unwrap();
        // Neither what a build writes, nor what an editor writes beside a file.
        for name in ["dist/x.wasm", ".source.mjs.swp", "source.mjs~"] {
            fs::write(path(name), "x").unwrap();
        }
        assert_eq!(project.files().unwrap(), before);
        let waiting = tokio::time::timeout(FILE_POLL_INTERVAL * 4, project.wait_for_change(&before)).await;
        assert!(waiting.is_err(), "nothing was saved");
        // A file that is new counts as one that was written again.
        fs::write(path("source.mjs"), "1").unwrap();
        tokio::time::timeout(FILE_POLL_INTERVAL * 20, project.wait_for_change(&before)).await.unwrap().unwrap();
        let after = project.files().unwrap();
        fs::remove_file(path("source.mjs")).unwrap();
        tokio::time::timeout(FILE_POLL_INTERVAL * 20, project.wait_for_change(&after)).await.unwrap().unwrap();
    }
}
