//! `aiw pool …`

use aiw_app::pools::{self, PoolDetails};
use aiw_core::one_line;
use aiw_home::{Home, ProviderPool};
use aiw_providers::{PoolMemberSummary, PoolSummary};
use schemars::JsonSchema;
use serde::Serialize;

use super::each::{FailedName, remove_each};
use crate::cli::pool::PoolCommand;
use crate::components::session;
use crate::failure::CliError;
use crate::output::{Output, single_entry_map};

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

pub async fn run(command: PoolCommand, home: &Home, output: &Output) -> Result<(), CliError> {
    let client = session(home, output)?;
    let providers = client.providers()?;
    client.notes().iter().for_each(|note| output.note(note));
    match command {
        PoolCommand::Add { name, members, strategy: choose } => {
            let pool = providers.add_pool(&ProviderPool { name, members, order: choose })?;
            said("Added", &pool, output);
        }
        PoolCommand::Edit { name, members, strategy: choose } => {
            said("Changed", &providers.edit_pool(&name, members, choose)?, output);
        }
        PoolCommand::Remove { names } => {
            let (removed, failures) = remove_each(&names, output, |name| {
                pools::remove(home, &providers, name)?;
                output.line(format!("Removed pool `{}`", one_line(name, 80)));
                Ok(RemovedPool { name: name.to_owned() })
            });
            return output.set_json_or_error(PoolRemove { removed, failed: failures.failed }, failures.first_error);
        }
        PoolCommand::List => {
            let (pools, problems) = providers.pools()?;
            problems.iter().for_each(|problem| output.note(problem));
            if pools.is_empty() {
                output.line("no pools: `aiw pool add NAME PROVIDER…` adds one");
            } else {
                let row = |pool: &PoolSummary| vec![pool.name.clone(), members(pool), pool.strategy.to_owned()];
                output.table(&["NAME", "MEMBERS", "CHOOSES"], &pools.iter().map(row).collect::<Vec<_>>());
            }
            output.set_json(single_entry_map("pools", pools));
        }
        PoolCommand::Show { name } => show(pools::show(home, &providers, &name)?, output),
        PoolCommand::Reset { name } => {
            let pool = pools::reset(home, &providers, &name)?;
            output.line(format!("All members of pool `{}` are asked again", pool.name));
            output.set_json(single_entry_map("pool", pool));
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
    output.set_json(single_entry_map("pool", pool));
}

fn show(details: PoolDetails, output: &Output) {
    let pool = &details.pool;
    output.line(format!("{}: {}", pool.name, members(pool)));
    output.line(format!("  strategy: {}", pool.strategy));
    if !pool.default_for.is_empty() {
        let clis: Vec<String> = pool.default_for.iter().map(ToString::to_string).collect();
        output.line(format!("  default for: {}", clis.join(", ")));
    }
    for gone in pool.members.iter().filter(|member| !member.exists) {
        output.line(format!("  there is no provider `{}`", gone.provider));
    }
    details.cooldowns.iter().for_each(|rest| output.line(format!("  {}", rest.line())));
    output.set_json(single_entry_map("pool", details));
}
