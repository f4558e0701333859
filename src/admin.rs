//! Administration: requests of the command line, carried out in the running server through a Unix
//! socket in the data directory, or directly on the database where no server runs.

use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use waxwing_core::Exchange;
use waxwing_core::accounts::AccountError;
use waxwing_core::db::DbError;
use waxwing_xmpp::Jid;

use crate::connection::Shared;
use crate::trace::{self, trace};

/// Bytes of one request.
const MAX_REQUEST: u64 = 64 * 1024;
/// How long a request may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

/// What can be asked for.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// Makes an account.
    Add {
        /// Its bare JID.
        jid: String,
        /// Its password.
        password: String,
        /// Whether it may administer.
        admin: bool,
    },
    /// Lists the accounts.
    List,
    /// Sets another password.
    Passwd {
        /// Of the account with this bare JID.
        jid: String,
        /// The new one.
        password: String,
    },
    /// Removes an account and all that is its.
    Delete {
        /// Its bare JID.
        jid: String,
    },
    /// Refuses or allows logins.
    Disable {
        /// Of the account with this bare JID.
        jid: String,
        /// Whether they are refused.
        disabled: bool,
    },
    /// Tells what became of a message.
    Trace {
        /// Its archive id, or its sender's id.
        id: String,
    },
    /// Tells how the server is.
    Status,
}

/// What comes back.
#[derive(Debug, Serialize, Deserialize)]
pub enum Response {
    /// Done; these lines are to be printed.
    Done(Vec<String>),
    /// Refused; one line says why.
    Refused(String),
}

/// The longest path of a Unix socket that the kernel takes, in bytes (unix(7)).
const MAX_SOCKET_PATH: usize = 107;

fn socket_path(data: &Path) -> PathBuf {
    data.join("admin.sock")
}

/// A path to the socket that the kernel takes: a deep data directory is named by its descriptor.
struct ShortPath {
    path: PathBuf,
    /// What the path leads through.
    _directory: Option<std::fs::File>,
}

impl ShortPath {
    fn of(data: &Path) -> std::io::Result<Self> {
        let mut path = socket_path(data);
        let mut opened = None;
        if path.as_os_str().len() > MAX_SOCKET_PATH {
            let directory = std::fs::File::open(data)?;
            path = socket_path(Path::new(&format!(
                "/proc/self/fd/{}",
                directory.as_raw_fd()
            )));
            opened = Some(directory);
        }
        Ok(ShortPath {
            path,
            _directory: opened,
        })
    }
}

/// Makes the socket. Whoever gets here holds the lock of the database, so that a socket that is
/// there is left from an earlier run. The data directory is its owner's alone.
pub fn listen(data: &Path) -> std::io::Result<UnixListener> {
    remove(data);
    let short = ShortPath::of(data)?;
    UnixListener::bind(&short.path)
}

/// Removes the socket.
pub fn remove(data: &Path) {
    match std::fs::remove_file(socket_path(data)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(%error, "the admin socket could not be removed");
        }
        _ => {}
    }
}

