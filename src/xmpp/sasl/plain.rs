//! PLAIN (RFC 4616): `[authzid] NUL username NUL password`.

use std::str;

use super::{AwaitVerdict, Failure, Step, account};
use crate::password;

/// Takes the one message of the mechanism.
pub(super) fn message(domain: &str, message: &[u8]) -> Result<Step, Failure> {
    let message = str::from_utf8(message).map_err(|_| Failure::MalformedRequest)?;
    let mut fields = message.split('\0');
    let (Some(authzid), Some(username), Some(raw_password), None) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(Failure::MalformedRequest);
    };
    if username.is_empty() || raw_password.is_empty() {
        return Err(Failure::MalformedRequest);
    }
    let authzid = Some(authzid).filter(|authzid| !authzid.is_empty());
    let account = account(username, authzid, domain)?;
    // What cannot be prepared was never set as a password.
    let password = password::prepare(raw_password).map_err(|_| Failure::NotAuthorized)?;
    Ok(Step::NeedPasswordCheck {
        account: account.clone(),
        password,
        next: AwaitVerdict { account },
    })
}
