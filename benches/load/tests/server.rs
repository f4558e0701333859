//! The servers: Waxwing with a directory of its own, configured as it is compared, and the raw
//! relay.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::tool::{self, Process};

/// A running Waxwing. Ends with the value.
pub(crate) struct Waxwing {
    process: Process,
    plain: String,
    tls: String,
    _directory: TempDir,
}

impl Waxwing {
    /// Starts a server and waits until it accepts.
    pub(crate) fn start() -> Waxwing {
        let directory = TempDir::new().unwrap();
        let template = include_str!("../../peers/waxwing.toml");
        let config = template
            .replace("@C2S@", "0")
            .replace("@TLS@", "0")
            .replace("\"@DIR@/cert.pem\"", "\"\"")
            .replace("\"@DIR@/key.pem\"", "\"\"")
            .replace("\"warn\"", "\"error\"");
        let path = directory.path().join("waxwing.toml");
        std::fs::write(&path, config).unwrap();
        let mut command = Command::new(binary());
        command.arg("--config").arg(&path).arg("serve");
        command.current_dir(directory.path());
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut process = Process(child);
        let ready = process.line(|line| line.starts_with("ready "));
        let address = |name: &str| {
            let addresses = ready.split(' ').find_map(|word| word.strip_prefix(name));
            addresses.unwrap().split(',').next().unwrap().to_owned()
        };
        Waxwing {
            plain: address("c2s="),
            tls: address("c2s_tls="),
            process,
            _directory: directory,
        }
    }

    /// Its process.
    pub(crate) fn pid(&self) -> String {
        self.process.id().to_string()
    }

    /// Where it accepts streams without TLS.
    pub(crate) fn plain(&self) -> &str {
        &self.plain
    }

    /// Runs a scenario without TLS and without accounts.
    pub(crate) fn run(&self, scenario: &[&str]) -> tool::Run {
        let server = ["--server", &self.plain, "--pid", &self.pid()];
        tool::run(&[scenario, &server].concat())
    }

    /// Runs a scenario with accounts, which are made, over TLS.
    pub(crate) fn run_with_accounts(&self, scenario: &[&str]) -> tool::Run {
        let server = ["--server", &self.tls, "--tls", "direct", "--pid"];
        let accounts = [&self.pid(), "--auth", "scram-sha-1", "--register"];
        tool::run(&[scenario, &server, &accounts].concat())
    }
}

/// The server's binary, beside the program's, built if it is missing or stale.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let directory = Path::new(env!("CARGO_BIN_EXE_waxwing-load")).parent();
        let directory = directory.unwrap();
        let profile = match directory.file_name().and_then(|name| name.to_str()) {
            Some("debug") | None => "dev",
            Some(profile) => profile,
        };
        let cargo = env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into());
        let built = Command::new(cargo)
            .args(["build", "--quiet", "-p", "waxwing", "--profile", profile])
            .arg("--target-dir")
            .arg(directory.parent().unwrap())
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status();
        assert!(built.unwrap().success(), "the server does not build");
        directory.join("waxwing")
    })
}

/// Starts the raw relay: its process and its address.
pub(crate) fn raw_relay() -> (Process, String) {
    let mut command = tool::command(&["raw-relay"]);
    let mut process = Process(command.stdout(Stdio::piped()).spawn().unwrap());
    let ready = process.line(|line| line.starts_with("ready "));
    (process, ready["ready ".len()..].to_owned())
}
