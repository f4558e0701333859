//! An exchange with all of its extensions, as the server opens it, on a database of its own.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use waxwing::config::{self, Config};
use waxwing::server;
use waxwing_core::Exchange;
use waxwing_core::clock::{Clock, Timestamp};

use crate::Outcome;

/// Time stands still: nobody is pinged, and nothing that is counted depends on how long it took.
pub struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
}

/// Reads a configuration whose data are in the directory.
pub fn config(directory: &Path, text: &str) -> Outcome<Config> {
    let path = directory.join("config.toml");
    config::parse(text, &path, std::iter::empty()).map_err(|problems| {
        let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
        text.join("\n").into()
    })
}

/// Opens the exchange.
pub async fn open(config: &Config) -> Outcome<Arc<Exchange>> {
    let opened = server::open(config).await?;
    let exchange = Arc::into_inner(opened).ok_or("somebody else holds the exchange")?;
    Ok(Arc::new(Exchange {
        clock: Arc::new(Still),
        ..exchange
    }))
}
