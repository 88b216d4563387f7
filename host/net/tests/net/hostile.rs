//! Malicious repositories, on servers and on this machine.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use aiw_core::RelPath;
use aiw_net::{GitOrigin, HttpClient, NetError, Policy, RequestLimits, Tree, Trees};
use flate2::Compression;
use flate2::write::ZlibEncoder;

use crate::world::{Server, World, feed, in_child, reply, run, variable};

const MIB: usize = 1 << 20;
const ID: &str = "1111111111111111111111111111111111111111";
const LISTING: (&str, &str) = ("Content-Type", "application/x-git-upload-pack-advertisement");
const RESULT: (&str, &str) = ("Content-Type", "application/x-git-upload-pack-result");

/// The time after which an operation counts as hanging.
const HANG_TIMEOUT: Duration = Duration::from_secs(20);

/// The memory of a process that holds a client, a runtime, libgit2 and a few pieces of a pack.
const MODEST: u64 = 256 << 20;

fn packet(content: &[u8]) -> Vec<u8> {
    [format!("{:04x}", content.len() + 4).as_bytes(), content].concat()
}

fn listing(refs: &[&[u8]]) -> Vec<u8> {
    let refs: Vec<u8> = refs.iter().flat_map(|line| packet(line)).collect();
    [packet(b"# service=git-upload-pack\n").as_slice(), b"0000", &refs, b"0000"].concat()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn digits(mut number: usize) -> Vec<u8> {
    let mut digits = Vec::new();
    while number > 0x7f {
        digits.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    digits.push(number as u8);
    digits
}

/// Encodes the header of an object in a pack.
fn head(kind: u8, size: usize) -> Vec<u8> {
    let low = kind << 4 | (size & 0x0f) as u8;
    if size > 0x0f { [vec![low | 0x80], digits(size >> 4)].concat() } else { vec![low] }
}

fn blob(content: &[u8]) -> Vec<u8> {
    [head(3, content.len()), zlib(content)].concat()
}

/// Returns a delta that repeats the first MiB of its base `times` times. The base ends where the delta begins, and
/// `before` is the base's bytes in the pack.
fn repeats(before: &[u8], base: usize, times: usize) -> Vec<u8> {
    let copy = [0x80 | 0x40, 0x10].repeat(times);
    delta(before, base, times * MIB, &copy)
}

fn delta(before: &[u8], base: usize, result: usize, instructions: &[u8]) -> Vec<u8> {
    let content = [digits(base), digits(result), instructions.to_vec()].concat();
    // A distance has its high digits first, each but the last less by one.
    let mut rest = before.len();
    let mut distance = vec![(rest & 0x7f) as u8];
    while rest > 0x7f {
        rest = (rest >> 7) - 1;
        distance.insert(0, (rest & 0x7f) as u8 | 0x80);
    }
    [head(6, content.len()), distance, zlib(&content)].concat()
}

fn pack(objects: &[Vec<u8>]) -> Vec<u8> {
    let count = u32::try_from(objects.len()).unwrap();
    let pack = [b"PACK\0\0\0\x02", count.to_be_bytes().as_slice(), &objects.concat()].concat();
    let checksum = sha1(&pack);
    [pack, checksum].concat()
}

fn sha1(bytes: &[u8]) -> Vec<u8> {
    let command = ["sha1sum", "shasum"].into_iter().find(|name| {
        let said = Command::new(name).stdin(Stdio::null()).stdout(Stdio::null()).status();
        said.is_ok_and(|status| status.success())
    });
    let (said, done) = feed(Command::new(command.unwrap()), bytes);
    done.unwrap();
    let hex = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    said[..40].chunks(2).map(hex).collect()
}

/// Starts a server with one branch at a commit that does not exist, which sends this pack in answer to every
/// request.
fn serves(pack: Vec<u8>) -> Server {
    Server::start(move |request, stream| {
        if request.method == "GET" {
            let first = format!("{ID} HEAD\0side-band-64k ofs-delta shallow multi_ack_detailed\n");
            let main = format!("{ID} refs/heads/main\n");
            return reply(stream, "200 OK", &[LISTING], &listing(&[first.as_bytes(), main.as_bytes()]));
        }
        let mut answer = [packet(format!("shallow {ID}").as_bytes()).as_slice(), b"0000"].concat();
        if request.body.ends_with(b"0009done\n") {
            answer.extend(packet(b"NAK\n"));
            for piece in pack.chunks(60_000) {
                answer.extend(packet(&[&[1], piece].concat()));
            }
            answer.extend(b"0000");
        }
        reply(stream, "200 OK", &[RESULT], &answer);
    })
}

fn open(trees: &Trees, server: &Server) -> NetError {
    run(trees.open_git(&server.granted(), &GitOrigin::new(server.url("/r")))).err().unwrap()
}

/// Returns the peak memory of this process, or 0 if the system does not tell.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// Opens a repository in its own process. The process must use little memory at all times and fail with `sentence`.
fn refused_modestly(world: &World, url: &str, sentence: &str) {
    let cache = world.path("cache");
    let variables = [("T_URL", url), ("T_CACHE", cache.to_str().unwrap()), ("T_SENTENCE", sentence)];
    in_child("hostile::child_that_stays_modest", &world.path("home"), &variables);
}

#[test]
#[ignore = "runs in a child"]
fn child_that_stays_modest() {
    let (url, mut policy) = (variable("T_URL"), Policy::none());
    policy.grant_url(&url);
    let trees = Trees::new(HttpClient::new().unwrap(), variable("T_CACHE").into());
    let read = run(trees.open_git(&policy, &GitOrigin::new(&url)))
        .and_then(|tree| tree.read(&RelPath::parse("a.txt").unwrap(), 1 << 20));
    assert_eq!(read.unwrap_err().to_string(), variable("T_SENTENCE"));
    let most = std::env::var("T_PEAK").map_or(MODEST, |most| most.parse::<u64>().unwrap() << 20);
    assert!(peak() < most, "{} MiB", peak() >> 20);
}

#[test]
fn a_small_pack_that_unpacks_to_gigabytes_costs_little() {
    let base = blob(&vec![0; MIB]);
    let bomb = repeats(&base, MIB, 1500);
    let small = pack(&[base, bomb]);
    assert!(small.len() < 10_000, "{}", small.len());
    let (world, server) = (World::new(), serves(small));
    let url = server.url("/r");
    refused_modestly(&world, &url, &format!("`{url}` contains an object larger than 128 MiB"));
}

#[test]
fn a_blob_of_zeros_without_end_costs_little() {
    let size = 1400 * MIB;
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    (0..1400).for_each(|_| encoder.write_all(&[0; MIB]).unwrap());
    let zeros = [head(3, size), encoder.finish().unwrap()].concat();
    let bomb = delta(&zeros, size, 5, &[0x90, 5]);
    let (world, server) = (World::new(), serves(pack(&[zeros, bomb])));
    let url = server.url("/r");
    refused_modestly(&world, &url, &format!("`{url}` contains an object larger than 128 MiB"));
}

#[test]
fn an_object_that_comes_again_and_again_costs_no_more_each_time() {
    // Within all limits. libgit2 leaks the memory of each object that it has already, and tries them all again.
    let mut objects = vec![blob(&vec![0; MIB])];
    let mut base = MIB;
    for _ in 0..20 {
        objects.push(repeats(objects.last().unwrap(), base, 120));
        base = 120 * MIB;
    }
    let (world, server) = (World::new(), serves(pack(&objects)));
    let (url, cache) = (server.url("/r"), world.path("cache"));
    let sentence = format!("`{url}` takes more than 1 GiB of memory to read");
    let variables =
        [("T_URL", url.as_str()), ("T_CACHE", cache.to_str().unwrap()), ("T_SENTENCE", &sentence), ("T_PEAK", "1400")];
    in_child("hostile::child_that_stays_modest", &world.path("home"), &variables);
}

#[test]
fn deltas_are_refused_by_what_all_of_them_unpack_to() {
    let base = blob(&vec![0; MIB]);
    let (mut chain, mut beside) = (vec![base.clone()], vec![base]);
    let mut size = MIB;
    for _ in 0..140 {
        // In one pack each object is based on the one before it, in the other each is based on the first.
        chain.push(repeats(chain.last().unwrap(), size, 120));
        beside.push(repeats(&beside.concat(), MIB, 120));
        size = 120 * MIB;
    }
    for (objects, what) in [
        (chain, "builds so many large files on each other that it takes too long"),
        (beside, "unpacks to more than 16 GiB"),
    ] {
        let (world, server) = (World::new(), serves(pack(&objects)));
        let message = format!("`{}` {what}", server.url("/r"));
        assert_eq!(open(&world.trees(), &server), NetError::TooLarge { message });
    }
}

#[test]
fn more_objects_than_are_taken_are_refused_by_their_number() {
    let many = [b"PACK\0\0\0\x02\xff\xff\xff\xff".as_slice(), &blob(b"x")].concat();
    let (world, server) = (World::new(), serves(many));
    let error = open(&world.trees(), &server);
    let message = format!("`{}` sends more than 1000000 objects", server.url("/r"));
    assert_eq!(error, NetError::TooLarge { message });
}

#[test]
fn endless_refs_end_and_cost_little() {
    let world = World::new();
    let server = Server::start(|_, stream| {
        let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{}: {}\r\n\r\n", LISTING.0, LISTING.1);
        let _ = stream.write_all(head.as_bytes());
        let _ = stream.write_all(&[packet(b"# service=git-upload-pack\n"), b"0000".to_vec()].concat());
        for part in 0_u64.. {
            let line = |n: u64| packet(format!("{ID} refs/heads/{}\n", part * 1000 + n).as_bytes());
            if stream.write_all(&(0..1000).flat_map(line).collect::<Vec<_>>()).is_err() {
                return;
            }
        }
    });
    let url = server.url("/r");
    refused_modestly(&world, &url, &format!("`{url}` lists more than 250000 branches and tags"));
    let limits = RequestLimits { max_refs_bytes: 100_000, ..RequestLimits::default() };
    let trees = Trees::new(HttpClient::with_limits(limits).unwrap(), world.path("cache"));
    assert_eq!(
        open(&trees, &server).to_string(),
        format!("`{url}` sends a list of branches and tags that is longer than 100000 bytes")
    );
}

#[test]
fn a_ref_whose_name_is_not_text_stands_in_nobodys_way() {
    let world = World::with_repository();
    let commit = world.git(&["rev-parse", "HEAD"]);
    let name = Path::new(OsStr::from_bytes(b"caf\xe9"));
    let file = world.path("r/.git/refs/heads").join(name);
    // Some file systems do not accept such a name.
    if std::fs::write(file, format!("{commit}\n")).is_err() {
        return;
    }
    let server = world.serve();
    for (url, policy) in [(server.url("/r"), server.granted()), (world.url(), world.policy())] {
        let refs = run(world.trees().list_refs(&policy, &url)).unwrap();
        let names: Vec<&str> = refs.iter().map(|r| r.name.as_str()).collect();
        assert_eq!(names, ["HEAD", "refs/heads/main"], "{url}");
        assert_eq!(run(world.trees().open_git(&policy, &GitOrigin::new(&url))).unwrap().revision(), commit);
    }
}

#[test]
fn a_repository_with_sha_256_is_called_so() {
    let world = World::new();
    std::fs::create_dir(world.path("r")).unwrap();
    world.git(&["init", "-q", "-b", "main", "--object-format=sha256"]);
    world.write("r/a.txt", "one");
    let server = world.serve();
    for with in ["nothing", "a commit"] {
        for (url, policy) in [(server.url("/r"), server.granted()), (world.url(), world.policy())] {
            let message = format!("the git repository at `{url}` has SHA-256 ids, and aiw reads only those with SHA-1");
            let error = run(world.trees().open_git(&policy, &GitOrigin::new(&url))).err().unwrap();
            assert_eq!(error, NetError::Invalid { message }, "{with}");
        }
        world.commit("first");
    }
}

#[test]
fn what_is_not_gits_protocol_is_called_so() {
    let world = World::new();
    let server = Server::start(|request, stream| {
        let first = format!("{ID} HEAD\0shallow side-band-64k\n");
        let good = listing(&[first.as_bytes()]);
        let bad: &[u8] = match (request.method.as_str(), request.target.split('/').nth(1).unwrap()) {
            ("GET", "length") => b"zzzzwhat",
            ("GET", "nothing") => b"",
            ("GET", "cut") => &good[..good.len() - 9],
            ("GET", "sign") => b"-001",
            ("GET", "refusal") => &packet(b"ERR you may \x1b[31mnot\n"),
            ("GET", _) => &good,
            (_, "pack") => b"000cNAK what",
            _ => b"0010unasked for!",
        };
        let kind = if request.method == "GET" { LISTING } else { RESULT };
        reply(stream, "200 OK", &[kind], bad);
    });
    let said = |path: &str| {
        let error = run(world.trees().open_git(&server.granted(), &GitOrigin::new(server.url(path)))).err().unwrap();
        assert!(matches!(error, NetError::Malformed { .. }), "{error}");
        error.to_string().replace(&server.url(path), "URL")
    };
    let protocol = "`URL` does not speak git's protocol: ";
    assert_eq!(said("/length"), format!("{protocol}a packet has the length `zzzz`"));
    assert_eq!(said("/sign"), format!("{protocol}a packet has the length `-001`"));
    assert_eq!(said("/nothing"), format!("{protocol}the list of branches and tags ends too early"));
    assert_eq!(said("/cut"), format!("{protocol}the list of branches and tags ends too early"));
    assert_eq!(said("/refusal"), "`URL` refuses: you may \\u{1b}[31mnot");
    assert_eq!(said("/pack"), format!("{protocol}the answer contains an unrequested packet"));
    assert_eq!(said("/other"), format!("{protocol}the answer contains an unrequested packet"));
}

#[test]
fn a_server_of_files_is_told_from_what_is_no_repository() {
    let world = World::with_repository();
    world.git(&["update-server-info"]);
    let root = world.path("r/.git");
    let server = Server::start(move |request, stream| {
        let path = request.target.split('?').next().unwrap().trim_start_matches("/r/");
        match std::fs::read(root.join(path)) {
            Ok(content) => reply(stream, "200 OK", &[("Content-Type", "text/plain")], &content),
            Err(_) => reply(stream, "404 No", &[], b""),
        }
    });
    let url = server.url("/r");
    let message = format!(
        "`{url}` offers only git's old \"dumb\" HTTP protocol, which aiw does not support: clone it and add the \
         directory, or use a server with git's smart HTTP protocol"
    );
    assert_eq!(open(&world.trees(), &server), NetError::Invalid { message });
}

/// Opens a repository on this machine. A hang is a failure.
fn open_here(world: &World, limits: RequestLimits) -> Result<Tree, NetError> {
    let trees = Trees::new(HttpClient::with_limits(limits).unwrap(), world.path("cache"));
    let (policy, url) = (world.policy(), world.url());
    let (done, result) = mpsc::channel();
    // On threads that may be left behind.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let opened = runtime.block_on(trees.open_git(&policy, &GitOrigin::new(url)));
        runtime.shutdown_background();
        done.send(opened)
    });
    result.recv_timeout(HANG_TIMEOUT).expect("opening a repository has not ended")
}

