//! Tests of roles on disk: sources, order, sizes, trust.

use std::os::unix::fs::{PermissionsExt, symlink};

use proptest::prelude::*;

use super::*;

/// A machine with the three folders.
struct Machine {
    dir: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    fn write(&self, below: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    fn roles(&self) -> Roles {
        self.roles_with(self.path("project"), true)
    }

    fn roles_with(&self, root: PathBuf, trusted: bool) -> Roles {
        Roles::new(Home::from_root(self.path("home")), Some(RoleProject { root, trusted }), Some(self.path("user")))
    }

    fn find(&self, role: &str) -> Result<Role, RoleError> {
        self.roles().find(&name(role))
    }

    /// Returns the problem of a role that can't be used, as reported by both `find` and `list`.
    fn problem(&self, role: &str) -> String {
        let RoleError::Broken { problem, .. } = self.find(role).unwrap_err() else { panic!("it is not a broken one") };
        let listing = self.roles().list();
        let listed = listing.roles.into_iter().find(|listed| listed.name == role).unwrap();
        assert_eq!(listed.problem.unwrap().to_string(), problem.to_string());
        assert_eq!(listed.description, None);
        problem.to_string()
    }
}

fn name(name: &str) -> RoleName {
    name.parse().unwrap()
}

#[test]
fn a_role_is_a_description_twelve_dashes_and_a_content() {
    let machine = Machine::new();
    let path = machine.write("home/role/reviewer.md", "\nReviews code\n\n------------\n\nYou review.\n  Be kind.\n\n");
    let role = machine.find("reviewer").unwrap();
    let expected = Role {
        name: name("reviewer"),
        description: "Reviews code".into(),
        content: "You review.\n  Be kind.".into(),
        source: RoleSource::Aiw,
        path,
        bytes: 53,
        trusted: true,
    };
    assert_eq!(role, expected);
}

#[test]
fn what_may_stand_in_a_file_and_what_may_not() {
    const REFUSED: &str = "has no line of exactly 12 dashes";
    let twelve = DELIMITER;
    let table: [(&str, Vec<u8>, Result<&str, String>); 18] = [
        ("lf", format!("d\n{twelve}\nc").into(), Ok("c")),
        ("crlf-is-kept", format!("d\r\n{twelve}\r\nc\r\nd\r\n").into(), Ok("c\r\nd")),
        ("bom-is-not", format!("\u{feff}d\n{twelve}\nc").into(), Ok("c")),
        ("no-description", format!("{twelve}\nc").into(), Ok("c")),
        ("bom-before-the-delimiter", format!("\u{feff}{twelve}\nc").into(), Ok("c")),
        ("the-first-one-counts", format!("d\n{twelve}\nc\n{twelve}\ne").into(), Ok("c\n------------\ne")),
        ("another-before-it", format!("d\n-------------\n{twelve}\nc").into(), Ok("c")),
        ("any-text", format!("d\n{twelve}\n\u{202e}\0é🦀").into(), Ok("\u{202e}\0é🦀")),
        ("empty", Vec::new(), Err(REFUSED.into())),
        ("no-delimiter", "only a text".into(), Err(REFUSED.into())),
        ("eleven", "d\n-----------\nc".into(), Err(format!("{REFUSED}: line 2 has 11"))),
        ("thirteen", "d\n-------------\nc".into(), Err(format!("{REFUSED}: line 2 has 13"))),
        ("blanks", format!("d\n{twelve} \nc").into(), Err(format!("{REFUSED}: line 2 has spaces next to them"))),
        ("within-a-line", format!("d {twelve} c").into(), Err(REFUSED.into())),
        ("no-content", format!("d\n{twelve}\n \r\n").into(), Err("has a description but no content".into())),
        ("latin-1", b"d\xe9\n".to_vec(), Err("is not UTF-8: byte 1 doesn't begin a character".into())),
        ("utf-16", b"\xff\xfed\0".to_vec(), Err("is not UTF-8: byte 0 doesn't begin a character".into())),
        (
            "late",
            [twelve.as_bytes(), b"\nc\xc3"].concat(),
            Err("is not UTF-8: byte 14 doesn't begin a character".into()),
        ),
    ];
    let machine = Machine::new();
    for (role, bytes, expected) in table {
        machine.write(&format!("home/role/{role}.md"), bytes);
        match expected {
            Ok(content) => assert_eq!(machine.find(role).unwrap().content, content, "{role}"),
            Err(problem) => assert_eq!(machine.problem(role), problem, "{role}"),
        }
    }
    // One broken file does not prevent the others from being read.
    assert_eq!(machine.roles().list().roles.iter().filter(|listed| listed.problem.is_none()).count(), 8);
}

#[test]
fn a_role_has_at_most_one_megabyte() {
    let machine = Machine::new();
    let mut text = format!("d\n{DELIMITER}\n").into_bytes();
    text.resize(1_048_576, b'x');
    machine.write("home/role/all.md", &text);
    assert_eq!(machine.find("all").unwrap().bytes, 1_048_576);
    text.push(b'x');
    machine.write("home/role/more.md", &text);
    let told = "is larger than 1 MB: it has 1048577 bytes, and 1048576 are allowed";
    assert_eq!(machine.problem("more"), told);
    // A file of a terabyte is not read to find out its size.
    fs::File::create(machine.path("home/role/huge.md")).unwrap().set_len(1 << 40).unwrap();
    assert_eq!(machine.roles().list().roles[1].bytes, 1 << 40);
    let written = machine.roles().write(&name("new"), &text, Overwrite::Never).unwrap_err();
    assert_eq!(written.to_string(), format!("the text given for the role `new` {told}"));
    assert!(!machine.path("home/role/new.md").exists());
}

#[test]
fn names_that_would_leave_the_folder_are_none() {
    let long = "x".repeat(129);
    for bad in [
        "",
        ".",
        "..",
        "../x",
        "a/../../x",
        "a/b",
        "a\\b",
        "/etc/passwd",
        "C:\\x",
        "~",
        ".hidden",
        "-r",
        "x y",
        "x\0",
        "x\n",
        "con",
        "NUL.txt",
        "com1",
        "é",
        "x.",
        &long,
    ] {
        assert!(bad.parse::<RoleName>().is_err(), "{bad:?}");
    }
    for good in ["a", "Code-Reviewer_2", "v1.2", &"x".repeat(128)] {
        assert!(good.parse::<RoleName>().is_ok(), "{good:?}");
    }
    let machine = Machine::new();
    machine.write("home/role/two words.md", format!("d\n{DELIMITER}\nc"));
    machine.write("home/role/.hidden.md", "");
    machine.write("home/role/notes.txt", "");
    let listing = machine.roles().list();
    let [listed] = &listing.roles[..] else { panic!("{listing:?}") };
    let problem = listed.problem.as_ref().unwrap().to_string();
    assert!(problem.starts_with("has a name that can't be used: role name `two words`"), "{problem}");
}

#[test]
fn nothing_outside_the_folder_is_opened() {
    let machine = Machine::new();
    let good = format!("d\n{DELIMITER}\nsecret");
    let outside = machine.write("outside.md", &good);
    machine.write("home/mcp.md", &good);
    machine.write("home/role/real.md", &good);
    machine.write("home/elsewhere/deep.md", &good);
    let role = |file: &str| machine.path(&format!("home/role/{file}.md"));
    symlink(&outside, role("absolute")).unwrap();
    symlink("../../outside.md", role("relative")).unwrap();
    symlink("../mcp.md", role("into-the-home")).unwrap();
    symlink("absolute.md", role("twice")).unwrap();
    symlink("../elsewhere", machine.path("home/role/dir")).unwrap();
    symlink("dir/deep.md", role("through-a-directory")).unwrap();
    for out in ["absolute", "relative", "into-the-home", "twice", "through-a-directory"] {
        assert_eq!(machine.problem(out), "is a link that leaves its folder", "{out}");
    }
    symlink("real.md", role("within")).unwrap();
    assert_eq!(machine.find("within").unwrap().content, "secret");
    symlink("nowhere.md", role("dangling")).unwrap();
    assert!(machine.problem("dangling").starts_with("cannot be read: "));
    symlink("loop.md", role("loop")).unwrap();
    assert!(machine.problem("loop").starts_with("cannot be read: "));
    // Nothing is written through a link either.
    for link in ["absolute", "within", "dangling"] {
        let result = machine.roles().write(&name(link), good.as_bytes(), Overwrite::Always);
        assert!(matches!(result, Err(RoleError::NotAFile { .. })), "{link}: {result:?}");
        assert!(matches!(machine.roles().read_file(&name(link)), Err(RoleError::NotAFile { .. })), "{link}");
    }
}

#[test]
fn what_is_no_regular_file_is_not_read() {
    let machine = Machine::new();
    fs::create_dir_all(machine.path("home/role/directory.md")).unwrap();
    assert_eq!(machine.problem("directory"), "is not a regular file");
    let made = std::process::Command::new("mkfifo").arg(machine.path("home/role/pipe.md")).status().unwrap();
    assert!(made.success());
    assert_eq!(machine.problem("pipe"), "is not a regular file");
    let _socket = std::os::unix::net::UnixListener::bind(machine.path("home/role/socket.md")).unwrap();
    assert_eq!(machine.problem("socket"), "is not a regular file");
}

#[test]
fn the_folder_may_be_missing_a_link_or_no_folder() {
    let machine = Machine::new();
    assert!(machine.roles().list().roles.is_empty());
    assert!(matches!(machine.find("x"), Err(RoleError::Unknown { .. })));
    machine.write("dotfiles/x.md", format!("d\n{DELIMITER}\nc"));
    fs::create_dir(machine.path("home")).unwrap();
    symlink("../dotfiles", machine.path("home/role")).unwrap();
    assert_eq!(machine.find("x").unwrap().content, "c");
    fs::remove_file(machine.path("home/role")).unwrap();
    machine.write("home/role", "");
    machine.write("user/.claude/agents/y.md", "---\nname: y\n---\nc");
    let listing = machine.roles().list();
    assert_eq!((listing.roles.len(), listing.read_errors.len()), (1, 1));
    assert!(matches!(machine.find("x"), Err(RoleError::Io { .. })));
}

/// Name, description and content, or the beginning of the problem.
type Answer = Result<(&'static str, &'static str, &'static str), &'static str>;

#[test]
fn subagents_of_claude_code_are_roles() {
    let table: [(&str, &str, Answer); 23] = [
        ("plain", "---\nname: p\ndescription: Does it\n---\n\nYou do it.\n", Ok(("p", "Does it", "You do it."))),
        (
            "other-fields",
            "---\nname: o\ntools: [Read, Grep]\nmodel: opus\nhooks: {a: {b: c}}\n---\nc",
            Ok(("o", "", "c")),
        ),
        ("crlf", "\u{feff}---\r\nname: w\r\ndescription: d\r\n---\r\na\r\nb\r\n", Ok(("w", "d", "a\r\nb"))),
        ("no-name", "---\ndescription: d\n---\nc", Ok(("no-name", "d", "c"))),
        ("nothing", "---\n---\nc", Ok(("nothing", "", "c"))),
        ("quoted", "---\nname: \"q\"\ndescription: \"a: b\\nc\"\n---\nc", Ok(("q", "a: b\nc", "c"))),
        ("folded", "---\nname: f\ndescription: >\n  a\n  b\n---\nc", Ok(("f", "a b", "c"))),
        ("number", "---\nname: 123\ndescription: true\n---\nc", Ok(("123", "true", "c"))),
        ("colon", "---\nname: c\ndescription: Use: it's so\\n\n---\nc", Ok(("c", "Use: it's so\\n", "c"))),
        ("rule-in-the-content", "---\nname: r\n---\na\n---\nb", Ok(("r", "", "a\n---\nb"))),
        ("no-front-matter", "# Read me", Err("does not begin with front matter (a line `---`)")),
        ("empty", "", Err("does not begin with front matter (a line `---`)")),
        ("four", "----\nname: x\n----\nc", Err("does not begin with front matter (a line `---`)")),
        ("open", "---\nname: x\n", Err("has front matter without a closing line `---`")),
        ("no-content", "---\nname: x\n---\n\n", Err("has a description but no content")),
        ("traversal", "---\nname: ../x\n---\nc", Err("has a name that can't be used: ")),
        ("absolute", "---\nname: /etc/passwd\n---\nc", Err("has a name that can't be used: ")),
        ("list", "---\n- a\n---\nc", Err("has front matter that can't be read: ")),
        ("unclosed", "---\nname: [x\n---\nc", Err("has front matter that can't be read: ")),
        ("emoji", "---\nname: e\n---\n👩\u{200d}💻 ❤\u{fe0f}", Ok(("e", "", "👩\u{200d}💻 ❤\u{fe0f}"))),
        ("hidden", "---\nname: x\n---\na\n😀\u{e0169}", Err("has a hidden character in line 5: `\\u{e0169}`")),
        ("turned", "---\nname: x\ndescription: \u{202e}\n---\na", Err("has a hidden character in line 3: ")),
        ("twice", "---\nname: x\nname: y\n---\nc", Err("has front matter that can't be read: ")),
    ];
    for (file, text, expected) in table {
        let machine = Machine::new();
        machine.write(&format!("user/.claude/agents/{file}.md"), text);
        match expected {
            Ok((role, description, content)) => {
                let role = machine.find(role).unwrap();
                assert_eq!((role.description.as_str(), role.content.as_str()), (description, content), "{file}");
                assert_eq!(role.source, RoleSource::User);
            }
            Err(start) => {
                let problem = machine.problem(file);
                assert!(problem.starts_with(start) && !problem.contains('\n'), "{file}: {problem}");
            }
        }
    }
}

#[test]
fn hostile_front_matter_costs_nothing() {
    let deep = format!("name: {}", "[".repeat(60_000));
    let nested = format!("x: {}1{}", "{a: ".repeat(5_000), "}".repeat(5_000));
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let before = format!("*a{}", level - 1);
        laughs.push_str(&format!("a{level}: &a{level} [{}]\n", vec![before; 8].join(", ")));
    }
    laughs.push_str("name: *a11\n");
    let many: String = (0..12_000).map(|n| format!("k{n}: 1\n")).collect();
    for (front, told) in [
        (deep, "has front matter that can't be read: "),
        (nested, "has front matter that can't be read: "),
        (laughs, "has front matter that can't be read: "),
        (many, "has front matter "),
        ("x: ".to_owned() + &"y".repeat(70_000), "has front matter of more than 64 KiB"),
    ] {
        let start = std::time::Instant::now();
        let problem = parse::parse_subagent(format!("---\n{front}\n---\nc").as_bytes(), "x").unwrap_err().to_string();
        assert!(problem.starts_with(told) && problem.len() < 400, "{problem}");
        assert!(start.elapsed().as_secs() < 5, "{:?}: {problem}", start.elapsed());
    }
}

#[test]
fn the_first_of_a_name_counts_and_shadows_the_others() {
    let machine = Machine::new();
    let agent = |content: &str| format!("---\nname: x\n---\n{content}");
    machine.write("user/.claude/agents/x.md", agent("user"));
    assert_eq!(machine.find("x").unwrap().content, "user");
    let project = machine.write("project/.claude/agents/b.md", agent("project"));
    machine.write("project/.claude/agents/c.md", agent("later"));
    assert_eq!(machine.find("x").unwrap().content, "project");
    let by = |listing: &RoleListing| -> Vec<Option<PathBuf>> {
        listing.roles.iter().map(|listed| listed.shadowed_by.clone()).collect()
    };
    assert_eq!(by(&machine.roles().list()), [None, Some(project.clone()), Some(project)]);
    let own = machine.write("home/role/x.md", format!("d\n{DELIMITER}\nown"));
    assert_eq!(machine.find("x").unwrap().content, "own");
    assert_eq!(by(&machine.roles().list()), [None, Some(own.clone()), Some(own.clone()), Some(own.clone())]);
    // A broken role counts too, so that no other role is used in its place.
    fs::write(&own, "broken").unwrap();
    machine.problem("x");
    assert_eq!(by(&machine.roles().list())[1], Some(own));
}

#[test]
fn in_the_users_home_its_subagents_are_the_users_alone() {
    let machine = Machine::new();
    machine.write("user/.claude/agents/x.md", "---\nname: x\n---\nc");
    let roles = machine.roles_with(machine.path("user"), true);
    let listing = roles.list();
    assert_eq!(listing.roles.len(), 1);
    assert_eq!((listing.roles[0].source, &listing.roles[0].shadowed_by), (RoleSource::User, &None));
}

#[test]
fn roles_of_a_directory_that_is_not_trusted_are_seen_and_not_used() {
    let machine = Machine::new();
    let theirs = machine.write("project/.claude/agents/x.md", "---\nname: x\n---\ntheirs");
    let roles = machine.roles_with(machine.path("project"), false);
    let Err(RoleError::NotTrusted { directory, .. }) = roles.find(&name("x")) else { panic!("it is used") };
    assert_eq!(directory, machine.path("project"));
    assert_eq!(roles.view(&name("x")).unwrap().content, "theirs");
    // An untrusted role takes no name away.
    let ours = machine.write("user/.claude/agents/x.md", "---\nname: x\n---\nours");
    assert_eq!(roles.find(&name("x")).unwrap().content, "ours");
    let listing = roles.list();
    let all: Vec<_> = listing.roles.iter().map(|role| (&role.path, role.trusted, &role.shadowed_by)).collect();
    assert_eq!(all, [(&ours, true, &None), (&theirs, false, &Some(ours.clone()))]);
}

#[test]
fn a_project_that_is_exchanged_for_a_link_lends_no_trust() {
    let machine = Machine::new();
    machine.write("project/.claude/agents/x.md", "---\nname: x\n---\nours");
    machine.write("evil/.claude/agents/x.md", "---\nname: x\n---\ntheirs");
    let project = fs::canonicalize(machine.path("project")).unwrap();
    assert_eq!(machine.roles_with(project.clone(), true).find(&name("x")).unwrap().content, "ours");
    fs::rename(&project, machine.path("moved")).unwrap();
    symlink(machine.path("evil"), &project).unwrap();
    assert!(machine.roles_with(project, true).find(&name("x")).is_err());
}

#[test]
fn a_projects_folder_leads_not_out_of_the_project() {
    let machine = Machine::new();
    machine.write("elsewhere/x.md", "---\nname: x\n---\nsecret");
    fs::create_dir_all(machine.path("project/.claude")).unwrap();
    symlink("../../elsewhere", machine.path("project/.claude/agents")).unwrap();
    let listing = machine.roles().list();
    assert!(listing.roles.is_empty(), "{listing:?}");
    assert_eq!(listing.read_errors.len(), 1);
    assert!(matches!(machine.find("x"), Err(RoleError::Unknown { .. })));
    // The user's own folder may lead elsewhere: people keep their configuration in a repository.
    fs::create_dir_all(machine.path("user/.claude")).unwrap();
    symlink("../../elsewhere", machine.path("user/.claude/agents")).unwrap();
    assert_eq!(machine.find("x").unwrap().source, RoleSource::User);
}

#[test]
fn a_role_is_written_as_a_whole_and_only_when_it_is_one() {
    let machine = Machine::new();
    let roles = machine.roles();
    let text = Roles::render_file("Does it", "\u{feff}You do it.\n".as_bytes()).unwrap();
    let role = roles.write(&name("x"), &text, Overwrite::Never).unwrap();
    assert_eq!(role, machine.find("x").unwrap());
    assert_eq!(fs::read_to_string(&role.path).unwrap(), "Does it\n------------\nYou do it.\n");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&role.path), mode(&roles.own_dir())), (0o600, 0o700));

    let again = roles.write(&name("x"), &text, Overwrite::Never);
    assert!(matches!(again, Err(RoleError::Exists { .. })), "{again:?}");
    let invalid = roles.write(&name("x"), b"nothing", Overwrite::Always);
    assert!(matches!(invalid, Err(RoleError::Invalid { .. })), "{invalid:?}");
    assert_eq!(fs::read(&role.path).unwrap(), text);

    fs::set_permissions(&role.path, fs::Permissions::from_mode(0o644)).unwrap();
    // A file left by a killed process does no harm.
    machine.write("home/role/.aiw-new", "cut o");
    let other = Roles::render_file("Another", b"c").unwrap();
    let changed = roles.write(&name("x"), &other, Overwrite::IfUnchanged(b"what it never was"));
    assert!(matches!(changed, Err(RoleError::Changed { .. })), "{changed:?}");
    let gone = roles.write(&name("gone"), &other, Overwrite::IfUnchanged(&text));
    assert!(matches!(gone, Err(RoleError::Changed { .. })), "{gone:?}");
    roles.write(&name("x"), &other, Overwrite::IfUnchanged(&text)).unwrap();
    assert_eq!((fs::read(&role.path).unwrap(), mode(&role.path)), (other, 0o644));
    assert!(!machine.path("home/role/.aiw-new").exists());
}

