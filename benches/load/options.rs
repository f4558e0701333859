//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::sasl::Mechanism;
use crate::server::{ServerOptions, loopback};

/// Drives an XMPP server on loopback and checks what it measures.
#[derive(Parser, Debug)]
#[command(version)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Options {
    /// The options of this process. Ends it if they are wrong.
    pub(crate) fn checked() -> Options {
        let options = Options::parse();
        if let Err(wrong) = options.check() {
            let kind = ErrorKind::ValueValidation;
            Options::command().error(kind, wrong).exit();
        }
        options
    }

    /// What one option alone does not show.
    fn check(&self) -> Result<(), &'static str> {
        let Command::Presence(options) = &self.command else {
            return Ok(());
        };
        if options.common.server.auth == Mechanism::Anonymous {
            return Err("a contact needs an account: give --auth, and --register to make them");
        }
        if options.contacts % 2 != 0 || options.contacts >= options.accounts {
            return Err("--contacts must be even and less than --accounts");
        }
        Ok(())
    }
}

/// From 1 to so many.
fn some(most: u64) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=most)
}

/// A time or a rate.
pub(crate) fn not_negative(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.0..=1e9).contains(&number) => Ok(number),
        _ => Err("not a number from 0 to 1000000000".to_owned()),
    }
}

/// What to do.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Pairs of sessions, one of which sends to the other: the cost of a message.
    Relay(Box<RelayOptions>),
    /// Many sessions that do nothing: the memory that each takes.
    Idle(Box<IdleOptions>),
    /// Sessions that come and go: the cost of a login.
    Login(Box<LoginOptions>),
    /// Messages to absent users, who then come for them.
    Offline(Box<OfflineOptions>),
    /// Messages at fixed times: how long they take at parts of the highest rate.
    Latency(Box<LatencyOptions>),
    /// Rooms whose occupants talk: the cost of a delivery.
    Muc(Box<MucOptions>),
    /// Accounts with contacts, whose presence changes: the cost of a presence stanza.
    Presence(Box<PresenceOptions>),
    /// A minimal forwarder without XMPP: what the kernel alone charges for a relayed message.
    RawRelay {
        /// Where to listen; port 0 takes any. The address is printed.
        #[arg(long, default_value = "127.0.0.1:0", value_parser = loopback)]
        listen: SocketAddr,
    },
    /// Brings the results of many runs together, in Markdown.
    Summary {
        /// A directory of files called ROUND.SCENARIO.SERVER.json.
        directory: PathBuf,
        /// Scenarios that Waxwing cannot run yet.
        #[arg(long, value_delimiter = ',')]
        not_yet: Vec<String>,
    },
}

/// What all scenarios take.
#[derive(Args, Debug)]
pub(crate) struct Common {
    #[command(flatten)]
    pub(crate) server: ServerOptions,
    /// Write the result as JSON to this file too.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// The name of the server in the result.
    #[arg(long, default_value = "")]
    pub(crate) label: String,
    /// No progress on standard error.
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// Options of `relay`.
#[derive(Args, Debug)]
pub(crate) struct RelayOptions {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Pairs of sessions.
    #[arg(long, default_value_t = 100, value_parser = some(u64::MAX))]
    pub(crate) pairs: usize,
    /// Messages that a sender sends in one write; the next follow when all of them have arrived.
    #[arg(long, default_value_t = 1)]
    pub(crate) window: u64,
    /// How long to measure, after a tenth of it for warming up.
    #[arg(long, default_value_t = 10.0, value_parser = not_negative)]
    pub(crate) seconds: f64,
    /// The size of a message in bytes.
    #[arg(long, default_value_t = 369)]
    pub(crate) size: usize,
    /// With --sm: ask for an acknowledgement after so many messages.
    #[arg(long, default_value_t = 1)]
    pub(crate) ack_every: u64,
    /// The server is a raw relay: no logins, frames only.
    #[arg(long)]
    pub(crate) raw: bool,
}

/// Options of `idle`.
#[derive(Args, Debug)]
pub(crate) struct IdleOptions {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Sessions.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) sessions: usize,
    /// Seconds of quiet before memory is read.
    #[arg(long, default_value_t = 2.0, value_parser = not_negative)]
    pub(crate) rest: f64,
}

/// Options of `login`.
#[derive(Args, Debug)]
pub(crate) struct LoginOptions {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Accounts that take turns.
    #[arg(long, default_value_t = 200)]
    pub(crate) accounts: usize,
    /// How long to measure, after a tenth of it for warming up.
    #[arg(long, default_value_t = 10.0, value_parser = not_negative)]
    pub(crate) seconds: f64,
}

