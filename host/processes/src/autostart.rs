//! Starting a project's processes with the system: a unit of systemd's user manager, or an agent of launchd, that runs
//! `aiw up -d` in its directory. Nothing else of aiw starts by itself after a reboot.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use aiw_core::{Effect, Plan, Prompter, to_visible_line};
use aiw_home::{HomeError, Mode, read_capped};
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::ProcessError;
use crate::manager::Manager;

/// Whether a project starts with the system
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Autostart {
    /// The project's directory
    pub project: String,
    /// Whether its processes start with the system
    pub on: bool,
    /// Whether you have allowed its file as it is now: nothing of it starts before
    pub allowed: bool,
    /// Why nothing of it would start as it is now
    pub problem: Option<String>,
    /// The file that says so to the system
    pub file: String,
}

/// The first line of our files: a file without it is somebody else's.
const GENERATED_NOTICE: &str = "Written by `aiw process autostart enable`; `aiw process autostart disable` removes it.";

/// The most bytes of a file that may be ours.
const MAX_BYTES: u64 = 1 << 20;

impl Manager {
    /// Returns whether the processes of the project start with the system.
    ///
    /// # Errors
    ///
    /// Nobody says where the user's files are.
    pub fn autostart(&self) -> Result<Autostart, ProcessError> {
        let BootFiles { file, enablement_link: wanted } = self.place_at_boot()?;
        // `systemctl --user disable` removes the link alone.
        let on = file.is_file() && wanted.as_ref().is_none_or(|link| leads_to(link, &file));
        let loaded = self.load();
        let problem = match &loaded {
            Ok(loaded) if loaded.definitions.is_empty() => Some(self.empty_error().to_string()),
            Ok(loaded) if loaded.needs_approval() => {
                Some(format!("{}: `aiw up` shows it, and asks", ProcessError::Untrusted { path: self.project.file() }))
            }
            Ok(_) => None,
            Err(problem) => Some(problem.to_string()),
        };
        let allowed = loaded.is_ok_and(|loaded| !loaded.needs_approval());
        Ok(Autostart { project: shown(self.project.directory()), on, allowed, problem, file: shown(&file) })
    }

    /// Has the system start the processes of the project when you log in, or at boot if you linger, once the user has agreed
    /// to the file. `aiw` is where aiw will be found then.
    ///
    /// # Errors
    ///
    /// The project has no processes, or they make no sense, the user declines, or the file can't be written, or is
    /// somebody else's.
    pub async fn enable_autostart(&self, aiw: &Path, ask: &dyn Prompter) -> Result<Autostart, ProcessError> {
        if self.load()?.definitions.is_empty() {
            return Err(self.empty_error());
        }
        let place = self.place_at_boot()?;
        let text = self.text_at_boot(aiw)?;
        place.check_ours()?;
        let BootFiles { file, enablement_link: wanted } = &place;
        let mut plan = Plan::new("Write this file, so that the system starts this project's processes?");
        plan.details.push(format!("`{}`:", shown(file)));
        plan.details.extend(text.lines().map(|line| format!("  {}", to_visible_line(line))));
        plan.details.extend(wanted.iter().map(|link| format!("`{}` leads to it", shown(link))));
        plan.effects.push(Effect::Writes(shown(file)));
        ask.confirm(&plan, &[]).await?;
        // Somebody may have written it while the question was open.
        place.check_ours()?;
        for path in [Some(file), wanted.as_ref()].into_iter().flatten() {
            if let Some(directory) = path.parent() {
                fs::create_dir_all(directory).map_err(|e| HomeError::io("create", directory, e))?;
            }
        }
        self.home.replace_external(file, text.as_bytes(), Mode::Shared)?;
        #[cfg(unix)]
        if let Some(link) = wanted.as_ref().filter(|link| !leads_to(link, file)) {
            remove_if_there(link)?;
            std::os::unix::fs::symlink(file, link).map_err(|e| HomeError::io("create", link, e))?;
        }
        self.autostart()
    }

