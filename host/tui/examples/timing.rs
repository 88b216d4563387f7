use aiw_tui::{Plugin, Server, bench::Frame};
use std::time::Instant;
fn main() {
    let plugins: Vec<Plugin> = (0..5000).map(|n| { let name=format!("{}-{n}", ["github","time","weather-日本","postgres","kubernetes-operator"][n%5]); Plugin{ id: format!("{name}@m{}", n%7), description: format!("What {name} is for, in many words about issues, pull requests and data. ").repeat(5), market: format!("market-{}",n%7), category: Some("development".into()), kinds: Some(vec!["mcp".into(),"skills".into()]), servers: vec![Server{name: name.clone(), transport:"stdio".into(), target:"npx -y thing".into()}], version: Some("1".into()), source:"github:a/b".into(), name, ..Default::default()} }).collect();
    let t=Instant::now(); let mut f=Frame::new(plugins,200,60); println!("load {:?}",t.elapsed());
    f.draw(); let t=Instant::now(); for _ in 0..1000 { f.draw(); } println!("frame {:?}",t.elapsed()/1000);
    for q in ["github issues","pgrs","a"] { let t=Instant::now(); for _ in 0..20 { f.search(q); } println!("search {q:?}: {:?} a letter (with frame)",t.elapsed()/20/(q.len() as u32+1)); }
}
