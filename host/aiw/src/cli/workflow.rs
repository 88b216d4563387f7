//! `aiw workflow …`, as it is typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::complete;

#[derive(Debug, Subcommand)]
pub enum WorkflowCommand {
    /// List the workflows, and whether each may run
    #[command(visible_alias = "ls")]
    List,
    /// Show a workflow's file
    Show {
        /// The workflow
        #[arg(add = complete::workflows())]
        name: String,
    },
    /// Write a new workflow to edit, with declarations of your tools that let an editor complete them
    New(NewWorkflowArgs),
    /// Save a script as a workflow
    ///
    /// A file that begins with the head of a workflow is saved as it is; another one gets a head with --description and
    /// the tools that it names.
    #[command(after_help = "aiw workflow save count-issues count.js --description 'Counts open issues by label'")]
    Save(SaveWorkflowArgs),
    /// Run a workflow that you have approved, and print what it returns
    #[command(after_help = "aiw workflow run count-issues repo=cli/cli")]
    Run(RunWorkflowArgs),
    /// Check a workflow, and run it without what may change something: such calls fail
    Test(RunWorkflowArgs),
    /// Show a workflow with the tools that it may call, and let it run
    ///
    /// From then on `aiw mcp serve` with the toolset `workflows` offers it as the tool `workflows__NAME`. It calls its
    /// tools without asking again. An edit, or a tool that changes, makes the approval void.
    Approve {
        /// The workflow
        #[arg(add = complete::workflows())]
        name: String,
        /// Don't ask
        #[arg(short, long)]
        yes: bool,
    },
    /// Remove workflows
    #[command(visible_alias = "rm")]
    Remove {
        /// Their names
        #[arg(required = true, value_name = "NAME", add = complete::workflows())]
        names: Vec<String>,
    },
    /// List the last runs of scripts, or show the calls of one
    Runs(RunsArgs),
}

#[derive(Debug, Args)]
pub struct NewWorkflowArgs {
    /// Lowercase letters, digits, `_` and `-`
    pub name: String,
    /// Its description
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// A tool that it calls, as `SERVER__TOOL`; may be repeated
    #[arg(long = "tool", value_name = "TOOL")]
    pub tools: Vec<String>,
}

#[derive(Debug, Args)]
pub struct SaveWorkflowArgs {
    /// Lowercase letters, digits, `_` and `-`
    pub name: String,
    /// The file with the script; `-` is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    pub from: PathBuf,
    /// Its description
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// A tool that it may call, as `SERVER__TOOL`; may be repeated [default: those that it names]
    #[arg(long = "tool", value_name = "TOOL")]
    pub tools: Vec<String>,
    /// Replace a workflow of this name
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub struct RunWorkflowArgs {
    /// The workflow
    #[arg(add = complete::workflows())]
    pub name: String,
    /// `NAME=VALUE` for each part of its input, or one JSON object
    #[arg(value_name = "NAME=VALUE|JSON")]
    pub input: Vec<String>,
    /// Keep the arguments of its calls in the trace
    #[arg(long)]
    pub trace_arguments: bool,
}

#[derive(Debug, Args)]
pub struct RunsArgs {
    /// A run, as the list shows it: its calls
    pub run: Option<String>,
    /// Only runs of this workflow
    #[arg(long, value_name = "NAME", conflicts_with = "run", add = complete::workflows())]
    pub workflow: Option<String>,
    /// How many, the newest first
    #[arg(short = 'n', long, value_name = "RUNS", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
    pub tail: u16,
}
