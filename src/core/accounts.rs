//! Accounts in the database: who exists, by what they prove themselves, and what goes with them.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use waxwing_xmpp::Jid;
use waxwing_xmpp::password::{
    self, Argon2Memory, DEFAULT_ITERATIONS, Password, SALT_BYTES, ScramHash, ScramKeys,
};

use crate::clock::{Clock, Ids};
use crate::db::{Database, DbError, Statement};

/// The `credential.kind` of the Argon2id hash; SCRAM keys use their hash's name.
const ARGON2ID: &str = "argon2id";

/// What is stored of a password: the hash or keys that a proof was checked with.
#[derive(Clone)]
pub struct Credential {
    /// The key of its account, which tells that from a later one with the same address.
    pub account: i64,
    /// Which of the forms it is.
    pub kind: &'static str,
    /// The form.
    pub value: String,
}

/// Why an account could not be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// There is one with that address.
    #[error("the account exists already")]
    Exists,
    /// There is none with that address.
    #[error("there is no such account")]
    Unknown,
    /// The password cannot be used (RFC 8265).
    #[error(transparent)]
    Password(#[from] password::PasswordError),
    /// It could not be written.
    #[error(transparent)]
    Database(#[from] DbError),
}

/// One line of `user list`.
pub struct Listed {
    /// The bare JID.
    pub jid: String,
    /// Whether logins are refused.
    pub disabled: bool,
    /// Whether it may administer.
    pub admin: bool,
}

/// See the [module](self).
pub struct Accounts {
    database: Database,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    /// The SCRAM families whose keys are kept, from the configured mechanisms.
    families: Vec<ScramHash>,
    /// Password hashing is work that a stranger can ask for: few at a time, off the async threads.
    hashing: Semaphore,
    /// Blocks of memory for it, as many as were ever used at once.
    memory: Mutex<Vec<Argon2Memory>>,
    /// Makes salts for users that do not exist.
    decoy_secret: Vec<u8>,
}

/// An account's row.
pub struct Found {
    /// Its key.
    pub id: i64,
    /// Whether logins are refused.
    pub disabled: bool,
    /// The newest roster version.
    pub roster_version: i64,
}

impl Accounts {
    /// Reads the server's secret, or makes it at first start.
    pub async fn open(
        database: Database,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        families: Vec<ScramHash>,
    ) -> Result<Self, DbError> {
        let mut fresh = vec![0; 32];
        ids.random(&mut fresh);
        let insert = "INSERT INTO secret (name, value) VALUES ('scram-decoy', ?1) \
                      ON CONFLICT (name) DO NOTHING";
        database
            .batch(vec![Statement::new(insert, vec![fresh.into()])])
            .await?;
        let select = "SELECT value FROM secret WHERE name = 'scram-decoy'";
        let rows = database.query(select, vec![]).await?;
        let secret = rows
            .first()
            .ok_or(DbError::Unexpected("secret"))?
            .blob(0)?
            .to_vec();
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Ok(Accounts {
            database,
            clock,
            ids,
            families,
            hashing: Semaphore::new(cores.saturating_sub(1).max(1)),
            memory: Mutex::default(),
            decoy_secret: secret,
        })
    }

    /// The secret from which salts for unknown users are made.
    pub fn decoy_secret(&self) -> &[u8] {
        &self.decoy_secret
    }

    /// The row of an account.
    pub async fn find(&self, bare: &str) -> Result<Option<Found>, DbError> {
        let select = "SELECT id, disabled, roster_version FROM account WHERE jid = ?1";
        let rows = self.database.query(select, vec![bare.into()]).await?;
        rows.first()
            .map(|row| {
                Ok(Found {
                    id: row.int(0)?,
                    disabled: row.int(1)? != 0,
                    roster_version: row.int(2)?,
                })
            })
            .transpose()
    }

    /// Every account, by address.
    pub async fn list(&self) -> Result<Vec<Listed>, DbError> {
        let select = "SELECT jid, disabled, admin FROM account ORDER BY jid";
        let rows = self.database.query(select, vec![]).await?;
        rows.iter()
            .map(|row| {
                let (disabled, admin) = (row.int(1)? != 0, row.int(2)? != 0);
                Ok(Listed {
                    jid: row.text(0)?.to_owned(),
                    disabled,
                    admin,
                })
            })
            .collect()
    }

    /// Makes an account.
    pub async fn create(&self, jid: &Jid, password: &str, admin: bool) -> Result<(), AccountError> {
        // A stranger may ask for a name that is taken: not worth the hashing. Two at once for one
        // free name are told apart by the constraint.
        if self.find(jid.as_str()).await?.is_some() {
            return Err(AccountError::Exists);
        }
        let id = self.fresh_id();
        let mut statements = vec![Statement::new(
            "INSERT INTO account (id, jid, created_at, admin) VALUES (?1, ?2, ?3, ?4)",
            vec![
                id.into(),
                jid.as_str().into(),
                self.clock.now().0.into(),
                i64::from(admin).into(),
            ],
        )];
        statements.extend(self.credentials(id, password).await?);
        match self.database.batch(statements).await {
            Err(DbError::Constraint(_)) => Err(AccountError::Exists),
            other => Ok(other.map(drop)?),
        }
    }

    /// A key that is never used again, not even after the account is gone.
    fn fresh_id(&self) -> i64 {
        let serial = i64::try_from(self.ids.serial() & 0xfff).unwrap_or(0);
        self.clock.now().0 << 12 | serial
    }

    /// Sets another password of the account with that key, and carries out `also` with it.
    pub async fn set_password(
        &self,
        id: i64,
        password: &str,
        also: Vec<Statement>,
    ) -> Result<(), AccountError> {
        let forget = "DELETE FROM credential WHERE account = ?1";
        let mut statements = vec![Statement::new(forget, vec![id.into()])];
        statements.extend(self.credentials(id, password).await?);
        statements.extend(also);
        self.database.batch(statements).await?;
        Ok(())
    }

    /// Refuses or allows logins, and carries out `also` with that.
    pub async fn set_disabled(
        &self,
        jid: &Jid,
        disabled: bool,
        also: Vec<Statement>,
    ) -> Result<(), AccountError> {
        let update = "UPDATE account SET disabled = ?2 WHERE jid = ?1";
        let values = vec![jid.as_str().into(), i64::from(disabled).into()];
        let mut statements = vec![Statement::new(update, values)];
        statements.extend(also);
        match self.database.batch(statements).await?.first() {
            Some(1) => Ok(()),
            _ => Err(AccountError::Unknown),
        }
    }

    /// The statements that remove an account's own rows.
    pub fn removal(id: i64) -> Vec<Statement> {
        [
            // By its address, which goes with its row.
            "DELETE FROM stream_part WHERE stream IN (SELECT id FROM stream \
             WHERE account = (SELECT jid FROM account WHERE id = ?1))",
            "DELETE FROM stream WHERE account = (SELECT jid FROM account WHERE id = ?1)",
            "DELETE FROM account WHERE id = ?1",
            "DELETE FROM credential WHERE account = ?1",
            "DELETE FROM roster WHERE account = ?1",
            "DELETE FROM stray WHERE account = ?1",
        ]
        .into_iter()
        .map(|sql| Statement::new(sql, vec![id.into()]))
        .collect()
    }

    async fn credentials(&self, id: i64, password: &str) -> Result<Vec<Statement>, AccountError> {
        let prepared = password::prepare(password)?;
        let mut salts = vec![[0; SALT_BYTES]; 1 + self.families.len()];
        salts.iter_mut().for_each(|salt| self.ids.random(salt));
        let families = self.families.clone();
        let values = self
            .off_thread(move |memory| {
                let hash = password::argon2id_hash(&prepared, &salts[0], memory);
                let mut values = vec![(ARGON2ID, hash)];
                for (hash, salt) in families.iter().zip(&salts[1..]) {
                    let keys = password::derive(*hash, &prepared, salt, DEFAULT_ITERATIONS);
                    values.push((hash.mechanism_name(), keys.encode()));
                }
                values
            })
            .await;
        let insert = "INSERT INTO credential (account, kind, value) VALUES (?1, ?2, ?3)";
        Ok(values
            .into_iter()
            .map(|(kind, value)| Statement::new(insert, vec![id.into(), kind.into(), value.into()]))
            .collect())
    }

    /// The SCRAM keys of an account; `None` if there is no such account or it has none.
    pub async fn scram_keys(
        &self,
        bare: &str,
        hash: ScramHash,
    ) -> Result<Option<(ScramKeys, Credential)>, DbError> {
        let Some(credential) = self.credential(bare, hash.mechanism_name()).await? else {
            return Ok(None);
        };
        let keys = ScramKeys::decode(&credential.value);
        let keys = keys.map_err(|_| DbError::Unexpected("SCRAM keys"))?;
        Ok(Some((keys, credential)))
    }

    /// What shows that a password is that of an account; `None`: it is not, which is found out in
    /// the same time whether or not the account exists.
    pub async fn check_password(
        &self,
        bare: &str,
        password: Password,
    ) -> Result<Option<Credential>, DbError> {
        let known = self.password_credential(bare).await?;
        let check = move |memory: &mut Argon2Memory| {
            let hash = known.as_ref().map(|known| known.value.as_str());
            password::argon2id_verify(hash, &password, memory).then_some(known)
        };
        Ok(self.off_thread(check).await.flatten())
    }

    /// What every account has stored of its password; `None`: there is no such account.
    pub async fn password_credential(&self, bare: &str) -> Result<Option<Credential>, DbError> {
        self.credential(bare, ARGON2ID).await
    }

    async fn credential(
        &self,
        bare: &str,
        kind: &'static str,
    ) -> Result<Option<Credential>, DbError> {
        let select = "SELECT value, account FROM credential WHERE kind = ?2 AND account = \
                      (SELECT id FROM account WHERE jid = ?1)";
        let rows = self
            .database
            .query(select, vec![bare.into(), kind.into()])
            .await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let value = row.text(0)?.to_owned();
        Ok(Some(Credential {
            account: row.int(1)?,
            kind,
            value,
        }))
    }

    async fn off_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Argon2Memory) -> T + Send + 'static,
    ) -> T {
        let _permit = self
            .hashing
            .acquire()
            .await
            .expect("the semaphore is never closed");
        let mut memory = self.memory.lock().pop().unwrap_or_default();
        let worked = tokio::task::spawn_blocking(move || (work(&mut memory), memory)).await;
        match worked {
            Ok((value, memory)) => {
                self.memory.lock().push(memory);
                value
            }
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }
}
