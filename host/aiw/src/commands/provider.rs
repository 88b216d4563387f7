//! `aiw provider …`

mod address;
mod change;
mod view;

use std::collections::BTreeMap;

use aiw_core::provider::Preset;
use aiw_core::{CliKind, ErrorKind, SecretName, one_line};
use aiw_home::{Home, Lock, OWN, Provider, Providers, SecretRef};
use aiw_launch::{Adapters, clis};
use serde_json::json;

use crate::cli::provider::{ProviderArgs, ProviderCommand};
use crate::commands::secret;
use crate::components::Host;
use crate::failure::Failure;
use crate::output::Output;
use crate::starter::{self, LibraryAdapters};

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

    fn remove(mut self, name: &str, output: &Output) -> Result<(), Failure> {
        let lock = self.home.lock()?;
        self.providers = self.home.providers()?;
        let secrets: Vec<SecretName> = match self.providers.get(name) {
            Ok(Some(provider)) => in_vault(provider),
            // One that can't be read can still go.
            _ => Vec::new(),
        };
        let default_for: Vec<&str> = CliKind::ALL
            .into_iter()
            .filter(|cli| self.providers.default_for(*cli) == Some(name))
            .map(CliKind::as_str)
            .collect();
        if !self.providers.remove(name)? {
            return self.get(name).map(|_| ());
        }
        self.providers.save(&lock)?;
        let gone = self.forget(&lock, secrets)?;
        let and = if gone.is_empty() { "" } else { " and its secret" };
        output.line(format!("Removed provider `{}`{and}", one_line(name, 80)));
        if !default_for.is_empty() {
            output.note(format!(
                "it was the default for {}: without `-p`, they run under their own configuration now",
                default_for.join(", ")
            ));
        }
        output.answer(json!({"removed": name, "secrets": gone, "was_default_for": default_for}));
        Ok(())
    }

    /// Takes those secrets out of the vault that no provider uses any more.
    fn forget(&self, lock: &Lock, secrets: Vec<SecretName>) -> Result<Vec<SecretName>, Failure> {
        let mut gone = Vec::new();
        for secret in secrets {
            if secret::users(&self.providers, &secret).is_empty() && self.home.vault().is_taken(&secret) {
                self.home.vault().remove(lock, &secret)?;
                gone.push(secret);
            }
        }
        Ok(gone)
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
            if name != OWN {
                // Another command may have removed it meanwhile.
                self.get(name)?;
            }
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

/// The secrets of the vault that a provider refers to.
fn in_vault(provider: &Provider) -> Vec<SecretName> {
    let names = provider.references().filter_map(|reference| match reference {
        SecretRef::Vault(name) => Some(name.clone()),
        SecretRef::Variable(_) => None,
    });
    names.collect()
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
