//! The log: to standard error, for people or as JSON, with a level that a reload can change.

use std::io::{self, IsTerminal};

use tracing::Subscriber;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry, reload};

use crate::config::{Log, LogFormat};

/// The running log.
#[derive(Clone, Debug)]
pub struct Logging(reload::Handle<Targets, Registry>);

impl Logging {
    /// Starts the log of this process. In one that has a log already, that one stays.
    pub fn start(config: &Log) -> Self {
        let (subscriber, logging) = subscriber(config, io::stderr, io::stderr().is_terminal());
        if tracing::subscriber::set_global_default(subscriber).is_err() {
            tracing::error!("the log was started twice");
        }
        logging
    }

    /// Logs by another filter from now on: a level, or a list such as `info,waxwing=debug`.
    pub fn set_level(&self, level: &str) {
        if let Err(error) = self.0.reload(filter(level)) {
            tracing::error!(%error, "cannot change the log level");
        }
    }
}

/// A configuration that was checked holds a valid filter; for any other text, `info`.
fn filter(level: &str) -> Targets {
    level
        .parse()
        .unwrap_or_else(|_| Targets::new().with_default(LevelFilter::INFO))
}

fn subscriber<W>(
    config: &Log,
    writer: W,
    colours: bool,
) -> (impl Subscriber + Send + Sync + use<W>, Logging)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(filter(&config.level));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(colours);
    let lines = match config.format {
        LogFormat::Human => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let subscriber = tracing_subscriber::registry().with(filter).with(lines);
    (subscriber, Logging(handle))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Buffer {
        fn lines(&self) -> Vec<String> {
            String::from_utf8(self.0.lock().clone())
                .unwrap()
                .lines()
                .map(str::to_owned)
                .collect()
        }
    }

    fn log(level: &str, format: LogFormat, act: impl FnOnce(&Logging)) -> Vec<String> {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let config = Log {
            level: level.to_owned(),
            format,
        };
        let (subscriber, logging) = subscriber(&config, move || writer.clone(), false);
        tracing::subscriber::with_default(subscriber, || act(&logging));
        buffer.lines()
    }

    #[test]
    fn the_level_is_kept_to_and_can_be_changed() {
        let lines = log("warn", LogFormat::Human, |handle| {
            tracing::info!("one");
            tracing::warn!("two");
            handle.set_level("off,waxwing=debug");
            tracing::debug!(target: "waxwing::tls", "three");
            tracing::error!(target: "other", "four");
        });
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(
            lines[0].contains("two") && lines[1].contains("three"),
            "{lines:?}"
        );
    }

    #[test]
    fn json_is_one_object_a_line() {
        let lines = log("info", LogFormat::Json, |_| {
            tracing::info!(sessions = 3, "a\nb");
        });
        assert_eq!(lines.len(), 1);
        let line: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(line["message"], "a\nb");
        assert_eq!(line["sessions"], 3);
        assert_eq!(line["level"], "INFO");
    }
}
