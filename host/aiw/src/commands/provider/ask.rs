//! The questions about a provider, on the terminal.

use aiw_core::{AskError, CliKind, EnvName, Family, Secret, one_line};
use aiw_providers::{Ask, KnownPreset};
use async_trait::async_trait;

use crate::ask::{confirm, why};
use crate::commands::secret;
use crate::failure::Failure;
use crate::layout;
use crate::terminal;

/// The user at the terminal, if there is one.
pub struct Terminal {
    /// `--yes`
    pub yes: bool,
}

#[async_trait]
impl Ask for Terminal {
    fn is_there(&self) -> bool {
        terminal::can_ask()
    }

    fn again(&self, why: &str) {
        terminal::tell(why);
    }

    async fn name(&self, usual: &str) -> Result<String, AskError> {
        if !terminal::can_ask() {
            return Err(AskError::Nobody {
                question: "what to call it".into(),
                hint: "give it a name: `aiw provider add NAME`".into(),
            });
        }
        let name = answer(terminal::ask(&format!("Name (empty for {usual}):")).await)?;
        Ok(if name.is_empty() { usual.to_owned() } else { name })
    }

    async fn preset(&self, presets: &[KnownPreset]) -> Result<String, AskError> {
        if !terminal::can_ask() {
            return Err(AskError::Nobody {
                question: "what to add".into(),
                hint: "use `--preset PRESET`; `aiw provider presets` lists them".into(),
            });
        }
        let rows: Vec<Vec<String>> =
            presets.iter().map(|known| vec![known.preset.id.clone(), known.preset.label.clone()]).collect();
        layout::columns(&rows).iter().for_each(|line| terminal::tell(line));
        answer(terminal::ask("Preset:").await)
    }

    async fn address(&self, family: Family) -> Result<Option<String>, AskError> {
        let url = answer(terminal::ask(&format!("Address for the {family} API (empty for none):")).await)?;
        Ok(Some(url).filter(|url| !url.is_empty()))
    }

    async fn clis(&self, fitting: &[CliKind]) -> Result<Option<Vec<CliKind>>, AskError> {
        let all = fitting.iter().map(CliKind::to_string).collect::<Vec<_>>().join(",");
        loop {
            let said = answer(terminal::ask(&format!("CLIs (empty for {all}):")).await)?;
            let words = said.split([',', ' ']).filter(|word| !word.is_empty());
            let chosen = words.map(|word| fitting.iter().find(|cli| cli.to_string() == word).copied().ok_or(word));
            match chosen.collect::<Result<Vec<_>, _>>() {
                Ok(chosen) => return Ok(Some(chosen).filter(|chosen| !chosen.is_empty())),
                Err(word) => terminal::tell(&format!("`{}` is not one of them", one_line(word, 40))),
            }
        }
    }

    async fn model(&self) -> Result<Option<String>, AskError> {
        let model = answer(terminal::ask("Model (empty for the CLI's own choice):").await)?;
        Ok(Some(model).filter(|model| !model.is_empty()))
    }

    async fn gateway(&self) -> Result<bool, AskError> {
        let question = "Keep its key out of the CLIs? They go through aiw's gateway then. [y/N]";
        Ok(matches!(answer(terminal::ask(question).await)?.to_lowercase().as_str(), "y" | "yes"))
    }

    async fn token(&self, page: Option<&str>) -> Result<Option<Secret>, AskError> {
        let page = page.map(|page| format!(" ({page})")).unwrap_or_default();
        match terminal::ask_hidden(&format!("Token{page}:")).await {
            Ok(token) => Ok(Some(token)),
            Err(failure) if failure.code() == 130 => Err(AskError::Interrupted),
            Err(_) => Ok(None),
        }
    }

    async fn given_token(&self) -> Result<Secret, AskError> {
        answer(secret::read("Token:").await)
    }

    async fn withhold(&self, variable: &EnvName, usual: bool) -> Result<bool, AskError> {
        let choice = if usual { "[Y/n]" } else { "[y/N]" };
        let question = format!(
            "Hide `{variable}` from runs with other providers? Say no if other programs need it, such as git. {choice}"
        );
        let said = answer(terminal::ask(&question).await)?.to_lowercase();
        Ok(if said.is_empty() { usual } else { matches!(said.as_str(), "y" | "yes") })
    }

    async fn private_address(&self, known: &KnownPreset, url: &str) -> Result<bool, AskError> {
        let question = format!(
            "The preset `{}` of component `{}` leads to `{url}`, on this machine or in a private network. Send the token there?",
            known.preset.id, known.component
        );
        confirm(&question, self.yes).await
    }
}

fn answer<T>(answer: Result<T, Failure>) -> Result<T, AskError> {
    answer.map_err(why)
}
