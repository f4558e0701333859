//! Binding and ending sessions (RFC 6120 §7), and the end of accounts.

use std::sync::Arc;

use waxwing_xmpp::error::StreamCondition;
use waxwing_xmpp::subscription::{self, Action};
use waxwing_xmpp::{Jid, StanzaError, StreamError};

use crate::account::{Account, Bound};
use crate::accounts::{AccountError, Accounts};
use crate::binding::Binding;
use crate::db::Statement;
use crate::exchange::Exchange;
use crate::mailbox_store::Device;
use crate::outbox::{Close, Outbox};
use crate::position::Position;
use crate::session::{Session, SessionRef};

impl Exchange {
    /// Binds a resource of an account that is not in the database: an anonymous user's
    /// (XEP-0175), which is gone with its session.
    pub fn bind_anonymous(
        self: &Arc<Self>,
        bare: &Jid,
        binding: Binding<'_>,
    ) -> Result<Arc<Session>, StanzaError> {
        let id = -1 - i64::try_from(self.ids.serial()).unwrap_or(0);
        let roster = crate::roster::Roster::default();
        let account = Account::new(id, bare.clone(), roster, crate::account::Mail::default());
        self.bind(&self.registry.insert(account), binding)
    }

    /// Binds a resource: the one asked for, or one that the server makes. An older session with
    /// the same resource (RFC 6120 §7.7.2.2) or of the same user agent (XEP-0386 §3.2) is closed
    /// with `conflict`.
    ///
    /// # Errors
    /// `not-authorized` if the account was removed or disabled since its client was let in.
    pub fn bind(
        self: &Arc<Self>,
        account: &Arc<Account>,
        binding: Binding<'_>,
    ) -> Result<Arc<Session>, StanzaError> {
        let jid = binding.address(&account.jid, &*self.ids)?;
        let is_secret = binding.is_secret();
        let settings = self.settings.load();
        let reference = SessionRef {
            node: 1,
            epoch: self.epoch,
            id: self.ids.serial(),
        };
        let outbox = Outbox::new(settings.outbox_bytes);
        let lang = binding.lang.map(Box::from);
        let user_agent = binding.user_agent.map(Box::new);
        let session = Arc::new(Session::new(
            reference,
            jid,
            Arc::clone(account),
            is_secret,
            user_agent,
            outbox,
            lang,
        ));
        session.heard_at(self.clock.elapsed());
        let mut bound = Bound {
            session: Arc::clone(&session),
            presence: None,
            takes_since: None,
            interested: false,
            directed: Vec::new(),
            position: Position::default(),
        };
        loop {
            let older = {
                let mut state = account.lock();
                // Who disables an account says so first and then closes, under this lock, what is
                // bound: no session slips through between the two.
                if state.removed || account.is_disabled() {
                    return Err(StanzaError::not_authorized());
                }
                let sessions = || state.sessions.iter().map(|bound| &bound.session);
                let older = sessions().find(|older| session.replaces(older)).cloned();
                // One that nobody may come back for makes room for one that is here.
                let asleep = || {
                    let asleep =
                        sessions().filter_map(|older| Some((older.outbox.asleep_until()?, older)));
                    let first = asleep.min_by_key(|(until, _)| *until);
                    first.map(|(_, older)| Arc::clone(older))
                };
                let is_full = state.sessions.len() >= settings.sessions_per_account;
                match older.or_else(|| if is_full { asleep() } else { None }) {
                    Some(older) => older,
                    // RFC 6120 §7.6.2.1.
                    None if is_full => {
                        return Err(StanzaError::resource_constraint());
                    }
                    None => {
                        bound.position = Position::at(state.device_cursor(session.device_key()));
                        // Nearly every account has one or two.
                        state.sessions.reserve_exact(1);
                        state.sessions.push(bound);
                        break;
                    }
                }
            };
            let is_asleep = older.outbox.asleep_until().is_some();
            older
                .outbox
                .close(Close::Error(StreamError::new(StreamCondition::Conflict)));
            if is_asleep {
                self.end(&older);
            } else {
                self.unbind(&older);
            }
        }
        self.register_device(&session);
        tracing::debug!(session = reference.id, "bound");
        Ok(session)
    }