#[test]
fn of_two_that_write_one_role_at_once_one_is_refused() {
    let machine = Machine::new();
    let text = Roles::render_file("d", b"c").unwrap();
    let write = || machine.roles().write(&name("x"), &text, Overwrite::Never);
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(write)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert!(results.iter().flat_map(|r| r.as_ref().err()).all(|e| matches!(e, RoleError::Exists { .. })));
}

#[test]
fn a_description_can_be_told_from_what_follows_it() {
    for bad in ["a\nb", "a\r\n------------\nb", DELIMITER] {
        assert!(matches!(Roles::render_file(bad, b"c"), Err(RoleError::InvalidDescription { .. })), "{bad:?}");
    }
}

#[test]
fn only_what_is_aiws_own_can_be_edited() {
    let machine = Machine::new();
    machine.write("user/.claude/agents/agent.md", "---\nname: agent\n---\nc");
    machine.write("user/.claude/agents/bad.md", "");
    for role in ["agent", "bad"] {
        let result = machine.roles().read_file(&name(role));
        assert!(matches!(result, Err(RoleError::ReadOnly { .. })), "{result:?}");
    }
    assert!(matches!(machine.roles().read_file(&name("none")), Err(RoleError::Unknown { .. })));
    // A broken role can be repaired.
    machine.write("home/role/broken.md", b"\xff");
    assert_eq!(machine.roles().read_file(&name("broken")).unwrap(), b"\xff");
}

