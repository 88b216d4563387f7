//! `aiw provider`, `aiw secret`, `aiw trust`

use std::path::PathBuf;

use aiw_core::{CliKind, EnvName, Family, ProviderName, SecretName};
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum ProviderCommand {
    /// Add a provider; asks for what is not given
    Add(ProviderArgs),
    /// Change a provider: what is given, and nothing else
    ///
    /// A token is for the place that it was given for. With another preset, or an address at another host, its token
    /// and its further secrets are forgotten: give new ones in the same command, or be asked. `--keep-token` sends the
    /// old ones there.
    Edit(EditArgs),
    /// Remove a provider, and the secrets that only it uses
    Remove {
        /// Its name
        name: String,
    },
    /// List the providers
    List,
    /// Show one provider
    Show {
        /// Its name
        name: String,
    },
    /// Choose the provider for runs that name none; without a name, show it
    Default {
        /// Its name; `own` is the CLI's own configuration
        name: Option<String>,
        /// For these CLIs only
        #[arg(long, value_delimiter = ',', value_name = "CLI")]
        clis: Vec<CliKind>,
    },
    /// Ask a provider: is it there, how fast, is the key good, which models
    Test {
        /// Its name
        name: String,
    },
    /// List what a provider can be added as
    Presets,
}

#[derive(Debug, Args)]
pub struct ProviderArgs {
    /// Its name here
    pub name: ProviderName,
    /// What it is: see `aiw provider presets`
    #[arg(long)]
    pub preset: Option<String>,
    /// Where it is: one address, or one for each API family (anthropic, openai, gemini)
    #[arg(long, value_name = "[FAMILY=]URL", value_parser = parse_base_url)]
    pub base_url: Vec<(Option<Family>, String)>,
    /// The model of its runs; `` takes it away
    #[arg(long)]
    pub model: Option<String>,
    /// The CLIs that it is for
    #[arg(long, value_delimiter = ',', value_name = "CLI")]
    pub clis: Vec<CliKind>,
    /// What it is for, in your words
    #[arg(long, value_name = "TEXT")]
    pub scenario: Option<String>,
    /// Read the token from a variable at each run; the variable's name is kept, not its value
    #[arg(long, value_name = "VAR", conflicts_with = "token_stdin")]
    pub token_env: Option<EnvName>,
    /// Read the token from standard input and keep it in the vault
    #[arg(long)]
    pub token_stdin: bool,
    /// A further secret for components that take several, from a variable at each run
    #[arg(long, value_name = "NAME=VAR", value_parser = parse_secret)]
    pub secret_env: Vec<(SecretName, EnvName)>,
    /// Refused: every user of the machine can read arguments
    #[arg(long, hide = true, value_name = "TOKEN", num_args = 0..=1, default_missing_value = "")]
    pub token: Option<String>,
    /// A variable of its runs; `K='${OTHER}'` reads it from another at each run
    #[arg(long, value_name = "K=V", value_parser = parse_variable)]
    pub env: Vec<(EnvName, String)>,
    /// Use it for runs that name none
    #[arg(long)]
    pub default: bool,
    /// Agree to an address on this machine or in a private network that an extension names
    #[arg(short, long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct EditArgs {
    #[command(flatten)]
    pub provider: ProviderArgs,
    /// Send its token and further secrets to the other preset or address as well
    #[arg(long, conflicts_with_all = ["token_env", "token_stdin"])]
    pub keep_token: bool,
    /// Take a variable of its runs away
    #[arg(long, value_name = "K")]
    pub unset_env: Vec<EnvName>,
    /// Take a further secret away
    #[arg(long, value_name = "NAME")]
    pub unset_secret: Vec<SecretName>,
}

#[derive(Debug, Subcommand)]
pub enum SecretCommand {
    /// Keep a secret in the vault; asks for it, or reads it from a pipe
    Set {
        /// Its name
        name: SecretName,
        /// Take it from a variable
        #[arg(long, value_name = "VAR")]
        env: Option<EnvName>,
    },
    /// List the names of the secrets
    List,
    /// Remove a secret
    Remove {
        /// Its name
        name: SecretName,
    },
}

#[derive(Debug, Subcommand)]
pub enum TrustCommand {
    /// Let the `.aiw.json` and the project roles of a directory count, and those beneath it
    Add {
        /// The directory; the current one by default
        directory: Option<PathBuf>,
    },
    /// List the trusted directories
    List,
    /// Trust a directory no more
    Remove {
        /// The directory; the current one by default
        directory: Option<PathBuf>,
    },
}

fn parse_base_url(text: &str) -> Result<(Option<Family>, String), String> {
    // An address may have a `=` of its own, after its scheme.
    match text.split_once('=') {
        Some((family, url)) if !family.contains(':') => {
            let family = family.parse().map_err(|e: aiw_core::InvalidName| e.to_string())?;
            Ok((Some(family), url.to_owned()))
        }
        _ => Ok((None, text.to_owned())),
    }
}

fn parse_variable(text: &str) -> Result<(EnvName, String), String> {
    let (name, value) = text.split_once('=').ok_or("it must be of the form `K=V`")?;
    Ok((name.parse().map_err(|e: aiw_core::InvalidName| e.to_string())?, value.to_owned()))
}

fn parse_secret(text: &str) -> Result<(SecretName, EnvName), String> {
    let (name, variable) = text.split_once('=').ok_or("it must be of the form `NAME=VAR`")?;
    let said = |e: aiw_core::InvalidName| e.to_string();
    Ok((name.parse().map_err(said)?, variable.parse().map_err(said)?))
}
