//! Systems without supervised processes.

/// Gives nothing back.
pub(crate) fn release_code_pages() {}

/// Never called.
pub(crate) fn start_time(_pid: u32) -> Option<u64> {
    None
}

/// Returns `true`: logs are not rotated here.
pub(crate) fn is_same_file(_one: &std::fs::File, _other: &std::fs::File) -> bool {
    true
}
