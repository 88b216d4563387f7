//! From a request to a run that is ready to start, in named steps.

use futures::future::BoxFuture;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aiw_core::provider::{Account, Intent, Target};
use aiw_core::{
    Api, CliKind, ExtensionId, Family, HeaderName, InvalidName, ProviderName, Secret, is_secret_name,
    is_valid_model_name, one_line,
};
use aiw_dialects::UPSTREAMS;
use aiw_home::{CliFiles, ExclusiveLock, Home, PoolStrategy, Provider, ProvidersFile, Settings, TextOrSecret, origin};
use aiw_providers::{
    ChosenProvider, ModelEndpoint, ProviderComponentError, ProviderError, Providers, account, apply_model_overrides,
    is_unpinned, lacks_token, pin, resolve, scrub_filter, secrets,
};

use crate::access::ResolvedProvider;
use crate::builder::RunBuilder;
use crate::clis::{self, AiCli, CommandParts};
use crate::environment::Environment;
use crate::gateway::{GatewayAccess, GatewayCredentials, GatewayRunRequest};
use crate::prepared::PreparedRun;
use crate::request::{MAX_PROMPT_BYTES, RunRequest};
use crate::served::McpServerCommand;
use crate::trust;
use crate::via::{GATEWAY_TOKEN_NAME, GatewayRoute};
use crate::workspace::TrustState;
use crate::{DetectedCli, LaunchError, Permission, Roles, SearchPath};

/// Prepares runs of CLIs, without starting anything itself.
pub struct Launcher {
    home: Home,
    search: SearchPath,
    providers: Providers,
    gateway: Option<Arc<dyn GatewayAccess>>,
}

/// The provider of a run, or the pool.
struct RunProvider {
    name: ProviderName,
    /// How the pool chooses, if it is one.
    order: Option<PoolStrategy>,
    /// The provider, or the pool's members.
    members: Vec<Member>,
}

/// A provider, with what its component knows about it.
struct Member {
    provider: Provider,
    /// The model that the pool names for it.
    model: Option<String>,
    account: Account,
    component: ExtensionId,
    /// Whether the provider was written by hand, so that its origins are recorded at the start.
    is_unpinned: bool,
}

impl Launcher {
    /// Returns a launcher with a home, the CLIs of a search path, and providers.
    pub fn new(home: Home, search: SearchPath, providers: Providers) -> Self {
        Self { home, search, providers, gateway: None }
    }

    /// Lets runs reach providers whose API their CLI does not speak.
    #[must_use]
    pub fn with_gateway(self, gateway: Arc<dyn GatewayAccess>) -> Self {
        Self { gateway: Some(gateway), ..self }
    }

    /// Returns the providers that runs can use.
    pub fn providers(&self) -> &Providers {
        &self.providers
    }

