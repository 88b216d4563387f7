//! Following the project's file: what a change of it starts, restarts and stops.

use aiw_core::{Plan, Prompter, ReportEvent, Reporter};

use crate::consent::{describe, describe_hook};
use crate::definition::Definition;
use crate::error::ProcessError;
use crate::manager::{LoadedDefinitions, Manager};
use crate::start::StartedProcess;

/// New definitions, and what they change, by id.
#[derive(Debug)]
pub struct FileChange {
    new: LoadedDefinitions,
    starts: Vec<String>,
    restarts: Vec<String>,
    stops: Vec<String>,
    /// New and changed definitions of what neither runs nor starts.
    others: Vec<String>,
    /// Whether other programs run when something happens.
    has_new_hooks: bool,
}

impl Manager {
    /// Returns what has changed in the project's file since it was read last, if that starts, restarts or stops anything.
    /// `wanted` are the ids that were named, or none; `shown` are those of the processes that may be restarted and
    /// stopped.
    ///
    /// # Errors
    ///
    /// The file makes no sense now.
    pub fn detect_changes(
        &self,
        loaded: &mut LoadedDefinitions,
        wanted: &[String],
        shown: &[String],
    ) -> Result<Option<FileChange>, ProcessError> {
        let Some(new) = self.reload(loaded).transpose()? else { return Ok(None) };
        // Somebody else may have started it again just now.
        let runs = |id: &String| shown.contains(id) && self.is_alive(id);
        let is_wanted = |id: &String, definition: &Definition| definition.is_selected(id, wanted);
        let (mut starts, mut restarts, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for (id, definition) in new.iter() {
            match loaded.get(id) {
                None if is_wanted(id, definition) => starts.push(id.clone()),
                Some((before, _)) if before == definition => {}
                Some(_) if runs(id) => restarts.push(id.clone()),
                Some((before, _)) if is_wanted(id, definition) && !is_wanted(id, before) => starts.push(id.clone()),
                _ => others.push(id.clone()),
            }
        }
        let is_gone = |id: &&String| loaded.get(id).is_some() && new.get(id).is_none() && runs(id);
        let stops: Vec<String> = shown.iter().filter(is_gone).cloned().collect();
        // The rest is for the next command, or for the next question.
        let does_nothing = starts.is_empty() && restarts.is_empty() && stops.is_empty();
        let has_new_hooks = new.hooks != loaded.hooks;
        Ok((!does_nothing).then_some(FileChange { new, starts, restarts, stops, others, has_new_hooks }))
    }

    /// Says what a change of the file does, and does it if the user agrees. `stop` stops processes. Returns what was
    /// started. If not all could be done, `loaded` stays as it is, so that the next change shows what is left.
    pub async fn apply_changes(
        &self,
        loaded: &mut LoadedDefinitions,
        mut change: FileChange,
        ask: &dyn Prompter,
        sink: &dyn Reporter,
        stop: &mut dyn FnMut(Vec<String>) -> Result<(), ProcessError>,
    ) -> Vec<StartedProcess> {
        if ask.confirm(&change.plan(&self.project.display_file()), &[]).await.is_err() {
            let again = "everything runs as before: `aiw restart ID` or the next `aiw up` asks again";
            sink.step(again.into());
            return Vec::new();
        }
        let starts = [change.starts.as_slice(), &change.restarts].concat();
        let stops = [change.restarts.as_slice(), &change.stops].concat();
        let results = self.allow(&mut change.new).and_then(|()| self.replace(&change.new, &starts, || stop(stops)));
        // What is wrong with one must not end the others.
        let (started, problem) = match results {
            Err(error) => (Vec::new(), Some(error)),
            Ok(results) => {
                let (started, failed): (Vec<_>, Vec<_>) =
                    results.into_iter().map(|(_, result)| result).partition(Result::is_ok);
                (started.into_iter().flatten().collect(), failed.into_iter().find_map(Result::err))
            }
        };
        match problem {
            None => *loaded = change.new,
            Some(error) => {
                let rest = "not everything was done, and `aiw restart ID` does the rest";
                sink.report(ReportEvent::Failed(format!("{error}: {rest}")));
            }
        }
        started
    }
}

impl FileChange {
    fn plan(&self, file: &str) -> Plan {
        let mut plan = Plan::new(if self.new.needs_approval() { "Allow this file, and do that?" } else { "Do that?" });
        plan.details.push(format!("`{file}` has changed:"));
        for (ids, what) in [
            (&self.starts, "is new or has changed, and starts:"),
            (&self.restarts, "runs, and is restarted:"),
            (&self.stops, "runs, is no longer defined, and stops"),
            // A yes allows the whole file.
            (&self.others, "is new or has changed, and stays as it is for now:"),
        ] {
            for id in ids {
                plan.details.push(format!("  `{id}` {what}"));
                if let Some((definition, _)) = self.new.get(id) {
                    describe(&mut plan, "    ", id, definition);
                }
            }
        }
        let hooks = self.new.hooks.iter().filter(|_| self.has_new_hooks);
        hooks.for_each(|hook| describe_hook(&mut plan, "  ", hook));
        plan
    }
}
