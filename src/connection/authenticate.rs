//! SASL on a stream (RFC 6120 §6): the exchange of [`sasl`] is carried over the stream, fed from
//! the accounts, and slowed down after failures.

use bytes::Bytes;
use rustls::ServerConnection;
use waxwing_xmpp::error::StreamCondition;
use waxwing_xmpp::sasl::{self, ChannelBinding, Failure, Offer, Step, encode_payload};
use waxwing_xmpp::{Element, Jid, StreamError, ns};

use super::negotiate::Negotiation;
use super::reader::Incoming;
use super::{End, Shared};

/// Failures on one stream, after which it is closed (RFC 6120 §6.4.5 wants two to five).
const MAX_ATTEMPTS: u32 = 5;

/// Who the peer has shown to be.
pub(crate) enum Authenticated {
    /// The account with this bare JID.
    Account(Jid),
    /// Nobody: an address made for this stream (XEP-0175).
    Anonymous(Jid),
}

/// What a stream offers, given its TLS session.
pub(crate) fn offer(
    shared: &Shared,
    tls: Option<&ServerConnection>,
    end_point: Option<&[u8]>,
) -> Offer {
    let mut bindings = Vec::new();
    if let Some(tls) = tls {
        // RFC 9266.
        let exported = tls.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b""));
        if let Ok(exported) = exported {
            bindings.push((ChannelBinding::TlsExporter, exported.to_vec()));
        }
        if let Some(hash) = end_point {
            bindings.push((ChannelBinding::TlsServerEndPoint, hash.to_vec()));
        }
    }
    let mechanisms = shared.mechanisms.clone();
    Offer {
        mechanisms,
        bindings,
        advertise_bindings: true,
    }
}

impl Negotiation {
    /// One attempt. `None`: it failed, and the peer may try again.
    pub(crate) async fn authenticate(
        &mut self,
        auth: &Element,
    ) -> Result<Option<Authenticated>, End> {
        let limits = self.shared.config.load().limits.clone();
        let (exchange, peer) = (self.shared.exchange.clone(), self.peer);
        let (limit, window) = (
            limits.auth_failures_per_address,
            limits.auth_failures_window,
        );
        if self
            .shared
            .failures
            .refused(peer, exchange.clock.elapsed(), limit, window)
        {
            self.reader
                .io
                .queue(Bytes::from(Failure::TemporaryAuthFailure.to_xml()));
            let error = StreamError::new(StreamCondition::PolicyViolation);
            return Err(End::Error(
                error.with_text("too many failed logins from this address"),
            ));
        }
        let mut username = String::new();
        let failure = match self.exchange(auth, &mut username).await? {
            Ok((authenticated, success)) => {
                self.shared.failures.succeeded(&username);
                self.send(success).await?;
                return Ok(Some(authenticated));
            }
            Err(failure) => failure,
        };
        if failure == Failure::NotAuthorized {
            let now = exchange.clock.elapsed();
            let wait = self.shared.failures.failed(peer, &username, now, window);
            tracing::debug!("a login failed");
            tokio::time::sleep(wait).await;
        }
        self.send(failure.to_xml()).await?;
        self.attempts += 1;
        if self.attempts >= MAX_ATTEMPTS {
            let error = StreamError::new(StreamCondition::PolicyViolation);
            return Err(End::Error(error.with_text("too many failed logins")));
        }
        Ok(None)
    }

    /// Runs the exchange to its end. `name` is set to whom it was about.
    async fn exchange(
        &mut self,
        auth: &Element,
        name: &mut String,
    ) -> Result<Result<(Authenticated, String), Failure>, End> {
        if !self.facts(false).secure {
            return Ok(Err(Failure::EncryptionRequired));
        }
        let mechanism = auth.attr("mechanism").and_then(|name| name.parse().ok());
        let Some(mechanism) = mechanism.filter(|wanted| self.offer.has(*wanted)) else {
            return Ok(Err(Failure::InvalidMechanism));
        };
        let initial = match sasl::decode_payload(&auth.text()) {
            Ok(initial) => initial,
            Err(failure) => return Ok(Err(failure)),
        };
        let accounts = &self.shared.exchange.clone().accounts;
        let domain = self.shared.exchange.domain.clone();
        let nonce = self.shared.exchange.ids.token();
        let mut step = sasl::start(
            mechanism,
            initial.as_deref(),
            &self.offer,
            domain.as_str(),
            &nonce,
        );
        loop {
            step = match step {
                Step::Challenge(data, exchange) => {
                    self.send(element("challenge", &encode_payload(&data)))
                        .await?;
                    match self.response().await? {
                        Ok(data) => exchange.response(&data),
                        Err(failure) => return Ok(Err(failure)),
                    }
                }
                Step::NeedScramKeys {
                    account,
                    hash,
                    next,
                } => {
                    name.clone_from(&account.to_string());
                    match accounts.scram_keys(account.as_str(), hash).await {
                        Ok(keys) => next.keys(keys, accounts.decoy_secret()),
                        Err(error) => return Ok(Err(unavailable(&error))),
                    }
                }
                Step::NeedPasswordCheck {
                    account,
                    password,
                    next,
                } => {
                    name.clone_from(&account.to_string());
                    match accounts.check_password(account.as_str(), password).await {
                        Ok(valid) => next.verdict(valid),
                        Err(error) => return Ok(Err(unavailable(&error))),
                    }
                }
                Step::Success {
                    account,
                    additional_data,
                } => {
                    let found = self.shared.exchange.account(account.as_str()).await;
                    return Ok(match found {
                        Ok(Some(found)) if found.is_disabled() => Err(Failure::AccountDisabled),
                        Ok(Some(_)) => {
                            let data = additional_data.as_deref();
                            let success =
                                element("success", &data.map_or_else(String::new, encode_payload));
                            Ok((Authenticated::Account(account), success))
                        }
                        Ok(None) => Err(Failure::NotAuthorized),
                        Err(error) => Err(unavailable(&error)),
                    });
                }
                Step::Anonymous => {
                    let local = self.shared.exchange.ids.token();
                    return Ok(match Jid::from_parts(Some(&local), domain.as_str(), None) {
                        Ok(jid) => Ok((Authenticated::Anonymous(jid), element("success", ""))),
                        Err(_) => Err(Failure::TemporaryAuthFailure),
                    });
                }
                Step::Failure(failure) => return Ok(Err(failure)),
            };
        }
    }

    /// The peer's answer to a challenge.
    async fn response(&mut self) -> Result<Result<Vec<u8>, Failure>, End> {
        let element = match self.reader.next().await? {
            Incoming::Element(element) => element,
            Incoming::End => return Err(End::Closed),
            Incoming::Header(_) => return Err(StreamCondition::BadFormat.into()),
        };
        if element.is("response", ns::SASL) {
            return Ok(sasl::decode_payload(&element.text()).map(Option::unwrap_or_default));
        }
        if element.is("abort", ns::SASL) {
            return Ok(Err(Failure::Aborted));
        }
        Err(StreamCondition::NotAuthorized.into())
    }
}

fn element(name: &str, text: &str) -> String {
    format!("<{name} xmlns='{}'>{text}</{name}>", ns::SASL)
}

fn unavailable(error: &waxwing_core::db::DbError) -> Failure {
    tracing::error!(%error, "a login failed in the database");
    Failure::TemporaryAuthFailure
}
