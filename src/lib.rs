//! The server: sockets, TLS, streams, sessions, administration, the command line.
//!
//! [`server`] shows how it is put together; [`connection`] is one client.

pub mod admin;
mod background;
pub mod cli;
pub mod commands;
pub mod config;
pub mod connection;
pub mod listener;
pub mod logging;
pub mod server;
pub mod throttle;
pub mod tls;
pub mod trace;
pub mod wheel;
