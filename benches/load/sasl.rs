//! The client's side of SASL (RFC 6120 §6): ANONYMOUS, PLAIN and SCRAM (RFC 5802) without channel
//! binding. Salted passwords are remembered, for PBKDF2 would cost the client more than the whole
//! login costs the server.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::ValueEnum;
use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

/// How sessions log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mechanism {
    /// Without an account.
    Anonymous,
    /// With the password as it is.
    Plain,
    /// SCRAM-SHA-1.
    #[value(name = "scram-sha-1")]
    #[serde(rename = "scram-sha-1")]
    ScramSha1,
    /// SCRAM-SHA-256.
    #[value(name = "scram-sha-256")]
    #[serde(rename = "scram-sha-256")]
    ScramSha256,
    /// SCRAM-SHA-512.
    #[value(name = "scram-sha-512")]
    #[serde(rename = "scram-sha-512")]
    ScramSha512,
}

impl Mechanism {
    /// Its registered name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Mechanism::Anonymous => "ANONYMOUS",
            Mechanism::Plain => "PLAIN",
            Mechanism::ScramSha1 => "SCRAM-SHA-1",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// What a client derives from password, salt and iterations.
#[derive(Clone)]
struct Keys {
    client_key: Vec<u8>,
    stored_key: Vec<u8>,
    server_key: Vec<u8>,
}

/// Keys that were derived before, by mechanism, password, salt and iterations.
#[derive(Default)]
pub(crate) struct KeyCache(HashMap<(Mechanism, String, Vec<u8>, u32), Keys>);

/// Why an exchange failed on this side.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SaslError {
    /// A challenge that RFC 5802 does not know.
    #[error("the server's SCRAM message cannot be read")]
    Malformed,
    /// The server does not know the password's keys.
    #[error("the server's SCRAM signature is wrong")]
    Signature,
}

/// One exchange.
pub(crate) struct Exchange {
    mechanism: Mechanism,
    password: String,
    first_bare: String,
    signature: Vec<u8>,
}

impl Exchange {
    /// Begins; the second value is the initial response in Base64.
    pub(crate) fn start(mechanism: Mechanism, user: &str, password: &str) -> (Exchange, String) {
        let mut nonce = [0; 18];
        // A predictable nonce harms nobody here.
        let _ = getrandom::fill(&mut nonce);
        let first_bare = format!("n={user},r={}", STANDARD.encode(nonce));
        let initial = match mechanism {
            Mechanism::Anonymous => String::new(),
            Mechanism::Plain => STANDARD.encode(format!("\0{user}\0{password}")),
            _ => STANDARD.encode(format!("n,,{first_bare}")),
        };
        let exchange = Exchange {
            mechanism,
            password: password.to_owned(),
            first_bare,
            signature: Vec::new(),
        };
        (exchange, initial)
    }

    /// Answers the challenge; both in Base64.
    pub(crate) fn respond(
        &mut self,
        challenge: &[u8],
        cache: &mut KeyCache,
    ) -> Result<String, SaslError> {
        let server_first = STANDARD
            .decode(challenge)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or(SaslError::Malformed)?;
        let field = |name: &str| {
            server_first
                .split(',')
                .find_map(|part| part.strip_prefix(name))
        };
        let nonce = field("r=").ok_or(SaslError::Malformed)?;
        let salt = field("s=").and_then(|salt| STANDARD.decode(salt).ok());
        let salt = salt.ok_or(SaslError::Malformed)?;
        let iterations = field("i=").and_then(|count| count.parse().ok());
        let iterations = iterations.ok_or(SaslError::Malformed)?;
        let keys = self.keys(salt, iterations, cache);
        let without_proof = format!("c=biws,r={nonce}");
        let message = format!("{},{server_first},{without_proof}", self.first_bare);
        self.signature = hmac(self.mechanism, &keys.server_key, message.as_bytes());
        let client_signature = hmac(self.mechanism, &keys.stored_key, message.as_bytes());
        let proof: Vec<u8> = client_signature
            .iter()
            .zip(&keys.client_key)
            .map(|(a, b)| a ^ b)
            .collect();
        let proof = STANDARD.encode(proof);
        Ok(STANDARD.encode(format!("{without_proof},p={proof}")))
    }

