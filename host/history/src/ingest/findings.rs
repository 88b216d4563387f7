//! What was wrong with a transcript.

use std::collections::BTreeMap;

use aiw_core::pluralize;

aiw_core::string_enum! {
    /// Why a line was left out, or something in it: the end of a sentence about lines.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    pub(crate) enum LineError {
        /// The line is not JSON: damaged, or nested too deep.
        NotJson = "not JSON",
        /// The line is not UTF-8.
        NotUtf8 = "not UTF-8",
        /// The line is longer than allowed.
        TooLong = "longer than 16 MiB",
        /// A field that a message needs is absent or of another type.
        InvalidSchema = "without the fields of a message",
        /// The line names no valid session.
        NoSession = "without a session id",
        /// Its time is in 1970 or in 2100. The message is kept, without a time.
        InvalidTime = "with an impossible time",
        /// The message follows itself. It is kept.
        Cycle = "that follow themselves",
    }
}

impl LineError {
    /// Returns the problem of a line that serde_json refused.
    pub(crate) fn classify(line: &[u8], error: &serde_json::Error) -> Self {
        match error.classify() {
            _ if std::str::from_utf8(line).is_err() => Self::NotUtf8,
            serde_json::error::Category::Data => Self::InvalidSchema,
            _ => Self::NotJson,
        }
    }
}

/// The problems with the lines of a transcript: how many, and where the first is.
#[derive(Debug, Default)]
pub(crate) struct LineProblems {
    found: BTreeMap<LineError, (u64, u64)>,
}

impl LineProblems {
    pub(crate) fn add(&mut self, junk: LineError, offset: u64) {
        self.found.entry(junk).or_insert((0, offset)).0 += 1;
    }

    /// A sentence; none if nothing was wrong.
    pub(crate) fn to_message(&self) -> Option<String> {
        let parts = self.found.iter().map(|(junk, (count, first))| {
            format!("{} {} (the first at byte {first})", pluralize(*count, "line"), junk.as_str())
        });
        let parts: Vec<String> = parts.collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}
