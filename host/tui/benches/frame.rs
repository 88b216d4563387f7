//! Measures the cost of a frame of a screen. Prints rows of `what, measured, unit` for `cargo xtask bench`.

#![expect(clippy::print_stdout, reason = "a bench prints a table")]

use std::time::{Duration, Instant};

use aiw_tui::ScreenFrame;

/// Returns the median of so many turns, in milliseconds.
fn median(turns: usize, mut act: impl FnMut(usize)) -> f64 {
    let mut all: Vec<Duration> = (0..turns)
        .map(|turn| {
            let start = Instant::now();
            act(turn);
            start.elapsed()
        })
        .collect();
    all.sort();
    all[all.len() / 2].as_secs_f64() * 1e3
}

fn main() {
    let Some(mut tasks) = ScreenFrame::with_tasks(1_000, 200, 60) else { return };
    let Some(mut plugins) = ScreenFrame::with_plugins(5_000, 200, 60) else { return };
    println!("screen frame, 200x60, 1,000 tasks\t{:.2}\tms", median(1_000, |_| tasks.step()));
    println!("screen frame, all of them read anew\t{:.2}\tms", median(1_000, |turn| tasks.refresh(turn)));
    println!("browse frame, 200x60, 5,000 plugins\t{:.2}\tms", median(2_000, |_| plugins.step()));
}
