//! Listing changes nothing; sweeping does.

use aiw_supervisor::{NewProcess, Outcome, State};

use crate::environment::{Environment, is_running, kill, number, wait_for};

#[test]
fn a_list_that_is_asked_again_sees_all_that_has_happened() {
    let env = Environment::new();
    let mut servers = Vec::new();
    let kept = env.servers();
    for _ in 0..3 {
        let one = env.start(NewProcess::new("/"), "exec sleep 1000");
        assert!(kept.list().unwrap().iter().any(|seen| seen.record.id == one.record.id));
        servers.push(one);
    }
    // Long enough for the list to be kept.
    std::thread::sleep(std::time::Duration::from_millis(150));
    let states = || kept.list().unwrap().iter().map(|one| (one.record.state, one.is_seen)).collect::<Vec<_>>();
    for _ in 0..3 {
        assert_eq!(states(), [(State::Running, false); 3]);
    }
    // An end, a report, a death and a removal.
    env.servers().stop(servers[0].record.id, true).unwrap();
    assert_eq!(states()[0], (State::Ended, false));
    std::thread::sleep(std::time::Duration::from_millis(150));
    assert_eq!((states(), states()[0]), (states(), (State::Ended, false)));
    env.servers().mark_seen(&[servers[0].record.id]).unwrap();
    assert_eq!(states()[0], (State::Ended, true));
    std::thread::sleep(std::time::Duration::from_millis(150));
    states();
    kill(servers[1].record.shim.pid);
    wait_for(|| (states()[1].0 == State::Ended).then_some(()));
    kept.sweep().unwrap();
    env.servers().remove(servers[0].record.id).unwrap();
    assert_eq!(states().len(), 2);
}

#[test]
fn a_list_says_what_is_lost_and_ends_nothing() {
    let env = Environment::new();
    let path = env.path("far");
    let one = env.start(NewProcess::new("/"), &format!("setsid sh -c 'echo $$ > {}; exec sleep 1000'", path.display()));
    let far = number(&path);
    kill(one.record.shim.pid);
    wait_for(|| (!is_running(one.record.shim.pid)).then_some(()));
    let record = one.directory.join("server.json");
    let before = std::fs::read(&record).unwrap();
    for _ in 0..3 {
        let lost = wait_for(|| env.servers().list().unwrap().pop().filter(|one| one.record.state == State::Ended));
        assert_eq!((lost.record.outcome, lost.is_persisted), (Some(Outcome::Lost), false));
        assert!(is_running(far));
        assert_eq!(std::fs::read(&record).unwrap(), before);
    }
    wait_for(|| {
        env.servers().sweep().unwrap();
        env.servers().list().unwrap().pop().filter(|one| one.is_persisted)
    });
    assert!(!is_running(far));
    assert_ne!(std::fs::read(&record).unwrap(), before);
}
