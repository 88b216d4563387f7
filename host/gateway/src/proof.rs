//! How the gateway of runs proves that it is ours.

use aiw_core::hex;
use sha2::{Digest, Sha256};

/// The path at which it does, before a word that the asker made up.
pub(crate) const PROOF_PATH_PREFIX: &str = "/aiw-gateway/";

/// Returns what only a gateway that knows the key can say of a word.
pub(crate) fn compute_proof(key: &str, nonce: &str) -> String {
    hex(&Sha256::digest(format!("{key}\0{nonce}")))
}
