//! Attaching to a process, on real terminals.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use aiw_tests::{Run, not_run};
use rustix::process::Signal;

use super::Project;

use crate::terminal::Terminal;
use crate::until;

const ASKS: &str =
    "process \"asks\" { shell \"stty -echo; printf 'name? '; while read name; do echo \\\"hello $name\\\"; \
                    stty size; printf 'name? '; done\"; terminal rows=24 columns=80 }
                    process \"lines\" { command \"cat\"; input #true }
                    process \"deaf\" { command \"sleep\" \"1000\" }";

fn attach(project: &Project, rest: &[&str]) -> Terminal {
    Terminal::start(project, &[&["process", "attach"], rest].concat())
}

fn pid(project: &Project, id: &str) -> u64 {
    project.ps(id)["pid"].as_u64().unwrap()
}

#[test]
fn a_question_is_answered_and_the_process_runs_on() {
    let project = Project::new(ASKS);
    project.up(&["asks"]);
    let before = pid(&project, "asks");
    let mut terminal = attach(&project, &["asks"]);
    // The question was asked before.
    terminal.wait_for("name? ");
    terminal.press("Kestrel\r");
    terminal.wait_for("hello Kestrel");
    // The process's terminal is as large as this one.
    terminal.wait_for("24 100");
    terminal.press("\u{1d}");
    assert!(terminal.ends().success());
    terminal.wait_for("`asks` runs on");
    assert_eq!(pid(&project, "asks"), before);
    // A second time, with all that was written meanwhile.
    let mut again = attach(&project, &["asks", "--detach-key", "ctrl-q"]);
    again.wait_for("hello Kestrel");
    again.press("\u{1d}x\r");
    again.wait("the answer", |shown| shown.matches("hello").count() == 2);
    again.press("\u{1b}[113;5u");
    assert!(again.ends().success());
    // Nobody looks at it, so it has its own size again.
    project.run(&["process", "input", "asks", "more"]).ok();
    until(|| project.lines("asks").iter().any(|line| line.contains("24 80")));
}

#[test]
fn the_smallest_of_several_counts_and_a_reader_changes_nothing() {
    let project = Project::new(ASKS);
    project.up(&["asks"]);
    let (mut one, two) = (attach(&project, &["asks"]), attach(&project, &["asks"]));
    one.wait_for("name? ");
    two.wait_for("name? ");
    let small = portable_pty::PtySize { rows: 10, cols: 40, pixel_width: 0, pixel_height: 0 };
    two.master.resize(small).unwrap();
    let mut reader = attach(&project, &["asks", "--read-only"]);
    reader.wait_for("name? ");
    reader.press("nothing of this arrives\r");
    let tiny = portable_pty::PtySize { rows: 5, cols: 20, pixel_width: 0, pixel_height: 0 };
    reader.master.resize(tiny).unwrap();
    // The size arrives some time after the signal.
    until(|| {
        one.press("a\r");
        project.lines("asks").iter().any(|line| line.contains("10 40"))
    });
    assert!(!project.lines("asks").iter().any(|line| line.contains("arrives") || line.contains("5 20")));
    // A viewer that is killed leaves no mark.
    two.signal(Signal::KILL);
    until(|| {
        one.press("b\r");
        project.lines("asks").last().is_some_and(|line| line.contains("24 100"))
            || project.lines("asks").iter().rev().take(4).any(|line| line.contains("24 100"))
    });
    // It ends meanwhile: everybody is told.
    project.run(&["stop", "asks"]).ok();
    assert!(one.ends().success() && reader.ends().success());
    one.wait_for("`asks` is stopped");
}

#[test]
fn a_process_without_a_terminal_shows_its_log_and_takes_lines() {
    let project = Project::new(ASKS);
    project.up(&["lines", "deaf"]);
    project.run(&["process", "input", "lines", "before"]).ok();
    let mut terminal = attach(&project, &["lines"]);
    terminal.wait_for("before");
    terminal.press("typed here\r");
    until(|| project.lines("lines") == ["before", "typed here"]);
    terminal.press("\u{1d}");
    assert!(terminal.ends().success());
    let mut deaf = attach(&project, &["deaf"]);
    deaf.wait_for("takes no input");
    deaf.press("\u{3}");
    assert!(deaf.ends().success());
    let refused = project.run(&["process", "attach", "lines"]);
    assert_eq!((refused.code, refused.stderr.contains("needs a terminal")), (2, true), "{}", refused.stderr);
    let mut unknown = attach(&project, &["liens"]);
    assert_eq!(unknown.ends().exit_code(), 2);
    unknown.wait_for("lines");
}

#[test]
fn who_attaches_in_a_pause_sees_the_next_life() {
    let project = Project::new(
        "process \"again\" { shell \"echo life $$; test -e second && exec cat; touch second; exit 1\"; input #true
            restart \"on-failure\" backoff=\"7s\" }",
    );
    project.up(&[]);
    until(|| project.ps("again")["restarts"] == 1);
    let mut terminal = attach(&project, &["again"]);
    terminal.wait("two lives", |shown| shown.matches("life").count() == 2);
    terminal.press("typed\r");
    until(|| project.lines("again").last().is_some_and(|line| line == "typed"));
    terminal.press("\u{1d}");
    assert!(terminal.ends().success());
}

