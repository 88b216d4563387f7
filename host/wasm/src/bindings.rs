//! The code that wasmtime generates from `wit/`, which alone defines the contract.

/// Contract 0.1: one world that includes all worlds, so that they share their types.
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