fn pipe(path: &Path) {
    let _ = std::fs::remove_file(path);
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn a_pipe_in_the_place_of_a_repositorys_file_is_refused() {
    for file in [
        ".git/config",
        ".git/config.worktree",
        ".git/HEAD",
        ".git/packed-refs",
        ".git/shallow",
        ".git/commondir",
        ".git/refs/heads/main",
        ".git/refs/heads/other",
        ".git/objects/info/alternates",
        ".git/objects/pack/pack-1.idx",
        ".git/objects/11/11111111111111111111111111111111111111",
    ] {
        let world = World::with_repository();
        let path = world.path("r").join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        pipe(&path);
        let message =
            format!("the git repository at `{}` can't be read: `{}` is not a file", world.url(), path.display());
        assert_eq!(open_here(&world, RequestLimits::default()).err(), Some(NetError::Invalid { message }), "{file}");
    }
    // A repository may be nothing but a pipe, and links may lead to pipes.
    for (link, to) in [(".git", "pipe"), (".git/config", "../pipe"), (".git/refs/heads/x", "../../../pipe")] {
        let world = World::with_repository();
        pipe(&world.path("r/pipe"));
        let link = world.path("r").join(link);
        match std::fs::metadata(&link) {
            Ok(metadata) if metadata.is_dir() => std::fs::remove_dir_all(&link).unwrap(),
            _ => drop(std::fs::remove_file(&link)),
        }
        std::os::unix::fs::symlink(to, &link).unwrap();
        let error = open_here(&world, RequestLimits::default()).err().unwrap();
        assert!(error.to_string().ends_with(&format!("`{}` is not a file", link.display())), "{error}");
    }
}

#[test]
fn a_configuration_that_includes_a_pipe_is_refused() {
    for (name, config) in [
        (b"pipe".as_slice(), b"[include]\n\tpath = ../../NAME\n".as_slice()),
        (b"pipe", b"[include] path=\"../../NAME\" ; a comment\n"),
        (b"pipe", b"[includeIf \"gitdir:**\"]\n\tPath = ROOT/NAME\n"),
        (b"pipe", b"[include]\n\tpath = ../../pi\\\npe\n"),
        (b"pipe", b"[include]\n\tpath = ../../more\n"),
        (b"caf\xe9", b"[include]\n\tpath = ../../NAME\n"),
    ] {
        let world = World::with_repository();
        let root = world.path("");
        let path = root.join(OsStr::from_bytes(name));
        // Some file systems do not accept such a name.
        if std::fs::write(&path, "").is_err() {
            continue;
        }
        pipe(&path);
        world.write("more", "[include]\n\tpath = pipe\n");
        let mut written = std::fs::read(world.path("r/.git/config")).unwrap();
        written.extend(replaced(&replaced(config, b"NAME", name), b"ROOT", root.as_os_str().as_bytes()));
        std::fs::write(world.path("r/.git/config"), written).unwrap();
        let error = open_here(&world, RequestLimits::default()).err().unwrap();
        let shown = path.display().to_string();
        assert!(matches!(error, NetError::Invalid { .. }), "{shown}: {error}");
        let place = shown.rsplit('/').next().unwrap();
        assert!(error.to_string().ends_with(&format!("{place}` is not a file")), "{shown}: {error}");
        // With a file in place of the pipe, opening works.
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "[user]\n\tname = x\n").unwrap();
        assert_eq!(open_here(&world, RequestLimits::default()).err(), None, "{shown}");
    }
}

