//! `aiw planner …`, as it is typed.

use aiw_core::{EnvName, ProviderName};
use clap::{Args, Subcommand};

use crate::complete;

#[derive(Debug, Subcommand)]
pub enum PlannerCommand {
    /// Let a model of your own plan jobs over the tools of your MCP servers
    ///
    /// `intelligent_route` of `aiw mcp serve` then asks the model for a plan, and offers one tool that does the whole job. The
    /// model gets the request and a line about each tool that was found for it, and nothing else. What you leave out stays
    /// as it is; the first time, that is Ollama on this machine.
    #[command(after_help = "aiw planner set --model qwen3:4b\n\
                            aiw planner set --openai https://api.example.com/v1 --model small --token-stdin\n\
                            aiw planner set --provider router")]
    Set(PlannerSetArgs),
    /// Show which model plans jobs
    Show,
    /// Have the model plan a job, and show the plan without running it
    #[command(after_help = "aiw planner test\naiw planner test 'Send the open issues of cli/cli to Anna'")]
    Test {
        /// The job, over the tools of your MCP servers [default: a small one over tools that don't exist]
        request: Vec<String>,
        /// How many tools the model may choose from
        #[arg(short = 'n', long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=20))]
        limit: u8,
    },
    /// Let no model plan jobs
    Off,
}

#[derive(Debug, Args)]
pub struct PlannerSetArgs {
    /// Ollama [default address: what `OLLAMA_HOST` says, else this machine]
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = "", group = "place")]
    pub ollama: Option<String>,
    /// A server that speaks OpenAI's Chat Completions, with its `/v1`
    #[arg(long, value_name = "URL", group = "place")]
    pub openai: Option<String>,
    /// A server that speaks Anthropic's Messages [default address: Anthropic's own]
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = "", group = "place")]
    pub anthropic: Option<String>,
    /// One of your providers
    #[arg(long, value_name = "NAME", group = "place", add = complete::providers())]
    pub provider: Option<ProviderName>,
    /// The model [default for Ollama: qwen3:1.7b; for a provider, its own]
    #[arg(long)]
    pub model: Option<String>,
    /// Read the key from standard input, and store it in the vault as `planner`
    #[arg(long, conflicts_with = "provider")]
    pub token_stdin: bool,
    /// Read the key from this variable each time
    #[arg(long, value_name = "VAR", conflicts_with_all = ["token_stdin", "provider"])]
    pub token_env: Option<EnvName>,
    /// How long a plan may take, in seconds; after that the tools are found without the model
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=120))]
    pub timeout: Option<u64>,
    /// How long the code of a plan with loops or conditions may take, in seconds
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=120))]
    pub code_timeout: Option<u64>,
    /// The most tokens of a plan
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(50..=4000))]
    pub max_plan_tokens: Option<u32>,
}
