//! What a file of processes would start, and the user's consent to it.

use aiw_core::{Effect, Plan, PromptError, Prompter, Reporter, is_secret_name, names_code, shell_word, visible};

use crate::definition::{Definition, EnvValue, EventHook, Run};
use crate::error::ProcessError;
use crate::file::{policy, written_time};
use crate::manager::{Loaded, Manager};
use crate::probe::CheckOf;

/// Tells which limits nobody can enforce, before anything starts.
pub(crate) fn warn_unenforced_limits(loaded: &Loaded, ids: &[String], sink: &dyn Reporter) {
    for (id, definition) in loaded.each().filter(|(id, definition)| definition.is_selected(id, ids)) {
        if let Some(problem) = definition.limits.into_limits().unkept() {
            sink.note(format!("`{id}`: {problem}"));
        }
    }
}

impl Manager {
    /// Loads the definitions, asks whether the project's file may start what it says, if that is new, and tells which
    /// limits nobody can enforce for these processes. Where nobody can be asked, nothing of a new file starts.
    ///
    /// # Errors
    ///
    /// There are no definitions, they make no sense, or the user declines.
    pub async fn agreed(
        &self,
        ids: &[String],
        ask: &dyn Prompter,
        sink: &dyn Reporter,
    ) -> Result<Loaded, ProcessError> {
        let mut loaded = self.load()?;
        if loaded.definitions.is_empty() {
            return Err(self.empty());
        }
        match self.ask_about(&mut loaded, ask).await {
            Ok(()) | Err(ProcessError::Prompt(PromptError::Unsupported)) => {}
            Err(error) => return Err(error),
        }
        warn_unenforced_limits(&loaded, ids, sink);
        Ok(loaded)
    }

    /// Asks whether the file may start what it says, and allows it, unless it is allowed already.
    pub(crate) async fn ask_about(&self, loaded: &mut Loaded, ask: &dyn Prompter) -> Result<(), ProcessError> {
        if loaded.is_to_be_allowed() {
            ask.confirm(&self.plan(loaded)?, &[]).await?;
            self.allow(loaded)?;
        }
        Ok(())
    }

    fn plan(&self, loaded: &Loaded) -> Result<Plan, ProcessError> {
        let mut plan = Plan::new("Allow this file to start these processes?");
        plan.about.push(format!("`{}` defines:", self.project.display_file()));
        loaded.each().for_each(|(id, definition)| describe(&mut plan, "  ", id, definition));
        loaded.hooks.iter().for_each(|hook| describe_hook(&mut plan, "  ", hook));
        for status in self.list_running()?.iter().filter(|status| status.state.is_alive()) {
            if loaded.get(&status.id).is_none_or(|(now, _)| *now != status.definition) {
                plan.about.push(format!("`{}` runs as it was defined before, until you restart it", status.id));
            }
        }
        Ok(plan)
    }
}

/// Adds to a plan what a definition starts, a line each. All of it is shown, with its line breaks: what is cut off or
/// folded could be what matters. The yes holds for its masked values and its notes too.
pub(crate) fn describe(plan: &mut Plan, indent: &str, id: &str, definition: &Definition) {
    plan.hold_for(&serde_json::to_vec(definition).unwrap_or_default());
    let Plan { about, effects, .. } = plan;
    let mut add = |line: String| about.push(format!("{indent}{}", visible(&line)));
    let mark = if matches!(definition.run, Run::Shell(_)) { " (shell)" } else { "" };
    let place = definition.cwd.as_ref().map(|cwd| format!(" in {cwd}")).unwrap_or_default();
    let command = definition.run.line();
    add(format!("{id}{mark}: {command}{place}"));
    effects.push(Effect::Runs(command));
    for (what, probe) in [("ready", &definition.ready), ("live", &definition.live)] {
        let (verb, at, effect): (_, _, fn(String) -> Effect) = match probe.as_ref().map(|probe| &probe.check) {
            Some(CheckOf::Exec(words)) => ("runs", Run::Command(words.clone()).line(), Effect::Runs),
            Some(CheckOf::Http(url)) => ("asks", url.clone(), Effect::Reaches),
            Some(CheckOf::Tcp(at)) => ("connects to", at.clone(), Effect::Reaches),
            Some(CheckOf::Line(_)) | None => continue,
        };
        add(format!("  {what}: {verb} {at}"));
        effects.push(effect(at));
    }
    if !definition.env.is_empty() {
        add(format!("  with {}", definition.env.iter().map(variable).collect::<Vec<_>>().join(", ")));
    }
    let code: Vec<&str> = definition.env.keys().map(String::as_str).filter(|name| names_code(name)).collect();
    if !code.is_empty() {
        add(format!("  decides by its variables which code runs: {}", code.join(", ")));
    }
    if let Some(file) = &definition.env_file {
        add(format!("  with the variables of {file}"));
        effects.push(Effect::Reads(file.clone()));
    }
    if let Some(watch) = &definition.watch {
        add(format!("  is started again when {} changes", watch.files.join(" ")));
    }
    if let Some(cron) = &definition.cron {
        add(format!("  is started at {cron}"));
    }
    let needs: Vec<&str> = definition.needs.iter().map(|need| need.id.as_str()).collect();
    if !needs.is_empty() {
        add(format!("  starts {} before it", needs.join(", ")));
    }
    policy(definition, &Definition::default()).iter().for_each(|line| add(format!("  {line}")));
    if let Some(sentence) = aiw_supervisor::unenforced(definition.limits.into_limits()) {
        add(format!("  {sentence}"));
    }
    if !definition.auto_start {
        add("  is started only when it is named".into());
    }
}

/// Adds to a plan what a hook starts, and when.
pub(crate) fn describe_hook(plan: &mut Plan, indent: &str, hook: &EventHook) {
    let (of, command) = (hook.of.as_deref().unwrap_or("any process"), Run::Command(hook.command.clone()).line());
    let ends = match hook.timeout {
        EventHook::TIMEOUT => String::new(),
        longer => format!(", for {} at most", written_time(longer)),
    };
    plan.about.push(format!("{indent}{}", visible(&format!("on {} of {of}: {command}{ends}", hook.on.as_str()))));
    plan.effects.push(Effect::Runs(command));
}

fn variable((name, value): (&String, &EnvValue)) -> String {
    match value {
        // What could name something that runs is shown, although it looks like a secret.
        EnvValue::Literal(text) if is_secret_name(name) && !names_code(name) && !text.contains(['/', ' ', '\n']) => {
            format!("{name}=…")
        }
        // Quoted, so that one value can't be read as two.
        EnvValue::Literal(text) => format!("{name}={}", shell_word(text)),
        EnvValue::Secret(secret) => format!("{name} from the secret {secret}"),
    }
}
