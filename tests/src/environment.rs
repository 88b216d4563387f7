//! A separate home in which a test runs the real binary.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

use crate::command::root;

/// Returns the directory of the components that `cargo xtask test` builds for tests.
pub fn components_dir() -> PathBuf {
    root().join(".components/test")
}

/// Returns the path of a test component. A missing component is an error in the setup, not a reason to skip a test.
pub fn component(name: &str) -> PathBuf {
    let path = components_dir().join(format!("{name}.wasm"));
    assert!(path.is_file(), "`{}` is not built: run `cargo xtask test`", path.display());
    path
}

/// Returns a part of what the binary embeds to run scripts on this system: `wasm.xz`, `code.xz` or `sha256`.
pub fn scripts_part(name: &str) -> &'static [u8] {
    let (dir, arch, os) = (root().join(".components"), std::env::consts::ARCH, std::env::consts::OS);
    let os = if os == "macos" { "darwin" } else { os };
    let is_part = |file: &str| {
        file.strip_prefix("orchestrator.").and_then(|rest| rest.strip_suffix(name)).is_some_and(|system| {
            // The component alone is the same on each system.
            system.is_empty() || system.starts_with(arch) && system.contains(os)
        })
    };
    let parts = fs::read_dir(&dir).map(|parts| parts.flatten().map(|part| part.path()).collect()).unwrap_or_default();
    let part = Vec::into_iter(parts).find(|path| path.file_name().and_then(|f| f.to_str()).is_some_and(is_part));
    let part = part.unwrap_or_else(|| panic!("`{name}` of scripts is not built: run `cargo xtask setup`"));
    Box::leak(fs::read(part).unwrap().into_boxed_slice())
}

/// Returns a component with a mode of `describe` written into its bytes, because `describe` cannot ask the host for
/// one.
pub fn describing(name: &str, mode: &str) -> Vec<u8> {
    let mut bytes = fs::read(component(name)).unwrap();
    let marker = b"hostile-describe:";
    let at = bytes.windows(marker.len()).position(|window| window == marker).expect("the marker is in the component");
    bytes[at + marker.len()..][..mode.len()].copy_from_slice(mode.as_bytes());
    bytes
}

/// Returns the path of the real binary, built beside this test binary.
pub fn binary() -> PathBuf {
    let exe = std::env::current_exe().expect("a test binary");
    let path = exe.parent().and_then(Path::parent).expect("a target directory").join("aiw");
    assert!(path.is_file(), "`{}` is not built: run `cargo xtask test`", path.display());
    path
}

/// The test components that many tests load.
const WARM_COMPONENTS: [&str; 6] =
    ["acme-catalogue", "acme-index", "acme-spread", "hostile", "hostile-provider", "knowing"];

/// The number of files of compiled code above which older ones, of other builds, are removed.
const MAX_WARM_FILES: usize = 24;

/// Returns the directory of the compiled code of the bundled components and of test components, which is kept from run to
/// run: its files are named for what was compiled, and by which engine.
fn warm() -> &'static Path {
    static WARM: OnceLock<PathBuf> = OnceLock::new();
    WARM.get_or_init(|| {
        let home = binary().with_file_name("test-home");
        let cache = home.join("cache/compiled-v1");
        if fs::read_dir(&cache).is_ok_and(|files| files.count() > MAX_WARM_FILES) {
            let _ = fs::remove_dir_all(&cache);
        }
        let run = |arguments: &[&str]| {
            let mut aiw = Command::new(binary());
            aiw.args(arguments).env("AIW_HOME", &home).stdin(Stdio::null()).output().expect("aiw starts")
        };
        let verified = run(&["extension", "verify"]);
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
        for name in WARM_COMPONENTS {
            // It is compiled before the call, whatever its answer.
            run(&["extension", "call", &component(name).display().to_string(), "describe"]);
        }
        cache
    })
}

/// The result of one run of the binary.
#[derive(Debug)]
pub struct Run {
    /// The exit code, or 128 + n for signal n.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Run {
    /// Formats both outputs and the exit code for a snapshot.
    pub fn whole(&self) -> String {
        format!("{}------- stderr -------\n{}------- exit code {} -------\n", self.stdout, self.stderr, self.code)
    }

    /// Parses the standard output as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}", self.whole()))
    }

    /// Checks that the run succeeded, and returns it.
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{}", self.whole());
        self
    }
}

/// A separate machine: a home, variables and a git configuration.
pub struct Environment {
    dir: TempDir,
    variables: BTreeMap<String, String>,
}

impl Drop for Environment {
    /// The session's shared memory would outlive the test, and `/dev/shm` may be small.
    fn drop(&mut self) {
        let names = fs::read_dir(self.dir.path().join("run")).into_iter().flatten().flatten();
        for id in names.filter_map(|link| fs::read_to_string(link.path()).ok()) {
            if id.starts_with("/aiw-") {
                let _ = fs::remove_file(Path::new("/dev/shm").join(&id[1..]));
            }
        }
    }
}

impl Default for Environment {
    fn default() -> Self {
        Self::new()
    }
}

impl Environment {
    /// Creates an empty home with compiled components.
    pub fn new() -> Self {
        let environment = Self::cold();
        let cache = environment.home().join("cache/compiled-v1");
        fs::create_dir_all(&cache).unwrap();
        for dir in [&environment.home(), &environment.home().join("cache"), &cache] {
            private(dir);
        }
        for file in fs::read_dir(warm()).unwrap() {
            let file = file.unwrap();
            if file.path().extension().is_none_or(|extension| extension != "cwasm") {
                continue;
            }
            fs::copy(file.path(), cache.join(file.file_name())).unwrap();
        }
        environment
    }

