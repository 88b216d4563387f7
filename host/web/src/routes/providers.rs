//! API providers, pools, budgets, and what was used.

use std::collections::BTreeMap;

use aiw_app::accounts::{self, UsageAnswer};
use aiw_app::budgets::{self, BudgetList, BudgetSet};
use aiw_app::pools::{self, PoolDetails};
use aiw_core::{Ask, CliKind, ProviderName};
use aiw_home::{Budget, BudgetLimit, BudgetPeriod, PoolMember, PoolOrder, ProviderPool};
use aiw_providers::{
    NewTokenSource, PoolSummary, PresetSummary, ProviderChanges, ProviderDetails, ProviderSummary, Providers,
    RemovedProvider, TestSummary,
};
use aiw_usage::By;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::{ApiCall, ApiRoute, DoneOnPage, NoAnswer, Nothing, Reply};

pub(super) fn routes() -> Vec<ApiRoute> {
    vec![
        ApiRoute::get("/providers", "aiw provider list", list),
        ApiRoute::post("/providers", "aiw provider add", add),
        ApiRoute::get("/presets", "aiw provider presets", presets),
        ApiRoute::get("/providers/{name}", "aiw provider show", show),
        ApiRoute::delete("/providers/{name}", "aiw provider remove", remove),
        ApiRoute::post("/providers/{name}/test", "aiw provider test", test),
        ApiRoute::post("/providers/{name}/default", "aiw provider default", default),
        ApiRoute::post("/providers/{name}/key", "aiw provider edit --token-stdin", key),
        ApiRoute::get("/pools", "aiw pool list", pool_list),
        ApiRoute::post("/pools", "aiw pool add", add_pool),
        ApiRoute::get("/pools/{name}", "aiw pool show", pool),
        ApiRoute::delete("/pools/{name}", "aiw pool remove", remove_pool),
        ApiRoute::post("/pools/{name}/reset", "aiw pool reset", reset_pool),
        ApiRoute::get("/budgets", "aiw budget list", budget_list),
        ApiRoute::post("/budgets", "aiw budget set", set_budget),
        ApiRoute::delete("/budgets/{name}", "aiw budget remove", remove_budget),
        ApiRoute::get("/usage", "aiw usage", usage).with(&["by", "since"]),
    ]
}

fn verbs(call: &ApiCall) -> Reply<Providers> {
    Ok(call.client.providers()?)
}

/// The providers
#[derive(Debug, Serialize, JsonSchema)]
struct ProviderAnswers {
    /// The providers
    providers: Vec<ProviderSummary>,
    /// The problems of others
    problems: Vec<String>,
}

fn list(call: &ApiCall) -> Reply<ProviderAnswers> {
    let (providers, mut problems) = call.wait(verbs(call)?.list())?;
    problems.extend(call.client.notes());
    Ok(ProviderAnswers { providers, problems })
}

/// The presets of providers
#[derive(Debug, Serialize, JsonSchema)]
struct PresetAnswers {
    /// The presets
    presets: Vec<PresetSummary>,
}

fn presets(call: &ApiCall) -> Reply<PresetAnswers> {
    Ok(PresetAnswers { presets: call.wait(verbs(call)?.presets())?.0 })
}

/// A new provider: what is not said is asked
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ProviderOnPage {
    /// Its name
    name: Option<String>,
    /// The preset that it follows
    preset: Option<String>,
    /// The model that is asked for
    model: Option<String>,
}

fn provider_name(name: &str) -> Reply<ProviderName> {
    name.parse().map_err(|e| NoAnswer::Malformed(format!("{e}")))
}

fn add(call: &ApiCall, new: ProviderOnPage) -> Reply<DoneOnPage> {
    let name = new.name.as_deref().map(provider_name).transpose()?;
    let changes = ProviderChanges { preset: new.preset, model: new.model, ..ProviderChanges::default() };
    let added = call.wait(verbs(call)?.add(name, &changes, &call.person, &call.person))?;
    let mut done = vec![format!("added {}", added.provider.name)];
    done.extend(added.notes);
    Ok(DoneOnPage { done })
}

fn show(call: &ApiCall) -> Reply<ProviderDetails> {
    call.wait(verbs(call)?.show(call.id()))
}

fn remove(call: &ApiCall) -> Reply<RemovedProvider> {
    Ok(aiw_app::providers::remove(call.home(), &verbs(call)?, call.id())?)
}

fn test(call: &ApiCall, _: Nothing) -> Reply<TestSummary> {
    Ok(TestSummary::of(call.id(), &call.wait(verbs(call)?.test(call.id()))?))
}

/// The provider of each AI CLI
#[derive(Debug, Serialize, JsonSchema)]
struct DefaultAnswer {
    /// The provider of each, or null: its own configuration
    #[schemars(with = "BTreeMap<String, Option<String>>")]
    default: BTreeMap<CliKind, Option<String>>,
}

fn default(call: &ApiCall, _: Nothing) -> Reply<DefaultAnswer> {
    let verbs = verbs(call)?;
    call.wait(verbs.set_default(call.id(), &[]))?;
    Ok(DefaultAnswer { default: verbs.defaults()? })
}

