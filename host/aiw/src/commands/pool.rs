//! `aiw pool …`

use aiw_app::gateways;
use aiw_core::{ErrorKind, one_line};
use aiw_gateway::{Resting, forget_pool, resting};
use aiw_home::{Home, ProviderPool, rfc3339};
use aiw_providers::{PoolMemberSummary, PoolSummary};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::each::{FailedName, remove_each};
use crate::cli::pool::PoolCommand;
use crate::components::session;
use crate::failure::Failure;
use crate::output::Output;

/// `aiw pool show`
#[derive(Serialize, JsonSchema)]
pub struct PoolDetails {
    /// The fields of lists.
    #[serde(flatten)]
    pub pool: PoolSummary,
    /// The members that are not asked for a while
    pub resting: Vec<PoolRest>,
}

/// A member of a pool that is not asked for a while.
#[derive(Serialize, JsonSchema)]
pub struct PoolRest {
    /// The provider
    pub provider: String,
    /// The model, if the provider's others are asked
    pub model: Option<String>,
    /// Until when, in RFC 3339 format
    pub until: String,
    /// What the provider said
    pub why: String,
}

impl PoolRest {
    /// What rests, as it is shown.
    pub fn of(resting: Resting) -> Self {
        let Resting { provider, model, until, why } = resting;
        Self { provider, model, until: rfc3339(until), why }
    }

    /// Returns it as a line.
    pub fn line(&self) -> String {
        let model = self.model.as_ref().map(|model| format!(" with {}", one_line(model, 80))).unwrap_or_default();
        format!("{}{model} rests until {}: {}", self.provider, self.until, one_line(&self.why, 120))
    }
}

/// `aiw pool remove`
#[derive(Serialize, JsonSchema)]
pub struct PoolRemove {
    /// The pools that were removed
    pub removed: Vec<RemovedPool>,
    /// The pools that could not be removed
    pub failed: Vec<FailedName>,
}

/// A pool that was removed.
#[derive(Serialize, JsonSchema)]
pub struct RemovedPool {
    /// Its name
    pub name: String,
}

pub async fn run(command: PoolCommand, output: &Output) -> Result<(), Failure> {
    let client = session(output)?;
    let providers = client.providers()?;
    client.notes().iter().for_each(|note| output.note(note));
    let home = client.home();
    match command {
        PoolCommand::Add { name, members, choose } => {
            let pool = providers.add_pool(&ProviderPool { name, members, order: choose })?;
            said("Added", &pool, output);
        }
        PoolCommand::Edit { name, members, choose } => {
            said("Changed", &providers.edit_pool(&name, members, choose)?, output);
        }
        PoolCommand::Remove { names } => {
            let (removed, failures) = remove_each(&names, output, |name| {
                gateways::serves_none(home, name)?;
                providers.remove_pool(name)?;
                // What was known of it means nothing to another pool of that name.
                let _ = forget_pool(home, name);
                output.line(format!("Removed pool `{}`", one_line(name, 80)));
                Ok(RemovedPool { name: name.to_owned() })
            });
            return output.conclude(PoolRemove { removed, failed: failures.failed }, failures.first);
        }
        PoolCommand::List => {
            let (pools, problems) = providers.pools()?;
            problems.iter().for_each(|problem| output.note(problem));
            if pools.is_empty() {
                output.line("no pools: `aiw pool add NAME PROVIDER…` adds one");
            } else {
                let row = |pool: &PoolSummary| vec![pool.name.clone(), members(pool), pool.choose.to_owned()];
                output.table(&["NAME", "MEMBERS", "CHOOSES"], &pools.iter().map(row).collect::<Vec<_>>());
            }
            output.answer(json!({"pools": pools}));
        }
        PoolCommand::Show { name } => show(home, providers.pool(&name)?, output),
        PoolCommand::Reset { name } => {
            let pool = providers.pool(&name)?;
            forget_pool(home, &pool.name)
                .map_err(|e| Failure::new(ErrorKind::Unavailable, format!("what rests can't be forgotten: {e}")))?;
            output.line(format!("All members of pool `{}` are asked again", pool.name));
            output.answer(json!({"pool": pool}));
        }
    }
    Ok(())
}

fn members(pool: &PoolSummary) -> String {
    let member = |member: &PoolMemberSummary| match &member.model {
        Some(model) => format!("{}={model}", member.provider),
        None => member.provider.clone(),
    };
    pool.members.iter().map(member).collect::<Vec<_>>().join(", ")
}

fn said(word: &str, pool: &PoolSummary, output: &Output) {
    output.line(format!("{word} pool `{}` of {}", pool.name, members(pool)));
    output.answer(json!({"pool": pool}));
}

fn show(home: &Home, pool: PoolSummary, output: &Output) {
    output.line(format!("{}: {}", pool.name, members(&pool)));
    output.line(format!("  chooses by: {}", pool.choose));
    if !pool.default_for.is_empty() {
        let clis: Vec<String> = pool.default_for.iter().map(ToString::to_string).collect();
        output.line(format!("  default for: {}", clis.join(", ")));
    }
    for gone in pool.members.iter().filter(|member| !member.exists) {
        output.line(format!("  there is no provider `{}`", gone.provider));
    }
    let resting: Vec<PoolRest> = resting(home, &pool.name).into_iter().map(PoolRest::of).collect();
    resting.iter().for_each(|rest| output.line(format!("  {}", rest.line())));
    output.answer(json!({"pool": PoolDetails { pool, resting }}));
}
