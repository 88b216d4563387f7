//! What surrounds a client of aiw.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The surroundings of a client: its working directory and its variables. A view takes them from its own process once.
/// A client that speaks for another program has that program's, so nothing below the views asks the process.
#[derive(Clone)]
pub struct ExecutionContext(Arc<SurroundingParts>);

struct SurroundingParts {
    /// The directory, or the system's number for why there is none.
    directory: Result<PathBuf, Option<i32>>,
    variables: BTreeMap<OsString, OsString>,
}

impl ExecutionContext {
    /// Returns those of this process, as they are now.
    pub fn from_process() -> Self {
        Self::new(env::current_dir(), env::vars_os())
    }

    /// Returns those of another program, whose directory may be gone.
    pub fn new(directory: io::Result<PathBuf>, variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let directory = directory.map_err(|error| error.raw_os_error());
        let mut all = BTreeMap::new();
        for (name, value) in variables {
            // Of a name that occurs twice, every program takes the first.
            all.entry(name).or_insert(value);
        }
        Self(Arc::new(SurroundingParts { directory, variables: all }))
    }

    /// Returns the same variables in another directory.
    #[must_use]
    pub fn in_directory(&self, directory: impl Into<PathBuf>) -> Self {
        Self::new(Ok(directory.into()), self.0.variables.clone())
    }

    /// Returns the directory.
    ///
    /// # Errors
    ///
    /// There is none: it was removed, or may not be read.
    pub fn directory(&self) -> io::Result<&Path> {
        self.0.directory.as_deref().map_err(|number| match number {
            Some(number) => io::Error::from_raw_os_error(*number),
            None => io::ErrorKind::NotFound.into(),
        })
    }

    /// Returns all variables.
    pub fn variables(&self) -> impl Iterator<Item = (OsString, OsString)> {
        self.0.variables.clone().into_iter()
    }

    /// Returns the value of a variable, which may be empty.
    pub fn variable(&self, name: impl AsRef<OsStr>) -> Option<&OsStr> {
        self.0.variables.get(name.as_ref()).map(OsString::as_os_str)
    }

    /// Returns the value of a variable that is not empty.
    pub fn non_empty_variable(&self, name: impl AsRef<OsStr>) -> Option<&OsStr> {
        self.variable(name).filter(|value| !value.is_empty())
    }

    /// Returns the value of a variable, if it is text. It may be empty.
    pub fn variable_str(&self, name: impl AsRef<OsStr>) -> Option<&str> {
        self.variable(name)?.to_str()
    }

    /// Returns those of these variables that are set, for a program that gets no others.
    pub fn select_variables<N: AsRef<OsStr>>(&self, names: impl IntoIterator<Item = N>) -> Vec<(OsString, OsString)> {
        let of = |name: N| Some((name.as_ref().to_owned(), self.variable(name)?.to_owned()));
        names.into_iter().filter_map(of).collect()
    }

    /// Returns the user's own home: `HOME`.
    pub fn user_home(&self) -> Option<PathBuf> {
        self.non_empty_variable("HOME").map(PathBuf::from)
    }

    /// Returns the directory that a variable names, as a whole path; none if it is empty or not there.
    pub fn variable_path(&self, variable: &str) -> Option<PathBuf> {
        self.absolute(Path::new(self.non_empty_variable(variable)?)).ok()
    }

    /// Returns a path from the directory on as a whole one, without looking at it.
    pub(crate) fn absolute(&self, path: &Path) -> io::Result<PathBuf> {
        // What is whole needs no directory.
        std::path::absolute(if path.is_absolute() { path.to_owned() } else { self.directory()?.join(path) })
    }
}

impl fmt::Debug for ExecutionContext {
    /// Shows no values: some are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings").field("directory", &self.0.directory).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(variables: &[(&str, &str)]) -> ExecutionContext {
        ExecutionContext::new(Ok("/here".into()), variables.iter().map(|(name, value)| (name.into(), value.into())))
    }

    #[test]
    fn paths_begin_at_the_directory_of_the_client() {
        let around = around(&[("HOME", "/users/one"), ("CODEX_HOME", "codex"), ("EMPTY", ""), ("WHOLE", "/whole")]);
        assert_eq!(around.user_home().unwrap(), Path::new("/users/one"));
        assert_eq!(around.variable_path("CODEX_HOME").unwrap(), Path::new("/here/codex"));
        assert_eq!(around.variable_path("WHOLE").unwrap(), Path::new("/whole"));
        assert_eq!((around.variable_path("EMPTY"), around.variable_path("NONE")), (None, None));
        assert_eq!((around.variable("EMPTY"), around.non_empty_variable("EMPTY")), (Some(OsStr::new("")), None));
        assert_eq!(around.select_variables(["NONE", "WHOLE"]), [("WHOLE".into(), "/whole".into())]);
        assert_eq!(around.in_directory("/else").variable_path("CODEX_HOME").unwrap(), Path::new("/else/codex"));
    }

    #[test]
    fn of_a_name_that_occurs_twice_the_first_counts() {
        assert_eq!(around(&[("A", "1"), ("A", "2")]).variable_str("A"), Some("1"));
    }

    #[test]
    fn no_value_of_a_variable_is_shown() {
        let around = around(&[("TOKEN", "sk-secret")]);
        assert!(!format!("{around:?}").contains("sk-secret"));
    }
}