    /// Returns everything needed to start a run, or the reason why it can't be started. This starts nothing, and writes
    /// nothing but caches and the directory for `--isolated`.
    // Long: the order in which a run is prepared.
    pub fn prepare<'a>(&'a self, request: &'a RunRequest) -> BoxFuture<'a, Result<PreparedRun, LaunchError>> {
        Box::pin(async move {
            let request = &checked(request)?;
            let cli = clis::for_kind(request.cli);
            let settings = self.home.settings()?;
            let stdin = self.stdin(request, &settings)?;
            let providers = self.home.providers()?;
            let choice = ChosenProvider::resolve(
                &settings,
                &providers,
                request.cli,
                request.provider.as_deref(),
                &request.cwd,
                self.home.context().user_home().as_deref(),
            )?;
            let mut notes = choice.note.clone().into_iter().collect();
            let chosen = self.chosen(&providers, &choice, request.cli, &mut notes).await?;
            let (found, path) = self.find(request.cli)?;

            let mut draft = self.draft(request, notes, chosen.as_ref());
            let (mut tag, mut turn, mut model, mut reached) = (None, None, request.model.clone(), Ok(None));
            let mut via = None;
            if let Some(chosen) = &chosen {
                let (mut planned, mut last) = (Vec::new(), None);
                for member in &chosen.members {
                    let version = found.version.clone();
                    match self.intent(cli, member, version, request, stdin.is_some(), &mut turn).await {
                        Ok(mut intent) => {
                            size(&mut intent, cli, &settings)?;
                            planned.push((member, intent));
                        }
                        Err(e) => {
                            draft.notes.push(left_out(&chosen.name, &member.provider.name, &e));
                            last = Some(e);
                        }
                    }
                }
                let Some((first, intent)) = planned.first() else {
                    return Err(last.unwrap_or_else(|| nobody_left(&chosen.name)));
                };
                if request.should_check_connection && stdin.is_some() && chosen.order.is_none() {
                    reached = self.check_connection(first, intent.api.family()).await;
                }
                (tag, model) = (intent.tag.clone(), intent.models.main.clone().or(model));
                via = self.under(cli, chosen, &planned, &providers, request, &mut draft).await?;
            }
            give_variables(cli, request, &mut draft)?;
            if request.isolated {
                self.isolate(cli, &mut draft)?;
            }
            let workspace = trust::workspace(&self.home, &request.cwd);
            let standing = match request.trust {
                true => TrustState::Trusted,
                false => workspace.trust_state(request.cli, &settings.trust()),
            };
            match standing.note() {
                None if matches!(standing, TrustState::Trusted) => cli.trust(request, &mut draft),
                Some(why) if cli.skips_trust_prompt(request) => cli.restrict(&workspace, why, &mut draft),
                // What `aiw trust add` would not change.
                Some(why) if matches!(standing, TrustState::Unusable(_)) => draft.notes.push(why),
                _ => {}
            }
            if let Some(server) = &request.mcp {
                cli.pass_server(&McpServerCommand::new(server, &draft)?, &mut draft);
            }
            // What the run was given back is not withheld.
            let is_missing = |name: &String| draft.environment.get(name).is_none_or(OsStr::is_empty);
            let withheld: BTreeSet<String> =
                std::mem::take(&mut draft.withheld_variables).into_iter().filter(is_missing).collect();
            draft.environment.export_unset_names(&withheld);
            let permission = permission(request, &settings, &mut draft.notes);
            let line = CommandParts {
                is_task: stdin.is_some(),
                permission,
                model: request.model.as_deref().filter(|_| chosen.is_none()),
                provider: chosen.as_ref().map(|chosen| chosen.name.as_str()),
                user_arguments: &request.arguments,
            };
            let command = cli.command(line, &mut draft)?;
            let settings = match draft.settings.take() {
                Some(settings) => Some((cli.pass_settings(&settings, &draft)?, settings)),
                None => None,
            };
            // Last: what is wrong with the request is more useful to know.
            let unreachable = reached?;
            draft.notes.extend(unreachable.clone());
            let members = chosen.iter().flat_map(|chosen| &chosen.members).filter(|member| member.is_unpinned);
            let pins = members.map(|member| member.provider.clone()).collect();
            Ok(PreparedRun {
                cli: found,
                path,
                provider: chosen.map(|chosen| chosen.name),
                pinned_providers: pins,
                model,
                decision: choice.source,
                leading_arguments: command.leading_arguments,
                trailing_arguments: command.trailing_arguments,
                bypass_flag: command.bypass_flag,
                environment: draft.environment,
                settings,
                servers: draft.servers,
                provider_variables: draft.provider_variables,
                cleared_variables: draft.cleared_variables,
                non_inherited_variables: draft.non_inherited_variables,
                withheld_variables: withheld,
                stdin,
                secrets: draft.secrets,
                notes: draft.notes,
                gateway_route: via,
                unreachable_reason: unreachable,
                tag,
                start_lock: turn,
                permission,
                request: request.clone(),
            })
        })
    }

