//! How far a session has got with the rows of its account's mailbox, as a value.
//!
//! Rows are given in order, by handing each new one at once or page by page. Some come out of
//! order: what is for this resource although the session does not take what else waits, and what
//! another session left behind. Those do not move the cursor, and are not given a second time when
//! the pages reach them.

/// Rows that are remembered as given out of order; beyond, the oldest may come twice.
const MAX_AHEAD: usize = 1024;

/// Rows given by name in one go.
const NAMED: usize = 64;

/// See the [module](self).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Every row up to here that is owed to the device was given, or need not be.
    handed: i64,
    /// Every row up to here was acknowledged.
    cursor: i64,
    /// Rows that were given out of order. Boxed: nearly always there are none.
    ahead: Option<Box<Ahead>>,
    /// What is being given from the mailbox. Boxed: nearly always nothing.
    drain: Option<Box<Drain>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Ahead {
    /// Ascending, each with whether it was acknowledged.
    rows: Vec<(i64, bool)>,
    /// No row behind this one was given in order.
    in_order: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Drain {
    /// Rows to be given by name, before the pages.
    named: Vec<i64>,
    /// Whether the pages behind `handed` follow.
    pages: bool,
}

/// When a session gets a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handing {
    /// At once. `in_order`: its acknowledgement covers every row before it.
    Now {
        /// See the variant.
        in_order: bool,
    },
    /// From the mailbox.
    Later,
}

/// What a session that is being drained gets next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// These rows.
    Named(Vec<i64>),
    /// A page of the rows behind this one.
    Page(i64),
}

impl Position {
    /// The position of a device that has acknowledged everything up to `cursor`.
    #[must_use]
    pub fn at(cursor: i64) -> Self {
        Position {
            handed: cursor,
            cursor,
            ..Position::default()
        }
    }

    /// The row up to which the client has acknowledged.
    #[must_use]
    pub fn cursor(&self) -> i64 {
        self.cursor
    }

    /// The row up to which nothing is left to give.
    #[must_use]
    pub fn handed(&self) -> i64 {
        self.handed
    }

    /// Rows that are to be given by name.
    #[must_use]
    pub fn named(&self) -> &[i64] {
        self.drain.as_ref().map_or(&[], |drain| &drain.named)
    }

    /// Whether a row is to be given from the mailbox.
    #[must_use]
    pub fn awaits(&self, row: i64) -> bool {
        let drain = self.drain.as_deref();
        drain.is_some_and(|drain| drain.named.contains(&row) || (drain.pages && row > self.handed))
    }