#[test]
fn a_configuration_that_includes_itself_without_end_is_refused() {
    let world = World::with_repository();
    let mut config = std::fs::read_to_string(world.path("r/.git/config")).unwrap();
    config.push_str(&"[include]\n\tpath = config\n".repeat(50));
    world.write("r/.git/config", &config);
    let message = format!("the configuration of the git repository at `{}` has more than 100 files", world.url());
    assert_eq!(open_here(&world, RequestLimits::default()).err(), Some(NetError::TooLarge { message }));
}

#[test]
fn objects_are_not_read_from_elsewhere_in_however_many_steps() {
    let elsewhere = World::with_repository();
    let outside = elsewhere.path("r/.git/objects").display().to_string();
    for (first, second) in [
        (outside.as_str(), ""),
        ("./../beside", outside.as_str()),
        // Relative to aiw's working directory.
        ("src", ""),
        ("#\r./../beside", outside.as_str()),
    ] {
        let world = World::with_repository();
        world.write("r/.git/objects/info/alternates", &format!("{first}\n"));
        world.write("r/.git/beside/info/alternates", &format!("{second}\n"));
        let error = open_here(&world, RequestLimits::default()).err().unwrap();
        assert!(matches!(error, NetError::Denied { .. }), "{error}");
        assert!(error.to_string().contains("keeps its objects elsewhere, in `"), "{error}");
    }
    // Alternates inside the repository are allowed, even if they form a cycle.
    let world = World::with_repository();
    world.write("r/.git/objects/info/alternates", "# beside\n./../beside\n");
    world.write("r/.git/beside/info/alternates", "./../objects\n./.\n");
    assert_eq!(open_here(&world, RequestLimits::default()).err(), None);
}

