//! The one place where the exchange's inner errors become stanza errors: the peer is told the
//! condition, the log the cause.

use waxwing_xmpp::StanzaError;

use crate::accounts::AccountError;
use crate::db::DbError;

impl From<DbError> for StanzaError {
    fn from(error: DbError) -> Self {
        tracing::error!(%error, "a request failed in the database");
        match error {
            DbError::Busy | DbError::Full => StanzaError::resource_constraint(),
            _ => StanzaError::internal_server_error(),
        }
    }
}

impl From<AccountError> for StanzaError {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Exists => StanzaError::conflict(),
            AccountError::Unknown => StanzaError::item_not_found(),
            AccountError::Password(cause) => {
                StanzaError::not_acceptable().with_text(cause.to_string())
            }
            AccountError::Database(cause) => cause.into(),
        }
    }
}
