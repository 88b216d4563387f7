//! API providers and pools: whether they answer, which one is the default, which members rest, and what budgets leave.

use std::sync::Arc;

use aiw_app::feed::Topic;
use aiw_app::phrases::{elapsed_since_rfc3339, format_ago};
use aiw_app::{budgets, pools};
use aiw_core::provider::KeyState;
use aiw_core::{
    CliKind, Diagnostic, Family, Plan, PromptError, Prompter, ProviderName, Reporter, is_valid_model_name, pluralize,
};
use aiw_home::{ModelRole, SecretRef};
use aiw_providers::{
    NewTokenSource, PoolSummary, ProviderChanges, ProviderDetails, ProviderError, ProviderSummary, Providers as Verbs,
    SecretState, TestSummary,
};

use crate::context::AppContext;
use crate::page::{Action, Column, Detail, ListContent, Outcome, Page, PageDescriptor, Row};
use crate::paint::{Fact, TextStyle};
use crate::progress::error_line;
use crate::prompter::TuiPrompter;

/// The beginning of the id of a pool's row. No provider has a name with it.
const POOL_ID_PREFIX: &str = "pool:";

/// The page of providers.
pub(crate) struct ProvidersPage(pub(crate) Arc<AppContext>);

fn verbs(ground: &AppContext) -> Result<Verbs, String> {
    ground.client.providers().map_err(|e| error_line(&e))
}

/// The screen in words.
pub(super) static PAGE: PageDescriptor = PageDescriptor {
    title: "Providers",
    slug: "providers",
    cli_command: "aiw provider list",
    topics: &[Topic::Providers, Topic::Usage],
    columns: &[
        Column::new("NAME"),
        Column::state("STATE"),
        Column::optional("PRESET"),
        Column::optional("CLIS"),
        Column::new("USE OR MEMBERS"),
    ],
    empty_message: "no providers: each AI CLI uses its own; n adds one",
    actions: &[
        Action::new('t', "test", "ask it for its models, to see whether it answers and takes the key"),
        Action::single('m', "default", "make it the default of the CLIs that it fits"),
        Action::single('c', "change key", "type another key, which is not shown"),
        Action::new('w', "wake", "ask all members of the pool again"),
        Action::new('d', "remove", "remove it, with its secret: asks"),
        Action::global('n', "new", "add a provider, by questions"),
        Action::single('e', "edit", "its addresses, models and the words for its use, by questions"),
        Action::global('b', "budgets", "what runs may use, and what is left"),
    ],
    ..PageDescriptor::EMPTY
};

