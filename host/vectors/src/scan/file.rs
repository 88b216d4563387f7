//! A collection in a file: records are only ever appended, each with a checksum, until the file is written anew.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use aiw_home::{ExclusiveLock, HomeError, Mode, make_private_dir, open_owned, open_regular, remove_file, replace_with};
use parking_lot::RwLock;

use super::index::{RecordLocation, VectorIndex};
use super::kernel;
use super::record::{self, EntryRecord, HEADER_LEN, VectorsHeader};
use crate::store::{
    Filter, StoreError, VectorEntry, VectorHit, VectorStore, check_dimensions, check_id, normalize, normalize_entries,
};

/// How much is written at once: a large batch need not be in memory a second time.
const WRITE_CHUNK_BYTES: usize = 4 << 20;

/// A file with less waste than this is not worth writing anew.
const MIN_WASTE_BYTES: u64 = 1 << 20;

/// A collection in a file. Processes may share it: one at a time writes, and each sees what the others have written.
///
/// After a crash in the middle of a write, everything is there that was written as a whole before. A power failure
/// may cost what was written last. Damage costs what follows it; [`FileVectors::damaged_bytes`] tells how much that is.
pub struct FileVectors {
    path: PathBuf,
    dimensions: usize,
    state: RwLock<FileState>,
}

struct FileState {
    /// The file that the places in `index` are in; `None` if there is none, or its beginning is damaged.
    open: Option<OpenFile>,
    index: VectorIndex,
}

struct OpenFile {
    file: File,
    header: VectorsHeader,
    /// The end of the last whole record.
    end: u64,
    /// The length when it was last read. What follows `end` is damaged, or was not written as a whole.
    length: u64,
    /// The bytes of records that no longer count.
    waste: u64,
}

