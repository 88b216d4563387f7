//! `git2` reads repositories. aiw fetches over its own transport: how much of a list of refs libgit2 holds by its own one,
//! where that follows a redirect to, and what it can't fetch.

use std::io::Write;
use std::path::Path;
use std::sync::Mutex;

use dependencies::{peak_memory, serve};
use git2::{Direction, FetchOptions, Remote, Repository};

const REFS: usize = 1_000_000;
static ASKED: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn main() {
    let directory = std::env::temp_dir().join(format!("aiw-dependencies-{}", std::process::id()));
    let repository = Repository::init_bare(directory.join("bare")).unwrap();

    println!("a fetch at depth 1 from a directory: {}", shallow(&repository, &directory));

    let inner = serve(|request, stream| {
        ASKED.lock().unwrap().push(request.lines().next().unwrap_or_default().to_owned());
        let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    });
    let outer = serve(move |_, stream| {
        let to = format!("http://{inner}/internal/info/refs?service=git-upload-pack");
        let _ =
            write!(stream, "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    });
    let _ = connected(&repository, &format!("http://{outer}/repository.git"));
    println!("a redirect to another address: that was asked for {:?}", ASKED.lock().unwrap());

    let long = serve(|_, stream| {
        let mut list = b"001e# service=git-upload-pack\n0000".to_vec();
        for number in 0..REFS {
            let capabilities = if number == 0 { "\0multi_ack" } else { "" };
            let line = format!("{:040x} refs/heads/{number:08}{capabilities}\n", number + 1);
            list.extend(format!("{:04x}{line}", line.len() + 4).bytes());
        }
        list.extend(b"0000");
        println!("a list of {REFS} refs has {} MiB", list.len() >> 20);
        let kind = "application/x-git-upload-pack-advertisement";
        let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n", list.len());
        let _ = stream.write_all(&list);
    });
    let before = peak_memory();
    let held = connected(&repository, &format!("http://{long}/repository.git"));
    println!("libgit2 holds {held:?} of them, memory {before} → {} MiB, the list itself included", peak_memory());
    let _ = std::fs::remove_dir_all(&directory);
}

/// Connects, and returns the number of refs.
fn connected(repository: &Repository, url: &str) -> Result<usize, git2::Error> {
    let mut remote: Remote<'_> = repository.remote_anonymous(url)?;
    remote.connect(Direction::Fetch)?;
    remote.list().map(<[_]>::len)
}

fn shallow(repository: &Repository, directory: &Path) -> String {
    let source = Repository::init(directory.join("source")).unwrap();
    let tree = source.find_tree(source.index().unwrap().write_tree().unwrap()).unwrap();
    let author = git2::Signature::now("A", "a@example.com").unwrap();
    source.commit(Some("refs/heads/main"), &author, &author, "First", &tree, &[]).unwrap();
    let url = format!("file://{}", directory.join("source").display());
    let mut remote = repository.remote_anonymous(&url).unwrap();
    let fetched = remote.fetch(&["refs/heads/main"], Some(FetchOptions::new().depth(1)), None);
    fetched.map_or_else(|e| format!("fails ({})", e.message()), |()| "works".into())
}
