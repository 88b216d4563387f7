//! Commands of aiw that the system starts when the user logs in: a unit of systemd's user manager, or an agent of launchd.
//! Nothing else of aiw starts by itself after a reboot.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use aiw_core::{Effect, Plan, Prompter, to_visible_line};
use aiw_home::{Home, HomeError, Mode, read_capped};

use crate::error::ProcessError;

/// The most bytes of a file that may be ours.
const MAX_BYTES: u64 = 1 << 20;

/// A command that the system starts.
pub struct LoginItem<'a> {
    /// The home that it works in.
    pub home: &'a Home,
    /// What it is, in the names of its files: `up`, `web`.
    pub kind: &'static str,
    /// The path that tells it from others of its kind.
    pub path: &'a Path,
    /// The command whose `autostart` writes the file.
    pub command: &'static str,
    /// The question before the file is written.
    pub question: &'static str,
    /// The directory that it starts in.
    pub directory: &'a Path,
    /// The words that start it.
    pub start: &'static [&'static str],
    /// The words that end what the first ones left running; without any, they run until they are ended.
    pub stop: &'static [&'static str],
}

impl LoginItem<'_> {
    /// The first line of our files: a file without it is somebody else's.
    fn notice(&self) -> String {
        let command = self.command;
        format!("Written by `aiw {command} autostart enable`; `aiw {command} autostart disable` removes it.")
    }

    /// The file that says so to the system.
    ///
    /// # Errors
    ///
    /// Nobody says where the user's files are.
    pub fn file(&self) -> Result<PathBuf, ProcessError> {
        Ok(self.files()?.file)
    }

    /// Whether the system starts it.
    ///
    /// # Errors
    ///
    /// Nobody says where the user's files are.
    pub fn is_enabled(&self) -> Result<bool, ProcessError> {
        let BootFiles { file, enablement_link: wanted } = self.files()?;
        // `systemctl --user disable` removes the link alone.
        Ok(file.is_file() && wanted.as_ref().is_none_or(|link| leads_to(link, &file)))
    }

    /// Has the system start it when the user logs in, or at boot if they linger, once they have agreed to the file. `aiw` is
    /// where aiw will be found then.
    ///
    /// # Errors
    ///
    /// The user declines, or the file can't be written, or is somebody else's.
    pub async fn enable(&self, aiw: &Path, ask: &dyn Prompter) -> Result<(), ProcessError> {
        let place = self.files()?;
        let text = self.text(aiw)?;
        self.check_ours(&place)?;
        let BootFiles { file, enablement_link: wanted } = &place;
        let mut plan = Plan::new(self.question);
        plan.details.push(format!("`{}`:", shown(file)));
        plan.details.extend(text.lines().map(|line| format!("  {}", to_visible_line(line))));
        plan.details.extend(wanted.iter().map(|link| format!("`{}` leads to it", shown(link))));
        plan.effects.push(Effect::Writes(shown(file)));
        ask.confirm(&plan, &[]).await?;
        // Somebody may have written it while the question was open.
        self.check_ours(&place)?;
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
        Ok(())
    }

    /// Takes back what [`Self::enable`] did. What runs goes on.
    ///
    /// # Errors
    ///
    /// The file can't be removed, or is somebody else's.
    pub fn disable(&self) -> Result<(), ProcessError> {
        let place = self.files()?;
        self.check_ours(&place)?;
        Ok(place.enablement_link.iter().chain([&place.file]).try_for_each(|path| remove_if_there(path))?)
    }

    fn number(&self) -> u64 {
        aiw_supervisor::digest(self.path.as_os_str().as_encoded_bytes())
    }

    fn files(&self) -> Result<BootFiles, ProcessError> {
        let around = self.home.context();
        let home = around.user_home().ok_or(ProcessError::UserHomeNotFound)?;
        let (kind, number) = (self.kind, self.number());
        if cfg!(target_vendor = "apple") {
            let file = home.join("Library/LaunchAgents").join(format!("dev.aiw.{kind}.{number:016x}.plist"));
            return Ok(BootFiles { file, enablement_link: None });
        }
        let units =
            around.variable_path("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config")).join("systemd/user");
        let name = format!("aiw-{kind}-{number:016x}.service");
        Ok(BootFiles { enablement_link: Some(units.join("default.target.wants").join(&name)), file: units.join(name) })
    }

    /// Returns the text of the file.
    fn text(&self, aiw: &Path) -> Result<String, ProcessError> {
        let own = [("AIW_HOME", self.home.root().to_owned())].into_iter();
        let own =
            own.chain(self.home.context().variable_path("AIW_RUNTIME_DIR").map(|place| ("AIW_RUNTIME_DIR", place)));
        let own: Vec<(&str, PathBuf)> = own.collect();
        let paths = [aiw, self.directory].into_iter().chain(own.iter().map(|(_, path)| path.as_path()));
        if let Some(path) = paths.clone().find(|path| path.to_str().is_none_or(|text| text.contains(char::is_control)))
        {
            let problem = "can't stand in such a file: its name has control characters or is not UTF-8";
            return Err(ProcessError::Directory { id: "autostart".into(), path: path.to_owned(), problem });
        }
        Ok(if cfg!(target_vendor = "apple") { self.agent(aiw, &own) } else { self.unit(aiw, &own) })
    }

    /// Refuses to touch what aiw has not written. A link has the name of our unit, wherever it leads.
    fn check_ours(&self, files: &BootFiles) -> Result<(), ProcessError> {
        let not_ours = |path: &Path| Err(ProcessError::UnmanagedFile { path: path.to_owned() });
        let notice = self.notice();
        match read_capped(&files.file, MAX_BYTES)? {
            Some(bytes) if !bytes.windows(notice.len()).any(|part| part == notice.as_bytes()) => {
                return not_ours(&files.file);
            }
            // A link that leads nowhere was made by somebody.
            None if files.file.is_symlink() => return not_ours(&files.file),
            _ => {}
        }
        let Some(link) = &files.enablement_link else { return Ok(()) };
        match fs::symlink_metadata(link) {
            Ok(found) if !found.is_symlink() => not_ours(link),
            Err(e) if e.kind() != ErrorKind::NotFound => Err(HomeError::io("read", link, e).into()),
            _ => Ok(()),
        }
    }

    /// Returns a unit of systemd, as systemd.service(5) has it.
    fn unit(&self, aiw: &Path, variables: &[(&str, PathBuf)]) -> String {
        let specifiers = |path: &Path| shown(path).replace('%', "%%");
        // In a command, `$` stands for a variable.
        let quoted = |text: String| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        let aiw = quoted(specifiers(aiw).replace('$', "$$"));
        let variables: String = variables
            .iter()
            .map(|(name, path)| format!("Environment={}\n", quoted(format!("{name}={}", specifiers(path)))))
            .collect();
        let mut directory = specifiers(self.directory);
        // A backslash at the end would join the next line, and systemd cuts off blanks.
        if directory.ends_with(['\\', ' ']) {
            directory.push('/');
        }
        let (notice, kind, start) = (self.notice(), self.kind, self.start.join(" "));
        let (service, stop) = match self.stop {
            [] => ("Type=exec\nRestart=on-failure\n", String::new()),
            stop => ("Type=oneshot\nRemainAfterExit=yes\n", format!("ExecStop={aiw} {}\n", stop.join(" "))),
        };
        format!(
            "# {notice}\n[Unit]\nDescription=aiw {kind} in {directory}\n\n[Service]\n{service}\
             WorkingDirectory={directory}\n{variables}ExecStart={aiw} {start}\n{stop}\n[Install]\n\
             WantedBy=default.target\n"
        )
    }

    /// Returns an agent of launchd, as launchd.plist(5) has it.
    fn agent(&self, aiw: &Path, variables: &[(&str, PathBuf)]) -> String {
        let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let string = |path: &Path| format!("<string>{}</string>", escaped(&shown(path)));
        let variables: String =
            variables.iter().map(|(name, path)| format!("<key>{name}</key>{}", string(path))).collect();
        let words: String = self.start.iter().map(|word| string(Path::new(word))).collect();
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- {} -->\n<plist version=\"1.0\"><dict>\n\
             <key>Label</key><string>dev.aiw.{}.{:016x}</string>\n<key>ProgramArguments</key><array>{}{words}</array>\n\
             <key>WorkingDirectory</key>{}\n<key>EnvironmentVariables</key><dict>{variables}</dict>\n\
             <key>RunAtLoad</key><true/>\n</dict></plist>\n",
            self.notice(),
            self.kind,
            self.number(),
            string(aiw),
            string(self.directory)
        )
    }
}

