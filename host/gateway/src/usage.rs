//! What one request uses: booked before it is sent, as what it is expected to use, and at its end as what it did.
//! However it ends, it is booked.

use std::sync::Arc;
use std::time::Duration;

use aiw_dialects::{FailureKind, UpstreamFailure, UpstreamResponse};
use aiw_usage::{OpenRequest, TokenCounts, UsageRecord, UsageSource};
use tokio::runtime::Handle;

use crate::gateway::Gateway;
use crate::ledger::PendingRecord;
use crate::route::GatewayRoute;
use crate::token_counts::CachedTokenCounts;
use crate::turn::OpenUpstream;

/// How long an answer waits until it is booked.
const USAGE_WRITE_TIMEOUT: Duration = Duration::from_millis(200);

/// A server that counts less than such a part of what it read or said does not count.
const MIN_COUNT_DIVISOR: u64 = 10;

/// The bound where an answer broke off: the count of its beginning may stand.
const MIN_PARTIAL_COUNT_DIVISOR: u64 = 4;

/// The expected usage of a request, in tokens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UsageEstimate {
    pub input_tokens: u64,
    pub output_tokens: u64,
}

/// The booking of a request. Dropped before the request is sent, it is that of nothing; dropped after that, the
/// provider has read the request.
pub(crate) struct UsageGuard {
    gateway: Arc<Gateway>,
    route: Arc<GatewayRoute>,
    turn: OpenUpstream,
    expected: UsageEstimate,
    record: UsageRecord,
    opened: Option<OpenRequest>,
    /// Whether the provider may count the request.
    is_sent: bool,
    /// Whether the way to the provider was given up.
    is_abandoned: bool,
    is_closed: bool,
}

impl UsageGuard {
    /// Books a request that is about to be sent. A failure says why it may not be.
    pub(crate) async fn open(
        gateway: &Arc<Gateway>,
        route: &Arc<GatewayRoute>,
        at: usize,
        turn: OpenUpstream,
        expected: UsageEstimate,
    ) -> Result<Self, UpstreamFailure> {
        let (gateway, route) = (gateway.clone(), route.clone());
        // If the client leaves meanwhile, the receipt is dropped where it is made.
        let made = move || {
            let run = route.run.as_ref();
            let tokens =
                TokenCounts { input: expected.input_tokens, output: expected.output_tokens, ..TokenCounts::default() };
            let booking = UsageRecord {
                cli: run.map(|run| run.cli),
                provider: Some(route.members[at].provider.clone()),
                pool: route.pool.as_ref().map(|pool| pool.name.clone()),
                model: Some(turn.model().to_owned()),
                task: gateway.routes.task(&route.token),
                project: run.and_then(|run| run.project.clone()),
                budgets: run.map(|run| run.budgets.clone()).unwrap_or_default(),
                truncated: true,
                estimated: true,
                ..UsageRecord::new(UsageSource::Gateway, tokens)
            };
            let opened = match gateway.ledger.open(booking.clone()) {
                Ok(PendingRecord::Recorded(request)) => Some(request),
                Ok(PendingRecord::NotRecorded(why)) => {
                    gateway.notify(&route, &why);
                    None
                }
                Err(sentence) => return Err(UpstreamFailure::new(FailureKind::PermissionDenied, sentence)),
            };
            Ok(Self {
                gateway,
                route,
                turn,
                expected,
                record: booking,
                opened,
                is_sent: false,
                is_abandoned: false,
                is_closed: false,
            })
        };
        aiw_home::run_blocking(made).await
    }

    /// The model that is asked.
    pub(crate) fn model(&self) -> &str {
        self.turn.model()
    }

    /// Notes whether the provider has the request, and may count it.
    pub(crate) fn set_sent(&mut self, is_sent: bool) {
        self.is_sent = is_sent;
    }

    /// Notes that the way to the provider broke: it may count the request, and writes no answer.
    pub(crate) fn mark_abandoned(&mut self) {
        self.is_abandoned = true;
    }