    /// Takes back what [`Self::enable_autostart`] did. What runs goes on.
    ///
    /// # Errors
    ///
    /// The file can't be removed, or is somebody else's.
    pub fn disable_autostart(&self) -> Result<Autostart, ProcessError> {
        let place = self.place_at_boot()?;
        place.check_ours()?;
        place.enablement_link.iter().chain([&place.file]).try_for_each(|path| remove_if_there(path))?;
        self.autostart()
    }

    fn place_at_boot(&self) -> Result<BootFiles, ProcessError> {
        let around = self.home.context();
        let home = around.user_home().ok_or(ProcessError::UserHomeNotFound)?;
        let number = format!("{:016x}", self.project.hash_text(""));
        if cfg!(target_vendor = "apple") {
            let file = home.join("Library/LaunchAgents").join(format!("dev.aiw.up.{number}.plist"));
            return Ok(BootFiles { file, enablement_link: None });
        }
        let units =
            around.variable_path("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config")).join("systemd/user");
        let name = format!("aiw-up-{number}.service");
        Ok(BootFiles { enablement_link: Some(units.join("default.target.wants").join(&name)), file: units.join(name) })
    }

    /// Returns the text of the file.
    fn text_at_boot(&self, aiw: &Path) -> Result<String, ProcessError> {
        let project = self.project.directory();
        let own = [("AIW_HOME", self.home.root().to_owned())].into_iter();
        let own =
            own.chain(self.home.context().variable_path("AIW_RUNTIME_DIR").map(|place| ("AIW_RUNTIME_DIR", place)));
        let own: Vec<(&str, PathBuf)> = own.collect();
        let paths = [aiw, project].into_iter().chain(own.iter().map(|(_, path)| path.as_path()));
        if let Some(path) = paths.clone().find(|path| path.to_str().is_none_or(|text| text.contains(char::is_control)))
        {
            let problem = "can't stand in such a file: its name has control characters or is not UTF-8";
            return Err(ProcessError::Directory { id: "autostart".into(), path: path.to_owned(), problem });
        }
        Ok(if cfg!(target_vendor = "apple") { agent(aiw, project, &own) } else { unit(aiw, project, &own) })
    }
}

/// The files of a project that starts with the system.
struct BootFiles {
    file: PathBuf,
    /// The link by which it counts.
    enablement_link: Option<PathBuf>,
}

impl BootFiles {
    /// Refuses to touch what aiw has not written. A link has the name of our unit, wherever it leads.
    fn check_ours(&self) -> Result<(), ProcessError> {
        let not_ours = |path: &Path| Err(ProcessError::UnmanagedFile { path: path.to_owned() });
        match read_capped(&self.file, MAX_BYTES)? {
            Some(bytes) if !bytes.windows(GENERATED_NOTICE.len()).any(|part| part == GENERATED_NOTICE.as_bytes()) => {
                return not_ours(&self.file);
            }
            // A link that leads nowhere was made by somebody.
            None if self.file.is_symlink() => return not_ours(&self.file),
            _ => {}
        }
        let Some(link) = &self.enablement_link else { return Ok(()) };
        match fs::symlink_metadata(link) {
            Ok(found) if !found.is_symlink() => not_ours(link),
            Err(e) if e.kind() != ErrorKind::NotFound => Err(HomeError::io("read", link, e).into()),
            _ => Ok(()),
        }
    }
}

/// Whether a link leads to a file, by whatever way: that of `systemctl --user enable` may be relative.
fn leads_to(link: &Path, file: &Path) -> bool {
    link.is_symlink() && fs::canonicalize(link).is_ok_and(|to| fs::canonicalize(file).is_ok_and(|file| file == to))
}

