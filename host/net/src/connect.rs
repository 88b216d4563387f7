//! Trying a connection: whether an address answers at all, before a program is pointed at it.

use futures::future::BoxFuture;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use aiw_core::one_line;

use crate::detached::spawn_detached;
use crate::error::NetError;
use crate::http::{HttpClient, resolve};

/// Why an address can't be reached.
#[derive(Debug)]
pub enum ConnectError {
    /// The name has no address, or the name servers don't answer.
    Dns(NetError),
    /// The place accepts no connection.
    Connect(NetError),
}

impl HttpClient {
    /// Connects to the host of a URL, or to the proxy on the way to it, and sends nothing. Waits for
    /// `patience`, or a second longer where the name servers are slow.
    pub fn try_connection<'a>(&'a self, url: &'a str, patience: Duration) -> BoxFuture<'a, Result<(), ConnectError>> {
        Box::pin(async move {
            let Some((host, port)) = self.first_hop(url).map_err(ConnectError::Connect)? else { return Ok(()) };
            let shown = one_line(&format!("{host}:{port}"), 120);
            let slow = format!("`{shown}` does not answer within {} s", patience.as_secs());
            let tried = spawn_detached(move || connect(&host, port, patience));
            match tokio::time::timeout(patience + Duration::from_secs(1), tried).await {
                Ok(Ok(result)) => result,
                _ => Err(ConnectError::Dns(NetError::unavailable(slow))),
            }
        })
    }
}

fn connect(host: &str, port: u16, patience: Duration) -> Result<(), ConnectError> {
    let end = Instant::now() + patience;
    let shown = one_line(&format!("{host}:{port}"), 120);
    let addresses = resolve(host).map_err(ConnectError::Dns)?;
    let mut last = std::io::Error::from(std::io::ErrorKind::TimedOut);
    let count = addresses.len();
    for (tried, mut address) in addresses.into_iter().enumerate() {
        address.set_port(port);
        // Each address gets its part of the time that is left.
        let left = u32::try_from(count - tried).unwrap_or(1);
        let part = end.saturating_duration_since(Instant::now()) / left;
        match TcpStream::connect_timeout(&address, part.max(Duration::from_millis(1))) {
            Ok(_) => return Ok(()),
            Err(e) => last = e,
        }
    }
    Err(ConnectError::Connect(NetError::unavailable(format!("cannot connect to `{shown}`: {last}")).with_source(last)))
}