    /// Returns roles and prompt, byte for byte, or `None` for the interactive mode.
    fn stdin(&self, request: &RunRequest, settings: &Settings) -> Result<Option<Vec<u8>>, LaunchError> {
        let Some(prompt) = request.prompt.as_deref() else {
            return match request.roles.as_slice() {
                [] => Ok(None),
                _ => Err(LaunchError::invalid("a role needs a prompt", "add a prompt")),
            };
        };
        if prompt.trim_ascii().is_empty() {
            return Err(LaunchError::invalid("the prompt is empty", "say what to do"));
        }
        let roles = Roles::open(self.home.clone(), settings, Some(&request.cwd));
        let roles = request.roles.iter().map(|name| roles.find(name)).collect::<Result<Vec<_>, _>>()?;
        let stdin = crate::compose(&roles, prompt);
        if stdin.len() > MAX_PROMPT_BYTES {
            let mib = MAX_PROMPT_BYTES >> 20;
            return Err(LaunchError::invalid(
                format!("the prompt is longer than {mib} MiB"),
                "put the text in a file, and name the file in the prompt",
            ));
        }
        Ok(Some(stdin))
    }

    /// Returns the provider or the pool of a run, if it has one. Returns an error if it does not fit. Members of a pool that
    /// do not are left out, with a note.
    async fn chosen(
        &self,
        providers: &ProvidersFile,
        choice: &ChosenProvider,
        cli: CliKind,
        notes: &mut Vec<String>,
    ) -> Result<Option<RunProvider>, LaunchError> {
        let Some(name) = &choice.name else { return Ok(None) };
        let Some(pool) = providers.pool(name)? else {
            let member = self.member(providers, name, choice.source.source_name(), cli, None).await?;
            return Ok(Some(RunProvider { name: member.provider.name.clone(), order: None, members: vec![member] }));
        };
        let (mut members, mut last) = (Vec::new(), None);
        for member in &pool.members {
            match self.member(providers, member.provider.as_str(), None, cli, member.model.clone()).await {
                Ok(member) => members.push(member),
                Err(e) => {
                    notes.push(left_out(&pool.name, &member.provider, &e));
                    last = Some(e);
                }
            }
        }
        match last {
            Some(e) if members.is_empty() => Err(LaunchError::Invalid {
                message: format!("pool `{}` has no member that can be asked: {e}", pool.name),
                hint: Some(format!("`aiw pool show {}` lists its members", pool.name)),
            }),
            _ => Ok(Some(RunProvider { name: pool.name.clone(), order: Some(pool.order), members })),
        }
    }

    /// Returns one provider, with what its component knows about it.
    async fn member(
        &self,
        providers: &ProvidersFile,
        name: &str,
        source_name: Option<String>,
        cli: CliKind,
        model: Option<String>,
    ) -> Result<Member, LaunchError> {
        let Some(provider) = providers.get(name)? else {
            let fits = self.that_fit(providers, cli).await;
            return Err(LaunchError::UnknownProvider { name: name.to_owned(), source_name, cli, fits });
        };
        let known = self.providers.find_preset(provider).await?;
        if let Some(reason) = self.providers.clis().incompatibility_reason(provider, &known.preset, cli) {
            let fits = self.that_fit(providers, cli).await;
            let provider = provider.name.to_string();
            return Err(LaunchError::IncompatibleProvider { provider, source_name, cli, reason, fits });
        }
        if lacks_token(provider, &known.preset) {
            return Err(LaunchError::Provider(ProviderError::SecretNotFound {
                provider: provider.name.to_string(),
                secret: "token".into(),
                problem: "you have not given it one".into(),
                hint: format!("`aiw provider edit {} --token-stdin`", provider.name),
            }));
        }
        let account = account(provider, &known)?;
        self.providers.clis().check_url_approved(&account, provider, &known.preset, cli)?;
        let (mut provider, is_unpinned) = (provider.clone(), is_unpinned(provider));
        if is_unpinned {
            pin(&mut provider, &known.preset);
        }
        Ok(Member { provider, model, account, component: known.component, is_unpinned })
    }