/// A change to write.
enum Change<'a> {
    Put(&'a str, Vec<f32>),
    Delete(&'a str),
}

impl FileVectors {
    /// Opens a collection and reads it. A missing file is an empty collection; the first entry creates the file and
    /// its directory.
    pub fn open(path: impl Into<PathBuf>, dimensions: usize) -> Result<Self, StoreError> {
        check_dimensions(dimensions)?;
        let store = Self {
            path: path.into(),
            dimensions,
            state: RwLock::new(FileState { open: None, index: VectorIndex::new(dimensions) }),
        };
        store.catch_up()?;
        Ok(store)
    }

    /// Returns the dimensions of the vectors in a file, or `None` if there is no file, or its beginning is damaged.
    pub fn read_dimensions(path: &Path) -> Result<Option<usize>, StoreError> {
        let mut bytes = [0; HEADER_LEN as usize];
        let read = open_regular(path).and_then(|mut file| file.read_exact(&mut bytes));
        match read {
            Ok(()) => Ok(VectorsHeader::parse(&bytes).map(|header| header.dimensions)),
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof) => Ok(None),
            Err(e) => Err(HomeError::io("read", path, e).into()),
        }
    }

    /// The bytes at the end of the file that do not count: damaged, or not yet written as a whole. If you can make
    /// the entries again, do so when this is not 0. The next write removes these bytes.
    pub fn damaged_bytes(&self) -> u64 {
        self.with(|state| state.open.as_ref().map_or(0, |open| open.length - open.end))
    }

    fn with<T>(&self, look: impl FnOnce(&FileState) -> T) -> T {
        look(&self.state.read())
    }

    fn change<T>(&self, change: impl FnOnce(&mut FileState) -> Result<T, StoreError>) -> Result<T, StoreError> {
        change(&mut self.state.write())
    }

    /// Reads what other processes have written since.
    fn catch_up(&self) -> Result<(), StoreError> {
        let file = self.open_file()?;
        let now = match &file {
            Some(file) => Some((self.header(file)?, self.length(file)?)),
            None => None,
        };
        let current = |state: &FileState| match (&state.open, &now) {
            (None, None | Some((None, _))) => true,
            (Some(open), Some((Some(header), length))) => {
                open.header == *header && open.length == *length && open.end == *length
            }
            _ => false,
        };
        if self.with(current) {
            return Ok(());
        }
        self.change(|state| self.read_on(state, self.open_file()?))
    }

    /// Reads the rest of the file, or all of it if it is another file than before.
    fn read_on(&self, state: &mut FileState, file: Option<File>) -> Result<(), StoreError> {
        let header = match &file {
            Some(file) => self.header(file)?,
            None => None,
        };
        let (Some(file), Some(header)) = (file, header) else {
            *state = FileState { open: None, index: VectorIndex::new(self.dimensions) };
            return Ok(());
        };
        let length = self.length(&file)?;
        let known = state.open.as_ref().filter(|open| open.header == header && open.end <= length);
        let (start, mut waste) = match known {
            Some(open) => (open.end, open.waste),
            None => {
                state.index = VectorIndex::new(self.dimensions);
                (HEADER_LEN, 0)
            }
        };
        state.open = None;
        let mut reader = BufReader::with_capacity(1 << 18, &file);
        let mut end = start;
        let read = (|| -> io::Result<()> {
            reader.seek(SeekFrom::Start(start))?;
            // Only what was there at the beginning: others may be writing.
            let mut reader = (&mut reader).take(length - start);
            while let Some((record, size)) = EntryRecord::read(&mut reader, &header, end)? {
                waste += apply(&mut state.index, record, RecordLocation { offset: end, length: size });
                end += u64::from(size);
            }
            Ok(())
        })();
        if let Err(e) = read {
            *state = FileState { open: None, index: VectorIndex::new(self.dimensions) };
            return Err(self.io("read", e));
        }
        state.open = Some(OpenFile { file, header, end, length, waste });
        Ok(())
    }

    /// Writes changes as the only writer, and returns how many of the deletions removed something.
    fn write(&self, changes: Vec<Change<'_>>) -> Result<usize, StoreError> {
        if changes.is_empty() {
            return Ok(0);
        }
        if let Some(parent) = self.path.parent() {
            make_private_dir(parent)?;
        }
        let _turn = ExclusiveLock::acquire(&self.path.with_added_extension("lock"))?;
        self.change(|state| {
            let file = self.open_file()?;
            self.read_on(state, file)?;
            if state.open.is_none() {
                self.begin(state)?;
            }
            let removed = self.append(state, changes)?;
            self.tidy(state);
            Ok(removed)
        })
    }

    /// Starts a new file.
    fn begin(&self, state: &mut FileState) -> Result<(), StoreError> {
        let header = VectorsHeader::new(self.dimensions).map_err(|e| self.io("find random bytes for", e))?;
        replace_with(&self.path, Mode::Private, |file| file.write_all(&header.encode()))?;
        let file = self.open_file()?;
        self.read_on(state, file)
    }

    fn append(&self, state: &mut FileState, changes: Vec<Change<'_>>) -> Result<usize, StoreError> {
        let FileState { open: Some(open), index } = state else { return Ok(0) };
        let mut file = open_owned(&self.path).map_err(|e| self.io("write", e))?;
        // Records after a torn one would never be found.
        if open.length != open.end {
            file.set_len(open.end).map_err(|e| self.io("write", e))?;
            open.length = open.end;
        }
        file.seek(SeekFrom::Start(open.end)).map_err(|e| self.io("write", e))?;
        let (mut bytes, mut pending, mut removed) = (Vec::new(), Vec::new(), 0);
        let mut changes = changes.into_iter().peekable();
        while let Some(change) = changes.next() {
            let offset = open.end + bytes.len() as u64;
            let record = match change {
                Change::Put(id, vector) => EntryRecord { id: id.to_owned(), vector: Some(vector) },
                // Not yet written entries of this call are never deleted by it: a call puts or deletes.
                Change::Delete(id) if index.location(id).is_none() => continue,
                Change::Delete(id) => {
                    removed += 1;
                    EntryRecord { id: id.to_owned(), vector: None }
                }
            };
            let length = record.write(&open.header, offset, &mut bytes);
            pending.push((record, RecordLocation { offset, length }));
            if bytes.len() >= WRITE_CHUNK_BYTES || changes.peek().is_none() {
                self.put_down(&mut file, open, &bytes)?;
                for (record, place) in pending.drain(..) {
                    open.waste += apply(index, record, place);
                }
                bytes.clear();
            }
        }
        // The last change was a deletion of nothing.
        if !bytes.is_empty() {
            self.put_down(&mut file, open, &bytes)?;
            for (record, place) in pending {
                open.waste += apply(index, record, place);
            }
        }
        Ok(removed)
    }

    fn put_down(&self, file: &mut File, open: &mut OpenFile, bytes: &[u8]) -> Result<(), StoreError> {
        if let Err(e) = file.write_all(bytes) {
            // A full disk: nobody needs the part that was written.
            let _ = file.set_len(open.end);
            return Err(self.io("write", e));
        }
        open.end += bytes.len() as u64;
        open.length = open.end;
        Ok(())
    }

    /// Writes the file anew once most of it is waste. If that fails, the file stays as it is.
    fn tidy(&self, state: &mut FileState) {
        let wasteful = |open: &&OpenFile| open.waste >= MIN_WASTE_BYTES && open.waste > (open.end - HEADER_LEN) / 2;
        let FileState { open: before, index } = state;
        let Some(open) = before.as_ref().filter(wasteful) else { return };
        let Ok(header) = VectorsHeader::new(self.dimensions) else { return };
        let mut places = Vec::with_capacity(index.len());
        let written = replace_with(&self.path, Mode::Private, |file| {
            let mut writer = io::BufWriter::with_capacity(1 << 18, file);
            writer.write_all(&header.encode())?;
            let (mut offset, mut bytes) = (HEADER_LEN, Vec::new());
            for place in index.locations_mut() {
                let Some(record) = read_record(open, *place)? else {
                    return Err(io::ErrorKind::InvalidData.into());
                };
                bytes.clear();
                let length = record.write(&header, offset, &mut bytes);
                writer.write_all(&bytes)?;
                places.push(RecordLocation { offset, length });
                offset += u64::from(length);
            }
            writer.flush()
        });
        if written.is_err() {
            // If it is because of damage, reading the file again finds out.
            *before = None;
            return;
        }
        let opened = self.open_file().ok().flatten().and_then(|file| Some((self.length(&file).ok()?, file)));
        // The index stays; only the places are others.
        *before = opened.map(|(length, file)| OpenFile { file, header, end: length, length, waste: 0 });
        for (place, moved) in index.locations_mut().zip(places) {
            *place = moved;
        }
    }

    fn open_file(&self) -> Result<Option<File>, StoreError> {
        match open_regular(&self.path) {
            Ok(file) => Ok(Some(file)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(self.io("read", e)),
        }
    }

    /// Returns the header of a file, or `None` if it is damaged.
    fn header(&self, mut file: &File) -> Result<Option<VectorsHeader>, StoreError> {
        let mut bytes = [0; HEADER_LEN as usize];
        file.seek(SeekFrom::Start(0)).map_err(|e| self.io("read", e))?;
        match file.read_exact(&mut bytes) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(e) => return Err(self.io("read", e)),
        }
        let Some(header) = VectorsHeader::parse(&bytes) else { return Ok(None) };
        if header.dimensions != self.dimensions {
            let (path, found, wanted) = (self.path.clone(), header.dimensions, self.dimensions);
            return Err(StoreError::DimensionMismatch { path, found, wanted });
        }
        Ok(Some(header))
    }

    fn length(&self, file: &File) -> Result<u64, StoreError> {
        Ok(file.metadata().map_err(|e| self.io("read", e))?.len())
    }

    fn io(&self, action: &'static str, source: io::Error) -> StoreError {
        HomeError::io(action, &self.path, source).into()
    }

    /// Looks at the collection as it is now. If a record was damaged after it was read, the file is read again.
    fn look<T>(&self, look: impl Fn(&FileState) -> Result<T, Unreadable>) -> Result<T, StoreError> {
        self.catch_up()?;
        for _ in 0..2 {
            match self.with(&look) {
                Ok(answer) => return Ok(answer),
                Err(Unreadable::Io(e)) => return Err(self.io("read", e)),
                Err(Unreadable::Damaged) => self.change(|state| {
                    state.open = None;
                    self.read_on(state, self.open_file()?)
                })?,
            }
        }
        Err(self.io("read", io::ErrorKind::InvalidData.into()))
    }
}

