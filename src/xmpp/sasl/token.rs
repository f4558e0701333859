//! The mechanisms of a login by token: HT-SHA-256 of draft-schmaus-kitten-sasl-ht-09, for
//! XEP-0484. The client sends its name and a hash of token and channel binding, the server answers
//! with another: one message each way.

use std::fmt;
use std::str::{self, FromStr};

use subtle::ConstantTimeEq;

use super::{ChannelBinding, Failure, Offer, UnknownMechanism, account};
use crate::jid::Jid;
use crate::password::ScramHash;

/// HMAC, and with it its length, is that of SHA-256 in all of them.
const HASH: ScramHash = ScramHash::Sha256;

/// A mechanism of the family, named by its channel binding. `HT-SHA-256-UNIQ` is not among them:
/// TLS 1.3 does not have that binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenMechanism {
    /// `HT-SHA-256-EXPR`: bound to the connection (RFC 9266).
    Exporter,
    /// `HT-SHA-256-ENDP`: bound to the server's certificate (RFC 5929 §4).
    EndPoint,
    /// `HT-SHA-256-NONE`: not bound.
    Unbound,
}

/// What a client sent to show that it has a token.
pub struct TokenProof {
    account: Jid,
    mechanism: TokenMechanism,
    binding: Vec<u8>,
    hashed: Vec<u8>,
}

impl TokenMechanism {
    /// All of them, the strongest first.
    pub const ALL: [TokenMechanism; 3] = [
        TokenMechanism::Exporter,
        TokenMechanism::EndPoint,
        TokenMechanism::Unbound,
    ];

    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            TokenMechanism::Exporter => "HT-SHA-256-EXPR",
            TokenMechanism::EndPoint => "HT-SHA-256-ENDP",
            TokenMechanism::Unbound => "HT-SHA-256-NONE",
        }
    }

    /// Whether a stream with this offer can use it.
    #[must_use]
    pub fn is_possible(self, offer: &Offer) -> bool {
        self.binding_data(offer).is_some()
    }

    fn binding_data(self, offer: &Offer) -> Option<&[u8]> {
        match self {
            TokenMechanism::Exporter => offer.binding(ChannelBinding::TlsExporter),
            TokenMechanism::EndPoint => offer.binding(ChannelBinding::TlsServerEndPoint),
            TokenMechanism::Unbound => Some(&[]),
        }
    }
}

impl TokenProof {
    /// Reads the initiator's message: name, NUL, hash. `domain` is the host of the account.
    pub fn read(
        mechanism: TokenMechanism,
        message: Option<&[u8]>,
        offer: &Offer,
        domain: &str,
    ) -> Result<TokenProof, Failure> {
        let binding = mechanism.binding_data(offer);
        let binding = binding.ok_or(Failure::InvalidMechanism)?;
        // One round trip is all that there is: a message that comes later is none.
        let message = message.ok_or(Failure::MalformedRequest)?;
        let nul = message.iter().position(|byte| *byte == 0);
        let (name, hashed) = message.split_at(nul.ok_or(Failure::MalformedRequest)?);
        let hashed = &hashed[1..];
        if name.is_empty() || hashed.len() != HASH.output_bytes() {
            return Err(Failure::MalformedRequest);
        }
        let name = str::from_utf8(name).map_err(|_| Failure::MalformedRequest)?;
        Ok(TokenProof {
            account: account(name, None, domain)?,
            mechanism,
            binding: binding.to_vec(),
            hashed: hashed.to_vec(),
        })
    }

    /// The bare JID that the client says it is.
    #[must_use]
    pub fn account(&self) -> &Jid {
        &self.account
    }

    /// Compares with every token, each with the mechanism that it was made for (XEP-0484 §3.4: it
    /// must not be used with another). The first that fits, and the server's answer. How many there
    /// are shows in the time that it takes, but not how nearly one fits.
    #[must_use]
    pub fn check<'a>(
        &self,
        tokens: impl IntoIterator<Item = (TokenMechanism, &'a str)>,
    ) -> Option<(&'a str, Vec<u8>)> {
        let mut found = None;
        for (mechanism, token) in tokens {
            let is_right: bool = self.hash(token, b"Initiator").ct_eq(&self.hashed).into();
            if is_right && mechanism == self.mechanism && found.is_none() {
                found = Some(token);
            }
        }
        found.map(|token| (token, self.hash(token, b"Responder")))
    }

    fn hash(&self, token: &str, side: &[u8]) -> Vec<u8> {
        HASH.hmac(token.as_bytes(), &[side, &self.binding])
    }
}

impl FromStr for TokenMechanism {
    type Err = UnknownMechanism;

    fn from_str(name: &str) -> Result<TokenMechanism, UnknownMechanism> {
        let mut all = TokenMechanism::ALL.into_iter();
        all.find(|mechanism| mechanism.name() == name)
            .ok_or(UnknownMechanism)
    }
}

