//! Providers, added and changed.

use std::collections::BTreeSet;

use aiw_core::provider::{Need, Preset};
use aiw_core::{CliKind, Secret, SecretName, one_line};
use aiw_home::{Lock, OWN, Provider, SecretRef, Text};
use aiw_launch::{Adapters, clis, profile};
use serde_json::json;

use super::address::{addresses, base_url, is_loopback};
use super::{All, in_vault, refuse_token};
use crate::cli::provider::{EditArgs, ProviderArgs};
use crate::commands::secret;
use crate::failure::Failure;
use crate::output::{Output, table};
use crate::terminal;

/// Why a token is wanted.
enum Wanted {
    /// Nothing has changed about it.
    No,
    /// The provider is new.
    New,
    /// It has moved, and what it had before stays behind; whether it had anything.
    Moved(bool),
}

/// A token that was given before another command changed the provider, and for which place.
struct Typed {
    token: Secret,
    place: BTreeSet<Option<String>>,
}

/// What is to be written.
struct Change {
    /// The entry that stands there.
    before: Option<Provider>,
    provider: Provider,
    preset: Preset,
    /// To be kept in the vault.
    token: Option<Secret>,
}

impl All {
    pub(super) async fn add(mut self, args: ProviderArgs, output: &Output) -> Result<(), Failure> {
        refuse_token(&args)?;
        if args.name.as_str() == OWN {
            let failure = Failure::user(format!("`{OWN}` means the CLI's own configuration"));
            return Err(failure.with_hint("take another name"));
        }
        self.refuse_taken(&args)?;
        let preset = match &args.preset {
            Some(preset) => preset.clone(),
            None => self.ask_preset(&args, output).await?,
        };
        let (component, preset) = self.adapters.preset(&preset, None).await?;
        let mut provider = Provider::new(args.name.clone(), preset.id.clone());
        provider.component = Some(component);
        self.apply(&mut provider, &preset, &args, true, output).await?;
        let token = self.token(&mut provider, &preset, &args, Wanted::New).await?;
        let lock = self.home.lock()?;
        self.providers = self.home.providers()?;
        // Another command may have added it meanwhile.
        self.refuse_taken(&args)?;
        self.keep(lock, Change { before: None, provider, preset, token }, args.default, output)
    }

    pub(super) async fn edit(mut self, args: EditArgs, output: &Output) -> Result<(), Failure> {
        refuse_token(&args.provider)?;
        let mut typed: Option<Typed> = None;
        loop {
            let before = self.get(args.provider.name.as_str())?;
            let (mut provider, preset, moved) = self.edited(&before, &args, output).await?;
            let EditArgs { provider: args, keep_token, .. } = &args;
            let (wanted, notes) = match moved && !keep_token {
                true => leave_behind(&mut provider, args),
                false => (Wanted::No, Vec::new()),
            };
            let place = origins(&provider, &preset);
            let token = match typed {
                Some(typed) if typed.place != place => {
                    let failure = Failure::user(format!("`{}` was moved by another command meanwhile", args.name));
                    return Err(failure.with_hint("look at it, then give the token again"));
                }
                Some(typed) => Some(typed.token),
                None => self.token(&mut provider, &preset, args, wanted).await?,
            };
            if provider == before && token.is_none() && args.preset.is_none() && !args.default {
                return Err(Failure::user("nothing to change was given")
                    .with_hint("`aiw provider edit --help` shows what can be"));
            }
            let lock = self.home.lock()?;
            self.providers = self.home.providers()?;
            // Another command was here meanwhile: what was given goes onto what that one left.
            if self.get(args.name.as_str())? != before {
                typed = token.map(|token| Typed { token, place });
                continue;
            }
            notes.iter().for_each(|note| output.note(note));
            return self.keep(lock, Change { before: Some(before), provider, preset, token }, args.default, output);
        }
    }

