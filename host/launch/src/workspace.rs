//! Whether a run uses what a repository brings for its CLI: settings, hooks and MCP servers. They are code of whoever wrote
//! the repository, and a CLI without a terminal asks nobody about them.

use std::fs;
use std::path::{Path, PathBuf};

use aiw_core::{CliKind, one_line, shell_quote_printable};
use aiw_home::{FileTrust, TrustSettings, read_capped};
use aiw_servers::PROJECT_FILE;

use crate::project_files::ProjectFile;

/// The project of a run's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Workspace {
    /// The working directory, absolute and without links.
    pub(crate) cwd: PathBuf,
    /// The root of its repository, or the directory itself.
    pub(crate) root: PathBuf,
    /// The main worktree, if this one says that it is linked to it: Claude Code takes local settings, agents and skills from
    /// there too.
    pub(crate) main_worktree: Option<MainWorktree>,
    /// The user's home, absolute and without links: the files in it are the user's own.
    pub(crate) user_home: Option<PathBuf>,
}

/// The worktree to which a `.git` file leads. <https://git-scm.com/docs/gitrepository-layout>
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MainWorktree {
    /// Its directory.
    pub(crate) root: PathBuf,
    /// Whether it knows the linked worktree. Anybody can write a `.git` file that leads there.
    pub(crate) has_backlink: bool,
}

impl MainWorktree {
    /// Returns the one of a linked worktree.
    fn of(root: &Path) -> Option<Self> {
        /// A path has at most 4096 bytes on Linux.
        const MAX_BYTES: u64 = 8 << 10;
        let text = |path: &Path| {
            let bytes = read_capped(path, MAX_BYTES).ok()??;
            Some(String::from_utf8(bytes).ok()?.trim().to_owned())
        };
        let link = root.join(".git");
        if !fs::metadata(&link).ok()?.is_file() {
            return None;
        }
        let directory = fs::canonicalize(root.join(text(&link)?.strip_prefix("gitdir:")?.trim())).ok()?;
        // A submodule has none.
        let common = fs::canonicalize(directory.join(text(&directory.join("commondir"))?)).ok()?;
        let root = if common.ends_with(".git") { common.parent()?.to_owned() } else { common };
        let back = text(&directory.join("gitdir")).and_then(|back| fs::canonicalize(directory.join(back)).ok());
        let knows_link = directory.starts_with(&root)
            && back.is_some_and(|back| fs::canonicalize(link).is_ok_and(|link| link == back));
        Some(Self { root, has_backlink: knows_link })
    }
}

/// Whether the user trusts a project.
#[derive(Debug)]
pub(crate) enum TrustState {
    /// The user trusts it as it is now.
    Trusted,
    /// It is the user's home itself, and its files are their own.
    UserOwned,
    /// The user has not been asked about this directory of it.
    Unknown(PathBuf),
    /// This directory of it is trusted, and has files that the user has not seen as they are now.
    Changed(PathBuf),
    /// The user did not trust this directory of it.
    Declined(PathBuf),
    /// A `.mcp.json` above it is not trusted as it is now. Nobody is asked about that one: it may be another user's.
    ParentUntrusted(PathBuf),
    /// A file of it can't be trusted: a sentence that says why.
    Unusable(String),
}

impl Workspace {
    /// Returns the project of a directory that is absolute and without links. A repository of another user's above, such as
    /// `/tmp/.git`, makes no project of this one, nor does one that the user's home is.
    pub(crate) fn new(cwd: &Path, user_home: Option<&Path>) -> Self {
        let is_root = |directory: &&Path| fs::symlink_metadata(directory.join(".git")).is_ok_and(|git| is_own(&git));
        let mut inside = cwd.ancestors().take_while(|above| Some(*above) != user_home);
        let root = inside.find(is_root).unwrap_or(cwd);
        let main = MainWorktree::of(root).filter(|main| main.root != root);
        Self {
            cwd: cwd.to_owned(),
            root: root.to_owned(),
            main_worktree: main,
            user_home: user_home.map(Path::to_owned),
        }
    }

    /// Returns the directories from the working directory up to the root of the project.
    pub(crate) fn directories(&self) -> impl Iterator<Item = &Path> {
        self.cwd.ancestors().take_while(|directory| directory.starts_with(&self.root))
    }

