//! The files of a book: one for each month, a line of JSON for each booking. A request has two: one before it is sent,
//! with what it will use at least as far as that is known, and one that takes its place at its end.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use aiw_core::{Diagnostic, ErrorKind};
use aiw_home::{Home, HomeError, open_owned, open_regular, read_dir, rfc3339, try_lock_for};

use crate::checksums::{Checksums, FileExtent, Loss, MAX_LINE_BYTES};
use crate::record::UsageRecord;

/// How long a book that somebody else writes is waited for.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// An error with a book.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// The home.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// A file of the book.
    #[error("cannot {doing} `{}`: {source}", .path.display())]
    Io {
        /// The step that was tried.
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

impl Diagnostic for UsageError {
    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        aiw_core::forward_diagnostic!(self, Home)
    }

    fn own_kind(&self) -> ErrorKind {
        if matches!(self, Self::Io { .. } | Self::Busy { .. }) { ErrorKind::Unavailable } else { ErrorKind::User }
    }
}

/// A book of usage, in one file a month.
#[derive(Debug, Clone)]
pub struct UsageLog {
    home: Home,
    directory: PathBuf,
    /// How long somebody else who writes is waited for.
    lock_timeout: Duration,
}

/// How far a book was read.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReadPosition(BTreeMap<String, Progress>);

/// How far a month was read.
#[derive(Debug, Clone, Default)]
struct Progress {
    extent: FileExtent,
    /// Whether the text that was read is not what was booked.
    is_wrong: bool,
    /// The requests that are open, by where they stand.
    open: BTreeMap<u64, UsageRecord>,
}

impl ReadPosition {
    /// Returns the requests that are open, or were when their gateway was killed. They count as what they were expected
    /// to use.
    pub(crate) fn open_requests(&self) -> impl Iterator<Item = &UsageRecord> {
        self.0.values().flat_map(|read| read.open.values())
    }
}

/// A request that is open, as its book knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenRequest {
    at: u64,
    place: u64,
}

impl OpenRequest {
    /// Returns the booking that closes it. A booking without usage is left out.
    pub fn final_record(&self, booking: UsageRecord) -> UsageRecord {
        // In the month, day and budget that it was opened in.
        UsageRecord { at: self.at, closes: Some(self.place), open: false, ..booking }
    }
}

/// The seal of a book's files, as it was written.
type SealResult = Result<Option<Checksums>, Loss>;

/// A book that nobody else writes.
#[derive(Debug)]
pub struct UsageLogGuard<'b> {
    book: &'b UsageLog,
    file: File,
    sealed: SealResult,
}

impl UsageLog {
    /// Returns the book of a home.
    pub fn new(home: &Home) -> Self {
        Self { home: home.clone(), directory: home.usage(), lock_timeout: LOCK_TIMEOUT }
    }

