//! What of a message is kept, and where.

use waxwing_xmpp::Stanza;

use super::Extension;

/// What is kept of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// It is owed to the recipient's devices, and waits for them.
    pub queue: bool,
    /// It shows in archives.
    pub archive: bool,
}

impl Kept {
    /// It waits and is archived.
    pub const BOTH: Kept = Kept {
        queue: true,
        archive: true,
    };
    /// It waits, and is not archived.
    pub const QUEUE: Kept = Kept {
        queue: true,
        archive: false,
    };
    /// It is for those who are there.
    pub const NEITHER: Kept = Kept {
        queue: false,
        archive: false,
    };
}

/// May say whether a message is worth keeping.
pub trait Keep: Extension {
    /// `None`: no opinion; the next in the list is asked. Nobody's opinion means
    /// [`Kept::BOTH`].
    fn keep(&self, message: &Stanza) -> Option<Kept>;
}
