use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aiw_core::provider::{CliTarget, Overlay, Passing, Plan, Preset, Profile};
use aiw_core::{CliKind, EnvName, ExtensionId, InvalidName, RoleName, Secret, is_model, is_secret_name, one_line};
use aiw_home::{Home, Provider, Providers, SecretRef, Settings, Text};
use aiw_tasks::Limits;
use async_trait::async_trait;
use serde_json::{Map, Value, json};

use crate::command::{self, Parts};
use crate::environment::Environment;
use crate::gemini::{self, GeminiHome};
use crate::overlay::Passed;
use crate::prepared::Prepared;
use crate::profile::{lacks_token, misfit, profile};
use crate::secrets::{look_up, secrets};
use crate::{AdapterError, Choice, LaunchError, Permission, Roles, Search, overlay};

/// Provider components, as the launcher needs them.
#[async_trait]
pub trait Adapters: Send + Sync {
    /// A preset and the component that knows it: the named one, else any.
    async fn preset(
        &self,
        preset: &str,
        component: Option<&ExtensionId>,
    ) -> Result<(ExtensionId, Preset), AdapterError>;

    /// What a CLI must be started with.
    async fn launch_plan(
        &self,
        component: &ExtensionId,
        profile: &Profile,
        target: &CliTarget,
    ) -> Result<Plan, AdapterError>;
}

/// What is to be started.
#[derive(Debug, Clone)]
pub struct Request {
    /// Which CLI.
    pub cli: CliKind,
    /// The provider's name; [`aiw_home::OWN`] for the CLI's own configuration.
    pub provider: Option<String>,
    /// What goes before the prompt.
    pub roles: Vec<RoleName>,
    /// The prompt, byte for byte; none for the CLI's interactive mode.
    pub prompt: Option<Vec<u8>>,
    /// Where the CLI works; absolute.
    pub cwd: PathBuf,
    /// Variables of this run.
    pub env: Vec<(EnvName, String)>,
    /// How long a task may run.
    pub timeout: Option<Duration>,
    /// What a task may use of the machine.
    pub limits: Limits,
    /// The model of this run.
    pub model: Option<String>,
    /// What the CLI may do; the settings' word for it where absent.
    pub permission: Option<Permission>,
    /// Pass `mcp.json` on.
    pub mcp: bool,
    /// A configuration directory of its own.
    pub isolated: bool,
    /// The user's own arguments for the CLI.
    pub arguments: Vec<OsString>,
}

impl Request {
    /// A run of a CLI in a directory, with nothing else asked for.
    pub fn new(cli: CliKind, cwd: impl Into<PathBuf>) -> Self {
        Self {
            cli,
            provider: None,
            roles: Vec::new(),
            prompt: None,
            cwd: cwd.into(),
            env: Vec::new(),
            timeout: None,
            limits: Limits::default(),
            model: None,
            permission: None,
            mcp: false,
            isolated: false,
            arguments: Vec::new(),
        }
    }
}

/// The longest standard input of a CLI: roles and prompt.
pub const MAX_PROMPT_BYTES: usize = 32 << 20;

/// Makes ready what is to be started. Starts nothing itself.
pub struct Launcher {
    home: Home,
    search: Search,
    adapters: Arc<dyn Adapters>,
}

impl Launcher {
    /// A launcher over a home, the CLIs of a search path, and components.
    pub fn new(home: Home, search: Search, adapters: Arc<dyn Adapters>) -> Self {
        Self { home, search, adapters }
    }