#[test]
fn the_prompt_is_the_roles_a_rule_and_the_task() {
    let machine = Machine::new();
    machine.write("home/role/a.md", format!("d\n{DELIMITER}\n\nYou are a.\n\n"));
    machine.write("home/role/b.md", format!("d\r\n{DELIMITER}\r\nYou are b.\r\nReally.\r\n"));
    let roles = [machine.find("a").unwrap(), machine.find("b").unwrap()];
    assert_eq!(compose(&roles[..1], b"Do it\n"), b"You are a.\n\n---\n\nDo it\n");
    assert_eq!(compose(&roles, b"Do it"), b"You are a.\n\n---\n\nYou are b.\r\nReally.\n\n---\n\nDo it");
    assert_eq!(compose(&[], b"  Do it"), b"  Do it");
}

/// Generates pieces of the two formats, and other bytes.
fn any_file() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(format!("{DELIMITER}\n").into_bytes()),
        Just(format!("{DELIMITER}-\r\n").into_bytes()),
        Just(b"---\n".to_vec()),
        Just(b"---\r\n".to_vec()),
        Just(b"name: x\n".to_vec()),
        Just(b"description: a: b\n".to_vec()),
        Just(b"\xef\xbb\xbf".to_vec()),
        "[-a-z:&*!|>%@`\"'#{}\\[\\],? \t\r\n]{0,40}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..40),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