    /// Returns the directories, and the main worktree.
    pub(crate) fn directories_and_main(&self) -> impl Iterator<Item = &Path> {
        self.directories().chain(self.main_worktree.iter().map(|main| main.root.as_path()))
    }

    /// Returns the directories under which a CLI may have recorded the project.
    pub(crate) fn recorded_directories(&self) -> impl Iterator<Item = &Path> {
        let main = self.main_worktree.iter().filter(|main| main.has_backlink);
        self.directories().chain(main.map(|main| main.root.as_path()))
    }

    /// Returns whether the user trusts the project, and each file there that starts programs as it is now. A no counts more
    /// than a directory above that is trusted.
    pub(crate) fn trust_state(&self, cli: CliKind, trust: &TrustSettings) -> TrustState {
        if let Some(declined) = self.directories_and_main().find(|directory| trust.is_declined(directory)) {
            return TrustState::Declined(declined.to_owned());
        }
        let mut unusable = None;
        let mut is_other = |file: &ProjectFile| match &file.content {
            Ok(content) => content
                .as_ref()
                .is_some_and(|content| trust.file_trust(&file.path, &content.bytes) != FileTrust::Trusted),
            Err(error) => {
                unusable = Some(one_line(&error.to_string(), 400));
                false
            }
        };
        if cli == CliKind::Claude
            && let Some(file) = self.above().map(ProjectFile::read_servers).find(&mut is_other)
        {
            return TrustState::ParentUntrusted(file.path);
        }
        let is_home = |directory: &Path| Some(directory) == self.user_home.as_deref();
        let mut roots = [Some(self.root.as_path()), self.main_worktree.as_ref().map(|main| main.root.as_path())]
            .into_iter()
            .flatten();
        if let Some(root) = roots.find(|root| !is_home(root) && !trust.is_trusted(root)) {
            // `aiw trust add` would refuse it.
            return match ProjectFile::read_servers(root) {
                ProjectFile { path, content: Err(error), .. } if path.is_symlink() => {
                    TrustState::Unusable(error.to_string())
                }
                _ => TrustState::Unknown(root.to_owned()),
            };
        }
        let mut others = self.directories().filter(|directory| !is_home(directory));
        if let Some(directory) =
            others.find(|directory| ProjectFile::read_for_cli(cli, directory).any(|file| is_other(&file)))
        {
            return TrustState::Changed(directory.to_owned());
        }
        if let Some(main) = self.main_worktree.as_ref().filter(|main| cli == CliKind::Claude && !is_home(&main.root))
            && is_other(&ProjectFile::read_local(&main.root))
        {
            return TrustState::Changed(main.root.clone());
        }
        match unusable {
            Some(problem) => TrustState::Unusable(problem),
            None if is_home(&self.root) && !trust.is_trusted(&self.root) => TrustState::UserOwned,
            None => TrustState::Trusted,
        }
    }

    /// Returns whether Claude Code finds a `.mcp.json` that is not the user's own.
    pub(crate) fn has_foreign_servers(&self) -> bool {
        let mut foreign = self.cwd.ancestors().filter(|above| Some(*above) != self.user_home.as_deref());
        foreign.any(|directory| fs::symlink_metadata(directory.join(PROJECT_FILE)).is_ok())
    }

    /// Returns the directories above the project, but for the user's home.
    fn above(&self) -> impl Iterator<Item = &Path> {
        self.root.ancestors().skip(1).filter(|above| Some(*above) != self.user_home.as_deref())
    }
}

