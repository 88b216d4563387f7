//! `aiw provider …`

mod address;
mod view;

use std::collections::BTreeMap;

use aiw_core::provider::{Need, Preset};
use aiw_core::{CliKind, ErrorKind, Secret, SecretName, one_line};
use aiw_home::{Home, OWN, Provider, Providers, SecretRef, Text};
use aiw_launch::{Adapters, clis, profile};
use serde_json::json;

use self::address::{addresses, base_url, is_loopback};
use crate::cli::provider::{ProviderArgs, ProviderCommand};
use crate::commands::secret;
use crate::components::Host;
use crate::failure::Failure;
use crate::output::{Output, table};
use crate::starter::{self, LibraryAdapters};
use crate::terminal;

pub async fn run(command: ProviderCommand, output: &Output) -> Result<(), Failure> {
    let host = Host::open(output)?;
    let adapters = LibraryAdapters(host.library.clone());
    let providers = starter::providers(&host.home, output)?;
    let all = All { home: host.home, adapters, providers };
    match command {
        ProviderCommand::Add(args) => all.add(args, output).await,
        ProviderCommand::Edit(args) => all.edit(args, output).await,
        ProviderCommand::Remove { name } => all.remove(&name, output),
        ProviderCommand::List => all.list(output).await,
        ProviderCommand::Show { name } => all.show(&name, output).await,
        ProviderCommand::Default { name, clis } => all.default(name.as_deref(), &clis, output).await,
        ProviderCommand::Test { name } => all.test(&name, output).await,
        ProviderCommand::Presets => all.presets(output).await,
    }
}

struct All {
    home: Home,
    adapters: LibraryAdapters,
    providers: Providers,
}

impl All {
    fn get(&self, name: &str) -> Result<Provider, Failure> {
        self.providers.get(name)?.cloned().ok_or_else(|| {
            let names: Vec<&str> = self.providers.providers().iter().map(|p| p.name.as_str()).collect();
            let failure = Failure::user(format!("there is no provider `{}`", one_line(name, 80)));
            failure.with_hint(match names.as_slice() {
                [] => "`aiw provider add NAME` adds one".into(),
                names => format!("there are: {}", names.join(", ")),
            })
        })
    }

    async fn preset(&self, provider: &Provider) -> Result<Preset, Failure> {
        Ok(self.adapters.preset(&provider.preset, provider.component.as_ref()).await?.1)
    }

    async fn add(mut self, args: ProviderArgs, output: &Output) -> Result<(), Failure> {
        refuse_token(&args)?;
        if args.name.as_str() == OWN {
            let failure = Failure::user(format!("`{OWN}` means the CLI's own configuration"));
            return Err(failure.with_hint("take another name"));
        }
        if self.providers.get(args.name.as_str())?.is_some() {
            let failure = Failure::user(format!("there is a provider `{}` already", args.name));
            return Err(failure.with_hint(format!("`aiw provider edit {}` changes it", args.name)));
        }
        let preset = match &args.preset {
            Some(preset) => preset.clone(),
            None => self.ask_preset(&args, output).await?,
        };
        let (component, preset) = self.adapters.preset(&preset, None).await?;
        let mut provider = Provider::new(args.name.clone(), preset.id.clone());
        provider.component = Some(component);
        let new = self.apply(&mut provider, &preset, &args, true).await?;
        self.keep(&provider, &preset, new, &args, "Added", output).await
    }

    async fn edit(mut self, args: ProviderArgs, output: &Output) -> Result<(), Failure> {
        refuse_token(&args)?;
        let mut provider = self.get(args.name.as_str())?;
        if let Some(preset) = &args.preset {
            let (component, preset) = self.adapters.preset(preset, None).await?;
            // Addresses of another preset are none of this one's.
            if preset.id != provider.preset {
                provider.base_urls.clear();
            }
            provider.preset = preset.id;
            provider.component = Some(component);
        }
        let preset = self.preset(&provider).await?;
        let before = provider.clone();
        let new = self.apply(&mut provider, &preset, &args, false).await?;
        if provider == before && new.is_none() && args.preset.is_none() && !args.default {
            return Err(
                Failure::user("nothing to change was given").with_hint("`aiw provider edit --help` shows what can be")
            );
        }
        self.keep(&provider, &preset, new, &args, "Changed", output).await
    }

    async fn ask_preset(&self, args: &ProviderArgs, output: &Output) -> Result<String, Failure> {
        if !terminal::can_ask() {
            let failure =
                Failure::user(format!("what `{}` is was not said, and there is no terminal to ask on", args.name));
            return Err(failure.with_hint("say `--preset P`; `aiw provider presets` shows them"));
        }
        let (presets, _) = self.adapters.presets().await?;
        let rows: Vec<Vec<String>> =
            presets.iter().map(|(_, preset)| vec![preset.id.clone(), preset.label.clone()]).collect();
        table(&rows).iter().for_each(|line| output.note(line));
        terminal::ask("Preset:").await
    }