    /// What an entry becomes by what was given, with its preset, and whether it leads to another place.
    async fn edited(
        &self,
        before: &Provider,
        args: &EditArgs,
        output: &Output,
    ) -> Result<(Provider, Preset, bool), Failure> {
        let EditArgs { provider: args, unset_env, unset_secret, .. } = args;
        let mut provider = before.clone();
        for name in unset_env {
            let count = provider.env.len();
            provider.env.retain(|(known, _)| known != name);
            if provider.env.len() == count {
                return Err(Failure::user(format!("`{}` has no variable `{name}`", args.name)));
            }
        }
        for name in unset_secret {
            if provider.secrets.remove(name).is_none() {
                return Err(Failure::user(format!("`{}` has no further secret `{name}`", args.name)));
            }
        }
        let mut moved = false;
        if let Some(preset) = &args.preset {
            let (component, preset) = self.adapters.preset(preset, None).await?;
            // Addresses of another preset are none of this one's.
            if preset.id != provider.preset {
                provider.base_urls.clear();
            }
            moved =
                preset.id != provider.preset || provider.component.as_ref().is_some_and(|known| *known != component);
            provider.preset = preset.id;
            provider.component = Some(component);
        }
        let preset = self.preset(&provider).await?;
        self.apply(&mut provider, &preset, args, false, output).await?;
        moved = moved || !origins(&provider, &preset).is_subset(&origins(before, &preset));
        Ok((provider, preset, moved))
    }