/// Options of `offline`.
#[derive(Args, Debug)]
pub(crate) struct OfflineOptions {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Sessions that send.
    #[arg(long, default_value_t = 128, value_parser = some(u64::MAX))]
    pub(crate) senders: usize,
    /// Accounts that are absent.
    #[arg(long, default_value_t = 64, value_parser = some(u64::MAX))]
    pub(crate) recipients: usize,
    /// Messages of each sender.
    #[arg(long, default_value_t = 200)]
    pub(crate) messages: u64,
    /// How long they send, instead of a number of messages.
    #[arg(long, value_parser = not_negative, conflicts_with = "messages")]
    pub(crate) seconds: Option<f64>,
    /// Messages that a sender sends in one write, before it waits for the server's word on them.
    #[arg(long, default_value_t = 1)]
    pub(crate) window: u64,
    /// The size of a message in bytes.
    #[arg(long, default_value_t = 369)]
    pub(crate) size: usize,
    /// Seconds to look for messages that come twice, after everything has come.
    #[arg(long, default_value_t = 2.0, value_parser = not_negative)]
    pub(crate) watch: f64,
    /// Count the server's fsync calls with strace, which makes everything else slower.
    #[arg(long, requires = "pids")]
    pub(crate) fsyncs: bool,
}

/// Options of `latency`.
#[derive(Args, Debug)]
pub(crate) struct LatencyOptions {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Pairs of sessions.
    #[arg(long, default_value_t = 100, value_parser = some(u64::MAX))]
    pub(crate) pairs: usize,
    /// Parts of the highest rate, in percent.
    #[arg(long, value_delimiter = ',', default_value = "10,50,80")]
    pub(crate) percent: Vec<u8>,
    /// The highest rate in messages per second; found by a closed loop if not given.
    #[arg(long, value_parser = not_negative)]
    pub(crate) rate: Option<f64>,
    /// How long each part takes.
    #[arg(long, default_value_t = 5.0, value_parser = not_negative)]
    pub(crate) seconds: f64,
    /// The size of a message in bytes.
    #[arg(long, default_value_t = 369)]
    pub(crate) size: usize,
    /// The server is a raw relay: no logins, frames only.
    #[arg(long)]
    pub(crate) raw: bool,
}

/// Options of `muc`.
#[derive(Args, Debug)]
pub(crate) struct MucOptions {
    #[command(flatten)]
    pub(crate) common: Common,
    /// The domain of the rooms; default: conference.DOMAIN.
    #[arg(long)]
    pub(crate) service: Option<String>,
    /// Rooms.
    #[arg(long, default_value_t = 1, value_parser = some(u64::MAX))]
    pub(crate) rooms: usize,
    /// Occupants of each room.
    #[arg(long, default_value_t = 30, value_parser = some(2000))]
    pub(crate) occupants: usize,
    /// Messages on the way in each room.
    #[arg(long, default_value_t = 4)]
    pub(crate) on_the_way: u64,
    /// Messages per second in all rooms together, instead of a closed loop.
    #[arg(long, value_parser = not_negative)]
    pub(crate) rate: Option<f64>,
    /// How long to measure, after a tenth of it for warming up.
    #[arg(long, default_value_t = 10.0, value_parser = not_negative)]
    pub(crate) seconds: f64,
    /// The size of a message in bytes.
    #[arg(long, default_value_t = 369)]
    pub(crate) size: usize,
}

/// Options of `presence`.
#[derive(Args, Debug)]
pub(crate) struct PresenceOptions {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Accounts, each with one session.
    #[arg(long, default_value_t = 500)]
    pub(crate) accounts: usize,
    /// Contacts of each account, an even number: the accounts stand in a ring, and each knows the
    /// nearest ones on both sides.
    #[arg(long, default_value_t = 18)]
    pub(crate) contacts: usize,
    /// How long to measure changes of presence, after a tenth of it for warming up.
    #[arg(long, default_value_t = 10.0, value_parser = not_negative)]
    pub(crate) seconds: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_refused() {
        let parse = |more: &str| {
            let arguments = format!("waxwing-load latency --server 127.0.0.1:1 {more}");
            Options::try_parse_from(arguments.split(' ')).map(|_| ())
        };
        assert!(parse("--seconds 0.5 --pairs 1 --rate 10").is_ok());
        for more in ["--seconds=-1", "--seconds=nan", "--rate=inf", "--pairs=0"] {
            assert!(parse(more).is_err(), "{more}");
        }
    }

    #[test]
    fn contacts_must_be_possible() {
        let check = |more: &[&str]| {
            let start = ["waxwing-load", "presence", "--server", "127.0.0.1:1"];
            Options::parse_from([&start, more].concat()).check()
        };
        assert!(check(&["--auth", "plain"]).is_ok());
        assert!(check(&[]).is_err(), "anonymous");
        assert!(check(&["--auth", "plain", "--contacts", "3"]).is_err());
        assert!(check(&["--auth", "plain", "--accounts", "18"]).is_err());
    }
}
