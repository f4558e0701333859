//! The channel binding `tls-server-end-point` (RFC 5929 §4.1).

use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_parser::prelude::X509Certificate;
use x509_parser::signature_algorithm::SignatureAlgorithm;

/// The hash of a certificate by the hash function of its signature, with SHA-256 in place of MD5
/// and SHA-1. `None` where the RFC leaves it undefined: for signatures without one hash function.
pub(super) fn hash(der: &[u8], certificate: &X509Certificate<'_>) -> Option<Box<[u8]>> {
    let algorithm = &certificate.signature_algorithm;
    let oid = match SignatureAlgorithm::try_from(algorithm) {
        Ok(SignatureAlgorithm::RSASSA_PSS(pss)) => pss.hash_algorithm_oid().to_id_string(),
        _ => algorithm.algorithm.to_id_string(),
    };
    match hash_function(&oid)? {
        HashFunction::Sha256 => Some(Sha256::digest(der).as_slice().into()),
        HashFunction::Sha384 => Some(Sha384::digest(der).as_slice().into()),
        HashFunction::Sha512 => Some(Sha512::digest(der).as_slice().into()),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum HashFunction {
    Sha256,
    Sha384,
    Sha512,
}

/// The hash function to use for a signature algorithm, or for the hash parameter of RSASSA-PSS.
fn hash_function(oid: &str) -> Option<HashFunction> {
    match oid {
        // md5WithRSAEncryption, sha1WithRSAEncryption, ecdsa-with-SHA1, id-SHA1
        "1.2.840.113549.1.1.4" | "1.2.840.113549.1.1.5" | "1.2.840.10045.4.1" | "1.3.14.3.2.26"
        // sha256WithRSAEncryption, ecdsa-with-SHA256, id-sha256
        | "1.2.840.113549.1.1.11" | "1.2.840.10045.4.3.2" | "2.16.840.1.101.3.4.2.1" => {
            Some(HashFunction::Sha256)
        }
        // sha384WithRSAEncryption, ecdsa-with-SHA384, id-sha384
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" | "2.16.840.1.101.3.4.2.2" => {
            Some(HashFunction::Sha384)
        }
        // sha512WithRSAEncryption, ecdsa-with-SHA512, id-sha512
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" | "2.16.840.1.101.3.4.2.3" => {
            Some(HashFunction::Sha512)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_hashes_are_replaced_and_unknown_ones_have_no_binding() {
        assert_eq!(
            hash_function("1.2.840.113549.1.1.5"),
            Some(HashFunction::Sha256)
        );
        assert_eq!(
            hash_function("1.2.840.10045.4.3.3"),
            Some(HashFunction::Sha384)
        );
        assert_eq!(
            hash_function("2.16.840.1.101.3.4.2.3"),
            Some(HashFunction::Sha512)
        );
        let ed25519 = "1.3.101.112";
        assert_eq!(hash_function(ed25519), None);
    }
}
