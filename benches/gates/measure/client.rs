//! The client's side of the sessions that are measured. It lives on a thread of its own, which the
//! allocator leaves out, and shares nothing with the server but sockets.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use waxwing_benches::{counting, stanzas};

use crate::Outcome;

/// What a session goes through before it is at rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Login and presence.
    Plain,
    /// The same, and a message that it takes.
    Used,
    /// The same as [`Life::Plain`], over TLS.
    Tls,
}

/// Brings a session to rest for each byte that comes by `commands`, and sends the byte back; ends
/// all of them when nothing more can come. `trusted`: the server's certificate.
pub fn run(server: SocketAddr, life: Life, trusted: &Path, mut commands: UnixStream) -> Outcome {
    counting::leave_this_thread_out();
    let config = tls_config(trusted)?;
    let mut sessions = Vec::new();
    let mut command = [0];
    while commands.read(&mut command)? == 1 {
        let mut stream = connect(server, (life == Life::Tls).then_some(&config))?;
        log_in(&mut *stream)?;
        if life == Life::Used {
            take_message(&mut *stream)?;
        }
        sessions.push(stream);
        commands.write_all(&command)?;
    }
    Ok(())
}

trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

fn connect(server: SocketAddr, tls: Option<&Arc<ClientConfig>>) -> Outcome<Box<dyn Stream>> {
    let socket = TcpStream::connect(server)?;
    socket.set_nodelay(true)?;
    let Some(config) = tls else {
        return Ok(Box::new(socket));
    };
    let name = ServerName::try_from("localhost")?;
    let connection = ClientConnection::new(Arc::clone(config), name)?;
    Ok(Box::new(StreamOwned::new(connection, socket)))
}

fn log_in(stream: &mut dyn Stream) -> Outcome {
    ask(stream, stanzas::HEADER, "</stream:features>")?;
    ask(stream, AUTH, "</success>")?;
    ask(stream, stanzas::HEADER, "</stream:features>")?;
    ask(stream, BIND, "</iq>")?;
    // The answer to the ping shows that the presence was handled too.
    ask(stream, PRESENCE, "id='last'")?;
    Ok(())
}

const AUTH: &[u8] = b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>";
const BIND: &[u8] =
    b"<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
const PRESENCE: &[u8] = b"<presence/><iq type='get' id='last'><ping xmlns='urn:xmpp:ping'/></iq>";

/// Writes to itself and answers the ping that follows what it is sent.
fn take_message(stream: &mut dyn Stream) -> Outcome {
    let message = b"<message type='chat' id='1'><body>Ay me!</body></message>";
    let ping = ask(stream, message, "urn:xmpp:ping")?;
    let id = ping
        .rsplit_once(" id='")
        .and_then(|(_, rest)| rest.split_once('\''));
    let (id, _) = id.ok_or("a ping without an id")?;
    let answer = format!(
        "<iq type='result' id='{id}' to='localhost'/>\
         <iq type='get' id='taken'><ping xmlns='urn:xmpp:ping'/></iq>"
    );
    ask(stream, answer.as_bytes(), "id='taken'")?;
    Ok(())
}

/// Sends something and reads until the text that is awaited has come.
fn ask(stream: &mut dyn Stream, sent: &[u8], awaited: &str) -> Outcome<String> {
    stream.write_all(sent)?;
    stream.flush()?;
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        read.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&read);
        if text.contains(awaited) {
            return Ok(text.into_owned());
        }
        if text.contains("<failure") || text.contains("<stream:error") {
            return Err(format!("the server said: {text}").into());
        }
    }
}

fn tls_config(trusted: &Path) -> Outcome<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(trusted)?)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"xmpp-client".to_vec()];
    Ok(Arc::new(config))
}
