//! What the jobs of pages stand on: the client, a runtime, and what only the binary knows.

use std::sync::{Arc, OnceLock};

use aiw_app::ClientSession;
use aiw_app::doctor::Doctor;
use aiw_core::Diagnostic;
use aiw_home::Home;
use tokio::runtime::Runtime;

use crate::progress::error_line;

/// Looks for what is wrong with the parts of aiw.
pub type Inspector = Arc<dyn Fn(&Home) -> Doctor + Send + Sync>;

/// The client and all else that jobs stand on.
pub(crate) struct AppContext {
    pub(crate) client: Arc<ClientSession>,
    pub(crate) doctor: Inspector,
    runtime: OnceLock<Runtime>,
}

impl AppContext {
    pub(crate) fn new(client: Arc<ClientSession>, doctor: Inspector) -> Self {
        Self { client, doctor, runtime: OnceLock::new() }
    }

    pub(crate) fn home(&self) -> &Home {
        self.client.home()
    }

    /// Waits for work. The runtime is made for the first one; what a client starts lives in it.
    pub(crate) fn block_on<T, E: Diagnostic>(&self, work: impl Future<Output = Result<T, E>>) -> Result<T, String> {
        let runtime = match self.runtime.get() {
            Some(runtime) => runtime,
            None => {
                let mut builder = tokio::runtime::Builder::new_multi_thread();
                let built = builder.worker_threads(1).thread_name("aiw-runtime").enable_all().build();
                let built = built.map_err(|e| format!("the runtime failed to start: {e}"))?;
                self.runtime.get_or_init(|| built)
            }
        };
        runtime.block_on(work).map_err(|e| error_line(&e))
    }
}

impl Drop for AppContext {
    fn drop(&mut self) {
        // A thread that still waits must not hold the process.
        self.runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }
}
