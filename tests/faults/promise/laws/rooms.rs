//! The laws of rooms.

use std::collections::HashMap;

use super::index::{Index, Said, account};
use super::{Law, Verdict};

/// As a number, so that shorter ones are less.
type StanzaId<'a> = (usize, &'a str);

impl<'a> Index<'a> {
    /// Messages to rooms that were acknowledged.
    pub(super) fn said_and_kept(&self) -> usize {
        let kept = self.sent.iter().filter(|(id, _, to)| {
            self.circles.contains_key(to) && self.acknowledged.contains_key(id)
        });
        kept.count()
    }

    /// A message that was acknowledged came to all of these, before all were there.
    pub(super) fn kept_for_all(&self, id: &str, members: &[String], verdict: &mut Verdict) {
        for member in members {
            let came = self.received.get(&(member.as_str(), id));
            let first = came.and_then(|receptions| receptions.first());
            let what = match (first, self.gathered) {
                (None, _) => "never came to",
                (Some(first), Some(gathered)) if first.at > gathered => {
                    "did not come, although all were there, to"
                }
                _ => continue,
            };
            verdict.add(Law::Kept, format!("{id} {what} {member}"), || {
                self.trail_for(id, member)
            });
        }
    }

    pub(super) fn agreed(&self, verdict: &mut Verdict) {
        let mut ids = HashMap::<&str, StanzaId<'a>>::new();
        let mut in_session = HashMap::<(usize, &str), (StanzaId<'a>, &str)>::new();
        let mut first = HashMap::<(&str, &str), (StanzaId<'a>, &str)>::new();
        for said in &self.said {
            let Said { room, who, id, .. } = said;
            let Some(stanza_id) = said.stanza_id.map(|text| (text.len(), text)) else {
                let text = format!("{id} came to {who} without a stanza id of {room}");
                verdict.add(Law::Agreed, text, || self.trail(id));
                continue;
            };
            let agreed = *ids.entry(id).or_insert(stanza_id);
            // Under two ids to one account is for another law.
            if agreed != stanza_id && said.is_first {
                let text = format!("{id} has another stanza id for {who} than for others");
                verdict.add(Law::Agreed, text, || self.trail_for(id, account(who)));
            }
            let mut orders = vec![in_session.insert((said.session, room), (stanza_id, id))];
            if said.is_first {
                orders.push(first.insert((account(who), room), (stanza_id, id)));
            }
            let before = orders.into_iter().flatten();
            if let Some((_, other)) = before.into_iter().find(|(before, _)| *before > stanza_id) {
                let text = format!("{id} came to {who} behind {other}, which is newer");
                verdict.add(Law::Agreed, text, || {
                    self.trail_for(id, account(who)) + &self.trail(other)
                });
            }
        }
    }

    pub(super) fn stayed(&self, verdict: &mut Verdict) {
        for (at, who, room, mark) in &self.went {
            let session = self.marks.get(*mark);
            let ended = session.and_then(|session| self.sessions[*session].ended);
            if ended.is_none_or(|ended| ended > *at) {
                let text = format!("{who} saw {mark} leave {room} ({at:6}), and it had not");
                verdict.add(Law::Stayed, text, String::new);
            }
        }
        for id in &self.outside {
            let text = format!("{id} was refused: its sender is not in the room");
            verdict.add(Law::Stayed, text, || self.trail(id));
        }
    }
}
