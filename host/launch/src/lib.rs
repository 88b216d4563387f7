//! AI CLIs: which are installed, how, in which version; and the roles that go before their
//! tasks. What is launched later stands on it.
//!
//! Reads files; runs a CLI only where no file tells its version, and then remembers.
//!
//! ```no_run
//! let search = aiw_launch::Search::from_environment();
//! for cli in aiw_launch::detect(&search, None) {
//!     println!("{} {:?}", cli.kind, cli.version);
//! }
//! ```

mod detect;
mod roles;
mod stream;
mod tree;

pub use detect::{Cli, Install, Search, detect, install_command};
pub use roles::{
    DELIMITER, Listed, Listing, MAX_ROLE_BYTES, Overwrite, Role, RoleError, RoleProblem, RoleSource, Roles, compose,
};
pub use stream::{Event, Place, Reader, Renderer, interpreter};
pub use tree::{RootKind, Session, session};