    fn refuse_taken(&self, args: &ProviderArgs) -> Result<(), Failure> {
        if self.providers.get(args.name.as_str())?.is_none() {
            return Ok(());
        }
        let failure = Failure::user(format!("there is a provider `{}` already", args.name));
        Err(failure.with_hint(format!("`aiw provider edit {}` changes it", args.name)))
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

    /// What was given, into the provider; all but the token.
    async fn apply(
        &self,
        provider: &mut Provider,
        preset: &Preset,
        args: &ProviderArgs,
        is_new: bool,
        output: &Output,
    ) -> Result<(), Failure> {
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
        } else if asks {
            provider.clis = ask_clis(&clis(provider, preset), output).await?;
        }
        if let Some(model) = &args.model {
            provider.model = Some(model.clone()).filter(|model| !model.is_empty());
        } else if asks {
            let model = terminal::ask("Model (empty: the CLI's own choice):").await?;
            provider.model = Some(model).filter(|model| !model.is_empty());
        }
        if provider.model.as_deref().is_some_and(|model| !aiw_core::is_model(model)) {
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
        Ok(())
    }

    /// The token: a reference goes into the provider, a secret is not kept yet and comes back.
    async fn token(
        &self,
        provider: &mut Provider,
        preset: &Preset,
        args: &ProviderArgs,
        wanted: Wanted,
    ) -> Result<Option<Secret>, Failure> {
        if let Some(variable) = &args.token_env {
            provider.token = Some(SecretRef::Variable(variable.clone()));
            return Ok(None);
        }
        if args.token_stdin {
            return Ok(Some(secret::read("Token:").await?));
        }
        let required = preset.token == Need::Required;
        let needed = match wanted {
            Wanted::No => return Ok(None),
            _ if preset.token == Need::Never || !provider.secrets.is_empty() => return Ok(None),
            Wanted::Moved(false) if !required => return Ok(None),
            Wanted::New => required,
            // It is not for us to guess that it goes on without one.
            Wanted::Moved(had_one) => required || had_one,
        };
        if terminal::can_ask() {
            let page = preset.token_page.as_deref().map(|page| format!(" ({page})")).unwrap_or_default();
            return match terminal::ask_hidden(&format!("Token{page}:")).await {
                Ok(token) => Ok(Some(token)),
                Err(failure) if required || failure.code() == 130 => Err(failure),
                Err(_) => Ok(None),
            };
        }
        if !needed {
            return Ok(None);
        }
        let (said, hint) = match wanted {
            Wanted::Moved(true) => (
                format!("the token of `{}` was given for another place, and there is no terminal to ask on", args.name),
                "`--token-stdin` or `--token-env VAR` gives a new one; `--keep-token` sends the old one there",
            ),
            _ => (
                format!("`{}` needs a token, and there is no terminal to ask on", preset.id),
                "`--token-env VAR` or `--token-stdin`",
            ),
        };
        Err(Failure::user(said).with_hint(hint))
    }

    /// Writes all of it over what was read under the lock.
    fn keep(&mut self, lock: Lock, change: Change, default: bool, output: &Output) -> Result<(), Failure> {
        let Change { before, mut provider, preset, token } = change;
        let mut new = None;
        if let Some(token) = token {
            let name = match &provider.token {
                Some(SecretRef::Vault(name)) => name.clone(),
                _ => new.insert(self.free_name(&provider)?).clone(),
            };
            self.home.vault().set(&lock, &name, &token)?;
            provider.token = Some(SecretRef::Vault(name));
        }
        if let Err(failure) = self.write(&lock, &provider, &preset, default) {
            // No provider refers to it.
            if let Some(name) = new {
                let _ = self.home.vault().remove(&lock, &name);
            }
            return Err(failure);
        }
        let gone = self.forget(&lock, before.as_ref().map(in_vault).unwrap_or_default())?;
        drop(lock);
        for name in gone {
            output.note(format!("the secret `{name}` is no longer used, and was removed"));
        }
        for (family, url) in &profile(&provider, &preset).base_urls {
            if url.starts_with("http://") && !is_loopback(url) {
                output.note(format!(
                    "the address for {family} is not encrypted: the token goes over the network in plain text"
                ));
            }
        }
        let fits: Vec<&str> = clis(&provider, &preset).iter().map(|cli| cli.as_str()).collect();
        let word = if before.is_some() { "Changed" } else { "Added" };
        output.line(format!("{word} provider `{}` for {}", provider.name, fits.join(", ")));
        output.answer(json!({"provider": self.shape(&provider, Some(&preset))}));
        Ok(())
    }

    fn write(&mut self, lock: &Lock, provider: &Provider, preset: &Preset, default: bool) -> Result<(), Failure> {
        self.providers.set(provider)?;
        if default {
            let clis = clis(provider, preset);
            self.providers
                .set_default((clis.len() < CliKind::ALL.len()).then_some(&clis), Some(provider.name.as_str()))?;
        }
        Ok(self.providers.save(lock)?)
    }

    /// A name in the vault that no other provider's secret has.
    fn free_name(&self, provider: &Provider) -> Result<SecretName, Failure> {
        let wanted: SecretName = provider.name.as_str().parse()?;
        if secret::users(&self.providers, &wanted).is_empty() && !self.home.vault().is_taken(&wanted) {
            return Ok(wanted);
        }
        // One that was kept beforehand, or by a provider of that name that is gone, is not lost.
        let mut number = 2;
        loop {
            let name: SecretName = format!("{wanted}-{number}").parse()?;
            if !self.home.vault().is_taken(&name) {
                return Ok(name);
            }
            number += 1;
        }
    }
}

/// Which of the CLIs that fit it is for; none where it is for all of them.
async fn ask_clis(fitting: &[CliKind], output: &Output) -> Result<Option<Vec<CliKind>>, Failure> {
    if fitting.len() < 2 {
        return Ok(None);
    }
    let all = fitting.iter().map(|cli| cli.as_str()).collect::<Vec<_>>().join(",");
    loop {
        let said = terminal::ask(&format!("CLIs (empty: {all}):")).await?;
        let words = said.split([',', ' ']).filter(|word| !word.is_empty());
        let chosen = words.map(|word| fitting.iter().find(|cli| cli.as_str() == word).copied().ok_or(word));
        match chosen.collect::<Result<Vec<_>, _>>() {
            Ok(chosen) => return Ok(Some(chosen).filter(|chosen| !chosen.is_empty())),
            Err(word) => output.note(format!("`{}` is none of them", one_line(word, 40))),
        }
    }
}

/// Where a provider's secrets go.
fn origins(provider: &Provider, preset: &Preset) -> BTreeSet<Option<String>> {
    profile(provider, preset).base_urls.values().map(|url| aiw_net::origin(url)).collect()
}

/// Takes away the secrets that were given for another place; those that came with the same command stay.
/// With sentences for the user.
fn leave_behind(provider: &mut Provider, args: &ProviderArgs) -> (Wanted, Vec<String>) {
    let mut notes = Vec::new();
    let had_one = provider.token.take().is_some();
    let mut left: Vec<String> = if had_one { vec!["`token`".into()] } else { Vec::new() };
    provider.secrets.retain(|name, _| {
        let given = args.secret_env.iter().any(|(given, _)| given == name);
        if !given {
            left.push(format!("`{name}`"));
        }
        given
    });
    if !left.is_empty() {
        notes.push(format!("what was given for another place does not go to the new one: {}", left.join(", ")));
    }
    // These are the CLI's, and may well be for something else.
    let env: Vec<String> = provider
        .env
        .iter()
        .filter(|(name, text)| matches!(text, Text::Secret(_)) && !args.env.iter().any(|(given, _)| given == name))
        .map(|(name, _)| format!("`{name}`"))
        .collect();
    if !env.is_empty() {
        notes.push(format!("its runs still get the secret variables {}", env.join(", ")));
    }
    (Wanted::Moved(!left.is_empty()), notes)
}
