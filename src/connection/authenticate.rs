//! SASL on a stream (RFC 6120 §6): the exchange of [`sasl`] is carried over the stream, fed from
//! the accounts, and slowed down after failures. It is the same whichever way it is written.

use std::sync::Arc;

use bytes::Bytes;
use rustls::ServerConnection;
use waxwing_core::account::Account;
use waxwing_core::accounts::Credential;
use waxwing_core::db::DbError;
use waxwing_core::powers::{Readmitted, TokenLogin};
use waxwing_xmpp::error::StreamCondition;
use waxwing_xmpp::sasl::{
    self, ChannelBinding, Failure, Offer, Profile, Step, TokenMechanism, TokenProof,
};
use waxwing_xmpp::{Element, Jid, StreamError};

use super::negotiate::Negotiation;
use super::reader::Incoming;
use super::{End, Shared};

/// Failures on one stream, after which it is closed (RFC 6120 §6.4.5 wants two to five).
const MAX_ATTEMPTS: u32 = 5;

/// Who the peer has shown to be.
pub(crate) enum Authenticated {
    /// This account, and not another that may have its address later.
    Account(Arc<Account>),
    /// Nobody: an address made for this stream (XEP-0175).
    Anonymous(Jid),
}

impl Authenticated {
    /// The bare JID.
    pub(super) fn jid(&self) -> &Jid {
        match self {
            Authenticated::Account(account) => &account.jid,
            Authenticated::Anonymous(jid) => jid,
        }
    }
}

/// How an attempt succeeded.
pub(super) struct Proved {
    pub(super) who: Authenticated,
    /// The mechanism's last message.
    pub(super) data: Option<Vec<u8>>,
    /// If it was by a token.
    pub(super) readmitted: Option<Readmitted>,
    /// If it was by a password: what that was checked with.
    pub(super) credential: Option<Credential>,
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
    /// One attempt by RFC 6120 §6. `None`: it failed, and the peer may try again.
    pub(crate) async fn authenticate(
        &mut self,
        auth: &Element,
    ) -> Result<Option<Authenticated>, End> {
        self.user_agent = None;
        let Some(proved) = self.attempt(Profile::Sasl, auth).await? else {
            return Ok(None);
        };
        let success = Profile::Sasl.success_xml(proved.data.as_deref(), "");
        self.send(success).await?;
        Ok(Some(proved.who))
    }

