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

mod choice;
mod command;
mod detect;
mod environment;
mod error;
mod gemini;
mod launcher;
mod mcp;
mod overlay;
mod prepared;
mod profile;
mod report;
mod roles;
mod secrets;
mod stream;
mod text;
mod tree;

pub use choice::{Choice, Decision};
pub use command::Permission;
pub use detect::{Cli, Install, Search, detect, detect_one, install_command};
pub use error::{AdapterError, LaunchError};
pub use launcher::{Adapters, Launcher, MAX_PROMPT_BYTES, Request};
pub use prepared::{Explanation, Prepared};
pub use profile::{clis, profile};
pub use report::{duration, full_shape, resume, shape, shell_word, standing};
pub use roles::{
    DELIMITER, Listed, Listing, MAX_ROLE_BYTES, Overwrite, Role, RoleError, RoleProblem, RoleSource, Roles, compose,
};
pub use secrets::{has_secrets, secrets};
pub use stream::{Event, Place, Reader, Renderer, interpreter};
pub use text::{Text, TextLine, tail};
pub use tree::{RootKind, Session, session};
