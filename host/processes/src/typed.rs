//! Keys that a user types as values of variables: they go to the vault, and a definition names them.

use std::path::Path;

use aiw_core::{Plan, Secret, SecretName, is_credential, one_line};
use aiw_home::{Home, MAX_SECRET_BYTES, Vault};

use crate::definition::EnvValue;
use crate::error::ProcessError;

/// The author of a process's definition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Author {
    /// The user, in the project's file.
    User,
    /// A model, in the home. Its words are taken as they are: no shell, no reference to a secret.
    #[default]
    Model,
}

impl Author {
    /// Reads the value of a variable.
    pub(crate) fn parse_value(self, text: &str) -> Result<EnvValue, String> {
        match text.strip_prefix("secret:").filter(|_| self == Self::User) {
            None => Ok(EnvValue::Literal(text.to_owned())),
            Some(secret) => secret
                .parse()
                .map(EnvValue::Secret)
                .map_err(|_| format!("reads the secret `{}`, which is not a valid name", one_line(secret, 60))),
        }
    }
}

/// The keys among the values of a definition. Nothing is stored until the definition is written.
#[derive(Debug)]
pub(crate) struct DefinitionSecrets {
    vault: Vault,
    process: String,
    new: Vec<(SecretName, Secret)>,
    named: Vec<SecretName>,
}

impl DefinitionSecrets {
    pub fn new(home: &Home, process: &str) -> Self {
        Self { vault: home.vault(), process: process.to_owned(), new: Vec::new(), named: Vec::new() }
    }

    /// Returns the value of a variable: a reference, if a user typed one or a key.
    ///
    /// # Errors
    ///
    /// The end of a sentence about the process.
    pub fn resolve_value(&mut self, author: Author, name: &str, text: &str) -> Result<EnvValue, String> {
        let value = author.parse_value(text)?;
        if author == Author::Model
            || matches!(value, EnvValue::Secret(_))
            || text.trim().is_empty()
            || !is_credential(name, text)
        {
            return Ok(value);
        }
        let shown = one_line(name, 60);
        if text.contains(['\n', '\r', '\0']) || text.len() > MAX_SECRET_BYTES {
            return Err(format!("has a key in `{shown}` that the vault can't hold"));
        }
        let secret = Secret::new(text);
        let (secret_name, is_new) = (self.vault.name_for(&self.process, name, &secret, &self.new))
            .ok_or_else(|| format!("has a key in `{shown}` without a free name in the vault"))?;
        if is_new {
            self.new.push((secret_name.clone(), secret));
        }
        self.named.push(secret_name.clone());
        Ok(EnvValue::Secret(secret_name))
    }

    /// Makes a yes to a plan hold for the values too, which it does not show.
    pub fn bind_to_plan(&self, plan: &mut Plan) {
        self.new.iter().for_each(|(_, secret)| plan.add_hidden_bytes(secret.expose().as_bytes()));
    }

    /// Returns the names of the keys.
    pub fn names(&self) -> &[SecretName] {
        &self.named
    }

    /// Stores the keys, writes the file that names them by a function, and forgets the keys again if that fails.
    ///
    /// # Errors
    ///
    /// The vault can't be written, or the function fails.
    pub fn store(
        &self,
        home: &Home,
        file: &Path,
        write: impl FnOnce() -> Result<(), ProcessError>,
    ) -> Result<(), ProcessError> {
        if self.new.is_empty() {
            return write();
        }
        let lock = home.lock()?;
        let names: Vec<SecretName> = self.new.iter().map(|(name, _)| name.clone()).collect();
        if names.iter().any(|name| self.vault.is_taken(name)) {
            return Err(ProcessError::ConcurrentChange { path: file.to_owned() });
        }
        home.record_pending_secrets(&lock, file, &names)?;
        let stored = self.new.iter().try_for_each(|(name, secret)| self.vault.set(&lock, name, secret));
        let written = stored.map_err(ProcessError::from).and_then(|()| write());
        if written.is_err() {
            names.iter().for_each(|name| drop(self.vault.remove(&lock, name)));
        }
        home.clear_pending_secrets(&lock, &names);
        written
    }
}
