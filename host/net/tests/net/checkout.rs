//! Where a directory stands in git, by the files of its repository, which may be anybody's.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use aiw_net::{GitCheckout, NetError};
use proptest::prelude::*;

fn git(at: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@t", "-c", "protocol.file.allow=always"])
        .args(arguments)
        .current_dir(at)
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn repository(at: &Path) {
    fs::create_dir_all(at).unwrap();
    git(at, &["init", "-q", "-b", "main"]);
    git(at, &["commit", "-q", "--allow-empty", "-m", "x"]);
    git(at, &["remote", "add", "upstream", "https://github.com/them/app"]);
    git(at, &["remote", "add", "origin", "git@github.com:me/app.git"]);
}

fn find(at: &Path) -> GitCheckout {
    GitCheckout::find(at).unwrap().unwrap()
}

fn names(checkout: &GitCheckout) -> Vec<&str> {
    checkout.remotes.iter().map(|remote| remote.name.as_str()).collect()
}

#[test]
fn a_checkout_is_read_as_git_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(dir.path()).unwrap();
    let at = root.join("r");
    repository(&at);
    fs::create_dir_all(at.join("a/b")).unwrap();
    let found = find(&at.join("a/b"));
    assert_eq!((found.directory.as_path(), found.branch.as_deref()), (at.as_path(), Some("main")));
    assert_eq!(found.commit.as_ref().unwrap().as_str(), git(&at, &["rev-parse", "HEAD"]));
    assert_eq!(names(&found), ["origin", "upstream"]);
    git(&at, &["pack-refs", "--all"]);
    assert_eq!(find(&at), found.clone());
    // A branch with a slash, which is pushed elsewhere.
    git(&at, &["switch", "-q", "-c", "Feature/One"]);
    git(&at, &["commit", "-q", "--allow-empty", "-m", "y"]);
    git(&at, &["config", "branch.Feature/One.pushRemote", "upstream"]);
    let feature = find(&at);
    assert_eq!((feature.branch.as_deref(), names(&feature)), (Some("Feature/One"), vec!["upstream", "origin"]));
    assert_eq!(feature.commit.unwrap().as_str(), git(&at, &["rev-parse", "HEAD"]));
    git(&at, &["config", "url.https://ghe.test/.insteadOf", "git@github.com:"]);
    git(&at, &["config", "url.https://short/.insteadOf", "git@"]);
    let urls: Vec<String> = find(&at).remotes.into_iter().map(|remote| remote.url).collect();
    assert_eq!(urls, ["https://github.com/them/app", "https://ghe.test/me/app.git"]);
    assert_eq!(urls[1], git(&at, &["remote", "get-url", "origin"]));
    git(&at, &["switch", "-q", "--detach"]);
    let detached = find(&at);
    assert_eq!((detached.branch, detached.commit.unwrap().to_string()), (None, git(&at, &["rev-parse", "HEAD"])));
    assert_eq!(GitCheckout::find(&root).unwrap(), None);
}

#[test]
fn worktrees_and_submodules_are_read_where_they_keep_it() {
    let dir = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(dir.path()).unwrap();
    let at = root.join("r");
    repository(&at);
    git(&at, &["worktree", "add", "-q", "-b", "side", "../side"]);
    git(&root.join("side"), &["commit", "-q", "--allow-empty", "-m", "z"]);
    let side = find(&root.join("side"));
    assert_eq!((side.branch.as_deref(), names(&side)), (Some("side"), vec!["origin", "upstream"]));
    assert_eq!(side.commit.unwrap().as_str(), git(&root.join("side"), &["rev-parse", "HEAD"]));
    repository(&root.join("inner"));
    git(&at, &["submodule", "--quiet", "add", root.join("inner").to_str().unwrap(), "inner"]);
    let inner = find(&at.join("inner"));
    assert_eq!(inner.directory, at.join("inner"));
    assert_eq!(inner.commit.unwrap().as_str(), git(&root.join("inner"), &["rev-parse", "HEAD"]));
}

