//! Binding an address, and accepting connections until told to stop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::body::BodyBudget;
use crate::connection::{self, SharedListener};
use crate::places::ConnectionLimit;
use crate::{ListenError, Rules};

/// A bound address. Clients can connect; they are answered once it serves.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds a loopback address. Port 0 is any free one.
    pub async fn bind(address: SocketAddr) -> Result<Self, ListenError> {
        if !address.ip().is_loopback() {
            return Err(ListenError::NotLoopback { address });
        }
        let bound = async {
            let socket = TcpListener::bind(address).await?;
            let address = socket.local_addr()?;
            Ok(Self { socket, address })
        };
        bound.await.map_err(|source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => ListenError::InUse { address, source },
            _ => ListenError::BindFailed { address, source },
        })
    }

    /// Makes it of a socket that listens already, such as one that a supervisor holds.
    pub fn from_socket(socket: std::net::TcpListener) -> io::Result<Self> {
        let address = socket.local_addr()?;
        if !address.ip().is_loopback() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{address} is not an address of this machine alone"),
            ));
        }
        socket.set_nonblocking(true)?;
        Ok(Self { socket: TcpListener::from_std(socket)?, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests that the rules accept, until `stop`. Answers that are being sent then may finish within the
    /// grace period.
    pub async fn serve<S, F, B>(self, rules: Rules, service: S, stop: CancellationToken)
    where
        S: Fn(Request<Bytes>) -> F + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let places = ConnectionLimit::new(&rules.limits);
        let memory = BodyBudget::new(&rules.limits);
        let shared =
            Arc::new(SharedListener { rules, body_budget: memory, address: self.address, service, stop: stop.clone() });
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                _ = connections.join_next(), if !connections.is_empty() => continue,
                () = stop.cancelled() => break,
            };
            let Ok((stream, _)) = accepted else {
                // Out of file descriptors: a stranger makes room, or some will be closed.
                places.evict_oldest();
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            connections.spawn(connection::serve(stream, places.acquire(), shared.clone()));
            // It may show its token before others take its place.
            tokio::task::yield_now().await;
        }
        drop(self.socket);
        while connections.join_next().await.is_some() {}
    }
}
