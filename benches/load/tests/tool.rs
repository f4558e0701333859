//! The program under test.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// What a run has left.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    /// Standard output, then standard error.
    pub(crate) text: String,
    /// The result; null if none was written.
    json: Value,
}

/// The program, with these arguments.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waxwing-load"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub(crate) fn run(arguments: &[&str]) -> Run {
    let directory = tempfile::tempdir().unwrap();
    let json = directory.path().join("result.json");
    let mut command = command(arguments);
    command.arg("--quiet").arg("--json").arg(&json);
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let json = std::fs::read(json).unwrap_or_else(|_| b"null".to_vec());
    Run {
        code: status.code(),
        text: String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned(),
        json: serde_json::from_slice(&json).unwrap(),
    }
}

impl Run {
    /// A figure.
    pub(crate) fn figure(&self, name: &str) -> f64 {
        let figure = &self.json["figures"][name];
        figure
            .as_f64()
            .unwrap_or_else(|| panic!("no {name}: {}", self.text))
    }

    /// What became of so many of the messages: arrived, missing, doubled, reordered, unknown.
    pub(crate) fn verdict(&self, name: &str) -> u64 {
        let verdict = &self.json["verdict"][name];
        verdict
            .as_u64()
            .unwrap_or_else(|| panic!("no verdict: {}", self.text))
    }

    /// The server did its work, and these many or more things were counted.
    pub(crate) fn assert_correct(&self, counted: &str, least: f64) {
        assert_eq!(self.code, Some(0), "{}", self.text);
        for wrong in ["missing", "doubled", "reordered", "unknown"] {
            assert_eq!(self.verdict(wrong), 0, "{wrong}: {}", self.text);
        }
        assert_eq!(self.json["faults"].as_array().map(Vec::len), Some(0));
        assert!(self.figure(counted) >= least, "{}", self.text);
    }

    /// The run failed, and says why.
    pub(crate) fn assert_failed(&self, why: &str) {
        assert_eq!(self.code, Some(1), "{}", self.text);
        assert!(self.text.contains(why), "no {why:?} in: {}", self.text);
    }
}

/// A process that is ended with the value.
pub(crate) struct Process(pub(crate) Child);

impl Process {
    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// The next line on its standard output that `wanted` accepts.
    pub(crate) fn line(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        let mut lines = BufReader::new(self.0.stdout.take().unwrap()).lines();
        let line = lines.find_map(|line| line.ok().filter(|line| wanted(line)));
        line.expect("it ended before it said so")
    }

    /// The next line on its standard error that `wanted` accepts, and what comes after it.
    pub(crate) fn error_line(&mut self, wanted: impl Fn(&str) -> bool) -> BufReader<ChildStderr> {
        let mut errors = BufReader::new(self.0.stderr.take().unwrap());
        let mut line = String::new();
        while !wanted(line.trim_end()) {
            line.clear();
            assert!(
                errors.read_line(&mut line).unwrap() > 0,
                "it ended before it said so"
            );
        }
        errors
    }

    /// Sends a signal and waits for the end: its exit code.
    pub(crate) fn end(&mut self, signal: Signal) -> Option<i32> {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
        self.0.wait().unwrap().code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
