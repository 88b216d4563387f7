//! Which host is asked, and which token it gets.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use aiw_core::{Diagnostic, Secret};
use proptest::prelude::*;

use super::*;
use crate::CiRepository;
use crate::place::CiLocation;
use crate::source::TokenSource;
use crate::token::CiToken;

const VARIABLES: [(&str, &str); 4] = [
    ("GH_TOKEN", "for-github"),
    ("GITHUB_TOKEN", "for-github-too"),
    ("GH_ENTERPRISE_TOKEN", "for-enterprise"),
    ("GITHUB_ENTERPRISE_TOKEN", "for-enterprise-too"),
];

fn with_variables(world: World) -> World {
    VARIABLES.into_iter().fold(world, |world, (name, value)| world.set(name, value))
}

/// Puts a `gh` on the path that writes down what it gets, and gives out any token that it sees, as the real one does.
fn with_gh(world: World, hosts: &str) -> World {
    let (bin, config) = (world.path("bin"), world.path("user/.config/gh"));
    fs::create_dir_all(&bin).unwrap();
    fs::create_dir_all(&config).unwrap();
    fs::write(config.join("hosts.yml"), hosts).unwrap();
    let script = format!(
        "#!/bin/sh\necho \"$@\" >> {}\necho ${{GH_ENTERPRISE_TOKEN:-${{GH_TOKEN:-of-gh-$4}}}}\n",
        world.path("asked").display()
    );
    fs::write(bin.join("gh"), script).unwrap();
    fs::set_permissions(bin.join("gh"), PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", bin.display());
    world.set("PATH", &path)
}

fn token(world: &World, host: &str) -> (TokenSource, Option<String>) {
    let found = CiToken::find(&world.home(), host).unwrap();
    (found.source, found.secret.map(|secret| secret.expose().to_owned()))
}

#[test]
fn no_token_follows_a_remote_to_a_host_that_the_user_does_not_know() {
    for remote in [
        "https://evil.test/o/r",
        "https://github.com@evil.test/o/r",
        "https://github.com:x@evil.test/o/r.git",
        "git@evil.test:github.com/o/r",
        "ssh://github.com%2f@evil.test/o/r",
        "https://github.com.evil.test/o/r",
        "https://evilgithub.com/o/r",
        "https://evil.github.com/o/r",
        "https://evil.ghe.com/o/r",
        "https://xn--gthub-n4a.com/o/r",
        "ext::sh -c true",
        "file:///github.com/o/r",
    ] {
        let world = with_gh(with_variables(World::new(|_| runs(&[]))), "github.com:\n    oauth_token: x\n");
        let world = world.remote(remote);
        let error = world.open(None).err().unwrap_or_else(|| panic!("{remote} is known"));
        assert!(matches!(error, CiError::RepositoryNotFound { .. }), "{remote}: {error}");
        assert_eq!(error.exit_code(), 2);
        assert!(error.hint().unwrap().contains("--repo OWNER/REPO"));
        assert!(!world.path("asked").exists() && world.seen().is_empty(), "{remote}");
        assert!(!VARIABLES.iter().any(|(_, value)| error.to_string().contains(value)));
    }
    // Naming it does not make it known either.
    let world = with_variables(World::new(|_| runs(&[])));
    let error = world.open(Some("evil.test/o/r")).err().unwrap();
    assert!(matches!(&error, CiError::UnknownHost { host } if host == "evil.test"), "{error}");
}

#[test]
fn each_variable_goes_to_its_host_alone() {
    let world = with_variables(World::new(|_| runs(&[])));
    assert_eq!(token(&world, "github.com"), (TokenSource::Variable, Some("for-github".into())));
    assert_eq!(token(&world, "ghe.test"), (TokenSource::Variable, Some("for-enterprise".into())));
    wait(world.open(None).unwrap().list(&crate::CiListRequest { limit: 1, branch: None })).unwrap();
    assert_eq!(world.tokens(), [Some("Bearer for-enterprise".into())]);
    let world = World::new(|_| runs(&[])).set("GH_TOKEN", "for-github");
    let list = wait(world.open(None).unwrap().list(&crate::CiListRequest { limit: 1, branch: None })).unwrap();
    assert_eq!((world.tokens(), list.token), (vec![None], "none"));
    assert!(list.notes[0].contains("60 requests an hour"), "{:?}", list.notes);
}

#[test]
fn gh_goes_first_then_the_vault_then_the_environment() {
    let world = with_variables(World::new(|_| runs(&[])));
    let name = "ci.hosts.ghe.test.token".parse().unwrap();
    let lock = world.home().lock().unwrap();
    world.home().vault().set(&lock, &name, &Secret::new("of-vault")).unwrap();
    drop(lock);
    assert_eq!(token(&world, "ghe.test"), (TokenSource::Vault, Some("of-vault".into())));
    // It does not see the variables, whose token it would give out for any host.
    let world = with_gh(world, "ghe.test:\n    user: me\n\"other.test\":\n    user: me\n");
    assert_eq!(token(&world, "ghe.test"), (TokenSource::Gh, Some("of-gh-ghe.test".into())));
    assert_eq!(token(&world, "other.test"), (TokenSource::Gh, Some("of-gh-other.test".into())));
    assert_eq!(token(&world, "github.com"), (TokenSource::Variable, Some("for-github".into())));
    let asked = fs::read_to_string(world.path("asked")).unwrap();
    assert_eq!(asked, "auth token --hostname ghe.test\nauth token --hostname other.test\n");
}

#[test]
fn a_gh_that_hangs_or_fails_is_left() {
    for script in ["sleep 1000 & sleep 1000", "echo token; exit 1", "yes | head -c 100000", "exit 0"] {
        let world = with_gh(World::new(|_| runs(&[])), "ghe.test:\n    user: me\n");
        fs::write(world.path("bin/gh"), format!("#!/bin/sh\n{script}\n")).unwrap();
        assert_eq!(token(&world, "ghe.test"), (TokenSource::None, None), "{script}");
    }
}

#[test]
fn github_has_no_other_address() {
    let world = World::new(|_| runs(&[]));
    let settings = json!({"ci": {"hosts": {"GitHub.com": {"api_url": world.server.url()}}}});
    fs::write(world.path("home/settings.json"), settings.to_string()).unwrap();
    let error = world.open(Some("o/r")).err().unwrap();
    assert!(matches!(error, CiError::GithubApiOverridden), "{error}");
    assert_eq!(error.exit_code(), 3);
}

#[test]
fn the_repository_is_the_one_that_the_branch_is_pushed_to_and_others_are_named() {
    let world = with_gh(World::new(|_| runs(&[])), "corp.test:\n    user: me\nt.ghe.com:\n    user: me\n");
    let find = |config: &str, named: Option<&str>| {
        fs::write(world.path("repo/.git/config"), config).unwrap();
        CiLocation::find(&world.home(), &world.path("repo"), named).unwrap()
    };
    let both = "[remote \"upstream\"]\nurl = https://github.com/them/app.git\n[remote \"origin\"]\nurl = git@github.com:me/app\n";
    let place = find(both, None);
    assert_eq!((place.repository.to_string(), place.branch.as_deref()), ("me/app".into(), Some("main")));
    assert_eq!(place.other_remotes[0].0, "upstream");
    assert_eq!(find(both, Some("them/app")).commit.unwrap().as_str(), COMMIT);
    assert_eq!(find(both, Some("else/app")).commit, None);
    let pushed = format!("{both}[branch \"main\"]\nremote = origin\npushRemote = upstream\n");
    assert_eq!(find(&pushed, None).repository.to_string(), "them/app");
    let rewritten = "[url \"https://corp.test/\"]\ninsteadOf = corp:\n[remote \"origin\"]\nurl = corp:o/r\n";
    let place = find(rewritten, None);
    assert_eq!(
        (place.repository.to_string(), place.api.base_url.as_str()),
        ("corp.test/o/r".into(), "https://corp.test/api/v3")
    );
    let tenant = find("[remote \"origin\"]\nurl = ssh://git@t.ghe.com/o/r.git\n", None);
    assert_eq!(tenant.api.base_url, "https://api.t.ghe.com");
    assert_eq!(
        find("[remote \"o\"]\nurl = ssh://git@ssh.github.com:443/o/r.git\n", None).api.base_url,
        "https://api.github.com"
    );
}

#[test]
fn a_repository_has_a_name_that_no_path_can_leave() {
    for (text, expected) in [
        ("o/r", Some("o/r")),
        ("github.com/o/r.git", Some("o/r")),
        ("GHE.test/o/r", Some("ghe.test/o/r")),
        ("https://ghe.test/o/r/", Some("ghe.test/o/r")),
        ("o", None),
        ("../r", None),
        ("o/..", None),
        ("o/r/x/y", None),
        ("o/r?x", None),
        ("o /r", None),
        ("o/r\n", None),
        ("", None),
    ] {
        let found = CiRepository::parse(text).map(|found| found.to_string());
        assert_eq!(found.as_deref(), expected, "{text:?}");
    }
}

proptest! {
    #[test]
    fn any_text_is_a_repository_or_not(text in "[a-z:/@.%\\\\\\-\\[\\]~ \u{202e}]{0,40}") {
        if let Some(found) = CiRepository::parse(&text) {
            let path = format!("{}/{}", found.owner, found.name);
            prop_assert!(path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte)), "{}", path);
            prop_assert_eq!(path.matches('/').count(), 1);
        }
    }
}
