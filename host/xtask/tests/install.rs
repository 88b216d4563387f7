//! What somebody meets who builds aiw for the first time. Building it takes minutes, so only what comes before that.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn xtask(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(arguments);
    command
}

fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

/// The chores that exist.
fn chores() -> Vec<String> {
    let (help, _) = said(&xtask(&["--help"]).output().unwrap());
    let rows = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // What does not fit goes on below, farther in.
    let rows = rows.filter(|row| row.starts_with("  ") && !row.starts_with("   "));
    rows.filter_map(|row| row.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn each_chore_of_the_readme_exists_and_says_what_it_does() {
    let chores = chores();
    let mut named = Vec::new();
    for file in ["README.md", "host/README.md", "host/aiw/build.rs", "host/xtask/src/plugins.rs"] {
        let text = fs::read_to_string(root().join(file)).unwrap();
        for (at, start) in text.match_indices("cargo xtask ") {
            let word: String = text[at + start.len()..].chars().take_while(char::is_ascii_lowercase).collect();
            assert!(word.is_empty() || chores.contains(&word), "{file} names `cargo xtask {word}`: {chores:?}");
            named.push(word);
        }
    }
    for chore in ["install", "setup", "try"] {
        assert!(named.contains(&chore.to_owned()), "{chore}");
        let output = xtask(&[chore, "--help"]).output().unwrap();
        let (help, problem) = said(&output);
        assert!(output.status.success() && problem.is_empty(), "{problem}");
        assert!(help.contains(&format!("Usage: cargo xtask {chore}")), "{help}");
        // The first line says it.
        assert!(help.lines().next().unwrap().split_whitespace().count() > 3, "{help}");
    }
}

#[test]
#[cfg(unix)]
fn without_rusts_targets_an_install_ends_with_what_to_do() {
    use std::os::unix::fs::PermissionsExt;

    let empty = tempfile::tempdir().unwrap();
    // A Rust without the targets, and no rustup.
    let rustc = empty.path().join("rustc");
    fs::write(&rustc, "#!/bin/sh\necho /nowhere\n").unwrap();
    fs::set_permissions(&rustc, fs::Permissions::from_mode(0o755)).unwrap();
    for chore in ["install", "setup"] {
        let output = xtask(&[chore]).env("RUSTC", &rustc).env("PATH", empty.path()).output().unwrap();
        let (stdout, stderr) = said(&output);
        assert_eq!((output.status.code(), stdout.as_str()), (Some(1), ""), "{stderr}");
        assert_eq!(
            stderr,
            "error: Rust's targets wasm32-unknown-unknown and wasm32-wasip2 are missing, and rustup did not install \
             them: get rustup from https://rustup.rs, or install them as you installed Rust\n"
        );
    }
}

#[test]
fn a_plain_build_without_components_says_one_line_with_the_command_to_run() {
    let place = tempfile::tempdir().unwrap();
    let (script, project) = (place.path().join("build-script"), place.path().join("host/aiw"));
    fs::create_dir_all(&project).unwrap();
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let built = Command::new(rustc)
        .args(["--edition", "2024", "-o"])
        .arg(&script)
        .arg(root().join("host/aiw/build.rs"))
        // The script is made for a place.
        .env("CARGO_MANIFEST_DIR", &project)
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", said(&built).1);
    let about =
        said(&Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())).arg("-vV").output().unwrap()).0;
    let host = about.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let errors = || {
        let (told, _) = said(&Command::new(&script).env("HOST", host).env("TARGET", host).output().unwrap());
        told.lines().filter_map(|line| line.strip_prefix("cargo::error=")).map(str::to_owned).collect::<Vec<_>>()
    };
    let missing = errors();
    assert_eq!(
        missing,
        [
            "the components that are part of aiw are not built yet: run `cargo xtask setup`, then this build again, which goes on where it stopped"
        ]
    );
    // One that is missing is as bad as all of them.
    let components = place.path().join(".components");
    fs::create_dir_all(&components).unwrap();
    let names: Vec<PathBuf> = fs::read_dir(root().join(".components"))
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().is_file())
        .filter_map(|entry| entry.path().file_name().map(PathBuf::from))
        .collect();
    for name in &names {
        assert_eq!(errors(), missing);
        fs::write(components.join(name), "").unwrap();
    }
    assert!(names.is_empty() || errors().is_empty(), "{names:?}");
}
