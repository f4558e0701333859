//! How far each device of an account has acknowledged.

use crate::db::{DbError, Pending, Row, Statement, Value};

use super::{Mailbox, sql};

/// Devices that are remembered of one account; beyond, those seen longest ago are forgotten.
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
        self.settle_cursors(Some(account)).await?;
        let params = vec![account.into()];
        let rows = self.0.database.query(sql::DEVICES, params).await?;
        // What the disk had no room for is known all the same.
        let cursors = self.0.cursors.lock();
        let device = |row: &Row| -> Result<Device, DbError> {
            let key = row.text(0)?;
            let waiting = cursors.of(account, key).unwrap_or(0);
            Ok(Device {
                key: key.to_owned(),
                cursor: waiting.max(row.int(1)?),
                seen_at_ms: row.int(2)?,
                name: row.text(3)?.to_owned(),
            })
        };
        rows.iter().map(device).collect()
    }

    /// Takes up a device that logs in: enters it, or notes when it was seen and how it is called.
    /// The account's own cursor is entered with the same value where it is not there yet; a cursor
    /// that is there never goes back. Forgets devices that were not seen for 30 days before, and
    /// those beyond [`MAX_DEVICES`].
    pub fn register_device(&self, account: i64, device: &Device) -> Pending<()> {
        let Device {
            key,
            cursor,
            seen_at_ms,
            name,
        } = device;
        let mut named = cursor_of(account, key, *cursor, *seen_at_ms);
        named.push(name.as_str().into());
        let old = seen_at_ms - KEPT_DAYS * DAY_MS;
        let most = i64::try_from(MAX_DEVICES).unwrap_or(i64::MAX);
        let except =
            |last: i64| -> [Value; 3] { [account.into(), key.as_str().into(), last.into()] };
        self.write_cursors_of(account);
        self.write(vec![
            Statement::new(sql::ENTER, cursor_of(account, "", *cursor, *seen_at_ms)),
            Statement::new(sql::REGISTER, named),
            Statement::new(sql::FORGET_OLD, except(old)),
            Statement::new(sql::TRIM, except(most)),
        ])
    }
}

/// The first four parameters of what enters a cursor.
fn cursor_of(account: i64, key: &str, cursor: i64, seen_at_ms: i64) -> Vec<Value> {
    vec![account.into(), key.into(), cursor.into(), seen_at_ms.into()]
}