impl Page for ProvidersPage {
    fn descriptor(&self) -> &'static PageDescriptor {
        &PAGE
    }

    fn list(&self, _: &str) -> Result<ListContent, String> {
        let ground = &*self.0;
        let verbs = verbs(ground)?;
        let (providers, mut problems) = ground.block_on(verbs.list())?;
        let (pools, more) = verbs.pools().map_err(|e| error_line(&e))?;
        problems.extend(more);
        problems.extend(ground.client.notes());
        let rests =
            |pool: &PoolSummary| pools::show(ground.home(), &verbs, &pool.name).map_or(0, |it| it.cooldowns.len());
        let rows = providers.iter().map(row).chain(pools.iter().map(|pool| pool_row(pool, rests(pool))));
        Ok(ListContent::new(rows.collect(), problems))
    }

    fn detail(&self, id: &str) -> Detail {
        let ground = &*self.0;
        let looked = verbs(ground).and_then(|verbs| match id.strip_prefix(POOL_ID_PREFIX) {
            Some(pool) => {
                pools::show(ground.home(), &verbs, pool).map(|it| pool_detail(&it)).map_err(|e| error_line(&e))
            }
            None => ground.block_on(verbs.show(id)).map(|provider| detail(&provider)),
        });
        looked.unwrap_or_else(Detail::from_error)
    }

    fn run_action(&self, key: char, id: &str, person: &TuiPrompter) -> Result<Outcome, String> {
        let ground = &*self.0;
        let verbs = verbs(ground)?;
        let name = id.strip_prefix(POOL_ID_PREFIX).unwrap_or(id);
        Ok(Outcome::Message(match key {
            't' => {
                let tested = TestSummary::of(name, &ground.block_on(verbs.test(name))?);
                let models = match tested.models.len() {
                    0 => String::new(),
                    count => format!(", {}", pluralize(count, "model")),
                };
                let line = format!("{name}: {} ({} ms{models})", tested.message, tested.latency_ms);
                if tested.key == KeyState::Refused {
                    return Err(line);
                }
                line
            }
            'm' => {
                ground.block_on(verbs.set_default(name, &[]))?;
                let defaults = verbs.defaults().map_err(|e| error_line(&e))?;
                let clis =
                    defaults.iter().filter(|(_, now)| now.as_deref() == Some(name)).map(|(cli, _)| cli.to_string());
                format!("{name} is the default of {}", clis.collect::<Vec<_>>().join(", "))
            }
            'c' => {
                let changes = ProviderChanges { token: Some(NewTokenSource::Prompted), ..ProviderChanges::default() };
                let own = name.parse::<ProviderName>().map_err(|e| e.to_string())?;
                let changed = ground.block_on(verbs.edit(&own, &changes, person))?;
                added(&format!("{name} has another key"), &changed.notes)
            }
            'e' => {
                let own = name.parse::<ProviderName>().map_err(|e| e.to_string())?;
                let changes = ground.block_on(asked(&verbs, name, person, person))?;
                let changed = ground.block_on(verbs.edit(&own, &changes, person))?;
                added(&format!("changed {name}"), &changed.notes)
            }
            'n' => {
                let changes = ProviderChanges::default();
                let add = person.rewind(
                    async |ask| verbs.add(None, &changes, ask, ask).await,
                    |e| matches!(e.prompt_error(), Some(PromptError::Back)),
                );
                let new = ground.block_on(add)?;
                added(&format!("added {}", new.provider.name), &new.notes)
            }
            'w' => {
                pools::reset(ground.home(), &verbs, name).map_err(|e| error_line(&e))?;
                format!("all members of {name} are asked again")
            }
            'b' => return budgets_shown(ground).map(Outcome::Details),
            _ if id.starts_with(POOL_ID_PREFIX) => {
                let plan = Plan::new(format!("Remove the pool `{name}`?"));
                ground.block_on(agreed(&plan, person))?;
                pools::remove(ground.home(), &verbs, name).map_err(|e| error_line(&e))?;
                format!("removed {name}")
            }
            _ => removed(ground, &verbs, name, person)?,
        }))
    }
}

/// Agrees to a plan or fails.
async fn agreed(plan: &Plan, ask: &dyn Prompter) -> Result<(), PromptError> {
    ask.confirm(plan, &[]).await.map(drop)
}

/// Removes the provider that the person has agreed to, and no other that has its name by then.
fn removed(ground: &AppContext, verbs: &Verbs, name: &str, ask: &dyn Prompter) -> Result<String, String> {
    let file = verbs.file().map_err(|e| error_line(&e))?;
    let seen = file.get(name).map_err(|e| error_line(&e))?.ok_or_else(|| format!("there is no provider `{name}`"))?;
    let about = |(family, url): (&Family, &String)| format!("{family}: {url}");
    let about = seen.base_urls.iter().map(about).collect();
    let plan = Plan { details: about, ..Plan::new(format!("Remove `{name}` with its secret?")) };
    ground.block_on(agreed(&plan, ask))?;
    aiw_app::providers::remove_if_unchanged(ground.home(), verbs, seen).map_err(|e| error_line(&e))?;
    Ok(format!("removed {name}"))
}