    /// Notes what was used, and returns the work of writing that. Whatever becomes of the work, it is done.
    fn close(&mut self, used: Option<ResponseUsage>) -> Option<FinalRecord> {
        if std::mem::replace(&mut self.is_closed, true) {
            return None;
        }
        let booking = match used {
            Some(used) => {
                let session = format!("{} {}", self.route.token, self.turn.account_key());
                used.booked(&self.record, self.expected, &self.gateway.cached_token_counts, &session)
            }
            None => UsageRecord { tokens: TokenCounts::default(), cost_usd: None, ..self.record.clone() },
        };
        match (&self.opened, used) {
            (Some(opened), _) => self.gateway.ledger.close(opened.final_record(booking)),
            (None, Some(_)) => self.gateway.ledger.close(booking),
            (None, None) => return None,
        }
        Some(FinalRecord { gateway: self.gateway.clone(), route: self.route.clone() })
    }
}

impl Drop for UsageGuard {
    fn drop(&mut self) {
        FinalRecord::go(self.close(self.is_sent.then_some(ResponseUsage::unsaid(!self.is_abandoned))));
    }
}

/// Usage on its way into the book. It is written when this is dropped.
struct FinalRecord {
    gateway: Arc<Gateway>,
    route: Arc<GatewayRoute>,
}

impl FinalRecord {
    /// Writes it where waiting for the book holds up nobody.
    fn go(closing: Option<Self>) {
        let Some(closing) = closing else { return };
        if let Ok(runtime) = Handle::try_current() {
            // A runtime that is shutting down drops it at once.
            runtime.spawn_blocking(move || drop(closing));
        }
    }
}

impl Drop for FinalRecord {
    fn drop(&mut self) {
        if let Err(e) = self.gateway.ledger.write_closed() {
            self.gateway.notify(&self.route, &format!("what a request used can't be booked: {e}"));
        }
    }
}

/// An answer with its receipt. Dropped before its end, it is booked as far as it came.
pub(crate) struct MeteredBody {
    pub response: UpstreamResponse,
    /// Taken when it is written down.
    receipt: Option<UsageGuard>,
}

impl MeteredBody {
    pub(crate) fn new(answer: UpstreamResponse, receipt: UsageGuard) -> Self {
        Self { response: answer, receipt: Some(receipt) }
    }

    /// Books what was used, and notes how it ended.
    pub(crate) async fn finish(&mut self) {
        if let Some(mut receipt) = self.receipt.take() {
            let (failure, used) = (self.response.failure().cloned(), self.used());
            let written = tokio::task::spawn_blocking(move || {
                receipt.turn.record_outcome(failure.as_ref());
                drop(receipt.close(used));
            });
            // A slow disk holds up no client.
            let _ = tokio::time::timeout(USAGE_WRITE_TIMEOUT, written).await;
        }
    }

    /// Returns what an answer used that is over. One that broke off before anything was counted may have been written to
    /// its end; one that the provider itself failed at by then costs nothing.
    fn used(&self) -> Option<ResponseUsage> {
        let failure = self.response.failure();
        let is_theirs = failure.is_some_and(|failure| failure.status.is_some());
        let has_left = failure.is_some() && !is_theirs;
        let used = ResponseUsage { is_disconnected: has_left, ..ResponseUsage::of(&self.response, failure.is_some()) };
        (used.is_any() || !is_theirs).then_some(used)
    }

    /// Returns the failure of an answer that the client gets nothing of. What it used is booked all the same.
    pub(crate) async fn take_failure(&mut self) -> Option<UpstreamFailure> {
        let failure = self.response.failure().cloned()?;
        let used = self.used();
        if let Some(mut receipt) = self.receipt.take() {
            let closing = receipt.close(used);
            let written = tokio::task::spawn_blocking(move || drop(closing));
            let _ = tokio::time::timeout(USAGE_WRITE_TIMEOUT, written).await;
        }
        Some(failure)
    }
}

impl Drop for MeteredBody {
    fn drop(&mut self) {
        // The client has left. The provider has read the request, and goes on for a while.
        if let Some(mut receipt) = self.receipt.take() {
            FinalRecord::go(
                receipt.close(Some(ResponseUsage { is_disconnected: true, ..ResponseUsage::of(&self.response, true) })),
            );
        }
    }
}

