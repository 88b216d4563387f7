//! This aiw and the machine that it runs on, and the directories that are trusted.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use aiw_core::{Diagnostic, quoted, shell_quote};
use aiw_home::{ExecutionContext, Home, Problem, is_program};

use super::part::CheckedPart;
use crate::executable::own_path;
use crate::installation::{Installation, VERSION};

/// Looks at this aiw: its path, its limits, and the variables that concern it, those of a terminal where the answer is on one.
pub(super) fn own_installation(home: &Home, on_terminal: bool) -> CheckedPart {
    let around = home.context();
    let mut problems = Vec::new();
    let summary = match own_path() {
        Ok(path) => {
            problems.extend(other_one(around, &path));
            format!("{VERSION}, {}", path.display())
        }
        Err(e) => {
            problems.push(Problem::new(e.to_string(), e.fix().unwrap_or_else(|| "aiw update".to_owned())));
            VERSION.to_owned()
        }
    };
    problems.extend(lost_certificates(around));
    problems.extend(bad_proxies(around));
    let terminal = around.variable_str("TERM").unwrap_or_default();
    if on_terminal && matches!(terminal, "" | "dumb" | "unknown") {
        let problem = format!("`TERM` is {}, with which no screen can be shown", quoted(terminal));
        problems.push(Problem::new(problem, "export TERM=xterm-256color"));
    }
    problems.extend(limits(Path::new("/proc")));
    CheckedPart { name: "aiw", summary, problems }
}

/// Finds another aiw on `PATH`, where this one is on it too: a shell, a client and a hook could start different ones.
fn other_one(around: &ExecutionContext, own: &Path) -> Option<Problem> {
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let own = real(own);
    let paths = std::env::split_paths(around.variable("PATH")?).filter(|place| place.is_absolute());
    let found: Vec<PathBuf> = paths.map(|place| place.join("aiw")).filter(|path| is_program(path)).collect();
    let other = found.iter().find(|path| real(path) != own).filter(|_| found.iter().any(|path| real(path) == own))?;
    let problem = format!("two programs `aiw` are on `PATH`: this one, and `{}`", other.display());
    Some(Problem::new(problem, Installation::uninstall_command(other, around)).with_purpose("removes the other one"))
}

/// Variables that name certificates.
const CERTIFICATE_VARIABLES: [&str; 3] = ["SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS"];

fn lost_certificates(around: &ExecutionContext) -> impl Iterator<Item = Problem> {
    let lost = |name: &&str| around.non_empty_variable(name).is_some_and(|path| !Path::new(path).exists());
    CERTIFICATE_VARIABLES.into_iter().filter(lost).map(|name| {
        let problem = format!("`{name}` names certificates that are not there, so no connection is trusted");
        Problem::new(problem, format!("unset {name}"))
    })
}

/// Variables that name a proxy.
const PROXY_VARIABLES: [&str; 6] = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

fn bad_proxies(around: &ExecutionContext) -> impl Iterator<Item = Problem> {
    let is_address = |text: &str| {
        let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        url::Url::parse(&with_scheme).is_ok_and(|url| url.has_host())
    };
    let is_bad =
        move |name: &&str| around.non_empty_variable(name).is_some_and(|text| !text.to_str().is_some_and(is_address));
    PROXY_VARIABLES.into_iter().filter(is_bad).map(|name| {
        // It may have a password, so it is not shown.
        Problem::new(format!("`{name}` is not the address of a proxy"), format!("unset {name}"))
    })
}

/// Fewer open files than this are soon used up: a task, a server and a screen have some ten each.
const MIN_OPEN_FILES: u64 = 256;

/// Fewer watches than this don't reach for the files of one project.
const MIN_INOTIFY_WATCHES: u64 = 8192;

