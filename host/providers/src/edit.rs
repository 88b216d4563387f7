//! Adding, changing and removing providers.

use futures::future::BoxFuture;
use std::collections::{BTreeMap, BTreeSet};

use aiw_core::provider::{Preset, Requirement};
use aiw_core::{
    Choice, CliKind, EnvName, Family, HeaderName, PromptError, Prompter, ProviderName, Reporter, Secret, SecretName,
    one_line,
};
use aiw_home::{CLI_LOGIN_NAME, Lock, Provider, ProvidersFile, SecretRef, TextOrSecret, check_header, run_blocking};
use schemars::JsonSchema;
use serde::Serialize;

use crate::account::{approved_origins, is_unpinned, pin, unchecked_account};
use crate::address::{base_url, is_loopback, resolve_base_urls};
use crate::changes::{
    ProviderChanges, TokenPurpose, drop_old_secrets, is_same_header, origins, reject_general_variable,
};
use crate::questions::{
    ask_clis, ask_openai_api, confirm_private_urls, confirm_removal, decide_scrub_env, gateway_question,
    not_interactive, report_invalid_input, resolve_token,
};
use crate::secrets::{remove_unused_secrets, unused_secret_name, vault_secrets};
use crate::{PresetEntry, ProviderError, ProviderSummary, Providers};

#[cfg(test)]
mod tests;

/// A provider that was added or changed.
#[derive(Debug, Clone)]
pub struct AddedProvider {
    /// As it is now.
    pub provider: ProviderSummary,
    /// Whether it was there before.
    pub existed: bool,
    /// Notes for the user, a sentence each.
    pub notes: Vec<String>,
}

/// A provider that got another name.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RenamedProvider {
    /// The name that it had
    pub renamed: String,
    /// Its name now
    #[schemars(with = "String")]
    pub name: ProviderName,
}

/// A provider that was removed.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RemovedProvider {
    /// Its name
    pub name: String,
    /// The names of the secrets that were removed with it
    #[schemars(with = "Vec<String>")]
    pub secrets: Vec<SecretName>,
    /// The CLIs that it was the default for
    #[schemars(with = "Vec<String>")]
    pub was_default_for: Vec<CliKind>,
}

/// A token that the user gave, and the places that it is for. Another process may change the provider in the
/// meantime.
struct GivenToken {
    token: Secret,
    places: BTreeSet<String>,
}

/// A change that is not written yet.
struct Pending {
    /// The existing entry.
    before: Option<Provider>,
    provider: Provider,
    known: PresetEntry,
    /// For the vault.
    token: Option<Secret>,
    default: bool,
    /// Whether secrets that it no longer uses stay in the vault.
    keeps: bool,
    notes: Vec<String>,
}

/// A new provider that is described, and not written yet.
pub struct PreparedProvider(Pending);

impl PreparedProvider {
    /// Its name.
    pub fn name(&self) -> &ProviderName {
        &self.0.provider.name
    }

    /// The changes that it makes, a line each.
    pub fn summary_lines(&self) -> Vec<String> {
        let Pending { provider, known, token, .. } = &self.0;
        let places = unchecked_account(provider, known).base_urls.into_values();
        let places: BTreeSet<String> = places.collect();
        let at = if places.is_empty() { String::new() } else { format!(" at {}", Vec::from_iter(places).join(", ")) };
        let mut about = vec![format!("+ provider `{}`: {}{at}", provider.name, provider.preset)];
        about.extend(token.as_ref().map(|_| "+ its key, in the vault, encrypted".to_owned()));
        about
    }
}

pub(crate) fn check_name_available(file: &ProvidersFile, name: &ProviderName) -> Result<(), ProviderError> {
    match name.as_str() {
        CLI_LOGIN_NAME => Err(ProviderError::Reserved),
        _ => refuse_taken(file, name),
    }
}

fn refuse_taken(file: &ProvidersFile, name: &ProviderName) -> Result<(), ProviderError> {
    if file.pool(name.as_str())?.is_some() {
        return Err(ProviderError::PoolAlreadyExists { name: name.clone() });
    }
    match file.get(name.as_str())? {
        Some(_) => Err(ProviderError::AlreadyExists { name: name.clone() }),
        None => Ok(()),
    }
}

