//! Processes as `/proc` shows them: what they have started, their memory, and the kernel's part of
//! it.

use std::collections::BTreeSet;
use std::fs::{self, DirEntry};
use std::io;
use std::path::Path;

/// Bytes of a page.
const PAGE: u64 = 4096;

/// Processes with all that they have started, directly or not. Those that are named must be there.
pub(crate) fn family(pids: &[u32]) -> io::Result<BTreeSet<u32>> {
    let named = |pid: &&u32| !Path::new(&format!("/proc/{pid}")).exists();
    if let Some(pid) = pids.iter().find(named) {
        return Err(io::Error::other(format!("there is no process {pid}")));
    }
    let (mut family, mut new) = (BTreeSet::new(), pids.to_vec());
    while let Some(pid) = new.pop() {
        if family.insert(pid) {
            new.extend(children(pid));
        }
    }
    Ok(family)
}

fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    let of_thread = |thread: DirEntry| fs::read_to_string(thread.path().join("children")).ok();
    let lists = threads.flatten().filter_map(of_thread);
    lists
        .flat_map(|list| {
            let pids = list.split_whitespace().filter_map(|pid| pid.parse().ok());
            pids.collect::<Vec<u32>>()
        })
        .collect()
}

/// Resident memory of the processes and all that they have started together, in bytes.
pub(crate) fn resident(pids: &[u32]) -> io::Result<u64> {
    let mut sum = 0;
    for pid in family(pids)? {
        let status = fs::read_to_string(format!("/proc/{pid}/status"));
        match status.ok().and_then(|status| parse_resident(&status)) {
            Some(bytes) => sum += bytes,
            None if pids.contains(&pid) => {
                return Err(io::Error::other(format!("process {pid} has ended")));
            }
            // One that was started may end at any time.
            None => (),
        }
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
    fn resident_memory_is_read() {
        assert_eq!(
            parse_resident("Name:\tx\nVmRSS:\t   12 kB\n"),
            Some(12 * 1024)
        );
        assert_eq!(parse_resident("Name:\tx\n"), None);
        assert!(resident(&[std::process::id()]).unwrap() > 0);
    }
}
