//! AI CLIs: which are installed, how, in which version. What is launched later stands on it.
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

pub use detect::{Cli, Install, Search, detect, install_command};
