//! `aiw plugin search|list|info`: what there is.

use std::collections::BTreeMap;

use aiw_app::plugins::{format_keys, offer_market, shorten_version};
use aiw_core::{MarketName, PluginId};
use aiw_home::InstalledPlugin;
use aiw_markets::{
    MarketError, Markets, MissingValue, PluginDetails, PluginQuery, PluginSummary, SearchResult, SearchSummary,
};

use crate::ask::{PluginReporter, TerminalPrompter};
use crate::cli::{ListArgs, SearchArgs};
use crate::failure::CliError;
use crate::output::{Output, single_entry_map};

pub(super) async fn search(markets: &Markets, args: SearchArgs, output: &Output) -> Result<(), CliError> {
    if !output.is_json() && args.market.is_none() {
        offer_market(markets, &TerminalPrompter::new(output, false), &PluginReporter(output)).await?;
    }
    let text = Some(args.query.join(" ")).filter(|text| !text.trim().is_empty());
    let query = PluginQuery { text, market: args.market, category: args.category, all: args.all };
    show(&markets.search(&query)?, query.text.is_some(), output);
    Ok(())
}

pub(super) fn list(markets: &Markets, args: &ListArgs, has_settings: bool, output: &Output) -> Result<(), CliError> {
    if args.available {
        let query = PluginQuery { market: args.market.clone(), all: args.all, ..PluginQuery::default() };
        show(&markets.search(&query)?, false, output);
        return Ok(());
    }
    let everything = match has_settings {
        true => markets.search(&PluginQuery { all: true, market: args.market.clone(), ..PluginQuery::default() })?,
        // Without marketplaces, a plugin is shown by its record.
        false => SearchResult::default(),
    };
    let wanted = |id: &PluginId| args.market.as_deref().is_none_or(|market| id.market.as_str() == market);
    let installed: Vec<_> = markets.installed()?.into_iter().filter(|(id, _)| wanted(id)).collect();
    let mut rows = Vec::new();
    let mut plugins: Vec<PluginSummary> = Vec::new();
    for (id, record) in &installed {
        let found = everything.plugins.iter().find(|found| found.id().as_ref() == Some(id));
        let summary = match found {
            Some(found) => PluginSummary::new(found),
            None => PluginSummary::from_installed(id, record, markets.home()),
        };
        let disabled = (!record.enabled).then(|| "disabled".to_owned());
        let unset = (!summary.missing_env.is_empty()).then(|| format!("not set: {}", summary.missing_env.join(", ")));
        let state: Vec<String> = disabled.into_iter().chain(unset).collect();
        rows.push(vec![id.to_string(), shorten_version(&record.version), format_keys(record), state.join("; ")]);
        plugins.push(summary);
    }
    output.table(&["PLUGIN", "VERSION", "SERVERS", "STATE"], &rows);
    if installed.is_empty() {
        output.line("No plugins are installed; `aiw plugin search` finds some");
    }
    output.set_json(single_entry_map("plugins", plugins));
    Ok(())
}

fn show(result: &SearchResult, searched: bool, output: &Output) {
    let mut rows = Vec::new();
    for found in &result.plugins {
        let kind = match (found.listing_entry.broken_reason(), found.listing_entry.has_servers()) {
            (Some(_), _) => "broken".into(),
            (None, _) if found.listing_entry.rejection_reason().is_some() => "refused".into(),
            (None, None) if found.installed.is_none() => "not yet inspected".into(),
            (None, None) => "mcp".into(),
            (None, Some(_)) => found.kinds().join(" "),
        };
        let mark = match &found.installed {
            Some(record) if record.enabled => "✓",
            Some(_) => "-",
            None => " ",
        };
        let text = match found.listing_entry.broken_reason() {
            Some(problem) => format!("it {problem}"),
            None => found
                .listing_entry
                .rejection_reason()
                .map(str::to_owned)
                .or(found.listing_entry.description())
                .unwrap_or_default(),
        };
        rows.push(vec![format!("{mark} {}", found.display_id()), kind, aiw_core::one_line(&text, 90)]);
    }
    output.table(&["  PLUGIN", "BRINGS", "DESCRIPTION"], &rows);
    if result.plugins.is_empty() {
        output.line(if searched { "No plugin matches" } else { "No plugins" });
    }
    let mut hidden = Vec::new();
    for (count, what) in [
        (result.without_servers, "without MCP servers"),
        (result.not_inspected, "not yet inspected"),
        (result.broken, "broken"),
    ] {
        if count > 0 {
            hidden.push(format!("{count} {what}"));
        }
    }
    if !hidden.is_empty() {
        output.note(format!("hidden: {} (`--all` shows them)", hidden.join(", ")));
    }
    // Whoever declined to fetch one need not hear of it, unless it may have what they looked for.
    let is_said = |market: &&MarketName| result.plugins.is_empty() || !result.declined.contains(market);
    for market in result.not_fetched.iter().filter(is_said) {
        output.note(format!("marketplace `{market}` is not fetched yet: `aiw plugin marketplace update {market}`"));
    }
    result.problems.iter().for_each(|problem| output.note(problem));
    output.set_json(SearchSummary::new(result));
}

