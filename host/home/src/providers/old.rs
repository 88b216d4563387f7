//! The `providers.json` of aiw 0.6: `providers.NAME.{token, base_url, scenario, env,
//! compatible_with}`, tokens in plain text.

use std::collections::BTreeSet;

use aiw_core::{CliKind, EnvName, Family, ProviderName, Secret, SecretName, is_secret_name};
use serde_json::Value;

use super::{Provider, ProvidersFile, SecretRef, TextOrSecret, VERSION, is_old};
use crate::vault::VaultError;
use crate::{Document, Home, Mode, replace};

/// The result of a migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// Names of the migrated providers.
    pub providers: Vec<ProviderName>,
    /// Names of the secrets that were moved to the vault.
    pub secrets: Vec<SecretName>,
    /// Entries that could not be migrated, one sentence each. They are in the backup.
    pub skipped: Vec<String>,
    /// The old file, encrypted.
    pub backup: std::path::PathBuf,
}

/// The fields of a provider of aiw 0.6.
const KNOWN_FIELDS: [&str; 5] = ["token", "base_url", "scenario", "env", "compatible_with"];

impl Home {
    /// Upgrades the `providers.json` of aiw 0.6: moves tokens to the vault, and turns the old file into an encrypted
    /// backup. `None` if there is nothing to do.
    ///
    /// The secrets and the backup are written before the file is replaced, so that a crash in between loses nothing
    /// and the next call repeats all of it.
    pub fn migrate_providers(&self) -> Result<Option<Migration>, VaultError> {
        let lock = self.lock()?;
        let path = self.providers_path();
        let old = Document::load(&path, "{}")?;
        if old.get(&["version"]).is_some() || !is_old(old.value()) {
            return Ok(None);
        }
        let vault = self.vault();
        let backup = self.root().join("providers.json.v0.age");
        let sealed = vault.seal(&lock, old.text().as_bytes())?;
        replace(&backup, &sealed, Mode::Private)?;
        let mut taken: BTreeSet<SecretName> = vault.names()?.into_iter().collect();
        let mut migration = Migration { providers: Vec::new(), secrets: Vec::new(), skipped: Vec::new(), backup };
        let mut found = Vec::new();
        for (name, value) in old.value()["providers"].as_object().into_iter().flatten() {
            let (provider, secrets) = match one(name, value, &mut migration.skipped) {
                Ok(taken_over) => taken_over,
                Err(problem) => {
                    migration.skipped.push(format!("provider `{}` {problem}", aiw_core::one_line(name, 80)));
                    continue;
                }
            };
            let mut provider = provider;
            for (of, secret) in secrets {
                let name = free_name(&of.secret_name(&provider.name), &taken)?;
                vault.set(&lock, &name, &secret)?;
                taken.insert(name.clone());
                match of {
                    SecretUse::Token => provider.token = Some(SecretRef::Vault(name.clone())),
                    SecretUse::Variable(variable) => {
                        provider.env.push((variable, TextOrSecret::Secret(SecretRef::Vault(name.clone()))));
                    }
                }
                migration.secrets.push(name);
            }
            found.push(provider);
        }
        let default = ["default", "default_provider"].iter().find_map(|key| old.value()[*key].as_str());
        for (key, value) in old.value().as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
            let taken = match key.as_str() {
                "providers" => true,
                "default" | "default_provider" => value
                    .as_str()
                    .is_some_and(|name| default == Some(name) && found.iter().any(|p| p.name.as_str() == name)),
                _ => false,
            };
            if !taken {
                migration.skipped.push(format!("the field `{}` was left out", aiw_core::one_line(key, 80)));
            }
        }
        // The rest of the old file has no meaning anymore.
        let fresh = Document::from_text(&path, &format!("{{\n  \"version\": {VERSION}\n}}\n"))?;
        let mut providers = ProvidersFile::from_document(fresh)?;
        for provider in &found {
            providers.set(provider)?;
        }
        if let Some(default) = default.filter(|default| found.iter().any(|p| p.name.as_str() == *default)) {
            providers.set_default(None, Some(default))?;
        }
        providers.save(&lock)?;
        migration.providers = found.into_iter().map(|provider| provider.name).collect();
        Ok(Some(migration))
    }
}

/// The use of a secret of the old file.
enum SecretUse {
    Token,
    Variable(EnvName),
}

impl SecretUse {
    fn secret_name(&self, provider: &ProviderName) -> String {
        match self {
            Self::Token => provider.to_string(),
            Self::Variable(variable) => format!("{provider}-{variable}"),
        }
    }
}

/// The wanted name, or the first free one with a number.
fn free_name(wanted: &str, taken: &BTreeSet<SecretName>) -> Result<SecretName, VaultError> {
    let wanted: String = wanted.chars().take(100).collect();
    let mut name: SecretName = wanted.parse().map_err(|_| VaultError::InvalidValue("has no usable name"))?;
    let mut number = 2;
    while taken.contains(&name) {
        name = format!("{wanted}-{number}").parse().map_err(|_| VaultError::InvalidValue("has no usable name"))?;
        number += 1;
    }
    Ok(name)
}

