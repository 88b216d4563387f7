//! Starting a task: a shim is started, told what to run, and left alone.

use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use aiw_core::TaskId;

use super::Tasks;
use crate::files::random;
use crate::request::{Answer, Request};
use crate::{MAX_DEPTH, NewTask, Program, Queue, Scope, Task, TaskError};

/// What a shim has of our environment: where aiw's own files are, and how to print. Nothing that
/// says whose task it is, and no secrets.
const PASSED: [&str; 6] = ["PATH", "HOME", "LANG", "TMPDIR", "AIW_HOME", "AIW_RUNTIME_DIR"];
/// The most that a shim answers.
const ANSWER: u64 = 1 << 20;

impl Tasks {
    /// Starts a task beneath a shim of its own, and returns once it runs, is queued or has been
    /// refused. `aiw` is the executable whose `shim` command is [`shim_main`](crate::shim_main).
    pub fn start(&self, aiw: &Path, task: NewTask, program: Program, queue: Queue) -> Result<Task, TaskError> {
        let Scope::Session(root) = self.scope else { return Err(TaskError::NoSession) };
        if task.depth > MAX_DEPTH {
            return Err(TaskError::Depth { depth: task.depth, limit: MAX_DEPTH });
        }
        check(&program)?;
        self.runtime.create()?;
        let id = TaskId::from_number(random() >> 2);
        let (path, cwd) = (program.path.clone(), task.cwd.clone());
        let request = Request {
            root,
            records: self.records.root().to_owned(),
            runtime: self.runtime.path().to_owned(),
            queue,
            grace: self.grace,
            log_bytes: self.log_bytes,
            task,
            program,
        };
        let mut bytes = request.encode();
        drop(request);
        let answer = ask(aiw, root.pid, id, random() | 1, &bytes);
        bytes.fill(0);
        std::hint::black_box(&bytes);
        match answer? {
            Answer::Started(record) => Ok(record.into_task(&self.records.directory(id))),
            Answer::NotStarted(reason) => Err(TaskError::NotStarted { id, path, reason }),
            Answer::Limit(limit) => Err(TaskError::Limit { limit }),
            Answer::Full(slots) => Err(TaskError::Full { slots }),
            Answer::Memory(name, reason) => Err(TaskError::Memory { name, reason }),
            Answer::Cwd(errno) => Err(TaskError::Cwd { path: cwd, source: std::io::Error::from_raw_os_error(errno) }),
            Answer::Io(path, errno) => {
                Err(TaskError::io("write", Path::new(&path), std::io::Error::from_raw_os_error(errno)))
            }
            Answer::Runtime(path, problem) => Err(TaskError::Runtime { path: path.into(), problem }),
            Answer::Failed(reason) => Err(TaskError::Shim { reason }),
        }
    }
}

/// Refuses what cannot be passed on, before anything is started.
fn check(program: &Program) -> Result<(), TaskError> {
    let invalid = |problem: String| Err(TaskError::Invalid { problem });
    if program.path.as_os_str().as_bytes().contains(&0) {
        return invalid("the path of the program contains a NUL character".into());
    }
    if let Some(at) = program.arguments.iter().position(|argument| argument.as_bytes().contains(&0)) {
        return invalid(format!("argument {} contains a NUL character; standard input may", at + 1));
    }
    for (name, value) in &program.environment {
        if name.is_empty() || name.as_bytes().iter().any(|b| matches!(b, 0 | b'=')) {
            return invalid(format!("`{}` is no name of a variable", name.display()));
        }
        if value.as_bytes().contains(&0) {
            return invalid(format!("the value of the variable `{}` contains a NUL character", name.display()));
        }
    }
    for (at, file) in program.files.iter().enumerate() {
        if !(3..=255).contains(&file.fd) || program.files[..at].iter().any(|other| other.fd == file.fd) {
            return invalid(format!("{} is no number for a passed file: each has its own, from 3 to 255", file.fd));
        }
    }
    if program.named_files.iter().any(|file| !crate::program::is_memory_path(&file.path)) {
        return invalid("a named file is not at a path of its own making".into());
    }
    Ok(())
}

/// Starts the shim and waits for what it says.
fn ask(aiw: &Path, root: u32, id: TaskId, instance: u64, request: &[u8]) -> Result<Answer, TaskError> {
    let failed = |reason: String| TaskError::Shim { reason };
    let mut shim = Command::new(aiw)
        .arg("shim")
        .arg(root.to_string())
        .arg(id.as_str())
        .arg(crate::signal::instance(instance))
        .env_clear()
        .envs(PASSED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // A Ctrl-C at the terminal is not meant for it, not even before it has left.
        .process_group(0)
        .spawn()
        .map_err(|e| failed(format!("`{}`: {e}", aiw.display())))?;
    let (stdin, stdout) = (shim.stdin.take(), shim.stdout.take());
    // The first process forks and is gone at once: it must not stay as a zombie of a long-lived starter.
    let told = stdin.map(|mut pipe| pipe.write_all(request));
    let _ = shim.wait();
    let mut answer = Vec::new();
    let heard = stdout.map(|pipe| pipe.take(ANSWER).read_to_end(&mut answer));
    if let Some(Err(error)) = told {
        return Err(failed(error.to_string()));
    }
    match (heard, serde_json::from_slice(&answer)) {
        (Some(Ok(_)), Ok(answer)) => Ok(answer),
        _ if answer.is_empty() => Err(failed(format!("`{}` ended without an answer", aiw.display()))),
        _ => Err(failed(format!("`{}` answered something else", aiw.display()))),
    }
}
