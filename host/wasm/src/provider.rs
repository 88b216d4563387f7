//! Components that connect to API providers: the kind `provider`, with every answer checked.
//!
//! A component's answer is hostile until it is checked. Counts and lengths are limited, names must be valid, and an
//! intent may use only what its account has.

use futures::future::BoxFuture;
use std::collections::BTreeMap;

use aiw_core::Secret;
use aiw_core::provider::{Account, Health, Intent, Model, ProviderInfo, Target};
use aiw_extensions::World;

use crate::budget::{BoundSecret, Purpose};
use crate::component::Component;
use crate::error::CallError;
use crate::reach::CallPermissions;
use crate::since_v0_1::provider::Guest;

/// Returns what a call for a provider may reach: its addresses, and its secrets bound to those addresses.
fn reach(account: &Account, secrets: &BTreeMap<String, Secret>) -> CallPermissions {
    let urls = |granted: bool| {
        let of =
            account.base_urls.iter().filter(move |(family, _)| account.trusted_families.contains(family) == granted);
        of.map(|(_, url)| url.clone()).collect::<Vec<_>>()
    };
    let all: Vec<String> = account.base_urls.values().cloned().collect();
    let secrets = secrets.iter().filter(|(name, _)| account.secrets.contains(*name));
    let bound = |value: &Secret| BoundSecret { value: value.clone(), urls: all.clone() };
    CallPermissions {
        secrets: secrets.map(|(name, value)| (name.clone(), bound(value))).collect(),
        urls: urls(true),
        public_urls: urls(false),
        ..CallPermissions::default()
    }
}

/// A component as a kind of API provider.
pub struct Provider<'c>(&'c Component);

impl Component {
    /// Returns the component as a kind of API provider, if it is one.
    pub fn provider(&self) -> Result<Provider<'_>, CallError> {
        self.check_kind(World::Provider)?;
        Ok(Provider(self))
    }
}

impl Provider<'_> {
    /// Returns what the component can speak to.
    pub fn describe(&self) -> BoxFuture<'_, Result<ProviderInfo, CallError>> {
        Box::pin(async move {
            let (reach, pure) = (CallPermissions::default(), Purpose::Pure("describe"));
            self.0
                .call(&reach, pure, move |guest: &Guest, store| Box::pin(async move { guest.describe(store).await }))
                .await
        })
    }

    /// Returns what to tell a CLI. During this call, the component cannot send requests or start tasks.
    pub fn plan<'a>(&'a self, account: &'a Account, target: &'a Target) -> BoxFuture<'a, Result<Intent, CallError>> {
        Box::pin(async move {
            let reach = CallPermissions::default();
            let (account, target) = (account.clone(), target.clone());
            self.0
                .call(&reach, Purpose::Plan, move |guest: &Guest, store| {
                    Box::pin(async move { guest.plan(store, &account, &target).await })
                })
                .await
        })
    }

    /// Asks the remote once whether it is reachable and whether the key is good. Secrets that the account does not
    /// name are left out.
    pub fn check<'a>(
        &'a self,
        account: &'a Account,
        secrets: &'a BTreeMap<String, Secret>,
    ) -> BoxFuture<'a, Result<Health, CallError>> {
        Box::pin(async move {
            let (reach, account) = (reach(account, secrets), account.clone());
            self.0
                .call(&reach, Purpose::Query, move |guest: &Guest, store| {
                    Box::pin(async move { guest.check(store, &account).await })
                })
                .await
        })
    }

    /// Returns the models that the remote offers.
    pub fn models<'a>(
        &'a self,
        account: &'a Account,
        secrets: &'a BTreeMap<String, Secret>,
    ) -> BoxFuture<'a, Result<Vec<Model>, CallError>> {
        Box::pin(async move {
            let (reach, account) = (reach(account, secrets), account.clone());
            self.0
                .call(&reach, Purpose::Query, move |guest: &Guest, store| {
                    Box::pin(async move { guest.models(store, &account).await })
                })
                .await
        })
    }
}