impl Providers {
    /// Adds a provider. Asks for what was not given, and asks again if an answer is of no use.
    pub fn add<'a>(
        &'a self,
        name: Option<ProviderName>,
        changes: &'a ProviderChanges,
        ask: &'a dyn Prompter,
        sink: &'a dyn Reporter,
    ) -> BoxFuture<'a, Result<AddedProvider, ProviderError>> {
        Box::pin(async move { self.add_prepared(self.prepare(name, changes, ask, sink).await?).await })
    }

    /// Describes a provider, and asks as [`Self::add`] does. Nothing is written, and its token is in memory alone.
    pub fn prepare<'a>(
        &'a self,
        name: Option<ProviderName>,
        changes: &'a ProviderChanges,
        ask: &'a dyn Prompter,
        sink: &'a dyn Reporter,
    ) -> BoxFuture<'a, Result<PreparedProvider, ProviderError>> {
        Box::pin(async move {
            if let Some(name) = &name {
                check_name_available(&self.file()?, name)?;
            }
            let known = match &changes.preset {
                Some(preset) => self.components.preset(preset, None).await?,
                None => self.ask_preset(ask).await?,
            };
            let name = match name {
                Some(name) => name,
                None => self.ask_name(&known.preset.id, ask, sink).await?,
            };
            let mut provider = Provider::new(name.clone(), known.preset.id.clone());
            provider.component = Some(known.component.clone());
            let asks = ask.is_interactive() && changes.preset.is_none();
            self.apply(&mut provider, &known.preset, changes, asks.then_some((ask, sink))).await?;
            confirm_private_urls(&mut provider, &known, ask).await?;
            pin(&mut provider, &known.preset);
            let places = origins(&provider, &known);
            let token = resolve_token(&mut provider, &known.preset, changes, TokenPurpose::New, &places, ask).await?;
            // Where only one way works, there is nothing to ask.
            if asks
                && changes.gateway.is_none()
                && known.preset.token != Requirement::Never
                && !self.clis.direct_clis(&provider, &known.preset).is_empty()
            {
                provider.gateway = ask.ask_yes_no(&gateway_question(&provider.name), false).await?;
            }
            let mut notes = Vec::new();
            decide_scrub_env(None, &mut provider, changes, ask, &mut notes).await?;
            let pending =
                Pending { before: None, provider, known, token, default: changes.default, keeps: false, notes };
            Ok(PreparedProvider(pending))
        })
    }

    /// Writes a provider that was prepared.
    ///
    /// # Errors
    ///
    /// Fails if its name is taken by now, or nothing can be written.
    pub async fn add_prepared(
        &self,
        PreparedProvider(pending): PreparedProvider,
    ) -> Result<AddedProvider, ProviderError> {
        let this = self.clone();
        run_blocking(move || {
            let lock = this.home.lock()?;
            let file = this.file()?;
            // Another process may have added it in the meantime.
            refuse_taken(&file, &pending.provider.name)?;
            this.keep(lock, file, pending)
        })
        .await
    }

    async fn ask_preset(&self, ask: &dyn Prompter) -> Result<PresetEntry, ProviderError> {
        if !ask.is_interactive() {
            return Err(not_interactive("what to add", "use `--preset PRESET`; `aiw provider presets` lists them"));
        }
        let presets = self.components.presets().await?.0;
        let width = presets.iter().map(|known| known.preset.id.len()).max().unwrap_or_default();
        let option = |PresetEntry { preset, .. }: &PresetEntry| format!("{:width$}  {}", preset.id, preset.label);
        let choice = Choice {
            name: "preset",
            question: "Preset:".to_owned(),
            short_question: "Preset:".to_owned(),
            options: presets.iter().map(option).collect(),
            optional: true,
            flag: "--preset".to_owned(),
            hidden_digests: Vec::new(),
        };
        let at = ask.select(&choice).await?;
        presets.into_iter().nth(at).ok_or_else(|| PromptError::Declined.into())
    }

    async fn ask_name(
        &self,
        preset: &str,
        ask: &dyn Prompter,
        sink: &dyn Reporter,
    ) -> Result<ProviderName, ProviderError> {
        if !ask.is_interactive() {
            return Err(not_interactive("what to call it", "give it a name: `aiw provider add NAME`"));
        }
        loop {
            let name = ask.text(&format!("Name (empty for {preset}):")).await?;
            match name.as_deref().unwrap_or(preset).parse::<ProviderName>() {
                Ok(name) => match check_name_available(&self.file()?, &name) {
                    Ok(()) => return Ok(name),
                    Err(error) => report_invalid_input(sink, error),
                },
                Err(error) => report_invalid_input(sink, error),
            }
        }
    }

    /// Changes only the given parts of a provider.
    pub fn edit<'a>(
        &'a self,
        name: &'a ProviderName,
        changes: &'a ProviderChanges,
        ask: &'a dyn Prompter,
    ) -> BoxFuture<'a, Result<AddedProvider, ProviderError>> {
        Box::pin(async move {
            let mut given: Option<GivenToken> = None;
            let mut agreed = Vec::new();
            loop {
                let file = self.file()?;
                let before = Self::get(&file, name.as_str())?;
                let (mut provider, known, moved) = self.changed(&before, changes, ask).await?;
                let leaves = moved && !changes.keep_token;
                let (wanted, mut notes) = match leaves {
                    true => drop_old_secrets(&mut provider, changes),
                    false => (TokenPurpose::Unchanged, Vec::new()),
                };
                let places = origins(&provider, &known);
                let token = match given {
                    Some(given) if given.places != places => {
                        return Err(ProviderError::ConcurrentMove { provider: name.clone() });
                    }
                    Some(given) => Some(given.token),
                    None => resolve_token(&mut provider, &known.preset, changes, wanted, &places, ask).await?,
                };
                let left = if leaves { self.left(&file, &before, &provider) } else { Vec::new() };
                if ask.is_interactive() && left != agreed {
                    confirm_removal(&before, &left, &places, ask).await?;
                    agreed.clone_from(&left);
                }
                // Nobody has agreed to their removal, or given another one.
                let keeps = !left.is_empty() && !ask.is_interactive() && changes.token.is_none();
                decide_scrub_env(Some(&before), &mut provider, changes, ask, &mut notes).await?;
                let renewed = changes.preset.is_some() || changes.default;
                if provider == before && token.is_none() && !renewed {
                    return Err(ProviderError::Unchanged);
                }
                let before = Some(before);
                let pending = Pending { before, provider, known, token, default: changes.default, keeps, notes };
                let (this, name) = (self.clone(), name.clone());
                let kept = run_blocking(move || {
                    let lock = this.home.lock()?;
                    let file = this.file()?;
                    // Another process changed it in the meantime: apply the changes on top.
                    match Some(Self::get(&file, name.as_str())?) == pending.before {
                        true => this.keep(lock, file, pending).map(Ok),
                        false => Ok(Err(pending.token)),
                    }
                });
                match kept.await? {
                    Ok(added) => return Ok(added),
                    Err(token) => given = token.map(|token| GivenToken { token, places }),
                }
            }
        })
    }

    /// The secrets of the vault that only a provider has used, and no longer does.
    fn left(&self, file: &ProvidersFile, before: &Provider, provider: &Provider) -> Vec<SecretName> {
        let (mut left, kept) = (vault_secrets(before), vault_secrets(provider));
        let is_left = |name: &SecretName| {
            let is_others = file.providers_using(name).any(|user| user.name != before.name);
            !kept.contains(name) && !is_others && self.home.vault().is_taken(name)
        };
        left.retain(is_left);
        left
    }

    /// Removes a provider and the secrets that only it uses.
    pub fn remove(&self, name: &str) -> Result<RemovedProvider, ProviderError> {
        self.remove_entry(name, None)
    }

    /// Removes a provider as [`Self::remove`] does, unless it has changed since it was seen.
    pub fn remove_if_unchanged(&self, seen: &Provider) -> Result<RemovedProvider, ProviderError> {
        self.remove_entry(seen.name.as_str(), Some(seen))
    }

    fn remove_entry(&self, name: &str, seen: Option<&Provider>) -> Result<RemovedProvider, ProviderError> {
        let lock = self.home.lock()?;
        let mut file = self.file()?;
        if let Some(seen) = seen
            && Self::get(&file, name)? != *seen
        {
            return Err(ProviderError::ConcurrentChange { provider: seen.name.clone() });
        }
        let secrets = match file.get(name) {
            Ok(Some(provider)) => vault_secrets(provider),
            // A provider that can't be read can still be removed.
            _ => Vec::new(),
        };
        if let Some(pool) = file.pools_with(name).next() {
            return Err(ProviderError::UsedByPool { provider: name.to_owned(), pool: pool.name.clone() });
        }
        let was_default_for = self.clis.all().filter(|cli| file.default_for(*cli) == Some(name)).collect();
        if !file.remove(name)? {
            Self::get(&file, name)?;
        }
        file.save(&lock)?;
        let secrets = remove_unused_secrets(&self.home, &file, &lock, secrets)?;
        Ok(RemovedProvider { name: name.to_owned(), secrets, was_default_for })
    }

    /// Gives a provider another name. Its secrets keep theirs.
    pub fn rename(&self, name: &str, new: ProviderName) -> Result<RenamedProvider, ProviderError> {
        let lock = self.home.lock()?;
        let mut file = self.file()?;
        Self::get(&file, name)?;
        check_name_available(&file, &new)?;
        file.rename(name, &new)?;
        file.save(&lock)?;
        // What limits it goes on doing so.
        let mut settings = self.home.settings()?;
        if settings.rename_budget_provider(name, new.as_str())? {
            settings.save(&lock)?;
        }
        Ok(RenamedProvider { renamed: name.to_owned(), name: new })
    }

    /// The default for each CLI.
    pub fn defaults(&self) -> Result<BTreeMap<CliKind, Option<String>>, ProviderError> {
        let file = self.file()?;
        Ok(self.clis.all().map(|cli| (cli, file.default_for(cli).map(str::to_owned))).collect())
    }

    /// Makes a provider the default for some CLIs, or for all that it works with. [`OWN`] is the CLI's own
    /// configuration.
    pub fn set_default<'a>(&'a self, name: &'a str, wanted: &'a [CliKind]) -> BoxFuture<'a, Result<(), ProviderError>> {
        Box::pin(async move {
            let is_pool = self.file()?.pool(name)?.is_some();
            let fitting = match name {
                CLI_LOGIN_NAME => self.clis.all().collect(),
                // Any CLI reaches its members through the gateway.
                _ if is_pool => self.clis.all().collect(),
                name => {
                    let provider = Self::get(&self.file()?, name)?;
                    let preset = self.find_preset(&provider).await?.preset;
                    if let Some(cli) =
                        wanted.iter().find(|cli| self.clis.incompatibility_reason(&provider, &preset, **cli).is_some())
                    {
                        return Err(ProviderError::Incompatible { provider: name.to_owned(), cli: *cli });
                    }
                    self.clis.direct_clis(&provider, &preset)
                }
            };
            let clis = if wanted.is_empty() { fitting } else { wanted.to_vec() };
            let (this, name) = (self.clone(), name.to_owned());
            run_blocking(move || {
                let lock = this.home.lock()?;
                let mut file = this.file()?;
                if name != CLI_LOGIN_NAME && file.pool(&name)?.is_none() {
                    // Another process may have removed it in the meantime.
                    Self::get(&file, &name)?;
                }
                file.set_default(Some(&clis), (name != CLI_LOGIN_NAME).then_some(name.as_str()))?;
                Ok(file.save(&lock)?)
            })
            .await
        })
    }

    /// The new entry, with its preset, and whether its secrets would go to another place.
    async fn changed(
        &self,
        before: &Provider,
        changes: &ProviderChanges,
        ask: &dyn Prompter,
    ) -> Result<(Provider, PresetEntry, bool), ProviderError> {
        let mut provider = before.clone();
        for name in &changes.unset_env {
            let count = provider.env.len();
            provider.env.retain(|(known, _)| known != name);
            if provider.env.len() == count {
                return Err(ProviderError::VariableNotFound { provider: before.name.clone(), name: name.clone() });
            }
        }
        for name in &changes.unset_secrets {
            if provider.secrets.remove(name).is_none() {
                return Err(ProviderError::UnknownSecret { provider: before.name.clone(), name: name.clone() });
            }
        }
        for name in &changes.unset_headers {
            let count = provider.headers.len();
            provider.headers.retain(|(known, _)| !is_same_header(known, name));
            if provider.headers.len() == count {
                return Err(ProviderError::HeaderNotFound { provider: before.name.clone(), name: name.clone() });
            }
        }
        let mut moved = false;
        if let Some(preset) = &changes.preset {
            let PresetEntry { component, preset, .. } = self.components.preset(preset, None).await?;
            // Addresses belong to the preset that they were given for.
            if preset.id != provider.preset {
                provider.base_urls.clear();
                provider.origins.clear();
            }
            moved =
                preset.id != provider.preset || provider.component.as_ref().is_some_and(|known| *known != component);
            provider.preset = preset.id;
            provider.component = Some(component);
        }
        let known = self.find_preset(&provider).await?;
        self.apply(&mut provider, &known.preset, changes, None).await?;
        confirm_private_urls(&mut provider, &known, ask).await?;
        let agreed = match is_unpinned(before) {
            true => origins(before, &known),
            false => approved_origins(before),
        };
        moved = moved || !origins(&provider, &known).is_subset(&agreed);
        pin(&mut provider, &known.preset);
        Ok((provider, known, moved))
    }

    /// Fills in everything but the token. A person is asked for a new provider.
    // Long: one change after the other, of one provider.
    async fn apply(
        &self,
        provider: &mut Provider,
        preset: &Preset,
        changes: &ProviderChanges,
        person: Option<(&dyn Prompter, &dyn Reporter)>,
    ) -> Result<(), ProviderError> {
        let wanted = self.clis.for_clis(&changes.clis);
        for (family, url) in &changes.base_urls {
            let url = base_url(url)?;
            for (family, url) in resolve_base_urls(*family, &url, preset, &wanted)? {
                provider.base_urls.insert(family, url);
            }
        }
        if let Some((ask, sink)) = person.filter(|_| changes.base_urls.is_empty()) {
            for family in preset.base_urls.iter().filter(|(_, url)| url.is_none()).map(|(family, _)| *family) {
                let words = format!("Address for the {family} API (empty for none) of `{}`:", provider.name);
                while let Some(url) = ask.text(&words).await? {
                    match base_url(&url) {
                        Ok(url) => {
                            if family == Family::Openai && changes.api.is_none() {
                                provider.api = Some(ask_openai_api(&url, ask).await?);
                            }
                            provider.base_urls.insert(family, url);
                            break;
                        }
                        Err(error) => report_invalid_input(sink, error),
                    }
                }
            }
        }
        if !changes.clis.is_empty() {
            provider.clis = Some(changes.clis.clone());
        } else if let Some((ask, sink)) = person {
            let fitting = self.clis.direct_clis(provider, preset);
            provider.clis =
                if fitting.len() < 2 { None } else { ask_clis(&provider.name, &fitting, ask, sink).await? };
        }
        provider.api = changes.api.or(provider.api);
        if let Some(model) = &changes.model {
            provider.model = Some(model.clone()).filter(|model| !model.is_empty());
        } else if let Some((ask, sink)) = person {
            provider.model = loop {
                match ask.text(&format!("Model (empty for the CLI's own choice) of `{}`:", provider.name)).await? {
                    Some(model) if !aiw_core::is_valid_model_name(&model) => {
                        report_invalid_input(sink, ProviderError::InvalidModelName { model })
                    }
                    model => break model,
                }
            };
        }
        for (of, model) in &changes.models {
            match model.as_str() {
                "" => drop(provider.models.remove(of)),
                model => drop(provider.models.insert(*of, model.to_owned())),
            }
        }
        let models = provider.model.iter().chain(provider.models.values());
        if let Some(model) = models.into_iter().find(|model| !aiw_core::is_valid_model_name(model)) {
            return Err(ProviderError::InvalidModelName { model: model.clone() });
        }
        if let Some(gateway) = changes.gateway {
            provider.gateway = gateway;
        }
        if let Some(scenario) = &changes.scenario {
            provider.scenario = Some(one_line(scenario, 1000)).filter(|text| !text.is_empty());
        }
        for (name, value) in &changes.env {
            let value = TextOrSecret::parse(value);
            if matches!(&value, TextOrSecret::Literal(text) if aiw_core::is_secret(name.as_str(), text)) {
                return Err(ProviderError::PlaintextSecretVariable { name: name.clone() });
            }
            provider.env.retain(|(known, _)| known != name);
            provider.env.push((name.clone(), value));
        }
        for (name, value) in &changes.headers {
            self.check_header(provider, preset, name, value)?;
            provider.headers.retain(|(known, _)| !is_same_header(known, name));
            provider.headers.push((name.clone(), value.clone()));
        }
        for (name, _) in &changes.env {
            self.check_variable(provider, preset, name)?;
        }
        for (name, variable) in &changes.secrets {
            reject_general_variable(variable)?;
            provider.secrets.insert(name.clone(), SecretRef::Variable(variable.clone()));
        }
        self.refuse_useless(provider, preset, changes)
    }

    /// Errors if a CLI that the provider works with can't send a header.
    fn check_header(
        &self,
        provider: &Provider,
        preset: &Preset,
        name: &HeaderName,
        value: &TextOrSecret,
    ) -> Result<(), ProviderError> {
        let bad = |problem: String| ProviderError::InvalidHeader { name: name.clone(), problem };
        check_header(name, value).map_err(bad)?;
        if let TextOrSecret::Literal(text) = value {
            if aiw_core::is_secret(name.as_str(), text) {
                return Err(ProviderError::PlaintextSecretHeader { name: name.clone() });
            }
            let mut fitting = self.clis.for_clis(&self.clis.direct_clis(provider, preset)).into_iter();
            if let Some(known) = fitting.find(|known| text.contains(known.forbidden_header_chars)) {
                let problem = format!("has a comma in its value, which `{}` can't send", known.cli);
                return Err(bad(problem));
            }
        }
        Ok(())
    }

    /// Errors for a variable that aiw itself sets for a CLI that the provider works with: the provider's would be lost.
    fn check_variable(&self, provider: &Provider, preset: &Preset, name: &EnvName) -> Result<(), ProviderError> {
        let mut fitting = self.clis.for_clis(&self.clis.direct_clis(provider, preset)).into_iter();
        match fitting.find(|known| known.managed_env_vars.contains(&name.as_str())) {
            Some(known) => Err(ProviderError::ManagedVariable { name: name.clone(), cli: known.cli }),
            None => Ok(()),
        }
    }

    /// A provider that works with no CLI is useless.
    fn refuse_useless(
        &self,
        provider: &Provider,
        preset: &Preset,
        changes: &ProviderChanges,
    ) -> Result<(), ProviderError> {
        let works = |cli: CliKind| self.clis.incompatibility_reason(provider, preset, cli).is_none();
        let misfit = self.clis.for_clis(&changes.clis).into_iter().find(|known| !works(known.cli));
        if let Some((cli, family)) = misfit.and_then(|known| Some((known.cli, known.family()?))) {
            return Err(ProviderError::MissingCliUrl { preset: preset.id.clone(), cli, family });
        }
        match self.clis.all().any(works) {
            false => Err(ProviderError::MissingUrl {
                preset: preset.id.clone(),
                families: preset.base_urls.keys().copied().collect(),
            }),
            true => Ok(()),
        }
    }

    /// Writes everything over what was read under the lock.
    fn keep(&self, lock: Lock, mut file: ProvidersFile, pending: Pending) -> Result<AddedProvider, ProviderError> {
        let Pending { before, mut provider, known, token, default, keeps, mut notes } = pending;
        let mut new = None;
        if let Some(token) = token {
            let name = match &provider.token {
                Some(SecretRef::Vault(name)) => name.clone(),
                _ => {
                    let name = unused_secret_name(&self.home, &file, &provider)
                        .map_err(|_| ProviderError::AlreadyExists { name: provider.name.clone() })?;
                    new.insert(name).clone()
                }
            };
            self.home.record_pending_secrets(&lock, &self.home.providers_path(), new.as_slice())?;
            self.home.vault().set(&lock, &name, &token)?;
            provider.token = Some(SecretRef::Vault(name));
        }
        if let Err(error) = self.write(&lock, &mut file, &provider, &known.preset, default) {
            // No provider refers to it.
            if let Some(name) = new {
                let _ = self.home.vault().remove(&lock, &name);
            }
            return Err(error);
        }
        self.home.clear_pending_secrets(&lock, new.as_slice());
        let unused = before.as_ref().map(vault_secrets).unwrap_or_default();
        let gone = if keeps { Vec::new() } else { remove_unused_secrets(&self.home, &file, &lock, unused.clone())? };
        drop(lock);
        if keeps {
            let unused = unused.iter().filter(|name| file.providers_using(name).next().is_none());
            notes.extend(unused.map(|name| {
                format!("the secret `{name}` stays in the vault, unused: `aiw secret remove {name}` removes it")
            }));
        }
        notes.extend(gone.iter().map(|name| format!("removed the secret `{name}`, which nothing uses anymore")));
        for (family, url) in &unchecked_account(&provider, &known).base_urls {
            if url.starts_with("http://") && !is_loopback(url) {
                notes.push(format!(
                    "the address for {family} is not encrypted: the token crosses the network in plain text"
                ));
            }
        }
        let provider = self.summary(&file, &provider, Some(&known));
        Ok(AddedProvider { provider, existed: before.is_some(), notes })
    }

    fn write(
        &self,
        lock: &Lock,
        file: &mut ProvidersFile,
        provider: &Provider,
        preset: &Preset,
        default: bool,
    ) -> Result<(), ProviderError> {
        file.set(provider)?;
        if default {
            let clis = self.clis.direct_clis(provider, preset);
            file.set_default(Some(&clis), Some(provider.name.as_str()))?;
        }
        Ok(file.save(lock)?)
    }
}
