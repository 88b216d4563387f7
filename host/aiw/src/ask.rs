//! The person at the terminal, as verbs ask and tell them.

use aiw_core::{
    BrowserStep, Choice, Plan, PromptError, Prompter, Question, ReportEvent, Reporter, Secret, one_line, quoted,
};
use async_trait::async_trait;

use aiw_app::browser::open_in_browser;

use crate::failure::CliError;
use crate::output::Output;
use crate::terminal;

/// The person at the terminal, if there is one.
pub struct TerminalPrompter<'a> {
    output: &'a Output,
    /// `--yes`: they have agreed to all of it.
    yes: bool,
    /// They watch what a command prints, and are asked beside it.
    pub prompt_on_stderr: bool,
    /// `<` is no answer, and goes back to the question before.
    can_go_back: bool,
}

impl<'a> TerminalPrompter<'a> {
    pub fn new(output: &'a Output, yes: bool) -> Self {
        Self { output, yes, prompt_on_stderr: false, can_go_back: false }
    }

    /// Lets the person go back, for questions that [`aiw_core::Rewind`] asks.
    pub fn with_back(self) -> Self {
        Self { can_go_back: true, ..self }
    }

    fn check_back(&self, answer: &str) -> Result<(), PromptError> {
        if self.can_go_back && answer == "<" { Err(PromptError::Back) } else { Ok(()) }
    }

    /// Asks for a line in which nobody is to see a key.
    async fn line(&self, question: &str) -> Result<String, PromptError> {
        loop {
            let answer = terminal::prompt_line(question).await.map_err(to_prompt_error)?;
            self.check_back(&answer)?;
            if !aiw_core::is_secret_token(&answer) {
                return Ok(answer);
            }
            terminal::print_prompt_line(
                "That looks like a key, and was not taken: a question that hides what you type asks for it",
            );
        }
    }
}

/// Returns the option that an answer names: its number, its first word, or the beginning of the only first word that begins so.
fn chosen(answer: &str, options: &[String]) -> Option<usize> {
    if answer.is_empty() {
        return None;
    }
    if let Ok(number) = answer.parse::<usize>() {
        return number.checked_sub(1).filter(|at| *at < options.len());
    }
    let word = |option: &String| option.split_whitespace().next().unwrap_or_default().to_lowercase();
    let (answer, words) = (answer.to_lowercase(), options.iter().map(word).collect::<Vec<_>>());
    words.iter().position(|word| *word == answer).or_else(|| {
        let mut begun = (0..words.len()).filter(|at| words[*at].starts_with(&answer));
        begun.next().filter(|_| begun.next().is_none())
    })
}

