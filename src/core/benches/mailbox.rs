//! The mailbox on this machine's disk: durable rows a second with 128 senders that each wait for
//! their own commit, and pages of an archive of a million rows.
//!
//! `cargo bench -p waxwing-core --bench mailbox`; the directory is `BENCH_DIRECTORY`, or the
//! system's for temporary files. CPU is given for the threads of the database, and for the whole
//! process, senders included.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::sync::oneshot;

use waxwing_core::db::{Database, Options};
use waxwing_core::mailbox_store::{Device, Filter, Flags, MIGRATIONS, Mailbox, NewRow, peer_hash};

const BODY: usize = 369;
const SENDERS: u64 = 128;
const ACCOUNTS: i64 = 100_000;
const FILL: i64 = 1_000_000;
/// The account with the large archive, and how many others it talks to.
const TALKER: i64 = 1_000_000;
const PEERS: i64 = 1000;
const RUN: Duration = Duration::from_secs(5);

fn main() {
    let parent = std::env::var_os("BENCH_DIRECTORY").map_or(std::env::temp_dir(), Into::into);
    let directory = tempfile::TempDir::new_in(parent).expect("a directory to write to");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let (database, mailbox) = open(directory.path()).await;
        waiting_senders(&database, &mailbox).await;
        passing_through(&database, &mailbox).await;
        acknowledged(&database, &mailbox).await;
        let middle = fill(&database, &mailbox).await;
        read(&mailbox, middle, "before a restart").await;
        database.close().await;
        let start = Instant::now();
        let (database, mailbox) = open(directory.path()).await;
        println!("open with millions of rows: {:.1} ms", millis(start));
        read(&mailbox, middle, "after a restart").await;
        database.close().await;
    });
}

async fn open(directory: &Path) -> (Database, Mailbox) {
    let path = directory.join("bench.db");
    let database =
        Database::open(&path, &[MIGRATIONS], &Options::default()).expect("the database opens");
    let mailbox = Mailbox::open(database.clone())
        .await
        .expect("the mailbox opens");
    (database, mailbox)
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(0)
}

fn bare(account: i64) -> String {
    format!("user{account}@montague.example")
}

/// A message in both archives.
fn row(sender: i64, recipient: i64) -> NewRow {
    NewRow {
        recipient,
        sender_account: sender,
        from: format!("{}/orchard", bare(sender)),
        to_bare: bare(recipient),
        flags: Flags::INCOMING | Flags::ARCHIVED | Flags::SENT,
        received_at_ms: now_ms(),
        key: sender.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64.cast_signed()),
        stream: recipient,
        number: 1,
        body: Bytes::from_static(&[b'x'; BODY]),
    }
}

/// Appends one row and waits for its commit.
async fn append(mailbox: &Mailbox, row: NewRow) -> i64 {
    let (sender, done) = oneshot::channel();
    let id = mailbox.append(row, move |_, result| drop(sender.send(result)));
    done.await.expect("an answer").expect("a commit");
    id.expect("a place in the queue")
}

/// The accounts of the senders.
fn senders() -> std::ops::RangeInclusive<i64> {
    1..=i64::try_from(SENDERS).unwrap_or(0)
}

/// Each sender sends to accounts all over the place and waits for every commit.
async fn waiting_senders(database: &Database, mailbox: &Mailbox) {
    let measure = Measure::start(database);
    let task = |sender: i64| {
        let (mailbox, latencies) = (mailbox.clone(), Arc::clone(&measure.latencies));
        tokio::spawn(async move {
            let mut random = sender.cast_unsigned();
            let end = Instant::now() + RUN;
            while Instant::now() < end {
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                let account = i64::try_from(random >> 33).unwrap_or(0) % ACCOUNTS + 1;
                let start = Instant::now();
                append(&mailbox, row(sender, account)).await;
                latencies.record(start.elapsed());
            }
        })
    };
    for task in senders().map(task).collect::<Vec<_>>() {
        task.await.expect("a sender");
    }
    measure.report("append, 128 waiting senders");
}

