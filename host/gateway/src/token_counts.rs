//! What part of a session's requests came out of a cache, for requests whose answer breaks off before its server counts.

use std::collections::HashMap;

use aiw_usage::TokenCounts;
use parking_lot::Mutex;

/// The most sessions that are remembered.
const MAX_SESSIONS: usize = 1_000;

/// The last count of each session with an account and a model.
#[derive(Debug, Default)]
pub(crate) struct CachedTokenCounts(Mutex<HashMap<String, TokenCounts>>);

impl CachedTokenCounts {
    /// Notes what a server has counted.
    pub(crate) fn record(&self, session: &str, tokens: TokenCounts) {
        if tokens.total_input() == 0 {
            return;
        }
        let mut all = self.0.lock();
        if all.len() >= MAX_SESSIONS {
            all.clear();
        }
        all.insert(session.to_owned(), tokens);
    }

    /// Splits an estimate of what was read as the last request of the session was: its beginning is in the cache again.
    pub(crate) fn split_estimate(&self, session: &str, read: u64) -> TokenCounts {
        let last = self.0.lock().get(session).copied();
        let Some(last) = last else { return TokenCounts { input: read, ..TokenCounts::default() } };
        let share = |part: u64| {
            let share = u128::from(part) * u128::from(read) / u128::from(last.total_input().max(1));
            u64::try_from(share).unwrap_or(read)
        };
        let (cached, cache_written) = (share(last.cached), share(last.cache_written));
        let cache_written_1h = share(last.cache_written_1h).min(cache_written);
        let input = read.saturating_sub(cached).saturating_sub(cache_written);
        TokenCounts { input, cached, cache_written, cache_written_1h, ..TokenCounts::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_is_split_as_the_last_count_was() {
        let shares = CachedTokenCounts::default();
        assert_eq!(shares.split_estimate("s", 100), TokenCounts { input: 100, ..TokenCounts::default() });
        let counted =
            TokenCounts { input: 10, cached: 900, cache_written: 90, cache_written_1h: 45, output: 7, thinking: 1 };
        shares.record("s", counted);
        // What read nothing says nothing.
        shares.record("s", TokenCounts { output: 9, ..TokenCounts::default() });
        let split = TokenCounts {
            input: 20,
            cached: 1_800,
            cache_written: 180,
            cache_written_1h: 90,
            ..TokenCounts::default()
        };
        assert_eq!(shares.split_estimate("s", 2_000), split);
        assert_eq!(shares.split_estimate("other", 5).input, 5);
        for read in [0, 1, 7, TokenCounts::MAX_TOKENS] {
            assert_eq!(shares.split_estimate("s", read).total_input(), read);
        }
        (0..3 * MAX_SESSIONS).for_each(|at| shares.record(&at.to_string(), counted));
        assert!(shares.0.lock().len() <= MAX_SESSIONS);
    }
}
