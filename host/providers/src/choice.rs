//! Which provider a run gets: the named one, else the project's, else the default, else none (the CLI's own
//! configuration, untouched).

use std::path::{Path, PathBuf};

use aiw_core::{CliKind, one_line, shell_quote};
use aiw_home::{CLI_LOGIN_NAME, HomeError, Project, ProvidersFile, Settings, TrustedProject};

/// The source of a choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SelectionSource {
    /// `-p`
    Explicit,
    /// `.aiw.json` of a trusted directory.
    Project(PathBuf),
    /// The default in `providers.json`.
    Default,
    /// The CLI's own configuration.
    CliLogin,
}

impl SelectionSource {
    /// Human-readable: `the default`; none for what the user typed.
    pub fn source_name(&self) -> Option<String> {
        match self {
            Self::Explicit | Self::CliLogin => None,
            Self::Project(root) => Some(format!("named by `{}`", root.join(".aiw.json").display())),
            Self::Default => Some("the default".into()),
        }
    }
}

/// A chosen provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChosenProvider {
    /// The provider's name; none for the CLI's own configuration.
    pub name: Option<String>,
    /// The source of the choice.
    pub source: SelectionSource,
    /// Something that was ignored, as a sentence.
    pub note: Option<String>,
}

impl ChosenProvider {
    /// Chooses, in the order of precedence.
    pub fn resolve(
        settings: &Settings,
        providers: &ProvidersFile,
        cli: CliKind,
        named: Option<&str>,
        cwd: &Path,
        user_home: Option<&Path>,
    ) -> Result<Self, HomeError> {
        let own = |note| Self { name: None, source: SelectionSource::CliLogin, note };
        let chosen = |name: &str, decision: SelectionSource, note| match name {
            CLI_LOGIN_NAME => Self { name: None, source: decision, note },
            name => Self { name: Some(name.to_owned()), source: decision, note },
        };
        if let Some(name) = named {
            return Ok(chosen(name, SelectionSource::Explicit, None));
        }
        let mut note = None;
        if let Some(project) = project(settings, cwd, user_home, &mut note)? {
            if let [unknown, ..] = project.unknown_fields() {
                let file = project.root.join(".aiw.json");
                note = Some(format!("`{}` in `{}` is unknown to aiw", one_line(unknown, 60), file.display()));
            }
            if let Some(name) = project.provider(cli) {
                return Ok(chosen(name, SelectionSource::Project(project.root.clone()), note));
            }
        }
        match providers.default_for(cli) {
            Some(name) => Ok(chosen(name, SelectionSource::Default, note)),
            None => Ok(own(note)),
        }
    }
}

/// The project's file, if its directory is trusted. An untrusted one can't stop a run, whatever is in it: it leaves a
/// note.
fn project(
    settings: &Settings,
    cwd: &Path,
    stop: Option<&Path>,
    note: &mut Option<String>,
) -> Result<Option<Project>, HomeError> {
    let found = TrustedProject::find(cwd, stop, &settings.trust())?;
    if let TrustedProject::Ignored(root) = &found {
        *note = Some(format!(
            "`{}` is ignored: the directory is not trusted (`aiw trust add {}`)",
            root.join(Project::FILE).display(),
            shell_quote(&root.to_string_lossy())
        ));
    }
    Ok(found.trusted())
}

#[cfg(test)]
mod tests {
    use super::*;
    use aiw_home::Home;
    use std::fs;

    fn choose(home: &Home, cli: CliKind, named: Option<&str>, cwd: &Path) -> (Option<String>, SelectionSource, bool) {
        let choice =
            ChosenProvider::resolve(&home.settings().unwrap(), &home.providers().unwrap(), cli, named, cwd, None)
                .unwrap();
        (choice.name, choice.source, choice.note.is_some())
    }

    #[test]
    fn what_is_named_beats_the_trusted_project_beats_the_default() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path().join("home"));
        let project = fs::canonicalize(dir.path()).unwrap().join("project");
        fs::create_dir_all(home.root()).unwrap();
        fs::create_dir_all(project.join("src")).unwrap();
        fs::write(project.join(".aiw.json"), r#"{"provider": {"claude": "theirs", "gemini": "own"}}"#).unwrap();
        let cwd = project.join("src");
        assert_eq!(choose(&home, CliKind::Claude, None, &cwd), (None, SelectionSource::CliLogin, true));
        fs::write(home.providers_path(), r#"{"version": 1, "default": "mine"}"#).unwrap();
        assert_eq!(choose(&home, CliKind::Claude, None, &cwd), (Some("mine".into()), SelectionSource::Default, true));
        let mut settings = home.settings().unwrap();
        let mut trust = settings.trust();
        trust.add(&project);
        settings.set_trust(&trust).unwrap();
        settings.save(&home.lock().unwrap()).unwrap();
        let theirs = SelectionSource::Project(project.clone());
        assert_eq!(choose(&home, CliKind::Claude, None, &cwd), (Some("theirs".into()), theirs.clone(), false));
        assert_eq!(choose(&home, CliKind::Gemini, None, &cwd), (None, theirs, false));
        assert_eq!(choose(&home, CliKind::Codex, None, &cwd), (Some("mine".into()), SelectionSource::Default, false));
        assert_eq!(
            choose(&home, CliKind::Claude, Some("x"), &cwd),
            (Some("x".into()), SelectionSource::Explicit, false)
        );
        assert_eq!(choose(&home, CliKind::Claude, Some("own"), &cwd), (None, SelectionSource::Explicit, false));
        fs::write(project.join(".aiw.json"), r#"{"providers": "theirs"}"#).unwrap();
        assert_eq!(choose(&home, CliKind::Claude, None, &cwd), (Some("mine".into()), SelectionSource::Default, true));
    }

    #[test]
    fn a_broken_file_stops_only_where_it_is_trusted() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path().join("home"));
        fs::create_dir_all(home.root()).unwrap();
        let project = fs::canonicalize(dir.path()).unwrap();
        fs::write(project.join(".aiw.json"), "{").unwrap();
        assert_eq!(choose(&home, CliKind::Claude, None, &project), (None, SelectionSource::CliLogin, true));
        let mut settings = home.settings().unwrap();
        let mut trust = settings.trust();
        trust.add(&project);
        settings.set_trust(&trust).unwrap();
        settings.save(&home.lock().unwrap()).unwrap();
        let providers = home.providers().unwrap();
        assert!(
            ChosenProvider::resolve(&home.settings().unwrap(), &providers, CliKind::Claude, None, &project, None)
                .is_err()
        );
    }
}
