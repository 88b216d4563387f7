//! Budgets hold, whatever happens to the book.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use aiw_home::{Budget, BudgetLimit, BudgetPeriod, Home, Settings, now_millis, rfc3339};
use proptest::prelude::*;

use crate::{AdmissionError, Loss, OpenRequest, Spending, TokenCounts, UsageLog, UsageRecord, UsageSource};

/// Says to a process that the tests start which home it spends in.
const HOME: &str = "AIW_TEST_USAGE_HOME";

const LIMIT: u64 = 1_000_000;

fn rounds() -> usize {
    std::env::var("AIW_SOAK_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(20)
}

fn budget(limit: u64, refuses: bool) -> Budget {
    let limit = BudgetLimit::Tokens(limit);
    Budget { name: "b".into(), limit, period: BudgetPeriod::Month, provider: None, project: None, blocks: refuses }
}

/// A client of a book, as a process is one.
struct Client {
    book: UsageLog,
    settings: Settings,
    spending: Spending,
}

impl Client {
    fn of(home: &Path, limit: u64, refuses: bool) -> Self {
        let home = Home::from_root(home);
        let (book, settings) = (UsageLog::new(&home), home.settings().unwrap());
        Self { spending: Spending::new(book.clone(), vec![budget(limit, refuses)]), book, settings }
    }

    fn open(&mut self, expected: u64) -> Result<OpenRequest, AdmissionError> {
        self.spending.open_request(&self.settings, self.book.lock(), used(expected))
    }

    fn close(&self, request: &OpenRequest, tokens: u64) {
        self.book.add(&request.final_record(used(tokens))).unwrap();
    }

    fn spent(&mut self) -> u64 {
        self.spending.refresh(&self.settings).unwrap();
        self.spending.all().next().unwrap().1.total()
    }

    /// Returns a budget's answer to a new run.
    fn says(&mut self) -> Option<(bool, String)> {
        self.spending.refresh(&self.settings).unwrap();
        self.spending.exceeded(&["p"], None, &[]).into_iter().next().map(|over| (over.is_blocking, over.message))
    }
}

fn used(output: u64) -> UsageRecord {
    UsageRecord::new(UsageSource::Gateway, TokenCounts { output, ..TokenCounts::default() })
}

fn month(book: &UsageLog) -> PathBuf {
    book.directory().join(rfc3339(now_millis()).chars().take(7).collect::<String>()).with_extension("jsonl")
}

#[test]
fn forty_requests_at_once_do_not_pass_a_limit_of_two() {
    let dir = tempfile::tempdir().unwrap();
    let opened = std::thread::scope(|scope| {
        let clients = (0..40).map(|_| scope.spawn(|| Client::of(dir.path(), 2, true).open(1).is_ok()));
        let clients: Vec<_> = clients.collect();
        clients.into_iter().map(|client| client.join().unwrap()).filter(|opened| *opened).count()
    });
    assert_eq!(opened, 2);
    let mut client = Client::of(dir.path(), 2, true);
    assert!(client.says().unwrap().1.contains("the budget `b` of 2 tokens a month is used up: 2 so far"));
    let error = Client::of(dir.path(), 9, true).open(8).unwrap_err().to_string();
    assert!(error.contains("has too little left: 2 so far, and this request needs about 8"), "{error}");
}

#[test]
fn a_request_counts_once_whether_it_is_open_or_ended() {
    let dir = tempfile::tempdir().unwrap();
    let (mut one, mut two) = (Client::of(dir.path(), 100, true), Client::of(dir.path(), 100, true));
    let open = one.open(60).unwrap();
    assert_eq!((one.spent(), two.spent()), (60, 60));
    assert!(matches!(two.open(41), Err(AdmissionError::Exceeded(_))));
    one.close(&open, 10);
    assert_eq!((one.spent(), two.spent()), (10, 10));
    let open = two.open(90).unwrap();
    // More than was expected is spent, and said.
    two.close(&open, 95);
    assert_eq!(one.spent(), 105);
    assert!(matches!(one.open(0), Err(AdmissionError::Exceeded(_))));
    // A booking without usage is left out.
    let mut all = Client::of(dir.path(), 1_000, true);
    let open = all.open(5).unwrap();
    all.close(&open, 0);
    let mut bookings = Vec::new();
    all.book.read(0, |booking| bookings.push(booking.tokens.output)).unwrap();
    assert_eq!(bookings, [10, 95]);
}

#[test]
fn a_book_that_lost_something_says_so_and_refuses_until_that_is_accepted() {
    type Damage = fn(&Path, &UsageLog);
    let damages: [(&str, Damage); 13] = [
        ("lost bookings of", |_, book| fs::remove_file(month(book)).unwrap()),
        ("lost bookings of", |_, book| fs::remove_dir_all(book.directory()).unwrap()),
        ("lost bookings of", |_, book| fs::write(month(book), "").unwrap()),
        ("lost bookings of", |_, book| {
            let text = fs::read_to_string(month(book)).unwrap();
            fs::write(month(book), &text[..text.len() - 5]).unwrap();
        }),
        // A number is another one.
        ("was changed or damaged", |_, book| {
            let text = fs::read_to_string(month(book)).unwrap();
            fs::write(month(book), text.replace("\"output\":50", "\"output\":10")).unwrap();
        }),
        // An older copy, to which other things were added.
        ("was changed or damaged", |_, book| {
            let text = fs::read_to_string(month(book)).unwrap();
            let first = text.lines().next().unwrap();
            fs::write(month(book), format!("{first}\n").repeat(9)).unwrap();
        }),
        ("lost bookings of", |_, book| fs::write(month(book), [b'x'; 9_000]).unwrap()),
        ("the seal of the book of usage is gone", |home, _| {
            fs::remove_file(Home::from_root(home).usage_checksums_path()).unwrap();
        }),
        ("the seal of the book of usage is gone or damaged", |home, _| {
            fs::write(Home::from_root(home).usage_checksums_path(), "{").unwrap();
        }),
        // Only what was spent in this month is gone, with the seal.
        ("the seal of the book of usage is gone", |home, book| {
            fs::rename(month(book), book.directory().join("2020-01.jsonl")).unwrap();
            fs::remove_file(Home::from_root(home).usage_checksums_path()).unwrap();
        }),
        ("the book of usage is gone, with its seal", |home, book| {
            fs::write(month(book), "").unwrap();
            fs::remove_file(Home::from_root(home).usage_checksums_path()).unwrap();
        }),
        ("the book of usage is gone, with its seal", |home, book| {
            fs::write(month(book), "").unwrap();
            fs::write(Home::from_root(home).usage_checksums_path(), "").unwrap();
        }),
        // As if nothing had ever been spent.
        ("the book of usage is gone, with its seal", |home, book| {
            fs::remove_dir_all(book.directory()).unwrap();
            fs::remove_file(Home::from_root(home).usage_checksums_path()).unwrap();
        }),
    ];
    for (at, (said, damage)) in damages.into_iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let mut before = Client::of(dir.path(), 1_000, true);
        for _ in 0..3 {
            let open = before.open(50).unwrap();
            before.close(&open, 50);
        }
        assert_eq!(before.says(), None);
        damage(dir.path(), &before.book);
        for round in 0..3 {
            let mut client = Client::of(dir.path(), 1_000, true);
            let error = client.open(1).map_or_else(|e| e.to_string(), |_| format!("{at} {round}: it was opened"));
            assert!(error.contains(said) || round > 0, "{at}: {error}");
            assert!(error.contains(Loss::HINT), "{at}: {error}");
            assert!(client.says().unwrap().0, "{at}");
            let (refuses, sentence) = Client::of(dir.path(), 1_000, false).says().unwrap();
            assert!(!refuses && sentence.contains(Loss::HINT), "{at}: {sentence}");
            // What is booked meanwhile hides nothing.
            client.book.add(&used(400)).unwrap();
        }
        let mut client = Client::of(dir.path(), 1_000_000, true);
        assert!(client.book.repair().unwrap().is_some(), "{at}");
        assert_eq!(client.book.repair().unwrap(), None, "{at}");
        assert_eq!(client.says(), None);
        assert!(client.spent() >= 1_200, "{at}");
        client.open(1).unwrap();
        assert_eq!(Client::of(dir.path(), 1_000_000, true).says(), None);
    }
}

