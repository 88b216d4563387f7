//! The browser with invented plugins, to try it by hand or in a pseudo-terminal.
//!
//! `cargo run -p aiw-tui --example browse -- [how many]`. Installing `panic-*` panics.

use std::process::ExitCode;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use aiw_core::Secret;
use aiw_tui::{
    Backend, BackendError, BrowserOptions, Plugin, PluginServer, Preview, ScreenError, StepProgress, browse,
};
use parking_lot::Mutex;

struct Invented(Mutex<Vec<Plugin>>);

impl Invented {
    fn change(&self, id: &str, change: impl Fn(&mut Plugin)) {
        let mut plugins = self.0.lock();
        plugins.iter_mut().filter(|plugin| plugin.id == id).for_each(change);
    }
}

impl Backend for Invented {
    fn plugins(&self) -> Result<Vec<Plugin>, BackendError> {
        Ok(self.0.lock().clone())
    }

    fn preview(&self, id: &str, _: &dyn Fn(StepProgress)) -> Result<Preview, BackendError> {
        sleep(Duration::from_millis(200));
        let warnings = vec!["`TOKEN` is not set".to_owned()];
        Ok(Preview {
            lines: vec![format!("server of {id} (stdio) runs: npx -y {id}")],
            warnings,
            questions: Vec::new(),
        })
    }

    fn install(
        &self,
        id: &str,
        _: Vec<(String, Secret)>,
        progress: &dyn Fn(StepProgress),
    ) -> Result<String, BackendError> {
        for done in 0..20 {
            progress(StepProgress { label: "fetching".to_owned(), done, total: Some(20) });
            sleep(Duration::from_millis(50));
        }
        #[expect(clippy::panic, reason = "shows what a panic on a worker does")]
        if id.starts_with("panic") {
            panic!("asked for");
        }
        self.change(id, |plugin| (plugin.installed, plugin.enabled) = (true, true));
        Ok(format!("Installed `{id}`"))
    }

    fn remove(&self, id: &str, _: &dyn Fn(StepProgress)) -> Result<String, BackendError> {
        self.change(id, |plugin| plugin.installed = false);
        Ok(format!("Removed `{id}`"))
    }

    fn set_enabled(&self, id: &str, enabled: bool) -> Result<String, BackendError> {
        self.change(id, |plugin| plugin.enabled = enabled);
        Ok(format!("{} `{id}`", if enabled { "Enabled" } else { "Disabled" }))
    }
}

fn main() -> ExitCode {
    let count = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(300);
    let plugins = (0..count).map(|n: usize| {
        let name = format!("{}-{n}", ["github", "time", "panic", "日本語", "weather"][n % 5]);
        let market = ["official", "acme"][n % 2].to_owned();
        Plugin {
            id: format!("{name}@{market}"),
            description: format!("What {name} is for \u{1b}[31min many words. ").repeat(4),
            category: Some(["development", "data"][n % 2].to_owned()),
            kinds: Some(vec!["mcp".to_owned(), "skills".to_owned()]),
            source: format!("github:{market}/{name}"),
            servers: vec![PluginServer {
                name: name.clone(),
                transport: "stdio".to_owned(),
                target: format!("npx -y @acme/{name}"),
            }],
            name,
            market,
            ..Plugin::default()
        }
    });
    let options = BrowserOptions { color: std::env::var_os("NO_COLOR").is_none(), ..BrowserOptions::default() };
    match browse(Arc::new(Invented(Mutex::new(plugins.collect()))), options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(ScreenError::Signal(signal)) => ExitCode::from(u8::try_from(128 + signal).unwrap_or(1)),
        Err(ScreenError::Terminal { .. }) => ExitCode::from(69),
    }
}