    /// What was given, into the provider. A secret is not kept yet: it comes back.
    async fn apply(
        &self,
        provider: &mut Provider,
        preset: &Preset,
        args: &ProviderArgs,
        is_new: bool,
    ) -> Result<Option<Secret>, Failure> {
        for (family, url) in &args.base_url {
            let url = base_url(url)?;
            for (family, url) in addresses(*family, &url, preset, &args.clis)? {
                provider.base_urls.insert(family, url);
            }
        }
        let asks = is_new && terminal::can_ask() && args.preset.is_none();
        if asks && args.base_url.is_empty() {
            for family in preset.base_urls.iter().filter(|(_, url)| url.is_none()).map(|(family, _)| *family) {
                let url = terminal::ask(&format!("Address for the {family} API (empty: none):")).await?;
                if !url.is_empty() {
                    provider.base_urls.insert(family, base_url(&url)?);
                }
            }
        }
        if !args.clis.is_empty() {
            provider.clis = Some(args.clis.clone());
        }
        if let Some(model) = &args.model {
            provider.model = Some(model.clone()).filter(|model| !model.is_empty());
        } else if asks {
            let model = terminal::ask("Model (empty: the CLI's own choice):").await?;
            provider.model = Some(model).filter(|model| !model.is_empty());
        }
        if provider.model.as_deref().is_some_and(|model| model.starts_with('-') || model.contains(char::is_control)) {
            return Err(Failure::user("that is no name of a model"));
        }
        if let Some(scenario) = &args.scenario {
            provider.scenario = Some(one_line(scenario, 1000)).filter(|text| !text.is_empty());
        }
        for (name, value) in &args.env {
            let value = Text::parse(value);
            if let Text::Literal(literal) = &value
                && (aiw_core::is_secret_name(name.as_str()) || aiw_markets::is_secret_value(literal))
            {
                let failure = Failure::user(format!(
                    "`{name}` looks like a secret, and arguments can be read by every user of the machine"
                ));
                return Err(failure
                    .with_hint(format!("`--env '{name}=${{{name}}}'` takes it from the environment at each run")));
            }
            provider.env.retain(|(known, _)| known != name);
            provider.env.push((name.clone(), value));
        }
        for (name, variable) in &args.secret_env {
            provider.secrets.insert(name.clone(), SecretRef::Variable(variable.clone()));
        }
        // A provider that fits nothing is of no use.
        let fitting = clis(provider, preset);
        if let Some(cli) = args.clis.iter().find(|cli| !fitting.contains(cli)) {
            let family = cli.family();
            let failure = Failure::user(format!("`{}` has no address for the API of `{cli}` ({family})", preset.id));
            return Err(failure.with_hint(format!("`--base-url {family}=URL` gives it one, where it speaks that API")));
        }
        if fitting.is_empty() {
            let families: Vec<&str> = preset.base_urls.keys().map(|family| family.as_str()).collect();
            let failure = Failure::user(format!("`{}` needs an address", preset.id));
            return Err(
                failure.with_hint(format!("`--base-url FAMILY=URL`, for one or more of {}", families.join(", ")))
            );
        }
        self.token(provider, preset, args, is_new).await
    }

    async fn token(
        &self,
        provider: &mut Provider,
        preset: &Preset,
        args: &ProviderArgs,
        is_new: bool,
    ) -> Result<Option<Secret>, Failure> {
        if let Some(variable) = &args.token_env {
            provider.token = Some(SecretRef::Variable(variable.clone()));
            return Ok(None);
        }
        if args.token_stdin {
            return Ok(Some(secret::read()?));
        }
        if !is_new || preset.token == Need::Never || !provider.secrets.is_empty() {
            return Ok(None);
        }
        if terminal::can_ask() {
            let page = preset.token_page.as_deref().map(|page| format!(" ({page})")).unwrap_or_default();
            return match (terminal::ask_hidden(&format!("Token{page}:")).await, preset.token) {
                (Ok(token), _) => Ok(Some(token)),
                (Err(failure), Need::Required) => Err(failure),
                (Err(failure), _) if failure.code() == 130 => Err(failure),
                (Err(_), _) => Ok(None),
            };
        }
        match preset.token {
            Need::Required => {
                let failure =
                    Failure::user(format!("`{}` needs a token, and there is no terminal to ask on", preset.id));
                Err(failure.with_hint("`--token-env VAR` or `--token-stdin`"))
            }
            _ => Ok(None),
        }
    }

