//! What processes cost, from `/proc`: processor time, memory, and the kernel's part of a socket.

use std::fs;
use std::io;
use std::ops::Sub;

use serde::Serialize;

/// Ticks of `/proc/PID/stat` per second: 100 on every Linux that a server runs on.
const TICKS_PER_SECOND: f64 = 100.0;
/// Bytes of a page.
const PAGE: u64 = 4096;

/// Processor time in seconds, of all threads of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Cpu {
    /// In user space.
    pub(crate) user: f64,
    /// In the kernel on behalf of the process.
    pub(crate) system: f64,
}

impl Cpu {
    /// Of one process, with the children it has waited for.
    pub(crate) fn of(pid: &str) -> io::Result<Cpu> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        parse_stat(&stat).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Of several processes together.
    pub(crate) fn of_all(pids: &[u32]) -> io::Result<Cpu> {
        let mut sum = Cpu::default();
        for pid in pids {
            let one = Cpu::of(&pid.to_string())?;
            sum.user += one.user;
            sum.system += one.system;
        }
        Ok(sum)
    }

    /// User and system together.
    pub(crate) fn total(&self) -> f64 {
        self.user + self.system
    }
}

impl Sub for Cpu {
    type Output = Cpu;

    fn sub(self, earlier: Cpu) -> Cpu {
        Cpu {
            user: self.user - earlier.user,
            system: self.system - earlier.system,
        }
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

/// Resident memory of the processes together, in bytes.
pub(crate) fn resident(pids: &[u32]) -> io::Result<u64> {
    let mut sum = 0;
    for pid in pids {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        sum += parse_resident(&status).ok_or(io::ErrorKind::InvalidData)?;
    }
    Ok(sum)
}

fn parse_resident(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// What the kernel holds in slabs, in bytes; `None` where it may not be read. Half of the growth
/// between two readings is the server's, as each connection has two ends on this machine.
pub(crate) fn slabs() -> Option<u64> {
    let info = fs::read_to_string("/proc/slabinfo").ok()?;
    let bytes = info.lines().skip(2).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let slabs: u64 = fields.get(14)?.parse().ok()?;
        let pages: u64 = fields.get(5)?.parse().ok()?;
        Some(slabs * pages * PAGE)
    });
    Some(bytes.sum())
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn resident_memory_is_read() {
        assert_eq!(
            parse_resident("Name:\tx\nVmRSS:\t   12 kB\n"),
            Some(12 * 1024)
        );
        assert_eq!(parse_resident("Name:\tx\n"), None);
        assert!(resident(&[std::process::id()]).unwrap() > 0);
    }
}