/// The usage of an answer.
#[derive(Clone, Copy)]
struct ResponseUsage {
    tokens: TokenCounts,
    /// The estimate of what was written.
    said: u64,
    is_cut: bool,
    /// Whether the client left before the end, or the answer did not come: more may have been written than was seen.
    is_disconnected: bool,
}

impl ResponseUsage {
    /// Returns the usage of a request of which only the sending is known.
    fn unsaid(has_left: bool) -> Self {
        Self { tokens: TokenCounts::default(), said: 0, is_cut: true, is_disconnected: has_left }
    }

    fn of(answer: &UpstreamResponse, is_cut: bool) -> Self {
        let usage = answer.usage();
        let count = |count: u64| count.min(TokenCounts::MAX_TOKENS);
        let tokens = TokenCounts {
            input: count(usage.input),
            cached: count(usage.cached),
            cache_written: count(usage.cache_written),
            cache_written_1h: count(usage.cache_written_1h),
            output: count(usage.output),
            thinking: count(usage.thinking),
        };
        Self { tokens, said: count(answer.estimated_output()), is_cut, is_disconnected: false }
    }

    fn is_any(&self) -> bool {
        self.tokens.total() > 0 || self.said > 0
    }

    /// Makes the booking. Where the server has not counted, or counted what can't be, it is an estimate, of which as
    /// much came out of the cache as of the session's request before.
    fn booked(
        self,
        request: &UsageRecord,
        expected: UsageEstimate,
        shares: &CachedTokenCounts,
        session: &str,
    ) -> UsageRecord {
        let (mut tokens, mut estimated) = (self.tokens, false);
        if tokens.total_input().saturating_mul(MIN_COUNT_DIVISOR) < expected.input_tokens {
            let TokenCounts { output, thinking, .. } = tokens;
            tokens = TokenCounts { output, thinking, ..shares.split_estimate(session, expected.input_tokens) };
            estimated = true;
        } else {
            shares.record(session, tokens);
        }
        // Nobody learns what the provider goes on to write for a client that left. A budget counts what was expected.
        if self.is_disconnected && tokens.output == 0 && self.said == 0 {
            tokens.output = expected.output_tokens;
            estimated = true;
        }
        let plausible = if self.is_cut { MIN_PARTIAL_COUNT_DIVISOR } else { MIN_COUNT_DIVISOR };
        if tokens.output.saturating_mul(plausible) < self.said {
            tokens.output = self.said;
            estimated = true;
        }
        UsageRecord { tokens, estimated, truncated: self.is_cut, ..request.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_that_can_not_be_is_an_estimate() {
        let request = UsageRecord::new(UsageSource::Gateway, TokenCounts::default());
        let booked = |input: u64, output: u64, said: u64, is_cut: bool, has_left: bool| {
            let tokens = TokenCounts { input, output, ..TokenCounts::default() };
            let expected = UsageEstimate { input_tokens: 2_500, output_tokens: 1_000 };
            let booking = ResponseUsage { tokens, said, is_cut, is_disconnected: has_left }.booked(
                &request,
                expected,
                &CachedTokenCounts::default(),
                "s",
            );
            (booking.tokens.input, booking.tokens.output, booking.estimated)
        };
        for (input, output, said, is_cut, has_left, expected) in [
            (2_000, 300, 400, false, false, (2_000, 300, false)),
            // One token in 2,500.
            (1, 300, 400, false, false, (2_500, 300, true)),
            (2_000, 1, 2_500, false, false, (2_000, 2_500, true)),
            // It failed, or its client left.
            (0, 0, 0, true, false, (2_500, 0, true)),
            (2_000, 0, 0, true, false, (2_000, 0, false)),
            (0, 0, 0, true, true, (2_500, 1_000, true)),
            (2_000, 0, 0, true, true, (2_000, 1_000, true)),
            // The beginning was counted, then the answer broke off.
            (2_000, 1, 8, true, true, (2_000, 8, true)),
            (2_000, 1, 8, false, false, (2_000, 1, false)),
        ] {
            assert_eq!(
                booked(input, output, said, is_cut, has_left),
                expected,
                "{input} {output} {said} {is_cut} {has_left}"
            );
        }
    }
}
