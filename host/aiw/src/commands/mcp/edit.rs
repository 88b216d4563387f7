//! `aiw mcp add`, `add-json`: what was typed, as an entry of mcp.json.

use std::collections::BTreeSet;
use std::io::Read;

use aiw_app::ClientSession;
use aiw_app::servers::edit::{self, AddRequest};
use aiw_core::ErrorKind;
use aiw_servers::{entry_in, entry_value};
use serde_json::{Map, Value};

use super::client::ended;
use crate::ask::Person;
use crate::cli::mcp::{McpAddArgs, McpAddHow, McpAddJsonArgs};
use crate::failure::Failure;
use crate::output::Output;

/// The flags of `aiw mcp add` that may be meant where they come after the command.
const OWN_FLAGS: [&str; 7] = ["--no-check", "--force", "--plain", "--url", "--header", "--env", "--json"];

/// The longest entry that is read from standard input.
const MOST_JSON: u64 = 1 << 20;

pub async fn add(mut args: McpAddArgs, client: &ClientSession, output: &Output) -> Result<(), Failure> {
    let usage = |problem: &str| Failure::new(ErrorKind::Usage, problem);
    // Without `--`, a flag of aiw's after the command would be the server's.
    let is_marked = std::env::args_os().any(|word| word == "--");
    if let Some(flag) = args.command.iter().find(|word| OWN_FLAGS.contains(&word.as_str())).filter(|_| !is_marked) {
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
            entry.insert(field.into(), Value::Object(pairs.collect::<Result<_, Failure>>()?));
        }
    }
    write(client, args.name, entry, &args.how, output).await
}

/// Adds a server as its entry says.
pub async fn add_json(args: McpAddJsonArgs, client: &ClientSession, output: &Output) -> Result<(), Failure> {
    let (name, entry) = match args.entry {
        Some(entry) => (Some(args.name), entry),
        None => (None, args.name),
    };
    let text = match entry.as_str() {
        "-" => std::io::read_to_string(std::io::stdin().lock().take(MOST_JSON))
            .map_err(|e| Failure::user(format!("cannot read the entry from standard input: {e}")))?,
        _ => entry,
    };
    let (name, entry) = entry_in(&text, name.as_deref())?;
    write(client, name, entry, &args.how, output).await
}

async fn write(
    client: &ClientSession,
    name: String,
    entry: Map<String, Value>,
    how: &McpAddHow,
    output: &Output,
) -> Result<(), Failure> {
    let request = AddRequest { name, entry, plain: how.plain, force: how.force, unchecked: how.no_check };
    let person = Person::new(output, false);
    let (answer, problem) = ended(client, edit::add(client, request, &person, output)).await?;
    output.conclude(answer, problem.map(Failure::from))
}