/// Asks for what is to be different of a provider. Whoever types nothing leaves it as it is.
async fn asked(
    verbs: &Verbs,
    name: &str,
    ask: &dyn Prompter,
    sink: &dyn Reporter,
) -> Result<ProviderChanges, ProviderError> {
    let now = verbs.show(name).await?;
    let mut changes = ProviderChanges::default();
    for (family, url) in &now.summary.base_urls {
        let words = format!("Address for the {family} API (empty for {url}):");
        changes
            .base_urls
            .extend(usage_detail(&words, parse_base_url, ask, sink).await?.map(|url| (Some(*family), url)));
    }
    changes.model = of_or_none(&now.model, "Model", "the CLI's own choice", model, ask, sink).await?;
    for (of, now) in &now.models {
        let words = format!("Model for {of} (empty for {now}, `-` for none):");
        let given = usage_detail(&words, model, ask, sink).await?;
        changes.models.extend(given.and_then(|model| Some((ModelRole::try_from(of.clone()).ok()?, model))));
    }
    let scenario = |typed: &str| Ok(without_dash(typed));
    changes.scenario = of_or_none(&now.scenario, "Words for its use", "none", scenario, ask, sink).await?;
    Ok(changes)
}

/// Asks for a value that may be there. A dash takes it away.
async fn of_or_none(
    now: &Option<String>,
    what: &str,
    none: &str,
    read: impl Fn(&str) -> Result<String, String>,
    ask: &dyn Prompter,
    sink: &dyn Reporter,
) -> Result<Option<String>, PromptError> {
    let words = match now {
        Some(now) => format!("{what} (empty for {now}, `-` for {none}):"),
        None => format!("{what} (empty for {none}):"),
    };
    usage_detail(&words, read, ask, sink).await
}

/// Asks until the answer is of use, and says at once why one is not.
pub(super) async fn usage_detail(
    words: &str,
    read: impl Fn(&str) -> Result<String, String>,
    ask: &dyn Prompter,
    sink: &dyn Reporter,
) -> Result<Option<String>, PromptError> {
    while let Some(typed) = ask.text(words).await? {
        match read(&typed) {
            Ok(value) => return Ok(Some(value)),
            Err(why) => sink.step(why),
        }
    }
    Ok(None)
}

/// Returns an address. What is wrong with another one is said without it: it may hold a key.
pub(super) fn parse_base_url(typed: &str) -> Result<String, String> {
    match typed {
        "-" => Err("an address can't be taken away; d removes the provider".to_owned()),
        typed => aiw_home::base_url(typed).map_err(|why| format!("what you typed {why}")),
    }
}

fn model(typed: &str) -> Result<String, String> {
    let model = without_dash(typed);
    match model.is_empty() || is_valid_model_name(&model) {
        true => Ok(model),
        false => Err(ProviderError::InvalidModelName { model }.to_string()),
    }
}

/// Returns what was typed, as changes have it: a dash stands for nothing.
fn without_dash(typed: &str) -> String {
    if typed == "-" { String::new() } else { typed.to_owned() }
}

fn added(said: &str, notes: &[String]) -> String {
    [&[said.to_owned()], notes].concat().join("; ")
}

fn names(direct: &[CliKind], gateway: &[CliKind]) -> String {
    let direct = direct.iter().map(ToString::to_string);
    direct.chain(gateway.iter().map(|cli| format!("{cli}*"))).collect::<Vec<_>>().join(" ")
}

/// Returns a provider in the list.
pub(super) fn row(provider: &ProviderSummary) -> Row {
    let health = provider.health.as_ref();
    let when = health.and_then(|health| elapsed_since_rfc3339(&health.checked)).map(format_ago).unwrap_or_default();
    let (state, tone) = match (provider.secret, health.and_then(|health| health.healthy)) {
        (SecretState::Missing, _) if !provider.needs_none => ("key missing".to_owned(), TextStyle::Bad),
        (_, Some(true)) => (format!("answered {when}"), TextStyle::Good),
        (_, Some(false)) => (format!("failed {when}"), TextStyle::Bad),
        (_, None) => ("ready".to_owned(), TextStyle::Plain),
    };
    let cells = [
        format!("{}{}", provider.name, if provider.default { " (default)" } else { "" }),
        state,
        provider.preset.clone(),
        names(&provider.clis, &provider.gateway),
        provider.scenario.clone().unwrap_or_default(),
    ];
    Row::new(provider.name.to_string(), tone, "tmced", cells)
}

