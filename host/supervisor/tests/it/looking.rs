//! Looking changes nothing; sweeping does.

use aiw_supervisor::{NewProcess, Outcome, State};

use crate::environment::{Environment, is_there, kill, number, until};

#[test]
fn a_list_says_what_is_lost_and_ends_nothing() {
    let env = Environment::new();
    let path = env.path("far");
    let one =
        env.start(NewProcess::within("/"), &format!("setsid sh -c 'echo $$ > {}; exec sleep 1000'", path.display()));
    let far = number(&path);
    kill(one.record.shim.pid);
    until(|| (!is_there(one.record.shim.pid)).then_some(()));
    let record = one.directory.join("server.json");
    let before = std::fs::read(&record).unwrap();
    for _ in 0..3 {
        let lost = until(|| env.servers().list().unwrap().pop().filter(|one| one.record.state == State::Ended));
        assert_eq!((lost.record.outcome, lost.settled), (Some(Outcome::Lost), false));
        assert!(is_there(far));
        assert_eq!(std::fs::read(&record).unwrap(), before);
    }
    until(|| {
        env.servers().sweep().unwrap();
        env.servers().list().unwrap().pop().filter(|one| one.settled)
    });
    assert!(!is_there(far));
    assert_ne!(std::fs::read(&record).unwrap(), before);
}
