//! Moving a client's own servers to `mcp.json`.

use aiw_core::{Secret, SecretName, is_secret, is_secret_value, one_line};
use aiw_home::Vault;
use aiw_servers::{Transport, secret_reference};
use serde_json::{Map, Value};

use crate::clients::Client;
use crate::names::name_for;
use crate::ours::Ours;

/// A server that can be moved.
pub(crate) struct Moved {
    /// Its name, there and in `mcp.json`.
    pub(crate) name: String,
    /// Its declaration, with references in place of secrets.
    pub(crate) declaration: Value,
    /// What it runs or reaches.
    pub(crate) target: String,
    /// The fields whose values go to the vault, and the secrets' names.
    pub(crate) hidden: Vec<(String, SecretName)>,
}

/// What an import does.
#[derive(Default)]
pub(crate) struct Import {
    pub(crate) moved: Vec<Moved>,
    /// Secrets that have to be stored.
    pub(crate) secrets: Vec<(SecretName, Secret)>,
    /// Sentences for the user.
    pub(crate) notes: Vec<String>,
}

impl Import {
    /// Looks through a client's servers.
    pub(crate) fn of(client: &Client, servers: &Map<String, Value>, ours: &Ours, vault: &Vault) -> Self {
        let mut import = Self::default();
        for (name, entry) in servers {
            if ours.is_started_by(entry) {
                continue;
            }
            if let Err(why) = import.add(client, name, entry, vault) {
                import.notes.push(format!("server `{}` stays in {}: it {why}", one_line(name, 60), client.name));
            }
        }
        import
    }

    fn add(&mut self, client: &Client, name: &str, entry: &Value, vault: &Vault) -> Result<(), String> {
        let fields = entry.as_object().ok_or("is not an object")?;
        let read = (client.read)(fields)?;
        let mut declaration = read.declaration;
        let before = self.secrets.len();
        let hidden = self.hide(name, &mut declaration, vault).inspect_err(|_| self.secrets.truncate(before))?;
        let checked = aiw_servers::server(name, &Value::Object(declaration.clone()));
        let server = checked.inspect_err(|_| self.secrets.truncate(before))?;
        if let Transport::Sse | Transport::Ws = server.transport {
            self.secrets.truncate(before);
            return Err(format!("speaks {}, which aiw does not", server.transport));
        }
        if !read.left.is_empty() {
            let fields: Vec<String> = read.left.iter().map(|field| format!("`{}`", one_line(field, 40))).collect();
            self.notes.push(format!("server `{}` comes without {}", one_line(name, 60), fields.join(", ")));
        }
        let shown = declaration.get("args").and_then(Value::as_array).into_iter().flatten();
        let mut shown = shown.chain(declaration.get("url")).filter_map(Value::as_str);
        if shown.any(is_secret_value) {
            let name = one_line(name, 60);
            self.notes
                .push(format!("server `{name}` may have a secret in its arguments or its address; it stays there"));
        }
        let target = server.target();
        let target = if is_secret_value(&target) { "…".to_owned() } else { one_line(&target, 200) };
        self.moved.push(Moved { name: name.to_owned(), declaration: Value::Object(declaration), target, hidden });
        Ok(())
    }

    /// Puts references in place of what stands in clear and looks like a key.
    fn hide(
        &mut self,
        server: &str,
        declaration: &mut Map<String, Value>,
        vault: &Vault,
    ) -> Result<Vec<(String, SecretName)>, String> {
        let mut hidden = Vec::new();
        for group in ["env", "headers"] {
            let Some(Value::Object(fields)) = declaration.get_mut(group) else { continue };
            for (key, value) in fields {
                let Value::String(text) = value else { continue };
                if text.trim().is_empty() || text.contains("${") || !is_secret(key, text) {
                    continue;
                }
                // `Bearer`, `Basic`
                let (scheme, secret) = match text.split_once(' ') {
                    Some((scheme, secret)) if group == "headers" && !secret.contains(' ') => (scheme, secret),
                    _ => ("", text.as_str()),
                };
                if secret.contains(['\n', '\r', '\0']) || secret.len() > aiw_home::MAX_SECRET_BYTES {
                    return Err(format!("has a `{}` that the vault can't hold", one_line(key, 60)));
                }
                let secret = Secret::new(secret);
                let (name, is_new) =
                    name_for(server, key, &secret, vault, &self.secrets).ok_or("has a secret without a free name")?;
                let blank = if scheme.is_empty() { "" } else { " " };
                let reference = format!("{scheme}{blank}{}", secret_reference(&name));
                if is_new {
                    self.secrets.push((name.clone(), secret));
                }
                hidden.push((format!("{group}.{}", one_line(key, 60)), name));
                *value = Value::String(reference);
            }
        }
        Ok(hidden)
    }
}
