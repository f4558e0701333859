//! The users that a room knows, whether they are there or not (§5.2), and the count of changes by
//! which clients ask what they missed (XEP-0463).

use waxwing_xmpp::Jid;

use super::look::look;
use super::occupants::grow;
use crate::xep_0045_muc::affiliation::Affiliation;
use crate::xep_0045_muc::effect::Member;

/// How many users that have no affiliation any more are remembered, so that a client that was away
/// learns of it. Who was away for longer is sent the whole list.
pub(super) const REMEMBERED: usize = 256;

/// What is known of one user. Kept small: there is one for every member of every room in use.
#[derive(Clone, Debug)]
struct Known {
    jid: Jid,
    /// What most users do not have.
    extra: Option<Box<Extra>>,
    /// Counted as far as it goes: no room sees so many changes.
    version: u32,
    affiliation: Affiliation,
}

#[derive(Clone, Debug, Default)]
struct Extra {
    nick: String,
    /// How the nickname looks.
    look: String,
    reason: String,
    hats: Vec<(String, String)>,
}

/// The users that a room knows, sorted by bare JID.
#[derive(Clone, Debug, Default)]
pub(super) struct Members {
    known: Vec<Known>,
    version: i64,
    /// What became of those without an affiliation is known since this version.
    since: i64,
}

impl Members {
    pub(super) fn new(members: Vec<(Jid, Member)>, version: i64) -> Members {
        let mut all = Members {
            known: Vec::with_capacity(members.len()),
            version,
            since: 0,
        };
        for (jid, member) in members {
            all.known.push(Known::new(jid, member));
        }
        all.known.sort_unstable_by(|a, b| a.jid.cmp(&b.jid));
        all.forget();
        all
    }

    pub(super) fn version(&self) -> i64 {
        self.version
    }

    /// Whether all that changed after `version` is known.
    pub(super) fn remembers(&self, version: i64) -> bool {
        (self.since..=self.version).contains(&version)
    }

    fn find(&self, bare: &str) -> Result<usize, usize> {
        self.known
            .binary_search_by(|known| known.jid.as_str().cmp(bare))
    }

    fn known(&self, bare: &str) -> Option<&Known> {
        self.find(bare).ok().map(|index| &self.known[index])
    }

    /// The affiliation of a user, by bare JID. A domain that is banned bans its users but those
    /// that have an affiliation of their own (§9.2).
    pub(super) fn affiliation(&self, bare: &str) -> Affiliation {
        let own = self
            .known(bare)
            .map_or(Affiliation::None, |known| known.affiliation);
        if own != Affiliation::None {
            return own;
        }
        let domain = bare.split_once('@').map_or(bare, |(_, domain)| domain);
        match self.known(domain).map(|known| known.affiliation) {
            Some(Affiliation::Outcast) => Affiliation::Outcast,
            _ => Affiliation::None,
        }
    }

    /// What is written down of a user.
    pub(super) fn member(&self, bare: &str) -> Member {
        self.known(bare).map(Known::member).unwrap_or_default()
    }

    /// The nickname reserved for a user.
    pub(super) fn reserved_nick(&self, bare: &str) -> Option<&str> {
        let extra = self.known(bare)?.extra.as_deref()?;
        (!extra.nick.is_empty()).then_some(&extra.nick)
    }

    /// Who has reserved a nickname that looks so.
    pub(super) fn holder_of(&self, look: &str) -> Option<&Jid> {
        self.known
            .iter()
            .find(|known| known.extra.as_deref().is_some_and(|e| e.look == look))
            .map(|known| &known.jid)
    }

    /// The hats of a user as pairs of URI and title.
    pub(super) fn hats(&self, bare: &str) -> &[(String, String)] {
        self.known(bare)
            .and_then(|known| known.extra.as_deref())
            .map_or(&[], |extra| &extra.hats)
    }

    /// Replaces what is known of a user. A change of its affiliation is a new version. Returns what
    /// is to be written down.
    pub(super) fn set(&mut self, jid: &Jid, mut member: Member) -> Member {
        let place = self.find(jid.as_str());
        let before = place.map_or(Affiliation::None, |index| self.known[index].affiliation);
        if before == member.affiliation {
            member.version = place.map_or(self.version, |index| self.known[index].version());
        } else {
            self.version += 1;
            member.version = self.version;
        }
        let known = Known::new(jid.clone(), member.clone());
        match place {
            Ok(index) => self.known[index] = known,
            Err(index) => {
                grow(&mut self.known);
                self.known.insert(index, known);
            }
        }
        if member.affiliation == Affiliation::None {
            self.forget();
        }
        member
    }

