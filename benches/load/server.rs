//! The server under test and how to reach it. Only loopback addresses are accepted: this tool
//! would be an attack anywhere else.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::login::Plan;
use crate::options::not_negative;
use crate::sasl::Mechanism;

/// Connections from one source address, at most: its ports are about 28 000.
const PER_SOURCE: usize = 20_000;

/// How a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TlsMode {
    /// Not at all.
    None,
    /// From within the stream.
    Starttls,
    /// From the first byte (XEP-0368).
    Direct,
}

/// What all scenarios have in common.
#[derive(Args, Clone, Debug)]
pub(crate) struct ServerOptions {
    /// The address of the server, such as 127.0.0.1:5222.
    #[arg(long, value_parser = loopback)]
    pub(crate) server: SocketAddr,
    /// The domain that it serves.
    #[arg(long, default_value = "localhost")]
    pub(crate) domain: String,
    /// A process of the server, to measure its processor time and memory. May be repeated.
    #[arg(long = "pid", value_name = "PID")]
    pub(crate) pids: Vec<u32>,
    /// How connections are encrypted.
    #[arg(long, value_enum, default_value = "none")]
    pub(crate) tls: TlsMode,
    /// How sessions log in.
    #[arg(long, value_enum, default_value = "anonymous")]
    pub(crate) auth: Mechanism,
    /// Make the accounts before the first login (XEP-0077).
    #[arg(long)]
    pub(crate) register: bool,
    /// The accounts are called PREFIX0, PREFIX1, …
    #[arg(long, default_value = "load")]
    pub(crate) prefix: String,
    /// The password of all accounts.
    #[arg(long, default_value = "load-password")]
    pub(crate) password: String,
    /// Enable stream management (XEP-0198) and acknowledge in both directions.
    #[arg(long)]
    pub(crate) sm: bool,
    /// Logins at a time.
    #[arg(long, default_value_t = 32)]
    pub(crate) in_flight: usize,
    /// Seconds without any progress after which the run is given up.
    #[arg(long, default_value_t = 15.0, value_parser = not_negative)]
    pub(crate) patience: f64,
    /// Loopback addresses to connect from, 127.0.0.1 and on; default: as many as needed.
    #[arg(long)]
    pub(crate) sources: Option<usize>,
}

/// The server under test.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) domain: String,
    pub(crate) pids: Vec<u32>,
    pub(crate) tls: TlsMode,
    pub(crate) sm: bool,
    pub(crate) in_flight: usize,
    pub(crate) patience: Duration,
    sources: Option<usize>,
    options: ServerOptions,
}

impl Server {
    /// The server that the options describe.
    pub(crate) fn new(options: &ServerOptions) -> Server {
        Server {
            address: options.server,
            domain: options.domain.clone(),
            pids: options.pids.clone(),
            tls: options.tls,
            sm: options.sm,
            in_flight: options.in_flight.max(1),
            patience: Duration::from_secs_f64(options.patience),
            sources: options.sources,
            options: options.clone(),
        }
    }

    /// The address that a connection comes from; `None` leaves it to the kernel.
    pub(crate) fn source(&self, who: usize) -> Option<Ipv4Addr> {
        if !self.address.is_ipv4() {
            return None;
        }
        let index = match self.sources {
            Some(sources) => who % sources.clamp(1, 250 * 250),
            None => who / PER_SOURCE,
        };
        // 127.0.0.1 to 127.0.0.250, then 127.0.1.1 and on.
        let (third, fourth) = (index / 250, index % 250 + 1);
        let (third, fourth) = (u8::try_from(third).ok()?, u8::try_from(fourth).ok()?);
        Some(Ipv4Addr::new(127, 0, third, fourth))
    }

    /// Plans for the accounts with these numbers.
    pub(crate) fn plans(&self, accounts: impl IntoIterator<Item = usize>) -> Vec<Plan> {
        accounts
            .into_iter()
            .map(|number| self.plan(number))
            .collect()
    }

    /// The plan for one account.
    pub(crate) fn plan(&self, number: usize) -> Plan {
        Plan {
            domain: self.domain.clone(),
            starttls: self.tls == TlsMode::Starttls,
            mechanism: self.options.auth,
            user: self.user(number),
            password: self.options.password.clone(),
            register: self.options.register,
            sm: self.sm,
        }
    }

    /// What the localparts of all accounts begin with.
    pub(crate) fn prefix(&self) -> &str {
        &self.options.prefix
    }

    /// The localpart of an account.
    pub(crate) fn user(&self, number: usize) -> String {
        format!("{}{number}", self.options.prefix)
    }
}

/// An address on this machine.
pub(crate) fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text
        .parse()
        .map_err(|_| "not of the form ADDRESS:PORT".to_owned())?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err("not a loopback address".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_accepted() {
        assert!(loopback("127.0.0.1:5222").is_ok());
        assert!(loopback("[::1]:5222").is_ok());
        for other in [
            "192.0.2.1:5222",
            "0.0.0.0:5222",
            "[2001:db8::1]:5222",
            "localhost:5222",
        ] {
            assert!(loopback(other).is_err(), "{other}");
        }
    }
}
