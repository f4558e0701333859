//! How far each device of an account has acknowledged.

use crate::db::{DbError, Pending, Row, Statement, Value};

use super::{Mailbox, sql};

/// Devices that are remembered of one account; beyond, the one seen longest ago is forgotten.
pub const MAX_DEVICES: usize = 32;

/// Days after which a device that was not seen is forgotten.
const KEPT_DAYS: i64 = 30;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A device of an account, or the account itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The client's id of it, or the resource that the client chose; empty: the account itself, with
    /// what any device has acknowledged.
    pub key: String,
    /// Every row up to this id that is owed to the account was acknowledged.
    pub cursor: i64,
    /// When it was seen last, in milliseconds since 1970.
    pub seen_at_ms: i64,
    /// What people call it.
    pub name: String,
}

impl Mailbox {
    /// The devices of an account in the order of their keys; first the account itself, if anything
    /// was acknowledged or a device is known.
    pub async fn devices(&self, account: i64) -> Result<Vec<Device>, DbError> {
        let params = vec![account.into()];
        let rows = self.0.database.query(sql::DEVICES, params).await?;
        let device = |row: &Row| -> Result<Device, DbError> {
            Ok(Device {
                key: row.text(0)?.to_owned(),
                cursor: row.int(1)?,
                seen_at_ms: row.int(2)?,
                name: row.text(3)?.to_owned(),
            })
        };
        rows.iter().map(device).collect()
    }

    /// Takes up a device that logs in: enters it, or notes when it was seen and how it is called.
    /// The account's own cursor is entered with the same value where it is not there yet; a cursor
    /// that is there never goes back. Forgets devices that were not seen for 30 days before, and
    /// one if there are more than [`MAX_DEVICES`].
    pub fn register_device(&self, account: i64, device: &Device) -> Pending<()> {
        let Device {
            key,
            cursor,
            seen_at_ms,
            name,
        } = device;
        let seen: Value = (*seen_at_ms).into();
        let known = |key: &str| -> Vec<Value> {
            vec![account.into(), key.into(), (*cursor).into(), seen.clone()]
        };
        let mut named = known(key);
        named.push(name.as_str().into());
        let old = seen_at_ms - KEPT_DAYS * DAY_MS;
        let statements = vec![
            Statement::new(sql::ENTER, known("")),
            Statement::new(sql::REGISTER, named),
            Statement::new(
                sql::FORGET_OLD,
                [account.into(), key.as_str().into(), old.into()],
            ),
            trim(account, key),
        ];
        self.write(statements)
    }

    /// Moves the cursor of a device, and notes when it was seen; neither goes back. A device that is
    /// not known is entered. The key '' is the account itself. Every id up to `cursor` must have
    /// been given out.
    pub fn advance(&self, account: i64, key: &str, cursor: i64, seen_at_ms: i64) -> Pending<()> {
        let params = vec![account.into(), key.into(), cursor.into(), seen_at_ms.into()];
        self.write(vec![
            Statement::new(sql::ADVANCE, params),
            trim(account, key),
        ])
    }

    /// Moves the cursors of a registered device and of its account in one cheap write, where they
    /// are not that far yet; else nothing is written.
    pub fn acknowledge(
        &self,
        account: i64,
        key: &str,
        cursor: i64,
        seen_at_ms: i64,
    ) -> Pending<()> {
        let params = vec![account.into(), key.into(), cursor.into(), seen_at_ms.into()];
        self.write(vec![Statement::new(sql::ACKNOWLEDGE, params)])
    }

    /// Forgets a device; should it come back, it is a new one.
    pub fn forget_device(&self, account: i64, key: &str) -> Pending<()> {
        let params = vec![account.into(), key.into()];
        self.write(vec![Statement::new(sql::FORGET, params)])
    }
}

fn trim(account: i64, key: &str) -> Statement {
    let most = i64::try_from(MAX_DEVICES).unwrap_or(i64::MAX);
    Statement::new(sql::TRIM, [account.into(), key.into(), most.into()])
}
