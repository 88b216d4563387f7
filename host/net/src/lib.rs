//! Everything that leaves the machine: the egress policy, HTTP and git. Sets of files are provided as trees.
//!
//! A [`Policy`] says what one caller may reach. [`HttpClient`] reads over HTTP under a policy. [`Trees`] opens
//! immutable sets of files: a git repository at a commit, or a directory that the user named. A [`Tree`] is read in
//! place, or written out by [`Tree::materialize`].
//!
//! This crate is not the place for file formats, document caches, or anything that knows what a plugin is.
//!
//! ```no_run
//! # async fn example() -> Result<(), aiw_net::NetError> {
//! use aiw_core::RelPath;
//! use aiw_net::{GitOrigin, HttpClient, Policy, Trees};
//!
//! let trees = Trees::new(HttpClient::new()?, "/home/me/.aiw/cache/git".into());
//! let origin = GitOrigin::new("https://github.com/anthropics/claude-plugins-official");
//! let tree = trees.open_git(&Policy::public(), &origin).await?;
//! let document = tree.read(&RelPath::parse(".claude-plugin/marketplace.json").unwrap(), 1 << 20)?;
//! # Ok(())
//! # }
//! ```

mod connect;
mod detached;
mod error;
mod git;
mod git_url;
mod http;
mod policy;
mod tree;

pub use connect::ConnectError;
pub use error::{DeniedBy, FailureCause, NetError};
pub use git::{GitCheckout, GitOrigin, GitRef, GitRefs, GitRemote, TransferProgress, Trees, quiet_git, rewrite_url};
pub use git_url::check_git_url;
pub use http::{HttpClient, HttpRequest, Method, RESERVED_HEADERS, RequestLimits, Response, StreamingResponse};
pub use policy::{HostPattern, Hosts, InvalidPattern, Policy, host_and_path, host_and_port, origin};
pub use tree::{Item, ItemKind, MaterializeSummary, SkippedEntry, Tree, WalkItem};
