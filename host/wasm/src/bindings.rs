//! What wasmtime generates from `wit/`; nothing else describes the contract.

/// Contract 0.1: one world that holds all of them, so that what they share is one type.
pub(crate) mod v0_1 {
    wasmtime::component::bindgen!({
        path: "../../wit/aiw-plugin-0.1",
        inline: "
            package aiw:host;

            world every {
                include aiw:plugin/market-source@0.1.0;
                include aiw:plugin/provider@0.1.0;
            }
        ",
        world: "aiw:host/every",
        imports: { default: async | trappable },
        exports: { default: async },
        with: { "aiw:plugin/trees.tree": aiw_net::Tree },
    });
}