pub(super) async fn info(markets: &Markets, name: &str, output: &Output) -> Result<(), CliError> {
    let mut found = match markets.find(name) {
        Ok(found) => found,
        // What is installed can be shown without its marketplace.
        Err(e) => match markets.find_installed(name) {
            Ok(id) => return info_installed(markets, &id, output),
            Err(_) => return Err(e.into()),
        },
    };
    if found.listing_entry.broken_reason().is_none()
        && found.listing_entry.rejection_reason().is_none()
        && found.listing_entry.inspection.is_none()
    {
        match markets.inspect(&found).await {
            Ok(inspection) => found.listing_entry.inspection = Some(inspection),
            Err(e) => output.note(format!("not inspected: {e}")),
        }
    }
    let details = PluginDetails::new(&found);
    let summary = &details.summary;
    output.line(&summary.id);
    if let Some(description) = found.listing_entry.description() {
        output.line(format!("  {}", aiw_core::one_line(&description, 400)));
    }
    let tags = Some(summary.tags.join(", ")).filter(|tags| !tags.is_empty());
    for (key, text) in [
        ("version", &summary.version),
        ("author", &summary.author),
        ("category", &summary.category),
        ("tags", &tags),
        ("source", &summary.source),
    ] {
        if let Some(text) = text {
            output.line(format!("  {key}: {}", aiw_core::one_line(text, 200)));
        }
    }
    if let Some(problem) = &summary.broken {
        output.line(format!("  broken: {problem}"));
    }
    if let Some(brings) = summary.contents.as_ref().filter(|brings| !brings.is_empty()) {
        output.line(format!("  brings: {}", brings.join(", ")));
    }
    if let Some(commit) = &details.commit {
        output.line(format!("  commit: {commit}"));
    }
    for server in summary.mcp_servers.iter().flatten() {
        let (name, transport) = (aiw_core::one_line(&server.summary.name, 60), server.summary.transport);
        output.line(format!("  server {name}: {transport} {}", server.target));
        server.details.iter().for_each(|detail| output.line(format!("    {detail}")));
        if !server.reads.is_empty() {
            output.line(format!("    reads {}", server.reads.join(", ")));
        }
    }
    details.skipped.iter().for_each(|line| output.line(format!("  {line}")));
    if let Some(record) = &found.installed {
        output.line(installed_line(record));
    }
    if let Some(id) = found.id() {
        found.missing.iter().for_each(|missing| output.line(format!("  {}", missing.advice(&id))));
    }
    output.set_json(single_entry_map("plugin", details));
    Ok(())
}

fn installed_line(record: &InstalledPlugin) -> String {
    let state = if record.enabled { "installed" } else { "installed, disabled" };
    format!("  {state}: {} since {}, as {}", shorten_version(&record.version), record.installed_at, format_keys(record))
}

fn info_installed(markets: &Markets, id: &PluginId, output: &Output) -> Result<(), CliError> {
    let record = markets.installed()?.into_iter().find(|(known, _)| known == id).map(|(_, record)| record);
    let record = record.ok_or_else(|| CliError::from(MarketError::NotInstalled { name: id.to_string() }))?;
    output.line(id.to_string());
    output.line("  its marketplace no longer lists it");
    output.line(installed_line(&record));
    let missing = MissingValue::collect(&record, &BTreeMap::new(), markets.home());
    missing.iter().for_each(|missing| output.line(format!("  {}", missing.advice(id))));
    output.set_json(single_entry_map("plugin", PluginSummary::from_installed(id, &record, markets.home())));
    Ok(())
}