/// Answers requests for ever.
pub async fn serve(shared: Arc<Shared>, listener: UnixListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    if let Err(error) = answer(&shared, stream).await {
                        tracing::debug!(%error, "an admin request broke off");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the admin socket");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn answer(shared: &Shared, mut stream: UnixStream) -> std::io::Result<()> {
    let (reader, mut writer) = stream.split();
    let mut line = String::new();
    let mut reader = BufReader::new(reader.take(MAX_REQUEST));
    tokio::time::timeout(PATIENCE, reader.read_line(&mut line)).await??;
    let response = match serde_json::from_str(&line) {
        Ok(request) => execute(&shared.exchange, Some(shared), request).await,
        Err(error) => Response::Refused(format!("the request is not understood: {error}")),
    };
    let mut text = serde_json::to_vec(&response)?;
    text.push(b'\n');
    writer.write_all(&text).await
}

async fn connect(data: &Path) -> std::io::Result<UnixStream> {
    let short = ShortPath::of(data)?;
    UnixStream::connect(&short.path).await
}

/// Asks the running server. `None`: none runs.
pub async fn ask(data: &Path, request: &Request) -> std::io::Result<Option<Response>> {
    let mut stream = match connect(data).await {
        Ok(stream) => stream,
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let mut text = serde_json::to_vec(request)?;
    text.push(b'\n');
    stream.write_all(&text).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(Some(serde_json::from_slice(&answer)?))
}

/// Carries a request out. `shared` is there in the running server only.
pub async fn execute(
    exchange: &Arc<Exchange>,
    shared: Option<&Shared>,
    request: Request,
) -> Response {
    let outcome = match request {
        Request::Add {
            jid,
            password,
            admin,
        } => match own(exchange, &jid) {
            Ok(jid) => done(exchange.accounts.create(&jid, &password, admin).await),
            Err(refused) => return refused,
        },
        Request::Passwd { jid, password } => match own(exchange, &jid) {
            Ok(jid) => done(exchange.set_password(&jid, &password).await),
            Err(refused) => return refused,
        },
        Request::Delete { jid } => match own(exchange, &jid) {
            Ok(jid) => done(exchange.remove_account(&jid, None).await),
            Err(refused) => return refused,
        },
        Request::Disable { jid, disabled } => match own(exchange, &jid) {
            Ok(jid) => done(exchange.set_disabled(&jid, disabled).await),
            Err(refused) => return refused,
        },
        Request::List => list(exchange).await.map_err(AccountError::from),
        Request::Trace { id } => match trace(exchange, &id).await {
            Ok(lines) if lines.is_empty() => {
                return Response::Refused(trace::absent(exchange, &id));
            }
            outcome => outcome.map_err(AccountError::from),
        },
        Request::Status => status(exchange, shared).await.map_err(AccountError::from),
    };
    match outcome {
        Ok(lines) => Response::Done(lines),
        Err(error) => Response::Refused(error.to_string()),
    }
}

fn done(outcome: Result<(), AccountError>) -> Result<Vec<String>, AccountError> {
    outcome.map(|()| Vec::new())
}

/// The address of an account of this server.
fn own(exchange: &Exchange, text: &str) -> Result<Jid, Response> {
    let refused = |why: String| Response::Refused(format!("{text}: {why}"));
    let jid = Jid::parse(text).map_err(|error| refused(error.to_string()))?;
    if jid.local().is_none() || jid.is_full() {
        return Err(refused(format!(
            "not an account; write name@{}",
            exchange.domain
        )));
    }
    if jid.domain() != exchange.domain.as_str() {
        return Err(refused(format!("this server serves {}", exchange.domain)));
    }
    Ok(jid)
}

async fn list(exchange: &Exchange) -> Result<Vec<String>, DbError> {
    let accounts = exchange.accounts.list().await?;
    Ok(accounts
        .into_iter()
        .map(|account| {
            let admin = if account.admin { " admin" } else { "" };
            let disabled = if account.disabled { " disabled" } else { "" };
            format!("{}{admin}{disabled}", account.jid)
        })
        .collect())
}

async fn status(exchange: &Exchange, shared: Option<&Shared>) -> Result<Vec<String>, DbError> {
    let mut lines = vec![format!("domain {}", exchange.domain)];
    if let Some(shared) = shared {
        let sessions: usize = exchange
            .registry
            .all()
            .iter()
            .map(|account| account.lock().sessions.len())
            .sum();
        lines.push(format!(
            "running for {} s",
            exchange.clock.elapsed().as_secs()
        ));
        lines.push(format!("sessions {sessions}"));
        lines.push(format!(
            "certificate {} days left",
            shared.tls.days_left(SystemTime::now())
        ));
    } else {
        lines.push("not running".to_owned());
    }
    let mailbox = exchange.mailbox.stats().await?;
    lines.push(format!(
        "undelivered {} messages, {} bytes",
        mailbox.count, mailbox.bytes
    ));
    if let Some(oldest) = mailbox.oldest_ms {
        let hours = (exchange.now().0 - oldest).max(0) / 3_600_000;
        lines.push(format!("oldest undelivered {hours} h"));
    }
    lines.push(format!(
        "writes waiting {}",
        exchange.database.stats().waiting
    ));
    lines.push(format!(
        "database {} bytes",
        exchange.database.size_on_disk()
    ));
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_deep_data_directory_has_its_socket() {
        let directory = tempfile::tempdir().unwrap();
        let deep = directory.path().join("d".repeat(MAX_SOCKET_PATH));
        std::fs::create_dir(&deep).unwrap();
        let listener = listen(&deep).unwrap();
        let answer = async {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            stream.read_line(&mut String::new()).await.unwrap();
            stream.write_all(br#"{"Done":["here"]}"#).await.unwrap();
        };
        let (asked, ()) = tokio::join!(ask(&deep, &Request::Status), answer);
        assert!(matches!(asked.unwrap(), Some(Response::Done(lines)) if lines == ["here"]));
        remove(&deep);
        assert!(!deep.join("admin.sock").exists());
    }
}