    /// All that is needed to start a run, or why it can't be. Nothing is started or changed.
    pub async fn prepare(&self, request: &Request) -> Result<Prepared, LaunchError> {
        let cli = request.cli;
        // Without links and dots: what is above it decides what counts.
        let cwd = std::fs::canonicalize(&request.cwd).map_err(|e| LaunchError::Invalid {
            message: format!("cannot work in `{}`: {e}", request.cwd.display()),
            hint: None,
        })?;
        let request = &Request { cwd, ..request.clone() };
        // Some providers pass it on in a variable, where it could say anything.
        if let Some(model) = request.model.as_deref().filter(|model| !is_model(model)) {
            let message = format!("`{}` is no name of a model", one_line(model, 80));
            return Err(LaunchError::Invalid { message, hint: None });
        }
        let settings = self.home.settings()?;
        let stdin = request.prompt.as_deref().map(|prompt| self.stdin(request, &settings, prompt)).transpose()?;
        if stdin.is_none() && !request.roles.is_empty() {
            return Err(LaunchError::invalid("a role goes before a prompt, and there is none", "add the prompt"));
        }
        let providers = self.home.providers()?;
        let choice = Choice::make(&settings, &providers, cli, request.provider.as_deref(), &request.cwd)?;
        let provider = match &choice.name {
            Some(name) => Some(self.provider(&providers, name, &choice, cli).await?),
            None => None,
        };
        let found = crate::detect_one(&self.search, cli, Some(&self.home));
        let path = found.path.clone().ok_or(LaunchError::NotInstalled(cli))?;
        command::check_own(cli, &request.arguments, provider.as_ref().map(|(provider, ..)| provider.name.as_str()))?;

        let mut run = Run {
            cli,
            // Over a user's settings go only those of root's files.
            by_home: cli == CliKind::Gemini && !gemini::is_root(),
            environment: Environment::inherited(env::vars_os()),
            overlays: Vec::new(),
            notes: choice.note.iter().cloned().collect(),
            arguments: Vec::new(),
            kept: Vec::new(),
            set: Vec::new(),
            secrets: Vec::new(),
        };
        let (mut tag, mut turn) = (None, None);
        if let Some((provider, component, preset)) = &provider {
            let profile = profile(provider, preset);
            let target = CliTarget { cli, version: found.version.clone(), model: request.model.clone() };
            let mut plan = self.adapters.launch_plan(component, &profile, &target).await?;
            // A tag is for the plans after this one: each has to see what was started before it.
            if plan.tag.is_some() && stdin.is_some() {
                turn = Some(self.home.turn()?);
                plan = self.adapters.launch_plan(component, &profile, &target).await?;
            }
            let secrets = secrets(&self.home, provider)?;
            run.secrets.extend(secrets.values().map(|secret| secret.expose().into()));
            run.environment.take_keys(providers.providers().iter().flat_map(variables));
            run.apply(&plan, &secrets)?;
            self.provider_env(provider, &mut run)?;
            tag.clone_from(&plan.tag);
        }
        for (name, value) in &request.env {
            if run.kept.contains(name) {
                return Err(LaunchError::invalid(
                    format!("the variable `{name}` is what sends `{cli}` to the provider"),
                    "leave it out, or choose another provider with `-p`",
                ));
            }
            run.environment.set(name, value.clone());
            if is_secret_name(name.as_str()) {
                run.secrets.push(value.clone().into());
            }
        }
        // The `env` of Claude Code's settings beats its environment.
        if cli == CliKind::Claude && !request.env.is_empty() {
            let env: Map<String, Value> =
                request.env.iter().map(|(name, value)| (name.to_string(), value.clone().into())).collect();
            run.add_settings(json!({"env": env}))?;
        }
        if request.isolated {
            self.isolate(&mut run)?;
        }
        if request.mcp {
            let servers = crate::mcp::servers(&self.home, cli, &mut run.environment, &run.kept)?;
            run.arguments.extend(servers.arguments);
            run.notes.extend(servers.notes);
            if let Some(settings) = servers.settings {
                run.add_settings(settings)?;
            }
        }
        let mut own = request.arguments.clone();
        let mut bypass = command::bypass(cli, &own);
        if cli == CliKind::Claude {
            let (rest, given) = command::take_settings(&own);
            for settings in given {
                let settings = overlay::given(&settings, &request.cwd)?;
                bypass = bypass.or_else(|| command::bypass_in(&settings));
                run.put_beneath(settings);
            }
            // Of two, Claude Code keeps the last: without ours, the user's stay where they are.
            if !run.overlays.is_empty() {
                own = rest;
            }
        }
        if run.by_home {
            let name = provider.as_ref().map_or(aiw_home::OWN, |(provider, ..)| provider.name.as_str());
            let name = format!("{name}{}", if request.isolated { "-isolated" } else { "" });
            for file in &mut run.overlays {
                let home = GeminiHome::new(&self.home, &name, &run.environment);
                home.check(&file.content, &request.cwd)?;
                file.passed = Passed::Home(home);
            }
        }
        let permission = permission(request, &settings, &mut run.notes);
        let model = request.model.as_deref().filter(|_| provider.is_none());
        let plan = std::mem::take(&mut run.arguments);
        let parts = Parts { plan, permission, model, own: &own, task: stdin.is_some() };
        let (before, after) = command::arguments(cli, parts);
        Ok(Prepared {
            cli: found,
            path,
            provider: provider.map(|(provider, ..)| provider.name),
            decision: choice.decision,
            before,
            after,
            environment: run.environment,
            overlays: run.overlays,
            kept: run.kept,
            set: run.set,
            stdin,
            secrets: run.secrets,
            notes: run.notes,
            tag,
            turn,
            permission,
            bypass,
            request: request.clone(),
        })
    }

