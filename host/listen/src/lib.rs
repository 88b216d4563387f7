//! An HTTP/1.1 listener for programs on this machine. The only crate that uses hyper's server side.
//!
//! It binds loopback addresses only, and checks each request before the service sees it: how its head is written, its
//! host, its origin, its path, its token, its method, its media type and its size. What fails is refused with one
//! sentence, and the connection is closed. No byte of a body is read before its head has shown a good token, connections that
//! have shown none share a few places for some seconds, and the bodies of all requests share one memory.
//!
//! Not for what is served: a service is a function from a request, whose body has been read, to a response, whose body
//! may be a stream.
//!
//! ```no_run
//! # async fn f(stop: tokio_util::sync::CancellationToken) -> Result<(), aiw_listen::ListenError> {
//! use aiw_listen::{Bytes, Full, HttpRoute, Listener, Method, Request, Response, Rules};
//!
//! let listener = Listener::bind(([127, 0, 0, 1], 0).into()).await?;
//! let rules = Rules::new([HttpRoute::public("/hello", [Method::GET])]);
//! let hello = async |_: Request<Bytes>| Response::new(Full::new(Bytes::from("hello")));
//! listener.serve(rules, hello, stop).await;
//! # Ok(()) }
//! ```

mod body;
mod connection;
mod error;
mod guard;
mod head;
mod listener;
mod places;
mod refusal;
mod rules;
mod token;

pub use bytes::Bytes;
pub use error::ListenError;
pub use http::request::Parts;
pub use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
pub use http_body_util::Full;
pub use listener::Listener;
pub use refusal::RejectionResponse;
pub use rules::{HttpRoute, ListenLimits, MatchedPath, Rules};
pub use token::bearer;

#[cfg(test)]
mod tests;
