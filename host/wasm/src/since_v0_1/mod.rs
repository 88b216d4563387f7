//! The bindings of contract 0.1, generated from `wit/`, which alone defines the contract. They convert to the host's own
//! types; no other module names a generated type.

mod host;
mod kinds;
pub(crate) mod market_source;
pub(crate) mod provider;
pub(crate) mod registry_source;

/// One world that includes all worlds, so that they share their types.
mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit/aiw-plugin-0.1",
        inline: "
            package aiw:host;

            world every {
                include aiw:plugin/market-source-extension@0.1.0;
                include aiw:plugin/provider-extension@0.1.0;
                include aiw:plugin/registry-source-extension@0.1.0;
            }
        ",
        world: "aiw:host/every",
        imports: { default: async | trappable },
        exports: { default: async },
        trappable_error_type: { "aiw:plugin/types.error" => crate::host::HostError },
        with: { "aiw:plugin/trees.tree": aiw_net::Tree },
    });
}

pub(crate) use self::generated::aiw::plugin as interfaces;
pub(crate) use self::kinds::check_exports;

use aiw_core::ReferenceForm;

use self::generated::aiw::plugin::types;
use crate::error::{CallFailure, CallRejection, ComponentReason};
use crate::invalid_response::{InvalidResponse, check_count, validate_line_bytes};

const MAX_FORM_LEN: usize = 200;
const MAX_FORMS: usize = 32;

/// Checks the forms of references that a component names.
fn reference_forms(
    what: &'static str,
    forms: Vec<types::ReferenceForm>,
) -> Result<Vec<ReferenceForm>, InvalidResponse> {
    check_count(MAX_FORMS, forms.len(), what)?;
    let form = |form: types::ReferenceForm| {
        Ok(ReferenceForm {
            form: validate_line_bytes("a form", form.form, MAX_FORM_LEN)?,
            example: validate_line_bytes("an example", form.example, MAX_FORM_LEN)?,
        })
    };
    forms.into_iter().map(form).collect()
}

impl From<CallRejection> for types::Error {
    fn from(CallRejection { reason: refusal, message }: CallRejection) -> Self {
        match refusal {
            ComponentReason::Invalid => Self::Invalid(message),
            ComponentReason::NotFound => Self::NotFound(message),
            ComponentReason::Denied => Self::Denied(message),
            ComponentReason::Unavailable { retry_after } => {
                Self::Unavailable(types::Unavailability { message, retry_after })
            }
            ComponentReason::Malformed => Self::Malformed(message),
        }
    }
}

impl From<types::Error> for CallFailure {
    fn from(error: types::Error) -> Self {
        let (refusal, message) = match error {
            types::Error::Invalid(message) => (ComponentReason::Invalid, message),
            types::Error::NotFound(message) => (ComponentReason::NotFound, message),
            types::Error::Denied(message) => (ComponentReason::Denied, message),
            types::Error::Unavailable(far) => {
                (ComponentReason::Unavailable { retry_after: far.retry_after }, far.message)
            }
            types::Error::Malformed(message) => (ComponentReason::Malformed, message),
        };
        Self::Rejected(CallRejection { reason: refusal, message })
    }
}
