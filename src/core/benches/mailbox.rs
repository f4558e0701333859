//! The mailbox on this machine's disk: durable rows a second with 128 senders that each wait for
//! their own commit, and the drain of one account of 1 000 rows among a million.
//!
//! `cargo bench -p waxwing-core --bench mailbox`; the directory is `BENCH_DIRECTORY`, or the
//! system's for temporary files. CPU is given for the threads of the database, and for the whole
//! process, senders included.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::oneshot;

use waxwing_core::db::{Database, Options};
use waxwing_core::mailbox_store::{MIGRATIONS, Mailbox, NewRow};

const BODY: usize = 369;
const SENDERS: u64 = 128;
const ACCOUNTS: i64 = 100_000;
const FILL: i64 = 1_000_000;
const RUN: Duration = Duration::from_secs(5);

fn main() {
    let parent = std::env::var_os("BENCH_DIRECTORY").map_or(std::env::temp_dir(), Into::into);
    let directory = tempfile::TempDir::new_in(parent).expect("a directory to write to");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let (database, mailbox) = open(directory.path()).await;
        waiting_senders(&database, &mailbox).await;
        passing_through(&database, &mailbox).await;
        fill(&database, &mailbox).await;
        drain(&mailbox, "before a restart").await;
        database.close().await;
        let start = Instant::now();
        let (database, mailbox) = open(directory.path()).await;
        println!("open with a million rows: {:.1} ms", millis(start));
        drain(&mailbox, "after a restart").await;
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

fn row(account: i64) -> NewRow {
    let sender = "romeo@montague.example/orchard".to_owned();
    NewRow {
        account,
        sender,
        received_at_ms: 0,
        body: Bytes::from_static(&[b'x'; BODY]),
    }
}

/// Appends one row and waits for its commit.
async fn append(mailbox: &Mailbox, account: i64) -> i64 {
    let (sender, done) = oneshot::channel();
    let id = mailbox.append(row(account), move |result| drop(sender.send(result)));
    done.await.expect("an answer").expect("a commit");
    id.expect("a place in the queue")
}

/// Each sender appends to accounts all over the place and waits for every commit.
async fn waiting_senders(database: &Database, mailbox: &Mailbox) {
    let measure = Measure::start(database);
    let tasks: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let (mailbox, latencies) = (mailbox.clone(), Arc::clone(&measure.latencies));
            tokio::spawn(async move {
                let mut random = sender + 1;
                let end = Instant::now() + RUN;
                while Instant::now() < end {
                    random = random
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    let account = i64::try_from(random >> 33).unwrap_or(0) % ACCOUNTS;
                    let start = Instant::now();
                    append(&mailbox, account).await;
                    latencies.record(start.elapsed());
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a sender");
    }
    measure.report("append, 128 waiting senders");
}

/// As messages between people who are online: appended, committed, acknowledged, removed.
async fn passing_through(database: &Database, mailbox: &Mailbox) {
    let measure = Measure::start(database);
    let tasks: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let (mailbox, latencies) = (mailbox.clone(), Arc::clone(&measure.latencies));
            tokio::spawn(async move {
                let account = i64::try_from(sender).unwrap_or(0);
                let end = Instant::now() + RUN;
                while Instant::now() < end {
                    let start = Instant::now();
                    let id = append(&mailbox, account).await;
                    latencies.record(start.elapsed());
                    drop(mailbox.remove(account, vec![id]));
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a sender");
    }
    measure.report("append and remove, 128 waiting senders");
}

/// A million rows of other accounts, and among them 1 000 of account 0.
async fn fill(database: &Database, mailbox: &Mailbox) {
    let measure = Measure::start(database);
    for n in 0..FILL {
        let account = if n % 1000 == 0 { -1 } else { n % ACCOUNTS };
        mailbox
            .append(row(account), |result| result.expect("a commit"))
            .expect("a place");
        measure.latencies.record(Duration::ZERO);
        if n % 4096 == 0 {
            database.batch(Vec::new()).await.expect("a commit");
        }
    }
    database.batch(Vec::new()).await.expect("a commit");
    measure.report("append, 4096 at once");
}

async fn drain(mailbox: &Mailbox, when: &str) {
    for round in ["first", "again"] {
        let start = Instant::now();
        let (mut after, mut rows) = (0, 0);
        loop {
            let page = mailbox.page(-1, after, 64, 64 << 10).await.expect("a page");
            let Some(last) = page.last() else { break };
            after = last.id;
            rows += page.len();
        }
        println!(
            "drain of {rows} rows {when}, {round}: {:.2} ms",
            millis(start)
        );
    }
    let start = Instant::now();
    mailbox.usage(-1).await.expect("the usage");
    println!("usage of that account: {:.3} ms", millis(start));
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
