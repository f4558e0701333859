//! What a process writes to its sockets, call by call: `strace` watches it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;

use super::Outcome;

/// A running `strace`. Ends with the value.
pub struct Strace {
    child: Child,
    /// What it says of every new thread. It ends if nobody can hear it.
    _said: BufReader<ChildStderr>,
    log: NamedTempFile,
}

impl Strace {
    /// Attaches to a process with all its threads.
    pub fn attach(pid: u32) -> Outcome<Strace> {
        let log = NamedTempFile::new()?;
        let mut child = Command::new("strace")
            .args([
                "-f",
                "-s",
                "4096",
                "-e",
                "trace=write,writev,sendto,sendmsg",
            ])
            .args(["-p", &pid.to_string(), "-o"])
            .arg(log.path())
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut said = BufReader::new(child.stderr.take().ok_or("strace has no stderr")?);
        let mut line = String::new();
        said.read_line(&mut line)?;
        let strace = Strace {
            child,
            _said: said,
            log,
        };
        if line.contains("attached") {
            Ok(strace)
        } else {
            Err(format!("strace: {}", line.trim()).into())
        }
    }

    /// Detaches; the calls that were made, each as a line.
    pub fn calls(mut self) -> Outcome<Vec<String>> {
        self.end()?;
        let log = fs::read_to_string(self.log.path())?;
        Ok(log.lines().map(str::to_owned).collect())
    }

    fn end(&mut self) -> Outcome {
        if self.child.try_wait()?.is_none() {
            kill_process(Pid::from_child(&self.child), Signal::INT)?;
            self.child.wait()?;
        }
        Ok(())
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("strace: {error}");
        }
    }
}
