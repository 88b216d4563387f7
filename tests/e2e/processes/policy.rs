//! What the shim does for a process: restarts, probes, needs, limits, and its end.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{Project, free_port, is_there, late_server};
use crate::until;

#[test]
fn a_crash_loop_is_named_and_ends_although_its_pauses_outgrow_the_window() {
    // `q` goes on long after the doctor has looked.
    let project = Project::new(
        "process \"p\" { shell \"exit 7\"; restart \"on-failure\" max=6 within=\"300ms\" backoff=\"50ms..600ms\" }
         process \"q\" { shell \"exit 7\"; restart \"on-failure\" max=100 backoff=\"50ms..2s\" }",
    );
    project.up(&[]);
    project.until("q", "crash_looping");
    let doctor = project.run(&["doctor"]);
    assert!(
        doctor.whole().contains("process `q` crashes again and again: starts again: exit code 7"),
        "{}",
        doctor.whole()
    );
    let failed = project.until("p", "failed");
    assert_eq!(failed["restarts"], 6, "{failed}");
    assert!(failed["reason"].as_str().unwrap().contains("6 times in a row"), "{failed}");
}

#[test]
fn what_fails_is_started_again_in_a_row_of_its_length_and_says_why() {
    let project = Project::new(
        "process \"p\" { shell \"echo again; exit 7\"; restart \"on-failure\" max=3 within=\"60s\" backoff=\"10ms..40ms\" }",
    );
    project.up(&[]);
    let failed = project.until("p", "failed");
    assert_eq!((failed["restarts"].as_u64(), failed["exit_code"].as_u64()), (Some(3), Some(7)), "{failed}");
    assert!(
        failed["restart_reasons"].as_array().unwrap().iter().all(|cause| cause["reason"] == "exit code 7"),
        "{failed}"
    );
    assert!(failed["reason"].as_str().unwrap().contains("3 times in a row"), "{failed}");
    assert_eq!(project.lines("p").len(), 4);
    // Whoever starts it again begins anew.
    project.up(&[]);
    assert_eq!(project.until("p", "failed")["restarts"], 3);
}

#[test]
fn an_exit_of_0_is_started_again_only_under_always_and_a_success_code_is_a_success() {
    let project = Project::new(
        "process \"always\" { command \"true\"; restart \"always\" max=2 within=\"60s\" backoff=\"10ms\" }
         process \"on-failure\" { command \"true\"; restart \"on-failure\" }
         process \"three\" { shell \"exit 3\"; success 0 3; restart \"on-failure\" }",
    );
    project.up(&[]);
    // It has ended with success as often as it may, and still does not run.
    assert_eq!(project.until("always", "failed")["restarts"], 2);
    assert_eq!(project.until("on-failure", "stopped")["restarts"], 0);
    assert_eq!(project.until("three", "stopped")["exit_code"], 3);
}

#[test]
fn a_process_is_ready_when_its_probe_says_so() {
    let (http, tcp) = (free_port(), free_port());
    let project = Project::new(&format!(
        "process \"http\" {{ command \"python3\" \"-c\" \"{}\"; ready http=\"http://127.0.0.1:{http}/\" every=\"20ms\" }}
         process \"tcp\" {{ command \"python3\" \"-c\" \"{}\"; ready tcp={tcp} every=\"20ms\" }}
         process \"line\" {{ shell \"printf '\\\\033[1mLocal\\\\033[22m: '; sleep 0.2; echo 'http://x'; exec sleep 1000\"; ready line=\"Local: *http\" }}
         process \"exec\" {{ shell \"sleep 0.2; touch made; exec sleep 1000\"; ready exec=\"test\" \"-e\" \"made\" every=\"20ms\" }}
         process \"after\" {{ shell \"echo up; exec sleep 1000\"; needs \"http\" until=\"healthy\"; needs \"tcp\" until=\"healthy\" }}",
        late_server(http, "0.3"),
        late_server(tcp, "0.3"),
    ));
    project.up(&[]);
    assert_eq!(project.ps("http")["state"], "starting");
    for id in ["http", "tcp", "line", "exec", "after"] {
        let ready = project.until(id, "running");
        assert!(id == "after" || ready["ready"] == true, "{ready}");
    }
    let log = project.says("after");
    assert!(log.contains("waits until `http` is healthy"), "{log}");
}