impl fmt::Debug for TokenProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenProof")
            .field("account", &self.account)
            .field("mechanism", &self.mechanism)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::sasl::Mechanism;

    const TOKEN: &str = "WXZzciBwYmFmdmZnZiBqdmd1IGp2eXFhcmZm";

    /// Mechanism, the initiator's hash, the responder's: computed by Python's hmac with the
    /// bindings of [`offer`].
    const VECTORS: [(TokenMechanism, &str, &str); 3] = [
        (
            TokenMechanism::Unbound,
            "9097787461a184e0fa84ec00c1381190b6c4d16a8ec4453c7b2ac5e7fcf935ed",
            "4e513409631474863b986c9f3e8c1e27ca29d1d7ab9ed4097e7afd6007bf9c62",
        ),
        (
            TokenMechanism::Exporter,
            "c0159a5fef045575b269f4c7596e231ebddf57fd039cc6e44268f7837f61b7e7",
            "3d1c06ec34bcd21bc7d5a6bc1689b4b24a11e264e6f34b072e01f2ece1589665",
        ),
        (
            TokenMechanism::EndPoint,
            "9442538ff3bf2b16260bfa0fdbdd39c7001b3adbdfb4881fa1be9728dd866c81",
            "864fa5df2648a4d43e906fa398536b8900d01afeeee756edb1584cef7486a0a4",
        ),
    ];

    fn offer() -> Offer {
        Offer {
            mechanisms: vec![Mechanism::ScramSha256Plus, Mechanism::ScramSha256],
            bindings: vec![
                (ChannelBinding::TlsExporter, vec![1; 32]),
                (ChannelBinding::TlsServerEndPoint, vec![2; 32]),
            ],
            advertise_bindings: true,
        }
    }

    fn bytes(hex: &str) -> Vec<u8> {
        let digits = hex.as_bytes().chunks(2);
        digits
            .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    fn proof(mechanism: TokenMechanism, hash: &str) -> TokenProof {
        let message = [b"Juliet\0".to_vec(), bytes(hash)].concat();
        TokenProof::read(mechanism, Some(&message), &offer(), "example.org").unwrap()
    }

    #[test]
    fn right_tokens() {
        for (mechanism, initiator, responder) in VECTORS {
            let proof = proof(mechanism, initiator);
            assert_eq!(proof.account().as_str(), "juliet@example.org");
            let others = [(mechanism, "another"), (mechanism, TOKEN)];
            assert_eq!(proof.check(others), Some((TOKEN, bytes(responder))));
        }
    }

    #[test]
    fn wrong_tokens_and_no_token() {
        for (mechanism, initiator, _) in VECTORS {
            let proof = proof(mechanism, initiator);
            assert_eq!(proof.check([]), None);
            assert_eq!(proof.check([(mechanism, "another"), (mechanism, "")]), None);
        }
    }

    #[test]
    fn a_token_is_good_for_its_mechanism_only() {
        for (mechanism, initiator, _) in VECTORS {
            for made_for in TokenMechanism::ALL {
                let found = proof(mechanism, initiator).check([(made_for, TOKEN)]);
                assert_eq!(
                    found.is_some(),
                    made_for == mechanism,
                    "{mechanism:?} {made_for:?}"
                );
            }
        }
        // The hash of one binding is not that of another.
        for (_, initiator, _) in &VECTORS[1..] {
            let proof = proof(TokenMechanism::Unbound, initiator);
            assert_eq!(proof.check([(TokenMechanism::Unbound, TOKEN)]), None);
        }
    }

    #[test]
    fn malformed_messages() {
        let read = |message: Option<&[u8]>| {
            let mechanism = TokenMechanism::Unbound;
            TokenProof::read(mechanism, message, &offer(), "example.org").map(drop)
        };
        let hash = [7; 32];
        let with = |name: &[u8]| [name, b"\0", &hash].concat();
        assert_eq!(read(Some(&with(b"juliet"))), Ok(()));
        for (message, expected) in [
            (None, Failure::MalformedRequest),
            (Some(Vec::new()), Failure::MalformedRequest),
            (Some(b"juliet".to_vec()), Failure::MalformedRequest),
            (Some(b"juliet\0short".to_vec()), Failure::MalformedRequest),
            (
                Some([with(b"juliet"), vec![0]].concat()),
                Failure::MalformedRequest,
            ),
            (Some(with(b"")), Failure::MalformedRequest),
            (Some(with(b"\xFF")), Failure::MalformedRequest),
            (Some(with(b"juliet@example.org")), Failure::NotAuthorized),
        ] {
            assert_eq!(read(message.as_deref()), Err(expected), "{message:?}");
        }
    }

    #[test]
    fn what_a_stream_can_use() {
        let unbound = Offer {
            bindings: Vec::new(),
            ..offer()
        };
        // Where no mechanism can use them, bindings are not announced (XEP-0440).
        let unannounced = Offer {
            mechanisms: vec![Mechanism::ScramSha256],
            ..offer()
        };
        for mechanism in TokenMechanism::ALL {
            assert_eq!(mechanism.name().parse(), Ok(mechanism));
            assert!(mechanism.is_possible(&offer()));
            let possible = mechanism == TokenMechanism::Unbound;
            for offer in [&unbound, &unannounced] {
                assert_eq!(mechanism.is_possible(offer), possible);
                let message = [b"juliet\0".as_slice(), &[0; 32]].concat();
                let read = TokenProof::read(mechanism, Some(&message), offer, "example.org");
                assert_eq!(read.is_ok(), possible);
            }
        }
        assert!("HT-SHA-256-UNIQ".parse::<TokenMechanism>().is_err());
    }
}