/// As messages between people who are online and keep no archive: appended, committed,
/// acknowledged, removed.
async fn passing_through(database: &Database, mailbox: &Mailbox) {
    let measure = Measure::start(database);
    let task = |sender: i64| {
        let (mailbox, latencies) = (mailbox.clone(), Arc::clone(&measure.latencies));
        tokio::spawn(async move {
            let end = Instant::now() + RUN;
            while Instant::now() < end {
                let row = NewRow {
                    flags: Flags::INCOMING,
                    ..row(sender, sender + 1)
                };
                let start = Instant::now();
                let id = append(&mailbox, row).await;
                latencies.record(start.elapsed());
                drop(mailbox.remove(sender + 1, vec![id]));
            }
        })
    };
    for task in senders().map(task).collect::<Vec<_>>() {
        task.await.expect("a sender");
    }
    measure.report("append and remove, 128 waiting senders");
}

/// As messages between people who are online: appended, committed, acknowledged.
async fn acknowledged(database: &Database, mailbox: &Mailbox) {
    for account in senders() {
        let device = Device {
            key: "phone".to_owned(),
            cursor: 0,
            seen_at_ms: now_ms(),
            name: String::new(),
        };
        drop(mailbox.register_device(account + 1, &device));
    }
    let measure = Measure::start(database);
    let task = |sender: i64| {
        let (mailbox, latencies) = (mailbox.clone(), Arc::clone(&measure.latencies));
        tokio::spawn(async move {
            let end = Instant::now() + RUN;
            while Instant::now() < end {
                let start = Instant::now();
                let id = append(&mailbox, row(sender, sender + 1)).await;
                latencies.record(start.elapsed());
                mailbox.acknowledge(sender + 1, Some("phone"), id, now_ms());
            }
        })
    };
    for task in senders().map(task).collect::<Vec<_>>() {
        task.await.expect("a sender");
    }
    measure.report("append and acknowledge, 128 waiting senders");
}

/// A million rows of one account, to and from its peers in turn. Returns the id in the middle.
async fn fill(database: &Database, mailbox: &Mailbox) -> i64 {
    let measure = Measure::start(database);
    let mut middle = 0;
    for n in 0..FILL {
        let peer = n / 2 % PEERS + 1;
        let (from, to) = if n % 2 == 0 {
            (peer, TALKER)
        } else {
            (TALKER, peer)
        };
        let id = mailbox
            .append(row(from, to), |_, result| result.expect("a commit"))
            .expect("a place");
        measure.latencies.record(Duration::ZERO);
        if n == FILL / 2 {
            middle = id;
        }
        if n % 4096 == 0 {
            database.batch(Vec::new()).await.expect("a commit");
        }
    }
    database.batch(Vec::new()).await.expect("a commit");
    measure.report("append, 4096 at once");
    middle
}

/// Pages of 50 of the large archive, and the queue of its account.
async fn read(mailbox: &Mailbox, middle: i64, when: &str) {
    println!("an archive of {FILL} rows, {when}:");
    let from_middle = Filter {
        after: middle,
        ..Filter::default()
    };
    let to_middle = Filter {
        before: middle,
        ..Filter::default()
    };
    let with = Some(peer_hash(&bare(7)));
    for (name, filter, backwards) in [
        ("the first", Filter::default(), false),
        ("the last", Filter::default(), true),
        ("from the middle", from_middle, false),
        ("back from the middle", to_middle, true),
    ] {
        for (with, of) in [(None, ""), (with, " of one peer")] {
            let filter = Filter { with, ..filter };
            let page = async || {
                let page = mailbox.archive_piece(TALKER, &filter, backwards, 50, 256 << 10);
                assert_eq!(page.await.expect("a page").rows.len(), 50);
            };
            time(&format!("  {name} 50{of}"), page).await;
        }
    }
    let first = async || {
        let page = mailbox.page(TALKER, 0, 64, 64 << 10);
        assert_eq!(page.await.expect("a page").len(), 64);
    };
    time("  64 of the queue", first).await;
    let usage = async |after| {
        let usage = mailbox.usage(TALKER, after).await;
        assert!(usage.is_ok());
    };
    time("  usage of all", || usage(0)).await;
    time("  usage behind a cursor", || usage(i64::MAX / 2)).await;
    let count = async |at_most| {
        let all = Filter::default();
        let count = mailbox.archive_count(TALKER, &all, at_most).await;
        assert_eq!(count, Ok(at_most.min(FILL.cast_unsigned())));
    };
    time("  count to 1000", || count(1000)).await;
    time("  count of all", || count(u64::MAX)).await;
    let sent = async || drop(mailbox.recent_sent(TALKER, 0, 100).await.expect("rows"));
    time("  100 sent last", sent).await;
    let start = Instant::now();
    let stats = mailbox.stats().await.expect("the counts");
    println!(
        "  stats of all accounts ({}): {:.1} ms",
        stats.count,
        millis(start)
    );
}