    /// Returns the same book for callers that may not wait: while somebody else writes, it is busy.
    #[must_use]
    pub fn non_blocking(&self) -> Self {
        Self { lock_timeout: Duration::ZERO, ..self.clone() }
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
    pub fn add(&self, booking: &UsageRecord) -> Result<(), UsageError> {
        self.lock()?.add(booking).map(drop)
    }

    /// Checks whether bookings can be added. Nothing is.
    ///
    /// # Errors
    ///
    /// Fails if the files can't be written.
    pub fn check_writable(&self) -> Result<(), UsageError> {
        let turn = self.lock()?;
        turn.open(&turn.book.path(&month(aiw_home::now_millis()))).map(drop)
    }

    /// Waits until nobody else writes, and opens the book for writing. Callers hold no lock meanwhile: it takes up to 5
    /// s.
    ///
    /// # Errors
    ///
    /// Fails if the files can't be opened, or somebody else has them for too long.
    pub fn lock(&self) -> Result<UsageLogGuard<'_>, UsageError> {
        let path = self.home.usage_checksums_path();
        let io = |doing| {
            let path = path.clone();
            move |source| UsageError::Io { doing, path, source }
        };
        let file = match open_owned(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.home.make_dir(&self.directory)?;
                open_owned(&path)
            }
            opened => opened,
        };
        let file = file.map_err(io("open"))?;
        let locked = try_lock_for(file, self.lock_timeout).map_err(io("lock"))?;
        let file = locked.ok_or_else(|| UsageError::Busy { path: path.clone() })?;
        let sealed = sealed(&file).map_err(io("read"))?;
        Ok(UsageLogGuard { book: self, file, sealed })
    }

    /// Reads all bookings since a time, in milliseconds since 1970, oldest month first, then those of open requests.
    /// Lines that are no bookings are skipped. Returns what is missing.
    ///
    /// # Errors
    ///
    /// Fails if a file can't be read.
    pub fn read(&self, since: u64, mut each: impl FnMut(UsageRecord)) -> Result<Option<Loss>, UsageError> {
        let mut mark = ReadPosition::default();
        let loss = self.read_new(&mut mark, since, &mut each)?;
        mark.0.into_values().flat_map(|read| read.open.into_values()).for_each(each);
        Ok(loss)
    }

    /// Reads what was added since the mark. Requests that are open are left in it. Returns what is missing.
    pub(crate) fn read_new(
        &self,
        mark: &mut ReadPosition,
        since: u64,
        each: &mut dyn FnMut(UsageRecord),
    ) -> Result<Option<Loss>, UsageError> {
        let path = self.home.usage_checksums_path();
        let io = |source| UsageError::Io { doing: "read", path: path.clone(), source };
        // Who can't write may read. Only what was booked before this is held against the seal.
        let sealed = match open_regular(&path) {
            Ok(file) => match try_lock_for(file, self.lock_timeout).map_err(io)? {
                Some(file) => sealed(&file).map_err(io)?,
                None => return Err(UsageError::Busy { path }),
            },
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => return Err(io(e)),
        };
        self.read_sealed(&sealed, mark, since, each)
    }

    fn read_sealed(
        &self,
        sealed: &SealResult,
        mark: &mut ReadPosition,
        since: u64,
        each: &mut dyn FnMut(UsageRecord),
    ) -> Result<Option<Loss>, UsageError> {
        let first = month(since);
        let (mut files, mut loss) = (self.files()?, None);
        // A book without its seal has lost it, whatever month is asked about. Somebody may have removed files with it.
        if matches!(sealed, Ok(None)) {
            let is_something = files.values().any(|path| fs::metadata(path).is_ok_and(|meta| meta.len() > 0));
            loss = match is_something {
                true => Some(Loss::InvalidChecksums),
                false => self.was_begun().then_some(Loss::AllMissing),
            };
        }
        files.retain(|name, _| *name >= first);
        let none = Checksums::default();
        let seal = match sealed {
            Ok(Some(seal)) => seal,
            Ok(None) => &none,
            Err(problem) => {
                loss = Some(problem.clone());
                &none
            }
        };
        let gone = seal
            .months
            .iter()
            .find(|(name, extent)| **name >= first && extent.length > 0 && !files.contains_key(*name));
        if let Some((name, _)) = gone {
            loss.get_or_insert(Loss::Missing { month: name.clone() });
        }
        for (name, path) in files {
            let read = mark.0.entry(name.clone()).or_default();
            let extent = seal.months.get(&name);
            let problem = read_month(&path, read, extent, &mut |booking| {
                if booking.at >= since {
                    each(booking);
                }
            })
            .map_err(|source| UsageError::Io { doing: "read", path, source })?;
            loss = loss.or(problem.map(|problem| match problem {
                Problem::Missing => Loss::Missing { month: name },
                Problem::Modified => Loss::Modified { month: name },
            }));
        }
        Ok(loss)
    }

    /// Goes on with the book as it is, whatever it has lost. Returns what that was.
    ///
    /// # Errors
    ///
    /// Fails if the book can't be read or written.
    pub fn repair(&self) -> Result<Option<Loss>, UsageError> {
        let mut turn = self.lock()?;
        let mut mark = ReadPosition::default();
        let loss = self.read_sealed(&turn.sealed, &mut mark, 0, &mut |_| {})?;
        let months = mark.0.into_iter().map(|(month, read)| (month, read.extent)).collect();
        turn.seal(Checksums { months })?;
        Ok(loss)
    }

    /// Returns whether a file is shorter than what was read of it, or gone.
    pub(crate) fn has_shrunk(&self, mark: &ReadPosition) -> Result<bool, UsageError> {
        let files = self.files()?;
        let is_shorter = |(name, read): (&String, &Progress)| {
            let length = files.get(name).and_then(|path| fs::metadata(path).ok()).map_or(0, |meta| meta.len());
            length < read.extent.length
        };
        Ok(mark.0.iter().any(is_shorter))
    }

    /// The file that says that there has been a book. It is with neither its files nor its seal, so that it does not go
    /// with them.
    fn begun(&self) -> PathBuf {
        self.home.gateway_dir().join("book-begun")
    }

    fn was_begun(&self) -> bool {
        fs::symlink_metadata(self.begun()).is_ok()
    }

    /// Notes that there is a book.
    fn begin(&self) -> Result<(), UsageError> {
        self.home.make_dir(&self.home.gateway_dir())?;
        let path = self.begun();
        open_owned(&path).map(drop).map_err(|source| UsageError::Io { doing: "write", path, source })
    }

    fn path(&self, month: &str) -> PathBuf {
        self.directory.join(month).with_extension("jsonl")
    }

    /// Returns the files by their months.
    fn files(&self) -> Result<BTreeMap<String, PathBuf>, UsageError> {
        let entries = match read_dir(&self.directory) {
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

impl UsageLogGuard<'_> {
    /// Reads what was added since the mark, as [`UsageLog::read_new`] does.
    pub(crate) fn read_new(
        &self,
        mark: &mut ReadPosition,
        since: u64,
        each: &mut dyn FnMut(UsageRecord),
    ) -> Result<Option<Loss>, UsageError> {
        self.book.read_sealed(&self.sealed, mark, since, each)
    }

    /// Adds a booking, and says where it stands if it is that of an open request.
    ///
    /// # Errors
    ///
    /// Fails if the file can't be written.
    pub fn add(&mut self, booking: &UsageRecord) -> Result<OpenRequest, UsageError> {
        let month = month(booking.at);
        let path = self.book.path(&month);
        let io = |doing| {
            let path = path.clone();
            move |source| UsageError::Io { doing, path, source }
        };
        // The seal is there before the book: a book without one has lost it.
        let is_empty = |path: &PathBuf| fs::metadata(path).is_ok_and(|meta| meta.len() == 0);
        if let Ok(None) = self.sealed
            && self.book.files()?.values().all(is_empty)
            && !self.book.was_begun()
        {
            self.seal(Checksums::default())?;
        }
        let mut file = self.open(&path)?;
        let length = file.metadata().map_err(io("read"))?.len();
        let sealed = self.sealed.as_ref().ok().and_then(Option::as_ref).and_then(|seal| seal.months.get(&month));
        let is_sealed = sealed.is_some_and(|extent| extent.length == length);
        let mut line = serde_json::to_vec(booking).map_err(|e| io("write")(e.into()))?;
        line.push(b'\n');
        let mut place = length;
        if length > 0 && !is_sealed && !ends_its_line(&mut file, length).map_err(io("read"))? {
            line.insert(0, b'\n');
            place += 1;
        }
        file.seek(SeekFrom::Start(length)).map_err(io("write"))?;
        file.write_all(&line).map_err(|source| {
            // The disk is full. Remove the half-written line.
            let _ = file.set_len(length);
            io("write")(source)
        })?;
        // What is booked is booked: a seal behind its book loses nothing, and catches up.
        let _ = self.catch_up(
            month,
            &mut file,
            length,
            (is_sealed && line.len() as u64 <= MAX_LINE_BYTES).then_some(&line),
        );
        Ok(OpenRequest { at: booking.at, place })
    }

    fn open(&self, path: &Path) -> Result<File, UsageError> {
        let io = |source| UsageError::Io { doing: "open", path: path.to_owned(), source };
        match open_owned(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.book.home.make_dir(&self.book.directory)?;
                open_owned(path).map_err(io)
            }
            opened => opened.map_err(io),
        }
    }

    /// Seals a month as far as it is written now, or what was sealed and a line behind it. A loss stays visible.
    fn catch_up(
        &mut self,
        month: String,
        file: &mut File,
        before: u64,
        line: Option<&Vec<u8>>,
    ) -> Result<(), UsageError> {
        let Ok(Some(seal)) = &self.sealed else { return Ok(()) };
        let mut seal = seal.clone();
        // Behind the seal: whoever is killed between the two has lost nothing.
        if !seal.months.contains_key(&month) {
            self.book.begin()?;
        }
        let extent = seal.months.entry(month).or_default();
        if extent.length > before {
            return Ok(());
        }
        let path = self.book.home.usage_checksums_path();
        let io = |source| UsageError::Io { doing: "write", path: path.clone(), source };
        match line {
            Some(line) => extent.append_line(line),
            None => {
                file.seek(SeekFrom::Start(extent.length)).map_err(io)?;
                extent.read(file, |_, _, _| {}).map_err(io)?;
            }
        }
        self.seal(seal)
    }

    fn seal(&mut self, mut seal: Checksums) -> Result<(), UsageError> {
        let path = self.book.home.usage_checksums_path();
        let io = |source| UsageError::Io { doing: "write", path: path.clone(), source };
        let length = self.file.metadata().map_err(io)?.len();
        let bytes = seal.format(length).map_err(io)?;
        self.file.seek(SeekFrom::Start(0)).map_err(io)?;
        // One write: whoever is killed has written all of it or nothing.
        self.file.write_all(&bytes).map_err(io)?;
        self.sealed = Ok(Some(seal));
        Ok(())
    }
}

