//! Pools: several providers under one name.

use aiw_core::{CliKind, ProviderName};
use aiw_home::{PoolMember, PoolStrategy, ProviderPool, ProvidersFile};
use schemars::JsonSchema;
use serde::Serialize;

use crate::edit::check_name_available;
use crate::{ProviderError, Providers};

/// A pool as it is shown.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PoolSummary {
    /// Its name
    pub name: String,
    /// Its members, the preferred one first
    pub members: Vec<PoolMemberSummary>,
    /// How it chooses a member for a new session
    #[schemars(extend("enum" = ["priority", "round-robin", "least-busy"]))]
    pub strategy: &'static str,
    /// The CLIs that it is the default for
    #[schemars(with = "Vec<String>")]
    pub default_for: Vec<CliKind>,
}

/// A member of a pool.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PoolMemberSummary {
    /// The provider
    pub provider: String,
    /// Its model in this pool; null for the provider's own
    pub model: Option<String>,
    /// Whether there is such a provider
    pub exists: bool,
}

impl Providers {
    /// All pools, and one sentence for each that can't be read.
    pub fn pools(&self) -> Result<(Vec<PoolSummary>, Vec<String>), ProviderError> {
        let file = self.file()?;
        let problem = |bad: &aiw_home::ProviderProblem| {
            format!("pool `{}` in providers.json {}", aiw_core::one_line(&bad.name, 60), bad.problem)
        };
        let problems = file.pool_problems().iter().map(problem).collect();
        Ok((file.pools().iter().map(|pool| self.pool_summary(&file, pool)).collect(), problems))
    }

    /// One pool.
    pub fn pool(&self, name: &str) -> Result<PoolSummary, ProviderError> {
        let file = self.file()?;
        Ok(self.pool_summary(&file, known(&file, name)?))
    }

    /// Adds a pool of providers that exist.
    pub fn add_pool(&self, pool: &ProviderPool) -> Result<PoolSummary, ProviderError> {
        let lock = self.home.lock()?;
        let mut file = self.file()?;
        check_name_available(&file, &pool.name)?;
        self.write_pool(&mut file, pool)?;
        file.save(&lock)?;
        Ok(self.pool_summary(&file, pool))
    }

    /// Changes a pool: its members, all of them, or how it chooses.
    pub fn edit_pool(
        &self,
        name: &str,
        members: Vec<PoolMember>,
        order: Option<PoolStrategy>,
    ) -> Result<PoolSummary, ProviderError> {
        let lock = self.home.lock()?;
        let mut file = self.file()?;
        let before = known(&file, name)?.clone();
        let members = if members.is_empty() { before.members.clone() } else { members };
        let pool = ProviderPool { members, order: order.unwrap_or(before.order), ..before.clone() };
        if pool == before {
            return Err(ProviderError::PoolUnchanged);
        }
        self.write_pool(&mut file, &pool)?;
        file.save(&lock)?;
        Ok(self.pool_summary(&file, &pool))
    }

    /// Removes a pool. Its members stay.
    pub fn remove_pool(&self, name: &str) -> Result<(), ProviderError> {
        let lock = self.home.lock()?;
        let mut file = self.file()?;
        if !file.remove_pool(name)? {
            known(&file, name)?;
        }
        Ok(file.save(&lock)?)
    }

    fn write_pool(&self, file: &mut ProvidersFile, pool: &ProviderPool) -> Result<(), ProviderError> {
        if let Some(problem) = pool.problem() {
            return Err(ProviderError::InvalidPool { name: pool.name.clone(), problem });
        }
        for member in &pool.members {
            if file.pools().iter().any(|other| other.name == member.provider) {
                let problem = format!("has the member `{}`, which is a pool itself", member.provider);
                return Err(ProviderError::InvalidPool { name: pool.name.clone(), problem });
            }
            Self::get(file, member.provider.as_str())?;
        }
        Ok(file.set_pool(pool)?)
    }

    fn pool_summary(&self, file: &ProvidersFile, pool: &ProviderPool) -> PoolSummary {
        let exists = |name: &ProviderName| file.providers().iter().any(|provider| provider.name == *name);
        let member = |member: &PoolMember| PoolMemberSummary {
            provider: member.provider.to_string(),
            model: member.model.clone(),
            exists: exists(&member.provider),
        };
        let is_default = |cli: &CliKind| file.default_for(*cli) == Some(pool.name.as_str());
        PoolSummary {
            name: pool.name.to_string(),
            members: pool.members.iter().map(member).collect(),
            strategy: pool.order.as_str(),
            default_for: self.clis.all().filter(is_default).collect(),
        }
    }
}

fn known<'f>(file: &'f ProvidersFile, name: &str) -> Result<&'f ProviderPool, ProviderError> {
    file.pool(name)?.ok_or_else(|| ProviderError::UnknownPool {
        name: name.to_owned(),
        known: file.pools().iter().map(|pool| pool.name.to_string()).collect(),
    })
}
