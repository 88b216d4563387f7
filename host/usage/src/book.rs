//! The files of a book: one for each month, a line of JSON for each booking.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use aiw_core::ErrorKind;
use aiw_home::{Home, HomeError, lock_within, open_owned, open_plain, rfc3339};

use crate::booking::Booking;

/// How long a book that somebody else writes is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest line. Longer ones are no bookings.
const LONGEST: u64 = 64 << 10;

/// An error with a book.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// The home.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// A file of the book.
    #[error("cannot {doing} `{}`: {source}", .path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Another process has the book for too long.
    #[error("`{}` is locked by another process", .path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
}

impl UsageError {
    /// The kind, for the exit code.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Home(e) => e.kind(),
            Self::Io { .. } | Self::Busy { .. } => ErrorKind::Unavailable,
        }
    }

    /// Returns the next step, if there is just one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Home(e) => e.hint(),
            Self::Io { .. } | Self::Busy { .. } => None,
        }
    }
}

/// What was used, in files of months.
#[derive(Debug, Clone)]
pub struct Book {
    home: Home,
    directory: PathBuf,
}

/// How far a book was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mark(BTreeMap<String, u64>);

impl Book {
    /// Returns the book of a home.
    pub fn of(home: &Home) -> Self {
        Self { home: home.clone(), directory: home.usage() }
    }

    /// Returns the directory of its files.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Adds a booking. A line that an earlier crash left half written is ended first.
    ///
    /// # Errors
    ///
    /// Fails if the file can't be written.
    pub fn add(&self, booking: &Booking) -> Result<(), UsageError> {
        self.home.make_dir(&self.directory)?;
        let path = self.directory.join(month(booking.at)).with_extension("jsonl");
        let io = |doing| {
            let path = path.clone();
            move |source| UsageError::Io { doing, path, source }
        };
        let file = open_owned(&path).map_err(io("open"))?;
        let locked = lock_within(file, PATIENCE).map_err(io("lock"))?;
        let mut file = locked.ok_or_else(|| UsageError::Busy { path: path.clone() })?;
        let length = file.metadata().map_err(io("read"))?.len();
        let mut line = serde_json::to_vec(booking).map_err(|e| io("write")(e.into()))?;
        line.push(b'\n');
        if length > 0 && !ends_its_line(&mut file, length).map_err(io("read"))? {
            line.insert(0, b'\n');
        }
        file.seek(SeekFrom::Start(length)).map_err(io("write"))?;
        file.write_all(&line).map_err(|source| {
            // The disk is full. Half a line is no booking.
            let _ = file.set_len(length);
            io("write")(source)
        })
    }

    /// Reads all bookings since a time, in milliseconds since 1970, oldest month first. Lines that are no bookings are skipped.
    ///
    /// # Errors
    ///
    /// Fails if a file can't be read.
    pub fn read(&self, since: u64, mut each: impl FnMut(Booking)) -> Result<(), UsageError> {
        self.read_on(&mut Mark::default(), since, &mut each)
    }

    /// Reads what was added since the mark.
    pub(crate) fn read_on(&self, mark: &mut Mark, since: u64, each: &mut dyn FnMut(Booking)) -> Result<(), UsageError> {
        for (name, path) in self.files()? {
            if name < month(since) {
                continue;
            }
            let from = mark.0.entry(name).or_default();
            read_file(&path, from, &mut |booking| {
                if booking.at >= since {
                    each(booking);
                }
            })
            .map_err(|source| UsageError::Io { doing: "read", path, source })?;
        }
        Ok(())
    }

    /// Returns whether a file is shorter than what was read of it, or gone.
    pub(crate) fn has_shrunk(&self, mark: &Mark) -> Result<bool, UsageError> {
        let files = self.files()?;
        let is_shorter = |(name, read): (&String, &u64)| {
            let length = files.get(name).and_then(|path| fs::metadata(path).ok()).map_or(0, |meta| meta.len());
            length < *read
        };
        Ok(mark.0.iter().any(is_shorter))
    }

    /// Returns the files by their months.
    fn files(&self) -> Result<BTreeMap<String, PathBuf>, UsageError> {
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(source) => return Err(UsageError::Io { doing: "read", path: self.directory.clone(), source }),
        };
        let month = |path: PathBuf| {
            let name = path.file_stem()?.to_str()?.to_owned();
            let is_month = name.len() == 7 && name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
            (is_month && path.extension().is_some_and(|kind| kind == "jsonl")).then_some((name, path))
        };
        Ok(entries.flatten().filter_map(|entry| month(entry.path())).collect())
    }
}

/// Returns the month of a time: `2026-11`.
fn month(millis: u64) -> String {
    rfc3339(millis).chars().take(7).collect()
}

