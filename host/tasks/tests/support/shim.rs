//! `shim …` is the supervisor, as in `aiw`; `start HOME RUNTIME ROOT COUNT LIMIT SCRIPT` starts tasks and prints
//! their ids; `follow HOME RUNTIME ROOT ID` follows a log until SIGUSR1; `stop HOME RUNTIME ROOT ID` ends a task;
//! `attach RUNTIME ROOT` makes segments until it is killed.

use std::process::ExitCode;

#[cfg(unix)]
fn main() -> ExitCode {
    // Under this name it acts as the next version.
    if std::env::current_exe().is_ok_and(|path| path.ends_with("aiw-next")) {
        aiw_tasks::testing::simulate_newer_version();
    }
    match std::env::args_os().nth(1).as_deref().and_then(|word| word.to_str()) {
        Some("shim") => {
            let task = aiw_tasks::ProcessKind {
                kind: aiw_tasks::RESOURCE_KIND,
                interpreter: |record| {
                    let on_end = |ended: &aiw_tasks::EndedTask| aiw_tasks::MeasuredUsage {
                        usage: ended.summary.usage,
                        cost_usd: ended.summary.cost_usd,
                        note: None,
                    };
                    let listeners = aiw_tasks::Listeners { on_begin: |_| {}, on_session: |_, _, _| {}, on_end };
                    aiw_tasks::interpreter(record, |_| Box::new(words::Words::default()), listeners)
                },
                on_exit: || {},
            };
            aiw_tasks::shim_main(std::env::args_os(), &[task])
        }
        Some("start") => start::start(),
        Some("attach") => start::attach(),
        Some("follow") => start::follow(),
        Some("stop") => start::stop(),
        _ => ExitCode::FAILURE,
    }
}

#[cfg(not(unix))]
fn main() -> ExitCode {
    ExitCode::FAILURE
}

/// An interpreter for a stream of words, in place of a CLI's JSON.
#[cfg(unix)]
mod words {
    use aiw_tasks::{Stream, StreamInterpreter, StreamSummary, TaskUsage};

    #[derive(Default)]
    pub struct Words {
        facts: StreamSummary,
    }

    impl StreamInterpreter for Words {
        fn process_line(&mut self, stream: Stream, line: &[u8]) {
            if stream != Stream::Stdout {
                return;
            }
            let line = String::from_utf8_lossy(line);
            match line.split_once(' ') {
                Some(("session", id)) => {
                    self.facts.is_structured = true;
                    self.facts.session = Some(id.to_owned());
                }
                Some(("final", message)) => self.facts.final_message = Some(message.to_owned()),
                Some(("part", part)) => self.facts.final_message.get_or_insert_default().push_str(part),
                Some(("verdict", verdict)) => {
                    self.facts.is_complete = true;
                    self.facts.failed = Some(verdict != "good");
                    self.facts.usage = Some(TaskUsage { input: 7, output: 3, ..TaskUsage::default() });
                    self.facts.cost_usd = Some(0.25);
                }
                Some(("panic", _)) => std::panic::resume_unwind(Box::new(())),
                _ => {}
            }
        }

        fn summary(&self) -> StreamSummary {
            self.facts.clone()
        }
    }
}

#[cfg(unix)]
mod start {
    use std::io::Write;
    use std::process::ExitCode;
    use std::time::Duration;

    use aiw_core::CliKind;
    use aiw_home::Home;
    use aiw_tasks::{NewProcess, ProcessScope, Program, QueueLimit, Root, TaskDescription, Tasks};

    pub fn attach() -> ExitCode {
        let words: Vec<String> = std::env::args().skip(2).collect();
        let [runtime, root] = words.as_slice() else { return ExitCode::FAILURE };
        let Ok(pid) = root.parse() else { return ExitCode::FAILURE };
        // It returns only with an error.
        let _ = aiw_tasks::testing::attach_forever(runtime.as_ref(), Root::for_pid(pid));
        ExitCode::FAILURE
    }

    pub fn follow() -> ExitCode {
        let words: Vec<String> = std::env::args().skip(2).collect();
        let [home, runtime, root, id] = words.as_slice() else { return ExitCode::FAILURE };
        let (Ok(pid), Ok(id)) = (root.parse(), id.parse()) else { return ExitCode::FAILURE };
        let follow = || {
            let tasks =
                Tasks::open(&Home::from_root(home), ProcessScope::Root(Root::for_pid(pid)))?.with_runtime(runtime);
            let mut follow = tasks.log(id)?.follow(aiw_tasks::FollowFrom::Start)?;
            while !follow.next(Duration::ZERO)?.is_empty() {}
            let told = std::sync::Arc::<std::sync::atomic::AtomicBool>::default();
            let _ = signal_hook::flag::register(signal_hook::consts::SIGUSR1, told.clone());
            let _ = std::io::stdout().write_all(b"ready");
            let _ = std::io::stdout().flush();
            while !told.load(std::sync::atomic::Ordering::Relaxed) {
                follow.next(Duration::from_secs(300))?;
            }
            Ok(Vec::<aiw_tasks::LogEntry>::new())
        };
        let followed: Result<_, aiw_tasks::TaskError> = follow();
        if followed.is_ok_and(|entries| entries.is_empty()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    pub fn stop() -> ExitCode {
        let words: Vec<String> = std::env::args().skip(2).collect();
        let [home, runtime, root, id] = words.as_slice() else { return ExitCode::FAILURE };
        let (Ok(pid), Ok(id)) = (root.parse(), id.parse()) else { return ExitCode::FAILURE };
        let tasks = Tasks::open(&Home::from_root(home), ProcessScope::Root(Root::for_pid(pid)));
        let stopped = tasks.and_then(|tasks| tasks.with_runtime(runtime).stop(id, true));
        let line = match stopped {
            Ok(aiw_tasks::TaskStop::Ended(task)) => format!("{:?}", task.outcome),
            other => format!("{other:?}"),
        };
        let _ = writeln!(std::io::stdout(), "{line}");
        ExitCode::SUCCESS
    }

    pub fn start() -> ExitCode {
        let words: Vec<String> = std::env::args().skip(2).collect();
        let [home, runtime, root, count, limit, script] = words.as_slice() else { return ExitCode::FAILURE };
        let (Ok(pid), Ok(count), Ok(limit)) = (root.parse(), count.parse(), limit.parse()) else {
            return ExitCode::FAILURE;
        };
        let Ok(tasks) = Tasks::open(&Home::from_root(home), ProcessScope::Root(Root::for_pid(pid))) else {
            return ExitCode::FAILURE;
        };
        let tasks = tasks.with_runtime(runtime).with_grace(Duration::from_millis(300));
        let Ok(own) = std::env::current_exe() else { return ExitCode::FAILURE };
        let above = std::env::var(aiw_tasks::TASK_VARIABLE).ok().and_then(|id| id.parse().ok());
        for _ in 0..count {
            let about = TaskDescription::new(CliKind::Codex, "default", script.clone());
            let process = NewProcess { depth: u8::from(above.is_some()), parent: above, ..NewProcess::new("/") };
            let program = Program {
                arguments: vec!["-c".into(), script.into()],
                environment: std::env::vars_os().collect(),
                ..Program::new("/bin/sh")
            };
            let line = match tasks.start(&own, &about, process, program, QueueLimit { limit, may_queue: true }) {
                Ok(task) => task.id.to_string(),
                Err(error) => format!("error: {error}"),
            };
            if writeln!(std::io::stdout(), "{line}").is_err() {
                return ExitCode::FAILURE;
            }
        }
        ExitCode::SUCCESS
    }
}
