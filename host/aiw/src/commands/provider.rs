//! `aiw provider …`

use std::collections::BTreeMap;
use std::time::Instant;

use aiw_core::provider::{KeyState, Need, Preset};
use aiw_core::{CliKind, ErrorKind, Family, Secret, SecretName, one_line};
use aiw_home::{Home, OWN, Provider, Providers, SecretRef, Text};
use aiw_launch::{Adapters, clis, has_secrets, profile, secrets};
use serde_json::{Value, json};

use crate::cli::provider::{ProviderArgs, ProviderCommand};
use crate::commands::secret;
use crate::components::Host;
use crate::failure::Failure;
use crate::output::{Output, table};
use crate::starter::{self, LibraryAdapters, call_error};
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

    fn shape(&self, provider: &Provider, preset: Option<&Preset>) -> Value {
        let base_urls = preset.map_or_else(|| provider.base_urls.clone(), |preset| profile(provider, preset).base_urls);
        let fits = match preset {
            Some(preset) => clis(provider, preset),
            None => provider.clis.clone().unwrap_or_default(),
        };
        let lacks = preset.is_some_and(|preset| preset.token == Need::Required)
            && provider.token.is_none()
            && provider.secrets.is_empty();
        let name = provider.name.as_str();
        json!({
            "name": name,
            "preset": provider.preset,
            "base_urls": base_urls,
            "clis": fits,
            "default": CliKind::ALL.iter().any(|cli| self.providers.default_for(*cli) == Some(name)),
            "secret": if !lacks && has_secrets(&self.home, provider) { "set" } else { "missing" },
        })
    }

    async fn list(&self, output: &Output) -> Result<(), Failure> {
        let (mut shapes, mut rows) = (Vec::new(), Vec::new());
        for provider in self.providers.providers() {
            let preset = self.preset(provider).await;
            if let Err(failure) = &preset {
                output.note(format!("provider `{}`: {}", provider.name, failure.message()));
            }
            let shape = self.shape(provider, preset.as_ref().ok());
            let fits: Vec<&str> = shape["clis"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            rows.push(vec![
                format!("{}{}", provider.name, if shape["default"] == true { " (default)" } else { "" }),
                provider.preset.clone(),
                fits.join(","),
                if shape["secret"] == "set" { String::new() } else { "no secret".into() },
                one_line(provider.scenario.as_deref().unwrap_or_default(), 60),
            ]);
            shapes.push(shape);
        }
        for bad in self.providers.problems() {
            output.note(format!("provider `{}` in providers.json {}", one_line(&bad.name, 60), bad.problem));
        }
        table(&rows).iter().for_each(|line| output.line(line));
        if rows.is_empty() {
            output.line("no providers: `aiw provider add NAME` adds one");
        }
        output.answer(json!({"providers": shapes}));
        Ok(())
    }

    async fn show(&self, name: &str, output: &Output) -> Result<(), Failure> {
        let provider = self.get(name)?;
        let preset = self.preset(&provider).await?;
        let mut shape = self.shape(&provider, Some(&preset));
        let reference = |reference: &SecretRef| match reference {
            SecretRef::Vault(name) => format!("`{name}` in the vault"),
            SecretRef::Variable(name) => format!("the variable `{name}`"),
        };
        output.line(format!("{}: {}", provider.name, preset.label));
        for (family, url) in &profile(&provider, &preset).base_urls {
            output.line(format!("  {family}: {url}"));
        }
        let fits: Vec<&str> = clis(&provider, &preset).iter().map(|cli| cli.as_str()).collect();
        output.line(format!("  for: {}", fits.join(", ")));
        for (word, value) in [("model", &provider.model), ("scenario", &provider.scenario)] {
            if let Some(value) = value {
                output.line(format!("  {word}: {value}"));
            }
        }
        for (name, secret) in provider.secret_refs() {
            output.line(format!("  {name}: {}", reference(secret)));
        }
        if shape["secret"] == "missing" {
            output.line("  its secret is missing");
        }
        for (name, text) in &provider.env {
            output.line(match text {
                Text::Literal(text) => format!("  sets {name}={text}"),
                Text::Secret(secret) => format!("  sets {name} to {}", reference(secret)),
            });
        }
        let default_for: Vec<CliKind> = CliKind::ALL
            .into_iter()
            .filter(|cli| self.providers.default_for(*cli) == Some(provider.name.as_str()))
            .collect();
        if !default_for.is_empty() {
            let names: Vec<&str> = default_for.iter().map(|cli| cli.as_str()).collect();
            output.line(format!("  the default for {}", names.join(", ")));
        }
        shape["model"] = json!(provider.model);
        shape["scenario"] = json!(provider.scenario);
        shape["component"] = json!(provider.component);
        shape["default_for"] = json!(default_for);
        shape["env"] = json!(provider.env.iter().map(|(name, _)| name).collect::<Vec<_>>());
        shape["secrets"] = json!(provider.secret_refs().map(|(name, _)| name).collect::<Vec<_>>());
        output.answer(json!({"provider": shape}));
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

    async fn test(&self, name: &str, output: &Output) -> Result<(), Failure> {
        let provider = self.get(name)?;
        let (component, preset) = self.adapters.preset(&provider.preset, provider.component.as_ref()).await?;
        let component = self.adapters.component(&component).await?;
        let (profile, secrets) = (profile(&provider, &preset), secrets(&self.home, &provider)?);
        let start = Instant::now();
        let health = component.check_provider(&profile, &secrets).await.map_err(call_error)?;
        let latency = start.elapsed();
        let key = match health.key {
            KeyState::Accepted => "accepted",
            KeyState::Refused => "refused",
            KeyState::Unknown => "unknown",
        };
        output.line(format!("{name} answers within {} ms: {}", latency.as_millis(), health.message));
        let mut models = Vec::new();
        if health.key != KeyState::Refused {
            match component.provider_models(&profile, &secrets).await {
                Ok(found) => models = found,
                Err(e) => output.note(format!("its models are not to be had: {e}")),
            }
        }
        if !models.is_empty() {
            output.line(format!("{} models:", models.len()));
            models.iter().for_each(|model| output.line(format!("  {}", model.id)));
        }
        let ids: Vec<&str> = models.iter().map(|model| model.id.as_str()).collect();
        let answer = json!({"test": {"name": name, "latency_ms": latency.as_millis(), "key": key, "message": health.message, "models": ids}});
        let failure = (health.key == KeyState::Refused).then(|| {
            Failure::user(format!("provider `{name}` refuses the key"))
                .with_hint(format!("`aiw provider edit {name} --token-stdin`"))
        });
        output.conclude(answer, failure)
    }

    async fn presets(&self, output: &Output) -> Result<(), Failure> {
        let (presets, problems) = self.adapters.presets().await?;
        problems.iter().for_each(|problem| output.note(problem));
        let row = |(_, preset): &(_, Preset)| {
            let fits: Vec<&str> = preset.clis().iter().map(|cli| cli.as_str()).collect();
            vec![preset.id.clone(), preset.label.clone(), fits.join(","), preset.token_page.clone().unwrap_or_default()]
        };
        table(&presets.iter().map(row).collect::<Vec<_>>()).iter().for_each(|line| output.line(line));
        let shape = |(component, preset): &(aiw_core::ExtensionId, Preset)| {
            json!({
                "id": preset.id,
                "label": preset.label,
                "component": component,
                "base_urls": preset.base_urls,
                "clis": preset.clis(),
                "token": match preset.token {
                    Need::Required => "required",
                    Need::Optional => "optional",
                    Need::Never => "never",
                },
                "token_page": preset.token_page,
                "model": preset.model,
            })
        };
        output.answer(json!({"presets": presets.iter().map(shape).collect::<Vec<_>>()}));
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

/// An address as it is kept: http or https, a host, no credentials, no query, no `/` at its end.
fn base_url(text: &str) -> Result<String, Failure> {
    let bad = |why: &str| {
        let shown = aiw_core::without_query(text);
        let shown = shown.split_once('@').map_or(shown.as_ref(), |(_, host)| host);
        Failure::user(format!("`{}` {why}", one_line(shown, 120)))
    };
    let url = url::Url::parse(text).map_err(|_| bad("is not an address such as `https://api.example.com/v1`"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(bad("is not an address such as `https://api.example.com/v1`"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("holds credentials; the token has a place of its own"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad("holds a query, which a base address can't have"));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// The families that an address is for, each with the address as its CLI wants it: with `/v1`
/// for the OpenAI API, without for the others.
fn addresses(
    family: Option<Family>,
    url: &str,
    preset: &Preset,
    wanted: &[CliKind],
) -> Result<Vec<(Family, String)>, Failure> {
    if let Some(family) = family {
        return match preset.base_urls.contains_key(&family) {
            true => Ok(vec![(family, url.to_owned())]),
            false => Err(Failure::user(format!("`{}` does not speak the API `{family}`", preset.id))),
        };
    }
    let families: Vec<Family> = match wanted {
        [] => preset.base_urls.keys().copied().collect(),
        wanted => wanted.iter().map(|cli| cli.family()).filter(|f| preset.base_urls.contains_key(f)).collect(),
    };
    match families.as_slice() {
        [family] => Ok(vec![(*family, url.to_owned())]),
        // Of these alone nothing is known.
        _ if preset.id == "custom" && wanted.is_empty() => {
            let failure = Failure::user("which API is spoken there was not said");
            Err(failure.with_hint(format!(
                "`--base-url anthropic={url}`, `openai=…` or `gemini=…`; or name the CLIs with `--clis`"
            )))
        }
        families => {
            let root = url.strip_suffix("/v1").unwrap_or(url);
            let of = |family: &Family| match family {
                Family::Openai => (*family, format!("{root}/v1")),
                Family::Anthropic | Family::Gemini => (*family, root.to_owned()),
            };
            Ok(families.iter().map(of).collect())
        }
    }
}

fn is_loopback(url: &str) -> bool {
    match url::Url::parse(url).ok().as_ref().and_then(url::Url::host) {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_kept_plain_and_a_bad_one_is_not_repeated_with_its_secrets() {
        assert_eq!(base_url("https://h:8443/v1/").ok().as_deref(), Some("https://h:8443/v1"));
        for bad in ["", "h/v1", "ftp://h", "https://", "https://u:canary@h/x", "https://h/?key=canary", "https://h/#x"]
        {
            let failure = base_url(bad).expect_err(bad);
            assert!(!failure.message().contains("canary"), "{}", failure.message());
        }
    }

    #[test]
    fn one_address_is_for_all_apis_of_a_preset_each_in_its_own_form() {
        let preset = |id: &str| Preset {
            id: id.into(),
            label: String::new(),
            base_urls: Family::ALL.map(|family| (family, None)).into(),
            token: Need::Optional,
            token_page: None,
            model: None,
        };
        let all = addresses(None, "http://h/v1", &preset("litellm"), &[]).ok().unwrap();
        assert_eq!(
            all,
            [
                (Family::Anthropic, "http://h".to_owned()),
                (Family::Openai, "http://h/v1".into()),
                (Family::Gemini, "http://h".into())
            ]
        );
        assert!(addresses(None, "http://h", &preset("custom"), &[]).is_err());
        let one = addresses(None, "http://h/x", &preset("custom"), &[CliKind::Codex]).ok().unwrap();
        assert_eq!(one, [(Family::Openai, "http://h/x".to_owned())]);
        let one = addresses(Some(Family::Gemini), "http://h", &preset("custom"), &[]).ok().unwrap();
        assert_eq!(one, [(Family::Gemini, "http://h".to_owned())]);
    }
}
