//! What aiw 0.6 left, for people.

use aiw_core::pluralize;
use aiw_home::{Home, HomeError};

/// Brings the marketplaces and plugins of aiw 0.6 up to date. Returns what the user should know of it.
pub(crate) fn migrate(home: &Home) -> Result<Vec<String>, HomeError> {
    let Some(done) = home.migrate_plugins()? else { return Ok(Vec::new()) };
    let backups = Vec::from_iter(done.backups.iter().map(|path| format!("`{}`", path.display()))).join(" and ");
    let mut notes = Vec::new();
    if !done.markets.is_empty() {
        let markets = pluralize(done.markets.len(), "marketplace");
        notes.push(format!("settings.json of aiw 0.6 is brought up to date: {markets}"));
    }
    for plugin in &done.plugins {
        notes.push(format!(
            "plugins.json of aiw 0.6 has no files of `{plugin}`: its servers stay in mcp.json, and `aiw plugin install {plugin}` \
             installs it again"
        ));
    }
    notes.extend(done.skipped);
    notes.push(format!("the old files are {backups}"));
    Ok(notes)
}
