//! Which nicknames people take for one another (§7.2.8, §13.6).

use std::hash::{DefaultHasher, Hash, Hasher};

use unicode_normalization::UnicodeNormalization;
use unicode_security::skeleton;
use waxwing_xmpp::StanzaError;

/// How a nickname looks: two with the same look are one. It is compared as the profile Nickname
/// does (RFC 8266 §2.4: white space, case, compatibility forms), then by the skeleton of UTS #39,
/// which shows Cyrillic letters as the Latin ones that they resemble. Empty: nothing is seen.
pub(super) fn look(nick: &str) -> String {
    let folded = fold(nick);
    // The skeleton of lower case may hold capitals, and is then folded like any other.
    let seen: String = skeleton(&folded).collect();
    fold(&seen)
}

fn fold(text: &str) -> String {
    let compatible: String = text.nfkc().flat_map(char::to_lowercase).nfkc().collect();
    let visible: String = compatible.chars().filter(|c| !is_unseen(*c)).collect();
    let mut out = String::with_capacity(visible.len());
    for word in visible.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// Characters that leave no trace on a screen (Default_Ignorable_Code_Point, and a blank letter).
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
            | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{2800}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}'
            | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFF8}' | '\u{1BCA0}'..='\u{1BCA3}'
            | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// A short form of a look: different ones mean different looks, but not the other way around.
pub(super) fn look_hash(look: &str) -> u32 {
    let mut hasher = DefaultHasher::new();
    look.hash(&mut hasher);
    // The lower half.
    hasher.finish() as u32
}

/// The look of a nickname that somebody wants.
///
/// # Errors
/// `not-acceptable` if it is too long, or nothing of it is seen (§15.1).
pub(super) fn check(nick: &str, max_bytes: usize) -> Result<String, StanzaError> {
    if nick.len() > max_bytes {
        return Err(StanzaError::not_acceptable().with_text("That nickname is too long"));
    }
    let look = look(nick);
    if look.is_empty() {
        return Err(StanzaError::not_acceptable().with_text("Nothing of that nickname is seen"));
    }
    Ok(look)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_alikes_look_alike() {
        for (one, other) in [
            ("alice", "Alice"),
            ("alice", "ALICE"),
            ("alice", "alice "),
            ("a  b", "a b"),
            ("alice", "аlісе"),
            ("alice", "\u{ff41}lice"),
            ("alice", "al\u{200b}ice"),
            ("fi", "\u{fb01}"),
            ("Straße", "STRAßE"),
        ] {
            assert_eq!(look(one), look(other), "{one} {other}");
        }
        for (one, other) in [
            ("alice", "alicia"),
            ("u1", "u2"),
            ("u10", "u11"),
            ("müller", "muller"),
            ("\u{1F98A}", "\u{1F43A}"),
        ] {
            assert_ne!(look(one), look(other), "{one} {other}");
        }
    }

    #[test]
    fn what_is_not_seen_is_no_nickname() {
        for nick in [" ", "\u{200b}", " \u{ad} ", "\u{3164}", "\u{2800}"] {
            assert!(check(nick, 100).is_err(), "{nick:?}");
        }
        assert!(check("\u{1F98A}\u{FE0F}", 100).is_ok());
        assert!(check("alice", 4).is_err());
    }
}
