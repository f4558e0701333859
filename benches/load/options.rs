//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::server::ServerOptions;

/// Drives an XMPP server on loopback and checks what it measures.
#[derive(Parser, Debug)]
#[command(version)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Pairs of sessions, one of which sends to the other: the cost of a message.
    Relay(Box<RelayOptions>),
    /// A minimal forwarder without XMPP: what the kernel alone charges for a relayed message.
    RawRelay {
        /// Where to listen; port 0 takes any. The address is printed.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
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
    #[arg(long, default_value_t = 100)]
    pub(crate) pairs: usize,
    /// Messages that a sender sends in one write; the next follow when all of them have arrived.
    #[arg(long, default_value_t = 1)]
    pub(crate) window: u64,
    /// How long to measure, after a tenth of it for warming up.
    #[arg(long, default_value_t = 10.0)]
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
