//! What wasmtime generates from `wit/`; nothing else describes the contract.

/// Contract 0.1.
#[expect(missing_docs, reason = "generated; the WIT files carry the documentation")]
pub mod v0_1 {
    wasmtime::component::bindgen!({
        path: "../../wit/aiw-plugin-0.1",
        world: "market-source",
        imports: { default: async | trappable },
        exports: { default: async },
        with: { "aiw:plugin/trees.tree": aiw_net::Tree },
    });
}