#[async_trait]
impl Prompter for TerminalPrompter<'_> {
    fn can_ask(&self, _: &[Question]) -> bool {
        true
    }

    async fn confirm(&self, plan: &Plan, questions: &[&Question]) -> Result<Vec<(String, Secret)>, PromptError> {
        let show = |line: &str| match self.prompt_on_stderr {
            true => self.output.note(line),
            false => self.output.print_question_context(line),
        };
        if let Some(text) = &plan.text {
            self.output.print_framed(text);
            self.output.print_question_context("");
        }
        plan.details.iter().for_each(|line| show(line));
        if rows(&plan.details, terminal::size().columns) + 2 > terminal::size().rows {
            // What decides is out of sight by now.
            plan.effects.iter().for_each(|effect| show(&format!("  it {effect}")));
        }
        self.output.flush();
        if !confirm(&plan.question, self.yes).await? {
            return Err(PromptError::Declined);
        }
        let mut given = Vec::new();
        for question in questions {
            // One command makes one entry: with `--yes`, what Enter would answer is answered.
            if self.yes
                && let Some(usual) = question.default_answer()
            {
                given.push((question.name.clone(), usual));
            } else if terminal::is_interactive() && (question.required || !self.yes) {
                given.extend(answers(question).await.map_err(to_prompt_error)?);
            }
        }
        Ok(given)
    }

    async fn select(&self, choice: &Choice) -> Result<usize, PromptError> {
        for (option, number) in choice.options.iter().zip(1..) {
            self.output.print_question_context(format!("{number}  {option}"));
        }
        self.output.flush();
        terminal::discard_pending_input();
        if !terminal::is_interactive() {
            let hint = format!("answer with `{}`", choice.flag);
            return Err(PromptError::NotInteractive { question: format!("`{}`", choice.short_question), hint });
        }
        let question = match choice.optional {
            true => choice.short_question.clone(),
            false => format!("{} [1]", choice.short_question),
        };
        loop {
            let answer = self.line(&question).await?;
            match chosen(&answer, &choice.options) {
                None if answer.is_empty() && choice.optional => return Err(PromptError::Declined),
                None if answer.is_empty() => return Ok(0),
                Some(at) => return Ok(at),
                None => {
                    let answer = quoted(&answer);
                    terminal::print_prompt_line(&format!("{answer} is none of them: type a number or a first word"));
                }
            }
        }
    }

    fn is_interactive(&self) -> bool {
        terminal::is_interactive()
    }

    async fn text(&self, words: &str) -> Result<Option<String>, PromptError> {
        Ok(Some(self.line(words).await?).filter(|text| !text.is_empty()))
    }

    async fn secret(&self, words: &str) -> Result<Option<Secret>, PromptError> {
        match terminal::is_interactive() {
            true => {
                let secret = terminal::prompt_optional_secret(words).await.map_err(to_prompt_error)?;
                secret.iter().try_for_each(|secret| self.check_back(secret.expose()))?;
                Ok(secret)
            }
            false => terminal::read_secret(words).await.map(Some).map_err(to_prompt_error),
        }
    }

    async fn ask_yes_no(&self, question: &str, usual: bool) -> Result<bool, PromptError> {
        let choice = if usual { "[Y/n]" } else { "[y/N]" };
        terminal::discard_pending_input();
        loop {
            match self.line(&format!("{question} {choice}")).await?.to_lowercase().as_str() {
                "" => return Ok(usual),
                "y" | "yes" => return Ok(true),
                "n" | "no" => return Ok(false),
                _ => terminal::print_prompt_line("Answer `y` or `n`"),
            }
        }
    }

    async fn open_page(&self, page: &BrowserStep<'_>) -> Result<String, PromptError> {
        if page.should_open_browser && open_in_browser(&aiw_home::ExecutionContext::from_process(), page.url) {
            self.output.note("Your browser opens this address.");
        }
        self.output.flush();
        if !terminal::is_interactive() {
            return std::future::pending().await;
        }
        self.output.note("If the browser is on another machine, paste the address that it ends up at:");
        loop {
            match (page.parse_redirect)(&terminal::prompt_line(">").await.map_err(to_prompt_error)?) {
                Some(read) => return Ok(read),
                None => self
                    .output
                    .note("That is not the address: it begins with `http://127.0.0.1` and has a `code` in it"),
            }
        }
    }
}

/// The rows that lines take on a terminal.
fn rows(lines: &[String], columns: usize) -> usize {
    let of = |line: &str| line.chars().count().div_ceil(columns.max(1)).max(1);
    lines.iter().flat_map(|line| line.split('\n')).map(of).sum()
}

/// Asks a question that `--yes` could have answered.
pub async fn confirm(question: &str, yes: bool) -> Result<bool, PromptError> {
    if !yes && !terminal::is_interactive() {
        return Err(PromptError::NotInteractive {
            question: format!("`{question}`"),
            hint: "answer with `--yes`".into(),
        });
    }
    terminal::confirm(question, "--yes", yes).await.map_err(|failure| {
        // The end of input has ended no line.
        terminal::print_prompt_line("");
        to_prompt_error(failure)
    })
}

/// Why there is no answer, as a verb knows it.
pub fn to_prompt_error(failure: CliError) -> PromptError {
    match failure.code() {
        130 => PromptError::Interrupted,
        _ => PromptError::Unreadable(failure.message().to_owned()),
    }
}