    /// Returns the names of the providers that work with a CLI.
    async fn that_fit(&self, providers: &ProvidersFile, cli: CliKind) -> Vec<String> {
        let mut fits = Vec::new();
        for provider in providers.providers() {
            let known = self.providers.find_preset(provider).await;
            if known
                .is_ok_and(|known| self.providers.clis().incompatibility_reason(provider, &known.preset, cli).is_none())
            {
                fits.push(provider.name.to_string());
            }
        }
        fits.extend(providers.pools().iter().map(|pool| pool.name.to_string()));
        fits
    }

    fn find(&self, cli: CliKind) -> Result<(DetectedCli, PathBuf), LaunchError> {
        let found = crate::detect_one(&self.search, cli, Some(&self.home));
        let path = found
            .path
            .clone()
            .ok_or_else(|| LaunchError::NotInstalled { cli, install: crate::install_command(cli) })?;
        Ok((found, path))
    }

    fn draft(&self, request: &RunRequest, notes: Vec<String>, chosen: Option<&RunProvider>) -> RunBuilder {
        RunBuilder {
            home: self.home.clone(),
            provider: chosen.map_or(aiw_home::CLI_LOGIN_NAME, |chosen| chosen.name.as_str()).to_owned(),
            cwd: request.cwd.clone(),
            isolated: request.isolated,
            environment: Environment::from_parent(self.home.context().variables()),
            settings: None,
            servers: None,
            restrictions: Default::default(),
            arguments: Vec::new(),
            notes,
            provider_variables: Default::default(),
            cleared_variables: Default::default(),
            withheld_variables: Default::default(),
            non_inherited_variables: Default::default(),
            secrets: Vec::new(),
        }
    }

    /// Returns what the provider's component plans for the CLI.
    async fn intent(
        &self,
        cli: &dyn AiCli,
        chosen: &Member,
        version: Option<String>,
        request: &RunRequest,
        is_task: bool,
        turn: &mut Option<ExclusiveLock>,
    ) -> Result<Intent, LaunchError> {
        let account = &chosen.account;
        // What the CLI itself speaks, then what the gateway translates.
        let speaks = cli
            .supported_apis()
            .iter()
            .chain(UPSTREAMS.iter().filter(|api| !cli.supported_apis().contains(api)))
            .copied();
        let speaks = speaks.filter(|api| chosen.provider.supports_api(*api)).collect();
        let asked = request.model.clone().or_else(|| chosen.model.clone());
        let target = Target { cli: Some(cli.kind()), version, supported_apis: speaks, model: asked };
        let mut intent =
            self.providers.components().plan(&chosen.component, account, &target).await.map_err(ProviderError::from)?;
        // A tag is meant for later plans: each has to see what was started before it, so the plan is repeated under
        // the lock.
        if intent.tag.is_some() && is_task {
            *turn = Some(self.home.lock_start()?);
            intent = self
                .providers
                .components()
                .plan(&chosen.component, account, &target)
                .await
                .map_err(ProviderError::from)?;
        }
        let family = intent.api.family();
        if let Some(url) = account.base_urls.get(&family).filter(|_| !account.trusted_families.contains(&family)) {
            self.providers.components().check_address(url).await.map_err(ProviderError::from)?;
        }
        apply_model_overrides(&chosen.provider, Some(cli.kind()), target.model.as_deref(), &mut intent);
        Ok(intent)
    }

