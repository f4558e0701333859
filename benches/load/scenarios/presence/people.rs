//! The accounts of the scenario: what they are called and whom they know.

use crate::scenarios::presence::ring::Ring;
use crate::server::Server;

/// The accounts.
#[derive(Clone, Debug)]
pub(crate) struct People {
    pub(crate) ring: Ring,
    prefix: String,
    domain: String,
}

impl People {
    /// The accounts of a server.
    pub(crate) fn new(ring: Ring, server: &Server) -> People {
        People {
            ring,
            prefix: server.prefix().to_owned(),
            domain: server.domain.clone(),
        }
    }

    /// A presence stanza about a subscription, to an account.
    pub(crate) fn subscription(&self, kind: &str, to: usize) -> String {
        let People { prefix, domain, .. } = self;
        format!("<presence type='{kind}' to='{prefix}{to}@{domain}'/>")
    }

    /// The number of the account with this address, bare or full.
    pub(crate) fn number(&self, jid: &[u8]) -> Option<usize> {
        let localpart = &jid[..jid.iter().position(|byte| *byte == b'@')?];
        let digits = localpart.strip_prefix(self.prefix.as_bytes())?;
        let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
        (number < self.ring.accounts()).then_some(number)
    }

    /// The place that an address has among the contacts of an account.
    pub(crate) fn place(&self, account: usize, jid: &[u8]) -> Option<usize> {
        self.ring.place(account, self.number(jid)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_numbers() {
        let people = People {
            ring: Ring::new(12, 4),
            prefix: "load".to_owned(),
            domain: "localhost".to_owned(),
        };
        assert_eq!(people.number(b"load11@localhost/a@b"), Some(11));
        assert_eq!(people.place(11, b"load1@localhost"), Some(1));
        for other in [
            &b"load12@localhost"[..],
            b"load@localhost",
            b"x1@localhost",
            b"load1",
        ] {
            assert_eq!(people.number(other), None);
        }
        let stanza = people.subscription("subscribe", 3);
        assert_eq!(stanza, "<presence type='subscribe' to='load3@localhost'/>");
    }
}
