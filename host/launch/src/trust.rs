//! Whether the user trusts the project of a run, and whether they have to be asked.

use std::fs;
use std::path::{Path, PathBuf};

use aiw_home::{CliFiles, Home, HomeError};

use crate::RunRequest;
use crate::clis;
use crate::environment::Environment;
use crate::workspace::{TrustState, Workspace};

/// Returns the directory about which the user has to be asked whether they trust it: the CLI would ask nobody, the project
/// brings something, and neither aiw's settings nor the CLI's own record have an answer.
///
/// # Errors
///
/// Fails if the settings can't be read.
pub fn trust_prompt_directory(home: &Home, request: &RunRequest) -> Result<Option<PathBuf>, HomeError> {
    let cli = clis::for_kind(request.cli);
    let cwd = match fs::canonicalize(&request.cwd) {
        Ok(cwd) if cli.skips_trust_prompt(request) && !request.trust => cwd,
        // That a directory is absent is an error of the run itself.
        _ => return Ok(None),
    };
    let workspace = workspace(home, &cwd);
    let mut environment = Environment::from_parent(home.context().variables());
    if request.isolated {
        environment.set(CliFiles::for_cli(request.cli).variable, home.isolated_dir(request.cli));
    }
    match workspace.trust_state(request.cli, &home.settings()?.trust()) {
        TrustState::Unknown(directory) | TrustState::Changed(directory)
            if !cli.has_recorded_trust(&workspace, &environment) && cli.has_project_files(&workspace, &environment) =>
        {
            Ok(Some(directory))
        }
        _ => Ok(None),
    }
}

/// Returns the project of a directory that is absolute and without links.
pub(crate) fn workspace(home: &Home, cwd: &Path) -> Workspace {
    let user_home = home.context().user_home().and_then(|directory| fs::canonicalize(directory).ok());
    Workspace::new(cwd, user_home.as_deref())
}

#[cfg(test)]
mod tests {
    use aiw_home::{ExecutionContext, TrustSettings};

    use super::*;
    use crate::workspace::tests::repository;

    #[test]
    fn nobody_is_asked_where_nothing_is_left_out_or_a_no_was_given() {
        let (dir, workspace) = repository();
        let variables = [("HOME", "user"), ("AIW_HOME", "aiw")];
        let variables = variables.map(|(name, place)| (name.into(), dir.path().join(place).into_os_string()));
        let home = Home::find(ExecutionContext::new(Ok(workspace.cwd.clone()), variables)).unwrap();
        let mut request = RunRequest::new(aiw_core::CliKind::Claude, &workspace.cwd);
        request.prompt = Some(b"x".to_vec());
        assert_eq!(trust_prompt_directory(&home, &request).unwrap(), None);
        fs::create_dir(workspace.root.join(".claude")).unwrap();
        assert_eq!(trust_prompt_directory(&home, &request).unwrap().as_ref(), Some(&workspace.root));
        assert_eq!(trust_prompt_directory(&home, &RunRequest { trust: true, ..request.clone() }).unwrap(), None);
        assert_eq!(
            trust_prompt_directory(&home, &RunRequest { prompt: None, has_terminal: true, ..request.clone() }).unwrap(),
            None
        );
        let answer = |give: &dyn Fn(&mut TrustSettings)| {
            let lock = home.lock().unwrap();
            let mut settings = home.settings().unwrap();
            let mut trust = settings.trust();
            give(&mut trust);
            settings.set_trust(&trust).unwrap();
            settings.save(&lock).unwrap();
        };
        answer(&|trust| assert!(trust.add(&workspace.root)));
        assert_eq!(trust_prompt_directory(&home, &request).unwrap(), None);
        // A part of it brings more.
        fs::create_dir(workspace.cwd.join(".claude")).unwrap();
        fs::write(workspace.cwd.join(".claude/settings.json"), "{}").unwrap();
        assert_eq!(trust_prompt_directory(&home, &request).unwrap().as_ref(), Some(&workspace.cwd));
        answer(&|trust| trust.decline(&workspace.cwd));
        assert_eq!(trust_prompt_directory(&home, &request).unwrap(), None);
    }
}
