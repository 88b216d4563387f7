//! Files of lines that are only added to, and that replace each other when they are full. The first line of each is the
//! position of the file: `@` and the number of bytes before it. So a position means the same after older files are gone.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

const POSITION_PREFIX: &str = "@";

/// No file that anybody wrote begins behind this. A larger number would leave no room to count on.
const MAX_POSITION: u64 = 1 << 62;

/// Returns the first line of a file at this position.
pub fn position_line(position: u64) -> String {
    format!("{POSITION_PREFIX}{position}\n")
}

/// Returns the position that a file tells.
pub fn file_position(mut file: &File) -> Option<u64> {
    let mut head = [0; 24];
    file.seek(SeekFrom::Start(0)).ok()?;
    let length = file.read(&mut head).ok()?;
    let line = head[..length].split(|byte| *byte == b'\n').next()?;
    str::from_utf8(line).ok()?.strip_prefix(POSITION_PREFIX)?.parse().ok().filter(|position| *position <= MAX_POSITION)
}

/// Returns the length of a file up to its last line break.
pub fn complete_lines_len(mut file: &File) -> io::Result<u64> {
    let mut end = file.seek(SeekFrom::End(0))?;
    let mut buffer = vec![0; 4096];
    while end > 0 {
        let start = end.saturating_sub(buffer.len() as u64);
        file.seek(SeekFrom::Start(start))?;
        let part = &mut buffer[..usize::try_from(end - start).unwrap_or(0)];
        file.read_exact(part)?;
        if let Some(at) = part.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}
