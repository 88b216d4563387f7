//! Ids, states and outcomes of supervised processes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::InvalidName;

/// The id of a supervised process, such as a task: 12 of `0-9 a-z`. It names a directory, so nothing else is allowed. It is
/// not the number that the system gives a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId([u8; 12]);

impl ProcessId {
    /// The id for a number; unique for numbers below 2^62.
    pub fn from_number(mut number: u64) -> Self {
        const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
        let mut id = [b'0'; 12];
        for digit in id.iter_mut().rev() {
            *digit = DIGITS[usize::try_from(number % 36).unwrap_or(0)];
            number /= 36;
        }
        Self(id)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        // Only ASCII goes in.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for ProcessId {
    type Err = InvalidName;
    fn from_str(id: &str) -> Result<Self, InvalidName> {
        let plain = |b: &u8| b.is_ascii_digit() || b.is_ascii_lowercase();
        match <[u8; 12]>::try_from(id.as_bytes()) {
            Ok(bytes) if bytes.iter().all(plain) => Ok(Self(bytes)),
            _ => Err(InvalidName {
                kind: "task id",
                name: id.to_owned(),
                reason: "is not 12 digits and lowercase letters",
            }),
        }
    }
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for ProcessId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ProcessId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

crate::string_enum! {
    /// The state of a supervised process.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum ProcessState {
        /// Its shim is waiting for its turn.
        Queued = "queued",
        /// Its program is being started.
        Starting = "starting",
        /// Its program runs.
        Running = "running",
        /// A request to end was sent, and the process has not ended yet.
        Stopping = "stopping",
        /// The process has ended; its outcome says how.
        Ended = "ended",
    }
}

crate::string_enum! {
    /// How a supervised process ended.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum ProcessOutcome {
        /// The program exited with 0, and its output reports no failure.
        Succeeded = "succeeded",
        /// The program reported a failure, or could not start.
        Failed = "failed",
        /// A signal, or a request to stop, ended it.
        Signalled = "signalled",
        /// The process ran out of time.
        Timeout = "timeout",
        /// Its shim died: nobody saw how it ended.
        Lost = "lost",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_plain_file_name() {
        let id = ProcessId::from_number(u64::MAX >> 2);
        assert_eq!(id.as_str().parse(), Ok(id));
        assert_ne!(id, ProcessId::from_number(1));
        for bad in ["", "..", "../../x", "0000000000000", "00000000000A", "0000/0000000"] {
            assert!(bad.parse::<ProcessId>().is_err(), "{bad}");
        }
    }
}