/// Returns a pool in the list, of which so many members rest.
pub(super) fn pool_row(pool: &PoolSummary, resting: usize) -> Row {
    let members = pool.members.iter().map(|member| member.provider.as_str()).collect::<Vec<_>>().join(", ");
    let is_broken = pool.members.iter().any(|member| !member.exists);
    let (state, tone) = match (is_broken, resting) {
        (true, _) => ("member missing".to_owned(), TextStyle::Bad),
        (false, 0) => ("ready".to_owned(), TextStyle::Plain),
        (false, count) => (format!("{count} of {} rest", pool.members.len()), TextStyle::Warn),
    };
    let name = format!("{}{}", pool.name, if pool.default_for.is_empty() { "" } else { " (default)" });
    let cells =
        [name, state, "pool".to_owned(), names(&pool.default_for, &[]), format!("{}: {members}", pool.strategy)];
    Row::new(format!("{POOL_ID_PREFIX}{}", pool.name), tone, "mwd", cells)
}

fn detail(provider: &ProviderDetails) -> Detail {
    let summary = &provider.summary;
    let mut facts = vec![Fact::title(format!("{}: {}", summary.name, provider.label))];
    let mut fact = |label, text: String| {
        if !text.is_empty() {
            facts.push(Fact::new(label, text));
        }
    };
    summary.base_urls.iter().for_each(|(family, url)| fact("address", format!("{family}: {url}")));
    fact("clis", names(&summary.clis, &summary.gateway));
    if !summary.gateway.is_empty() {
        fact("", "* through aiw's gateway, which translates".to_owned());
    }
    fact("default", names(&provider.default_for, &[]));
    fact("model", provider.model.clone().unwrap_or_default());
    provider.models.iter().for_each(|(of, model)| fact("model", format!("{of}: {model}")));
    // Where each secret is, and never what it is.
    for (name, reference) in &provider.references {
        fact(
            "secret",
            match reference {
                SecretRef::Vault(at) => format!("{name}: `{at}` in the vault"),
                SecretRef::Variable(at) => format!("{name}: the variable `{at}`"),
            },
        );
    }
    fact("missing", summary.missing_variable.as_ref().map(|name| format!("export {name}")).unwrap_or_default());
    fact("sets", provider.env.join(", "));
    fact("headers", provider.headers.join(", "));
    fact("use", provider.scenario.clone().unwrap_or_default());
    if let Some(health) = &summary.health {
        fact("checked", health.checked.clone());
        fact("problem", health.problem.clone().unwrap_or_default());
    }
    Detail::new(facts)
}

fn pool_detail(details: &pools::PoolDetails) -> Detail {
    let pool = &details.pool;
    let mut facts =
        vec![Fact::title(format!("pool {}", pool.name)), Fact::new("chooses", format!("by {}", pool.strategy))];
    for member in &pool.members {
        let model = member.model.as_ref().map(|model| format!(" with {model}")).unwrap_or_default();
        let gone = if member.exists { "" } else { ": there is no such provider" };
        facts.push(Fact::new("member", format!("{}{model}{gone}", member.provider)));
    }
    facts.extend(details.cooldowns.iter().map(|rest| Fact::new("cooldown", rest.line()).with_tone(TextStyle::Warn)));
    Detail::new(facts)
}

/// Returns what runs may use, and what is left of that.
fn budgets_shown(ground: &AppContext) -> Result<Detail, String> {
    let (list, loss) = budgets::list(ground.home()).map_err(|e| error_line(&e))?;
    let mut facts = vec![Fact::title("budgets")];
    facts.extend(loss.map(|loss| Fact::new("lost", loss.to_string()).with_tone(TextStyle::Bad)));
    facts
        .extend(list.budgets.iter().map(|budget| Fact::new("", format!("{}; {}", budget.line(), budget.spent_line()))));
    if list.budgets.is_empty() {
        facts.push(Fact::new("", "none: `aiw budget set` limits what runs may use"));
    }
    Ok(Detail::new(facts))
}