#[test]
fn what_is_included_counts_inside_of_the_repository_only() {
    let dir = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(dir.path()).unwrap();
    let at = root.join("r");
    repository(&at);
    let remote = |name: &str| format!("[remote \"{name}\"]\nurl = https://{name}.test/o/r\n");
    fs::write(at.join("shared"), remote("inside")).unwrap();
    fs::write(root.join("outside"), remote("outside")).unwrap();
    symlink(root.join("outside"), at.join("link")).unwrap();
    let before = fs::read_to_string(at.join(".git/config")).unwrap();
    let outside = root.join("outside");
    let paths = ["../shared", "../../outside", "../link", "config", "gone", outside.to_str().unwrap()];
    let includes: String = paths.iter().map(|path| format!("[include]\npath = {path}\n")).collect();
    fs::write(at.join(".git/config"), before.clone() + &includes).unwrap();
    // A file that includes itself ends too.
    fs::write(at.join("shared"), remote("inside") + "[include]\npath = shared\n").unwrap();
    match GitCheckout::find(&at) {
        Ok(found) => assert!(!names(&found.unwrap()).contains(&"outside")),
        Err(error) => assert!(error.to_string().contains("too many files"), "{error}"),
    }
    fs::write(at.join(".git/config"), before + "[include]\npath = ../shared\n[include]\npath = ../../outside\n")
        .unwrap();
    fs::write(at.join("shared"), remote("inside")).unwrap();
    assert_eq!(names(&find(&at)), ["origin", "inside", "upstream"]);
}

#[test]
fn links_pipes_and_long_files_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(dir.path()).unwrap();
    let broken = |name: &str, make: &dyn Fn(&Path)| {
        let at = root.join(name);
        repository(&at);
        make(&at);
        GitCheckout::find(&at).unwrap_err()
    };
    repository(&root.join("other"));
    let other = root.join("other");
    for (name, make) in [
        (
            "link",
            &(|at: &Path| {
                fs::rename(at.join(".git"), at.join("git")).unwrap();
                symlink("git", at.join(".git")).unwrap();
            }) as &dyn Fn(&Path),
        ),
        ("head", &|at| {
            fs::remove_file(at.join(".git/HEAD")).unwrap();
            symlink(other.join(".git/HEAD"), at.join(".git/HEAD")).unwrap();
        }),
        ("config", &|at| fs::write(at.join(".git/config"), vec![b'#'; 2 << 20]).unwrap()),
        ("fifo", &|at| {
            fs::remove_file(at.join(".git/config")).unwrap();
            assert!(Command::new("mkfifo").arg(at.join(".git/config")).status().unwrap().success());
        }),
        ("nowhere", &|at| {
            fs::remove_dir_all(at.join(".git")).unwrap();
            fs::write(at.join(".git"), "gitdir: /proc/self").unwrap();
        }),
        ("commondir", &|at| fs::write(at.join(".git/commondir"), "/etc").unwrap()),
    ] {
        let error = broken(name, make);
        assert!(matches!(error, NetError::Invalid { .. }), "{name}: {error}");
    }
    // A branch that is called like a way out is none.
    fs::write(other.join(".git/HEAD"), "ref: refs/heads/../../../secret\n").unwrap();
    assert_eq!((find(&other).branch, find(&other).commit), (None, None));
}

#[test]
fn a_repository_of_another_user_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    repository(dir.path());
    let is_theirs = Command::new("chown").args(["-R", "4711"]).arg(dir.path()).status().unwrap().success();
    if !is_theirs {
        return eprintln!("skipped: only root can");
    }
    let error = GitCheckout::find(dir.path()).unwrap_err();
    assert!(matches!(&error, NetError::Denied { .. }) && error.to_string().contains("safe.directory"), "{error}");
}

proptest! {
    #[test]
    fn any_files_are_answered(
        head in proptest::collection::vec(any::<u8>(), 0..80),
        config in "(\\[(remote|url|branch|include) \"?[a-z\\\\\" ]{0,9}\\]?\n?|url = [a-z:/@]{0,20}\n|path = [a-z./]{0,9}\n|.){0,20}",
        packed in proptest::collection::vec(any::<u8>(), 0..120),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let git = dir.path().join(".git");
        fs::create_dir(&git).unwrap();
        fs::write(git.join("HEAD"), head).unwrap();
        fs::write(git.join("config"), config).unwrap();
        fs::write(git.join("packed-refs"), packed).unwrap();
        let _ = GitCheckout::find(dir.path());
    }
}
