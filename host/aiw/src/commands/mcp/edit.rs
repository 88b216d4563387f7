//! `aiw mcp add`, `add-json`: what was typed, as an entry of mcp.json.

use std::collections::BTreeSet;
use std::io::Read;

use aiw_app::ClientSession;
use aiw_app::servers::edit::{self, AddRequest};
use aiw_core::{ErrorKind, is_secret_token, quoted, quoted_list};
use aiw_servers::{AddError, McpFile, check_name, check_name_available, entry_value, sanitize_name};
use aiw_setup::{ServerConfigEntry, parse_entries};
use serde_json::{Map, Value};

use super::client::run_then_shutdown;
use crate::ask::TerminalPrompter;
use crate::cli::mcp::{McpAddArgs, McpAddJsonArgs, McpAddOptions};
use crate::failure::CliError;
use crate::output::Output;

/// The flags of `aiw mcp add` that may be meant where they come after the command.
const AIW_FLAGS: [&str; 7] = ["--no-check", "--force", "--plaintext", "--url", "--header", "--env", "--json"];

/// The longest entry that is read from standard input.
const MAX_JSON_BYTES: u64 = 1 << 20;

pub async fn add(mut args: McpAddArgs, client: &ClientSession, output: &Output) -> Result<(), CliError> {
    let usage = |problem: &str| CliError::new(ErrorKind::Usage, problem);
    // Without `--`, a flag of aiw's after the command would be the server's.
    let is_marked = std::env::args_os().any(|word| word == "--");
    if let Some(flag) = args.command.iter().find(|word| AIW_FLAGS.contains(&word.as_str())).filter(|_| !is_marked) {
        return Err(usage(&format!("`{flag}` comes after the command")).with_hint(
            "flags of aiw go before the server's name; if it is the server's, put `--` before the command",
        ));
    }
    // As in `claude mcp add --transport http NAME URL`.
    if let [address] = &args.command[..]
        && (address.starts_with("http://") || address.starts_with("https://"))
    {
        args.url = args.command.pop();
    }
    if args.url.is_some() && !args.env.is_empty() {
        return Err(usage("`--env` is for a server with a command; a URL has `--header`"));
    }
    if args.url.is_none() && !args.header.is_empty() {
        return Err(usage("`--header` is for a server with a URL"));
    }
    let names: BTreeSet<String> = args.header.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    if names.len() < args.header.len() {
        return Err(usage("a header is given twice"));
    }
    let mut entry = Map::new();
    match (args.url, args.command.split_first()) {
        (Some(url), _) => entry.extend([("type".to_owned(), "http".into()), ("url".to_owned(), url.into())]),
        (None, Some((command, rest))) => {
            entry.extend([("command".to_owned(), command.as_str().into()), ("args".to_owned(), rest.to_vec().into())]);
        }
        (None, None) => return Err(usage("give a command, or `--url`")),
    }
    for (field, pairs) in [("headers", args.header), ("env", args.env)] {
        if !pairs.is_empty() {
            let pairs = pairs.into_iter().map(|(name, value)| Ok((name, entry_value(&value, client.home())?.into())));
            entry.insert(field.into(), Value::Object(pairs.collect::<Result<_, CliError>>()?));
        }
    }
    write(client, args.name, entry, &args.how, output).await
}

/// Adds a server as its entry says.
pub async fn add_json(args: McpAddJsonArgs, client: &ClientSession, output: &Output) -> Result<(), CliError> {
    let (name, entry) = match args.entry {
        Some(entry) => (Some(args.name), entry),
        None => (None, args.name),
    };
    let text = match entry.as_str() {
        "-" => std::io::read_to_string(std::io::stdin().lock().take(MAX_JSON_BYTES))
            .map_err(|e| CliError::user(format!("cannot read the entry from standard input: {e}")))?,
        _ => entry,
    };
    let mut entries = parse_entries(&text)?;
    match (name, &mut entries[..]) {
        // Under another name.
        (Some(name), [one]) => one.name = Some(name),
        (Some(name), _) => {
            let names: Vec<String> = entries.iter().filter_map(|entry| entry.name.clone()).collect();
            entries.retain(|entry| entry.name.as_ref() == Some(&name));
            if entries.is_empty() {
                return Err(AddError::NoMatchingEntry { name, names }.into());
            }
        }
        (None, []) => return Err(AddError::EntryNotFound { problem: "there is no server in the JSON".into() }.into()),
        (None, _) => {}
    }
    let mut requests = Vec::new();
    for ServerConfigEntry { name, entry, skipped: left_out } in entries {
        let given = name.ok_or_else(|| AddError::EntryNotFound {
            problem: "the entry has no name: `aiw mcp add-json NAME JSON`".to_owned(),
        })?;
        let name = if is_secret_token(&given) { given.clone() } else { sanitize_name(&given) };
        if name != given {
            output.note(format!("note: {} is called `{name}` here", quoted(&given)));
        }
        if !left_out.is_empty() {
            output.note(format!("note: `{name}` comes without {}", quoted_list(&left_out)));
        }
        let how = &args.how;
        requests.push(AddRequest { name, entry, plain: how.plaintext, force: how.force, unchecked: how.no_check });
    }
    // All or none: what is wrong with a name is said before the first is written.
    let (mut names, file) = (BTreeSet::new(), McpFile::load(client.home())?);
    for AddRequest { name, entry, force, .. } in &requests {
        if !names.insert(name.to_ascii_lowercase()) {
            let problem =
                format!("two servers in the JSON are called `{name}` here: add one of them under another name");
            return Err(AddError::EntryNotFound { problem }.into());
        }
        check_name(name)?;
        if !force {
            check_name_available(client.home(), &file, name, Some(&Value::Object(entry.clone())))?;
        }
    }
    let person = TerminalPrompter::new(output, false);
    let (answer, problem) = run_then_shutdown(client, edit::add_all(client, requests, &person, output)).await?;
    match answer {
        Some(answer) => output.set_json_or_error(answer, problem.map(CliError::from)),
        None => Ok(()),
    }
}

async fn write(
    client: &ClientSession,
    name: String,
    entry: Map<String, Value>,
    how: &McpAddOptions,
    output: &Output,
) -> Result<(), CliError> {
    let request = AddRequest { name, entry, plain: how.plaintext, force: how.force, unchecked: how.no_check };
    let person = TerminalPrompter::new(output, false);
    let (answer, problem) = run_then_shutdown(client, edit::add(client, request, &person, output)).await?;
    output.set_json_or_error(answer, problem.map(CliError::from))
}
