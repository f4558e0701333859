//! XEP-0077: In-Band Registration (version 2.4)
//!
//! Supported: registration by username and password where the configuration opens it, change of
//! password, removal of an account. No forms, no out-of-band data.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use std::sync::Arc;

use minidom::Element;
use parking_lot::Mutex;
use waxwing_core::Exchange;
use waxwing_core::network::network;
use waxwing_core::powers::{
    Answer, Answered, Boxed, Claim, Extension, Place, Query, Specification, Stream, StreamFacts,
    Verb,
};
use waxwing_xmpp::{Jid, StanzaError};

const NS: &str = "jabber:iq:register";
const FEATURE: &str = "http://jabber.org/features/iq-register";

/// Networks whose registrations are remembered for the hour; beyond, others are refused.
const MAX_NETWORKS: usize = 10_000;

/// See the [module](self).
#[derive(Default)]
pub struct Register {
    /// Registrations of the current hour.
    recent: Mutex<Recent>,
}

#[derive(Default)]
struct Recent {
    since: Duration,
    count: HashMap<IpAddr, u32>,
}

impl Recent {
    /// Whether a peer may register another account now, if `limit` are allowed in an hour.
    fn admit(&mut self, peer: IpAddr, now: Duration, limit: u32) -> bool {
        if now.saturating_sub(self.since) > Duration::from_secs(3600) {
            *self = Recent {
                since: now,
                count: HashMap::new(),
            };
        }
        let network = network(peer);
        if self.count.len() >= MAX_NETWORKS && !self.count.contains_key(&network) {
            return false;
        }
        let count = self.count.entry(network).or_default();
        *count = count.saturating_add(1);
        *count <= limit
    }
}

impl Extension for Register {
    fn specification(&self) -> Specification {
        Specification {
            number: "XEP-0077",
            title: "In-Band Registration",
            version: "2.4",
            features: &[],
        }
    }
}

impl Stream for Register {
    fn feature(&self, exchange: &Exchange, facts: StreamFacts) -> Option<String> {
        let offered = exchange.settings.load().open_registration && !facts.authenticated;
        (offered && facts.secure).then(|| format!("<register xmlns='{FEATURE}'/>"))
    }

    fn before_login<'a>(
        &'a self,
        exchange: &'a Exchange,
        facts: StreamFacts,
        verb: Verb,
        payload: &'a Element,
    ) -> Option<Boxed<'a, Answered>> {
        if !payload.is("query", NS) {
            return None;
        }
        Some(Box::pin(async move {
            if !exchange.settings.load().open_registration || !facts.secure {
                return Err(StanzaError::not_allowed());
            }
            match verb {
                Verb::Get => Ok(Some(form(None))),
                Verb::Set => self.create(exchange, facts.peer, payload).await,
            }
        }))
    }
}

impl Register {
    /// XEP-0077 §3.1.
    async fn create(&self, exchange: &Exchange, peer: IpAddr, payload: &Element) -> Answered {
        let (username, password) = fields(payload)?;
        let domain = exchange.domain.as_str();
        let jid = Jid::from_parts(Some(&username), domain, None);
        let jid = jid.map_err(|_| StanzaError::jid_malformed())?;
        if !self.admit(exchange, peer) {
            return Err(StanzaError::resource_constraint().with_text("too many registrations"));
        }
        exchange.accounts.create(&jid, &password, false).await?;
        tracing::info!("an account was registered in band");
        Ok(None)
    }

    /// Bounds what one address can register in an hour.
    fn admit(&self, exchange: &Exchange, peer: IpAddr) -> bool {
        let limit = exchange.settings.load().registrations_per_hour;
        let now = exchange.clock.elapsed();
        self.recent.lock().admit(peer, now, limit)
    }
}