impl TrustState {
    /// Returns why a run leaves out what the project brings, and what the user can do. `None` if nothing is left out.
    pub(crate) fn note(&self) -> Option<String> {
        const SKIPPED_NOTE: &str = "the project's settings, hooks, MCP servers and `CLAUDE.md` are left out";
        let shown = |path: &Path| one_line(&path.to_string_lossy(), 200);
        match self {
            Self::Trusted | Self::UserOwned => None,
            Self::Unknown(directory) | Self::Declined(directory) => {
                let word = directory.to_string_lossy();
                Some(format!(
                    "`{}` is not trusted: {SKIPPED_NOTE}; `aiw trust add {}` uses them, `--trust` in this run alone",
                    shown(directory),
                    shell_quote_printable(&word)
                ))
            }
            Self::Changed(directory) => {
                let word = directory.to_string_lossy();
                Some(format!(
                    "`{}` has settings or MCP servers that are not as you trusted them: {SKIPPED_NOTE}; `aiw trust add {}` shows \
                     and uses them, `--trust` in this run alone",
                    shown(directory),
                    shell_quote_printable(&word)
                ))
            }
            Self::ParentUntrusted(file) => Some(format!(
                "`{}`, above the project, is not trusted: {SKIPPED_NOTE}; `--trust` uses them in this run",
                shown(file)
            )),
            Self::Unusable(problem) => Some(format!("{problem}: {SKIPPED_NOTE}; `--trust` uses them in this run")),
        }
    }
}

