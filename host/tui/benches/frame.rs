//! Measures the cost of a frame of a screen and of the browser. Prints rows of `what, measured,
//! unit` for `cargo xtask bench`.

#![expect(clippy::print_stdout, reason = "a bench prints a table")]

use std::time::{Duration, Instant};

use aiw_tui::bench::BenchFrame;
use aiw_tui::{Plugin, PluginServer, ScreenFrame};

fn main() {
    let plugin = |n: usize| Plugin {
        id: format!("plugin-{n}@market-{}", n % 5),
        name: format!("plugin-{n}"),
        market: format!("market-{}", n % 5),
        version: Some("1.0.0".into()),
        description: format!(
            "What plugin {n} is for, in words enough to fill two lines of the details beside the list"
        )
        .repeat(2),
        category: Some(["development", "design", "data"][n % 3].into()),
        kinds: Some(vec!["mcp".into(), "skills".into()]),
        source: format!("github:owner/repo-{n}"),
        servers: vec![PluginServer { name: "s".into(), transport: "stdio".into(), target: "npx -y server".into() }],
        ..Plugin::default()
    };
    let mut frame = BenchFrame::new((0..5_000).map(plugin).collect(), 200, 60);
    let mut frames: Vec<Duration> = (0..2_000)
        .map(|_| {
            let start = Instant::now();
            frame.draw();
            start.elapsed()
        })
        .collect();
    frames.sort();
    let median = |mut all: Vec<Duration>| {
        all.sort();
        all[all.len() / 2].as_secs_f64() * 1e3
    };
    let Some(mut screen) = ScreenFrame::new(1_000, 200, 60) else { return };
    let timed = |act: &mut dyn FnMut(usize)| -> Vec<Duration> {
        let one = |turn| {
            let start = Instant::now();
            act(turn);
            start.elapsed()
        };
        (0..1_000).map(one).collect()
    };
    println!("screen frame, 200x60, 1,000 tasks\t{:.2}\tms", median(timed(&mut |_| screen.step())));
    println!("screen frame, all of them read anew\t{:.2}\tms", median(timed(&mut |turn| screen.refresh(turn))));
    println!("browse frame, 200x60, 5,000 plugins\t{:.2}\tms", frames[frames.len() / 2].as_secs_f64() * 1e3);
}