impl Answer for Register {
    fn claims(&self) -> &'static [Claim] {
        &[
            (Verb::Get, Place::Server, NS, "query"),
            (Verb::Set, Place::Server, NS, "query"),
            (Verb::Get, Place::Account, NS, "query"),
            (Verb::Set, Place::Account, NS, "query"),
        ]
    }

    fn answer<'a>(&'a self, exchange: &'a Arc<Exchange>, query: Query) -> Boxed<'a, Answered> {
        Box::pin(async move {
            let own = query.place == Place::Server || query.is_own();
            let account = &query.session.account;
            if !own || account.id < 0 {
                return Err(StanzaError::not_allowed());
            }
            if query.verb == Verb::Get {
                return Ok(Some(form(account.jid.local())));
            }
            if query.payload.has_child("remove", NS) {
                return remove(exchange, &query).await;
            }
            // XEP-0077 §3.3: the username must be the sender's.
            let (username, password) = fields(&query.payload)?;
            let named = Jid::from_parts(Some(&username), exchange.domain.as_str(), None);
            if !named.is_ok_and(|named| named == account.jid) {
                return Err(StanzaError::not_allowed());
            }
            exchange.set_password(&account.jid, &password).await?;
            Ok(None)
        })
    }
}

/// XEP-0077 §3.2. The session gets its answer, then its stream ends.
async fn remove(exchange: &Arc<Exchange>, query: &Query) -> Answered {
    if query.payload.children().count() != 1 {
        return Err(StanzaError::bad_request());
    }
    let session = &query.session;
    exchange
        .remove_account(&session.account.jid, Some(session.reference))
        .await?;
    Ok(None)
}

fn fields(payload: &Element) -> Result<(String, String), StanzaError> {
    let field = |name| {
        payload
            .get_child(name, NS)
            .map(Element::text)
            .filter(|text| !text.is_empty())
    };
    // §3.1: an incomplete form is not acceptable; a set without any is a bad request.
    match (field("username"), field("password")) {
        (Some(username), Some(password)) => Ok((username, password)),
        (None, None) => Err(StanzaError::bad_request()),
        _ => Err(StanzaError::not_acceptable()),
    }
}

fn form(registered: Option<&str>) -> Element {
    let form = Element::builder("query", NS);
    let field = |name: &str, text: &str| Element::builder(name, NS).append(text).build();
    match registered {
        Some(username) => form
            .append(Element::bare("registered", NS))
            .append(field("username", username))
            .append(field("password", ""))
            .build(),
        None => form
            .append(field("instructions", "Choose a username and a password."))
            .append(field("username", ""))
            .append(field("password", ""))
            .build(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_host_with_many_addresses_is_one() {
        let mut recent = Recent::default();
        assert!(recent.admit(address("2001:db8::1"), HOUR, 2));
        assert!(recent.admit(address("2001:db8::ffff:1"), HOUR, 2));
        assert!(!recent.admit(address("2001:db8::2:0:0:1"), HOUR, 2));
        assert!(recent.admit(address("2001:db8:0:1::1"), HOUR, 2));
        assert!(recent.admit(address("192.0.2.1"), HOUR, 1));
        assert!(!recent.admit(address("::ffff:192.0.2.1"), HOUR, 1));
        assert!(recent.admit(address("192.0.2.1"), 3 * HOUR, 1));
    }

    #[test]
    fn at_the_bound_nothing_is_forgotten() {
        let mut recent = Recent::default();
        let first = address("10.0.0.0");
        for number in 0..MAX_NETWORKS {
            let peer = IpAddr::from((0x0a00_0000 + u32::try_from(number).unwrap()).to_be_bytes());
            assert!(recent.admit(peer, HOUR, 1));
        }
        assert!(!recent.admit(address("192.0.2.1"), HOUR, 1));
        assert!(!recent.admit(first, HOUR, 1));
        assert!(recent.admit(first, HOUR, 2 + 1));
        assert_eq!(recent.count.len(), MAX_NETWORKS);
        assert!(recent.admit(address("192.0.2.1"), 3 * HOUR, 1));
    }
}