/// The maker of each CLI that 0.6 supported: its API, its current preset, and its address.
struct Maker {
    cli: CliKind,
    family: Family,
    preset: &'static str,
    origin: &'static str,
}

const MIGRATED_VENDORS: [Maker; 3] = [
    Maker { cli: CliKind::Claude, family: Family::Anthropic, preset: "anthropic", origin: "https://api.anthropic.com" },
    Maker { cli: CliKind::Codex, family: Family::Openai, preset: "openai", origin: "https://api.openai.com" },
    Maker {
        cli: CliKind::Gemini,
        family: Family::Gemini,
        preset: "google",
        origin: "https://generativelanguage.googleapis.com",
    },
];

type OldEntry = (Provider, Vec<(SecretUse, Secret)>);

/// The error is the end of a sentence.
fn one(name: &str, value: &Value, left: &mut Vec<String>) -> Result<OldEntry, String> {
    let name: ProviderName = name.parse().map_err(|e: aiw_core::InvalidName| format!("was left out: {e}"))?;
    let object = value.as_object().ok_or("was left out: it is not an object")?;
    let text = |key: &str| object.get(key).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
    let mut secrets = Vec::new();
    let words = object.get("compatible_with").and_then(Value::as_array);
    let clis: Vec<CliKind> =
        words.into_iter().flatten().filter_map(|word| word.as_str()?.to_lowercase().parse().ok()).collect();
    // Treat a value of the wrong type like an unknown field.
    let is_taken = |key: &str, value: &Value| match key {
        "env" => value.is_object(),
        "compatible_with" => words.is_some_and(|words| words.len() == clis.len()),
        key => KNOWN_FIELDS.contains(&key) && value.is_string(),
    };
    for (key, _) in object.iter().filter(|(key, value)| !value.is_null() && !is_taken(key, value)) {
        left.push(format!("`{}` of provider `{name}` was left out, at least in part", aiw_core::one_line(key, 80)));
    }
    // Without its address, its token would go to the maker of its CLI.
    let url = text("base_url").map(super::base_url).transpose();
    let url = url.map_err(|problem| format!("was left out: its `base_url` {problem}"))?;
    // 0.6 gave every CLI Anthropic's variables.
    let fits = if clis.is_empty() { &[CliKind::Claude][..] } else { &clis };
    // Without an address it used the CLI's maker, which takes the key in its own header.
    let maker = match fits {
        [cli] => MIGRATED_VENDORS.into_iter().find(|maker| maker.cli == *cli).map(|maker| (maker.preset, maker.origin)),
        _ if url.is_none() => Some(("anthropic", "")),
        _ => None,
    };
    let is_there = |origin: &str| {
        url.as_deref()
            .is_none_or(|url| url.strip_prefix(origin).is_some_and(|path| path.is_empty() || path.starts_with('/')))
    };
    let preset = maker.filter(|(_, origin)| is_there(origin)).map(|(preset, _)| preset);
    let mut provider = Provider::new(name, preset.unwrap_or("custom"));
    if let (None, Some(url)) = (preset, url) {
        let makers = MIGRATED_VENDORS.into_iter().filter(|maker| fits.contains(&maker.cli));
        provider.base_urls = makers.map(|maker| (maker.family, url.clone())).collect();
    }
    provider.clis = (!clis.is_empty()).then_some(clis);
    provider.scenario = text("scenario").map(str::to_owned);
    if let Some(token) = text("token") {
        match TextOrSecret::parse(token) {
            TextOrSecret::Secret(reference) => provider.token = Some(reference),
            TextOrSecret::Literal(token) => secrets.push((SecretUse::Token, Secret::new(token.trim()))),
        }
    }
    for (key, value) in object.get("env").and_then(Value::as_object).into_iter().flatten() {
        let (Ok(key), Some(value)) = (key.parse::<EnvName>(), value.as_str()) else {
            left.push(format!(
                "variable `{}` of provider `{}` was left out",
                aiw_core::one_line(key, 80),
                provider.name
            ));
            continue;
        };
        match TextOrSecret::parse(value) {
            TextOrSecret::Literal(value) if is_secret_name(key.as_str()) && !value.trim().is_empty() => {
                secrets.push((SecretUse::Variable(key), Secret::new(value.trim())));
            }
            value => provider.env.push((key, value)),
        }
    }
    Ok((provider, secrets))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HomeError;
    use std::fs;

    const OLD: &str = r#"{
  "providers": {
    "openrouter": {"token": "sk-or-canary", "base_url": "https://openrouter.ai/api/", "scenario": "cheap",
      "env": {"X_REGION": "eu", "EXTRA_API_KEY": "canary-2"}, "compatible_with": ["claude", "codex"]},
    "plain": {"token": "${MY_KEY}", "env": {}},
    "bad name": {"token": "canary-3"}
  },
  "default_provider": "openrouter"
}"#;

    #[test]
    fn tokens_go_to_the_vault_and_the_old_file_is_kept_encrypted() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path());
        fs::write(home.providers_path(), OLD).unwrap();
        assert!(matches!(home.providers(), Err(HomeError::LegacyProviders { .. })));
        let migration = home.migrate_providers().unwrap().unwrap();
        assert_eq!(migration.providers.len(), 2);
        assert_eq!(migration.skipped.len(), 1);
        let providers = home.providers().unwrap();
        let router = providers.get("openrouter").unwrap().unwrap();
        assert_eq!(router.preset, "custom");
        assert_eq!(router.base_urls.len(), 2);
        assert_eq!(providers.default_for(CliKind::Gemini), Some("openrouter"));
        let Some(SecretRef::Vault(name)) = &router.token else { panic!("{router:?}") };
        assert_eq!(home.vault().get(name).unwrap().expose(), "sk-or-canary");
        assert_eq!(router.env.len(), 2);
        for entry in fs::read_dir(dir.path()).unwrap().flatten().filter(|entry| entry.path().is_file()) {
            let bytes = fs::read(entry.path()).unwrap();
            assert!(!bytes.windows(6).any(|window| window == b"canary"), "{}", entry.path().display());
        }
        assert_eq!(home.migrate_providers().unwrap(), None);
    }

    #[test]
    fn the_makers_of_clis_are_known_by_their_addresses() {
        for (clis, url, preset, addresses) in [
            (r#"["claude"]"#, "https://api.anthropic.com", "anthropic", 0),
            ("[]", "https://api.anthropic.com/", "anthropic", 0),
            (r#"["codex"]"#, "https://api.openai.com/v1", "openai", 0),
            (r#"["gemini"]"#, "https://generativelanguage.googleapis.com", "google", 0),
            (r#"["claude"]"#, "https://api.anthropic.com.example", "custom", 1),
            (r#"["codex"]"#, "https://api.anthropic.com", "custom", 1),
            (r#"["claude", "codex"]"#, "https://api.anthropic.com", "custom", 2),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let home = Home::from_root(dir.path());
            let old = format!(
                r#"{{"providers": {{"x": {{"token": "k", "base_url": "{url}", "compatible_with": {clis}}}}}}}"#
            );
            fs::write(home.providers_path(), old).unwrap();
            home.migrate_providers().unwrap().unwrap();
            let providers = home.providers().unwrap();
            let x = providers.get("x").unwrap().unwrap();
            assert_eq!((x.preset.as_str(), x.base_urls.len()), (preset, addresses), "{clis} {url}");
        }
    }

    #[test]
    fn a_file_of_today_without_its_version_is_left_alone() {
        for text in [
            r#"{"providers": {"x": {"base_urls": {"openai": "https://h/v1"}, "token": "${K}"}}}"#,
            r#"{"providers": {"x": {"model": "m", "token": {"secret": "x"}}}}"#,
            r#"{"providers": {"x": {"preset": "openai"}, "y": {"base_url": "https://h"}}}"#,
            r#"{"providers": {"x": 1}}"#,
        ] {
            let dir = tempfile::tempdir().unwrap();
            let home = Home::from_root(dir.path());
            fs::write(home.providers_path(), text).unwrap();
            assert!(!home.providers().unwrap().problems().is_empty(), "{text}");
            assert_eq!(home.migrate_providers().unwrap(), None);
            assert_eq!(fs::read_to_string(home.providers_path()).unwrap(), text);
        }
    }

    #[test]
    fn what_is_not_taken_over_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path());
        let old = r#"{
            "providers": {
                "x": {"token": "canary", "model": "m", "env": ["canary"], "compatible_with": ["claude", "vim"], "mine": null},
                "y": {"token": {"secret": "canary"}, "base_url": "https://h", "scenario": 3},
                "z": {"token": "canary", "base_url": "https://canary@h"}
            },
            "default": "nobody", "theme": "dark"
        }"#;
        fs::write(home.providers_path(), old).unwrap();
        let migration = home.migrate_providers().unwrap().unwrap();
        let left = migration.skipped.join("\n");
        let named =
            ["`model` of provider `x`", "`env` of", "`compatible_with` of", "`token` of provider `y`", "`scenario` of"];
        for part in named.into_iter().chain(["provider `z` was left out", "field `default`", "field `theme`"]) {
            assert!(left.contains(part), "{part}: {left}");
        }
        assert!(migration.skipped.len() == 8 && !left.contains("canary"), "{left}");
        assert_eq!(migration.secrets.len(), 1);
    }

    #[test]
    fn without_a_usable_key_nothing_is_changed() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path());
        fs::write(home.providers_path(), OLD).unwrap();
        home.make_dir(&home.root().join("vault")).unwrap();
        replace(&home.vault().key_path(), b"nonsense", Mode::Private).unwrap();
        assert!(home.migrate_providers().is_err());
        assert_eq!(fs::read_to_string(home.providers_path()).unwrap(), OLD);
    }
}
