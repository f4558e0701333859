//! A certificate chain and its private key from PEM files.

use std::path::{Path, PathBuf};
use std::{fs, io};

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PemError {
    /// The certificate file cannot be read or is not PEM.
    #[error("cannot read the certificate {path}: {cause}")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// The certificate file holds no certificate.
    #[error("there is no certificate in {path}")]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The key file cannot be read, is not PEM, or holds a key of an unknown kind.
    #[error("cannot read the private key {path}: {cause}")]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// The key file holds no private key.
    #[error("there is no private key in {path}")]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The key is that of another certificate.
    #[error("the private key {key} does not belong to the certificate {certificate}")]
    Mismatch {
        /// The certificate file.
        certificate: PathBuf,
        /// The key file.
        key: PathBuf,
    },
}

/// Reads a chain (leaf first) and its key (PKCS #8, PKCS #1 or SEC 1) and checks that they belong
/// together.
pub fn load(certificate: &Path, key: &Path) -> Result<CertifiedKey, PemError> {
    let chain = read_chain(certificate)?;
    let private = read_key(key)?;
    CertifiedKey::from_der(chain, private, &aws_lc_rs::default_provider()).map_err(|error| {
        match error {
            rustls::Error::InconsistentKeys(_) => PemError::Mismatch {
                certificate: certificate.to_owned(),
                key: key.to_owned(),
            },
            rustls::Error::InvalidCertificate(_) => PemError::Certificate {
                path: certificate.to_owned(),
                cause: error.to_string(),
            },
            _ => PemError::Key {
                path: key.to_owned(),
                cause: error.to_string(),
            },
        }
    })
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let unreadable = |cause: String| PemError::Certificate {
        path: path.to_owned(),
        cause,
    };
    let text = fs::read(path).map_err(|error| unreadable(error.to_string()))?;
    let chain = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| unreadable(error.to_string()))?;
    if chain.is_empty() {
        return Err(PemError::NoCertificate {
            path: path.to_owned(),
        });
    }
    Ok(chain)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, PemError> {
    use rustls::pki_types::pem::Error;

    let text = fs::read(path).map_err(|error: io::Error| PemError::Key {
        path: path.to_owned(),
        cause: error.to_string(),
    })?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        Error::NoItemsFound => PemError::NoKey {
            path: path.to_owned(),
        },
        other => PemError::Key {
            path: path.to_owned(),
            cause: other.to_string(),
        },
    })
}