    /// Creates an empty home.
    pub fn cold() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let user = dir.path().join("user");
        fs::create_dir_all(&user).unwrap();
        fs::write(
            user.join(".gitconfig"),
            "[user]\n\tname = T\n\temail = t@example.com\n[init]\n\tdefaultBranch = main\n",
        )
        .unwrap();
        let mut variables = BTreeMap::new();
        let run = dir.path().join("run");
        for (name, value) in
            [("HOME", user.as_path()), ("AIW_HOME", &dir.path().join("aiw")), ("AIW_RUNTIME_DIR", &run)]
        {
            variables.insert(name.to_owned(), value.display().to_string());
        }
        for (name, value) in [
            ("PATH", std::env::var("PATH").unwrap_or_default().as_str()),
            ("LANG", "C.UTF-8"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("RUST_BACKTRACE", "0"),
            // This is 2026-01-01T00:00:00Z.
            ("SOURCE_DATE_EPOCH", "1767225600"),
        ] {
            variables.insert(name.to_owned(), value.to_owned());
        }
        Self { dir, variables }
    }

    /// Returns aiw's home.
    pub fn home(&self) -> PathBuf {
        self.dir.path().join("aiw")
    }

    /// Returns the user's home.
    pub fn user(&self) -> PathBuf {
        self.dir.path().join("user")
    }

    /// Returns a path for anything else.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Sets a variable for all runs.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.variables.insert(name.to_owned(), value.into());
    }

    /// Unsets a variable.
    pub fn unset(&mut self, name: &str) {
        self.variables.remove(name);
    }

    /// Adds to the user's git configuration.
    pub fn git_config(&self, text: &str) {
        let path = self.user().join(".gitconfig");
        fs::write(&path, fs::read_to_string(&path).unwrap() + text).unwrap();
    }

    /// Writes aiw's settings.
    pub fn settings(&self, value: &Value) {
        fs::create_dir_all(self.home()).unwrap();
        private(&self.home());
        fs::write(self.home().join("settings.json"), value.to_string()).unwrap();
    }

    /// Writes mcp.json verbatim.
    pub fn write_mcp(&self, text: &str) {
        fs::create_dir_all(self.home()).unwrap();
        fs::write(self.home().join("mcp.json"), text).unwrap();
    }

    /// Reads a file in aiw's home as text.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.home().join(name)).unwrap_or_default()
    }

    /// Reads mcp.json as JSON.
    pub fn mcp(&self) -> Value {
        serde_json::from_str(&self.read("mcp.json")).unwrap_or(Value::Null)
    }

    /// Returns a command that runs the binary in this environment, without a terminal.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.program(&binary());
        command.args(arguments);
        command
    }

    /// Returns a command that runs another program in this environment.
    pub fn program(&self, path: &Path) -> Command {
        let mut command = Command::new(path);
        command.env_clear().envs(&self.variables).current_dir(self.dir.path()).stdin(Stdio::null());
        command
    }

    /// Returns the binary's path and the variables, for tests that start it themselves (on a pty).
    pub fn parts(&self) -> (PathBuf, &BTreeMap<String, String>) {
        (binary(), &self.variables)
    }

    /// Runs the binary.
    pub fn run(&self, arguments: &[&str]) -> Run {
        finish(self.command(arguments).output().expect("aiw starts"))
    }

    /// Runs the binary with `--json` and parses its answer.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        self.run(&arguments).json()
    }

    /// Runs the binary with standard input, which it need not read to the end.
    pub fn run_with_input(&self, arguments: &[&str], input: impl AsRef<[u8]>) -> Run {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("aiw starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        let input = input.as_ref().to_owned();
        let feed = std::thread::spawn(move || {
            let _ = stdin.write_all(&input);
        });
        let output = child.wait_with_output().expect("aiw ends");
        feed.join().expect("written");
        output.into()
    }

    /// Starts the binary.
    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("aiw starts")
    }

    /// Adds a directory as a marketplace.
    pub fn add(&self, market: &Path) -> Run {
        self.run(&["plugin", "marketplace", "add", &market.display().to_string()])
    }

    /// Replaces everything in an output that changes from run to run with constants.
    pub fn stable(&self, text: &str) -> String {
        let mut text = text.replace(&self.dir.path().display().to_string(), "[TMP]");
        // The revision of a plain directory depends on its files' times.
        let revision = |c: char| c.is_ascii_hexdigit();
        for (at, _) in text.clone().rmatch_indices("\"dir-") {
            let from = at + "\"dir-".len();
            let length = text[from..].find(|c| !revision(c)).unwrap_or(0);
            text.replace_range(from..from + length, "[REVISION]");
        }
        let mut out = String::new();
        let mut hex = String::new();
        for c in text.chars().chain(['\0']) {
            if c.is_ascii_hexdigit() && !c.is_ascii_uppercase() {
                hex.push(c);
                continue;
            }
            out.push_str(if hex.len() >= 40 { "[DIGEST]" } else { &hex });
            hex.clear();
            if c != '\0' {
                out.push(c);
            }
        }
        out
    }
}

/// Converts the output of a process that ended.
pub(crate) fn finish(output: std::process::Output) -> Run {
    use std::os::unix::process::ExitStatusExt;

    let code = output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap_or(0));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8 output");
    Run { code, stdout: text(output.stdout), stderr: text(output.stderr) }
}

impl From<std::process::Output> for Run {
    fn from(output: std::process::Output) -> Self {
        finish(output)
    }
}

fn private(dir: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).unwrap();
}
