//! SASL2 on a stream (XEP-0388): one request that authenticates, resumes or binds, and asks for a
//! token, and one answer to all of it.

use std::collections::HashSet;

use waxwing_core::binding::UserAgent;
use waxwing_core::powers::{Powers, TokenRequest};
use waxwing_xmpp::sasl::{Failure, Offer, Profile};
use waxwing_xmpp::sm::NS as SM;
use waxwing_xmpp::{Element, dom, ns};

use super::End;
use super::authenticate::{Authenticated, Proved};
use super::bind::begin;
use super::negotiate::{Login, Negotiation};

impl Negotiation {
    /// One attempt. `None`: it failed, and the client may try again.
    pub(super) async fn authenticate2(&mut self, request: &Element) -> Result<Option<Login>, End> {
        self.user_agent = match read(request) {
            Ok(agent) => agent,
            Err(failure) => return self.failed(Profile::Sasl2, failure).await.map(|()| None),
        };
        let Some(proved) = self.attempt(Profile::Sasl2, request).await? else {
            return Ok(None);
        };
        let token = self.token(&proved, request).await;
        let mut more = String::new();
        let (mut session, mut is_resumed) = (None, false);
        if let Some(resume) = request.get_child("resume", SM) {
            match self.resume(proved.who.jid(), resume).await? {
                Ok(resumed) => {
                    session = Some(resumed);
                    is_resumed = true;
                }
                Err(failed) => more = failed,
            }
        }
        // XEP-0386 §3.2: who has resumed is not bound.
        if session.is_none()
            && let Some(bind) = request.get_child("bind", ns::BIND2)
        {
            session = self.bind2(&proved.who, bind).await;
        }
        let Some((unserved, told)) = session else {
            let features = self.features_after_login(None);
            let identity = proved.who.jid().as_str();
            let success = success(&proved, identity, &(more + &token));
            self.send(success + &features).await?;
            return Ok(Some(Login::Features(proved.who)));
        };
        let jid = unserved
            .session()
            .map_or("", |session| session.jid.as_str());
        let success = success(&proved, jid, &(more + &told + &token));
        // Through the outbox: nothing may be written before it, and nothing in between.
        // XEP-0198 §9.2: a resumed stream goes on at once.
        let features = if is_resumed {
            String::new()
        } else {
            self.features_after_login(unserved.session().map(|session| &**session))
        };
        let session = begin(unserved, success + &features);
        Ok(session.map(Login::Bound))
    }

    /// What SASL2's feature holds beside the mechanisms. `None`: without TLS there is no SASL2
    /// (XEP-0388 §3).
    pub(super) fn inline_features(&self) -> Option<String> {
        let powers = &self.shared.exchange.powers;
        let is_offered = self.reader.io.is_tls();
        is_offered.then(|| inline_features(powers, &self.offer))
    }

    /// A token for next time, as XML; empty if none is wanted. That there is none is no reason to
    /// keep a client out.
    async fn token(&self, proved: &Proved, request: &Element) -> String {
        let exchange = &self.shared.exchange;
        let client = self.user_agent.as_ref().and_then(|agent| agent.id.as_ref());
        let (Some(readmit), Some(client), Authenticated::Account(account)) =
            (&exchange.powers.readmit, client, &proved.who)
        else {
            return String::new();
        };
        let request = TokenRequest {
            account: account.id,
            client,
            request,
            offer: &self.offer,
            readmitted: proved.readmitted.as_ref(),
            credential: proved.credential.as_ref(),
        };
        let issued = readmit.issue(exchange, request);
        issued
            .await
            .unwrap_or_else(|error| {
                tracing::error!(%error, "a token could not be stored");
                None
            })
            .unwrap_or_default()
    }
}

/// The user agent of a request that makes sense: each of its parts is there once, or not at all,
/// whoever reads it.
fn read(request: &Element) -> Result<Option<UserAgent>, Failure> {
    let mut parts = HashSet::new();
    let mut children = request.children();
    if !children.all(|child| parts.insert((child.ns(), child.name()))) {
        return Err(Failure::MalformedRequest);
    }
    let agent = request.get_child("user-agent", ns::SASL2);
    agent
        .map(UserAgent::read)
        .transpose()
        .map_err(|_| Failure::MalformedRequest)
}

/// XEP-0388 §2.6.1.
fn success(proved: &Proved, identity: &str, more: &str) -> String {
    let identity = dom::escape_text(identity);
    let more = format!("<authorization-identifier>{identity}</authorization-identifier>{more}");
    Profile::Sasl2.success_xml(proved.data.as_deref(), &more)
}

/// The inner of `<inline/>`: Bind 2 with what can be asked for in it (XEP-0386 §3.1), tokens, and
/// what extensions add.
fn inline_features(powers: &Powers, offer: &Offer) -> String {
    let bind: String = powers
        .inline
        .iter()
        .map(|inline| format!("<feature var='{}'/>", inline.bind_feature()))
        .collect();
    let mut features = if bind.is_empty() {
        format!("<bind xmlns='{}'/>", ns::BIND2)
    } else {
        format!("<bind xmlns='{}'><inline>{bind}</inline></bind>", ns::BIND2)
    };
    let own = powers.inline.iter();
    features.extend(own.filter_map(|inline| inline.sasl2_feature()));
    if let Some(readmit) = &powers.readmit {
        features += &readmit.feature(offer);
    }
    features
}

#[cfg(test)]
mod tests;