    /// Returns an error if nothing answers at an address. A CLI would try again for minutes, Codex for ten. A preset's
    /// host name that does not resolve is not an error, because the CLI may have its own way out: a sentence says so.
    async fn check_connection(&self, chosen: &Member, family: Family) -> Result<Option<String>, LaunchError> {
        /// How long a connection that worked is not tried again.
        const CONNECT_CHECK_TTL: Duration = Duration::from_secs(60);

        let (provider, Some(url)) = (&chosen.provider, chosen.account.base_urls.get(&family)) else { return Ok(None) };
        let (cache, origin) = (self.home.byte_cache("connections", 64 << 10), origin(url));
        if cache.get(&origin).is_some() {
            return Ok(None);
        }
        let is_typed = provider.base_urls.contains_key(&family);
        match self.providers.components().try_connection(url).await {
            Err(ProviderComponentError::Unresolved { source }) if !is_typed => {
                return Ok(Some(format!("provider `{}` can't be reached at `{origin}`: {source}", provider.name)));
            }
            tried => {
                tried.map_err(|source| ProviderError::Unreachable { provider: provider.name.to_string(), source })?;
            }
        }
        cache.put(&origin, b"reached", CONNECT_CHECK_TTL);
        Ok(None)
    }

    /// Adds to the draft what sends the CLI to the provider. Returns how it gets into the gateway, if it goes through it.
    /// `planned` holds the members that can be asked, at least one, with what their components intend.
    async fn under(
        &self,
        cli: &dyn AiCli,
        chosen: &RunProvider,
        planned: &[(&Member, Intent)],
        providers: &ProvidersFile,
        request: &RunRequest,
        draft: &mut RunBuilder,
    ) -> Result<Option<GatewayRoute>, LaunchError> {
        let Some((first, intent)) = planned.first() else { return Err(nobody_left(&chosen.name)) };
        let provider = &first.provider;
        let id = provider.id.as_deref().unwrap_or_default();
        draft.withheld_variables = draft.environment.withhold(scrub_filter(providers.providers()));
        if chosen.order.is_none()
            && cli.supported_apis().contains(&intent.api)
            && !(request.gateway || provider.gateway)
        {
            let secrets: BTreeMap<String, Secret> = secrets(&self.home, provider)?;
            draft.secrets.extend(secrets.values().map(|secret| secret.expose().into()));
            let headers = self.headers(provider, draft)?;
            cli.apply_provider(&ResolvedProvider::new(&first.account, id, intent, &secrets, &headers)?, draft)?;
            draft.notes.extend(intent.notes.iter().cloned());
            self.give_provider_variables(cli, provider, draft)?;
            return Ok(None);
        }
        let (mut members, mut last) = (Vec::new(), None);
        for (member, intent) in planned {
            match self.access(member, intent, draft).await {
                Ok(access) => members.push((member.provider.name.clone(), access)),
                Err(e) => {
                    let e = LaunchError::Provider(e);
                    draft.notes.push(left_out(&chosen.name, &member.provider.name, &e));
                    last = Some(e);
                }
            }
        }
        if let Some(e) = last.filter(|_| members.is_empty()) {
            return Err(e);
        }
        let via = self.through_gateway(cli, chosen, members, request)?;
        draft.secrets.push(via.admission.token.expose().into());
        let secrets = BTreeMap::from([(GATEWAY_TOKEN_NAME.to_owned(), via.admission.token.clone())]);
        let smallest = planned.iter().filter_map(|(_, intent)| intent.tuning.context_tokens).min();
        let mut common = intent.clone();
        common.tuning.context_tokens = smallest;
        let (account, intent) = via.rewrite_for_cli(cli, &first.account, &common);
        cli.apply_provider(&ResolvedProvider::new(&account, id, &intent, &secrets, &[])?, draft)?;
        for (member, intent) in planned {
            draft.notes.extend(intent.notes.iter().cloned());
            match chosen.order {
                None => self.give_provider_variables(cli, &member.provider, draft)?,
                Some(_) if member.provider.env.is_empty() => {}
                Some(_) => draft.notes.push(format!(
                    "variables of provider `{}` are left out: another member of the pool may answer",
                    member.provider.name
                )),
            }
        }
        Ok(Some(via))
    }

    /// Returns how the gateway asks a member. Its secrets are masked in what the task writes.
    async fn access(
        &self,
        member: &Member,
        intent: &Intent,
        draft: &mut RunBuilder,
    ) -> Result<ModelEndpoint, ProviderError> {
        let secrets: BTreeMap<String, Secret> = secrets(&self.home, &member.provider)?;
        draft.secrets.extend(secrets.values().map(|secret| secret.expose().into()));
        self.providers.build_endpoint(&member.provider, &member.account, intent, &secrets).await
    }

