//! A user's home with clients in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use aiw_home::{CliPaths, Home};
use aiw_setup::{AiwEntry, ClientPaths, Setup, SetupError, SetupOptions, SetupPlan, SetupScope, client};

pub struct World {
    pub dir: tempfile::TempDir,
    pub home: Home,
    pub setup: Setup,
}

pub const REGISTER: SetupOptions = SetupOptions { import: false, approve_calls: false };
pub const IMPORT: SetupOptions = SetupOptions { import: true, approve_calls: false };
pub const APPROVE: SetupOptions = SetupOptions { import: false, approve_calls: true };

impl World {
    pub fn new() -> Self {
        Self::with_home("aiw")
    }

    pub fn with_home(name: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path().join(name));
        let setup = setup(&home, dir.path(), "/opt/aiw");
        Self { dir, home, setup }
    }

    /// The file of a client.
    pub fn file(&self, id: &str) -> PathBuf {
        self.setup.file(client(id).unwrap(), &SetupScope::User).unwrap()
    }

    /// Where clients keep their files, with a directory that a variable names.
    pub fn places(&self, variable: &str, directory: &str) -> ClientPaths {
        places(self.dir.path(), |name| (name == variable).then(|| self.dir.path().join(directory)))
    }

    pub fn ours(&self) -> AiwEntry {
        ours(&self.home, "/opt/aiw")
    }

    pub fn write(&self, id: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.file(id);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    pub fn plan(&self, id: &str, options: &SetupOptions) -> Result<SetupPlan, SetupError> {
        self.setup.plan(client(id).unwrap(), &SetupScope::User, options)
    }

    /// Registers aiw in a client; returns whether that changed anything.
    pub fn set_up(&self, id: &str, options: &SetupOptions) -> bool {
        let plan = self.plan(id, options).unwrap_or_else(|e| panic!("{id}: {e}"));
        self.setup.apply(&plan).unwrap();
        !plan.is_empty()
    }

    pub fn undo(&self, id: &str) -> Vec<String> {
        let plan = self.setup.plan_undo(client(id).unwrap(), &SetupScope::User).unwrap().unwrap();
        self.setup.apply(&plan).unwrap();
        plan.changes()
    }
}

pub fn setup(home: &Home, user: &Path, command: &str) -> Setup {
    Setup::new(home.clone(), places(user, |_| None), ours(home, command))
}

fn places(dir: &Path, variable: impl Fn(&str) -> Option<PathBuf>) -> ClientPaths {
    let user = dir.join("user");
    let clis =
        CliPaths::from_variables(|name| if name == "HOME" { Some(user.clone()) } else { variable(name) }).unwrap();
    ClientPaths { clis, config: user.join(".config") }
}

fn ours(home: &Home, command: &str) -> AiwEntry {
    let env = BTreeMap::from([("AIW_HOME".to_owned(), home.root().display().to_string())]);
    let read_only = vec!["list_roles".into(), "wait_task".into()];
    AiwEntry { command: command.into(), env, read_only_tools: read_only, ..AiwEntry::default() }
}

pub fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}