/// Returns whether a file belongs to this user.
#[cfg(unix)]
fn is_own(file: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;

    file.uid() == rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn is_own(_file: &fs::Metadata) -> bool {
    true
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn repository() -> (tempfile::TempDir, Workspace) {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        fs::create_dir_all(root.join("repo/.git")).unwrap();
        fs::create_dir_all(root.join("repo/sub")).unwrap();
        let workspace = Workspace::new(&root.join("repo/sub"), None);
        (dir, workspace)
    }

    fn is_trusted(workspace: &Workspace, trust: &TrustSettings) -> bool {
        matches!(workspace.trust_state(CliKind::Claude, trust), TrustState::Trusted)
    }

    #[test]
    fn a_project_is_its_repository_and_trust_in_a_part_of_it_is_not_enough() {
        let (_dir, workspace) = repository();
        assert!(workspace.root.ends_with("repo") && workspace.directories().count() == 2);
        let mut trust = TrustSettings::default();
        assert!(!is_trusted(&workspace, &trust));
        trust.add(&workspace.cwd);
        assert!(!is_trusted(&workspace, &trust));
        trust.add(&workspace.root);
        assert!(is_trusted(&workspace, &trust));
    }

    #[test]
    fn a_no_counts_more_than_a_trusted_directory_above() {
        let (_dir, workspace) = repository();
        let mut trust = TrustSettings::default();
        trust.add(workspace.root.parent().unwrap());
        assert!(is_trusted(&workspace, &trust));
        trust.decline(&workspace.root);
        assert!(!is_trusted(&workspace, &trust));
    }

    #[test]
    fn files_count_as_they_were_trusted_wherever_they_are_found() {
        let (dir, mut workspace) = repository();
        let mut trust = TrustSettings::default();
        trust.add(&workspace.root);
        for (directory, name) in [
            (&workspace.root, ".mcp.json"),
            (&workspace.root, ".claude/settings.json"),
            (&workspace.cwd, ".claude/settings.local.json"),
        ] {
            let file = directory.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, "{}").unwrap();
            let standing = workspace.trust_state(CliKind::Claude, &trust);
            assert!(matches!(&standing, TrustState::Changed(asked) if asked == directory), "{standing:?}");
            assert!(matches!(workspace.trust_state(CliKind::Gemini, &trust), TrustState::Trusted));
            trust.add_file(&file, b"{}");
            assert!(is_trusted(&workspace, &trust));
            fs::write(&file, "{ }").unwrap();
            assert!(!is_trusted(&workspace, &trust));
            for unusable in ["{", "[]"] {
                fs::write(&file, unusable).unwrap();
                let standing = workspace.trust_state(CliKind::Claude, &trust);
                assert!(matches!(&standing, TrustState::Unusable(why) if why.contains(name)), "{standing:?}");
            }
            fs::write(&file, "{}").unwrap();
        }
        // One of another user's, above the repository.
        let above = workspace.root.parent().unwrap().join(".mcp.json");
        fs::write(&above, "{}").unwrap();
        let standing = workspace.trust_state(CliKind::Claude, &trust);
        assert!(matches!(&standing, TrustState::ParentUntrusted(file) if *file == above), "{standing:?}");
        workspace.user_home = workspace.root.parent().map(Path::to_owned);
        assert!(is_trusted(&workspace, &trust));
        workspace.user_home = None;
        fs::remove_file(&above).unwrap();
        #[cfg(unix)]
        {
            let file = workspace.root.join(".mcp.json");
            fs::rename(&file, dir.path().join("elsewhere")).unwrap();
            std::os::unix::fs::symlink(dir.path().join("elsewhere"), &file).unwrap();
            let standing = workspace.trust_state(CliKind::Claude, &trust);
            assert!(matches!(&standing, TrustState::Unusable(why) if why.contains("is a link")), "{standing:?}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_link_without_the_file_and_an_empty_file_are_harmless() {
        let (dir, workspace) = repository();
        let mut trust = TrustSettings::default();
        trust.add(&workspace.root);
        fs::create_dir(workspace.root.join("config")).unwrap();
        std::os::unix::fs::symlink("config", workspace.root.join(".claude")).unwrap();
        assert!(is_trusted(&workspace, &trust));
        fs::write(workspace.root.join("config/settings.json"), "{}").unwrap();
        let standing = workspace.trust_state(CliKind::Claude, &trust);
        assert!(matches!(&standing, TrustState::Unusable(why) if why.contains("a link")), "{standing:?}");
        fs::remove_file(workspace.root.join("config/settings.json")).unwrap();
        fs::write(workspace.root.join(".mcp.json"), " \n").unwrap();
        trust.add_file(&workspace.root.join(".mcp.json"), b" \n");
        assert!(is_trusted(&workspace, &trust));
        drop(dir);
    }

    #[test]
    fn a_main_worktree_counts_with_its_local_settings() {
        let (dir, mut workspace) = repository();
        let main = fs::canonicalize(dir.path()).unwrap().join("main");
        let link = main.join(".git/worktrees/w");
        fs::create_dir_all(&link).unwrap();
        fs::create_dir_all(main.join(".claude")).unwrap();
        fs::write(main.join(".claude/settings.local.json"), "{}").unwrap();
        fs::write(link.join("commondir"), "../..\n").unwrap();
        let root = workspace.root.clone();
        fs::remove_dir_all(root.join(".git")).unwrap();
        fs::write(root.join(".git"), format!("gitdir: {}\n", link.display())).unwrap();
        let mut trust = TrustSettings::default();
        trust.add(&root);
        for (back, knows_link) in [("elsewhere".to_owned(), false), (root.join(".git").display().to_string(), true)] {
            fs::write(link.join("gitdir"), back).unwrap();
            workspace = Workspace::new(&root.join("sub"), None);
            assert_eq!(workspace.main_worktree, Some(MainWorktree { root: main.clone(), has_backlink: knows_link }));
            assert_eq!(workspace.recorded_directories().any(|directory| directory == main), knows_link);
        }
        let standing = workspace.trust_state(CliKind::Claude, &trust);
        assert!(matches!(&standing, TrustState::Unknown(asked) if *asked == main), "{standing:?}");
        trust.add(&main);
        let standing = workspace.trust_state(CliKind::Claude, &trust);
        assert!(matches!(&standing, TrustState::Changed(asked) if *asked == main), "{standing:?}");
        trust.add_file(&main.join(".claude/settings.local.json"), b"{}");
        assert!(is_trusted(&workspace, &trust));
    }

    #[test]
    fn the_users_home_is_their_own_and_lends_nothing_to_what_lies_in_it() {
        let (dir, _) = repository();
        let user = fs::canonicalize(dir.path()).unwrap();
        fs::create_dir_all(user.join(".git")).unwrap();
        fs::create_dir_all(user.join("unpacked/.claude")).unwrap();
        fs::write(user.join(".mcp.json"), "{}").unwrap();
        let trust = TrustSettings::default();
        let own = Workspace::new(&user, Some(&user)).trust_state(CliKind::Claude, &trust);
        assert!(matches!(own, TrustState::UserOwned), "{own:?}");
        let mut trusted = TrustSettings::default();
        trusted.add(&user);
        assert!(is_trusted(&Workspace::new(&user, Some(&user)), &trusted));
        let unpacked = Workspace::new(&user.join("unpacked"), Some(&user));
        assert_eq!(unpacked.root, unpacked.cwd);
        assert!(!is_trusted(&unpacked, &trust) && !unpacked.has_foreign_servers());
    }
}
