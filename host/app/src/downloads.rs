//! Large files from the network, for the rooms that may not reach it themselves.

use std::time::Duration;

use aiw_net::{HttpClient, HttpRequest, NetError, Policy, StreamingResponse};
use aiw_vectors::{DownloadBody, DownloadError, Fetch};
use async_trait::async_trait;

use crate::AppError;

/// The longest pause of a server.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Fetches files, as far as a policy allows.
pub struct Downloads {
    client: HttpClient,
    policy: Policy,
}

impl Downloads {
    /// Public addresses, and the one that the user typed.
    pub fn new(typed: Option<&str>) -> Result<Self, AppError> {
        let mut policy = Policy::public();
        if let Some(url) = typed {
            policy.grant_url(url);
        }
        Ok(Self { client: HttpClient::new()?, policy })
    }
}

struct Download {
    stream: StreamingResponse,
    start: u64,
}

fn broken(error: &NetError) -> DownloadError {
    let lasting = !matches!(error, NetError::Unavailable { .. } | NetError::Malformed { .. });
    DownloadError { reason: error.to_string(), is_permanent: lasting }
}

#[async_trait]
impl Fetch for Downloads {
    async fn open(&self, url: &str, from: u64) -> Result<Box<dyn DownloadBody>, DownloadError> {
        let mut request = HttpRequest::new(url);
        if from > 0 {
            request.headers.push(("range".into(), format!("bytes={from}-")));
        }
        let mut stream = self.client.open(&self.policy, &request, READ_TIMEOUT).await.map_err(|e| broken(&e))?;
        // The server has no such part: its file is another one than before.
        if stream.status == 416 {
            request.headers.clear();
            stream = self.client.open(&self.policy, &request, READ_TIMEOUT).await.map_err(|e| broken(&e))?;
        }
        let start = match stream.status {
            200 => 0,
            206 => {
                let range = stream.header("content-range").and_then(|range| range.strip_prefix("bytes "));
                let start = range.and_then(|range| range.split('-').next()?.trim().parse().ok());
                start.ok_or_else(|| DownloadError {
                    reason: "the server does not say what it sends".into(),
                    is_permanent: true,
                })?
            }
            status => {
                let lasting = !matches!(status, 408 | 429 | 500..);
                return Err(DownloadError { reason: format!("the server answered {status}"), is_permanent: lasting });
            }
        };
        Ok(Box::new(Download { stream, start }))
    }
}

#[async_trait]
impl DownloadBody for Download {
    fn start(&self) -> u64 {
        self.start
    }

    async fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, DownloadError> {
        self.stream.chunk().await.map_err(|e| broken(&e))
    }
}
