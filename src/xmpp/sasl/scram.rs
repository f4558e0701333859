//! SCRAM (RFC 5802, RFC 7677), the server's side: client-first → keys → server-first →
//! client-final → server-final, with channel binding (RFC 5929, RFC 9266) and XEP-0474's
//! attribute `h`.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use subtle::ConstantTimeEq;

use super::message::{ClientFinal, ClientFirst, Flag};
use super::{ChannelBinding, Exchange, Failure, MAX_PAYLOAD_BYTES, Settings, State, Step, account};
use crate::jid::Jid;
use crate::password::{DEFAULT_ITERATIONS, SALT_BYTES, ScramHash, ScramKeys};

/// A SCRAM exchange that waits for the keys of the account.
pub struct AwaitKeys {
    hash: ScramHash,
    account: Jid,
    /// The client-first-message without its GS2 header.
    client_first_bare: String,
    /// What `c=` of the client-final-message has to be: GS2 header and channel binding data.
    channel_binding: Vec<u8>,
    /// The client's nonce followed by the server's.
    nonce: String,
    downgrade_hash: String,
}

/// A SCRAM exchange that waits for the client's proof.
pub(super) struct AwaitClientFinal {
    account: Jid,
    keys: ScramKeys,
    /// Whether the keys are those of an account, not a decoy.
    is_known: bool,
    channel_binding: Vec<u8>,
    nonce: String,
    /// client-first-message-bare, a comma, server-first-message.
    auth_message: String,
}

/// Takes the client-first-message (RFC 5802 §5).
pub(super) fn client_first(
    settings: Settings,
    hash: ScramHash,
    message: &[u8],
) -> Result<Step, Failure> {
    let client_first = ClientFirst::parse(message)?;
    let data = binding_data(&settings, client_first.flag)?;
    let account = account(
        &client_first.username,
        client_first.authzid.as_deref(),
        &settings.domain,
    )?;

    let mut channel_binding = client_first.gs2_header.as_bytes().to_vec();
    channel_binding.extend_from_slice(data);
    let next = AwaitKeys {
        hash,
        account: account.clone(),
        client_first_bare: client_first.bare.to_owned(),
        channel_binding,
        nonce: format!("{}{}", client_first.nonce, settings.server_nonce),
        downgrade_hash: settings.downgrade_hash,
    };
    Ok(Step::NeedScramKeys {
        account,
        hash,
        next,
    })
}

/// The channel binding data that the client has to know, given the flag of its GS2 header
/// (RFC 5802 §6).
fn binding_data<'a>(settings: &'a Settings, flag: Flag<'_>) -> Result<&'a [u8], Failure> {
    match flag {
        Flag::Binding(name) if settings.mechanism.is_plus() => {
            let named = |(kind, _): &&(ChannelBinding, Vec<u8>)| kind.name() == name;
            let binding = settings.bindings.iter().find(named);
            binding
                .map(|(_, data)| &**data)
                .ok_or(Failure::NotAuthorized)
        }
        Flag::None if !settings.mechanism.is_plus() => Ok(&[]),
        // It would have bound if it had seen the offer that was made: somebody removed it.
        Flag::NotOffered if settings.offered_plus => Err(Failure::NotAuthorized),
        Flag::NotOffered => Ok(&[]),
        Flag::Binding(_) | Flag::None => Err(Failure::MalformedRequest),
    }
}

impl AwaitKeys {
    /// Takes the account's keys and makes the server-first-message.
    ///
    /// Without keys (or with those of another family) it goes on with a decoy that is always the
    /// same for the same name, so that nobody learns which accounts exist. `decoy_secret` is
    /// random, kept with the server and the same after a restart.
    #[must_use]
    pub fn keys(self, keys: Option<ScramKeys>, decoy_secret: &[u8]) -> Step {
        // Computed always, so that an account takes as long as none.
        let decoy = decoy_keys(self.hash, &self.account, decoy_secret);
        let keys = keys.filter(|keys| keys.hash == self.hash);
        let is_known = keys.is_some();
        let keys = keys.unwrap_or(decoy);

        let server_first = format!(
            "r={},s={},i={},h={}",
            self.nonce,
            STANDARD.encode(&keys.salt),
            keys.iterations,
            self.downgrade_hash,
        );
        let state = AwaitClientFinal {
            account: self.account,
            keys,
            is_known,
            channel_binding: self.channel_binding,
            nonce: self.nonce,
            auth_message: format!("{},{server_first}", self.client_first_bare),
        };
        Step::Challenge(
            server_first.into_bytes(),
            Exchange(State::AwaitClientFinal(Box::new(state))),
        )
    }
}

/// Keys that no password fits, with a salt that looks like any other.
fn decoy_keys(hash: ScramHash, account: &Jid, secret: &[u8]) -> ScramKeys {
    let part = |purpose: &[u8]| {
        let family = hash.mechanism_name().as_bytes();
        hash.hmac(
            secret,
            &[purpose, b"\0", family, b"\0", account.as_str().as_bytes()],
        )
    };
    let mut salt = part(b"salt");
    salt.truncate(SALT_BYTES);
    ScramKeys {
        hash,
        iterations: DEFAULT_ITERATIONS,
        salt,
        stored_key: part(b"stored key"),
        server_key: part(b"server key"),
    }
}

