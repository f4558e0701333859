//! The certificate that the server makes for itself when none is configured.
//!
//! Certificate and key stand in one file, replaced by a rename: there is no moment at which one of
//! them belongs to another.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair,
    KeyUsagePurpose, OtherNameValue, SanType,
};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{SECONDS_PER_DAY, pem, unix_seconds};

const FILE: &str = "self-signed.pem";
const DAY: Duration = Duration::from_secs(SECONDS_PER_DAY as u64);
/// The longest that the platforms of Apple accept.
const VALID_DAYS: u32 = 825;
/// Days before its end at which a certificate is replaced.
const RENEW_DAYS: i64 = 30;
/// id-on-xmppAddr (RFC 6120 §13.7.1.4).
const XMPP_ADDR: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 8, 5];

/// Why the self-signed certificate could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum SelfSignedError {
    /// The file or its directory cannot be used.
    #[error("cannot use {path}: {cause}")]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// The domain cannot stand in a certificate, or the library fails.
    #[error("cannot make a certificate for {domain}: {cause}")]
    Make {
        /// The domain.
        domain: String,
        /// What the library says.
        cause: rcgen::Error,
    },
    /// What was just made cannot be read back.
    #[error(transparent)]
    Read(#[from] pem::PemError),
}

/// The names that a certificate for the domain should cover: the domain and the services below it.
pub fn service_names(domain: &str) -> Vec<String> {
    let mut names = vec![ascii(domain)];
    if !is_ip(domain) {
        names.extend(["groups", "upload"].map(|service| format!("{service}.{}", names[0])));
    }
    names
}

/// The domain as it stands in certificates: A-labels, and IPv6 addresses without brackets.
pub(super) fn ascii(domain: &str) -> String {
    if is_ip(domain) {
        return without_brackets(domain).to_owned();
    }
    idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_owned())
}

fn is_ip(domain: &str) -> bool {
    without_brackets(domain).parse::<IpAddr>().is_ok()
}

fn without_brackets(domain: &str) -> &str {
    domain.trim_start_matches('[').trim_end_matches(']')
}

/// Reads the certificate in the data directory, or makes it if there is none that is good.
pub(super) fn load_or_make(
    data: &Path,
    domain: &str,
    now: SystemTime,
) -> Result<CertifiedKey, SelfSignedError> {
    let path = data.join(FILE);
    let file_error = |cause| SelfSignedError::File {
        path: path.clone(),
        cause,
    };
    // An unreadable file is an error and not a reason to replace it; a damaged one is.
    match fs::read(&path) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return make(data, &path, domain, now);
        }
        Err(error) => return Err(file_error(error)),
    }
    match pem::load(&path, &path) {
        Ok(certified) if is_good(&certified, domain, now) => Ok(certified),
        Ok(_) => {
            tracing::info!("renewing the self-signed certificate");
            make(data, &path, domain, now)
        }
        Err(error) => {
            tracing::warn!(%error, "the self-signed certificate is damaged, making another");
            make(data, &path, domain, now)
        }
    }
}

fn is_good(certified: &CertifiedKey, domain: &str, now: SystemTime) -> bool {
    let Some(leaf) = certified.cert.first() else {
        return false;
    };
    let Ok((_, parsed)) = X509Certificate::from_der(leaf) else {
        return false;
    };
    let now = unix_seconds(now);
    let validity = parsed.validity();
    let lasts = validity.not_before.timestamp() <= now
        && validity.not_after.timestamp() >= now + RENEW_DAYS * SECONDS_PER_DAY;
    let Ok(Some(names)) = parsed.subject_alternative_name() else {
        return false;
    };
    let names = &names.value.general_names;
    let has = |wanted: &String| {
        names.iter().any(|name| match name {
            GeneralName::DNSName(dns) => dns == wanted,
            GeneralName::IPAddress(bytes) => match wanted.parse() {
                Ok(IpAddr::V4(ip)) => *bytes == ip.octets(),
                Ok(IpAddr::V6(ip)) => *bytes == ip.octets(),
                Err(_) => false,
            },
            _ => false,
        })
    };
    lasts && service_names(domain).iter().all(has)
}

fn make(
    data: &Path,
    path: &Path,
    domain: &str,
    now: SystemTime,
) -> Result<CertifiedKey, SelfSignedError> {
    let text = generate(domain, now).map_err(|cause| SelfSignedError::Make {
        domain: domain.to_owned(),
        cause,
    })?;
    write(data, path, &text).map_err(|cause| SelfSignedError::File {
        path: path.to_owned(),
        cause,
    })?;
    Ok(pem::load(path, path)?)
}

/// A certificate and its key (ECDSA P-256) as PEM.
fn generate(domain: &str, now: SystemTime) -> Result<String, rcgen::Error> {
    let mut params = CertificateParams::new(service_names(domain))?;
    params.subject_alt_names.push(SanType::OtherName((
        XMPP_ADDR.to_vec(),
        OtherNameValue::Utf8String(domain.to_owned()),
    )));
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, ascii(domain));
    // A day back, for clients whose clock is late.
    params.not_before = (now - DAY).into();
    params.not_after = (now + DAY * (VALID_DAYS - 1)).into();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let certificate = params.self_signed(&key)?;
    Ok(format!("{}{}", certificate.pem(), key.serialize_pem()))
}

fn write(data: &Path, path: &Path, text: &str) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(data)?;
    let temporary = path.with_extension("new");
    // One left by a crash could have another mode.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    fs::File::open(data)?.sync_all()
}