fn ends_its_line(file: &mut File, length: u64) -> io::Result<bool> {
    let mut last = [0];
    file.seek(SeekFrom::Start(length - 1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// Reads the whole lines of a file from a position, which is moved behind them.
fn read_file(path: &Path, from: &mut u64, each: &mut dyn FnMut(Booking)) -> io::Result<()> {
    let mut file = open_plain(path)?;
    let length = file.metadata()?.len();
    if length < *from {
        // Somebody cut it off.
        *from = 0;
    }
    if length == *from {
        return Ok(());
    }
    file.seek(SeekFrom::Start(*from))?;
    let mut reader = BufReader::with_capacity(256 << 10, file);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut reader).take(LONGEST).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(());
        }
        if line.last() != Some(&b'\n') && read as u64 != LONGEST {
            // It is being written.
            return Ok(());
        }
        *from += read as u64;
        if let Ok(booking) = serde_json::from_slice(&line) {
            each(booking);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::booking::{Source, Tokens};

    fn home() -> (tempfile::TempDir, Book) {
        let dir = tempfile::tempdir().unwrap();
        let book = Book::of(&Home::at(dir.path()));
        (dir, book)
    }

    fn booking(at: u64, output: u64) -> Booking {
        Booking { at, ..Booking::new(Source::Gateway, Tokens { output, ..Tokens::default() }) }
    }

    /// 2026-11-30T23:59:59.999Z
    const NOVEMBER: u64 = 1_796_083_199_999;

    #[test]
    fn bookings_stand_in_their_months_and_come_back() {
        let (_dir, book) = home();
        book.read(0, |_| panic!("there is none")).unwrap();
        let all = [booking(NOVEMBER, 1), booking(NOVEMBER + 1, 2)];
        all.iter().for_each(|booking| book.add(booking).unwrap());
        let months: Vec<String> = book.files().unwrap().into_keys().collect();
        assert_eq!(months, ["2026-11", "2026-12"]);
        let mut read = Vec::new();
        book.read(0, |booking| read.push(booking)).unwrap();
        assert_eq!(read, all);
        book.read(NOVEMBER + 1, |booking| assert_eq!(booking.tokens.output, 2)).unwrap();
    }

    #[test]
    fn half_a_line_and_a_line_of_nonsense_cost_nobody_else_a_booking() {
        let (_dir, book) = home();
        book.add(&booking(NOVEMBER, 1)).unwrap();
        let path = book.directory().join("2026-11.jsonl");
        let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"at\": 1796083").unwrap();
        let (mut mark, mut outputs) = (Mark::default(), Vec::new());
        book.read_on(&mut mark, 0, &mut |booking| outputs.push(booking.tokens.output)).unwrap();
        assert_eq!(outputs, [1]);
        book.add(&booking(NOVEMBER, 2)).unwrap();
        file.write_all(&[b'x'; 200_000]).unwrap();
        file.write_all(b"\n7\n").unwrap();
        book.add(&booking(NOVEMBER, 3)).unwrap();
        book.read_on(&mut mark, 0, &mut |booking| outputs.push(booking.tokens.output)).unwrap();
        assert_eq!(outputs, [1, 2, 3]);
        book.read_on(&mut mark, 0, &mut |_| panic!("all of it was read")).unwrap();
    }

    #[test]
    fn many_writers_lose_nothing() {
        let (_dir, book) = home();
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let book = &book;
                scope.spawn(move || (0..50).for_each(|n| book.add(&booking(NOVEMBER, writer * 50 + n)).unwrap()));
            }
        });
        let mut outputs = Vec::new();
        book.read(0, |booking| outputs.push(booking.tokens.output)).unwrap();
        outputs.sort_unstable();
        assert_eq!(outputs, (0..200).collect::<Vec<u64>>());
    }

    #[test]
    fn a_link_in_place_of_a_month_is_not_written_through() {
        let (dir, book) = home();
        let target = dir.path().join("target");
        fs::write(&target, "mine").unwrap();
        fs::create_dir_all(book.directory()).unwrap();
        std::os::unix::fs::symlink(&target, book.directory().join("2026-11.jsonl")).unwrap();
        assert!(book.add(&booking(NOVEMBER, 1)).is_err());
        assert_eq!(fs::read_to_string(&target).unwrap(), "mine");
    }

    mod fuzz {
        use super::*;

        proptest! {
            #[test]
            fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
                let (_dir, book) = home();
                fs::create_dir_all(book.directory()).unwrap();
                fs::write(book.directory().join("2026-11.jsonl"), &bytes).unwrap();
                book.read(0, |_| {}).unwrap();
                book.add(&booking(NOVEMBER, 9)).unwrap();
                let mut last = 0;
                book.read(NOVEMBER, |booking| last = booking.tokens.output).unwrap();
                prop_assert_eq!(last, 9);
            }
        }
    }
}
