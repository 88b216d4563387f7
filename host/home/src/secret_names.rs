//! Names for secrets that had none.

use aiw_core::{Secret, SecretName};

use crate::Vault;

impl Vault {
    /// Returns a new name for a secret of a server, a process or the like, or that of the secret if the vault has it under
    /// such a name, and whether the secret has to be stored. `taken` are those that are about to be.
    pub fn name_for(
        &self,
        owner: &str,
        key: &str,
        secret: &Secret,
        taken: &[(SecretName, Secret)],
    ) -> Option<(SecretName, bool)> {
        secret_names(owner, key).find_map(|name| {
            if let Some((_, other)) = taken.iter().find(|(other, _)| *other == name) {
                return (other.expose() == secret.expose()).then_some((name, false));
            }
            if !self.is_taken(&name) {
                return Some((name, true));
            }
            let is_same = self.get(&name).is_ok_and(|other| other.expose() == secret.expose());
            is_same.then_some((name, false))
        })
    }
}

/// Names for a secret of a server or a process, the best one first: `github-token`, `github-token-2`, ….
pub fn secret_names(owner: &str, key: &str) -> impl Iterator<Item = SecretName> {
    let (owner, key) = (slug(owner), slug(key));
    let base = if key.starts_with(&owner) || owner.is_empty() { key } else { format!("{owner}-{key}") };
    let base = base.trim_matches('-');
    let base = if base.is_empty() { "secret" } else { base };
    let base = base[..base.len().min(48)].to_owned();
    (1..1000).filter_map(move |number| {
        let end = if number > 1 { format!("-{number}") } else { String::new() };
        format!("{base}{end}").parse().ok()
    })
}

fn slug(text: &str) -> String {
    let letters = text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' });
    let text: String = letters.collect();
    text.split('-').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-")
}