#[test]
fn it_is_left_although_nobody_reads_its_terminal() {
    use portable_pty::{CommandBuilder, PtySize, native_pty_system};
    let project = Project::new("process \"floods\" { command \"yes\"; terminal rows=24 columns=80 }");
    project.up(&[]);
    for signal in [None, Some(Signal::TERM), Some(Signal::HUP)] {
        let pair = native_pty_system().openpty(PtySize::default()).unwrap();
        let mut command = CommandBuilder::new(project.parts().0);
        command.args(["process", "attach", "floods"]);
        command.env_clear();
        project.parts().1.iter().for_each(|(name, value)| command.env(name, value));
        command.cwd(project.path(""));
        let mut child = pair.slave.spawn_command(command).unwrap();
        let mut keys = pair.master.take_writer().unwrap();
        // Its terminal is full by now, and it waits.
        std::thread::sleep(std::time::Duration::from_secs(1));
        let pid = i32::try_from(child.process_id().unwrap()).unwrap();
        match signal {
            None => std::io::Write::write_all(&mut keys, b"\x1d").unwrap(),
            Some(signal) => {
                rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal).unwrap()
            }
        }
        until(|| child.try_wait().unwrap().is_some());
    }
    assert_eq!(project.ps("floods")["state"], "running");
}

#[test]
fn a_terminal_of_any_size_takes_no_memory_of_that_size() {
    let project =
        Project::new("process \"wide\" { shell \"echo drawn; exec cat\"; terminal rows=60000 columns=60000 }");
    project.up(&[]);
    let mut terminal = attach(&project, &["wide", "--read-only"]);
    terminal.wait_for("drawn");
    let status = fs::read_to_string(format!("/proc/{}/status", terminal.child.process_id().unwrap())).unwrap();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kilobytes: u64 = most.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kilobytes < 500_000, "{most}");
    terminal.press("\u{1d}");
    terminal.ends();
}

/// The sockets of shims in the runtime directory.
fn sockets(project: &Project) -> Vec<PathBuf> {
    let runtime = project.parts().1.iter().find(|(name, _)| *name == "AIW_RUNTIME_DIR").unwrap().1.clone();
    let entries = fs::read_dir(runtime).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket())).collect()
}

#[test]
fn a_socket_goes_with_its_shim_and_hostile_bytes_end_only_their_own_connection() {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    let project = Project::new(ASKS);
    project.up(&["lines"]);
    let socket = sockets(&project).pop().unwrap();
    let connect = || UnixStream::connect(&socket).unwrap();
    // More than may be connected, silent, half a frame, no frame at all, a flood that reads no answers.
    let silent: Vec<_> = (0..100).map(|_| connect()).collect();
    drop(silent);
    let half: Vec<_> = [&b"i"[..], b"i\x00\x09half", b"s\x00\x04"]
        .map(|bytes| {
            let mut stream = connect();
            stream.write_all(bytes).unwrap();
            stream
        })
        .into();
    for bytes in [&b"i\xff\xff"[..], b"?\x00\x00", b"s\x00\x04\x00\x00\x00\x00", b"s\x00\x05abcde"] {
        let mut stream = connect();
        stream.write_all(bytes).unwrap();
        let mut all = Vec::new();
        // Either way it is over.
        let _ = stream.read_to_end(&mut all);
        assert_eq!(all.first(), Some(&1), "{bytes:?}");
    }
    let mut flood = connect();
    for _ in 0..1000 {
        flood.write_all(b"i\x00\x02x\n").unwrap();
    }
    project.run(&["process", "input", "lines", "still there"]).ok();
    until(|| project.lines("lines").iter().any(|line| line == "still there"));
    drop((half, flood));
    project.run(&["stop", "lines"]).ok();
    until(|| sockets(&project).is_empty());
}

/// The runtime directory is closed to others; here somebody has opened it.
#[test]
fn another_user_reaches_no_terminal() {
    const USER: u32 = 65_534;
    // perl-base is part of every Debian, and nothing of it lies in a home.
    const CONNECTS: &str = "use IO::Socket::UNIX; $SIG{PIPE} = 'IGNORE'; $SIG{ALRM} = sub { die 'kept' };
        my $to = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die \"no connection: $!\";
        $to->autoflush(1); print $to \"i\\x00\\x07theirs\\n\"; alarm 20;
        my $got = sysread($to, my $bytes, 100); print defined $got ? \"got $got\" : 'reset';";

    if !rustix::process::geteuid().is_root() {
        return not_run("only root can become another user");
    }
    let project = Project::new(ASKS);
    project.up(&["lines"]);
    let socket = sockets(&project).pop().unwrap();
    for (path, mode) in socket.ancestors().zip([0o777].into_iter().chain(std::iter::repeat(0o755))) {
        if !path.ends_with("tmp") && path.parent().is_some() {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
    }
    let connect = |user: u32| {
        let mut perl = Command::new("/usr/bin/perl");
        perl.args(["-e", CONNECTS]).arg(&socket).uid(user).gid(user);
        Run::from(perl.output().unwrap()).ok().stdout
    };
    // Ours is greeted and answered.
    assert_ne!(connect(0), "got 0");
    let foreign = connect(USER);
    assert!(foreign == "got 0" || foreign == "reset", "{foreign}");
    until(|| project.lines("lines").iter().any(|line| line == "theirs"));
    assert_eq!(project.lines("lines").iter().filter(|line| *line == "theirs").count(), 1);
}
