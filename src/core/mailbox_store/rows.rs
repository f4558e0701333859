//! Rows as they go in and as they come out.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::db::{DbError, Row, Value};

/// An id is the time in milliseconds, shifted by this, and a count below.
pub(super) const TIME_SHIFT: u32 = 21;

/// The latest time that an id can carry (in the year 2109).
const MAX_TIME: i64 = (1 << 42) - 1;

/// The lowest id that a row accepted at `ms` (milliseconds since 1970) can have. Times that no id
/// can carry become the nearest that one can.
#[must_use]
pub fn id_at(ms: i64) -> i64 {
    ms.clamp(0, MAX_TIME) << TIME_SHIFT
}

/// When a row was accepted, in milliseconds since 1970.
#[must_use]
pub fn time_of(id: i64) -> i64 {
    id >> TIME_SHIFT
}

/// A number that stands for a bare JID: the first eight bytes of its SHA-256. It is stored, and so
/// is the same in every version and on every machine.
#[must_use]
pub fn peer_hash(bare: &str) -> i64 {
    let digest: [u8; 32] = Sha256::digest(bare.as_bytes()).into();
    let [a, b, c, d, e, f, g, h, ..] = digest;
    i64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// Whom a row is for and where it shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u8);

impl Flags {
    /// Owed to the recipient's devices.
    pub const INCOMING: Flags = Flags(1);
    /// Shows in the recipient's archive.
    pub const ARCHIVED: Flags = Flags(2);
    /// Shows in the sender's archive.
    pub const SENT: Flags = Flags(4);
    /// For one resource only: no other device gets it.
    pub const DIRECTED: Flags = Flags(8);

    /// What makes the recipient an owner.
    pub(super) const RECIPIENTS: Flags = Flags(3);
    /// Without one of these nobody owns the row.
    pub(super) const OWNED: Flags = Flags(7);

    /// Whether one of `other`'s bits is set.
    #[must_use]
    pub const fn any(self, other: Flags) -> bool {
        self.0 & other.0 != 0
    }

    /// Without the bits of `other`.
    #[must_use]
    pub const fn without(self, other: Flags) -> Flags {
        Flags(self.0 & !other.0)
    }

    /// Whether a row of these two accounts shows in the archive of `account`.
    pub(super) fn shows(self, account: i64, recipient: i64, sender: i64) -> bool {
        recipient == account && self.any(Flags::ARCHIVED)
            || sender == account && self.any(Flags::SENT)
    }

    /// The flags of a stored number.
    pub(super) fn stored(number: i64) -> Result<Flags, DbError> {
        let bits = u8::try_from(number).map_err(|_| DbError::unexpected("flags of a message"))?;
        Ok(Flags(bits))
    }
}

impl std::ops::BitOr for Flags {
    type Output = Flags;

    fn bitor(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

impl From<Flags> for Value {
    fn from(flags: Flags) -> Value {
        Value::Int(flags.0.into())
    }
}

/// A message to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRow {
    /// The account it is for.
    pub recipient: i64,
    /// The local account that sent it; 0: none, or it keeps nothing.
    pub sender_account: i64,
    /// The full JID it came from.
    pub from: String,
    /// The bare JID it is for.
    pub to_bare: String,
    /// At least one of [`Flags::INCOMING`], [`Flags::ARCHIVED`] and [`Flags::SENT`]; the last only
    /// with a `sender_account`.
    pub flags: Flags,
    /// When the server accepted it, in milliseconds since 1970.
    pub received_at_ms: i64,
    /// A hash by which a resend is recognised.
    pub key: i64,
    /// The stream management stream it came by; 0: none.
    pub stream: i64,
    /// The count of handled stanzas that is true of that stream once the row is stored; 0: none is.
    pub number: u32,
    /// The stanza, as stamped.
    pub body: Bytes,
}

/// A message that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRow {
    /// Grows with every message and carries its time; never given twice.
    pub id: i64,
    /// The full JID it came from.
    pub from: String,
    /// Whom it is for and where it shows.
    pub flags: Flags,
    /// The stanza, as stamped.
    pub body: Bytes,
}

impl StoredRow {
    /// When the server accepted it, in milliseconds since 1970.
    #[must_use]
    pub fn received_at_ms(&self) -> i64 {
        time_of(self.id)
    }
}

/// A message with those it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedRow {
    /// The account it is or was for.
    pub recipient: i64,
    /// The local account that sent it; 0: none.
    pub sender_account: i64,
    /// Whether it is owed to the recipient and no device has acknowledged it.
    pub undelivered: bool,
    /// The message.
    pub row: StoredRow,
}

/// What tells a resend of a message from a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The row.
    pub id: i64,
    /// [`NewRow::key`].
    pub key: i64,
    /// [`NewRow::stream`].
    pub stream: i64,
    /// [`NewRow::number`].
    pub number: u32,
}

/// What an account has waiting, rows under way to the disk included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Messages.
    pub count: u64,
    /// Bytes of their stanzas.
    pub bytes: u64,
}

/// A row with the accounts in it, whether they own it or not.
pub(super) struct Found {
    pub(super) recipient: i64,
    pub(super) sender_account: i64,
    pub(super) row: StoredRow,
}

impl Found {
    /// The first six columns of [`sql::BODIES`](super::sql::BODIES).
    fn read(values: Vec<Value>) -> Result<Found, DbError> {
        let Ok(
            [
                Value::Int(id),
                Value::Int(recipient),
                Value::Int(sender_account),
                Value::Int(flags),
                Value::Text(from),
                Value::Blob(body),
            ],
        ) = <[Value; 6]>::try_from(values)
        else {
            return Err(DbError::unexpected("row of a mailbox"));
        };
        Ok(Found {
            recipient,
            sender_account,
            row: StoredRow {
                id,
                from,
                flags: Flags::stored(flags)?,
                body,
            },
        })
    }

    /// Whether it is in the queue of an account.
    pub(super) fn is_queued_for(&self, account: i64) -> bool {
        self.recipient == account && self.row.flags.any(Flags::INCOMING)
    }

    /// Whether it shows in the archive of an account.
    pub(super) fn is_shown_to(&self, account: i64) -> bool {
        let flags = self.row.flags;
        flags.shows(account, self.recipient, self.sender_account)
    }
}

impl TryFrom<Row> for Found {
    type Error = DbError;

    fn try_from(row: Row) -> Result<Found, DbError> {
        Found::read(row.into_values())
    }
}

impl TryFrom<Row> for OwnedRow {
    type Error = DbError;

    /// The columns of [`sql::FIND`](super::sql::FIND): a row, and the cursor of the recipient.
    fn try_from(row: Row) -> Result<OwnedRow, DbError> {
        let mut values = row.into_values();
        let Some(Value::Int(cursor)) = values.pop() else {
            return Err(DbError::unexpected("cursor of a mailbox"));
        };
        let Found {
            recipient,
            sender_account,
            row,
        } = Found::read(values)?;
        Ok(OwnedRow {
            recipient,
            sender_account,
            undelivered: row.flags.any(Flags::INCOMING) && row.id > cursor,
            row,
        })
    }
}

/// A count or a size.
pub(super) fn unsigned(row: &Row, column: usize) -> Result<u64, DbError> {
    u64::try_from(row.int(column)?).map_err(|_| DbError::unexpected("size in a mailbox"))
}
