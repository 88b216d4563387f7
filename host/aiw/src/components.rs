//! The components inside the binary, and the application over them.

use std::sync::Arc;

use aiw_app::{App, BundledComponent, BundledScripts, ClientSession};
use aiw_extensions::World;
use aiw_home::Home;
use aiw_markets::Observer;

use crate::failure::CliError;
use crate::output::Output;

/// Read when they are asked for: most commands need one, or none.
const BUNDLED_COMPONENTS: [BundledComponent; 9] = [
    market("market-github", include_bytes!(env!("AIW_COMPONENT_MARKET_GITHUB"))),
    market("market-local", include_bytes!(env!("AIW_COMPONENT_MARKET_LOCAL"))),
    market("market-remote", include_bytes!(env!("AIW_COMPONENT_MARKET_REMOTE"))),
    provider("provider-anthropic", include_bytes!(env!("AIW_COMPONENT_PROVIDER_ANTHROPIC"))),
    provider("provider-gateway", include_bytes!(env!("AIW_COMPONENT_PROVIDER_GATEWAY"))),
    provider("provider-google", include_bytes!(env!("AIW_COMPONENT_PROVIDER_GOOGLE"))),
    provider("provider-openai", include_bytes!(env!("AIW_COMPONENT_PROVIDER_OPENAI"))),
    registry("registry-official", include_bytes!(env!("AIW_COMPONENT_REGISTRY_OFFICIAL"))),
    registry("registry-smithery", include_bytes!(env!("AIW_COMPONENT_REGISTRY_SMITHERY"))),
];

/// The runtime of scripts. It is decompressed for the first script.
const BUNDLED_SCRIPTS: BundledScripts = BundledScripts {
    component: include_bytes!(env!("AIW_SCRIPTS_COMPONENT")),
    code: include_bytes!(env!("AIW_SCRIPTS_CODE")),
    sha256: include_str!(env!("AIW_SCRIPTS_SHA256")),
};

/// Whether a component is a part of aiw.
pub fn is_bundled(id: &str) -> bool {
    BUNDLED_COMPONENTS.iter().any(|bundled| bundled.id == id)
}

const fn market(id: &'static str, bytes: &'static [u8]) -> BundledComponent {
    BundledComponent { id, world: World::MarketSource, bytes }
}

const fn provider(id: &'static str, bytes: &'static [u8]) -> BundledComponent {
    BundledComponent { id, world: World::Provider, bytes }
}

const fn registry(id: &'static str, bytes: &'static [u8]) -> BundledComponent {
    BundledComponent { id, world: World::RegistrySource, bytes }
}

/// The application over a home.
pub fn app(home: &Home, observer: Arc<dyn Observer>) -> Arc<App> {
    aiw_app::set_listing(aiw_offer::listing_choices);
    App::open(home.clone(), &BUNDLED_COMPONENTS, BUNDLED_SCRIPTS, observer)
}

/// The client that this command is.
pub fn session(home: &Home, output: &Output) -> Result<Arc<ClientSession>, CliError> {
    Ok(ClientSession::from_app(app(home, output.observer()))?)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    /// ELF's number of the processor that wasmtime's code is for, from the header of the code on each system.
    const MACHINE: u16 = if cfg!(target_arch = "x86_64") { 62 } else { 183 };

    #[test]
    fn the_code_that_runs_scripts_is_for_this_processor() {
        let mut code = Vec::new();
        lzma_rust2::XzReader::new(BUNDLED_SCRIPTS.code, false).read_to_end(&mut code).unwrap();
        assert_eq!((&code[..4], u16::from_le_bytes([code[18], code[19]])), (&b"\x7fELF"[..], MACHINE));
    }

    #[test]
    fn bundled_components_are_what_they_are_listed_as() {
        for component in BUNDLED_COMPONENTS {
            let about = aiw_extensions::inspect(component.bytes).unwrap();
            assert_eq!((about.manifest.id.as_str(), about.worlds), (component.id, vec![component.world]));
        }
    }
}
