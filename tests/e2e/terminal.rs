//! Runs the program on its own terminal.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use aiw_tests::Environment;
use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};

/// The time after which a missing screen counts as a hang. A component in JavaScript is compiled within it.
const HANGS: Duration = Duration::from_secs(180);

/// The program on its own terminal.
pub struct Terminal {
    pub master: Box<dyn MasterPty + Send>,
    pub child: Box<dyn Child + Send + Sync>,
    keys: Option<Box<dyn Write + Send>>,
    pub screen: Arc<Mutex<vt100::Parser>>,
    /// How many bytes the program has written.
    pub written: Arc<AtomicUsize>,
    /// The terminal's modes before the program started.
    modes: String,
}

impl Terminal {
    pub fn start(env: &Environment, arguments: &[&str]) -> Self {
        let mut command = CommandBuilder::new(env.parts().0);
        command.args(arguments);
        Self::with(env, command, &env.path(""))
    }

    /// Runs another program on the terminal, in a directory.
    pub fn program(env: &Environment, program: &Path, directory: &Path) -> Self {
        Self::with(env, CommandBuilder::new(program), directory)
    }

    /// Runs a shell script on the terminal, with the program as `$0`.
    pub fn shell(env: &Environment, script: &str) -> Self {
        let mut command = CommandBuilder::new("bash");
        command.args(["--norc", "-c", script]);
        command.arg(env.parts().0);
        Self::with(env, command, &env.path(""))
    }

    fn with(env: &Environment, mut command: CommandBuilder, directory: &Path) -> Self {
        let size = PtySize { rows: 24, cols: 100, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let modes = modes(&*pair.master);
        command.env_clear();
        for (name, value) in env.parts().1 {
            command.env(name, value);
        }
        command.env("TERM", "xterm-256color");
        command.cwd(directory);
        let child = pair.slave.spawn_command(command).unwrap();
        // Only the program holds the terminal, so its end is the terminal's end.
        drop(pair.slave);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(24, 100, 0)));
        let mut output = pair.master.try_clone_reader().unwrap();
        let (seen, written) = (screen.clone(), Arc::new(AtomicUsize::new(0)));
        let count = written.clone();
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(read @ 1..) = output.read(&mut piece) {
                seen.lock().unwrap().process(&piece[..read]);
                count.fetch_add(read, Ordering::SeqCst);
            }
        });
        let keys = Some(pair.master.take_writer().unwrap());
        Self { master: pair.master, child, keys, screen, written, modes }
    }

    pub fn press(&mut self, keys: impl AsRef<[u8]>) {
        let mut writer = self.keys.take().unwrap();
        let keys = keys.as_ref().to_owned();
        // A program that reads no more would block this for good.
        let (done, written) = channel();
        std::thread::spawn(move || {
            writer.write_all(&keys).and_then(|()| writer.flush()).unwrap();
            done.send(writer)
        });
        let writer = written.recv_timeout(HANGS);
        self.keys = Some(writer.unwrap_or_else(|_| panic!("the keys are not read:\n{}", self.shown())));
    }

    pub fn shown(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    /// Waits until the screen is as expected.
    pub fn wait(&self, what: &str, is: impl Fn(&str) -> bool) {
        let start = Instant::now();
        while !is(&self.shown()) {
            assert!(start.elapsed() < HANGS, "{what} is not shown:\n{}", self.shown());
            sleep(Duration::from_millis(10));
        }
    }

    pub fn wait_for(&self, text: &str) {
        self.wait(text, |shown| shown.contains(text));
    }

    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.process_id().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Waits until the program ends by itself, and checks that it restored the terminal.
    pub fn ends(&mut self) -> ExitStatus {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < HANGS, "it does not end:\n{}", self.shown());
            sleep(Duration::from_millis(10));
        };
        let start = Instant::now();
        while self.screen.lock().unwrap().screen().alternate_screen() {
            assert!(start.elapsed() < HANGS, "the alternate screen stays");
            sleep(Duration::from_millis(10));
        }
        let parser = self.screen.lock().unwrap();
        assert!(!parser.screen().hide_cursor(), "the cursor stays hidden");
        assert!(!parser.screen().bracketed_paste(), "pasting stays bracketed");
        drop(parser);
        assert_eq!(modes(&*self.master), self.modes);
        status
    }
}

fn modes(master: &dyn MasterPty) -> String {
    format!("{:?}", master.get_termios())
}
