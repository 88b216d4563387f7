//! Bodies of requests: read whole, within a memory that all of them share.

use std::time::Duration;

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http_body::Body;
use http_body_util::BodyExt;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::refusal::Rejection;
use crate::rules::ListenLimits;

/// The memory for the bodies of all requests of a listener, in bytes.
#[derive(Debug, Clone)]
pub(crate) struct BodyBudget {
    free: Arc<Semaphore>,
    /// A part for small bodies alone: large ones that take their time don't keep them waiting.
    small: Arc<Semaphore>,
    limit: usize,
    time: Duration,
}

/// The largest body that counts as small, in bytes, and the memory for all of those.
const SMALL_BODY_BYTES: usize = 256 << 10;
const SMALL_BODIES_LIMIT_BYTES: usize = 16 << 20;

/// How long a client may send nothing in the middle of a body, which keeps memory from others.
const BODY_READ_TIMEOUT: Duration = Duration::from_secs(10);

/// A body with the memory that it takes up. The last of its clones gives it back.
struct BudgetedBody {
    bytes: Vec<u8>,
    _memory: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for BudgetedBody {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl BodyBudget {
    pub(crate) fn new(limits: &ListenLimits) -> Self {
        // A request that may be sent must fit.
        let limit = limits.body_bytes.min(u32::MAX as usize);
        let all = limits.total_body_bytes.clamp(limit, Semaphore::MAX_PERMITS);
        Self {
            free: Arc::new(Semaphore::new(all)),
            small: Arc::new(Semaphore::new(SMALL_BODIES_LIMIT_BYTES)),
            limit,
            time: limits.body_timeout,
        }
    }

    /// Reads a body. What it may need at most is set aside before its first byte is read, so that no two bodies wait for each
    /// other half read.
    pub(crate) async fn read<B>(&self, headers: &HeaderMap, mut body: B) -> Result<Bytes, Rejection>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let announced = announced(headers).ok_or(Rejection::TooLarge(self.limit))?;
        let most = announced.unwrap_or(self.limit);
        if most > self.limit {
            return Err(Rejection::TooLarge(self.limit));
        }
        if most == 0 {
            return Ok(Bytes::new());
        }
        let permits = u32::try_from(most).map_err(|_| Rejection::TooLarge(self.limit))?;
        let memory = if most <= SMALL_BODY_BYTES && self.limit > SMALL_BODY_BYTES { &self.small } else { &self.free };
        let memory = tokio::time::timeout(self.time, memory.clone().acquire_many_owned(permits)).await;
        let Ok(Ok(mut memory)) = memory else { return Err(Rejection::Overloaded) };
        let read = async {
            let mut bytes = Vec::with_capacity(announced.unwrap_or_default());
            while let Some(frame) =
                tokio::time::timeout(BODY_READ_TIMEOUT, body.frame()).await.map_err(|_| Rejection::Timeout)?
            {
                let Ok(frame) = frame else { return Err(Rejection::BodyReadFailed) };
                let Ok(mut data) = frame.into_data() else { continue };
                if data.remaining() > most - bytes.len() {
                    return Err(Rejection::TooLarge(self.limit));
                }
                while data.has_remaining() {
                    bytes.extend_from_slice(data.chunk());
                    data.advance(data.chunk().len());
                }
            }
            Ok(bytes)
        };
        let mut bytes = tokio::time::timeout(self.time, read).await.map_err(|_| Rejection::Timeout)??;
        bytes.shrink_to_fit();
        drop(memory.split(most - bytes.len()));
        Ok(Bytes::from_owner(BudgetedBody { bytes, _memory: memory }))
    }
}

/// Returns whether a request says that its body has so many bytes at most.
pub(crate) fn is_body_within(most: usize, headers: &HeaderMap) -> bool {
    matches!(announced(headers), Some(Some(length)) if length <= most)
}

/// Returns the length that a head announces: `Some(None)` if it will be said in pieces, `None` if it is not a length.
fn announced(headers: &HeaderMap) -> Option<Option<usize>> {
    if headers.contains_key(TRANSFER_ENCODING) {
        return Some(None);
    }
    match headers.get(CONTENT_LENGTH) {
        None => Some(Some(0)),
        Some(length) => length.to_str().ok()?.parse().ok().map(Some),
    }
}