    fn through_gateway(
        &self,
        cli: &dyn AiCli,
        chosen: &RunProvider,
        members: Vec<(ProviderName, ModelEndpoint)>,
        request: &RunRequest,
    ) -> Result<GatewayRoute, LaunchError> {
        let upstreams: Vec<(ProviderName, Api)> =
            members.iter().map(|(name, access)| (name.clone(), access.api)).collect();
        let door = self.gateway.clone().ok_or_else(|| LaunchError::Invalid {
            message: format!("provider `{}` is reached through the gateway, and there is none here", chosen.name),
            hint: None,
        })?;
        let pool = chosen.order.map(|order| (chosen.name.clone(), order));
        let admission = match request.should_start {
            true => door.admit(GatewayRunRequest {
                cli: request.cli,
                directory: request.cwd.clone(),
                private: request.private,
                pool: pool.clone(),
                members,
            })?,
            false => GatewayCredentials { address: ([127, 0, 0, 1], 0).into(), token: Secret::new("aiw-".to_owned()) },
        };
        let is_spoken = |api: &&Api| upstreams.iter().any(|(_, upstream)| upstream == *api);
        let client = cli.supported_apis().iter().find(is_spoken).or(cli.supported_apis().first()).copied();
        let pool = pool.map(|(name, _)| name);
        Ok(GatewayRoute { access: door, admission, client_api: client.unwrap_or(Api::Messages), upstreams, pool })
    }

    /// Returns the value of a header or a variable of the provider's. A secret is masked in what the task writes.
    fn value(
        &self,
        provider: &Provider,
        name: &str,
        text: &TextOrSecret,
        draft: &mut RunBuilder,
    ) -> Result<String, LaunchError> {
        match text {
            TextOrSecret::Literal(text) => Ok(text.clone()),
            TextOrSecret::Secret(reference) => {
                let secret = resolve(&self.home, provider, name, reference)?;
                draft.secrets.push(secret.expose().into());
                Ok(secret.expose().to_owned())
            }
        }
    }

    /// Returns the headers that the user added to the provider's requests.
    fn headers(&self, provider: &Provider, draft: &mut RunBuilder) -> Result<Vec<(HeaderName, String)>, LaunchError> {
        let mut headers = Vec::new();
        for (name, text) in &provider.headers {
            let value = self.value(provider, name.as_str(), text, draft)?;
            if !HeaderName::is_valid_value(&value) {
                return Err(LaunchError::invalid(
                    format!("the header `{name}` of provider `{}` can't be sent with its value", provider.name),
                    "a value is 1 to 4096 visible ASCII characters and blanks",
                ));
            }
            headers.push((name.clone(), value));
        }
        Ok(headers)
    }

    /// Adds the provider's own variables, which override cleared variables, but not those that were set.
    fn give_provider_variables(
        &self,
        cli: &dyn AiCli,
        provider: &Provider,
        draft: &mut RunBuilder,
    ) -> Result<(), LaunchError> {
        for (name, text) in &provider.env {
            if draft.provider_variables.contains(name.as_str()) {
                draft.notes.push(format!(
                    "variable `{name}` of provider `{}` is left out: it is what sends `{}` there",
                    provider.name,
                    cli.kind()
                ));
                continue;
            }
            let value = self.value(provider, name.as_str(), text, draft)?;
            cli.set_user_variable(name.as_str(), &value, draft);
            draft.non_inherited_variables.insert(name.to_string());
        }
        Ok(())
    }

    fn isolate(&self, cli: &dyn AiCli, draft: &mut RunBuilder) -> Result<(), LaunchError> {
        let dir = draft.isolated_dir(cli.kind());
        self.home.make_dir(&dir)?;
        let variable = CliFiles::for_cli(cli.kind()).variable;
        draft.set_user_variable(variable, dir);
        draft.non_inherited_variables.insert(variable.to_owned());
        Ok(())
    }
}