    /// Ends a session: unavailable presence is sent for it, and what it did not take goes back to
    /// the account. Ending it twice does nothing.
    pub fn unbind(self: &Arc<Self>, session: &Arc<Session>) {
        let account = &session.account;
        self.forget_stream(session);
        if account.lock().bound(session.reference).is_none() {
            return;
        }
        self.gone(session);
        let mut state = account.lock();
        let Some(at) = state
            .sessions
            .iter()
            .position(|bound| bound.session.reference == session.reference)
        else {
            return;
        };
        state.sessions.remove(at);
        let forgotten = account.id < 0 && state.sessions.is_empty();
        state.removed |= forgotten;
        self.give_back(account, state, session);
        // Its connection may have entered a room since.
        self.leave_feeds(session);
        self.mailbox.write_cursors_of(account.id);
        if forgotten {
            self.registry.remove(account.jid.as_str());
        }
        tracing::debug!(session = session.reference.id, "ended");
    }

    /// Notes that a device was seen, and where it stands if it is new.
    fn register_device(&self, session: &Session) {
        let account = &session.account;
        let Some(key) = session.device_key().filter(|_| account.id >= 0) else {
            return;
        };
        let cursor = {
            let mut state = account.lock();
            let cursor = state.device_cursor(Some(key));
            state.advance(Some(key), cursor);
            cursor
        };
        let device = Device {
            key: key.to_owned(),
            cursor,
            seen_at_ms: self.now().0,
            name: session.device_name(),
        };
        // Unknown after a crash it would begin where the account stands.
        drop(self.mailbox.register_device(account.id, &device));
    }

    /// Closes every session of an account.
    pub fn close_sessions(&self, account: &Account, condition: &StreamCondition) {
        for bound in &account.lock().sessions {
            bound
                .session
                .outbox
                .close(Close::Error(StreamError::new(condition.clone())));
        }
    }

    /// Sets another password. What clients were given instead of the old one is worth nothing any
    /// more.
    pub async fn set_password(&self, jid: &Jid, password: &str) -> Result<(), AccountError> {
        let account = self.accounts.find(jid.as_str()).await?;
        let account = account.ok_or(AccountError::Unknown)?;
        let revoked = self.revoked(account.id);
        self.accounts
            .set_password(account.id, password, revoked)
            .await
    }

    /// Refuses or allows logins; sessions of an account that is refused are closed.
    pub async fn set_disabled(&self, jid: &Jid, disabled: bool) -> Result<(), AccountError> {
        // Held in memory meanwhile, so that nobody loads it as it was before.
        let account = self
            .account(jid.as_str())
            .await?
            .ok_or(AccountError::Unknown)?;
        let revoked = self.revoked(account.id);
        self.accounts.set_disabled(jid, disabled, revoked).await?;
        account.set_disabled(disabled);
        if disabled {
            self.close_sessions(&account, &StreamCondition::NotAuthorized);
        }
        Ok(())
    }

    fn revoked(&self, account: i64) -> Vec<Statement> {
        let attend = self.powers.attend.iter();
        attend.flat_map(|attend| attend.revoked(account)).collect()
    }

    /// Removes an account and all that belongs to it. Contacts see that it is gone: their
    /// subscriptions are cancelled. Its sessions are closed except `spared`, which still has an
    /// answer to send.
    pub async fn remove_account(
        self: &Arc<Self>,
        jid: &Jid,
        spared: Option<SessionRef>,
    ) -> Result<(), AccountError> {
        let account = self
            .account(jid.as_str())
            .await?
            .ok_or(AccountError::Unknown)?;
        let contacts: Vec<(Jid, Vec<Action>)> = {
            let state = account.lock();
            let items = state.roster.iter();
            items
                .map(|(jid, item)| (jid.clone(), subscription::remove(item.state)))
                .collect()
        };
        let sessions: Vec<Arc<Session>> = {
            let mut state = account.lock();
            state.removed = true;
            state
                .sessions
                .iter()
                .map(|bound| Arc::clone(&bound.session))
                .collect()
        };
        for session in sessions {
            self.gone(&session);
            if Some(session.reference) != spared {
                let closed = StreamError::new(StreamCondition::NotAuthorized);
                session.outbox.close(Close::Error(closed));
            }
        }
        for attend in &self.powers.attend {
            if let Some(settled) = attend.removing(self, &account) {
                settled.await?;
            }
        }
        self.mailbox.remove_account(account.id).await?;
        let mut statements = Accounts::removal(account.id);
        let attend = self.powers.attend.iter();
        statements.extend(attend.flat_map(|attend| attend.removed(&account)));
        self.database.batch(statements).await?;
        for (contact, actions) in contacts {
            self.send_actions(&account, &contact, actions).await;
        }
        self.registry.remove(jid.as_str());
        Ok(())
    }
}
