//! The composition: what is opened in which order, what runs beside the connections, and how it
//! all ends.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use waxwing_core::accounts::Accounts;
use waxwing_core::clock::{Clock, Ids, SystemClock, SystemIds};
use waxwing_core::db::{self, Database, DbError, OpenError, Statement};
use waxwing_core::deliver::Watched;
use waxwing_core::exchange::Exchange;
use waxwing_core::mailbox_store::{Mailbox, time_of};
use waxwing_core::outbox::Close;
use waxwing_core::powers::{ClaimConflict, IqTable, Services};
use waxwing_core::registry::Registry;
use waxwing_core::streams::Streams;
use waxwing_xmpp::StreamError;
use waxwing_xmpp::error::StreamCondition;
use waxwing_xmpp::password::ScramHash;
use waxwing_xmpp::sasl::Mechanism;

use crate::config::{self, Config};
use crate::connection::Shared;
use crate::logging::Logging;
use crate::tls::{TlsContext, TlsError};
use crate::wheel::Wheel;
use crate::{admin, background, listener};

/// How long connections may take to end when the server stops.
const DRAIN: Duration = Duration::from_secs(10);

/// Why the server did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The data directory cannot be made.
    #[error("{0}: cannot be made: {1}")]
    Data(PathBuf, std::io::Error),
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbError),
    /// There is no usable certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// An address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// Two extensions answer the same.
    #[error(transparent)]
    Claims(#[from] ClaimConflict),
    /// Signals or the output cannot be used.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// The database of a data directory.
#[must_use]
pub fn database_path(config: &Config) -> PathBuf {
    config.data.join("waxwing.sqlite")
}

/// Opens the data directory and everything that answers for it.
pub async fn open(config: &Config) -> Result<Arc<Exchange>, ServerError> {
    make_private(&config.data).map_err(|error| ServerError::Data(config.data.clone(), error))?;
    let mut migrations = vec![
        waxwing_core::MIGRATIONS,
        waxwing_core::mailbox_store::MIGRATIONS,
    ];
    migrations.extend(waxwing_xeps::migrations());
    let database = Database::open(&database_path(config), &migrations, &db::Options::default())?;
    let (clock, ids): (Arc<dyn Clock>, Arc<dyn Ids>) = (
        Arc::new(SystemClock::default()),
        Arc::new(SystemIds::default()),
    );
    let families = scram_families(&mechanisms(config));
    let accounts = Accounts::open(
        database.clone(),
        Arc::clone(&clock),
        Arc::clone(&ids),
        families,
    )
    .await?;
    let mut powers = waxwing_xeps::powers();
    if !config.archive.enabled {
        powers = powers.without(waxwing_xeps::OF_THE_ARCHIVE);
    }
    let settings = config.settings();
    let mailbox = Mailbox::open(database.clone()).await?;
    if time_of(mailbox.committed()) > clock.now().days_after(1).0 {
        tracing::warn!("the newest message is from tomorrow: new ones get its time; see the clock");
    }
    Ok(Arc::new(Exchange {
        domain: settings.domain.clone(),
        mailbox,
        epoch: next_epoch(&database).await?,
        streams: Streams::default(),
        watched: Watched::default(),
        accounts,
        database,
        registry: Registry::default(),
        iq_table: IqTable::new(&powers.answer)?,
        services: Services::new(&powers.serve, &settings),
        powers,
        settings: ArcSwap::from_pointee(settings),
        clock,
        ids,
    }))
}

/// The data directory is its owner's alone.
fn make_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

/// Counts the starts of this node, so that a session of an earlier one is never taken for another.
async fn next_epoch(database: &Database) -> Result<u64, DbError> {
    let next = "INSERT INTO node (name, value) VALUES ('epoch', 1) \
                ON CONFLICT (name) DO UPDATE SET value = node.value + 1 RETURNING value";
    let rows = database
        .batch_returning(vec![Statement::new(next, vec![])])
        .await?;
    let epoch = rows
        .first()
        .and_then(|rows| rows.first())
        .map_or(Ok(1), |row| row.int(0))?;
    Ok(epoch.unsigned_abs())
}

/// The mechanisms that are configured, in their order.
fn mechanisms(config: &Config) -> Vec<Mechanism> {
    let listed = config
        .auth
        .mechanisms
        .iter()
        .filter_map(|name| name.parse().ok());
    let anonymous = config.auth.anonymous.then_some(Mechanism::Anonymous);
    listed.chain(anonymous).collect()
}

/// The SCRAM families whose keys are kept for every account.
fn scram_families(mechanisms: &[Mechanism]) -> Vec<ScramHash> {
    let mut families = Vec::new();
    for hash in mechanisms.iter().filter_map(|mechanism| mechanism.hash()) {
        if !families.contains(&hash) {
            families.push(hash);
        }
    }
    families
}

/// Runs the server until it is told to stop.
pub async fn serve(
    config: Config,
    load: impl Fn() -> Result<Config, Vec<config::Problem>>,
    logging: Logging,
) -> Result<(), ServerError> {
    let exchange = open(&config).await?;
    let (stop, stopping) = watch::channel(false);
    let (alive, mut ended) = mpsc::channel(1);
    let listeners = bind(&config)?;
    let socket = admin::listen(&config.data)?;
    let shared = Arc::new(shared(config, exchange, stopping.clone())?);
    // Whoever reads the line may send a signal at once.
    let signals = Signals::listen()?;
    // These use up what the last orderly stop wrote down: before them comes all that may fail for a
    // reason of its own, and behind them whoever is accepted.
    shared.exchange.load_streams().await?;
    shared.exchange.services.start(&shared.exchange).await?;
    announce(&listeners)?;
    for (listener, direct_tls) in listeners {
        let (shared, stopping) = (Arc::clone(&shared), stopping.clone());
        tokio::spawn(listener::accept(
            shared,
            listener,
            direct_tls,
            stopping,
            alive.clone(),
        ));
    }
    drop(alive);
    let expiry = tokio::spawn(background::expire(Arc::clone(&shared)));
    let tending = tokio::spawn(background::tend(Arc::clone(&shared)));
    let wheel = tokio::spawn({
        let shared = Arc::clone(&shared);
        async move { shared.wheel.turn().await }
    });
    let late = tokio::spawn(Arc::clone(&shared.exchange).store_late());
    let admin = tokio::spawn(admin::serve(Arc::clone(&shared), socket));
    let outcome = until_stopped(&shared, signals, load, &logging).await;
    stop.send_replace(true);
    shared.exchange.services.ending(&shared.exchange);
    close_sessions(&shared.exchange);
    if tokio::time::timeout(DRAIN, ended.recv()).await.is_err() {
        tracing::warn!("some connections did not end in time");
    }
    expiry.abort();
    tending.abort();
    wheel.abort();
    late.abort();
    admin.abort();
    shared.exchange.services.stop(&shared.exchange).await;
    match shared.exchange.save_streams().await {
        Ok(streams) => tracing::info!(streams, "can be resumed"),
        Err(error) => tracing::error!(%error, "streams could not be kept"),
    }
    admin::remove(&shared.config.load().data);
    shared.exchange.database.clone().close().await;
    tracing::info!("stopped");
    outcome
}

/// What all connections share, on an exchange that was opened with this configuration.
pub fn shared(
    config: Config,
    exchange: Arc<Exchange>,
    stopping: watch::Receiver<bool>,
) -> Result<Shared, ServerError> {
    Ok(Shared {
        tls: TlsContext::load(&config, SystemTime::now())?,
        wheel: Wheel::new(Arc::clone(&exchange.clock)),
        mechanisms: mechanisms(&config),
        config: ArcSwap::from_pointee(config),
        connections: Arc::default(),
        failures: crate::throttle::Failures::default(),
        stopping,
        exchange,
    })
}

fn bind(config: &Config) -> Result<Vec<(TcpListener, bool)>, ServerError> {
    let plain = config.listen.c2s.iter().map(|address| (*address, false));
    let direct = config.listen.c2s_tls.iter().map(|address| (*address, true));
    let all: Vec<_> = plain.chain(direct).collect();
    listener::bind_all(&all).map_err(|(address, error)| ServerError::Listen(address, error))
}

/// The one line on standard output that says where the server really listens.
fn announce(listeners: &[(TcpListener, bool)]) -> Result<(), ServerError> {
    let mut line = String::from("ready");
    for (name, direct) in [("c2s", false), ("c2s_tls", true)] {
        let addresses: Vec<String> = listeners
            .iter()
            .filter(|(_, direct_tls)| *direct_tls == direct)
            .map(|(listener, _)| listener.local_addr().map(|address| address.to_string()))
            .collect::<Result<_, _>>()?;
        if !addresses.is_empty() {
            line += &format!(" {name}={}", addresses.join(","));
        }
    }
    let mut out = std::io::stdout();
    writeln!(out, "{line}")?;
    out.flush()?;
    tracing::info!("{line}");
    Ok(())
}

/// What the process is told from outside.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// From now on a signal is for the server to handle and does not end the process by itself.
    fn listen() -> Result<Self, ServerError> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

async fn until_stopped(
    shared: &Shared,
    mut signals: Signals,
    load: impl Fn() -> Result<Config, Vec<config::Problem>>,
    logging: &Logging,
) -> Result<(), ServerError> {
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => return Ok(()),
            _ = signals.interrupt.recv() => return Ok(()),
            _ = signals.hangup.recv() => reload(shared, load(), logging),
            error = shared.exchange.database.failed() => {
                tracing::error!(%error, "the database failed: nothing can be kept, so the server stops");
                return Err(error.into());
            }
        }
    }
}

