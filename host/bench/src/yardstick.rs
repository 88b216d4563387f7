//! Work of a known kind, measured beside ours in the same run: what a machine does slowly, it does slowly in both.

use std::fs;
use std::hint::black_box;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aiw_tests::command;
use anyhow::{Context, Result, bail, ensure};
use rusqlite::Connection;
use serde::Deserialize;

use crate::figures::millis;
use crate::pairs::{median, spread};
use crate::row::format_number;

/// The bytes that `memcpy` copies, and the copies of one count. Few bytes: the kernel counts the peak memory of this
/// process as that of its children, whose memory is measured too.
const COPY_BYTES: usize = 4 << 20;
const COPY_COUNT: usize = 8;

/// The bytes that `cat` writes to a file.
const CAT_BYTES: usize = 64 << 20;

/// The rows of one insert.
const INSERT_ROW_COUNT: usize = 10_000;

/// The median of so many counts, of what takes milliseconds.
const SHORT_RUN_COUNT: usize = 5;

/// Work that a row is compared with.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum Yardstick {
    /// From the spawn of `true` to its end.
    Spawn,
    /// Copies 4 MiB eight times in memory.
    Memcpy,
    /// Inserts 10,000 rows into a table of SQLite in memory.
    Insert,
    /// Writes a file of 64 MiB to another one with `cat`.
    Cat,
    /// From the start of `node -e 0` to its end.
    Node,
    /// The peak memory of Node, started to tell it.
    NodeMemory,
    /// 100 %: the figure is a share, which depends on no machine.
    Whole,
    /// 1 in the row's own unit: the figure is a count, which depends on no machine.
    One,
    /// A measurement of the row's own module, such as the same call without aiw; or a peer, by its name.
    Own(String),
}

impl From<String> for Yardstick {
    fn from(name: String) -> Self {
        match name.as_str() {
            "spawn" => Self::Spawn,
            "memcpy" => Self::Memcpy,
            "insert" => Self::Insert,
            "cat" => Self::Cat,
            "node" => Self::Node,
            "node-memory" => Self::NodeMemory,
            "whole" => Self::Whole,
            "one" => Self::One,
            _ => Self::Own(name),
        }
    }
}

impl Yardstick {
    pub fn name(&self) -> &str {
        match self {
            Self::Spawn => "spawn",
            Self::Memcpy => "memcpy",
            Self::Insert => "insert",
            Self::Cat => "cat",
            Self::Node => "node",
            Self::NodeMemory => "node-memory",
            Self::Whole => "whole",
            Self::One => "one",
            Self::Own(name) => name,
        }
    }
}

/// A figure of a yardstick.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum YardstickFigure {
    /// A time, with the bytes that were moved and the rows that were inserted in it, if any.
    Time { time: Duration, bytes: usize, rows: usize },
    /// Memory in MB.
    Memory(f64),
    /// A number in any unit.
    Number(f64),
}

impl YardstickFigure {
    /// Returns the figure in the unit of a row.
    ///
    /// # Errors
    ///
    /// If the yardstick has no figure in that unit.
    pub fn to_unit(self, unit: &str) -> Result<f64> {
        Ok(match (self, unit) {
            (Self::Time { time, .. }, "s") => time.as_secs_f64(),
            (Self::Time { time, .. }, "ms") => millis(time),
            (Self::Time { time, .. }, "us" | "µs") => millis(time) * 1e3,
            (Self::Time { time, .. }, "ns") => millis(time) * 1e6,
            (Self::Time { time, bytes: bytes @ 1.., .. }, "MB/s") => bytes as f64 / 1e6 / time.as_secs_f64(),
            (Self::Time { time, rows: rows @ 1.., .. }, "k/s") => rows as f64 / millis(time),
            (Self::Memory(megabytes), "MB") => megabytes,
            (Self::Memory(megabytes), "kB") => megabytes * 1024.0,
            (Self::Number(number), _) => number,
            _ => bail!("the yardstick has no figure in `{unit}`"),
        })
    }
}

/// Prepared work of all yardsticks.
pub struct Yardsticks {
    source: Vec<u8>,
    target: Vec<u8>,
    database: Connection,
    files: tempfile::TempDir,
    has_node: bool,
}

impl Yardsticks {
    pub fn new() -> Result<Self> {
        let database = Connection::open_in_memory()?;
        database.execute_batch("CREATE TABLE rows (id INTEGER PRIMARY KEY, name TEXT, size INTEGER)")?;
        let mut node = node("0");
        Ok(Self {
            source: vec![1; COPY_BYTES],
            target: vec![0; COPY_BYTES],
            database,
            files: tempfile::tempdir()?,
            has_node: node.status().is_ok_and(|status| status.success()),
        })
    }

    /// Measures a yardstick. Returns `None` if it is missing here, or belongs to a module.
    pub fn measure(&mut self, yardstick: &Yardstick) -> Result<Option<YardstickFigure>> {
        let time = |time, bytes| Ok(Some(YardstickFigure::Time { time, bytes, rows: 0 }));
        match yardstick {
            Yardstick::Spawn => time(of_short(spawn)?, 0),
            Yardstick::Memcpy => time(of_short(|| Ok(self.copy()))?, COPY_BYTES * COPY_COUNT),
            Yardstick::Insert => {
                let time = of_short(|| self.insert())?;
                Ok(Some(YardstickFigure::Time { time, bytes: 0, rows: INSERT_ROW_COUNT }))
            }
            Yardstick::Cat => time(self.cat()?, CAT_BYTES),
            Yardstick::Node | Yardstick::NodeMemory if !self.has_node => Ok(None),
            Yardstick::Node => time(node_start()?, 0),
            Yardstick::NodeMemory => Ok(Some(YardstickFigure::Memory(node_memory()?))),
            Yardstick::Whole => Ok(Some(YardstickFigure::Number(100.0))),
            Yardstick::One => Ok(Some(YardstickFigure::Number(1.0))),
            Yardstick::Own(_) => Ok(None),
        }
    }