/// Takes a record into the index, and returns the bytes that became waste.
fn apply(index: &mut VectorIndex, record: EntryRecord, place: RecordLocation) -> u64 {
    match record.vector {
        Some(vector) => index.put(&record.id, &vector, place).map_or(0, |old| u64::from(old.length)),
        None => u64::from(place.length) + index.remove(&record.id).map_or(0, |old| u64::from(old.length)),
    }
}

/// Reads the record at a place; `None` if it is damaged.
fn read_record(open: &OpenFile, place: RecordLocation) -> io::Result<Option<EntryRecord>> {
    let mut bytes = vec![0; place.length as usize];
    match record::read_at(&open.file, &mut bytes, place.offset) {
        Ok(()) => Ok(EntryRecord::read(&mut bytes.as_slice(), &open.header, place.offset)?.map(|(record, _)| record)),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(e) => Err(e),
    }
}

/// Why a record that is in the index can't be read.
enum Unreadable {
    Io(io::Error),
    Damaged,
}

fn exact(state: &FileState, id: &str, place: RecordLocation) -> Result<Vec<f32>, Unreadable> {
    let open = state.open.as_ref().ok_or(Unreadable::Damaged)?;
    let record = read_record(open, place).map_err(Unreadable::Io)?;
    record.filter(|record| record.id == id).and_then(|record| record.vector).ok_or(Unreadable::Damaged)
}

