//! `aiw pool …`, as it is typed.

use aiw_core::ProviderName;
use aiw_home::{PoolMember, PoolStrategy};
use clap::Subcommand;

use crate::complete;

#[derive(Debug, Subcommand)]
pub enum PoolCommand {
    /// Add a pool of providers that exist
    ///
    /// Runs name it as they name a provider. A new session gets the first member that works; it stays there until that one is
    /// limited or fails, and then goes on with another one.
    #[command(
        after_help = "aiw pool add work anthropic deepseek=deepseek-chat\naiw claude -p work \"fix the failing test\""
    )]
    Add {
        /// Its name, which no provider has
        name: ProviderName,
        /// Its members, the preferred one first, each with its own model or that of the provider
        #[arg(required = true, value_name = "PROVIDER[=MODEL]", add = complete::providers())]
        members: Vec<PoolMember>,
        /// How it chooses a member for a new session: priority, round-robin, least-busy
        #[arg(long, value_name = "HOW", default_value = "priority")]
        strategy: PoolStrategy,
    },
    /// Change a pool; what you leave out stays as it is
    Edit {
        /// Its name
        #[arg(add = complete::pools())]
        name: String,
        /// A member; name all of them, the preferred one first
        #[arg(long = "member", value_name = "PROVIDER[=MODEL]")]
        members: Vec<PoolMember>,
        /// How it chooses a member for a new session: priority, round-robin, least-busy
        #[arg(long, value_name = "HOW")]
        strategy: Option<PoolStrategy>,
    },
    /// Remove pools; their members stay
    Remove {
        /// Their names
        #[arg(required = true, add = complete::pools())]
        names: Vec<String>,
    },
    /// List pools
    List,
    /// Show one pool, and which of its members rest
    Show {
        /// Its name
        #[arg(add = complete::pools())]
        name: String,
    },
    /// Let all members of a pool be asked again, though they were limited or failed
    Reset {
        /// Its name
        #[arg(add = complete::pools())]
        name: String,
    },
}
