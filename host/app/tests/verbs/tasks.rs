//! Tasks that have ended: which are meant, what is told of them, and what goes on with one.

use std::fs;
use std::time::Duration;

use aiw_app::status::status;
use aiw_app::tasks::{TaskList, list, other_tasks, prune, remove, report, resume, stop};
use aiw_core::{Diagnostic, ProcessId};
use aiw_home::Home;
use aiw_tasks::{ProcessScope, RetentionPolicy, TaskError, Tasks};
use serde_json::{Value, json};

use crate::person::Recorded;

/// A home with tasks that have ended, each with a name of its own in place of its process id.
struct Ended {
    place: tempfile::TempDir,
    home: Home,
}

impl Ended {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let home = Home::from_root(place.path().join("home"));
        drop(home.lock().unwrap());
        Self { place, home }
    }

    /// Adds a task, as its supervisor leaves it.
    fn add(&self, number: u64, change: Value) -> ProcessId {
        let id = ProcessId::from_number(number);
        let directory = self.home.root().join("tasks").join(id.as_str());
        fs::create_dir_all(&directory).unwrap();
        let mut record = json!({
            "version": 1, "id": id.as_str(), "root": {"pid": 1, "start": 1}, "state": "ended", "outcome": "succeeded",
            "exit_code": 0, "started": number, "running_since": number, "ended": number + 1, "cwd": self.place.path(),
            "shim": {"pid": 1, "start": 0}, "child": {"pid": 4_000_000 + number, "start": 0}, "instance": number,
            "pid_namespace": 0, "cli": "claude", "permission": "default", "prompt": "work", "session": "s-1",
            "provider": "router", "model": "big", "arguments": ["--verbose"]
        });
        record.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        fs::write(directory.join("task.json"), record.to_string()).unwrap();
        let lines: String = (1..=9).map(|n| format!("{n} e= line {n}\n")).collect();
        fs::write(directory.join("log"), format!("@0\n{lines}")).unwrap();
        id
    }

    fn tasks(&self) -> Tasks {
        Tasks::open(&self.home, ProcessScope::All).unwrap()
    }
}

#[test]
fn what_ended_unseen_is_told_until_a_report_shows_it() {
    let ended = Ended::new();
    let (first, second) = (ended.add(1, json!({})), ended.add(2, json!({"outcome": "failed", "exit_code": 3})));
    let unread = || status(&ended.home, true).unwrap().0.counts.unseen;
    assert_eq!(unread(), 2);
    let tasks = ended.tasks();
    let told = report(&tasks, &tasks.get(second).unwrap(), 3).unwrap();
    assert_eq!(told.last_lines, ["line 7", "line 8", "line 9"]);
    assert_eq!((told.task.summary.exit_code, told.task.summary.unseen), (Some(3), true));
    assert_eq!(unread(), 1);
    // Who stops what has ended is told so, and has seen it.
    let stopped = stop(&tasks, &[first, second]).unwrap();
    assert!(stopped.iter().all(|one| one.result == "ended"), "{stopped:?}");
    assert_eq!(unread(), 0);
    let (status, TaskList { tasks, .. }) = status(&ended.home, true).unwrap();
    assert!(status.tasks.is_empty() && tasks.is_empty());
}

#[test]
fn an_end_that_came_after_the_look_stays_news() {
    let ended = Ended::new();
    let id = ended.add(1, json!({}));
    let tasks = ended.tasks();
    let mut seen = tasks.get(id).unwrap();
    seen.state = aiw_core::ProcessState::Running;
    assert!(report(&tasks, &seen, 3).is_ok());
    assert_eq!(status(&ended.home, true).unwrap().0.counts.unseen, 1);
}

#[test]
fn a_task_is_meant_by_its_names_and_neither_itself_nor_what_is_above_it() {
    let ended = Ended::new();
    let above = ended.add(1, json!({}));
    let own = ended.add(2, json!({"parent": above.as_str()}));
    let other = ended.add(3, json!({"parent": own.as_str()}));
    let tasks = ended.tasks();
    let ids = |own| other_tasks(&tasks, own).unwrap().iter().map(|task| task.id).collect::<Vec<_>>();
    assert_eq!(ids(Some(own)), [other]);
    assert_eq!(ids(None), [above, own, other]);
    let names = [own.as_str(), "4000002", own.as_str()].map(str::to_owned);
    assert_eq!(tasks.find_all(&names).unwrap().len(), 1);
    let unknown = tasks.find_all(&[own.to_string(), "web".into()]).unwrap_err();
    assert!(matches!(unknown, TaskError::TaskNotFound { id } if id == "web"));
}

#[test]
fn a_task_is_resumed_as_it_ran_or_the_refusal_says_what_to_do() {
    let ended = Ended::new();
    let (good, silent) = (ended.add(1, json!({"isolated": true})), ended.add(2, json!({"session": null})));
    let (task, run) = resume(&ended.tasks(), good.as_str()).unwrap();
    assert_eq!((task.id, run.provider.as_deref(), run.model.as_deref()), (good, Some("router"), Some("big")));
    assert!(run.isolated && run.arguments.ends_with(&["--verbose".to_owned()]), "{run:?}");
    let refused = resume(&ended.tasks(), silent.as_str()).unwrap_err();
    assert_eq!(refused.to_string(), format!("task {silent} has no session of claude to go on with"));
    assert_eq!(refused.hint().unwrap(), format!("`aiw task show {silent}` shows what it did"));
}

#[test]
fn what_is_removed_is_told_once_and_a_damaged_record_stands_in_no_ones_way() {
    let ended = Ended::new();
    let ids = [1, 2, 3].map(|number| ended.add(number, json!({})));
    fs::write(ended.home.root().join("tasks").join(ids[0].as_str()).join("task.json"), "{").unwrap();
    let tasks = ended.tasks();
    let TaskList { tasks: listed, problems, .. } = list(&tasks).unwrap();
    assert_eq!((listed.len(), problems.len()), (2, 1));
    let keep = RetentionPolicy { count: 0, age: Duration::MAX };
    let would = prune(&tasks, keep, true).unwrap();
    assert_eq!((would.dry_run, would.removed.len(), tasks.list().unwrap().len()), (true, 2, 2));
    let person = Recorded::agreeing();
    let gone = remove(&tasks, &[ids[0].to_string(), ids[0].to_string()], &person).unwrap();
    assert_eq!((gone.removed, person.heard().len()), (vec![ids[0].to_string()], 1));
    assert_eq!(prune(&tasks, keep, false).unwrap().removed.len(), 2);
    assert!(list(&tasks).unwrap().tasks.is_empty());
}