    /// One attempt up to its success, which the caller announces. `None`: it failed, and the peer
    /// was told.
    pub(super) async fn attempt(
        &mut self,
        profile: Profile,
        request: &Element,
    ) -> Result<Option<Proved>, End> {
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
            let failure = profile.failure_xml(Failure::TemporaryAuthFailure);
            self.reader.io.queue(Bytes::from(failure));
            let error = StreamError::new(StreamCondition::PolicyViolation);
            return Err(End::Error(
                error.with_text("too many failed logins from this address"),
            ));
        }
        let mut username = String::new();
        let failure = match self.exchange(profile, request, &mut username).await? {
            Ok(proved) => {
                self.shared.failures.succeeded(&username);
                return Ok(Some(proved));
            }
            Err(failure) => failure,
        };
        if failure == Failure::NotAuthorized {
            let now = exchange.clock.elapsed();
            let wait = self.shared.failures.failed(peer, &username, now, window);
            tracing::debug!("a login failed");
            tokio::time::sleep(wait).await;
        }
        self.failed(profile, failure).await.map(|()| None)
    }

    /// Tells the peer that an attempt failed. After too many the stream ends.
    pub(super) async fn failed(&mut self, profile: Profile, failure: Failure) -> Result<(), End> {
        self.send(profile.failure_xml(failure)).await?;
        self.attempts += 1;
        if self.attempts >= MAX_ATTEMPTS {
            let error = StreamError::new(StreamCondition::PolicyViolation);
            return Err(End::Error(error.with_text("too many failed logins")));
        }
        Ok(())
    }

    /// Runs the exchange to its end. `name` is set to whom it was about.
    async fn exchange(
        &mut self,
        profile: Profile,
        request: &Element,
        name: &mut String,
    ) -> Result<Result<Proved, Failure>, End> {
        // XEP-0388 §3: never without TLS, whatever the configuration allows.
        let is_private = match profile {
            Profile::Sasl => self.facts(false).secure,
            Profile::Sasl2 => self.reader.io.is_tls(),
        };
        if !is_private {
            return Ok(Err(Failure::EncryptionRequired));
        }
        let mechanism = request.attr("mechanism").unwrap_or_default();
        if let (Profile::Sasl2, Ok(mechanism)) = (profile, mechanism.parse()) {
            return Ok(self.by_token(mechanism, request, name).await);
        }
        let mechanism = mechanism.parse().ok();
        let Some(mechanism) = mechanism.filter(|wanted| self.offer.has(*wanted)) else {
            return Ok(Err(Failure::InvalidMechanism));
        };
        let initial = match profile.initial(request) {
            Ok(initial) => initial,
            Err(failure) => return Ok(Err(failure)),
        };
        let accounts = &self.shared.exchange.clone().accounts;
        let domain = self.shared.exchange.domain.clone();
        let nonce = self.shared.exchange.ids.token();
        let mut credential = None;
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
                    self.send(profile.challenge_xml(&data)).await?;
                    match self.response(profile).await? {
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
                        Ok(found) => {
                            let (keys, known) = found.unzip();
                            credential = known;
                            next.keys(keys, accounts.decoy_secret())
                        }
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
                        Ok(known) => {
                            credential = known;
                            next.verdict(credential.is_some())
                        }
                        Err(error) => return Ok(Err(unavailable(&error))),
                    }
                }
                Step::Success {
                    account,
                    additional_data,
                } => {
                    if let Err(failure) = self.check_claim(profile, &account) {
                        return Ok(Err(failure));
                    }
                    // A success without anything stored is no success.
                    let Some(id) = credential.as_ref().map(|known| known.account) else {
                        return Ok(Err(Failure::NotAuthorized));
                    };
                    let admitted = self.admit(&account, id, additional_data).await;
                    return Ok(admitted.map(|proved| Proved {
                        credential,
                        ..proved
                    }));
                }
                Step::Anonymous => {
                    let local = self.shared.exchange.ids.token();
                    return Ok(match Jid::from_parts(Some(&local), domain.as_str(), None) {
                        Ok(jid) => Ok(Proved {
                            who: Authenticated::Anonymous(jid),
                            data: None,
                            readmitted: None,
                            credential: None,
                        }),
                        Err(_) => Err(Failure::TemporaryAuthFailure),
                    });
                }
                Step::Failure(failure) => return Ok(Err(failure)),
            };
        }
    }

    /// The same by a token (XEP-0484 §3.4): one message, which only a client with an id can send.
    async fn by_token(
        &self,
        mechanism: TokenMechanism,
        request: &Element,
        name: &mut String,
    ) -> Result<Proved, Failure> {
        let exchange = &self.shared.exchange;
        let readmit = exchange.powers.readmit.as_ref();
        let readmit = readmit.ok_or(Failure::InvalidMechanism)?;
        let client = self.user_agent.as_ref().and_then(|agent| agent.id.as_ref());
        let client = client.ok_or(Failure::MalformedRequest)?;
        let message = Profile::Sasl2.initial(request)?;
        let domain = exchange.domain.as_str();
        let proof = TokenProof::read(mechanism, message.as_deref(), &self.offer, domain)?;
        name.clone_from(&proof.account().to_string());
        // XEP-0388 §2.6.2: an attempt that fails changes nothing.
        self.check_claim(Profile::Sasl2, proof.account())?;
        let login = TokenLogin {
            proof: &proof,
            client,
            request,
        };
        let checked = readmit.check(exchange, login).await;
        let mut readmitted = checked.map_err(|error| unavailable(&error))??;
        let data = readmitted.additional_data.clone();
        let proved = self
            .admit(proof.account(), readmitted.account, Some(data))
            .await?;
        Ok(Proved {
            credential: readmitted.credential.take(),
            readmitted: Some(readmitted),
            ..proved
        })
    }

    /// XEP-0388 §2.3 and §4.4. A client that names one account in its stream header and logs in to
    /// another is mistaken, whether or not it sends an authorization identity.
    fn check_claim(&self, profile: Profile, account: &Jid) -> Result<(), Failure> {
        let claimed = self.claimed.as_ref();
        if profile == Profile::Sasl2 && claimed.is_some_and(|claimed| claimed != account) {
            return Err(Failure::InvalidAuthzid);
        }
        Ok(())
    }

    /// Looks at the account with the key `id`, of a client that has proved to be it.
    async fn admit(
        &self,
        account: &Jid,
        id: i64,
        data: Option<Vec<u8>>,
    ) -> Result<Proved, Failure> {
        match self.shared.exchange.account(account.as_str()).await {
            // Removed since the proof was begun, and perhaps somebody else's by now.
            Ok(Some(found)) if found.id != id => Err(Failure::NotAuthorized),
            Ok(Some(found)) if found.is_disabled() => Err(Failure::AccountDisabled),
            Ok(Some(found)) => Ok(Proved {
                who: Authenticated::Account(found),
                data,
                readmitted: None,
                credential: None,
            }),
            Ok(None) => Err(Failure::NotAuthorized),
            Err(error) => Err(unavailable(&error)),
        }
    }

    /// The peer's answer to a challenge. Anything else than that ends the stream (XEP-0388 §2.4).
    async fn response(&mut self, profile: Profile) -> Result<Result<Vec<u8>, Failure>, End> {
        let element = match self.reader.next().await? {
            Incoming::Element(element) => element,
            Incoming::End => return Err(End::Closed),
            Incoming::Header(_) => return Err(StreamCondition::BadFormat.into()),
        };
        if element.is("response", profile.namespace()) {
            return Ok(profile.response(&element));
        }
        if element.is("abort", profile.namespace()) {
            return Ok(Err(Failure::Aborted));
        }
        Err(StreamCondition::NotAuthorized.into())
    }
}

fn unavailable(error: &DbError) -> Failure {
    tracing::error!(%error, "a login failed in the database");
    Failure::TemporaryAuthFailure
}
