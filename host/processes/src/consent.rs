//! What a file of processes would start, and the user's consent to it.

use aiw_core::{
    Effect, Plan, PromptError, Prompter, Reporter, is_code_loading, is_secret_name, shell_quote, to_visible_line,
};

use crate::definition::{CommandSpec, Definition, EnvValue, EventHook};
use crate::error::ProcessError;
use crate::file::{policy_lines, written_time};
use crate::manager::{LoadedDefinitions, Manager};
use crate::probe::CheckDefinition;

/// Tells which limits nobody can enforce, before anything starts.
pub(crate) fn warn_unenforced_limits(loaded: &LoadedDefinitions, ids: &[String], sink: &dyn Reporter) {
    for (id, definition) in loaded.iter().filter(|(id, definition)| definition.is_selected(id, ids)) {
        if let Some(problem) = definition.limits.into_limits().unenforceable_reason() {
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
    pub async fn load_with_consent(
        &self,
        ids: &[String],
        ask: &dyn Prompter,
        sink: &dyn Reporter,
    ) -> Result<LoadedDefinitions, ProcessError> {
        let mut loaded = self.load()?;
        if loaded.definitions.is_empty() {
            return Err(self.empty_error());
        }
        match self.request_consent(&mut loaded, ask).await {
            Ok(()) | Err(ProcessError::Prompt(PromptError::Unsupported)) => {}
            Err(error) => return Err(error),
        }
        warn_unenforced_limits(&loaded, ids, sink);
        Ok(loaded)
    }

    /// Asks whether the file may start what it says, and allows it, unless it is allowed already.
    pub(crate) async fn request_consent(
        &self,
        loaded: &mut LoadedDefinitions,
        ask: &dyn Prompter,
    ) -> Result<(), ProcessError> {
        if loaded.needs_approval() {
            ask.confirm(&self.plan(loaded)?, &[]).await?;
            self.allow(loaded)?;
        }
        Ok(())
    }

    fn plan(&self, loaded: &LoadedDefinitions) -> Result<Plan, ProcessError> {
        let mut plan = Plan::new("Allow this file to start these processes?");
        plan.details.push(format!("`{}` defines:", self.project.display_file()));
        loaded.iter().for_each(|(id, definition)| describe(&mut plan, "  ", id, definition));
        loaded.hooks.iter().for_each(|hook| describe_hook(&mut plan, "  ", hook));
        for status in self.list_running()?.iter().filter(|status| status.state.is_alive()) {
            if loaded.get(&status.id).is_none_or(|(now, _)| *now != status.definition) {
                plan.details.push(format!("`{}` runs as it was defined before, until you restart it", status.id));
            }
        }
        Ok(plan)
    }
}

/// Adds to a plan what a definition starts, a line each. All of it is shown, with its line breaks: what is cut off or
/// folded could be what matters. The yes holds for its masked values and its notes too.
pub(crate) fn describe(plan: &mut Plan, indent: &str, id: &str, definition: &Definition) {
    plan.add_hidden_bytes(&serde_json::to_vec(definition).unwrap_or_default());
    let Plan { details: about, effects, .. } = plan;
    let mut add = |line: String| about.push(format!("{indent}{}", to_visible_line(&line)));
    let mark = if matches!(definition.run, CommandSpec::Shell(_)) { " (shell)" } else { "" };
    let place = definition.cwd.as_ref().map(|cwd| format!(" in {cwd}")).unwrap_or_default();
    let command = definition.run.command_line();
    add(format!("{id}{mark}: {command}{place}"));
    effects.push(Effect::Runs(command));
    for (what, probe) in [("ready", &definition.ready), ("live", &definition.live)] {
        let (verb, at, effect): (_, _, fn(String) -> Effect) = match probe.as_ref().map(|probe| &probe.check) {
            Some(CheckDefinition::Exec(words)) => {
                ("runs", CommandSpec::Command(words.clone()).command_line(), Effect::Runs)
            }
            Some(CheckDefinition::Http(url)) => ("asks", url.clone(), Effect::Connects),
            Some(CheckDefinition::Tcp(at)) => ("connects to", at.clone(), Effect::Connects),
            Some(CheckDefinition::Line(_)) | None => continue,
        };
        add(format!("  {what}: {verb} {at}"));
        effects.push(effect(at));
    }
    if !definition.env.is_empty() {
        add(format!("  with {}", definition.env.iter().map(variable).collect::<Vec<_>>().join(", ")));
    }
    let code: Vec<&str> = definition.env.keys().map(String::as_str).filter(|name| is_code_loading(name)).collect();
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
    policy_lines(definition, &Definition::default()).iter().for_each(|line| add(format!("  {line}")));
    if let Some(sentence) = aiw_supervisor::unenforced_limits_warning(definition.limits.into_limits()) {
        add(format!("  {sentence}"));
    }
    if !definition.auto_start {
        add("  is started only when it is named".into());
    }
}

/// Adds to a plan what a hook starts, and when.
pub(crate) fn describe_hook(plan: &mut Plan, indent: &str, hook: &EventHook) {
    let (of, command) =
        (hook.of.as_deref().unwrap_or("any process"), CommandSpec::Command(hook.command.clone()).command_line());
    let ends = match hook.timeout {
        EventHook::TIMEOUT => String::new(),
        longer => format!(", for {} at most", written_time(longer)),
    };
    plan.details
        .push(format!("{indent}{}", to_visible_line(&format!("on {} of {of}: {command}{ends}", hook.on.as_str()))));
    plan.effects.push(Effect::Runs(command));
}

fn variable((name, value): (&String, &EnvValue)) -> String {
    match value {
        // What could name something that runs is shown, although it looks like a secret.
        EnvValue::Literal(text)
            if is_secret_name(name) && !is_code_loading(name) && !text.contains(['/', ' ', '\n']) =>
        {
            format!("{name}=…")
        }
        // Quoted, so that one value can't be read as two.
        EnvValue::Literal(text) => format!("{name}={}", shell_quote(text)),
        EnvValue::Secret(secret) => format!("{name} from the secret {secret}"),
    }
}
