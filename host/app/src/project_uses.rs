//! What a project has that agents have tools for: processes that it declares, and workflows of CI.

use std::fs;
use std::path::Path;

use aiw_home::Home;
use aiw_processes::{Manager, ProcessProject};

/// What a project has, and whether its tools are offered without anybody having asked for their toolsets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProjectFeatures {
    /// It has a file of processes.
    pub declares_processes: bool,
    /// The user has allowed that file as it is.
    pub offers_processes: bool,
    /// It has workflows of GitHub Actions.
    pub has_workflows: bool,
    /// It has workflows, and the user trusts it or has allowed its processes.
    pub offers_ci: bool,
}

impl ProjectFeatures {
    /// Looks at the project of a directory. Nothing of it is run or kept.
    pub fn collect(home: &Home, directory: &Path) -> Self {
        let Ok(project) = ProcessProject::discover(directory) else { return Self::default() };
        let root = project.directory().to_owned();
        let (declares_processes, has_workflows) = (project.file().is_file(), has_workflows(&root));
        let is_allowed =
            || Manager::open(home, project).and_then(|manager| manager.load()).is_ok_and(|loaded| loaded.is_allowed());
        let offers_processes = declares_processes && is_allowed();
        let is_trusted = || home.settings().is_ok_and(|settings| settings.trust().is_trusted(&root));
        let offers_ci = has_workflows && (offers_processes || is_trusted());
        Self { declares_processes, offers_processes, has_workflows, offers_ci }
    }
}

/// Whether a repository has workflows of GitHub Actions.
fn has_workflows(root: &Path) -> bool {
    let is_workflow = |path: &Path| path.extension().is_some_and(|end| end == "yml" || end == "yaml");
    let files = fs::read_dir(root.join(".github").join("workflows"));
    files.is_ok_and(|mut files| files.any(|file| file.is_ok_and(|file| is_workflow(&file.path()))))
}