/// The first time and the median of some more.
async fn time(name: &str, work: impl AsyncFn()) {
    let mut times = Vec::new();
    for _ in 0..21 {
        let start = Instant::now();
        work().await;
        times.push(millis(start));
    }
    let first = times.remove(0);
    times.sort_by(f64::total_cmp);
    println!(
        "{name}: {first:.3} ms, again {:.3} ms",
        times[times.len() / 2]
    );
}

/// Latencies in steps of 10 µs.
struct Latencies(Vec<AtomicU64>);

impl Latencies {
    fn record(&self, time: Duration) {
        let step = usize::try_from(time.as_micros() / 10).unwrap_or(usize::MAX);
        self.0[step.min(self.0.len() - 1)].fetch_add(1, Relaxed);
    }

    fn count(&self) -> u64 {
        self.0.iter().map(|step| step.load(Relaxed)).sum()
    }

    /// Milliseconds below which this share of them lies.
    fn quantile(&self, share: f64) -> f64 {
        let (mut seen, total) = (0, self.count());
        let reached = |step: &AtomicU64| {
            seen += step.load(Relaxed);
            seen as f64 >= total as f64 * share
        };
        self.0.iter().position(reached).unwrap_or(0) as f64 / 100.0
    }
}

struct Measure {
    database: Database,
    start: Instant,
    cpu: [Duration; 2],
    commits: u64,
    latencies: Arc<Latencies>,
}

impl Measure {
    fn start(database: &Database) -> Measure {
        let latencies = Latencies((0..100_000).map(|_| AtomicU64::new(0)).collect());
        Measure {
            database: database.clone(),
            commits: database.stats().commits,
            start: Instant::now(),
            cpu: cpu_time(),
            latencies: Arc::new(latencies),
        }
    }

    fn report(&self, name: &str) {
        let (rows, seconds) = (
            self.latencies.count() as f64,
            self.start.elapsed().as_secs_f64(),
        );
        let cpu = cpu_time();
        let commits = (self.database.stats().commits - self.commits) as f64;
        println!(
            "{name}: {:.0} rows/s, CPU a row {:.2} µs database, {:.2} µs all, {:.0} rows a commit, p50 {:.2} ms, \
             p99 {:.2} ms, p99.9 {:.2} ms",
            rows / seconds,
            (cpu[0] - self.cpu[0]).as_secs_f64() * 1e6 / rows,
            (cpu[1] - self.cpu[1]).as_secs_f64() * 1e6 / rows,
            rows / commits,
            self.latencies.quantile(0.5),
            self.latencies.quantile(0.99),
            self.latencies.quantile(0.999),
        );
    }
}

/// User and system time so far, in ticks of 10 ms: of the database's threads, and of all.
fn cpu_time() -> [Duration; 2] {
    let mut ticks = [0; 2];
    for task in std::fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten()
    {
        let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        let Some((name, numbers)) = stat.rsplit_once(')') else {
            continue;
        };
        let numbers = numbers.split_whitespace().skip(11).take(2);
        let used: u64 = numbers
            .filter_map(|number| number.parse::<u64>().ok())
            .sum();
        ticks[1] += used;
        if name.contains("(db-") {
            ticks[0] += used;
        }
    }
    ticks.map(|ticks| Duration::from_millis(ticks * 10))
}

fn millis(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}