#[test]
fn an_older_book_that_was_put_back_counts_for_who_has_read_the_later_one() {
    let dir = tempfile::tempdir().unwrap();
    let spend = |client: &mut Client, tokens| {
        let open = client.open(tokens).unwrap();
        client.close(&open, tokens);
    };
    let mut client = Client::of(dir.path(), 1_000, true);
    spend(&mut client, 50);
    let files = [month(&client.book), Home::from_root(dir.path()).usage_checksums_path()];
    let older = files.clone().map(|path| fs::read(path).unwrap());
    spend(&mut client, 70);
    assert_eq!(client.spent(), 120);
    files.iter().zip(older).for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
    // Others have booked more in it by the time that it is looked at.
    let mut other = Client::of(dir.path(), 1_000, true);
    (0..4).for_each(|_| spend(&mut other, 10));
    assert_eq!((client.says(), client.spent(), other.spent()), (None, 90, 90));
    client.open(1).unwrap();
}

#[test]
fn a_book_that_can_not_be_written_refuses_as_one_that_can_not_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut client = Client::of(dir.path(), 1_000, true);
    client.open(1).unwrap();
    assert!(client.book.check_writable().is_ok());
    // Nobody can write through a directory, root neither.
    let seal = Home::from_root(dir.path()).usage_checksums_path();
    let kept = fs::read(&seal).unwrap();
    fs::remove_file(&seal).unwrap();
    fs::create_dir(&seal).unwrap();
    assert!(matches!(client.open(1), Err(AdmissionError::SpendingUnknown(_))));
    assert!(client.book.check_writable().is_err());
    let mut warned = Client::of(dir.path(), 1_000, false);
    assert!(matches!(warned.open(1), Err(AdmissionError::RecordFailed(_))));
    fs::remove_dir(&seal).unwrap();
    fs::write(&seal, kept).unwrap();
    assert!(client.open(1).is_ok());
    assert_eq!(client.spent(), 2);
}

