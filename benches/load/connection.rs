//! One connection to the server: its socket, TLS if any, and the bytes in both directions.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use socket2::{Domain, Protocol, Socket, Type};

use crate::login::Login;
use crate::scanner::Scanner;

/// How a connection stands.
pub(crate) enum Stage {
    /// On the way to a session.
    Login(Box<Login>),
    /// Bound; the answer to the first ping is awaited, which says that presence was handled.
    Syncing,
    /// Online.
    Online,
    /// This side has ended the stream.
    Closing,
}

/// One connection.
pub(crate) struct Connection {
    pub(crate) socket: TcpStream,
    pub(crate) tls: Option<Box<ClientConnection>>,
    pub(crate) scanner: Scanner,
    pub(crate) stage: Stage,
    /// What came of an element that is not complete.
    pub(crate) carry: Vec<u8>,
    /// What could not be written at once.
    pub(crate) unsent: Vec<u8>,
    /// Whether the end of a congestion is awaited.
    pub(crate) blocked: bool,
    /// Stanzas read since stream management was enabled; `None` without it.
    pub(crate) handled: Option<u32>,
}

/// What a read brought.
pub(crate) enum Input {
    /// Some bytes, or none that matter yet.
    Open,
    /// The server has closed.
    Closed,
}

impl Connection {
    /// Connects, from the given source address if any.
    pub(crate) fn open(
        server: SocketAddr,
        source: Option<Ipv4Addr>,
        stage: Stage,
    ) -> io::Result<Connection> {
        let socket = Socket::new(
            Domain::for_address(server),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        if let Some(source) = source {
            socket.bind(&SocketAddr::new(IpAddr::V4(source), 0).into())?;
        }
        socket.connect(&server.into())?;
        socket.set_tcp_nodelay(true)?;
        socket.set_nonblocking(true)?;
        Ok(Connection {
            socket: socket.into(),
            tls: None,
            scanner: Scanner::default(),
            stage,
            carry: Vec::new(),
            unsent: Vec::new(),
            blocked: false,
            handled: None,
        })
    }

    /// Begins TLS: what is sent from now on is encrypted.
    pub(crate) fn start_tls(
        &mut self,
        config: &Arc<rustls::ClientConfig>,
        domain: &str,
    ) -> io::Result<()> {
        let name = ServerName::try_from(domain.to_owned()).map_err(io::Error::other)?;
        let client = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        let mut client = Box::new(client);
        client.set_buffer_limit(None);
        self.tls = Some(client);
        self.scanner = Scanner::default();
        self.carry.clear();
        Ok(())
    }

    /// Reads once and appends plaintext to `plain`; `scratch` is room for ciphertext.
    pub(crate) fn read(&mut self, scratch: &mut [u8], plain: &mut Vec<u8>) -> io::Result<Input> {
        let count = match self.socket.read(scratch) {
            Ok(0) => return Ok(Input::Closed),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Input::Open),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                return Ok(Input::Closed);
            }
            Err(error) => return Err(error),
        };
        let Some(tls) = &mut self.tls else {
            plain.extend_from_slice(&scratch[..count]);
            return Ok(Input::Open);
        };
        let mut ciphertext = &scratch[..count];
        while !ciphertext.is_empty() {
            tls.read_tls(&mut ciphertext)?;
            let state = tls.process_new_packets().map_err(io::Error::other)?;
            if state.plaintext_bytes_to_read() > 0 {
                let mut reader = tls.reader().take(state.plaintext_bytes_to_read() as u64);
                reader.read_to_end(plain)?;
            }
            if state.peer_has_closed() {
                return Ok(Input::Closed);
            }
        }
        Ok(Input::Open)
    }

    /// Writes `out` and what TLS wants to send. Says whether all of it was taken.
    pub(crate) fn write(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        if let Some(tls) = &mut self.tls {
            tls.writer().write_all(out)?;
            while tls.wants_write() {
                tls.write_tls(&mut self.unsent)?;
            }
        } else {
            self.unsent.extend_from_slice(out);
        }
        out.clear();
        let mut written = 0;
        while written < self.unsent.len() {
            match self.socket.write(&self.unsent[written..]) {
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        self.unsent.drain(..written);
        Ok(self.unsent.is_empty())
    }

    /// Whether TLS has something to send that nobody asked for.
    pub(crate) fn wants_write(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }
}