/// Says that a pool goes without a member.
fn left_out(pool: &ProviderName, member: &ProviderName, error: &LaunchError) -> String {
    format!("pool `{pool}` goes without `{member}`: {error}")
}

fn nobody_left(pool: &ProviderName) -> LaunchError {
    LaunchError::invalid(
        format!("pool `{pool}` has no member that can be asked"),
        format!("`aiw pool show {pool}` lists its members"),
    )
}

/// Fills in how much the model reads and writes, where only the table of models knows it: CLIs take other vendors' models for
/// their own, and compact too late.
fn size(intent: &mut Intent, cli: &dyn AiCli, settings: &Settings) -> Result<(), LaunchError> {
    let Some(model) = &intent.models.main else { return Ok(()) };
    let is_own = ["claude-", "gpt-", "gemini-"]
        .into_iter()
        .zip(CliKind::ALL)
        .any(|(start, kind)| cli.kind() == kind && model.starts_with(start));
    if is_own {
        return Ok(());
    }
    let (limits, tuning) = (settings.model_limits(model)?, &mut intent.tuning);
    // The others have no way to be told, and the gateway tells the provider.
    if cli.kind() != CliKind::Gemini {
        tuning.context_tokens = tuning.context_tokens.or(limits.context);
    }
    if cli.kind() == CliKind::Claude || !cli.supported_apis().contains(&intent.api) {
        tuning.output_tokens = tuning.output_tokens.or(limits.output);
    }
    Ok(())
}

/// Returns the request with a canonical directory, or an error if the request is invalid.
fn checked(request: &RunRequest) -> Result<RunRequest, LaunchError> {
    if !request.cwd.is_dir() {
        let message = format!("there is no directory `{}`", request.cwd.display());
        return Err(LaunchError::Invalid { message, hint: None });
    }
    // Without links and dots, because the directories above it decide which settings apply.
    let cwd = std::fs::canonicalize(&request.cwd).map_err(|e| LaunchError::Invalid {
        message: format!("cannot work in `{}`: {e}", request.cwd.display()),
        hint: None,
    })?;
    if let Some(model) = request.model.as_deref().filter(|model| !is_valid_model_name(model)) {
        let message = format!("`{}` is not a valid model name", one_line(model, 80));
        return Err(LaunchError::Invalid { message, hint: None });
    }
    if request.arguments.iter().any(|argument| argument.as_encoded_bytes().contains(&0)) {
        return Err(LaunchError::Invalid { message: "an argument contains a NUL byte".into(), hint: None });
    }
    Ok(RunRequest { cwd, ..request.clone() })
}

/// Adds the variables of this run.
fn give_variables(cli: &dyn AiCli, request: &RunRequest, draft: &mut RunBuilder) -> Result<(), LaunchError> {
    for (name, value) in &request.env {
        if draft.provider_variables.contains(name.as_str()) {
            return Err(LaunchError::invalid(
                format!("the variable `{name}` is what sends `{}` to the provider", cli.kind()),
                "leave it out, or choose another provider with `-p`",
            ));
        }
        cli.set_user_variable(name.as_str(), value, draft);
        if is_secret_name(name.as_str()) {
            draft.secrets.push(value.clone().into());
        }
    }
    Ok(())
}

/// Returns what the run may do: as requested, or else as the settings say.
fn permission(request: &RunRequest, settings: &Settings, notes: &mut Vec<String>) -> Permission {
    let word = settings.cli(request.cli).permission.filter(|_| request.permission.is_none());
    let set = word.and_then(|word| {
        let parsed = word.parse();
        let problem = |e: &InvalidName| {
            notes.push(format!("`clis.{}.permission` in settings.json is ignored: {e}", request.cli));
        };
        parsed.inspect_err(problem).ok()
    });
    request.permission.or(set).unwrap_or_default()
}
