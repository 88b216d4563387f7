//! `aiw model …`, as it is typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::complete;

#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// List sentence models, and the library that runs them
    List,
    /// Download a model; without a name, the usual one and the library that runs it
    ///
    /// Every file must have the size and sha256 that aiw knows. A download that was interrupted goes on where it
    /// stopped. The first model is used at once.
    Pull(PullArgs),
    /// Use a model, or a directory with one, to search by meaning
    ///
    /// From then on its files must stay as they are.
    Use {
        /// The name of a pulled model, or a directory with model.onnx and the files of its tokenizer
        #[arg(add = complete::pulled_models())]
        model: String,
        /// Run it with your own library of ONNX Runtime, 1.24 or newer
        #[arg(long, value_name = "FILE")]
        runtime: Option<PathBuf>,
    },
    /// Switch the model in use off: search goes by words alone, and messages get no more vectors
    ///
    /// The model stays, and so do the vectors that it made. An indexer that makes vectors now stops within a second.
    Off,
    /// Switch the model in use on again: messages get the vectors that they lack
    On,
    /// Remove pulled models; your own directories stay
    Remove {
        /// Their names
        #[arg(required = true, add = complete::pulled_models())]
        names: Vec<String>,
    },
    /// Show whether search goes by meaning, and if not, why; and how many messages have their vectors
    Status,
}

#[derive(Debug, Args)]
pub struct PullArgs {
    /// A name from `aiw model list`; with --from, any name for a model of your own
    #[arg(add = complete::models())]
    pub name: Option<String>,
    /// Take the files from a directory, or from a mirror that has them under this address
    #[arg(long, value_name = "DIR|URL")]
    pub from: Option<String>,
}
