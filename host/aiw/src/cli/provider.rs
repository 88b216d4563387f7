//! `aiw provider`, `aiw secret`, `aiw trust`

use std::path::PathBuf;

use aiw_core::{Api, CliKind, EnvName, Family, HeaderName, ProviderName, SecretName};
use aiw_home::{ModelRole, SecretRef, TextOrSecret};
use clap::{Args, Subcommand};

use crate::complete;

#[derive(Debug, Subcommand)]
pub enum ProviderCommand {
    /// Add a provider; asks for what you leave out
    Add(AddProviderArgs),
    /// Change a provider; what you leave out stays as it is
    ///
    /// A token belongs to the address that you gave it for. If you change the preset or the host, aiw forgets the token
    /// and the other secrets and asks for new ones. `--keep-token` keeps the old ones.
    Edit(EditArgs),
    /// Remove providers and the secrets that only they use
    Remove {
        /// Their names
        #[arg(required = true, add = complete::providers())]
        names: Vec<String>,
    },
    /// Give a provider another name; its secrets keep theirs
    Rename {
        /// Its name
        #[arg(add = complete::providers())]
        name: String,
        /// Its new name
        new: ProviderName,
    },
    /// List providers
    List,
    /// Show one provider
    Show {
        /// Its name
        #[arg(add = complete::providers())]
        name: String,
    },
    /// Set or show the provider for runs without `-p`
    Default {
        /// Its name; `own` means the CLI's own configuration
        #[arg(add = complete::provider_choices())]
        name: Option<String>,
        /// Only for these CLIs
        #[arg(long, value_delimiter = ',', value_name = "CLI", add = complete::clis())]
        clis: Vec<CliKind>,
    },
    /// Check that a provider answers, accepts its key and lists models
    Test {
        /// Its name
        #[arg(add = complete::providers())]
        name: String,
    },
    /// List the presets that you can add a provider from
    Presets,
}

#[derive(Debug, Args)]
pub struct AddProviderArgs {
    /// Its name
    pub name: Option<ProviderName>,
    #[command(flatten)]
    pub provider: ProviderArgs,
}

#[derive(Debug, Args)]
pub struct ProviderArgs {
    /// The preset; see `aiw provider presets`
    #[arg(long)]
    pub preset: Option<String>,
    /// Its address, or one for each API family (anthropic, openai, gemini)
    #[arg(long, value_name = "[FAMILY=]URL", value_parser = parse_base_url)]
    pub base_url: Vec<(Option<Family>, String)>,
    /// The API that its address speaks, if it is not the one that the CLI expects: messages, responses,
    /// chat-completions, generate-content
    #[arg(long)]
    pub api: Option<Api>,
    /// Always go through aiw's gateway, which keeps its key out of the CLIs
    #[arg(long, conflicts_with = "no_gateway")]
    pub gateway: bool,
    /// Let CLIs that speak its API reach it themselves
    #[arg(long)]
    pub no_gateway: bool,
    /// The model for its runs; an empty value removes it
    #[arg(long)]
    pub model: Option<String>,
    /// Its model for what a CLI gives its vendor's models of a size (large, medium, small), or for one CLI (claude,
    /// codex, gemini); an empty value removes it
    #[arg(long, value_name = "FOR=MODEL", value_parser = parse_model_for)]
    pub model_for: Vec<(ModelRole, String)>,
    /// Use it only for these CLIs
    #[arg(long, value_delimiter = ',', value_name = "CLI", add = complete::clis())]
    pub clis: Vec<CliKind>,
    /// Its purpose, in your words
    #[arg(long, value_name = "TEXT")]
    pub scenario: Option<String>,
    /// Read the token from this variable at each run; aiw keeps only the variable's name
    #[arg(long, value_name = "VAR", conflicts_with = "token_stdin")]
    pub token_env: Option<EnvName>,
    /// Read the token from standard input and store it encrypted
    #[arg(long)]
    pub token_stdin: bool,
    /// Another secret, read from a variable at each run, for extensions that take several
    #[arg(long, value_name = "NAME=VAR", value_parser = parse_secret)]
    pub secret_env: Vec<(SecretName, EnvName)>,
    /// Refused: every user of the machine can read arguments
    #[arg(long, hide = true, value_name = "TOKEN", num_args = 0..=1, default_missing_value = "")]
    pub token: Option<String>,
    /// Set a variable for its runs; `K='${OTHER}'` reads it from another variable at each run
    #[arg(long, value_name = "K=V", value_parser = parse_variable)]
    pub env: Vec<(EnvName, String)>,
    /// Send a header with each request; `NAME=@SECRET` takes the value from the vault, `NAME='${VAR}'` from a variable
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_header)]
    pub header: Vec<(HeaderName, TextOrSecret)>,
    /// Hide the variables that hold its token and secrets from runs with other providers
    ///
    /// Names that vendors define for their keys, such as `OPENAI_API_KEY`, are always hidden. Leave a variable visible
    /// if other programs need it, such as `GITHUB_TOKEN`.
    #[arg(long, conflicts_with = "no_scrub_env")]
    pub scrub_env: bool,
    /// Let runs with other providers see those variables
    #[arg(long)]
    pub no_scrub_env: bool,
    /// Use it for runs without `-p`
    #[arg(long)]
    pub default: bool,
    /// Accept an address on this machine or in a private network that an extension names
    #[arg(short, long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct EditArgs {
    /// Its name
    #[arg(add = complete::providers())]
    pub name: ProviderName,
    #[command(flatten)]
    pub provider: ProviderArgs,
    /// Keep the token and the other secrets although the address changes
    #[arg(long, conflicts_with_all = ["token_env", "token_stdin"])]
    pub keep_token: bool,
    /// Remove a variable
    #[arg(long, value_name = "K")]
    pub unset_env: Vec<EnvName>,
    /// Remove a header
    #[arg(long, value_name = "NAME")]
    pub unset_header: Vec<HeaderName>,
    /// Remove a secret
    #[arg(long, value_name = "NAME")]
    pub unset_secret: Vec<SecretName>,
}