    /// Roles and prompt, byte for byte.
    fn stdin(&self, request: &Request, settings: &Settings, prompt: &[u8]) -> Result<Vec<u8>, LaunchError> {
        if prompt.trim_ascii().is_empty() {
            return Err(LaunchError::invalid("the prompt is empty", "say what is to be done"));
        }
        let roles = Roles::at(self.home.clone(), settings, Some(&request.cwd));
        let roles = request.roles.iter().map(|name| roles.find(name)).collect::<Result<Vec<_>, _>>()?;
        let stdin = crate::compose(&roles, prompt);
        if stdin.len() > MAX_PROMPT_BYTES {
            let mib = MAX_PROMPT_BYTES >> 20;
            return Err(LaunchError::invalid(
                format!("the prompt is longer than {mib} MiB"),
                "name a file in it instead",
            ));
        }
        Ok(stdin)
    }

    async fn provider(
        &self,
        providers: &Providers,
        name: &str,
        choice: &Choice,
        cli: CliKind,
    ) -> Result<(Provider, ExtensionId, Preset), LaunchError> {
        let source_name = choice.decision.source_name();
        let Some(provider) = providers.get(name)? else {
            let fits = self.that_fit(providers, cli).await;
            return Err(LaunchError::UnknownProvider { name: name.to_owned(), source_name, cli, fits });
        };
        let (component, preset) = self.adapters.preset(&provider.preset, provider.component.as_ref()).await?;
        if let Some(reason) = misfit(provider, &preset, cli) {
            let fits = self.that_fit(providers, cli).await;
            let provider = provider.name.to_string();
            return Err(LaunchError::DoesNotFit { provider, source_name, cli, reason, fits });
        }
        if lacks_token(provider, &preset) {
            return Err(LaunchError::NoSecret {
                provider: provider.name.to_string(),
                secret: "token".into(),
                problem: "it was not given one".into(),
                hint: format!("`aiw provider edit {} --token-stdin`", provider.name),
            });
        }
        Ok((provider.clone(), component, preset))
    }

    /// Names of the providers that fit a CLI.
    async fn that_fit(&self, providers: &Providers, cli: CliKind) -> Vec<String> {
        let mut fits = Vec::new();
        for provider in providers.providers() {
            let preset = self.adapters.preset(&provider.preset, provider.component.as_ref()).await;
            if preset.is_ok_and(|(_, preset)| misfit(provider, &preset, cli).is_none()) {
                fits.push(provider.name.to_string());
            }
        }
        fits
    }

    /// The provider's own variables, which a launch plan's outrank.
    fn provider_env(&self, provider: &Provider, run: &mut Run) -> Result<(), LaunchError> {
        for (name, text) in &provider.env {
            if run.kept.contains(name) {
                run.notes.push(format!(
                    "variable `{name}` of provider `{}` is left out: the launch plan sets it",
                    provider.name
                ));
                continue;
            }
            let value = match text {
                Text::Literal(text) => text.clone(),
                Text::Secret(reference) => {
                    let secret = look_up(&self.home, provider, name.as_str(), reference)?;
                    run.secrets.push(secret.expose().into());
                    secret.expose().to_owned()
                }
            };
            // The `env` of Claude Code's settings beats its environment.
            if run.cli == CliKind::Claude {
                run.put_over(&json!({"env": {name.as_str(): value}}));
            }
            run.environment.set(name, value);
            run.set.push(name.clone());
        }
        Ok(())
    }