#[test]
fn what_is_not_ready_in_time_and_what_no_longer_works_is_started_again() {
    let port = free_port();
    let project = Project::new(&format!(
        "process \"never\" {{ command \"sleep\" \"1000\"; ready tcp={port} every=\"20ms\" timeout=\"200ms\"
             restart \"on-failure\" max=1 within=\"60s\" backoff=\"10ms\" }}
         process \"live\" {{ shell \"touch alive; sleep 0.5; rm -f alive; exec sleep 1000\"
             live exec=\"test\" \"-e\" \"alive\" every=\"50ms\" failures=2; restart \"on-failure\" backoff=\"10ms\" max=100 }}
         process \"left\" {{ shell \"exec sleep 1000\"; live exec=\"false\" every=\"20ms\" failures=1 }}",
    ));
    project.up(&[]);
    let never = project.until("never", "failed");
    assert!(
        never["restart_reasons"][0]["reason"].as_str().unwrap().starts_with("it was not ready in 200 ms"),
        "{never}"
    );
    let live = until(|| Some(project.ps("live")).filter(|now| now["restarts"].as_u64() > Some(0)));
    assert!(live["restart_reasons"][0]["reason"].as_str().unwrap().starts_with("its probe failed 2 times"), "{live}");
    // Without a policy, it is told, and left alone.
    let left = project.until("left", "unhealthy");
    assert!(is_there(left["pid"].as_u64().unwrap()) && left["restarts"] == 0, "{left}");
}

#[test]
fn a_port_that_a_stranger_holds_is_not_readiness() {
    let stranger = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = stranger.local_addr().unwrap().port();
    let project = Project::new(&format!(
        "process \"p\" {{ command \"sleep\" \"1000\"; ready tcp={port} every=\"20ms\" timeout=\"300ms\" }}"
    ));
    project.up(&[]);
    let told = project.until("p", "unhealthy");
    let expected = format!("port {port} is in use by process {}", std::process::id());
    assert!(told["reason"].as_str().unwrap().contains(&expected), "{told}");
}

#[test]
fn what_fails_because_its_port_is_taken_says_who_has_it() {
    let stranger = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = stranger.local_addr().unwrap().port();
    let project = Project::new(&format!(
        "process \"p\" {{ command \"python3\" \"-m\" \"http.server\" \"--bind\" \"127.0.0.1\" \"{port}\"; ready tcp={port} }}"
    ));
    let run = project.run(&["up", "--wait", "--yes", "--timeout", "20s"]);
    assert_eq!(run.code, 1, "{}", run.whole());
    let expected = format!("exit code 1: port {port} is in use by process {}", std::process::id());
    assert!(run.stdout.contains(&expected), "{}", run.whole());
    assert!(project.ps("p")["reason"].as_str().unwrap().starts_with(&expected));
}

