//! Providers, shown and asked.

use std::time::Instant;

use aiw_core::provider::{KeyState, Need, Preset};
use aiw_core::{CliKind, one_line};
use aiw_home::{Provider, SecretRef, Text};
use aiw_launch::{Adapters, clis, has_secrets, profile, secrets};
use serde_json::{Value, json};

use super::All;
use crate::failure::Failure;
use crate::output::{Output, table};
use crate::starter::call_error;

impl All {
    pub(super) fn shape(&self, provider: &Provider, preset: Option<&Preset>) -> Value {
        let base_urls = preset.map_or_else(|| provider.base_urls.clone(), |preset| profile(provider, preset).base_urls);
        let fits = match preset {
            Some(preset) => clis(provider, preset),
            None => provider.clis.clone().unwrap_or_default(),
        };
        let lacks = preset.is_some_and(|preset| preset.token != Need::Never)
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

    pub(super) async fn list(&self, output: &Output) -> Result<(), Failure> {
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

    pub(super) async fn show(&self, name: &str, output: &Output) -> Result<(), Failure> {
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
                // By hand, a secret may stand there.
                Text::Literal(text)
                    if aiw_core::is_secret_name(name.as_str()) || aiw_markets::is_secret_value(text) =>
                {
                    format!("  sets {name} to a value that looks like a secret: `{{\"secret\": NAME}}` is the way to keep it")
                }
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

    pub(super) async fn test(&self, name: &str, output: &Output) -> Result<(), Failure> {
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

    pub(super) async fn presets(&self, output: &Output) -> Result<(), Failure> {
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