    fn copy(&mut self) -> Duration {
        let begun = Instant::now();
        for _ in 0..COPY_COUNT {
            self.target.copy_from_slice(black_box(&self.source));
            black_box(&self.target);
        }
        begun.elapsed()
    }

    /// One statement, so that all of it runs in SQLite.
    fn insert(&self) -> Result<Duration> {
        let rows = format!(
            "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {INSERT_ROW_COUNT})
             INSERT INTO rows (name, size) SELECT 'row ' || n, n * n FROM numbers"
        );
        let begun = Instant::now();
        self.database.execute(&rows, [])?;
        let took = begun.elapsed();
        self.database.execute("DELETE FROM rows", [])?;
        Ok(took)
    }

    fn cat(&self) -> Result<Duration> {
        let (from, to) = (self.files.path().join("from"), self.files.path().join("to"));
        if !from.exists() {
            let (mut file, piece) = (fs::File::create(&from)?, vec![b'x'; 1 << 20]);
            (0..CAT_BYTES / piece.len()).try_for_each(|_| file.write_all(&piece))?;
        }
        let begun = Instant::now();
        let status = Command::new("cat").arg(&from).stdout(fs::File::create(&to)?).status().context("cat")?;
        let took = begun.elapsed();
        ensure!(status.success(), "`cat` failed: {status}");
        Ok(took)
    }
}

/// Prints the median of each yardstick, and the spread of its figures.
pub fn print() -> Result<()> {
    let mut yardsticks = Yardsticks::new()?;
    for (yardstick, unit) in [
        (Yardstick::Spawn, "ms"),
        (Yardstick::Memcpy, "ms"),
        (Yardstick::Memcpy, "MB/s"),
        (Yardstick::Insert, "ms"),
        (Yardstick::Insert, "k/s"),
        (Yardstick::Cat, "MB/s"),
        (Yardstick::Node, "ms"),
        (Yardstick::NodeMemory, "MB"),
    ] {
        let mut figures = Vec::new();
        for _ in 0..15 {
            figures.extend(yardsticks.measure(&yardstick)?.map(|figure| figure.to_unit(unit)).transpose()?);
        }
        let (name, percent) = (yardstick.name(), 100.0 * spread(&figures));
        println!("{name:<12} {:>10} {unit:<5} spread {percent:.0} %", format_number(median(figures)));
    }
    Ok(())
}

fn of_short(mut work: impl FnMut() -> Result<Duration>) -> Result<Duration> {
    let times: Vec<f64> = (0..SHORT_RUN_COUNT).map(|_| Ok(work()?.as_secs_f64())).collect::<Result<_>>()?;
    Ok(Duration::from_secs_f64(median(times)))
}

fn spawn() -> Result<Duration> {
    let begun = Instant::now();
    let status = Command::new("true").stdin(Stdio::null()).status().context("cannot run `true`")?;
    ensure!(status.success(), "`true` failed: {status}");
    Ok(begun.elapsed())
}

fn node(script: &str) -> Command {
    let mut node = Command::new("node");
    node.args(["-e", script]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    node
}

fn node_start() -> Result<Duration> {
    let begun = Instant::now();
    let status = node("0").status().context("cannot run `node`")?;
    ensure!(status.success(), "`node` failed: {status}");
    Ok(begun.elapsed())
}

/// Returns the peak memory of Node in MB. Node reads it itself: `wait4` would count the memory of this process before
/// `execve`, too.
fn node_memory() -> Result<f64> {
    let mut node = node("process.stdout.write(require('fs').readFileSync('/proc/self/status'))");
    let status = command::output(node.stdout(Stdio::piped()))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("a peak")?;
    Ok(peak.trim().trim_end_matches("kB").trim().parse::<f64>()? / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_converted_into_the_units_that_it_has() {
        let time = YardstickFigure::Time { time: Duration::from_millis(2), bytes: 4_000_000, rows: 10_000 };
        let in_units = ["s", "ms", "µs", "ns", "MB/s", "k/s"].map(|unit| time.to_unit(unit).unwrap());
        assert_eq!(in_units, [0.002, 2.0, 2000.0, 2_000_000.0, 2000.0, 5000.0]);
        assert!(time.to_unit("MB").is_err());
        assert!(YardstickFigure::Time { time: Duration::ZERO, bytes: 0, rows: 0 }.to_unit("MB/s").is_err());
        assert_eq!(YardstickFigure::Memory(2.0).to_unit("kB").unwrap(), 2048.0);
        assert!(YardstickFigure::Memory(2.0).to_unit("ms").is_err());
        assert_eq!(YardstickFigure::Number(100.0).to_unit("%").unwrap(), 100.0);
    }

    #[test]
    fn each_name_is_read_as_it_is_written() {
        for name in ["spawn", "memcpy", "insert", "cat", "node", "node-memory", "whole", "one"] {
            let yardstick = Yardstick::from(name.to_owned());
            assert_eq!(yardstick.name(), name);
            assert!(!matches!(yardstick, Yardstick::Own(_)), "{name}");
        }
        assert_eq!(Yardstick::from("pm2".to_owned()), Yardstick::Own("pm2".to_owned()));
    }
}