mod fuzz {
    use super::*;
    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in any_file()) {
            let _ = parse::parse_subagent(&bytes, "x");
            let machine = Machine::new();
            machine.write("home/role/x.md", &bytes);
            match machine.find("x") {
                Ok(role) => {
                    prop_assert!(!role.content.trim().is_empty());
                    prop_assert_eq!(role.bytes, bytes.len() as u64);
                }
                Err(e) => prop_assert!(matches!(e, RoleError::Broken { .. }), "{}", e),
            }
        }
    }
    proptest! {
        // Each case waits for the disk.
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn what_is_written_is_read(description in "[^\r\n\u{feff}]{0,40}", content in "(?s).{1,80}") {
            prop_assume!(description.trim() != DELIMITER && !content.trim().is_empty() && !content.starts_with('\u{feff}'));
            let text = Roles::render_file(&description, content.as_bytes()).unwrap();
            let machine = Machine::new();
            let written = machine.roles().write(&name("x"), &text, Overwrite::Never).unwrap();
            prop_assert_eq!(&written.description, description.trim());
            prop_assert_eq!(&written.content, content.trim_matches(['\r', '\n']));
            prop_assert_eq!(written, machine.find("x").unwrap());
        }
    }
}

#[test]
fn a_role_that_says_nothing_yet_is_good_for_a_run_and_not_for_its_author() {
    let world = Machine::new();
    let text = |description: &str, content: &[u8]| Roles::render_file(description, content).unwrap();
    world.write("home/role/new.md", text(DESCRIPTION_PLACEHOLDER, CONTENT_PLACEHOLDER));
    world.write("home/role/half.md", text("Does it", CONTENT_PLACEHOLDER));
    world.write("home/role/good.md", text("Does it", b"You do it."));
    world.write("home/role/bad.md", "no line of dashes");
    let problems = |name: Option<&str>| -> Vec<(String, Option<String>)> {
        let (checked, unread) = world.roles().validate(name);
        assert!(unread.is_empty(), "{unread:?}");
        checked.into_iter().map(|(role, problem)| (role.name, problem)).collect()
    };
    let all = problems(None);
    assert_eq!(all.iter().filter(|(_, problem)| problem.is_none()).map(|(name, _)| name).collect::<Vec<_>>(), ["good"]);
    let half = "still has the content of the template: `aiw role edit half`";
    assert_eq!(problems(Some("half")), [("half".into(), Some(half.into()))]);
    let new = "still has the description and the content of the template: `aiw role edit new`";
    assert!(all.contains(&("new".into(), Some(new.into()))), "{all:?}");
    assert!(problems(Some("nobody")).is_empty());
}