    /// Whether rows are being given from the mailbox.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.drain.is_some()
    }

    /// A row is for the session. `is_gapless`: whether it has been given everything before it, or
    /// takes whatever comes for the account.
    pub fn hand(&mut self, row: i64, is_gapless: bool) -> Handing {
        if let Some(drain) = &mut self.drain {
            // The pages will come to it.
            if !(drain.pages && row > self.handed) && name(&mut drain.named, row) && is_gapless {
                // By name it comes in order.
                self.note_in_order();
                self.handed = self.handed.max(row);
            }
            return Handing::Later;
        }
        let in_order = is_gapless && row > self.handed;
        if in_order {
            self.gave(row);
        } else {
            self.remember(row);
        }
        Handing::Now { in_order }
    }

    /// Begins to give what waits: rows by name, and the pages if `pages` says so. A row that the
    /// pages will come to is left to them: by name it would come before older ones.
    pub fn begin(&mut self, named: impl IntoIterator<Item = i64>, pages: bool) {
        let mut drain = self.drain.take().unwrap_or_default();
        drain.pages |= pages;
        for row in named {
            if drain.pages && row > self.handed {
                self.keep_ahead(|ahead| ahead != row);
            } else {
                name(&mut drain.named, row);
            }
        }
        drain.named.sort_unstable();
        if drain.pages || !drain.named.is_empty() {
            self.drain = Some(drain);
        }
    }

    /// The session takes no more of what comes for the account: what is its own by name stays.
    pub fn pause(&mut self) {
        if let Some(drain) = &mut self.drain {
            drain.pages = false;
        }
        self.drain.take_if(|drain| drain.named.is_empty());
    }

    /// What is to be given next; `None`: nothing is.
    #[must_use]
    pub fn next(&self) -> Option<Next> {
        let drain = self.drain.as_ref()?;
        if !drain.named.is_empty() {
            let named = drain.named.iter().take(NAMED);
            return Some(Next::Named(named.copied().collect()));
        }
        Some(Next::Page(self.handed))
    }

    /// These rows were given by name, as far as they are still there.
    pub fn gave_named(&mut self, rows: &[i64]) {
        for row in rows {
            self.remember(*row);
        }
        if let Some(drain) = &mut self.drain {
            drain.named.retain(|named| !rows.contains(named));
        }
        self.drain
            .take_if(|drain| drain.named.is_empty() && !drain.pages);
    }

    /// The pages have come to a row. True: it is to be given now, for it was not before.
    pub fn reached(&mut self, row: i64) -> bool {
        let ahead = self.ahead.as_ref();
        let is_new = ahead.is_none_or(|ahead| ahead.place(row).is_err());
        if is_new {
            self.gave(row);
        }
        self.handed = self.handed.max(row);
        is_new
    }

    /// The pages have come to their end; `newest` is the newest row of the mailbox. What was given
    /// and acknowledged before the pages came to it may move the cursor now.
    pub fn finish(&mut self, newest: i64) {
        self.handed = self.handed.max(newest);
        if let Some(drain) = &mut self.drain {
            drain.pages = false;
        }
        self.drain.take_if(|drain| drain.named.is_empty());
        self.catch_up();
    }

    /// Rows that were given are lost: they may come again.
    pub fn forget(&mut self, rows: &[i64]) {
        self.keep_ahead(|row| !rows.contains(&row));
    }

    /// The session has a row already, which became one only now.
    pub fn note(&mut self, row: i64) {
        self.remember(row);
    }

    /// The client has acknowledged a row that it was given in order.
    pub fn acknowledged(&mut self, row: i64) {
        self.move_to(row);
        self.catch_up();
    }

    /// The client has acknowledged a row that it was given out of order.
    pub fn took(&mut self, row: i64) {
        if let Some(ahead) = self.ahead.as_deref_mut()
            && let Ok(place) = ahead.place(row)
        {
            ahead.rows[place].1 = true;
            self.catch_up();
        }
    }

    fn move_to(&mut self, row: i64) {
        self.cursor = self.cursor.max(row);
        self.handed = self.handed.max(self.cursor);
        let cursor = self.cursor;
        self.keep_ahead(|row| row > cursor);
    }

    /// A row was given in order.
    fn gave(&mut self, row: i64) {
        self.handed = self.handed.max(row);
        if let Some(ahead) = self.ahead.as_deref_mut() {
            ahead.in_order = ahead.in_order.max(row);
        }
    }

    /// Where all that was given is acknowledged, in order or not, the cursor is where the giving is.
    fn catch_up(&mut self) {
        let Some(ahead) = self.ahead.as_deref() else {
            return;
        };
        let mut given = ahead.rows.iter().take_while(|(row, _)| *row <= self.handed);
        let has_named = !self.named().is_empty();
        if !has_named && self.cursor >= ahead.in_order && given.all(|(_, is_taken)| *is_taken) {
            self.move_to(self.handed);
        }
    }

    /// The connection broke: what was given and not acknowledged is to be given again. `lost` are
    /// rows that were to come out of order. Until a connection is back nothing is given at once.
    pub fn rewind(&mut self, lost: impl IntoIterator<Item = i64>, takes: bool) {
        self.handed = self.cursor;
        if let Some(ahead) = self.ahead.as_deref_mut() {
            ahead.in_order = self.cursor;
        }
        self.begin(lost, takes);
        self.drain.get_or_insert_default();
    }

    fn remember(&mut self, row: i64) {
        if row <= self.cursor {
            return;
        }
        let ahead = self.note_in_order();
        if let Err(at) = ahead.place(row) {
            ahead.rows.insert(at, (row, false));
            if ahead.rows.len() > MAX_AHEAD {
                // It is not known any more whether it was acknowledged.
                let (forgotten, _) = ahead.rows.remove(0);
                ahead.in_order = ahead.in_order.max(forgotten);
            }
        }
    }

    /// From here on it is known what was given in order.
    fn note_in_order(&mut self) -> &mut Ahead {
        let in_order = self.handed;
        self.ahead.get_or_insert_with(|| {
            Box::new(Ahead {
                rows: Vec::new(),
                in_order,
            })
        })
    }

    fn keep_ahead(&mut self, mut keep: impl FnMut(i64) -> bool) {
        if let Some(ahead) = self.ahead.as_deref_mut() {
            ahead.rows.retain(|(row, _)| keep(*row));
        }
        if self.named().is_empty() {
            self.ahead.take_if(|ahead| ahead.rows.is_empty());
        }
    }
}

impl Ahead {
    fn place(&self, row: i64) -> Result<usize, usize> {
        self.rows.binary_search_by_key(&row, |(row, _)| *row)
    }
}

/// Adds a row to those that are given by name; beyond the bound it is left to the next login. True: it
/// is among them.
fn name(named: &mut Vec<i64>, row: i64) -> bool {
    if named.contains(&row) {
        return true;
    }
    let has_room = named.len() < MAX_AHEAD;
    if has_room {
        named.push(row);
    }
    has_room
}

#[cfg(test)]
mod tests;
