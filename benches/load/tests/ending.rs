//! Wrong usage, and runs that are interrupted.

use std::fs;
use std::io::{BufReader, Read};
use std::path::Path;
use std::process::{ChildStderr, Stdio};

use rustix::process::Signal;

use crate::server::{Waxwing, raw_relay};
use crate::tool::{self, Process};

#[test]
fn only_loopback_addresses_are_accepted() {
    for arguments in [
        &["relay", "--server", "192.0.2.1:5222"][..],
        &["relay", "--server", "[2001:db8::1]:5222"],
        &["raw-relay", "--listen", "0.0.0.0:0"],
    ] {
        let output = tool::command(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("not a loopback address"), "{said}");
    }
}

/// Starts a scenario that will not end by itself, and waits until it counts.
fn endless(
    scenario: &str,
    arguments: &[&str],
    temporary: &Path,
) -> (Process, BufReader<ChildStderr>) {
    let mut command = tool::command(&[&[scenario], arguments].concat());
    let command = command.env("TMPDIR", temporary).stderr(Stdio::piped());
    let mut process = Process(command.spawn().unwrap());
    let counts = |line: &str| {
        let count = line
            .strip_prefix(scenario)
            .and_then(|line| line.strip_prefix(": "));
        count.is_some_and(|count| count.parse::<u64>().is_ok())
    };
    let errors = process.error_line(counts);
    (process, errors)
}

#[test]
fn an_interrupted_run_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let (_relay, address) = raw_relay();
    for signal in [Signal::INT, Signal::TERM] {
        let arguments = ["--raw", "--seconds", "600", "--server", &address];
        let (mut run, mut errors) = endless("relay", &arguments, directory.path());
        assert_eq!(run.end(signal), Some(130));
        let mut said = String::new();
        errors.read_to_string(&mut said).unwrap();
        assert!(said.contains("interrupted"), "{said}");
    }
}

#[test]
fn an_interrupted_count_of_fsyncs_leaves_nothing_behind() {
    let (server, directory) = (Waxwing::start(), tempfile::tempdir().unwrap());
    let pid = server.pid();
    let accounts = [
        "--auth",
        "scram-sha-1",
        "--register",
        "--fsyncs",
        "--pid",
        &pid,
    ];
    let messages = ["--messages", "1000000", "--server", server.plain()];
    let few = ["--senders", "4", "--recipients", "2"];
    let (mut run, _errors) = endless(
        "offline",
        &[&accounts[..], &messages, &few].concat(),
        directory.path(),
    );
    let children = format!("/proc/{0}/task/{0}/children", run.id());
    let children = fs::read_to_string(children).unwrap();
    let children: Vec<&str> = children.split_whitespace().collect();
    let name = |pid: &str| fs::read_to_string(format!("/proc/{pid}/comm"));
    assert_eq!(name(children[0]).unwrap(), "strace\n");
    assert_eq!(run.end(Signal::INT), Some(130));
    for child in children {
        assert!(name(child).is_err(), "{child} is still there");
    }
    let left = fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(left, 0, "files");
    let again = server.run(&["relay", "--pairs", "2", "--seconds", "0.1"]);
    again.assert_correct("messages", 1.0);
}
