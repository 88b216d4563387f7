//! YAML, read within limits, and written so that it is read as it was meant.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Reads a document of YAML that a person wrote. The error is one line.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    parse_within(text, 10_000)
}

/// Reads a document of YAML with at most so many nodes. The error is one line.
pub fn parse_within<T: DeserializeOwned>(text: &str, nodes: usize) -> Result<T, String> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 16,
            flow_nesting_limit: 16,
            max_documents: 1,
            max_events: nodes,
            max_nodes: nodes,
            max_aliases: 100,
            max_anchors: 100,
            max_merge_keys: 100,
            max_recorded_anchor_events: 10_000,
            max_total_scalar_bytes: 1 << 20,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 10_000,
            max_replay_stack_depth: 8,
        },
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|e| aiw_core::one_line(&e.to_string(), 200))
}

/// Writes a document of YAML. The error is one line.
pub fn write<T: Serialize>(value: &T) -> Result<String, String> {
    serde_saphyr::to_string(value).map_err(|e| aiw_core::one_line(&e.to_string(), 200))
}