/// Looks at the limits of the system, where it has files that say them.
fn limits(proc: &Path) -> Vec<Problem> {
    let mut problems = Vec::new();
    let number = |text: &str| if text == "unlimited" { Some(u64::MAX) } else { text.parse::<u64>().ok() };
    let limits = fs::read_to_string(proc.join("self/limits")).unwrap_or_default();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let files: Vec<u64> = files.into_iter().flat_map(str::split_whitespace).filter_map(number).collect();
    if let [soft, hard, ..] = files[..]
        && soft < MIN_OPEN_FILES
    {
        let problem = format!("only {soft} files may be open at once");
        let most = hard.min(1024);
        problems.push(match hard < MIN_OPEN_FILES {
            true => Problem::new(problem, "sudo prlimit --pid $$ --nofile=1024:4096"),
            false => Problem::new(problem, format!("ulimit -n {most}")),
        });
    }
    let watches = fs::read_to_string(proc.join("sys/fs/inotify/max_user_watches")).ok();
    if let Some(watches) = watches.and_then(|text| number(text.trim())).filter(|watches| *watches < MIN_INOTIFY_WATCHES)
    {
        let problem = format!("only {watches} files may be watched at once");
        problems.push(Problem::new(problem, "sudo sysctl fs.inotify.max_user_watches=524288"));
    }
    problems
}

/// Looks at the directories that are trusted; nothing where none is.
pub(super) fn trust(home: &Home) -> Option<CheckedPart> {
    let name = "trust";
    let trust = home.settings().ok()?.trust();
    let user = home.context().user_home();
    let of = |directory: &PathBuf| {
        let (shown, word) = (directory.display(), shell_quote(&directory.to_string_lossy()).into_owned());
        let (removes, meta) = (format!("aiw trust remove {word}"), fs::metadata(directory));
        let is_wide = directory.parent().is_none() || user.as_ref() == Some(directory);
        match meta {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                Some(Problem::new(format!("you trust `{shown}`, which is not there any more"), removes))
            }
            _ if is_wide => {
                let problem = format!("you trust `{shown}`, and so whatever somebody puts anywhere below it");
                Some(Problem::new(problem, removes))
            }
            Ok(meta) if meta.permissions().mode() & 0o002 != 0 => {
                let problem = format!("you trust `{shown}`, and everybody on this machine can write there");
                Some(Problem::new(problem, format!("chmod o-w {word}")))
            }
            _ => None,
        }
    };
    let problems: Vec<Problem> = trust.directories().iter().filter_map(of).collect();
    let summary = match trust.directories().len() {
        0 => return None,
        1 => "1 directory".to_owned(),
        count => format!("{count} directories"),
    };
    Some(CheckedPart { name, summary, problems })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_open_files_and_watches_are_told_with_the_command_that_gives_more() {
        let proc = tempfile::tempdir().unwrap();
        let told = |soft: &str, hard: &str, watches: &str| -> Vec<String> {
            fs::create_dir_all(proc.path().join("self")).unwrap();
            fs::create_dir_all(proc.path().join("sys/fs/inotify")).unwrap();
            let text = format!("Limit  Soft Limit  Hard Limit  Units\nMax open files   {soft}   {hard}   files\n");
            fs::write(proc.path().join("self/limits"), text).unwrap();
            fs::write(proc.path().join("sys/fs/inotify/max_user_watches"), format!("{watches}\n")).unwrap();
            limits(proc.path()).into_iter().map(|found| format!("{} → {}", found.problem, found.next)).collect()
        };
        assert_eq!(told("1024", "unlimited", "65536"), [""; 0]);
        assert_eq!(told("unlimited", "unlimited", "65536"), [""; 0]);
        assert_eq!(told("64", "512", "65536"), ["only 64 files may be open at once → `ulimit -n 512`"]);
        assert_eq!(
            told("64", "64", "100"),
            [
                "only 64 files may be open at once → `sudo prlimit --pid $$ --nofile=1024:4096`",
                "only 100 files may be watched at once → `sudo sysctl fs.inotify.max_user_watches=524288`"
            ]
        );
        // A system that does not say.
        assert_eq!(limits(&proc.path().join("none")), []);
    }
}
