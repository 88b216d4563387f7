//! The AI CLIs that aiw knows, one file each behind [`AiCli`]. A new CLI needs a file, a line in [`ALL`], and a name
//! in [`CliKind`].

mod claude;
mod cli;
mod codex;
pub(crate) mod gemini;
#[cfg(test)]
mod tests;

use aiw_core::{Api, CliKind};
use aiw_providers::{CliApis, ServedClis};

pub(crate) use cli::{AiCli, CommandLine, CommandParts, Injection, to_os_strings};

/// All CLIs, in the order of lists.
const ALL: [&dyn AiCli; 3] = [&claude::Claude, &codex::Codex, &gemini::Gemini];

/// Returns the module of a CLI.
pub(crate) fn for_kind(kind: CliKind) -> &'static dyn AiCli {
    ALL.into_iter().find(|cli| cli.kind() == kind).unwrap_or(ALL[0])
}

/// Returns all CLIs with the APIs that they speak, in the order of lists.
pub fn apis() -> ServedClis {
    ServedClis::new(ALL.map(|cli| CliApis {
        cli: cli.kind(),
        apis: cli.supported_apis(),
        managed_env_vars: cli.provider_variables(),
        forbidden_header_chars: cli.unsupported_header_chars(),
    }))
}

/// Returns the APIs that a CLI speaks, the preferred one first.
pub fn supported_apis(cli: CliKind) -> &'static [Api] {
    for_kind(cli).supported_apis()
}