fn replaced(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    match text.windows(from.len()).position(|window| window == from) {
        Some(at) => [&text[..at], to, &text[at + from.len()..]].concat(),
        None => text.to_vec(),
    }
}

#[test]
fn a_small_file_behind_a_huge_one_costs_little() {
    let world = World::with_repository();
    let base = blob(&vec![0; MIB]);
    let huge = repeats(&base, MIB, 700);
    let small = delta(&huge, 700 * MIB, 5, &[0x90, 5]);
    let packed = pack(&[base, huge, small]);
    world.git_with(&["index-pack", "--stdin"], &packed);
    // The content is five zeros.
    let id = world.git_with(&["hash-object", "--stdin"], &[0; 5]);
    world.git(&["update-index", "--cacheinfo", &format!("100644,{id},a.txt")]);
    world.commit_index("small");
    refused_modestly(&world, &world.url(), "the repository contains an object larger than 128 MiB");
}

#[test]
fn a_bomb_that_comes_by_ssh_is_refused_by_the_users_git() {
    let world = World::new();
    let base = blob(&vec![0; MIB]);
    let bomb = repeats(&base, MIB, 1500);
    let first = format!("{ID} HEAD\0side-band-64k ofs-delta shallow multi_ack_detailed\n");
    let main = format!("{ID} refs/heads/main\n");
    let refs = [packet(first.as_bytes()), packet(main.as_bytes()), b"0000".to_vec()].concat();
    let mut answer = [packet(format!("shallow {ID}").as_bytes()), b"0000".to_vec(), packet(b"NAK\n")].concat();
    answer.extend([packet(&[&[1], pack(&[base, bomb]).as_slice()].concat()), b"0000".to_vec()].concat());
    std::fs::write(world.path("refs"), refs).unwrap();
    std::fs::write(world.path("answer"), answer).unwrap();
    let script = "#!/bin/sh\ncd \"$(dirname \"$0\")\"\ncat refs\nhead -c 4 > /dev/null\ncat answer\ncat > /dev/null\n";
    world.write("ssh", script);
    std::fs::set_permissions(world.path("ssh"), PermissionsExt::from_mode(0o755)).unwrap();
    let (cache, ssh) = (world.path("cache"), world.path("ssh"));
    in_child(
        "hostile::child_with_a_bomb_by_ssh",
        &world.path("home"),
        &[("T_CACHE", cache.to_str().unwrap()), ("GIT_SSH_COMMAND", ssh.to_str().unwrap())],
    );
}

#[test]
#[ignore = "runs in a child"]
fn child_with_a_bomb_by_ssh() {
    let (url, mut policy) = ("git@forge.example:r", Policy::none());
    policy.grant_url(url);
    let trees = Trees::new(HttpClient::new().unwrap(), variable("T_CACHE").into());
    let error = run(trees.open_git(&policy, &GitOrigin::new(url))).err().unwrap();
    if cfg!(target_os = "linux") {
        assert_eq!(error.to_string(), format!("`git` needs too much memory to unpack `{url}`"));
    }
}
