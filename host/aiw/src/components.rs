//! The components inside the binary, and what components are given.

use std::sync::Arc;

use aiw_components::{Bundled, Library};
use aiw_extensions::World;
use aiw_home::{Home, HomeError};
use aiw_markets::{Markets, Observer};
use aiw_net::{Client, Trees};
use aiw_wasm::OnCompile;
use aiw_wasm::capabilities::{Capabilities, SettingsSource, SystemClock};

use crate::component_mcp::ComponentMcp;
use crate::component_meaning::{ComponentModel, ComponentVectors};
use crate::component_tasks::ComponentTasks;
use crate::executable::own_executable;
use crate::failure::Failure;
use crate::logs::FileLog;
use crate::output::Output;

/// Read when they are asked for: most commands need one, or none.
const BUNDLED: [Bundled; 7] = [
    market("market-github", include_bytes!(env!("AIW_COMPONENT_MARKET_GITHUB"))),
    market("market-local", include_bytes!(env!("AIW_COMPONENT_MARKET_LOCAL"))),
    market("market-remote", include_bytes!(env!("AIW_COMPONENT_MARKET_REMOTE"))),
    provider("provider-anthropic", include_bytes!(env!("AIW_COMPONENT_PROVIDER_ANTHROPIC"))),
    provider("provider-gateway", include_bytes!(env!("AIW_COMPONENT_PROVIDER_GATEWAY"))),
    provider("provider-google", include_bytes!(env!("AIW_COMPONENT_PROVIDER_GOOGLE"))),
    provider("provider-openai", include_bytes!(env!("AIW_COMPONENT_PROVIDER_OPENAI"))),
];

const fn market(id: &'static str, bytes: &'static [u8]) -> Bundled {
    Bundled { id, world: World::MarketSource, bytes }
}

const fn provider(id: &'static str, bytes: &'static [u8]) -> Bundled {
    Bundled { id, world: World::Provider, bytes }
}

/// Reads settings.json when a component asks.
struct HomeSettings(Home);

impl SettingsSource for HomeSettings {
    fn get(&self, component: &str, key: &str) -> Option<String> {
        self.0.settings().ok()?.source(component).get(key)
    }
}

/// What every command works with.
pub struct Host {
    pub home: Home,
    pub library: Arc<Library>,
    pub client: Client,
    pub markets: Markets,
}

impl Host {
    /// Wires the rooms together over the user's home.
    pub fn open(output: &Output) -> Result<Self, Failure> {
        Self::open_with(output.observer())
    }

    /// The same, with another listener for progress.
    pub fn open_with(observer: Arc<dyn Observer>) -> Result<Self, Failure> {
        let home = Home::find()?;
        if home.root().is_file() {
            let problem = "is a file where the home directory should be".into();
            return Err(HomeError::Invalid { path: home.root().to_owned(), problem }.into());
        }
        home.recover()?;
        let client = Client::new()?;
        let progress = observer.clone();
        let trees = Trees::new(client.clone(), home.cache("git")).on_progress(Arc::new(move |p| {
            progress.progress("receiving objects", p.received_objects, p.total_objects);
        }));
        let capabilities = Capabilities {
            http: Arc::new(client.clone()),
            trees: Arc::new(trees.clone()),
            clock: Arc::new(SystemClock),
            log: Arc::new(FileLog::new(&home)),
            settings: Arc::new(HomeSettings(home.clone())),
            tasks: Arc::new(ComponentTasks(home.clone())),
            embeddings: Arc::new(ComponentModel::new(home.clone())),
            vectors: Arc::new(ComponentVectors::new(home.clone())),
            mcp: Arc::new(ComponentMcp::new(home.clone(), client.clone())),
            home: home.clone(),
        };
        let library = Library::new(home.clone(), &BUNDLED, capabilities)
            .compile_with(own_executable()?)
            .on_compile(compile_progress(observer.clone()));
        let library = Arc::new(library);
        let markets = Markets::new(home.clone(), library.clone(), client.clone(), trees, observer);
        Ok(Self { home, library, client, markets })
    }
}

/// Shows which component is compiling. One with a JavaScript engine takes up to a minute.
pub fn compile_progress(observer: Arc<dyn Observer>) -> Arc<OnCompile> {
    Arc::new(move |id, time| observer.progress(&format!("compiling {id}: {} s", time.as_secs()), 0, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundled_components_are_what_they_are_listed_as() {
        for component in BUNDLED {
            let about = aiw_extensions::inspect(component.bytes).unwrap();
            assert_eq!((about.manifest.id.as_str(), about.worlds), (component.id, vec![component.world]));
        }
    }
}