/// Removes a file or link, if it is there.
fn remove_if_there(path: &Path) -> Result<(), HomeError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(HomeError::io("remove", path, e)),
        _ => Ok(()),
    }
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Returns a unit of systemd, as systemd.service(5) has it.
fn unit(aiw: &Path, project: &Path, variables: &[(&str, PathBuf)]) -> String {
    let specifiers = |path: &Path| shown(path).replace('%', "%%");
    // In a command, `$` stands for a variable.
    let quoted = |text: String| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let aiw = quoted(specifiers(aiw).replace('$', "$$"));
    let variables: String = variables
        .iter()
        .map(|(name, path)| format!("Environment={}\n", quoted(format!("{name}={}", specifiers(path)))))
        .collect();
    let mut project = specifiers(project);
    // A backslash at the end would join the next line, and systemd cuts off blanks.
    if project.ends_with(['\\', ' ']) {
        project.push('/');
    }
    format!(
        "# {GENERATED_NOTICE}\n[Unit]\nDescription=aiw up in {project}\n\n[Service]\nType=oneshot\nRemainAfterExit=yes\n\
         WorkingDirectory={project}\n{variables}ExecStart={aiw} up -d\nExecStop={aiw} down\n\n[Install]\n\
         WantedBy=default.target\n"
    )
}

/// Returns an agent of launchd, as launchd.plist(5) has it.
fn agent(aiw: &Path, project: &Path, variables: &[(&str, PathBuf)]) -> String {
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let string = |path: &Path| format!("<string>{}</string>", escaped(&shown(path)));
    let variables: String = variables.iter().map(|(name, path)| format!("<key>{name}</key>{}", string(path))).collect();
    let label = format!("dev.aiw.up.{:016x}", aiw_supervisor::digest(project.as_os_str().as_encoded_bytes()));
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- {GENERATED_NOTICE} -->\n<plist version=\"1.0\"><dict>\n\
         <key>Label</key><string>{label}</string>\n<key>ProgramArguments</key><array>{}<string>up</string><string>-d</string></array>\n\
         <key>WorkingDirectory</key>{}\n<key>EnvironmentVariables</key><dict>{variables}</dict>\n\
         <key>RunAtLoad</key><true/>\n</dict></plist>\n",
        string(aiw),
        string(project)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_unit_says_odd_paths_as_systemd_reads_them() {
        let unit = unit(Path::new("/opt/a b%$\"/aiw"), Path::new("/srv/50% off"), &[("AIW_HOME", "/h\\x".into())]);
        for line in [
            "ExecStart=\"/opt/a b%%$$\\\"/aiw\" up -d",
            "WorkingDirectory=/srv/50%% off",
            "Environment=\"AIW_HOME=/h\\\\x\"",
            "WantedBy=default.target",
        ] {
            assert!(unit.lines().any(|found| found == line), "{line} in {unit}");
        }
    }

    #[test]
    fn a_path_that_ends_in_a_backslash_or_a_blank_keeps_its_line() {
        for (path, line) in [("/srv/x\\", "WorkingDirectory=/srv/x\\/"), ("/srv/x ", "WorkingDirectory=/srv/x /")] {
            let unit = unit(Path::new("/opt/aiw"), Path::new(path), &[]);
            assert!(unit.lines().any(|found| found == line), "{line} in {unit}");
        }
    }

    proptest! {
        #[test]
        fn no_path_adds_a_line_or_an_element(path in "/[^\\p{Cc}]{1,30}") {
            let (path, plain) = (Path::new(&path), Path::new("/x"));
            let written = unit(path, path, &[]);
            prop_assert_eq!(written.lines().count(), unit(plain, plain, &[]).lines().count());
            prop_assert!(written.lines().all(|line| !line.ends_with(['\\', ' '])), "{written}");
            let elements = |text: &str| text.matches('<').count();
            prop_assert_eq!(elements(&agent(path, path, &[])), elements(&agent(plain, plain, &[])));
        }
    }
}