    fn isolate(&self, run: &mut Run) -> Result<(), LaunchError> {
        let dir = self.home.root().join("isolated").join(run.cli.as_str());
        self.home.make_dir(&dir)?;
        let name = match run.cli {
            CliKind::Claude => "CLAUDE_CONFIG_DIR",
            CliKind::Codex => "CODEX_HOME",
            CliKind::Gemini => gemini::VARIABLE,
        };
        let name = variable(name)?;
        run.environment.set(&name, dir);
        run.set.push(name);
        Ok(())
    }
}

/// What the run may do: what was asked for, else the settings' word for it.
fn permission(request: &Request, settings: &Settings, notes: &mut Vec<String>) -> Permission {
    let word = settings.permission(request.cli).filter(|_| request.permission.is_none());
    let set = word.and_then(|word| {
        let parsed = word.parse();
        let problem = |e: &InvalidName| {
            notes.push(format!("`clis.{}.permission` in settings.json does not count: {e}", request.cli));
        };
        parsed.inspect_err(problem).ok()
    });
    request.permission.or(set).unwrap_or_default()
}

/// The variables of the environment that a provider's secrets are taken from.
fn variables(provider: &Provider) -> impl Iterator<Item = &EnvName> {
    provider.references().filter_map(|reference| match reference {
        SecretRef::Variable(name) => Some(name),
        SecretRef::Vault(_) => None,
    })
}

fn variable(name: &str) -> Result<EnvName, LaunchError> {
    name.parse().map_err(|e: InvalidName| LaunchError::Invalid { message: e.to_string(), hint: None })
}

/// A run that is being put together.
struct Run {
    cli: CliKind,
    /// Its overlays are the settings of a home of its own.
    by_home: bool,
    environment: Environment,
    overlays: Vec<overlay::File>,
    notes: Vec<String>,
    arguments: Vec<OsString>,
    /// Variables that the launch plan has decided about.
    kept: Vec<EnvName>,
    /// Variables of this CLI alone, beside those.
    set: Vec<EnvName>,
    /// What is masked in all that a task writes.
    secrets: Vec<Vec<u8>>,
}

impl Run {
    fn apply(&mut self, plan: &Plan, secrets: &BTreeMap<String, Secret>) -> Result<(), LaunchError> {
        for name in &plan.unset {
            self.environment.unset(name);
            self.kept.push(name.clone());
        }
        for overlay in &plan.overlays {
            let present = match &overlay.passed {
                Passing::Variable(name) => self.environment.get(name.as_str()),
                Passing::Argument(_) => None,
            };
            // A user's home goes beneath the system's settings, which Gemini reads by itself.
            let alone = Overlay { beneath: None, ..overlay.clone() };
            let file = if self.by_home {
                overlay::file(&alone, None, secrets)
            } else {
                overlay::file(overlay, present, secrets)
            };
            self.overlays.push(file?);
        }
        for set in &plan.set {
            self.environment.set(&set.name, overlay::text(&set.value, secrets)?);
            self.kept.push(set.name.clone());
        }
        self.arguments.extend(plan.arguments.iter().map(OsString::from));
        self.notes.extend(plan.notes.iter().cloned());
        Ok(())
    }

    /// Beneath what the launch plan wants: what the user gave.
    fn put_beneath(&mut self, settings: Value) {
        if let Some(file) = self.overlays.first_mut() {
            file.content = overlay::merge(settings, std::mem::take(&mut file.content));
        }
    }

    fn put_over(&mut self, settings: &Value) {
        if let Some(file) = self.overlays.first_mut() {
            file.content = overlay::merge(std::mem::take(&mut file.content), settings.clone());
        }
    }

    /// Settings of aiw's own, in the overlay that is there or in a new one.
    fn add_settings(&mut self, settings: Value) -> Result<(), LaunchError> {
        if self.overlays.is_empty() && self.cli == CliKind::Gemini {
            let name = variable("GEMINI_CLI_SYSTEM_SETTINGS_PATH")?;
            let empty = Overlay {
                passed: Passing::Variable(name),
                beneath: Some(Path::new("/etc/gemini-cli/settings.json").to_owned()),
                entries: Vec::new(),
            };
            let plan = Plan { overlays: vec![empty], ..Plan::default() };
            self.apply(&plan, &BTreeMap::new())?;
        }
        if self.overlays.is_empty() {
            self.overlays.push(overlay::File {
                passed: Passed::File(Passing::Argument("--settings".into())),
                content: Value::Object(Map::new()),
            });
        }
        self.put_over(&settings);
        Ok(())
    }
}