fn sealed(file: &File) -> io::Result<SealResult> {
    Ok(Checksums::read(file)?.ok_or(Loss::InvalidChecksums))
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

/// Why a file is not what was booked.
enum Problem {
    Missing,
    Modified,
}

/// Reads the whole lines of a file behind those that were read, and compares it with its seal.
fn read_month(
    path: &Path,
    read: &mut Progress,
    sealed: Option<&FileExtent>,
    each: &mut dyn FnMut(UsageRecord),
) -> io::Result<Option<Problem>> {
    let mut file = open_regular(path)?;
    if file.metadata()?.len() < read.extent.length {
        // Somebody cut it off.
        *read = Progress::default();
    }
    file.seek(SeekFrom::Start(read.extent.length))?;
    let Progress { extent, is_wrong, open } = read;
    // Between two lines, or it was changed. Behind the seal is what was booked since, or what it had no time for.
    let before = extent.length;
    let mut is_right = sealed.is_none_or(|sealed| sealed == extent || (sealed.length < before && !*is_wrong));
    extent.read(file, |now, at, line| {
        is_right |= sealed == Some(now);
        let Ok(booking) = serde_json::from_slice::<UsageRecord>(line) else { return };
        if booking.open {
            open.insert(at, booking);
            return;
        }
        if let Some(place) = booking.closes {
            open.remove(&place);
            if booking.is_empty() {
                return;
            }
        }
        each(booking);
    })?;
    *is_wrong = !is_right;
    Ok(match sealed {
        _ if is_right => None,
        Some(sealed) if extent.length < sealed.length => Some(Problem::Missing),
        _ => Some(Problem::Modified),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::{TokenCounts, UsageSource};

    fn home() -> (tempfile::TempDir, UsageLog) {
        let dir = tempfile::tempdir().unwrap();
        let book = UsageLog::new(&Home::from_root(dir.path()));
        (dir, book)
    }

    fn booking(at: u64, output: u64) -> UsageRecord {
        UsageRecord { at, ..UsageRecord::new(UsageSource::Gateway, TokenCounts { output, ..TokenCounts::default() }) }
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
        let (mut mark, mut outputs) = (ReadPosition::default(), Vec::new());
        book.read_new(&mut mark, 0, &mut |booking| outputs.push(booking.tokens.output)).unwrap();
        assert_eq!(outputs, [1]);
        book.add(&booking(NOVEMBER, 2)).unwrap();
        file.write_all(&[b'x'; 200_000]).unwrap();
        file.write_all(b"\n7\n").unwrap();
        book.add(&booking(NOVEMBER, 3)).unwrap();
        book.read_new(&mut mark, 0, &mut |booking| outputs.push(booking.tokens.output)).unwrap();
        assert_eq!(outputs, [1, 2, 3]);
        book.read_new(&mut mark, 0, &mut |_| panic!("all of it was read")).unwrap();
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