fn key(call: &ApiCall, _: Nothing) -> Reply<DoneOnPage> {
    let changes = ProviderChanges { token: Some(NewTokenSource::Given), ..ProviderChanges::default() };
    let name = provider_name(call.id())?;
    let changed = call.wait(verbs(call)?.edit(&name, &changes, &call.person))?;
    let mut done = vec![format!("{name} has another key")];
    done.extend(changed.notes);
    Ok(DoneOnPage { done })
}

/// The pools
#[derive(Debug, Serialize, JsonSchema)]
struct PoolAnswers {
    /// The pools
    pools: Vec<PoolSummary>,
    /// The problems of others
    problems: Vec<String>,
}

fn pool_list(call: &ApiCall) -> Reply<PoolAnswers> {
    let (pools, problems) = verbs(call)?.pools()?;
    Ok(PoolAnswers { pools, problems })
}

fn pool(call: &ApiCall) -> Reply<PoolDetails> {
    Ok(pools::show(call.home(), &verbs(call)?, call.id())?)
}

/// A new pool
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PoolOnPage {
    /// Its name, which no provider has
    name: String,
    /// Its members, the preferred one first: `PROVIDER` or `PROVIDER=MODEL`
    members: Vec<String>,
    /// How it chooses a member for a new session: order, round-robin, least-busy
    choose: Option<String>,
}

fn malformed(problem: impl std::fmt::Display) -> NoAnswer {
    NoAnswer::Malformed(problem.to_string())
}

fn add_pool(call: &ApiCall, new: PoolOnPage) -> Reply<PoolSummary> {
    let order = new.choose.as_deref().map(str::parse::<PoolOrder>).transpose().map_err(malformed)?;
    let members = new.members.iter().map(|member| member.parse::<PoolMember>()).collect::<Result<_, _>>();
    let members = members.map_err(malformed)?;
    let pool = ProviderPool { name: provider_name(&new.name)?, members, order: order.unwrap_or_default() };
    call.wait(call.person.agree(&pools::plan(&pool), &[]))?;
    Ok(verbs(call)?.add_pool(&pool)?)
}

fn remove_pool(call: &ApiCall) -> Reply<DoneOnPage> {
    pools::remove(call.home(), &verbs(call)?, call.id())?;
    Ok(DoneOnPage::of(format!("removed {}", call.id())))
}

fn reset_pool(call: &ApiCall, _: Nothing) -> Reply<PoolSummary> {
    Ok(pools::reset(call.home(), &verbs(call)?, call.id())?)
}

/// The budgets
#[derive(Debug, Serialize, JsonSchema)]
struct BudgetAnswers {
    /// The budgets
    #[serde(flatten)]
    list: BudgetList,
    /// The loss in the book that they are counted by
    loss: Option<String>,
}

fn budget_list(call: &ApiCall) -> Reply<BudgetAnswers> {
    let (list, loss) = budgets::list(call.home())?;
    Ok(BudgetAnswers { list, loss: loss.map(|loss| loss.to_string()) })
}

/// A budget, as `aiw budget set` takes it
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct BudgetOnPage {
    /// Its name
    name: String,
    /// How much, in US dollars
    usd: Option<String>,
    /// How much, in tokens, if not in dollars
    tokens: Option<u64>,
    /// For which time, in UTC: day, month
    per: Option<String>,
    /// Only for what this provider or pool is asked; `own` is the CLIs' own login
    provider: Option<String>,
    /// Whether it is for runs in this project alone
    #[serde(default)]
    here: bool,
    /// Whether nothing new starts once it is used up
    #[serde(default)]
    refuse: bool,
}

fn set_budget(call: &ApiCall, new: BudgetOnPage) -> Reply<BudgetSet> {
    let limit = match (new.usd, new.tokens) {
        (Some(usd), None) => BudgetLimit::Dollars(Budget::read_dollars(&usd).map_err(malformed)?),
        (None, Some(tokens)) => BudgetLimit::Tokens(tokens),
        _ => return Err(malformed("a budget has either `usd` or `tokens`")),
    };
    let period = new.per.as_deref().unwrap_or("month").parse::<BudgetPeriod>().map_err(malformed)?;
    let budget = Budget {
        name: Budget::read_name(&new.name).map_err(malformed)?,
        limit,
        period,
        provider: new.provider,
        project: new.here.then(|| call.client.cwd().to_owned()),
        refuses: new.refuse,
    };
    call.wait(call.person.agree(&budgets::plan(call.home(), &budget)?, &[]))?;
    Ok(budgets::set(call.home(), &budget)?)
}

fn remove_budget(call: &ApiCall) -> Reply<DoneOnPage> {
    budgets::remove(call.home(), call.id())?;
    Ok(DoneOnPage::of(format!("removed {}", call.id())))
}

fn usage(call: &ApiCall) -> Reply<UsageAnswer> {
    let by = match call.word("by") {
        None => By::Day,
        Some(word) => word.parse().map_err(|_| NoAnswer::Malformed(format!("`by` can't be `{word}`")))?,
    };
    Ok(accounts::sums(call.home(), by, call.number("since")?, |_| true)?)
}
