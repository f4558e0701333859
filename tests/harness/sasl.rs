//! The client's side of PLAIN, SCRAM-SHA-256 (RFC 5802, RFC 7677) and HT-SHA-256, written apart
//! from the server's.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::Outcome;

/// Base64 of some bytes.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// The text that some base64 stands for.
pub fn decode(text: &str) -> Outcome<String> {
    Ok(String::from_utf8(STANDARD.decode(text.trim())?)?)
}

/// The initial response of PLAIN, RFC 4616, in base64.
pub fn plain(authzid: &str, user: &str, password: &str) -> String {
    encode(format!("{authzid}\0{user}\0{password}"))
}

/// What the two sides of an HT-SHA-256 login say (draft-schmaus-kitten-sasl-ht-09): the client's
/// message and the server's, in base64.
pub fn hashed_token(user: &str, token: &str, binding: &[u8]) -> (String, String) {
    let hash = |side: &[u8]| mac(token.as_bytes(), &[side, binding].concat());
    let initiator = [user.as_bytes(), b"\0", &hash(b"Initiator")].concat();
    (encode(initiator), encode(hash(b"Responder")))
}

/// One exchange of SCRAM-SHA-256.
pub struct Scram {
    /// `n,,`, `y,,` or `p=TYPE,,`; an authzid may stand in it.
    pub gs2: String,
    /// The binding data that follow the header in `c=`.
    pub binding: Vec<u8>,
    first_bare: String,
    password: String,
    server_signature: String,
}

impl Scram {
    /// An exchange for that user.
    pub fn new(user: &str, password: &str, gs2: &str, binding: Vec<u8>) -> Scram {
        let user = user.replace('=', "=3D").replace(',', "=2C");
        let nonce = format!("n{}x{}", super::unique(), std::process::id());
        Scram {
            gs2: gs2.to_owned(),
            binding,
            first_bare: format!("n={user},r={nonce}"),
            password: password.to_owned(),
            server_signature: String::new(),
        }
    }

    /// The client's first message.
    pub fn first(&self) -> String {
        format!("{}{}", self.gs2, self.first_bare)
    }

    /// The client's final message, in answer to the server's first.
    pub fn last(&mut self, server_first: &str) -> Outcome<String> {
        let nonce = attribute(server_first, "r").ok_or("no nonce")?;
        let salt = STANDARD.decode(attribute(server_first, "s").ok_or("no salt")?)?;
        let rounds: u32 = attribute(server_first, "i")
            .ok_or("no iteration count")?
            .parse()?;
        let salted = salted(&self.password, &salt, rounds)?;

        let bound = [self.gs2.as_bytes(), &self.binding].concat();
        let without_proof = format!("c={},r={nonce}", encode(bound));
        let signed = format!("{},{server_first},{without_proof}", self.first_bare);
        let client_key = mac(&salted, b"Client Key");
        let signature = mac(&Sha256::digest(&client_key), signed.as_bytes());
        let proof: Vec<u8> = client_key
            .iter()
            .zip(&signature)
            .map(|(key, sign)| key ^ sign)
            .collect();
        self.server_signature = encode(mac(&mac(&salted, b"Server Key"), signed.as_bytes()));
        Ok(format!("{without_proof},p={}", encode(proof)))
    }

    /// Whether the server's final message proves that it knows the password too.
    pub fn verify(&self, server_last: &str) -> bool {
        attribute(server_last, "v") == Some(&self.server_signature)
    }
}

/// The salted password. Clients keep it, and hundreds of logins in tests must not cost a hash each.
fn salted(password: &str, salt: &[u8], rounds: u32) -> Outcome<[u8; 32]> {
    type Key = (String, Vec<u8>, u32);
    static KNOWN: Mutex<BTreeMap<Key, [u8; 32]>> = Mutex::new(BTreeMap::new());
    let key = (password.to_owned(), salt.to_vec(), rounds);
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(salted) = known.get(&key) {
        return Ok(*salted);
    }
    drop(known);
    let mut salted = [0; 32];
    pbkdf2::pbkdf2::<Hmac<Sha256>>(password.as_bytes(), salt, rounds, &mut salted)?;
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.insert(key, salted);
    Ok(salted)
}

/// An attribute of a SCRAM message.
pub fn attribute<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message
        .split(',')
        .find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
}

fn mac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}
