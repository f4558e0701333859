//! Processor time of processes, with all their threads and all the processes that they have
//! started.

use std::collections::HashMap;
use std::fs;
use std::io;

use crate::process::family;

/// Ticks of `/proc/PID/stat` per second: 100 on every Linux that a server runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor time in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Cpu {
    /// In user space.
    pub(crate) user: f64,
    /// In the kernel on behalf of the process.
    pub(crate) system: f64,
}

impl Cpu {
    /// User and system together.
    pub(crate) fn total(&self) -> f64 {
        self.user + self.system
    }

    /// The same parts of another total.
    fn scaled(self, total: f64) -> Cpu {
        let part = if self.total() > 0.0 {
            self.user / self.total()
        } else {
            0.5
        };
        Cpu {
            user: total * part,
            system: total * (1.0 - part),
        }
    }
}

/// What was used until a moment.
pub(crate) struct Usage {
    /// All of it, that of ended threads and awaited children too; in whole ticks for each process.
    ticks: Cpu,
    /// By thread, in nanoseconds: exact, but nothing is known of threads that have ended.
    threads: HashMap<u32, u64>,
    processes: usize,
}

impl Usage {
    /// Reads it now.
    pub(crate) fn read(pids: &[u32]) -> io::Result<Usage> {
        let family = family(pids)?;
        let mut usage = Usage {
            ticks: Cpu::default(),
            threads: HashMap::new(),
            processes: family.len(),
        };
        for pid in family {
            // One that was started may end at any time.
            if let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) {
                let one = parse_stat(&stat).ok_or(io::ErrorKind::InvalidData)?;
                usage.ticks.user += one.user;
                usage.ticks.system += one.system;
            }
            let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
                continue;
            };
            for thread in threads {
                let thread = thread?;
                let number = thread
                    .file_name()
                    .to_str()
                    .and_then(|name| name.parse().ok());
                let used = fs::read_to_string(thread.path().join("schedstat"));
                let used = used.ok().and_then(|used| parse_schedstat(&used));
                usage.threads.extend(number.zip(used));
            }
        }
        Ok(usage)
    }

    /// What was used between an earlier reading and this one.
    pub(crate) fn since(&self, earlier: &Usage) -> Cpu {
        let ticks = Cpu {
            user: self.ticks.user - earlier.ticks.user,
            system: self.ticks.system - earlier.ticks.system,
        };
        let before = |thread| earlier.threads.get(thread).copied().unwrap_or(0);
        let threads = self.threads.iter();
        let nanos: u64 = threads
            .map(|(thread, used)| used.saturating_sub(before(thread)))
            .sum();
        // Two counters of each process are off by less than a tick. Beyond that a thread has ended.
        let processes = self.processes.max(earlier.processes) as f64;
        let unsure = 2.0 * processes / TICKS_PER_SECOND;
        let least = (ticks.total() - unsure).max(0.0);
        let total = (nanos as f64 / 1e9).clamp(least, ticks.total().max(0.0) + unsure);
        ticks.scaled(total)
    }
}

fn parse_stat(stat: &str) -> Option<Cpu> {
    // The name in parentheses may hold spaces: the fields begin after it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let seconds = |index: usize| Some(fields.get(index)?.parse::<f64>().ok()? / TICKS_PER_SECOND);
    Some(Cpu {
        user: seconds(11)? + seconds(13)?,
        system: seconds(12)? + seconds(14)?,
    })
}

fn parse_schedstat(schedstat: &str) -> Option<u64> {
    schedstat.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn stat_is_read_behind_the_name() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 1 0 0 0 150 250 50 0 20 0 9 0 1";
        let cpu = parse_stat(stat);
        let expected = Cpu {
            user: 2.0,
            system: 2.5,
        };
        assert_eq!(cpu, Some(expected));
        assert_eq!(parse_stat("7 (x) S 1"), None);
    }

    fn usage(user: f64, system: f64, threads: &[(u32, u64)]) -> Usage {
        Usage {
            ticks: Cpu { user, system },
            threads: threads.iter().copied().collect(),
            processes: 1,
        }
    }

    #[test]
    fn less_than_a_tick_is_seen() {
        let before = usage(1.0, 2.0, &[(7, 3_000_000_000)]);
        let behind = usage(1.0, 2.0, &[(7, 3_004_000_000), (8, 1_000_000)]);
        assert!((behind.since(&before).total() - 0.005).abs() < 1e-9);
        let behind = usage(1.03, 2.01, &[(7, 3_036_000_000)]);
        let used = behind.since(&before);
        assert!((used.total() - 0.036).abs() < 1e-9);
        assert!((used.user - 0.027).abs() < 1e-9, "three quarters");
    }

    #[test]
    fn what_ended_threads_have_used_is_seen() {
        let before = usage(1.0, 2.0, &[(7, 2_000_000_000), (8, 1_000_000_000)]);
        let behind = usage(2.0, 2.0, &[(7, 2_100_000_000)]);
        assert!((behind.since(&before).total() - 0.98).abs() < 1e-9);
    }

    /// Turns until it has used so much.
    fn work(seconds: f64) {
        let me = [std::process::id()];
        let before = Usage::read(&me).unwrap();
        let begun = Instant::now();
        while Usage::read(&me).unwrap().since(&before).total() < seconds {
            assert!(begun.elapsed() < Duration::from_secs(60), "it is not seen");
        }
    }

    #[test]
    fn threads_count_while_they_live_and_after() {
        let me = [std::process::id()];
        let before = Usage::read(&me).unwrap();
        std::thread::spawn(|| work(0.4)).join().unwrap();
        let used = Usage::read(&me).unwrap().since(&before).total();
        // Other tests start and end threads and processes meanwhile: each makes this less sure.
        assert!(used > 0.1, "{used}");
    }

    #[test]
    fn what_was_started_counts() {
        let script = "i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done; echo done; read end";
        let mut shell = Command::new("sh")
            .args(["-c", &format!("(sh -c '{script}'); true")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(shell.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let none = usage(0.0, 0.0, &[]);
        let used = Usage::read(&[shell.id()]).unwrap().since(&none).total();
        shell.stdin.take().unwrap().write_all(b"\n").unwrap();
        shell.wait().unwrap();
        assert!(used > 0.01, "{used}");
    }

    #[test]
    fn a_process_that_is_not_there_is_named() {
        let error = Usage::read(&[u32::MAX]).err().unwrap().to_string();
        assert!(error.contains("4294967295"), "{error}");
    }
}
