//! TLS: the certificate, and the parameters under which connections are accepted.
//!
//! A [`TlsContext`] lives as long as the server; what it serves at a moment is a [`Served`],
//! replaced as a whole by [`TlsContext::reload`]. A connection takes one `Served` and keeps it, so
//! that the channel binding it computes belongs to the certificate it has shown.

mod end_point;
pub mod pem;
mod self_signed;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use rustls::client::verify_server_name;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::{NoServerSessionStorage, ParsedCertificate};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CipherSuite, ServerConfig};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::config::Config;

pub use self_signed::{SelfSignedError, service_names};

/// The ALPN protocol of client connections (XEP-0368 §3).
pub const ALPN_CLIENT: &[u8] = b"xmpp-client";

const SECONDS_PER_DAY: i64 = 86_400;
/// Days before its end from which each load of a certificate warns.
const WARN_DAYS: i64 = 14;

/// Why there is no certificate to serve.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The configured certificate cannot be used.
    #[error(transparent)]
    Pem(#[from] pem::PemError),
    /// The self-signed certificate cannot be made.
    #[error(transparent)]
    SelfSigned(#[from] SelfSignedError),
    /// The certificate is not one of X.509.
    #[error("cannot understand the certificate: {0}")]
    Certificate(String),
    /// The library refuses the parameters.
    #[error("cannot set up TLS: {0}")]
    Parameters(#[from] rustls::Error),
}

/// The certificate that is being served, replaceable while connections use it.
#[derive(Debug)]
pub struct TlsContext {
    served: ArcSwap<Served>,
}

impl TlsContext {
    /// Loads the configured certificate or, without one, the self-signed one in the data
    /// directory, which is made if it is missing, damaged, for other names or near its end.
    pub fn load(config: &Config, now: SystemTime) -> Result<Self, TlsError> {
        Ok(Self {
            served: ArcSwap::from_pointee(Served::load(config, now)?),
        })
    }

    /// The same while running; on an error what was served before is kept. Calling this once a day
    /// renews a self-signed certificate in time.
    pub fn reload(&self, config: &Config, now: SystemTime) -> Result<(), TlsError> {
        self.served.store(Arc::new(Served::load(config, now)?));
        Ok(())
    }

    /// What is served now. A connection takes this once.
    pub fn served(&self) -> Arc<Served> {
        self.served.load_full()
    }

    /// Whole days until the certificate ends; negative if it has ended.
    pub fn days_left(&self, now: SystemTime) -> i64 {
        self.served.load().days_left(now)
    }
}

/// A certificate with the parameters to serve it.
#[derive(Debug)]
pub struct Served {
    starttls: Arc<ServerConfig>,
    direct: Arc<ServerConfig>,
    end_point: Option<Box<[u8]>>,
    /// Seconds since 1970.
    not_after: i64,
}

impl Served {
    fn load(config: &Config, now: SystemTime) -> Result<Self, TlsError> {
        let certified = if config.tls.certificate.as_os_str().is_empty() {
            self_signed::load_or_make(&config.data, &config.domain, now)?
        } else {
            pem::load(&config.tls.certificate, &config.tls.key)?
        };
        let served = Self::new(certified, &config.domain)?;
        let days = served.days_left(now);
        if days < WARN_DAYS {
            tracing::warn!(days, "the certificate ends soon or has ended");
        }
        Ok(served)
    }

    fn new(certified: CertifiedKey, domain: &str) -> Result<Self, TlsError> {
        let Some(leaf) = certified.cert.first() else {
            return Err(TlsError::Certificate("the chain is empty".to_owned()));
        };
        let (_, parsed) = X509Certificate::from_der(leaf)
            .map_err(|error| TlsError::Certificate(error.to_string()))?;
        let not_after = parsed.validity().not_after.timestamp();
        let end_point = end_point::hash(leaf, &parsed);
        if !covers(leaf, domain) {
            tracing::warn!("the certificate does not name the domain: clients will refuse it");
        }
        let starttls = parameters(certified)?;
        let mut direct = starttls.clone();
        direct.alpn_protocols = vec![ALPN_CLIENT.to_vec()];
        Ok(Self {
            starttls: Arc::new(starttls),
            direct: Arc::new(direct),
            end_point,
            not_after,
        })
    }

    /// The parameters after STARTTLS. Whatever ALPN the client names is ignored.
    pub fn starttls(&self) -> &Arc<ServerConfig> {
        &self.starttls
    }

    /// The parameters of direct TLS: a client that names no ALPN protocol is accepted, one that
    /// names others than [`ALPN_CLIENT`] is refused (XEP-0368 §3).
    pub fn direct(&self) -> &Arc<ServerConfig> {
        &self.direct
    }

    /// The channel binding `tls-server-end-point` (RFC 5929 §4.1): the hash of the certificate.
    /// `None` where that is undefined, for signature algorithms without one single hash function.
    pub fn tls_server_end_point(&self) -> Option<&[u8]> {
        self.end_point.as_deref()
    }

    /// Whole days until the certificate ends; negative if it has ended.
    pub fn days_left(&self, now: SystemTime) -> i64 {
        (self.not_after - unix_seconds(now)).div_euclid(SECONDS_PER_DAY)
    }
}

fn parameters(certified: CertifiedKey) -> Result<ServerConfig, rustls::Error> {
    let mut provider = aws_lc_rs::default_provider();
    // AES-128 with SHA-256 first: both are instructions of every server's processor, where SHA-384
    // is not, and a login hashes more than it encrypts.
    provider
        .cipher_suites
        .sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    // Resumption would save less than it costs in memory: XMPP connections live long, and
    // XEP-0198 resumes the stream.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.ignore_client_order = true;
    // RFC 9266 §4.2: `tls-exporter` over TLS 1.2 is safe only with the extended master secret.
    config.require_ems = true;
    Ok(config)
}

fn covers(leaf: &CertificateDer<'_>, domain: &str) -> bool {
    let name = self_signed::ascii(domain);
    let (Ok(parsed), Ok(name)) = (
        ParsedCertificate::try_from(leaf),
        ServerName::try_from(name),
    ) else {
        return false;
    };
    verify_server_name(&parsed, &name).is_ok()
}

fn unix_seconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(_) => 0,
    }
}