impl VectorStore for FileVectors {
    fn dimensions(&self) -> usize {
        self.dimensions
    }

    fn upsert(&self, entries: &[VectorEntry<'_>]) -> Result<(), StoreError> {
        let entries = normalize_entries(entries, self.dimensions)?;
        self.write(entries.into_iter().map(|(id, vector)| Change::Put(id, vector)).collect()).map(drop)
    }

    fn delete(&self, ids: &[&str]) -> Result<usize, StoreError> {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        ids.iter().try_for_each(|id| check_id(id))?;
        self.write(ids.into_iter().map(Change::Delete).collect())
    }

    fn get(&self, id: &str) -> Result<Option<Vec<f32>>, StoreError> {
        self.look(|state| state.index.location(id).map(|place| exact(state, id, *place)).transpose())
    }

    fn count(&self) -> Result<usize, StoreError> {
        self.catch_up()?;
        Ok(self.with(|state| state.index.len()))
    }

    fn search(&self, query: &[f32], k: usize, filter: Option<Filter<'_>>) -> Result<Vec<VectorHit>, StoreError> {
        let query = normalize(query, self.dimensions)?;
        self.look(|state| {
            state.index.search(&query, k, filter, |id, place| Ok(kernel::cosine(&query, &exact(state, id, *place)?)))
        })
    }
}

/// Removes a collection: its file, and the lock beside it.
pub fn remove_collection(path: &Path) -> Result<bool, StoreError> {
    let lock = path.with_added_extension("lock");
    let _turn = ExclusiveLock::acquire(&lock)?;
    let there = match remove_file(path) {
        Ok(()) => true,
        Err(e) if e.kind() == io::ErrorKind::NotFound => false,
        Err(e) => return Err(HomeError::io("remove", path, e).into()),
    };
    Ok(there)
}
