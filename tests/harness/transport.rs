//! The bytes under a stream: a TCP connection from an address of its own, with or without TLS.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned,
    SupportedProtocolVersion,
};
use socket2::{Domain, Socket, Type};

/// How long a client waits for what it expects.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// A connection to a server.
pub enum Transport {
    /// Bare TCP.
    Plain(TcpStream),
    /// TLS over TCP.
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// What a client's TLS is to do.
#[derive(Clone)]
pub struct TlsOptions {
    /// The certificate that the server must present; `None`: any.
    pub certificate: Option<Vec<u8>>,
    /// The name to ask for.
    pub domain: String,
    /// The ALPN protocols to offer.
    pub alpn: Vec<Vec<u8>>,
    /// The versions to offer.
    pub versions: &'static [&'static SupportedProtocolVersion],
}

/// An address on loopback that no other client of this run has, so that limits per address do not
/// meet between scenarios.
pub fn loopback(number: u32) -> Ipv4Addr {
    let [_, b, c, d] = number.to_be_bytes();
    Ipv4Addr::new(127, b.wrapping_add(1), c, d.max(1))
}

impl Transport {
    /// Connects to `to` from `source`.
    pub fn connect(to: SocketAddr, source: Ipv4Addr) -> io::Result<Transport> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((source, 0)).into())?;
        socket.connect_timeout(&to.into(), DEADLINE)?;
        socket.set_tcp_nodelay(true)?;
        let stream = TcpStream::from(socket);
        stream.set_write_timeout(Some(DEADLINE))?;
        Ok(Transport::Plain(stream))
    }

    /// Makes the TLS handshake on the connection.
    pub fn secure(self, options: &TlsOptions) -> io::Result<Transport> {
        let Transport::Plain(mut tcp) = self else {
            return Err(io::Error::other("the connection is under TLS already"));
        };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = Pinned {
            certificate: options.certificate.clone(),
            provider: provider.clone(),
        };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(options.versions)
            .map_err(io::Error::other)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.alpn_protocols.clone_from(&options.alpn);
        let name = ServerName::try_from(options.domain.clone()).map_err(io::Error::other)?;
        let mut tls = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        tcp.set_read_timeout(Some(DEADLINE))?;
        while tls.is_handshaking() {
            tls.complete_io(&mut tcp)?;
        }
        Ok(Transport::Tls(Box::new(StreamOwned::new(tls, tcp))))
    }

    /// Reads what there is, waiting up to `patience`. `None`: nothing came. Zero bytes: the end.
    pub fn read(&mut self, buffer: &mut [u8], patience: Duration) -> io::Result<Option<usize>> {
        let patience = patience.max(Duration::from_millis(1));
        self.tcp().set_read_timeout(Some(patience))?;
        let read = match self {
            Transport::Plain(tcp) => tcp.read(buffer),
            Transport::Tls(tls) => tls.read(buffer),
        };
        match read {
            Ok(count) => Ok(Some(count)),
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => Ok(None),
                ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
                    Ok(Some(0))
                }
                _ => Err(error),
            },
        }
    }

    /// Writes all of it. That the server has closed is no error here: reading will show it.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = match self {
            Transport::Plain(tcp) => tcp.write_all(bytes),
            Transport::Tls(tls) => tls.write_all(bytes).and_then(|()| tls.flush()),
        };
        match written {
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
                ) =>
            {
                Ok(())
            }
            other => other,
        }
    }

    /// The TLS session, if there is one.
    pub fn tls(&self) -> Option<&ClientConnection> {
        match self {
            Transport::Plain(_) => None,
            Transport::Tls(tls) => Some(&tls.conn),
        }
    }

    /// The channel binding `tls-exporter`, RFC 9266.
    pub fn exporter(&self) -> io::Result<Vec<u8>> {
        let tls = self
            .tls()
            .ok_or_else(|| io::Error::other("no TLS to bind to"))?;
        let output = vec![0; 32];
        tls.export_keying_material(output, b"EXPORTER-Channel-Binding", Some(b""))
            .map_err(io::Error::other)
    }

    fn tcp(&self) -> &TcpStream {
        match self {
            Transport::Plain(tcp) => tcp,
            Transport::Tls(tls) => &tls.sock,
        }
    }
}

/// Accepts one certificate only.
#[derive(Debug)]
struct Pinned {
    certificate: Option<Vec<u8>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match &self.certificate {
            Some(pinned) if pinned.as_slice() != end_entity.as_ref() => Err(
                rustls::Error::General("not the certificate of this server".to_owned()),
            ),
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