#[derive(Debug, Subcommand)]
pub enum SecretCommand {
    /// Store a secret; asks for it or reads it from a pipe
    Set {
        /// Its name
        name: SecretName,
        /// Read it from a variable
        #[arg(long, value_name = "VAR")]
        env: Option<EnvName>,
    },
    /// List the names of secrets
    List,
    /// Remove a secret; asks if something uses it
    Remove {
        /// Its name
        name: SecretName,
        /// Remove it although something uses it
        #[arg(short, long)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum TrustCommand {
    /// Use the `.aiw.json` and the project roles of a directory and everything below it, and its `.mcp.json`
    ///
    /// Shows what they decide, and asks. A `.mcp.json` is trusted as it is: if it changes, aiw asks again.
    Add {
        /// The directory [default: the current one]
        directory: Option<PathBuf>,
        /// Don't ask
        #[arg(short, long)]
        yes: bool,
    },
    /// List trusted directories
    List,
    /// Stop trusting a directory and everything below it
    Remove {
        /// The directory [default: the current one]
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

fn parse_model_for(text: &str) -> Result<(ModelRole, String), String> {
    let (of, model) = text.split_once('=').ok_or("expected `FOR=MODEL`")?;
    Ok((of.parse()?, model.to_owned()))
}

fn parse_variable(text: &str) -> Result<(EnvName, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected `K=V`")?;
    Ok((name.parse().map_err(|e: aiw_core::InvalidName| e.to_string())?, value.to_owned()))
}

fn parse_header(text: &str) -> Result<(HeaderName, TextOrSecret), String> {
    let (name, value) = text.split_once('=').ok_or("expected `NAME=VALUE` or `NAME=@SECRET`")?;
    let said = |e: aiw_core::InvalidName| e.to_string();
    let value = match value.strip_prefix('@') {
        Some(secret) => TextOrSecret::Secret(SecretRef::Vault(secret.parse().map_err(said)?)),
        None => TextOrSecret::parse(value),
    };
    Ok((name.parse().map_err(said)?, value))
}

fn parse_secret(text: &str) -> Result<(SecretName, EnvName), String> {
    let (name, variable) = text.split_once('=').ok_or("expected `NAME=VAR`")?;
    let said = |e: aiw_core::InvalidName| e.to_string();
    Ok((name.parse().map_err(said)?, variable.parse().map_err(said)?))
}
