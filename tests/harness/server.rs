//! A server process with its own data, config and ports.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

use super::Outcome;
use super::accounts::{Account, add_user, register};
use super::disk::Disk;
pub use super::options::ServerOptions;

/// How long a server may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(20);

/// Plays and scenarios that need no server of their own can be tried on any server with open
/// in-band registration: this variable then holds its address, ADDRESS:PORT.
const FOREIGN: &str = "WAXWING_TEST_SERVER";

/// Where a server is found and how it is known.
#[derive(Clone, Debug)]
pub struct Target {
    /// STARTTLS.
    pub c2s: SocketAddr,
    /// Direct TLS.
    pub c2s_tls: Option<SocketAddr>,
    /// The domain that it serves.
    pub domain: String,
    /// Its certificate as DER.
    pub certificate: Option<Vec<u8>>,
}

/// A running server, or one that was stopped and can be started on the same data again.
pub struct Server {
    directory: TempDir,
    process: Option<Process>,
    foreign: Option<Target>,
    disk: Option<Disk>,
}

struct Process {
    child: Child,
    target: Target,
}

impl Server {
    /// Starts a server and waits until it accepts.
    pub fn start(options: &ServerOptions) -> Outcome<Server> {
        let directory = TempDir::new()?;
        let disk = match options.disk_megabytes {
            Some(size) => Some(Disk::mount(size, &directory.path().join("data"))?),
            None => None,
        };
        let mut server = Server {
            directory,
            process: None,
            foreign: None,
            disk,
        };
        server.configure(options)?;
        server.start_again()?;
        Ok(server)
    }

    /// The server that scenarios share which need none of their own: they keep apart by accounts.
    pub fn shared() -> Outcome<Target> {
        let mut shared = lock_shared();
        if shared.is_none() {
            *shared = Some(match std::env::var(FOREIGN) {
                Ok(address) => Server::foreign(&address)?,
                Err(_) => Server::start(&ServerOptions::new())?,
            });
        }
        shared
            .as_ref()
            .map_or(Err("no server".into()), Server::target)
    }

    /// Makes an account on the shared server.
    pub fn shared_account(name: &str) -> Outcome<Account> {
        let target = Server::shared()?;
        let account = Account::named(name, &target.domain);
        let foreign = lock_shared()
            .as_ref()
            .is_some_and(|server| server.foreign.is_some());
        if foreign {
            register(&target, &account)?;
        } else {
            let config = lock_shared()
                .as_ref()
                .map(Server::config)
                .ok_or("no server")?;
            add_user(&config, &account)?;
        }
        Ok(account)
    }

    /// Ends the shared server as an administrator would, if it was started.
    pub fn stop_shared() -> Outcome {
        match lock_shared().take() {
            Some(mut server) if server.foreign.is_none() => server.terminate(),
            _ => Ok(()),
        }
    }

    /// The last lines that the shared server logged.
    pub fn shared_log() -> String {
        lock_shared().as_ref().map(Server::log).unwrap_or_default()
    }

    fn foreign(address: &str) -> Outcome<Server> {
        let c2s = address.parse()?;
        let target = Target {
            c2s,
            c2s_tls: None,
            domain: "localhost".to_owned(),
            certificate: None,
        };
        Ok(Server {
            directory: TempDir::new()?,
            process: None,
            foreign: Some(target),
            disk: None,
        })
    }

    /// Writes the config file.
    pub fn configure(&self, options: &ServerOptions) -> Outcome {
        Ok(fs::write(self.config(), options.toml())?)
    }

