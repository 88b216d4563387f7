//! New projects in Rust, and what cargo builds of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use aiw_tests::{Environment, Run};
use parking_lot::Mutex;

/// Points to the toolchain's real directories, which the test's own home would hide.
fn with_toolchain(env: &mut Environment) {
    let real = std::env::var("HOME").unwrap_or_default();
    for (name, below) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
        env.set(name, std::env::var(name).unwrap_or_else(|_| format!("{real}/{below}")));
    }
    env.set("CARGO_NET_OFFLINE", "true");
}

/// The target directory of all guests: their dependencies compile once.
pub fn guest_target() -> PathBuf {
    root().join("target/guests")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Makes a new project in an empty home. Returns the home, the project, and what was printed.
pub fn new_project(name: &str, kind: &str) -> (Environment, PathBuf, String) {
    let mut env = Environment::new();
    with_toolchain(&mut env);
    let (binary, _) = env.parts();
    env.set("AIW", binary.display().to_string());
    let said = env.run(&["extension", "new", name, "--kind", kind]).ok().stdout;
    let project = env.path(name);
    (env, project, said)
}

/// New projects of each kind, as members of one workspace with one copy of the SDK: cargo compiles it once, and finds it
/// compiled in the next run.
const MEMBERS: [(&str, &str); 2] = [("my-llm", "provider"), ("server", "registry-source")];

/// Builds a project of [`MEMBERS`], unless another test has done it. Returns a home, and the project in the workspace.
pub fn built_project(name: &str) -> (Environment, PathBuf) {
    static BUILT: Mutex<bool> = Mutex::new(false);
    let workspace = root().join("target/templates");
    let mut env = Environment::new();
    with_toolchain(&mut env);
    env.set("CARGO_TARGET_DIR", guest_target().display().to_string());
    let (binary, _) = env.parts();
    env.set("AIW", binary.display().to_string());
    let mut built = BUILT.lock();
    if !*built {
        let mut profile = String::new();
        for (member, kind) in MEMBERS {
            let (_env, project, _) = new_project(member, kind);
            let manifest = fs::read_to_string(project.join("Cargo.toml")).unwrap();
            let (own, rest) = manifest.split_once("[profile.release]").unwrap();
            let (release, last) = rest.split_once("# Not part of").unwrap();
            assert!(last.ends_with("[workspace]\nexclude = [\"sdk\"]\n"), "{last}");
            assert!(own.contains("aiw-extension = { path = \"sdk\" }"), "{own}");
            profile = release.to_owned();
            fs::write(project.join("Cargo.toml"), own.replace("path = \"sdk\"", "path = \"../sdk\"")).unwrap();
            mirror(&project.join("sdk"), &workspace.join("sdk"));
            fs::remove_dir_all(project.join("sdk")).unwrap();
            mirror(&project, &workspace.join(member));
        }
        let members = MEMBERS.map(|(member, _)| format!("{member:?}")).join(", ");
        let manifest = format!(
            "[workspace]\nresolver = \"3\"\nmembers = [{members}]\nexclude = [\"sdk\"]\n\n[profile.release]{profile}"
        );
        write_if_changed(&workspace.join("Cargo.toml"), manifest.as_bytes());
        let build = |arguments: &[&str]| -> Run {
            env.program(Path::new("cargo")).args(arguments).current_dir(&workspace).output().unwrap().into()
        };
        build(&["build", "--workspace", "--release", "--target", "wasm32-wasip2"]).ok();
        build(&["test", "--workspace", "--no-run"]).ok();
        *built = true;
    }
    drop(built);
    (env, workspace.join(name))
}

/// Makes a directory equal to another one without touching files that are: cargo goes by their times.
fn mirror(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    let names = |dir: &Path| -> BTreeSet<_> { fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name()).collect() };
    for name in names(to).difference(&names(from)) {
        let path = to.join(name);
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
    }
    for name in names(from) {
        let (from, to) = (from.join(&name), to.join(&name));
        if from.is_dir() { mirror(&from, &to) } else { write_if_changed(&to, &fs::read(from).unwrap()) }
    }
}

fn write_if_changed(path: &Path, bytes: &[u8]) {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return;
    }
    fs::write(path, bytes).unwrap();
}
