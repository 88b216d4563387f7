//! `shim …` is the supervisor, as in `aiw`. `own SCRIPT` starts an attached process, then prints its id and its
//! output, until the process ends or this one is killed. `take-over HOME RUNTIME DIRECTORY ID` looks at a process of a
//! directory, stops it and starts it again.

use std::process::ExitCode;

#[cfg(unix)]
fn main() -> ExitCode {
    // Under this name it acts as the next version.
    if std::env::current_exe().is_ok_and(|path| path.ends_with("aiw-next")) {
        aiw_supervisor::testing::simulate_newer_version();
    }
    match std::env::args_os().nth(1).as_deref().and_then(|word| word.to_str()) {
        Some("shim") => {
            let interpreter = |record: &aiw_supervisor::ProcessRecord| {
                let is_counted = record.labels.get("counts").is_some();
                is_counted.then(|| Box::new(counter::Counter::default()) as Box<dyn aiw_supervisor::OutputInterpreter>)
            };
            let server = aiw_supervisor::ProcessKind { kind: "server", interpreter, on_exit: || {} };
            let job = aiw_supervisor::ProcessKind {
                kind: "job",
                interpreter: |_| Some(Box::new(counter::Counter::default())),
                on_exit: || {},
            };
            aiw_supervisor::shim_main(std::env::args_os(), &[server, job])
        }
        Some("own") => own::own(),
        Some("take-over") => take_over::take_over(),
        _ => ExitCode::FAILURE,
    }
}

#[cfg(not(unix))]
fn main() -> ExitCode {
    ExitCode::FAILURE
}

/// An interpreter that counts lines, for processes with the label `counts`.
#[cfg(unix)]
mod counter {
    use aiw_supervisor::{Findings, Labels, OutputInterpreter, Stream};

    #[derive(Default)]
    pub struct Counter {
        lines: u64,
        last: String,
    }

    impl OutputInterpreter for Counter {
        fn process_line(&mut self, _stream: Stream, line: &[u8]) {
            self.lines += 1;
            self.last = String::from_utf8_lossy(line).into_owned();
        }

        fn findings(&self, _mask: &dyn Fn(&str) -> String) -> Findings {
            let labels = [("lines".to_owned(), self.lines.into()), ("last".to_owned(), self.last.clone().into())];
            let doubt = (self.last == "no").then(|| "its last line says no".to_owned());
            Findings { labels: Labels::from_iter(labels), failure_reason: doubt, note: None }
        }
    }
}

#[cfg(unix)]
mod own {
    use std::io::{Read, Write};
    use std::process::ExitCode;
    use std::time::Duration;

    use aiw_supervisor::{AttachedChild, Program};

    pub fn own() -> ExitCode {
        let (Some(script), Ok(aiw)) = (std::env::args_os().nth(2), std::env::current_exe()) else {
            return ExitCode::FAILURE;
        };
        let program = Program { arguments: vec!["-c".into(), script], environment: path(), ..Program::new("/bin/sh") };
        let Ok(mut attached) = AttachedChild::start(&aiw, "/".as_ref(), program, Duration::from_millis(200)) else {
            return ExitCode::FAILURE;
        };
        let Some(mut stdout) = attached.stdout.take() else { return ExitCode::FAILURE };
        let _ = writeln!(std::io::stdout(), "{}", attached.pid());
        let mut buffer = [0; 4096];
        while let Ok(length) = stdout.read(&mut buffer) {
            if length == 0 {
                break;
            }
            let _ = std::io::stdout().write_all(&buffer[..length]);
            let _ = std::io::stdout().flush();
        }
        attached.wait(Duration::from_secs(60));
        ExitCode::SUCCESS
    }

    fn path() -> Vec<(std::ffi::OsString, std::ffi::OsString)> {
        std::env::var_os("PATH").map(|path| ("PATH".into(), path)).into_iter().collect()
    }
}

#[cfg(unix)]
mod take_over {
    use std::error::Error;
    use std::io::Write;
    use std::process::ExitCode;
    use std::time::Duration;

    use aiw_home::Home;
    use aiw_supervisor::{NewProcess, ProcessScope, Processes, QueueLimit, Root, testing};

    pub fn take_over() -> ExitCode {
        let Err(error) = run() else { return ExitCode::SUCCESS };
        let _ = writeln!(std::io::stderr(), "{error}");
        ExitCode::FAILURE
    }

    fn run() -> Result<(), Box<dyn Error>> {
        let arguments: Vec<String> = std::env::args().skip(2).collect();
        let [home, runtime, directory, id] = &arguments[..] else { return Err("four arguments".into()) };
        let scope = ProcessScope::Root(Root::for_directory(directory.as_ref())?);
        let processes = Processes::open(&Home::from_root(home.as_str()), testing::NAMES, scope)?;
        let processes = processes.with_runtime(runtime).with_grace(Duration::from_millis(300));
        let (id, mut out) = (id.parse()?, std::io::stdout());
        for one in processes.list()? {
            writeln!(out, "{:?} {}", one.record.state, one.record.id)?;
        }
        for entry in processes.log(id)?.tail(usize::MAX)? {
            writeln!(out, "{}", String::from_utf8_lossy(&entry.bytes))?;
        }
        processes.stop(id, true)?;
        writeln!(out, "{:?}", processes.get(id)?.record.state)?;
        let again = testing::program("echo again; exec sleep 1000");
        let aiw = std::env::current_exe()?;
        let started = processes.start_named(&aiw, id, NewProcess::new("/"), again, QueueLimit::default())?;
        writeln!(out, "{:?} {}", started.record.state, started.record.incarnation)?;
        Ok(())
    }
}
