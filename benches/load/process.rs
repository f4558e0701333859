//! What processes cost, from `/proc`.

use std::fs;
use std::io;
use std::ops::Sub;

use serde::Serialize;

/// Ticks of `/proc/PID/stat` per second: 100 on every Linux that a server runs on.
const TICKS_PER_SECOND: f64 = 100.0;

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
}
