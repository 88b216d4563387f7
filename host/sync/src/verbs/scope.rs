//! What a person includes and excludes.

use super::Synchronizer;
use crate::error::SyncError;
use crate::policy::{SyncRule, sync_rules};
use aiw_home::SyncPolicy;

impl Synchronizer {
    /// Lets something travel that does on request only, or that was excluded. Returns what is included and excluded.
    ///
    /// # Errors
    ///
    /// It names nothing that can travel.
    pub fn include(&self, what: &str) -> Result<(Vec<String>, Vec<String>), SyncError> {
        let what = normal(what);
        self.change(|include, exclude| {
            let was_excluded = exclude.contains(&what);
            exclude.retain(|left_out| *left_out != what);
            match row_of(&what) {
                Some(row) if row.policy == SyncPolicy::OnRequest => {
                    if !include.contains(&row.pattern()) {
                        include.push(row.pattern());
                    }
                    Ok(())
                }
                Some(row) if row.policy == SyncPolicy::Always => Ok(()),
                _ if was_excluded => Ok(()),
                _ => Err(SyncError::PathNotSynced(aiw_core::one_line(&what, 120))),
            }
        })
    }

    /// Keeps something on this machine. Returns what is included and excluded.
    ///
    /// # Errors
    ///
    /// It names nothing that travels.
    pub fn exclude(&self, what: &str) -> Result<(Vec<String>, Vec<String>), SyncError> {
        let what = normal(what);
        self.change(|include, exclude| {
            if include.contains(&what) {
                include.retain(|wanted| *wanted != what);
                return Ok(());
            }
            let root = what.split_once(':').map(|(root, _)| root);
            let is_root = root.is_some_and(|root| root.parse::<crate::place::SyncRoot>().is_ok());
            // A whole root, a row, a path of a row, or a directory with rows in it.
            let rows = sync_rules();
            let leads = |row: &SyncRule| row.pattern().starts_with(what.trim_end_matches('/'));
            if !is_root || (row_of(&what).is_none() && !rows.iter().any(leads)) {
                return Err(SyncError::PathNotSynced(aiw_core::one_line(&what, 120)));
            }
            if !exclude.contains(&what) {
                exclude.push(what.clone());
            }
            Ok(())
        })
    }

    fn change(
        &self,
        change: impl FnOnce(&mut Vec<String>, &mut Vec<String>) -> Result<(), SyncError>,
    ) -> Result<(Vec<String>, Vec<String>), SyncError> {
        let lock = self.home.lock()?;
        let mut settings = self.home.settings()?;
        let mut own = settings.sync()?;
        change(&mut own.include, &mut own.exclude)?;
        settings.set_sync_scope(&own)?;
        settings.save(&lock)?;
        Ok((own.include, own.exclude))
    }
}

/// `skills/` and `skills` are the same, and a whole root may be written without its colon.
fn normal(what: &str) -> String {
    if what.contains(':') { what.to_owned() } else { format!("{what}:") }
}

/// Returns the row that a pattern or a path means.
fn row_of(what: &str) -> Option<SyncRule> {
    let named = |row: &SyncRule| row.pattern().trim_end_matches('/') == what.trim_end_matches('/');
    let rows = sync_rules();
    let path = what.trim_end_matches('/').parse().ok();
    rows.iter().find(|row| named(row)).copied().or_else(|| {
        let path = path?;
        rows.into_iter().find(|row| crate::policy::is_covered(&row.pattern(), &path))
    })
}
