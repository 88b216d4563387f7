//! `aiw mcp route`

use std::sync::Arc;
use std::time::{Duration, Instant};

use aiw_app::servers::{learn, pool};
use aiw_core::{counted, one_line, visible};
use aiw_home::Home;
use aiw_routing::{Finder, FoundTool};
use schemars::JsonSchema;
use serde::Serialize;

use super::client::client;
use super::{look, serve};
use crate::cli::mcp::McpRouteArgs;
use crate::failure::Failure;
use crate::output::Output;
use crate::schema;

/// How long a person waits for the model, and for it to see tools that it has not seen. What it saw is kept.
const MODEL: Duration = Duration::from_secs(30);

/// `aiw mcp route`
#[derive(Serialize, JsonSchema)]
struct RoutedTools {
    /// The tools, the best first
    tools: Vec<FoundTool>,
    /// How many tools were looked at
    searched: usize,
    /// How long that took, in milliseconds
    took_ms: f64,
}

/// Shows what `intelligent_route` gives a model.
pub async fn route(args: McpRouteArgs, home: &Home, output: &Output) -> Result<(), Failure> {
    let client = client(home, args.profile.as_deref(), output)?;
    let pool = pool(&client, output);
    learn(pool, &[], output).await;
    let finder = Finder::new(client.home(), Arc::new(serve::meaning(client.home(), output)));
    let request = args.request.join(" ");
    let most = usize::from(args.limit);
    let here = pool.clone();
    output.observer().progress("reading what the tools mean", 0, 0);
    let work = move || {
        let unseen = here.prepare(&finder, MODEL);
        let begun = Instant::now();
        let found = here.find(&finder, &request, most);
        let (took, problem) = (begun.elapsed(), finder.problem());
        finder.end();
        (found, took, problem, unseen)
    };
    let (found, took, problem, unseen) = aiw_home::blocking(work).await;
    let statuses = pool.status();
    pool.end().await;
    if let Some(problem) = problem {
        output.note(format!("note: searched by words alone: {problem}"));
    } else if unseen > 0 {
        let known = found.tools - unseen.min(found.tools);
        output.note(format!(
            "note: the meaning of {known} of {} is known so far; `aiw mcp serve` gets to know the others",
            counted(found.tools, "tool")
        ));
    }
    let tools: Vec<FoundTool> = found.matches.iter().map(|found| FoundTool::of(found, &statuses)).collect();
    if !found.says_something {
        output.line("no word to search for: say what the tool should do");
    } else if tools.is_empty() {
        output.line(format!("none of {} tools fits: say it in other words", found.tools));
    } else {
        let row = |tool: &FoundTool| {
            let name = format!("{}/{}", tool.server, tool.tool);
            let score = |score: f32| format!("{score:.2}");
            let mut row = vec![name, score(tool.score)];
            if args.explain {
                row.extend([score(tool.words), tool.meaning.map(score).unwrap_or_else(|| "-".into())]);
            }
            let similar = tool.similar.iter().map(|name| format!("like {}", one_line(name, 60)));
            row.push(tool.matched.iter().map(|word| one_line(word, 40)).chain(similar).collect::<Vec<_>>().join(", "));
            row
        };
        let head: &[&str] =
            if args.explain { &["TOOL", "SCORE", "WORDS", "MEANING", "HAS"] } else { &["TOOL", "SCORE", "HAS"] };
        output.table(head, &tools.iter().map(row).collect::<Vec<_>>());
        for tool in &tools {
            let name = format!("{}/{}", visible(&tool.server), visible(&tool.tool));
            output.line("");
            if args.explain {
                output.line(name);
                let parts = [("parameters", Some(&tool.input_schema)), ("answers", tool.output_schema.as_ref())];
                look::whole(&tool.description, &parts, None, output);
            } else {
                output.line(format!("{name}{}", schema::signature(&tool.input_schema)));
                schema::parameters(&tool.input_schema).iter().for_each(|line| output.line(format!("  {line}")));
            }
        }
    }
    output.conclude(RoutedTools { tools, searched: found.tools, took_ms: took.as_secs_f64() * 1e3 }, None)
}