    /// Takes an address in the place of the same one, so that both are one in memory.
    pub(super) fn share(&mut self, bare: &Jid) {
        if let Ok(index) = self.find(bare.as_str()) {
            self.known[index].jid = bare.clone();
        }
    }

    /// Forgets the users without an affiliation that are remembered for too long.
    fn forget(&mut self) {
        let mut gone: Vec<i64> = self
            .known
            .iter()
            .filter(|known| known.is_nobody())
            .map(Known::version)
            .collect();
        if gone.len() < REMEMBERED {
            return;
        }
        gone.sort_unstable();
        let oldest = gone[gone.len() - REMEMBERED];
        // Others of the same version or older may have been forgotten before.
        self.since = self.since.max(oldest);
        self.known
            .retain(|known| !known.is_nobody() || known.version() >= oldest);
    }

    pub(super) fn count(&self, is_counted: impl Fn(Affiliation) -> bool) -> usize {
        self.known
            .iter()
            .filter(|known| is_counted(known.affiliation))
            .count()
    }

    /// The users with an affiliation for which that holds, by bare JID.
    pub(super) fn with(
        &self,
        wanted: impl Fn(Affiliation) -> bool,
    ) -> impl Iterator<Item = (&Jid, Affiliation)> {
        self.known
            .iter()
            .filter(move |known| wanted(known.affiliation))
            .map(|known| (&known.jid, known.affiliation))
    }

    /// The users whose affiliation changed after a version, and all that have one if nothing is
    /// given, with the version of the change, in its order.
    pub(super) fn since(&self, version: Option<i64>) -> Vec<(&Jid, Affiliation, i64)> {
        let is_asked = |known: &&Known| match version {
            Some(version) => known.version() > version,
            None => known.affiliation != Affiliation::None,
        };
        let mut changed: Vec<_> = self
            .known
            .iter()
            .filter(is_asked)
            .map(|known| (&known.jid, known.affiliation, known.version()))
            .collect();
        changed.sort_by_key(|(_, _, version)| *version);
        changed
    }
}

impl Known {
    fn new(jid: Jid, member: Member) -> Known {
        let is_plain = member.nick.is_empty() && member.reason.is_empty() && member.hats.is_empty();
        let extra = (!is_plain).then(|| {
            Box::new(Extra {
                look: look(&member.nick),
                nick: member.nick,
                reason: member.reason,
                hats: member.hats,
            })
        });
        Known {
            jid,
            extra,
            version: u32::try_from(member.version).unwrap_or(u32::MAX),
            affiliation: member.affiliation,
        }
    }

    fn version(&self) -> i64 {
        i64::from(self.version)
    }

    /// Whether there is nothing to know but that its affiliation is gone.
    fn is_nobody(&self) -> bool {
        self.affiliation == Affiliation::None && self.extra.is_none()
    }

    fn member(&self) -> Member {
        let extra = self.extra.as_deref().cloned().unwrap_or_default();
        Member {
            affiliation: self.affiliation,
            nick: extra.nick,
            reason: extra.reason,
            version: self.version(),
            hats: extra.hats,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jid(text: &str) -> Jid {
        Jid::parse(text).expect("an address")
    }

    fn with(affiliation: Affiliation) -> Member {
        Member {
            affiliation,
            ..Member::default()
        }
    }

    #[test]
    fn one_user_takes_little() {
        assert!(size_of::<Known>() <= 40);
    }

    #[test]
    fn a_banned_domain_bans_its_users_but_those_with_an_affiliation() {
        let mut members = Members::default();
        members.set(&jid("x"), with(Affiliation::Outcast));
        members.set(&jid("me@x"), with(Affiliation::Member));
        assert_eq!(members.affiliation("me@x"), Affiliation::Member);
        assert_eq!(members.affiliation("you@x"), Affiliation::Outcast);
        assert_eq!(members.affiliation("x"), Affiliation::Outcast);
        assert_eq!(members.affiliation("you@y"), Affiliation::None);
    }

    #[test]
    fn who_is_gone_is_remembered_for_a_while() {
        let mut members = Members::default();
        for number in 0..=REMEMBERED {
            let user = jid(&format!("u{number}@x"));
            members.set(&user, with(Affiliation::Member));
            members.set(&user, with(Affiliation::None));
        }
        assert_eq!(members.count(|a| a == Affiliation::None), REMEMBERED);
        assert!(!members.remembers(0));
        // The first is forgotten; the second was removed by the fourth change.
        assert!(members.remembers(4));
        let changed = members.since(Some(members.version() - 1));
        let last = jid(&format!("u{REMEMBERED}@x"));
        assert_eq!(changed, [(&last, Affiliation::None, members.version())]);
    }
}
