//! What somebody who enters wishes to see of the past (§7.2.14).

use minidom::Element;
use waxwing_core::clock::Timestamp;

use super::MUC;
use super::effect::History;
use crate::xep_0082_date_time as date_time;

/// The wish in `<x xmlns='http://jabber.org/protocol/muc'/>`. What cannot be read was not said:
/// nobody stays outside because of it.
#[must_use]
pub fn parse(x: &Element) -> History {
    let Some(history) = x.get_child("history", MUC) else {
        return History::default();
    };
    let number = |name| {
        history
            .attr(name)
            .and_then(|value| value.trim().parse().ok())
    };
    let since = history.attr("since").map(str::trim);
    History {
        max_chars: number("maxchars"),
        max_stanzas: number("maxstanzas"),
        seconds: number("seconds"),
        since: since.and_then(date_time::parse_up).map(Timestamp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(children: &str) -> History {
        let xml = format!("<x xmlns='{MUC}'>{children}</x>");
        parse(&xml.parse().expect("well-formed"))
    }

    #[test]
    fn wishes_are_read() {
        assert_eq!(parsed(""), History::default());
        assert_eq!(parsed("<history/>"), History::default());
        let all =
            "<history maxchars='0' maxstanzas='20' seconds='180' since='1970-01-01T00:00:01Z'/>";
        let expected = History {
            max_chars: Some(0),
            max_stanzas: Some(20),
            seconds: Some(180),
            since: Some(Timestamp(1000)),
        };
        assert_eq!(parsed(all), expected);
    }

    #[test]
    fn what_cannot_be_read_was_not_said() {
        let wrong = "<history maxchars='-1' maxstanzas='many' seconds='' since='yesterday'/>";
        assert_eq!(parsed(wrong), History::default());
        assert_eq!(
            parsed("<history xmlns='urn:x' maxchars='0'/>"),
            History::default()
        );
    }
}
