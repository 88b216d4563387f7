//! `aiw mcp route`

use aiw_app::servers::route;
use aiw_core::{one_line, to_visible_line};
use aiw_home::Home;
use aiw_routing::ToolMatch;

use super::client::client;
use super::look;
use crate::cli::mcp::McpRouteArgs;
use crate::failure::CliError;
use crate::output::Output;
use crate::schema;

/// Shows what `intelligent_route` gives a model.
pub async fn route(args: McpRouteArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    let client = client(home, args.profile.as_deref(), output)?;
    output.observer().progress("reading what the tools mean", 0, 0);
    let routed = route::route(&client, &args.request.join(" "), usize::from(args.limit), output).await;
    let tools = &routed.tools;
    if let Some(nothing) = routed.empty_reason {
        output.line(nothing);
    } else {
        let row = |tool: &ToolMatch| {
            let name = format!("{}/{}", tool.server, tool.tool);
            let score = |score: f32| format!("{score:.2}");
            let mut row = vec![name, score(tool.score)];
            if args.explain {
                row.extend([score(tool.keyword_score), tool.semantic_score.map(score).unwrap_or_else(|| "-".into())]);
            }
            let similar = tool.similar.iter().map(|name| format!("like {}", one_line(name, 60)));
            row.push(tool.matched.iter().map(|word| one_line(word, 40)).chain(similar).collect::<Vec<_>>().join(", "));
            row
        };
        let head: &[&str] =
            if args.explain { &["TOOL", "SCORE", "WORDS", "MEANING", "HAS"] } else { &["TOOL", "SCORE", "HAS"] };
        output.table(head, &tools.iter().map(row).collect::<Vec<_>>());
        for tool in tools {
            let name = format!("{}/{}", to_visible_line(&tool.server), to_visible_line(&tool.tool));
            output.line("");
            if args.explain {
                output.line(name);
                let parts = [("parameters", Some(&tool.input_schema)), ("answers", tool.output_schema.as_ref())];
                look::print_tool_details(&tool.description, &parts, None, output);
            } else {
                output.line(format!("{name}{}", schema::signature(&tool.input_schema)));
                schema::parameters(&tool.input_schema).iter().for_each(|line| output.line(format!("  {line}")));
            }
        }
    }
    output.set_json_or_error(routed, None)
}
