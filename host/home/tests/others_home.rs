//! Root in somebody else's home: nothing there leads to a file that isn't theirs.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::{chown, lchown, symlink};

use aiw_home::{Home, Mode, replace};

const NOBODY: Option<u32> = Some(65534);

#[test]
fn a_link_of_somebody_else_leads_root_to_their_own_files_only() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::from_root(dir.path().join("home"));
    fs::create_dir(home.root()).unwrap();
    if chown(home.root(), NOBODY, NOBODY).is_err() {
        eprintln!("skipped: only root can be in somebody else's home");
        return;
    }
    let target = dir.path().join("target.json");
    fs::write(&target, "{\"root\": true}").unwrap();
    symlink(&target, home.settings_path()).unwrap();
    lchown(home.settings_path(), NOBODY, NOBODY).unwrap();
    let refused = replace(&home.settings_path(), b"{}", Mode::Private).unwrap_err().to_string();
    assert!(refused.contains("owner"), "{refused}");
    assert!(home.check_owner(&target).is_err());
    assert_eq!(fs::read_to_string(&target).unwrap(), "{\"root\": true}");
    // A linked directory leads to one of theirs only, too.
    let roles = dir.path().join("roles");
    fs::create_dir(&roles).unwrap();
    symlink(&roles, home.root().join("role")).unwrap();
    let refused = replace(&home.root().join("role/x.md"), b"", Mode::Private).unwrap_err().to_string();
    assert!(refused.contains("owner"), "{refused}");
    chown(&roles, NOBODY, NOBODY).unwrap();
    replace(&home.root().join("role/x.md"), b"", Mode::Private).unwrap();
    // Their own file, wherever it is, may be one that people keep in a repository.
    chown(&target, NOBODY, NOBODY).unwrap();
    replace(&home.settings_path(), b"{}", Mode::Private).unwrap();
    home.check_owner(&target).unwrap();
    assert_eq!(fs::read_to_string(&target).unwrap(), "{}");
}
