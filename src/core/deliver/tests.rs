use super::*;

/// RFC 6121 §8.5, Table 1 and the sections it sums up.
#[test]
fn messages_go_where_the_table_says() {
    use MessageType::{Chat, Error, Groupchat, Headline, Normal};
    use Verdict::{Available, Ignore, Mailbox, Refuse, Resource};
    let table = [
        // type, bare + available, bare + none, full matching, full not matching + available,
        // the same + none
        (Normal, [Available, Mailbox, Resource, Refuse, Refuse]),
        (Chat, [Available, Mailbox, Resource, Available, Mailbox]),
        (Groupchat, [Refuse, Refuse, Resource, Refuse, Refuse]),
        (Headline, [Available, Ignore, Resource, Refuse, Refuse]),
        (Error, [Ignore, Ignore, Resource, Ignore, Ignore]),
    ];
    let states = [
        (None, true),
        (None, false),
        (Some(true), true),
        (Some(false), true),
        (Some(false), false),
    ];
    for (kind, expected) in table {
        for ((resource, available), expected) in states.into_iter().zip(expected) {
            assert_eq!(
                verdict(kind, resource, available),
                expected,
                "{kind:?} {resource:?}"
            );
        }
    }
}
