//! What runs beside the connections, at intervals.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::{MissedTickBehavior, interval};
use waxwing_core::expiry::Expiry;

use crate::connection::Shared;

/// How often what has waited too long is looked for.
const EXPIRY_EVERY: Duration = Duration::from_secs(600);
/// How often accounts that nobody uses leave the memory.
const EVICTION_EVERY: Duration = Duration::from_secs(60);
/// How often the certificate is looked at.
const CERTIFICATE_EVERY: Duration = Duration::from_secs(86_400);

/// Removes what has reached its age. A task of its own: after `retention_days` was lowered there may
/// be minutes of work.
pub async fn expire(shared: Arc<Shared>) {
    let mut every = interval(EXPIRY_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut expiry = Expiry::default();
    loop {
        every.tick().await;
        match expiry.sweep(&shared.exchange).await {
            Ok(0) => {}
            Ok(expired) => {
                tracing::info!(expired, "messages have reached their age and were removed");
            }
            Err(error) => tracing::error!(%error, "expiry"),
        }
    }
}

/// Ends sessions that nobody came back for, and looks after rooms, memory and certificate.
pub async fn tend(shared: Arc<Shared>) {
    let mut streams = interval(Duration::from_secs(1));
    let (mut eviction, mut certificate) = (interval(EVICTION_EVERY), interval(CERTIFICATE_EVERY));
    loop {
        tokio::select! {
            _ = streams.tick() => {
                shared.exchange.end_streams();
                shared.exchange.services.tick(&shared.exchange).await;
            }
            _ = eviction.tick() => {
                shared.exchange.registry.evict_idle();
            }
            _ = certificate.tick() => {
                if let Err(error) = shared.tls.reload(&shared.config.load(), SystemTime::now()) {
                    tracing::error!(%error, "the certificate could not be renewed");
                }
            }
        }
    }
}
