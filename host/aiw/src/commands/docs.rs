//! `aiw __docs`: the part of docs/ that is read off the code, so that it can't be wrong.

use std::fmt::Write;
use std::path::Path;

use aiw_core::ErrorKind;
use clap::{Command, CommandFactory};

use crate::cli::Cli;
use crate::failure::Failure;

pub fn write(directory: &Path) -> Result<(), Failure> {
    let mut text =
        String::from("# Commands\n\nWritten by `cargo xtask docs` from the command line's own definition.\n");
    let mut root = Cli::command().term_width(100);
    root.build();
    describe(&root, &mut text);
    let io = |e: std::io::Error| {
        Failure::new(ErrorKind::Unavailable, format!("cannot write `{}`: {e}", directory.display()))
    };
    std::fs::create_dir_all(directory).map_err(io)?;
    std::fs::write(directory.join("cli.md"), text).map_err(io)?;
    let schema = format!("{:#}\n", aiw_home::providers_schema());
    std::fs::write(directory.join("providers.schema.json"), schema).map_err(io)
}

fn describe(command: &Command, text: &mut String) {
    let mut shown = command.clone();
    let _ = write!(
        text,
        "\n## {}\n\n```text\n{}```\n",
        command.get_bin_name().unwrap_or("aiw"),
        trimmed(&shown.render_long_help().to_string())
    );
    command.get_subcommands().filter(|c| !c.is_hide_set()).for_each(|c| describe(c, text));
}

/// Without the blanks that clap leaves at line ends.
fn trimmed(text: &str) -> String {
    text.lines().fold(String::new(), |all, line| all + line.trim_end() + "\n")
}
