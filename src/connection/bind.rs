//! Binding of a resource: RFC 6120 §7, and Bind 2 (XEP-0386) within SASL2.

use std::sync::Arc;

use bytes::Bytes;
use waxwing_core::binding::Binding;
use waxwing_core::streams::Unserved;
use waxwing_core::{Exchange, Session};
use waxwing_xmpp::builder::With;
use waxwing_xmpp::error::StreamCondition;
use waxwing_xmpp::{Element, Stanza, StanzaError, StreamError, ns, sm};

use super::End;
use super::authenticate::Authenticated;
use super::negotiate::Negotiation;
use super::reader::Incoming;

impl Negotiation {
    /// RFC 6120 §7.
    pub(super) async fn bind(
        &mut self,
        authenticated: &Authenticated,
    ) -> Result<Arc<Session>, End> {
        loop {
            let element = match self.reader.next().await? {
                Incoming::Element(element) => element,
                Incoming::End => return Err(End::Closed),
                Incoming::Header(_) => return Err(StreamCondition::BadFormat.into()),
            };
            if element.is("resume", sm::NS) {
                match self.resume(authenticated.jid(), &element).await? {
                    Ok((unserved, resumed)) => {
                        if let Some(session) = begin(unserved, resumed) {
                            return Ok(session);
                        }
                    }
                    Err(failed) => self.send(failed).await?,
                }
                continue;
            }
            if element.ns() == sm::NS {
                // XEP-0198 §3: not before a resource is bound.
                let error = StanzaError::unexpected_request();
                self.send(sm::failed(None, &error)).await?;
                continue;
            }
            let request = element.get_child("bind", ns::BIND);
            let Some(request) = request.filter(|_| element.attr("type") == Some("set")) else {
                // §7.3.1: nothing else is allowed before.
                return Err(refusal(&element));
            };
            let resource = request.get_child("resource", ns::BIND).map(Element::text);
            let binding = Binding {
                resource: resource.as_deref().filter(|resource| !resource.is_empty()),
                ..self.binding()
            };
            match self.session(authenticated, binding) {
                Ok(session) => {
                    let jid = Element::builder("jid", ns::BIND)
                        .append(session.jid.as_str())
                        .build();
                    let bind = Element::builder("bind", ns::BIND).append(jid).build();
                    // Through the outbox: nothing may be written before it.
                    let answer = reply(&element, Ok(Some(bind)));
                    session.outbox.push_first(Bytes::from(answer));
                    return Ok(session);
                }
                Err(error) => self.send(reply(&element, Err(error))).await?,
            }
        }
    }

    /// XEP-0386 §3.2: binds, and lets the extensions act that the request names. The session and
    /// `<bound/>`; `None` if there is no session to be had. The client is authenticated all the
    /// same then, and may bind as RFC 6120 says, where it is told why it cannot.
    pub(super) async fn bind2(
        &self,
        authenticated: &Authenticated,
        request: &Element,
    ) -> Option<(Unserved, String)> {
        let tag = request.get_child("tag", ns::BIND2).map(Element::text);
        let binding = Binding {
            tag: tag.as_deref().map(str::trim).filter(|tag| !tag.is_empty()),
            ..self.binding()
        };
        let exchange = &self.shared.exchange;
        match self.session(authenticated, binding) {
            Ok(session) => {
                let unserved = Unserved::new(exchange, Arc::clone(&session));
                Some((unserved, bound(exchange, &session, request).await))
            }
            Err(error) => {
                tracing::debug!(condition = ?error.condition, "no session for a client");
                None
            }
        }
    }

    /// A request that leaves all to the server.
    fn binding(&self) -> Binding<'_> {
        Binding {
            user_agent: self.user_agent.clone(),
            lang: self.lang.as_deref(),
            ..Binding::default()
        }
    }

    fn session(
        &self,
        authenticated: &Authenticated,
        binding: Binding<'_>,
    ) -> Result<Arc<Session>, StanzaError> {
        let exchange = &self.shared.exchange;
        match authenticated {
            Authenticated::Account(account) => exchange.bind(account, binding),
            Authenticated::Anonymous(jid) => exchange.bind_anonymous(jid, binding),
        }
    }
}

/// Hands a session on to who serves it, with `first` in front of all that it is sent.
pub(super) fn begin(unserved: Unserved, first: String) -> Option<Arc<Session>> {
    let session = unserved.serve()?;
    session.outbox.push_first(Bytes::from(first));
    Some(session)
}

/// `<bound/>` with what the extensions put into it.
pub(super) async fn bound(
    exchange: &Arc<Exchange>,
    session: &Arc<Session>,
    request: &Element,
) -> String {
    let mut inner = String::new();
    for inline in &exchange.powers.inline {
        inner += &inline.bound(exchange, session, request).unwrap_or_default();
        if let Some(always) = inline.always(exchange, session) {
            inner += &always.await.unwrap_or_default();
        }
    }
    format!("<bound xmlns='{}'>{inner}</bound>", ns::BIND2)
}

/// The stream error for something that is not allowed yet (RFC 6120 §4.9.3.12) or not known.
pub(super) fn refusal(element: &Element) -> End {
    let stanza = ["message", "presence", "iq"].contains(&element.name());
    if stanza && element.ns() == ns::CLIENT {
        StreamCondition::NotAuthorized.into()
    } else {
        End::Error(StreamError::new(StreamCondition::UnsupportedStanzaType))
    }
}

/// The answer to an IQ before there is a session.
pub(super) fn reply(iq: &Element, outcome: Result<Option<Element>, StanzaError>) -> String {
    let (kind, child) = match outcome {
        Ok(child) => ("result", child),
        Err(error) => ("error", Some(error.to_element())),
    };
    let mut answer = Element::builder("iq", ns::CLIENT).with("type", kind);
    if let Some(id) = iq.attr("id") {
        answer = answer.with("id", id);
    }
    let answer = Stanza::from_element(&answer.append_all(child).build());
    String::from_utf8_lossy(answer.bytes()).into_owned()
}
