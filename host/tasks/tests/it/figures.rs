use crate::environment::*;
use std::time::{Duration, Instant};
#[test]
fn figures() {
    let env = Environment::new();
    println!("{:?}", aiw_tasks::bench::measure(&env.path("bench")).unwrap());
    let mut plain = vec![];
    let mut shim = vec![];
    for _ in 0..100 {
        let s = Instant::now();
        let mut c = std::process::Command::new("/bin/sleep").arg("0").spawn().unwrap();
        plain.push(s.elapsed());
        c.wait().unwrap();
        let s = Instant::now();
        let t = env.start("exec sleep 0");
        shim.push(s.elapsed());
        env.ended(t.id);
    }
    plain.sort();
    shim.sort();
    println!("plain {:?} shim {:?} p95 {:?}", plain[50], shim[50], shim[95]);
    let s = Instant::now();
    let n = env.tasks().list().unwrap().len();
    println!("list of {n}: {:?}", s.elapsed());
    let tasks: Vec<_> = (0..50).map(|_| env.start("exec sleep 100")).collect();
    std::thread::sleep(Duration::from_millis(300));
    let pss: Vec<u64> = tasks
        .iter()
        .map(|t| {
            let roll = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", shim_of(t))).unwrap();
            roll.lines().find(|l| l.starts_with("Pss:")).unwrap().split_whitespace().nth(1).unwrap().parse().unwrap()
        })
        .collect();
    println!("pss kB {} max {}", pss.iter().sum::<u64>() / 50, pss.iter().max().unwrap());
    let s = Instant::now();
    let n = env.tasks().list().unwrap().len();
    println!("list of {n}, 50 running: {:?}", s.elapsed());
    let big = env.start("seq 1 3000000");
    env.ended(big.id);
    let s = Instant::now();
    let n = env.tasks().log(big.id).unwrap().tail(50).unwrap().len();
    println!("tail {n}: {:?}", s.elapsed());
    let s = Instant::now();
    for t in &tasks {
        env.tasks().stop(t.id, false).unwrap();
    }
    for t in &tasks {
        env.ended(t.id);
    }
    println!("stop 50 {:?}", s.elapsed());
}
