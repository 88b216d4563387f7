//! Variables and secrets that servers need and that are not set yet.

use std::collections::{BTreeMap, BTreeSet};

use aiw_core::{EnvName, PluginId, SecretName};
use aiw_home::{Home, InstalledPlugin};
use aiw_servers::{ReferencedNames, Replacement, option_variable, referenced_names};

use crate::inspect::UserOption;

/// Where a value is read when a client starts a server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ValueSource {
    /// The environment.
    Variable(EnvName),
    /// The vault.
    Vault(SecretName),
}

/// A value that a server needs and that is not set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MissingValue {
    /// The name under which the user gives it: that of the variable, or of the option of `userConfig`.
    pub name: String,
    /// The variable or the secret of the vault that will be read when a client starts the server.
    pub source: ValueSource,
    /// A human-readable label.
    pub title: Option<String>,
    /// Whether it is kept in the vault alone.
    pub is_secret: bool,
}

impl MissingValue {
    /// Returns the next step once the plugin is installed: one sentence.
    pub fn advice(&self, id: &PluginId) -> String {
        let Self { name, source, is_secret: secret, .. } = self;
        let variable = match source {
            ValueSource::Variable(variable) => variable,
            ValueSource::Vault(stored) => {
                return format!("`{name}` is not in the vault: `aiw secret set {stored}` puts it there");
            }
        };
        let export =
            if variable.as_str() == name { "export it".to_owned() } else { format!("export it as {variable}") };
        let give = format!("aiw plugin update {id} --env {name}=");
        // The variable behind an option is only worth a word where the option can't be given itself.
        let is_derived = option_variable(name).as_ref() == Some(variable);
        match (secret, is_derived) {
            (true, _) => format!("`{name}` is not set: `aiw plugin install {id}` asks for it, or {export}"),
            (false, true) => format!("`{name}` is not set: `{give}VALUE` sets it"),
            (false, false) => format!("`{name}` is not set: {export}, or give it: `{give}VALUE`"),
        }
    }

    /// The values that an installed plugin's servers need and that are not set. What its author says about its options
    /// is in `options`, as far as it is known.
    pub fn collect(record: &InstalledPlugin, options: &BTreeMap<String, UserOption>, home: &Home) -> Vec<Self> {
        let servers = record.servers.iter().filter(|server| !server.skipped);
        let servers: Vec<ReferencedNames> =
            servers.filter_map(|server| Some(referenced_names(server.declaration.as_object()?))).collect();
        let known = |name: &String| UserOption {
            // The installed version's, which the listing may have moved on from.
            default: record.defaults.get(name).cloned(),
            ..options.get(name).cloned().unwrap_or_default()
        };
        let names = servers.iter().flat_map(|reads| &reads.options);
        let declared = names.map(|name| (name.clone(), known(name))).collect();
        missing_values(&servers.iter().collect::<Vec<_>>(), &declared, &record.values, &[], home)
    }
}

/// Options: what the user gave (by the option's name or its variable's), else the default. An option that is or
/// sounds sensitive is always a reference.
pub(crate) fn server_options(
    servers: &[&ReferencedNames],
    declared: &BTreeMap<String, UserOption>,
    values: &BTreeMap<String, String>,
) -> BTreeMap<String, Replacement> {
    let mut options = BTreeMap::new();
    for name in servers.iter().flat_map(|reads| &reads.options) {
        let declared = declared.get(name);
        let by_variable = || option_variable(name).and_then(|variable| values.get(variable.as_str()));
        let given = values.get(name).or_else(by_variable).map(|text| Replacement::parse(text));
        let secret = declared.is_some_and(|option| option.sensitive) || aiw_core::is_secret_name(name);
        let given = given.filter(|given| !secret || given.is_reference());
        let default = declared.and_then(|option| option.default.clone()).map(Replacement::Literal);
        if let Some(given) = given.or(default) {
            options.insert(name.clone(), given);
        }
    }
    options
}

/// Returns the variables and secrets that servers need and that neither the values, nor the vault, nor the environment give.
/// `new` are secrets that are about to be stored.
pub(crate) fn missing_values(
    servers: &[&ReferencedNames],
    declared: &BTreeMap<String, UserOption>,
    values: &BTreeMap<String, String>,
    new: &[&SecretName],
    home: &Home,
) -> Vec<MissingValue> {
    let vault = home.vault();
    let is_set = |source: &ValueSource| match source {
        ValueSource::Variable(name) => home.context().non_empty_variable(name.as_str()).is_some(),
        ValueSource::Vault(name) => new.contains(&name) || vault.is_taken(name),
    };
    let options = server_options(servers, declared, values);
    let mut missing = BTreeSet::new();
    for reads in servers {
        for (name, needed) in &reads.variables {
            let source = match values.get(name.as_str()).map(|text| Replacement::parse(text)) {
                Some(Replacement::Literal(_)) => continue,
                Some(Replacement::Reference(other)) => ValueSource::Variable(other),
                Some(Replacement::Secret(stored)) => ValueSource::Vault(stored),
                None if *needed => ValueSource::Variable(name.clone()),
                None => continue,
            };
            if !is_set(&source) {
                let secret = aiw_core::is_secret_name(name.as_str());
                missing.insert(MissingValue { name: name.to_string(), source, title: None, is_secret: secret });
            }
        }
        for name in &reads.options {
            let declared = declared.get(name);
            let source = match options.get(name) {
                Some(Replacement::Literal(_)) => continue,
                Some(Replacement::Reference(variable)) => Some(ValueSource::Variable(variable.clone())),
                Some(Replacement::Secret(stored)) => Some(ValueSource::Vault(stored.clone())),
                None => option_variable(name).map(ValueSource::Variable),
            };
            let Some(source) = source.filter(|source| !is_set(source)) else { continue };
            missing.insert(MissingValue {
                name: name.clone(),
                source,
                title: declared.map(|option| option.title.clone()).filter(|title| !title.is_empty() && title != name),
                is_secret: declared.is_some_and(|option| option.sensitive) || aiw_core::is_secret_name(name),
            });
        }
    }
    missing.into_iter().collect()
}