/// Spends as a gateway does, and says what it has sent. Runs only where a test starts it.
#[test]
fn spends_until_it_ends() {
    let Some(home) = std::env::var_os(HOME) else { return };
    let mut client = Client::of(Path::new(&home), LIMIT, true);
    let mut out = std::io::stdout();
    let mut open = Vec::new();
    for at in 0.. {
        match client.open(100) {
            Ok(request) => {
                writeln!(out, "\nsent 100").unwrap();
                open.push(request);
            }
            Err(AdmissionError::Exceeded(_)) => break,
            Err(e) => {
                writeln!(out, "\nrefused {e}").unwrap();
                break;
            }
        }
        // Some stay open, as those whose client never leaves.
        if at % 3 == 0
            && let Some(request) = open.pop()
            && client.book.add(&request.final_record(used(150))).is_ok()
        {
            writeln!(out, "\nmore 50").unwrap();
        }
    }
}

/// Starts a process that spends.
fn spender(home: &Path, blocks: Option<u64>) -> Child {
    let test = std::env::current_exe().unwrap();
    let arguments = ["--exact", "tests::spends_until_it_ends", "--nocapture"];
    let mut command = match blocks {
        None => Command::new(test),
        // A file that may not grow is a disk that is full.
        Some(blocks) => {
            let mut command = Command::new("sh");
            command.arg("-c").arg(format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"")).arg(test);
            command
        }
    };
    command.args(arguments).env(HOME, home).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// Returns what spenders have said that they have sent, and how they were refused.
fn said(mut spender: Child) -> (u64, u64, Option<String>) {
    let (mut sent, mut more, mut refused) = (0, 0, None);
    for line in BufReader::new(spender.stdout.take().unwrap()).lines().map_while(Result::ok) {
        match line.split_once(' ') {
            Some(("sent", tokens)) => sent += tokens.parse::<u64>().unwrap_or_default(),
            Some(("more", tokens)) => more += tokens.parse::<u64>().unwrap_or_default(),
            Some(("refused", why)) => refused = Some(why.to_owned()),
            _ => {}
        }
    }
    let _ = spender.wait();
    (sent, more, refused)
}

