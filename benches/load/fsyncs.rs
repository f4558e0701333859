//! Counts how often a process asks the disk to keep what it was given: `strace` watches it.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// A running `strace`. Ends with the value.
pub(crate) struct Watch {
    child: Child,
    /// What it says of every new thread. It ends if nobody can hear it.
    said: Option<BufReader<ChildStderr>>,
    log: PathBuf,
}

impl Watch {
    /// Attaches to the processes with all their threads.
    pub(crate) fn start(pids: &[u32]) -> io::Result<Watch> {
        let log = std::env::temp_dir().join(format!("waxwing-load-{}", std::process::id()));
        let mut command = Command::new("strace");
        command
            .args(["-f", "-e", "trace=fsync,fdatasync", "-o"])
            .arg(&log);
        for pid in pids {
            command.args(["-p", &pid.to_string()]);
        }
        let child = command
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut watch = Watch {
            child,
            said: None,
            log,
        };
        watch.said = watch.child.stderr.take().map(BufReader::new);
        if let Some(said) = &mut watch.said {
            let mut line = String::new();
            said.read_line(&mut line)?;
            if !line.contains("attached") {
                return Err(io::Error::other(format!("strace: {}", line.trim())));
            }
        }
        Ok(watch)
    }

    /// Detaches; the number of calls that were begun.
    pub(crate) fn finish(mut self) -> io::Result<u64> {
        // It ends by itself when all that it watches has ended.
        if let Some(status) = self.child.try_wait()?
            && !status.success()
        {
            return Err(io::Error::other(format!("strace ended early: {status}")));
        }
        self.end()?;
        Ok(count(&fs::read_to_string(&self.log)?))
    }

    fn end(&mut self) -> io::Result<()> {
        if self.child.try_wait()?.is_none() {
            kill_process(Pid::from_child(&self.child), Signal::INT)?;
            self.child.wait()?;
        }
        Ok(())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("waxwing-load: strace: {error}");
        }
        let _ = fs::remove_file(&self.log);
    }
}

fn count(log: &str) -> u64 {
    let begins = |line: &&str| line.contains("fsync(") || line.contains("fdatasync(");
    log.lines().filter(begins).count() as u64
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn calls_of_processes_that_begin_later_are_counted() {
        let mut file = std::env::temp_dir();
        file.push(format!("waxwing-load-synced-{}", std::process::id()));
        fs::write(&file, "x").unwrap();
        let mut shell = Command::new("sh")
            .args(["-c", "read go; (sync \"$0\"); (sync \"$0\"); (sync \"$0\")"])
            .arg(&file)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let watch = Watch::start(&[shell.id()]).unwrap();
        shell.stdin.take().unwrap().write_all(b"go\n").unwrap();
        assert!(shell.wait().unwrap().success());
        assert_eq!(watch.finish().unwrap(), 3);
        fs::remove_file(&file).unwrap();
    }

    #[test]
    fn calls_are_counted_once() {
        let log = "7 fdatasync(9 <unfinished ...>\n8 fsync(3) = 0\n\
                   7 <... fdatasync resumed>) = 0\n7 +++ exited with 0 +++\n";
        assert_eq!(count(log), 2);
    }
}