impl AwaitClientFinal {
    /// Takes the client-final-message and makes the server-final-message.
    pub(super) fn client_final(self, message: &[u8]) -> Result<Step, Failure> {
        if message.len() > MAX_PAYLOAD_BYTES {
            return Err(Failure::MalformedRequest);
        }
        let client_final = ClientFinal::parse(message)?;
        let is_bound: bool = client_final
            .channel_binding
            .ct_eq(&self.channel_binding)
            .into();
        if !is_bound || client_final.nonce != self.nonce {
            return Err(Failure::NotAuthorized);
        }

        let hash = self.keys.hash;
        let auth_message = [
            self.auth_message.as_bytes(),
            b",",
            client_final.without_proof.as_bytes(),
        ];
        let signature = hash.hmac(&self.keys.stored_key, &auth_message);
        if client_final.proof.len() != signature.len() {
            return Err(Failure::NotAuthorized);
        }
        let client_key: Vec<u8> = client_final
            .proof
            .iter()
            .zip(&signature)
            .map(|(proof, mask)| proof ^ mask)
            .collect();
        let is_proved: bool = hash.digest(&client_key).ct_eq(&self.keys.stored_key).into();
        if !(is_proved && self.is_known) {
            return Err(Failure::NotAuthorized);
        }

        let server_signature = hash.hmac(&self.keys.server_key, &auth_message);
        let server_final = format!("v={}", STANDARD.encode(server_signature));
        Ok(Step::Success {
            account: self.account,
            additional_data: Some(server_final.into_bytes()),
        })
    }
}

impl fmt::Debug for AwaitKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AwaitKeys(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::password::{derive, prepare};

    /// One published exchange: user `user`, password `pencil`, no channel binding.
    struct Vector {
        hash: ScramHash,
        nonce: &'static str,
        client_nonce: &'static str,
        salt: &'static str,
        proof: &'static str,
        server_final: &'static str,
    }

    /// RFC 5802 §5, RFC 7677 §3, and the latter's exchange recomputed for SHA-512 with Python's
    /// hashlib.
    const VECTORS: [Vector; 3] = [
        Vector {
            hash: ScramHash::Sha1,
            nonce: "fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j",
            client_nonce: "fyko+d2lbbFgONRv9qkxdawL",
            salt: "QSXCR+Q6sek8bf92",
            proof: "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            server_final: "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        },
        Vector {
            hash: ScramHash::Sha256,
            nonce: "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
            client_nonce: "rOprNGfwEbeRWgbNEkqO",
            salt: "W22ZaJ0SNY7soEsUEjb6gQ==",
            proof: "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            server_final: "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        },
        Vector {
            hash: ScramHash::Sha512,
            nonce: "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
            client_nonce: "rOprNGfwEbeRWgbNEkqO",
            salt: "W22ZaJ0SNY7soEsUEjb6gQ==",
            proof: "gMGXRcevScNtxZ6/8lQYpGtnsNAc3mGcmNomv+xnoOMw+3R2xNJdMNnzMlTN8PPC6wdp6dybEmDYXYTx\
                    wnYPJQ==",
            server_final: "v=ZQnYEgWQMFmmsM8aQMF0nDDCy/AgCzkwk8CmMZYcMg0vSVlKDanekLtifDSeVGT4+5ZxXnJq\
                           199RVG2rR7N7Zw==",
        },
    ];

    #[test]
    fn published_exchanges() {
        for Vector {
            hash,
            nonce,
            client_nonce,
            salt,
            proof,
            server_final,
        } in VECTORS
        {
            let password = prepare("pencil").unwrap();
            let state = AwaitClientFinal {
                account: Jid::parse("user@example.com").unwrap(),
                keys: derive(hash, &password, &STANDARD.decode(salt).unwrap(), 4096),
                is_known: true,
                channel_binding: b"n,,".to_vec(),
                nonce: nonce.to_owned(),
                auth_message: format!("n=user,r={client_nonce},r={nonce},s={salt},i=4096"),
            };
            let step = state.client_final(format!("c=biws,r={nonce},p={proof}").as_bytes());
            let Ok(Step::Success {
                additional_data: Some(data),
                ..
            }) = step
            else {
                panic!("{hash:?}: {step:?}");
            };
            assert_eq!(String::from_utf8(data).unwrap(), server_final);
        }
    }

    #[test]
    fn decoys_differ_by_name_family_and_secret_only() {
        let jid = |text| Jid::parse(text).unwrap();
        let decoy = |hash, text, secret: &[u8]| decoy_keys(hash, &jid(text), secret).salt;
        let salt = decoy(ScramHash::Sha1, "a@example.com", b"secret");
        assert_eq!(salt.len(), SALT_BYTES);
        assert_eq!(salt, decoy(ScramHash::Sha1, "a@example.com", b"secret"));
        assert_ne!(salt, decoy(ScramHash::Sha1, "b@example.com", b"secret"));
        assert_ne!(salt, decoy(ScramHash::Sha256, "a@example.com", b"secret"));
        assert_ne!(salt, decoy(ScramHash::Sha1, "a@example.com", b"another"));
    }
}