#[test]
fn up_waits_until_all_are_ready_and_ps_shows_their_ports() {
    let port = free_port();
    let project = Project::new(&format!(
        "process \"web\" {{ command \"python3\" \"-c\" \"{}\"; ready tcp={port} every=\"20ms\" }}
         process \"once\" {{ command \"true\" }}
         process \"never\" {{ command \"sleep\" \"1000\"; ready line=\"x\"; auto-start #false }}
         process \"bad\" {{ shell \"sleep 0.2; exit 3\"; ready line=\"x\"; auto-start #false }}",
        late_server(port, "0.3"),
    ));
    let up = project.json(&["up", "--wait", "--yes"]);
    assert_eq!(up["processes"].as_array().unwrap().len(), 2, "{up}");
    let web = project.ps("web");
    assert_eq!((&web["state"], &web["ports"]), (&serde_json::json!("running"), &serde_json::json!([port])), "{web}");
    let late = project.run(&["up", "--wait", "--timeout", "300ms", "never"]);
    assert_eq!(late.code, 124, "{}", late.whole());
    let bad = project.run(&["up", "--wait", "bad"]);
    assert_eq!((bad.code, bad.stdout.contains("bad failed: exit code 3")), (1, true), "{}", bad.whole());
    // The same for what runs: until it is ready, or until it ends.
    assert!(project.run(&["wait", "web", "--ready"]).ok().stdout.contains("web ready"));
    assert_eq!(project.run(&["wait", "web", "--timeout", "200ms"]).code, 124);
    assert_eq!(project.run(&["wait", "once", "bad"]).code, 1);
    assert_eq!(project.run(&["wait", "once"]).ok().code, 0);
}

#[test]
fn up_counts_what_is_scheduled_and_what_fails_after_it_was_ready() {
    let project = Project::new(
        "process \"nightly\" { command \"true\"; cron \"@daily\" }
         process \"db\" { shell \"echo up; until [ -e go ]; do sleep 0.05; done; exit 4\"; ready line=\"up\" }
         process \"web\" { shell \"sleep 2; touch go; sleep 1; echo late; exec sleep 1000\"; ready line=\"late\"; needs \"db\" }
         process \"bar\" { shell \"printf '10 %%\\\\r\\\\033[2K100 %%\\\\n'\" }",
    );
    let up = project.run(&["up", "--wait", "--yes"]);
    assert_eq!(up.code, 1, "{}", up.whole());
    for line in
        ["nightly scheduled, next run in ", "db ready", "web ready", "db failed: exit code 4 after it was ready"]
    {
        assert!(up.stdout.contains(line), "{line}: {}", up.whole());
    }
    let hint = "error: 1 of 4 failed\nhint: `aiw logs db` shows what it wrote; `db` is needed by `web`";
    assert!(up.stderr.contains(hint), "{}", up.whole());
    // What was written over is not shown.
    let log = project.run(&["logs", "bar"]).ok().stdout;
    assert!(log.contains("\n100 %\n") && !log.contains("10 %\r"), "{log}");
    assert_eq!(project.run(&["logs", "bar", "--raw"]).ok().stdout, "10 %\r\u{1b}[2K100 %\n");
}

#[test]
fn a_limit_that_nobody_can_keep_is_said_before_the_start() {
    let project = Project::new("process \"p\" { command \"sleep\" \"1000\"; limits cpu=50 }");
    let run = project.run(&["up", "-d", "--yes"]).ok();
    let by = &project.ps("p")["limits"]["cpu"];
    assert_eq!(run.stderr.contains("note: `p`: the processor is not limited"), by == "none", "{}", run.whole());
}

#[test]
fn needs_hold_the_order_and_a_failure_travels() {
    let project = Project::new(
        "process \"db\" { shell \"sleep 0.2; echo db; exec sleep 1000\"; ready line=\"db\" }
         process \"migrate\" { shell \"sleep 0.1; echo done\"; needs \"db\" until=\"healthy\" }
         process \"api\" { command \"sleep\" \"1000\"; needs \"migrate\" until=\"completed\" }
         process \"bad\" { shell \"exit 5\" }
         process \"held\" { command \"sleep\" \"1000\"; needs \"bad\" until=\"completed\" }
         process \"held-too\" { command \"sleep\" \"1000\"; needs \"held\" }
         process \"slow\" { shell \"sleep 0.3; touch made; echo up; exec sleep 1000\"; ready line=\"up\" }
         process \"eager\" { shell \"test -e made && exec sleep 1000\"; needs \"slow\" }",
    );
    project.up(&[]);
    project.until("api", "running");
    // Without a word, what has a probe is waited for until it is ready.
    project.until("eager", "running");
    assert_eq!(project.until("migrate", "stopped")["exit_code"], 0);
    let held = project.until("held", "failed");
    assert!(held["reason"].as_str().unwrap().contains("held back by `bad`: exit code 5"), "{held}");
    let too = project.until("held-too", "failed");
    assert!(too["reason"].as_str().unwrap().contains("held back by `held`"), "{too}");
    let down = project.json(&["down"]);
    let stopped = down["stopped"].as_array().unwrap();
    let place = |id: &str| stopped.iter().position(|stopped| stopped == id).unwrap();
    assert!(place("api") < place("db") && place("eager") < place("slow"), "{down}");
}