/// Takes a new configuration as a whole, or none of it, and says what changed.
fn reload(shared: &Shared, loaded: Result<Config, Vec<config::Problem>>, logging: &Logging) {
    let new = match loaded {
        Ok(new) => new,
        Err(problems) => {
            problems
                .iter()
                .for_each(|problem| tracing::error!("{problem}"));
            tracing::error!("the configuration has mistakes; the old one stays");
            return;
        }
    };
    let old = shared.config.load_full();
    let changes = config::diff(&old, &new);
    let new = config::reloaded(&old, &new);
    if let Err(error) = shared.tls.reload(&new, SystemTime::now()) {
        tracing::error!(%error, "the certificate cannot be used; the old configuration stays");
        return;
    }
    for change in &changes {
        let note = if change.needs_restart {
            " (after a restart)"
        } else {
            ""
        };
        tracing::info!("{}: {} is now {}{note}", change.key, change.old, change.new);
    }
    logging.set_level(&new.log.level);
    let mut settings = new.settings();
    let fixed = shared.exchange.settings.load_full();
    settings.anonymous = fixed.anonymous;
    settings.groups_domain = fixed.groups_domain.clone();
    shared.exchange.settings.store(Arc::new(settings));
    shared.config.store(Arc::new(new));
    tracing::info!(
        "loaded the configuration again, {} keys changed",
        changes.len()
    );
}

fn close_sessions(exchange: &Exchange) {
    for account in exchange.registry.all() {
        for bound in &account.lock().sessions {
            if bound.session.outbox.is_resumable() {
                // Its client will not notice more than a broken connection.
                bound.session.outbox.drop_connection();
                continue;
            }
            let error = StreamError::new(StreamCondition::SystemShutdown);
            bound.session.outbox.close(Close::Error(error));
        }
    }
}