    /// Writes all of it.
    async fn keep(
        &mut self,
        provider: &Provider,
        preset: &Preset,
        token: Option<Secret>,
        args: &ProviderArgs,
        word: &str,
        output: &Output,
    ) -> Result<(), Failure> {
        let mut provider = provider.clone();
        let lock = self.home.lock()?;
        if let Some(token) = token {
            let name = match &provider.token {
                Some(SecretRef::Vault(name)) => name.clone(),
                _ => self.free_name(&provider)?,
            };
            self.home.vault().set(&lock, &name, &token)?;
            provider.token = Some(SecretRef::Vault(name));
        }
        // Another command may have been here while this one asked.
        self.providers = self.home.providers()?;
        self.providers.set(&provider)?;
        if args.default {
            let clis = clis(&provider, preset);
            self.providers
                .set_default((clis.len() < CliKind::ALL.len()).then_some(&clis), Some(provider.name.as_str()))?;
        }
        self.providers.save(&lock)?;
        drop(lock);
        for (family, url) in &profile(&provider, preset).base_urls {
            if url.starts_with("http://") && !is_loopback(url) {
                output.note(format!(
                    "the address for {family} is not encrypted: the token goes over the network in plain text"
                ));
            }
        }
        let fits: Vec<&str> = clis(&provider, preset).iter().map(|cli| cli.as_str()).collect();
        output.line(format!("{word} provider `{}` for {}", provider.name, fits.join(", ")));
        output.answer(json!({"provider": self.shape(&provider, Some(preset))}));
        Ok(())
    }

    /// A name in the vault that no other provider's secret has.
    fn free_name(&self, provider: &Provider) -> Result<SecretName, Failure> {
        let wanted: SecretName = provider.name.as_str().parse()?;
        if secret::users(&self.providers, &wanted).is_empty() && !self.home.vault().has(&wanted) {
            return Ok(wanted);
        }
        // One that was kept beforehand, or by a provider of that name that is gone, is not lost.
        let mut number = 2;
        loop {
            let name: SecretName = format!("{wanted}-{number}").parse()?;
            if !self.home.vault().has(&name) {
                return Ok(name);
            }
            number += 1;
        }
    }

    fn remove(mut self, name: &str, output: &Output) -> Result<(), Failure> {
        let lock = self.home.lock()?;
        self.providers = self.home.providers()?;
        let secrets: Vec<SecretName> = match self.providers.get(name) {
            Ok(Some(provider)) => {
                let env = provider.env.iter().filter_map(|(_, text)| match text {
                    Text::Secret(reference) => Some(reference),
                    Text::Literal(_) => None,
                });
                let all = provider.secret_refs().map(|(_, reference)| reference).chain(env);
                all.filter_map(|reference| match reference {
                    SecretRef::Vault(name) => Some(name.clone()),
                    SecretRef::Variable(_) => None,
                })
                .collect()
            }
            // One that can't be read can still go.
            _ => Vec::new(),
        };
        if !self.providers.remove(name)? {
            return self.get(name).map(|_| ());
        }
        self.providers.save(&lock)?;
        let mut gone = Vec::new();
        for secret in secrets {
            if secret::users(&self.providers, &secret).is_empty() && self.home.vault().has(&secret) {
                self.home.vault().remove(&lock, &secret)?;
                gone.push(secret);
            }
        }
        let and = if gone.is_empty() { "" } else { " and its secret" };
        output.line(format!("Removed provider `{}`{and}", one_line(name, 80)));
        output.answer(json!({"removed": name, "secrets": gone}));
        Ok(())
    }

    async fn default(mut self, name: Option<&str>, wanted: &[CliKind], output: &Output) -> Result<(), Failure> {
        if let Some(name) = name {
            let fitting = match name {
                OWN => CliKind::ALL.to_vec(),
                name => {
                    let provider = self.get(name)?;
                    clis(&provider, &self.preset(&provider).await?)
                }
            };
            if let Some(cli) = wanted.iter().find(|cli| !fitting.contains(cli)) {
                return Err(Failure::user(format!("provider `{name}` does not fit `{cli}`")));
            }
            let clis: &[CliKind] = if wanted.is_empty() { &fitting } else { wanted };
            let lock = self.home.lock()?;
            self.providers = self.home.providers()?;
            self.providers.set_default(Some(clis), (name != OWN).then_some(name))?;
            self.providers.save(&lock)?;
        }
        let mut defaults = BTreeMap::new();
        for cli in CliKind::ALL {
            let name = self.providers.default_for(cli);
            output.line(format!("{cli}: {}", name.unwrap_or("its own configuration")));
            defaults.insert(cli.as_str(), name);
        }
        output.answer(json!({"default": defaults}));
        Ok(())
    }
}

/// A token on a command line is known to every user of the machine, and to the shell's history.
fn refuse_token(args: &ProviderArgs) -> Result<(), Failure> {
    if args.token.is_none() {
        return Ok(());
    }
    let failure = Failure::new(
        ErrorKind::Usage,
        "a token is not taken as an argument: every user of this machine can read it there, and your shell remembers it",
    );
    Err(failure.with_hint("`--token-stdin`, `--token-env VAR`, or neither, to be asked; change a token that was typed"))
}
