//! What all components of a process share.

use std::sync::Arc;

use aiw_home::Home;
use aiw_net::{HttpClient, Trees};
use aiw_wasm::host::{Capabilities, Mcp, SettingsSource, SystemClock, TaskCapability, TaskStartCapability};

use super::log::FileLog;
use super::meaning::{ComponentModel, ComponentVectors};

/// The state that all components of a process share, whoever calls them.
pub(crate) struct SharedComponentState {
    home: Home,
    client: HttpClient,
    trees: Trees,
    model: Arc<ComponentModel>,
    vectors: Arc<ComponentVectors>,
}

impl SharedComponentState {
    pub(crate) fn new(home: &Home, client: HttpClient, trees: Trees) -> Self {
        let (model, vectors) = (ComponentModel::new(home.clone()), ComponentVectors::new(home.clone()));
        Self { home: home.clone(), client, trees, model: Arc::new(model), vectors: Arc::new(vectors) }
    }

    /// Returns this with what one client may reach.
    pub(crate) fn capabilities<T: TaskCapability + TaskStartCapability + 'static>(
        &self,
        tasks: Arc<T>,
        mcp: Arc<dyn Mcp>,
    ) -> Capabilities {
        Capabilities {
            http: Arc::new(self.client.clone()),
            trees: Arc::new(self.trees.clone()),
            clock: Arc::new(SystemClock),
            log: Arc::new(FileLog::new(&self.home)),
            settings: Arc::new(HomeSettings(self.home.clone())),
            tasks: tasks.clone(),
            task_starts: tasks,
            embeddings: self.model.clone(),
            vectors: self.vectors.clone(),
            mcp,
            cache: Arc::new(self.home.clone()),
        }
    }
}

/// Reads settings.json when a component asks.
struct HomeSettings(Home);

impl SettingsSource for HomeSettings {
    fn get(&self, component: &str, key: &str) -> Option<String> {
        self.0.settings().ok()?.source(component).get(key)
    }
}