#[test]
fn what_was_sent_is_never_forgotten_by_who_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    Client::of(dir.path(), LIMIT, true).open(0).unwrap();
    let mut all = 0;
    for round in 0..rounds() {
        let mut spenders = [spender(dir.path(), None), spender(dir.path(), None)];
        std::thread::sleep(std::time::Duration::from_millis(40 + round as u64 * 7 % 60));
        spenders.iter_mut().for_each(|spender| spender.kill().unwrap());
        for spender in spenders {
            let (sent, more, _) = said(spender);
            all += sent + more;
        }
        let mut client = Client::of(dir.path(), LIMIT, true);
        let spent = client.spent();
        assert_eq!(client.spending.loss(), None, "round {round}");
        // A request may be in the book of which nobody was told.
        assert!(spent >= all && spent <= LIMIT + 100, "round {round}: {all} were sent, {spent} are booked");
        assert!(fs::metadata(month(&client.book)).unwrap().len() > 0);
    }
    assert!(all > 0);
}

#[test]
fn a_full_disk_refuses_and_forgets_nothing() {
    for blocks in 1..6 {
        let dir = tempfile::tempdir().unwrap();
        let (sent, more, refused) = said(spender(dir.path(), Some(blocks)));
        let why = refused.expect("it was refused");
        assert!(why.starts_with("what your budgets have left is not known"), "{why}");
        let mut client = Client::of(dir.path(), LIMIT, true);
        assert_eq!(client.spent(), sent + more);
        assert_eq!(client.spending.loss(), None);
        // With room again, it goes on.
        client.open(1).unwrap();
        assert_eq!(Client::of(dir.path(), LIMIT, true).spent(), sent + more + 1);
    }
}

#[derive(Debug, Clone)]
enum Step {
    Open {
        client: usize,
        expected: u64,
    },
    Close {
        request: usize,
        used: u64,
    },
    /// A process is killed: its requests stay open.
    Die {
        client: usize,
    },
    /// A crash leaves half a line.
    Half,
    /// The seal could not be written the last time.
    OldSeal,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_usize, 0..60_u64).prop_map(|(client, expected)| Step::Open { client, expected }),
        3 => (0..9_usize, 0..90_u64).prop_map(|(request, used)| Step::Close { request, used }),
        1 => (0..3_usize).prop_map(|client| Step::Die { client }),
        1 => Just(Step::Half),
        1 => Just(Step::OldSeal),
    ]
}

mod fuzz {
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Spending is at most the limit and what requests used beyond their estimates, and each client sees all of it.
        #[test]
        fn budgets_hold(steps in proptest::collection::vec(step(), 0..40)) {
            const LIMIT: u64 = 200;
            let dir = tempfile::tempdir().unwrap();
            let client = || Client::of(dir.path(), LIMIT, true);
            let mut clients = [client(), client(), client()];
            let (mut open, mut ended, mut beyond, mut seal) = (Vec::new(), 0, 0, None);
            for step in steps {
                let spent = ended + open.iter().map(|(_, expected)| expected).sum::<u64>();
                match step {
                    Step::Open { client, expected } => {
                        seal = fs::read(Home::from_root(dir.path()).usage_checksums_path()).ok();
                        match clients[client].open(expected) {
                            Ok(request) => open.push((request, expected)),
                            Err(AdmissionError::Exceeded(_)) => prop_assert!(spent >= LIMIT || spent + expected > LIMIT),
                            Err(e) => prop_assert!(false, "{e}"),
                        }
                    }
                    Step::Close { request, used } if !open.is_empty() => {
                        let (request, expected) = open.remove(request % open.len());
                        seal = fs::read(Home::from_root(dir.path()).usage_checksums_path()).ok();
                        clients[0].close(&request, used);
                        ended += used;
                        beyond += used.saturating_sub(expected);
                    }
                    Step::Close { .. } => {}
                    Step::Die { client: at } => clients[at] = client(),
                    Step::Half => {
                        if let Ok(mut file) = fs::OpenOptions::new().append(true).open(month(&clients[0].book)) {
                            file.write_all(b"{\"at\": 17").unwrap();
                        }
                    }
                    Step::OldSeal => {
                        if let Some(seal) = seal.take().filter(|seal| !seal.is_empty()) {
                            fs::write(Home::from_root(dir.path()).usage_checksums_path(), seal).unwrap();
                        }
                    }
                }
                let spent = ended + open.iter().map(|(_, expected)| expected).sum::<u64>();
                prop_assert!(spent <= LIMIT + beyond);
                for client in &mut clients {
                    prop_assert_eq!(client.spent(), spent);
                    prop_assert_eq!(client.spending.loss(), None);
                }
            }
        }
    }
}
