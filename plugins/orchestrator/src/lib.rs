//! Runs scripts over tools. The engine is Boa, which cannot be contained in the host's own process: it runs here, in a
//! component that has nothing but the calls of its contract. A runtime runs one script, and is thrown away.
//!
//! `source` makes a function of what was written, `globals` is what a script finds beside the language, `tools` is the
//! border: names, arguments and results cross it once, as text. `jobs` decides what runs next.

mod builtins;
mod dates;
mod globals;
mod jobs;
mod json;
mod late;
mod locale;
mod randomness;
mod repairs;
mod runtime;
mod source;
mod tools;
mod types;

#[expect(clippy::too_many_arguments, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({ path: "../../wit/orchestrator", world: "orchestrator" });
}

pub(crate) use bindings::aiw::orchestrator::calls;
pub(crate) use bindings::{Checked, Failure, FailureKind, Start, Tool};

use crate::runtime::Runtime;

struct Orchestrator;

impl bindings::Guest for Orchestrator {
    fn warm() {
        Runtime::warm();
    }

    fn check(source: String, tools: Vec<Tool>) -> Result<Checked, Failure> {
        let prepared = source::prepare(&source)?;
        Ok(Checked { tools: source::referenced_tools(&prepared, &tools)? })
    }

    fn run(start: Start) -> Result<String, Failure> {
        Runtime::take()?.run(start)
    }
}

bindings::export!(Orchestrator with_types_in bindings);

impl Failure {
    /// A failure that no call is to blame for.
    pub(crate) fn new(kind: FailureKind, message: impl Into<String>, line: Option<u32>) -> Self {
        Self { kind, message: message.into(), line, tool: None }
    }
}
