//! What all requests share.

use std::collections::HashMap;
use std::sync::Arc;

use aiw_core::ProcessId;
use aiw_events::{EventKind, EventLog, EventSubject, HomeEvent};
use aiw_home::Home;
use aiw_net::HttpClient;
use aiw_providers::{HealthChange, record_key_state};
use parking_lot::Mutex;

use crate::error::GatewayError;
use crate::in_flight::InFlight;
use crate::ledger::Ledger;
use crate::route::GatewayRoute;
use crate::routes::{RouteError, Routes};
use crate::token_counts::CachedTokenCounts;

/// The most models of which it is remembered what they refuse.
const MAX_REMEMBERED_MODELS: usize = 1_000;

/// Says a sentence about a task, or about no task that is known.
pub type NotifyFn = Box<dyn Fn(Option<ProcessId>, &str) + Send + Sync>;

/// Serves clients.
pub struct Gateway {
    pub(crate) client: HttpClient,
    pub(crate) routes: Arc<dyn Routes>,
    pub(crate) home: Home,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) in_flight: Arc<InFlight>,
    pub(crate) cached_token_counts: CachedTokenCounts,
    /// Held while a member of a pool is picked.
    pub(crate) pick_lock: tokio::sync::Mutex<()>,
    voice: NotifyFn,
    /// A key that only a gateway of this home knows.
    pub(crate) key: Option<String>,
    /// The fields that upstreams have refused, by address and model.
    pub(crate) refused_fields: Mutex<HashMap<(String, String), Vec<String>>>,
    /// Whether each provider accepted its key last, as far as this gateway knows.
    key_states: Arc<Mutex<HashMap<String, bool>>>,
}

impl Gateway {
    /// Makes a gateway for these routes, which books in a home what they use. `voice` says what people should know.
    ///
    /// # Errors
    ///
    /// Fails if there is no way to make connections, or the home can't be written.
    pub fn new(home: &Home, routes: Arc<dyn Routes>, voice: NotifyFn) -> Result<Self, GatewayError> {
        home.make_dir(&home.gateway_dir().join("pools")).map_err(RouteError::from)?;
        Ok(Self {
            client: HttpClient::new()?,
            routes,
            home: home.clone(),
            ledger: Arc::new(Ledger::new(home)),
            in_flight: Arc::default(),
            cached_token_counts: CachedTokenCounts::default(),
            pick_lock: tokio::sync::Mutex::default(),
            voice,
            key: None,
            refused_fields: Mutex::default(),
            key_states: Arc::default(),
        })
    }

    /// Says a sentence about a route's run.
    pub(crate) fn notify(&self, route: &GatewayRoute, sentence: &str) {
        (self.voice)(self.routes.task(&route.token), sentence);
    }

    /// Lets it prove that it is the gateway of a home.
    #[must_use]
    pub(crate) fn with_key(self, key: String) -> Self {
        Self { key: Some(key), ..self }
    }

    /// Notes whether a provider accepts its key, if that is news: for the list of what needs a person, and as an event.
    pub(crate) fn note_key_state(&self, provider: &str, is_accepted: bool) {
        if self.key_states.lock().get(provider) == Some(&is_accepted) {
            return;
        }
        let (home, provider, states) = (self.home.clone(), provider.to_owned(), self.key_states.clone());
        // Nobody waits for it, and what can't be written is no reason to fail a request: the next one tries again.
        tokio::task::spawn_blocking(move || {
            let Ok(change) = record_key_state(&home, &provider, is_accepted) else { return };
            states.lock().insert(provider.clone(), is_accepted);
            let Some(change) = change else { return };
            let (kind, reason) = match change {
                HealthChange::Failed(reason) => (EventKind::Unhealthy, Some(reason)),
                HealthChange::Recovered => (EventKind::Recovered, None),
            };
            let name = Some(provider);
            let _ = EventLog::new(home.root()).add(&HomeEvent {
                name,
                reason,
                ..HomeEvent::now(kind, EventSubject::Provider)
            });
        });
    }

    pub(crate) fn refused_fields_for(&self, url: &str, model: &str) -> Vec<String> {
        let refused = self.refused_fields.lock();
        refused.get(&(url.to_owned(), model.to_owned())).cloned().unwrap_or_default()
    }

    pub(crate) fn remember_refused_fields(&self, url: &str, model: &str, fields: Vec<String>) {
        if fields.is_empty() {
            return;
        }
        let mut refused = self.refused_fields.lock();
        // Clients name the models.
        if refused.len() >= MAX_REMEMBERED_MODELS {
            refused.clear();
        }
        let known = refused.entry((url.to_owned(), model.to_owned())).or_default();
        known.extend(fields.into_iter().filter(|field| !known.contains(field)).collect::<Vec<_>>());
    }
}