    /// Checks what came with `<success/>`, in Base64.
    pub(crate) fn verify(&self, success: &[u8]) -> Result<(), SaslError> {
        if matches!(self.mechanism, Mechanism::Anonymous | Mechanism::Plain) {
            return Ok(());
        }
        let expected = format!("v={}", STANDARD.encode(&self.signature));
        match STANDARD.decode(success) {
            Ok(data) if data == expected.as_bytes() => Ok(()),
            _ => Err(SaslError::Signature),
        }
    }

    fn keys(&self, salt: Vec<u8>, iterations: u32, cache: &mut KeyCache) -> Keys {
        let name = (self.mechanism, self.password.clone(), salt, iterations);
        if let Some(keys) = cache.0.get(&name) {
            return keys.clone();
        }
        let salted = salted(self.mechanism, &self.password, &name.2, iterations);
        let client_key = hmac(self.mechanism, &salted, b"Client Key");
        let keys = Keys {
            stored_key: hash(self.mechanism, &client_key),
            server_key: hmac(self.mechanism, &salted, b"Server Key"),
            client_key,
        };
        cache.0.insert(name, keys.clone());
        keys
    }
}

fn salted(mechanism: Mechanism, password: &str, salt: &[u8], iterations: u32) -> Vec<u8> {
    let password = password.as_bytes();
    match mechanism {
        Mechanism::ScramSha512 => {
            pbkdf2::pbkdf2_hmac_array::<Sha512, 64>(password, salt, iterations).to_vec()
        }
        Mechanism::ScramSha256 => {
            pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password, salt, iterations).to_vec()
        }
        _ => pbkdf2::pbkdf2_hmac_array::<Sha1, 20>(password, salt, iterations).to_vec(),
    }
}

fn hmac(mechanism: Mechanism, key: &[u8], data: &[u8]) -> Vec<u8> {
    fn with<M: Mac + KeyInit>(key: &[u8], data: &[u8]) -> Vec<u8> {
        // HMAC takes a key of any length: this cannot fail.
        let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else {
            return Vec::new();
        };
        mac.update(data);
        mac.finalize().into_bytes().to_vec()
    }
    match mechanism {
        Mechanism::ScramSha512 => with::<Hmac<Sha512>>(key, data),
        Mechanism::ScramSha256 => with::<Hmac<Sha256>>(key, data),
        _ => with::<Hmac<Sha1>>(key, data),
    }
}

fn hash(mechanism: Mechanism, data: &[u8]) -> Vec<u8> {
    match mechanism {
        Mechanism::ScramSha512 => Sha512::digest(data).to_vec(),
        Mechanism::ScramSha256 => Sha256::digest(data).to_vec(),
        _ => Sha1::digest(data).to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchange of RFC 5802 §5.
    #[test]
    fn the_example_of_the_specification() {
        let (mut exchange, _) = Exchange::start(Mechanism::ScramSha1, "user", "pencil");
        exchange.first_bare = "n=user,r=fyko+d2lbbFgONRv9qkxdawL".to_owned();
        let nonce = "fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j";
        let challenge = STANDARD.encode(format!("r={nonce},s=QSXCR+Q6sek8bf92,i=4096"));
        let mut cache = KeyCache::default();
        for _ in 0..2 {
            let response = exchange.respond(challenge.as_bytes(), &mut cache).unwrap();
            let expected = format!("c=biws,r={nonce},p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=");
            assert_eq!(response, STANDARD.encode(expected));
        }
        assert_eq!(cache.0.len(), 1);
        let success = STANDARD.encode("v=rmF9pqV8S7suAoZWja4dJRkFsKQ=");
        assert!(exchange.verify(success.as_bytes()).is_ok());
        assert!(exchange.verify(b"dj1ubw==").is_err());
    }

    #[test]
    fn a_bad_challenge_is_refused() {
        let (mut exchange, _) = Exchange::start(Mechanism::ScramSha256, "user", "pencil");
        for challenge in ["", "r=a,i=1", "r=a,s=QQ==,i=x"] {
            let challenge = STANDARD.encode(challenge);
            let answer = exchange.respond(challenge.as_bytes(), &mut KeyCache::default());
            assert!(answer.is_err());
        }
    }
}