#[test]
fn a_condition_waits_through_restarts() {
    let project = Project::new(
        "process \"db\" { shell \"n=$(cat n 2>/dev/null || echo 0); echo $((n + 1)) > n; [ $n -ge 3 ] || exit 1; echo ready; exec sleep 1000\"
             ready line=\"ready\"; restart \"on-failure\" backoff=\"50ms\" max=10 }
         process \"api\" { command \"sleep\" \"1000\"; needs \"db\" until=\"healthy\" }",
    );
    project.up(&[]);
    project.until("api", "running");
    assert_eq!(project.ps("db")["restarts"], 3);
}

#[test]
fn a_stop_takes_the_whole_tree_and_its_time() {
    let project = Project::new(
        "process \"tree\" { shell \"setsid sleep 987 & (sleep 988 &) ; trap '' TERM; while :; do sleep 0.05; done\"; stop grace=\"300ms\" }
         process \"int\" { shell \"trap 'echo by int; exit 0' INT; while :; do sleep 0.05; done\"; stop signal=\"INT\" }
         process \"pausing\" { shell \"exit 1\"; restart \"always\" backoff=\"30s\" }",
    );
    project.up(&[]);
    let count = || {
        let all = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path().join("cmdline"));
        let ours = |text: &Vec<u8>| text.starts_with(b"sleep\x00987\x00") || text.starts_with(b"sleep\x00988\x00");
        all.filter_map(|path| fs::read(path).ok()).filter(ours).count()
    };
    until(|| count() == 2);
    until(|| project.says("pausing").contains("ended"));
    let start = Instant::now();
    assert_eq!(project.json(&["down"])["stopped"].as_array().unwrap().len(), 3);
    assert!(start.elapsed() < Duration::from_secs(20), "a pause of 30 s is not waited for");
    assert_eq!(count(), 0);
    assert_eq!(project.lines("int"), ["by int"]);
    for id in ["tree", "int", "pausing"] {
        assert_eq!(project.ps(id)["state"], "stopped", "{id}");
    }
}

#[test]
fn limits_bind_or_say_that_they_do_not() {
    let project = Project::new(
        "process \"forks\" { shell \"for i in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done; wait\"; limits pids=5 }
         process \"eats\" { command \"python3\" \"-c\" \"x = bytearray(300000000); import time; time.sleep(1000)\"; limits memory=\"64MB\" }
         process \"files\" { shell \"ulimit -n; exec sleep 1000\"; limits files=77 cpu=50 }",
    );
    project.up(&[]);
    let forks = project.until("forks", "failed");
    let by = forks["limits"]["pids"].as_str().unwrap();
    assert!(by == "kernel" || forks["reason"].as_str().unwrap().contains("and may have 5"), "{forks}");
    project.until("eats", "failed");
    until(|| project.lines("files") == ["77"]);
    let files = project.ps("files");
    assert_eq!(files["limits"]["files"], "kernel");
    assert!(["kernel", "none"].contains(&files["limits"]["cpu"].as_str().unwrap()), "{files}");
}

