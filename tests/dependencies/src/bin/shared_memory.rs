//! `shared_memory` makes and maps aiw's segments, by an explicit id. Its own link files are not used: a creator that is
//! killed leaves links that nobody can open or make anew.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use shared_memory::{ShmemConf, ShmemError};

const SIZE: usize = 4096;

fn main() {
    if let Some(link) = std::env::args_os().nth(1) {
        let made = ShmemConf::new().size(SIZE).flink(link).create().unwrap();
        println!("{}", made.get_os_id());
        loop {
            std::thread::park();
        }
    }
    let link = std::env::temp_dir().join(format!("aiw-dependencies-{}", std::process::id()));
    let segment = leave_by_a_killed_creator(&link);
    println!("after SIGKILL of a creator: open {}, create {}", opened(&link), created(&link));
    remove(&segment);
    println!("… and once its segment is gone, as after a restart: open {}, create {}", opened(&link), created(&link));
    // As it is between the two system calls that make the link and write the segment's name into it.
    std::fs::write(&link, "").unwrap();
    println!("an empty link: open {}, create {}", opened(&link), created(&link));
    let forced = || ShmemConf::new().size(SIZE).flink(&link).force_create_flink().create().unwrap();
    let (one, two) = (forced(), forced());
    println!("two creators with `force_create_flink` share a segment: {}", one.get_os_id() == two.get_os_id());
    drop((one, two));
    let _ = std::fs::remove_file(&link);

    let id = format!("/aiw-dependencies-{}", std::process::id());
    ShmemConf::new().os_id(&id).size(SIZE).create().unwrap().set_owner(false);
    println!(
        "an explicit id without an owner, once its creator is gone: open {}",
        told(ShmemConf::new().os_id(&id).open())
    );
    remove(&id);
}

/// Has a process create a segment and kills it. Returns the segment's id.
fn leave_by_a_killed_creator(link: &Path) -> String {
    let mut creator = Command::new(std::env::current_exe().unwrap());
    let mut creator = creator.arg(link).stdout(Stdio::piped()).spawn().unwrap();
    let mut id = String::new();
    BufReader::new(creator.stdout.take().unwrap()).read_line(&mut id).unwrap();
    creator.kill().unwrap();
    creator.wait().unwrap();
    id.trim().to_owned()
}

fn opened(link: &Path) -> String {
    told(ShmemConf::new().flink(link).open())
}

fn created(link: &Path) -> String {
    told(ShmemConf::new().size(SIZE).flink(link).create())
}

fn told<T>(result: Result<T, ShmemError>) -> String {
    result.map_or_else(|e| format!("fails ({e:?})"), |_| "works".into())
}

fn remove(id: &str) {
    ShmemConf::new().os_id(id).open().unwrap().set_owner(true);
}
