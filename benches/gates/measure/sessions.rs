//! What an idle session holds: the server's own code on a real socket, logins one by one, and the
//! live heap before and after each.
//!
//! The tables that grow now and then, at whoever's login it is, would blur this: the registry's is
//! filled beforehand, and the most frequent figure of all logins is taken.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream as Commands;
use std::path::Path;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Builder;
use tokio::sync::{mpsc, watch};
use waxwing::connection::{self, Shared};
use waxwing::listener;
use waxwing::server;
use waxwing_benches::counting::{self, Live};
use waxwing_core::account::{Account, Mail};
use waxwing_core::roster::Roster;
use waxwing_gates::{Figure, Kind};
use waxwing_xmpp::Jid;

use crate::client::{self, Life};
use crate::{Outcome, crypto_heap, stage};

/// Logins that are counted.
const LOGINS: usize = 64;
/// Accounts in memory before the first login: 20 for each shard of the registry.
const ACCOUNTS: i64 = 1280;

const CONFIG: &str =
    "[tls]\nrequire = false\n[auth]\nanonymous = true\n[archive]\nenabled = false\n";

/// Where the server puts the certificate that it makes itself.
const CERTIFICATE: &str = "data/self-signed.pem";

const LIVES: [(Life, &str, &str); 3] = [
    (Life::Plain, "plaintext", "a plaintext session"),
    (
        Life::Used,
        "used",
        "a plaintext session that was sent a message and has shown that it took it",
    ),
    (Life::Tls, "tls", "a session over TLS 1.3"),
];

/// Measures all kinds of session.
pub fn measure() -> Outcome<Vec<Figure>> {
    let mut figures = Vec::new();
    let mut add = |name: String, what: String, value: i64| {
        figures.push(Figure {
            kind: Kind::Memory,
            name,
            what,
            value: value as f64,
        });
    };
    for (life, name, what) in LIVES {
        let directory = tempfile::tempdir()?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (session, future) = runtime
            .block_on(logins(directory.path(), life))
            .map_err(|error| format!("{name}: {error}"))?;
        for (unit, value) in [("bytes", session.bytes), ("blocks", session.blocks)] {
            add(format!("{name}_{unit}"), format!("{unit} of {what}"), value);
        }
        if life == Life::Plain {
            let what = "bytes of the future of `connection::serve`, the most of its task";
            add("connection_future".to_owned(), what.to_owned(), future);
        }
    }
    if !crypto_heap::was_asked() {
        return Err(
            "rustls uses another version of aws-lc-sys than benches/gates/Cargo.toml".into(),
        );
    }
    Ok(figures)
}

/// Logs in and out. Returns what a session holds, and how large the future of a connection is.
async fn logins(directory: &Path, life: Life) -> Outcome<(Live, i64)> {
    let (_stop, stopping) = watch::channel(false);
    let (alive, _ended) = mpsc::channel(1);
    let shared = shared(directory, stopping.clone()).await?;
    let listener = listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), false)?;
    let address = listener.local_addr()?;
    let direct_tls = life == Life::Tls;
    tokio::spawn(listener::accept(
        Arc::clone(&shared),
        listener,
        direct_tls,
        stopping,
        alive,
    ));
    let (ours, theirs) = Commands::pair()?;
    ours.set_nonblocking(true)?;
    let mut commands = UnixStream::from_std(ours)?;
    let trusted = directory.join(CERTIFICATE);
    let client = std::thread::spawn(move || client::run(address, life, &trusted, theirs));
    let mut seen = HashMap::new();
    for _ in 0..LOGINS {
        let before = counting::live();
        let logged_in = async {
            commands.write_all(&[1]).await?;
            commands.read_exact(&mut [0]).await
        };
        if logged_in.await.is_err() {
            break;
        }
        // The client has read the last answer. The task that wrote it has come to rest since: it
        // and this one take turns on one thread.
        let after = counting::live();
        let session = Live {
            blocks: after.blocks - before.blocks,
            bytes: after.bytes - before.bytes,
        };
        *seen.entry(session).or_insert(0) += 1;
    }
    let future = future(&shared, address).await?;
    drop(commands);
    client.join().map_err(|_| "the client panicked")??;
    shared.exchange.database.clone().close().await;
    Ok((most_frequent(&seen)?, future))
}

fn most_frequent(seen: &HashMap<Live, usize>) -> Outcome<Live> {
    match seen.iter().max_by_key(|(_, times)| **times) {
        Some((session, times)) if *times > LOGINS / 2 => Ok(*session),
        _ => Err(format!("the sessions differ: {seen:?}").into()),
    }
}

/// The future is made for this and never polled.
async fn future(shared: &Arc<Shared>, server: SocketAddr) -> Outcome<i64> {
    let socket = TcpStream::connect(server).await?;
    let place = shared.connections.admit(server.ip(), usize::MAX);
    let place = place.ok_or("no place for a connection")?;
    let future = connection::serve(Arc::clone(shared), socket, server.ip(), false, place);
    Ok(size_of_val(&future).try_into()?)
}

/// What the server's connections share; the wheel does not turn.
async fn shared(directory: &Path, stopping: watch::Receiver<bool>) -> Outcome<Arc<Shared>> {
    let config = stage::config(directory, CONFIG)?;
    let exchange = stage::open(&config).await?;
    for id in 1..=ACCOUNTS {
        let jid = Jid::parse(&format!("account{id}@localhost"))?;
        let account = Account::new(id, jid, Roster::default(), Mail::default());
        exchange.registry.insert(account);
    }
    Ok(Arc::new(server::shared(config, exchange, stopping)?))
}