#[test]
fn a_process_that_goes_into_the_background_is_told_what_to_do() {
    let project = Project::new(
        "process \"d\" { shell \"(setsid sleep 986 &)\"; restart \"always\" max=1 within=\"60s\" backoff=\"10ms\" }",
    );
    project.up(&[]);
    let told = until(|| Some(project.ps("d")).filter(|now| now["state"] == "failed"));
    assert_eq!((&told["restarts"], &told["exit_code"]), (&json!(1), &json!(0)));
    assert!(told["reason"].as_str().unwrap().contains("leave out its flag for that, such as `-d`"), "{told}");
    let record = project.run(&["logs", "d"]).ok().stdout;
    assert!(record.contains("processes that it left and that were ended"), "{record}");
}

#[test]
fn what_forks_without_end_is_ended() {
    // Each goes on to fork, and stays.
    let forks = "import os, time\\nwhile os.fork() == 0: pass\\ntime.sleep(1000)";
    let project =
        Project::new(&format!("process \"forks\" {{ command \"python3\" \"-c\" \"{forks}\"; limits pids=30 }}"));
    let command = || {
        let all =
            fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        all.filter(|text| text.windows(13).any(|part| part == b"while os.fork")).count()
    };
    project.up(&[]);
    project.until("forks", "failed");
    until(|| command() == 0);
}

#[test]
fn what_closes_its_output_or_leaves_zombies_runs_and_ends_as_others_do() {
    let zombies = "import os, time\\nfor _ in range(20):\\n if os.fork() == 0: os._exit(0)\\ntime.sleep(1000)";
    let project = Project::new(&format!(
        "process \"closed\" {{ shell \"exec >&- 2>&-; exec sleep 1000\" }}
         process \"zombies\" {{ command \"python3\" \"-c\" \"{zombies}\" }}"
    ));
    project.up(&[]);
    for id in ["closed", "zombies"] {
        project.until(id, "running");
    }
    // Zombies are not counted as what it runs.
    until(|| project.ps("zombies")["usage"]["processes"] == 1);
    let supervisor = supervisor_of(project.ps("closed")["pid"].as_u64().unwrap());
    let taken = || {
        let stat = fs::read_to_string(format!("/proc/{supervisor}/schedstat")).unwrap();
        stat.split_whitespace().next().unwrap().parse::<u64>().unwrap()
    };
    // An end that is read again and again would take a whole processor.
    let before = taken();
    std::thread::sleep(Duration::from_secs(1));
    assert!(taken() - before < 300_000_000, "{} ns", taken() - before);
    assert_eq!(project.json(&["down"])["stopped"], json!(["closed", "zombies"]));
}

/// The process that supervises another one.
fn supervisor_of(pid: u64) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit(") ").next().unwrap().split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_line_without_end_takes_no_memory_and_the_newest_of_it_is_kept() {
    let megabytes: u64 = std::env::var("AIW_SOAK_MEGABYTES").map_or(64, |megabytes| megabytes.parse().unwrap());
    let writes = format!("head -c {} /dev/zero | tr '\\\\0' x; printf end; exec sleep 1000", megabytes << 20);
    let project = Project::new(&format!("process \"long\" {{ shell \"{writes}\"; log files=2 size=\"4MB\" }}"));
    project.up(&[]);
    let supervisor = supervisor_of(project.until("long", "running")["pid"].as_u64().unwrap());
    until(|| project.run(&["logs", "long", "--raw"]).ok().stdout.ends_with("xend\n"));
    let status = fs::read_to_string(format!("/proc/{supervisor}/status")).unwrap();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let most: u64 = most.trim().trim_end_matches("kB").trim().parse().unwrap();
    assert!(most < 32 << 10, "{most} kB");
}

#[test]
fn odd_output_is_kept_and_read() {
    let project = Project::new(
        "process \"odd\" { command \"python3\" \"-c\" \"import sys; w = sys.stdout.buffer.write; w(b'\\\\0nul\\\\n'); w(b'\\\\xff\\\\xfe\\\\n'); w(b'x' * 3000000); w(b'\\\\nlast')\" }",
    );
    project.up(&[]);
    project.until("odd", "stopped");
    let lines = project.lines("odd");
    assert_eq!((lines.len(), lines[2].len(), lines[3].as_str()), (4, 3_000_000, "last"));
}