    /// Starts the stopped server on the data that it has. Its ports may be others than before.
    pub fn start_again(&mut self) -> Outcome {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.directory.path().join("log"))?;
        let mut child = self
            .launcher()
            .arg("serve")
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()?;
        let out = child.stdout.take().ok_or("no output")?;
        let (lines, line) = mpsc::channel();
        thread::spawn(move || {
            for text in BufReader::new(out).lines().map_while(Result::ok) {
                let _ = lines.send(text);
            }
        });
        let ready = line.recv_timeout(PATIENCE);
        self.process = Some(Process {
            child,
            target: Target::nowhere(),
        });
        match ready {
            Ok(line) => self.accept(&line),
            Err(RecvTimeoutError::Timeout) => {
                Err(format!("no ready line in time:\n{}", self.log()).into())
            }
            Err(RecvTimeoutError::Disconnected) => {
                Err(format!("the server did not start:\n{}", self.log()).into())
            }
        }
    }

    fn launcher(&self) -> Command {
        let plain = waxwing(&self.config());
        match &self.disk {
            Some(disk) => disk.run_on(&plain),
            None => plain,
        }
    }

    /// Its disk, if that is bounded.
    pub fn disk(&self) -> Outcome<&Disk> {
        Ok(self.disk.as_ref().ok_or("the disk is not bounded")?)
    }

    fn accept(&mut self, ready: &str) -> Outcome {
        let address = |key: &str| -> Outcome<SocketAddr> {
            let field = ready
                .split(' ')
                .find_map(|field| field.strip_prefix(key)?.strip_prefix('='));
            let list = field.ok_or_else(|| format!("no {key} in {ready:?}"))?;
            Ok(list.split(',').next().unwrap_or_default().parse()?)
        };
        let target = Target {
            c2s: address("c2s")?,
            c2s_tls: Some(address("c2s_tls")?),
            domain: "localhost".to_owned(),
            certificate: Some(certificate(&self.data())?),
        };
        if let Some(process) = &mut self.process {
            process.target = target;
        }
        Ok(())
    }

    /// Where it is found.
    pub fn target(&self) -> Outcome<Target> {
        let running = self.process.as_ref().map(|process| &process.target);
        Ok(running
            .or(self.foreign.as_ref())
            .ok_or("the server is not running")?
            .clone())
    }

    /// Its process id.
    pub fn pid(&self) -> Outcome<u32> {
        Ok(self
            .process
            .as_ref()
            .ok_or("the server is not running")?
            .child
            .id())
    }

    /// Its config file.
    pub fn config(&self) -> PathBuf {
        self.directory.path().join("config.toml")
    }

    /// Its data directory.
    pub fn data(&self) -> PathBuf {
        match &self.disk {
            Some(disk) => disk.seen_from_here(),
            None => self.directory.path().join("data"),
        }
    }

    /// Its database.
    pub fn database(&self) -> Outcome<PathBuf> {
        let files = fs::read_dir(self.data())?.filter_map(|entry| Some(entry.ok()?.path()));
        let is_database = |path: &PathBuf| {
            fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"SQLite format 3\0"))
        };
        let mut found: Vec<PathBuf> = files.filter(is_database).collect();
        found.sort();
        Ok(found
            .into_iter()
            .next()
            .ok_or("no database in the data directory")?)
    }

    /// Makes an account with `waxwing user add`.
    pub fn account(&self, name: &str) -> Outcome<Account> {
        let account = Account::named(name, "localhost");
        match self.disk {
            None => add_user(&self.config(), &account)?,
            Some(_) => register(&self.target()?, &account)?,
        }
        Ok(account)
    }

    /// Runs the command line on this server's config.
    pub fn command(&self, arguments: &[&str], input: &str) -> Outcome<Output> {
        run(&self.config(), arguments, input)
    }

    /// The last lines that it logged.
    pub fn log(&self) -> String {
        let text = fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    /// Ends it as `kill -9` does.
    pub fn kill_9(&mut self) -> Outcome {
        let mut process = self.process.take().ok_or("the server is not running")?;
        process.child.kill()?;
        process.child.wait()?;
        Ok(())
    }

    /// Sends it a signal by name, such as `TERM`.
    pub fn signal(&self, name: &str) -> Outcome {
        let status = Command::new("kill")
            .args([format!("-{name}"), self.pid()?.to_string()])
            .status()?;
        if status.success() {
            Ok(())
        } else {
            Err("kill failed".into())
        }
    }

    /// Asks it to stop, as systemd does, and waits: the exit code must be 0.
    pub fn terminate(&mut self) -> Outcome {
        self.signal("TERM")?;
        let status = self.wait()?;
        if status.code() == Some(0) {
            return Ok(());
        }
        Err(format!("SIGTERM ended the server with {status}:\n{}", self.log()).into())
    }

    /// Waits until it has ended.
    pub fn wait(&mut self) -> Outcome<ExitStatus> {
        let mut process = self.process.take().ok_or("the server is not running")?;
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(status) = process.child.try_wait()? {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(5));
        }
        self.process = Some(process);
        Err(format!("the server did not end in time:\n{}", self.log()).into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
    }
}

impl Target {
    fn nowhere() -> Target {
        let c2s = SocketAddr::from(([127, 0, 0, 1], 0));
        Target {
            c2s,
            c2s_tls: None,
            domain: String::new(),
            certificate: None,
        }
    }
}

/// The program on that config.
pub fn waxwing(config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waxwing"));
    command.arg("--config").arg(config).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("WAXWING_")) {
        command.env_remove(name);
    }
    command
}

/// Runs the command line and waits for its end.
pub fn run(config: &Path, arguments: &[&str], input: &str) -> Outcome<Output> {
    let mut command = waxwing(config);
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that refuses early does not read its input.
        let _ = stdin.write_all(input.as_bytes());
    }
    Ok(child.wait_with_output()?)
}

/// The certificate that a server made in its data directory, as DER.
fn certificate(data: &Path) -> Outcome<Vec<u8>> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    for entry in fs::read_dir(data)? {
        let text = fs::read_to_string(entry?.path()).unwrap_or_default();
        let Some((_, rest)) = text.split_once(BEGIN) else {
            continue;
        };
        let base64: String = rest
            .split("-----END")
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        return Ok(STANDARD.decode(base64)?);
    }
    Err("no certificate in the data directory".into())
}

fn lock_shared() -> MutexGuard<'static, Option<Server>> {
    static SHARED: Mutex<Option<Server>> = Mutex::new(None);
    SHARED.lock().unwrap_or_else(PoisonError::into_inner)
}