/// Asks for what one question takes: an answer, none, or several.
async fn answers(question: &Question) -> Result<Vec<(String, Secret)>, CliError> {
    let mut given = Vec::new();
    loop {
        match ask(question).await? {
            None if question.required && given.is_empty() => terminal::print_prompt_line("The server needs it."),
            None => return Ok(given),
            Some(answer) => given.push((question.name.clone(), answer)),
        }
        if !question.repeated && !given.is_empty() {
            return Ok(given);
        }
    }
}

/// Asks one question. None if the answer was empty.
async fn ask(question: &Question) -> Result<Option<Secret>, CliError> {
    let Question { name, description, required, secret, placeholder, choices, repeated, .. } = question;
    let default = question.default.as_ref().filter(|_| !repeated);
    let shown = one_line(name, 80);
    terminal::print_prompt_line("");
    if let Some(description) = description {
        terminal::print_prompt_line(&format!("{shown}: {}", one_line(description, 300)));
    }
    if !choices.is_empty() {
        terminal::print_prompt_line(&format!("One of: {}", one_line(&choices.join(", "), 400)));
    }
    if let Some(example) = placeholder {
        terminal::print_prompt_line(&format!("For example: {}", one_line(example, 200)));
    }
    // What is in the environment already need not be stored.
    if std::env::var_os(name).is_some_and(|value| !value.is_empty())
        && terminal::confirm(&format!("Take it from your environment, as `${{{shown}}}`?"), "", false).await?
    {
        return Ok(Some(Secret::new(format!("${{{name}}}"))));
    }
    let mut words = format!("Value of {shown}");
    match (default, required, repeated) {
        (Some(default), _, _) => words.push_str(&format!(" [{}, its publisher's default]", one_line(default, 200))),
        (None, true, _) => {}
        (None, false, true) => words.push_str(" (nothing ends the list)"),
        (None, false, false) => words.push_str(" (may be empty)"),
    }
    words.push(':');
    let answer = match secret {
        true => terminal::prompt_optional_secret(&words).await?,
        false => Some(Secret::new(terminal::prompt_line(&words).await?)),
    };
    let answer = answer.filter(|answer| !answer.expose().is_empty());
    Ok(answer.or_else(|| question.default_answer()))
}

impl Reporter for Output {
    fn report(&self, told: ReportEvent) {
        match told {
            // What follows may take long.
            ReportEvent::Done(line) => {
                self.line(line);
                self.flush();
            }
            ReportEvent::Step(line) => self.note(line),
            ReportEvent::Note(line) => self.prefixed_note(&line),
            ReportEvent::Failed(line) => self.note(format!("error: {line}")),
        }
    }
}

/// The output of a command whose standard output belongs to the CLI that it runs.
pub struct StderrReporter<'a>(pub &'a Output);

impl Reporter for StderrReporter<'_> {
    fn report(&self, told: ReportEvent) {
        match told {
            ReportEvent::Done(line) => self.0.note(line),
            told => self.0.report(told),
        }
    }
}

/// The output for verbs of plugins: their notes are sentences that need no word before them.
pub struct PluginReporter<'a>(pub &'a Output);

impl Reporter for PluginReporter<'_> {
    fn report(&self, told: ReportEvent) {
        match told {
            ReportEvent::Note(line) => self.0.note(line),
            told => self.0.report(told),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_chosen_by_its_number_its_word_or_the_beginning_of_its_word() {
        let options = ["openai  OpenAI", "openrouter  OpenRouter", "litellm  LiteLLM"].map(str::to_owned);
        for (answer, at) in
            [("1", Some(0)), ("3", Some(2)), ("openai", Some(0)), ("LITE", Some(2)), ("openr", Some(1)), ("open", None)]
        {
            assert_eq!(chosen(answer, &options), at, "{answer}");
        }
        for answer in ["0", "4", "", "-1", "x"] {
            assert_eq!(chosen(answer, &options), None, "{answer}");
        }
    }

    #[test]
    fn a_line_takes_as_many_rows_as_it_needs() {
        let lines = ["", "short", &"x".repeat(80), &"x".repeat(81), "two\nlines"].map(str::to_owned);
        assert_eq!(rows(&lines, 80), 1 + 1 + 1 + 2 + 2);
        assert_eq!(rows(&lines, 0), 1 + 5 + 80 + 81 + 8);
    }
}