/// The files of a command that starts with the system.
struct BootFiles {
    file: PathBuf,
    /// The link by which it counts.
    enablement_link: Option<PathBuf>,
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn with_item<T>(directory: &Path, text: impl FnOnce(&LoginItem<'_>) -> T) -> T {
        let home = Home::from_root("/h");
        text(&LoginItem {
            home: &home,
            kind: "up",
            path: directory,
            command: "process",
            question: "",
            directory,
            start: &["up", "-d"],
            stop: &["down"],
        })
    }

    fn unit(aiw: &Path, directory: &Path, variables: &[(&str, PathBuf)]) -> String {
        with_item(directory, |item| item.unit(aiw, variables))
    }

    fn agent(aiw: &Path, directory: &Path, variables: &[(&str, PathBuf)]) -> String {
        with_item(directory, |item| item.agent(aiw, variables))
    }

    #[test]
    fn what_runs_until_it_is_ended_is_started_again_after_a_failure() {
        let unit = with_item(Path::new("/srv"), |item| {
            LoginItem { kind: "web", start: &["web", "--no-open"], stop: &[], ..*item }.unit(Path::new("/aiw"), &[])
        });
        assert!(
            unit.contains("Type=exec\nRestart=on-failure\nWorkingDirectory=/srv\nExecStart=\"/aiw\" web --no-open\n")
        );
        assert!(!unit.contains("ExecStop"), "{unit}");
    }

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
