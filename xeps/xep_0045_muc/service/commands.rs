//! Commands of a room (XEP-0050): hats (XEP-0317).

use waxwing_core::clock::Timestamp;
use waxwing_xmpp::{Element, Jid, StanzaError};

use crate::xep_0045_muc::affiliation::Affiliation;
use crate::xep_0045_muc::hat_commands::{self as hats, Wish};
use crate::xep_0045_muc::room::{Answer, Room};
use crate::xep_0050_commands::Request;

/// Does what a `<command/>` asks for; `fresh` names a session that begins.
pub(super) fn command(
    room: &mut Room,
    from: &Jid,
    command: &Element,
    fresh: &str,
    now: Timestamp,
) -> Answer {
    if room.affiliation(from) < Affiliation::Admin {
        return Err(StanzaError::forbidden().with_text("Only admins give hats"));
    }
    let request = Request::parse(command)?;
    if request.is_canceled {
        return Ok((Some(request.canceled(fresh)), Vec::new()));
    }
    let (answer, effects) = match hats::parse(&request)? {
        Wish::Ask(form) => return Ok((Some(request.ask(fresh, &form)), Vec::new())),
        Wish::List => (Some(hats::list(&room.worn())), Vec::new()),
        Wish::ListAssigned => (Some(hats::list_assigned(&room.worn())), Vec::new()),
        Wish::Unassign { jid, uri } => (None, room.set_hat(from, &jid, &uri, None, now)?),
        Wish::Assign { jid, uri, title } => {
            let known = hats::title(&room.worn(), &uri).map(str::to_owned);
            let title = title.or(known).unwrap_or_else(|| uri.clone());
            (None, room.set_hat(from, &jid, &uri, Some(&title), now)?)
        }
    };
    Ok((Some(request.done(fresh, answer)), effects))
}
