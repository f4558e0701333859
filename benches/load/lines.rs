//! What is to be sent, by connection. Everything that one event causes on a connection leaves in
//! one write.

use std::mem;

/// The outgoing side of all connections, numbered like them.
#[derive(Default)]
pub(crate) struct Lines {
    lines: Vec<Line>,
    waiting: Vec<usize>,
}

#[derive(Default)]
struct Line {
    out: Vec<u8>,
    waiting: bool,
    /// Stanzas sent, as XEP-0198 counts them.
    stanzas: u32,
}

impl Lines {
    /// Makes room for this many connections.
    pub(crate) fn resize(&mut self, count: usize) {
        self.lines.resize_with(count, Line::default);
    }

    /// Forgets what a connection was to send: a new one takes its number.
    pub(crate) fn reset(&mut self, who: usize) {
        self.lines[who].out.clear();
        self.lines[who].stanzas = 0;
    }

    /// Sends bytes that are not a stanza.
    pub(crate) fn raw(&mut self, who: usize, bytes: &[u8]) {
        self.buffer(who).extend_from_slice(bytes);
    }

    /// Sends one stanza.
    pub(crate) fn stanza(&mut self, who: usize, bytes: &[u8]) {
        self.lines[who].stanzas = self.lines[who].stanzas.wrapping_add(1);
        self.raw(who, bytes);
    }

    /// Stanzas sent since stream management was enabled: the `h` that acknowledges them all.
    pub(crate) fn stanzas(&self, who: usize) -> u32 {
        self.lines[who].stanzas
    }

    /// Where to write what is to be sent.
    pub(crate) fn buffer(&mut self, who: usize) -> &mut Vec<u8> {
        let line = &mut self.lines[who];
        if !mem::replace(&mut line.waiting, true) {
            self.waiting.push(who);
        }
        &mut line.out
    }

    /// The next connection with something to send.
    pub(crate) fn take(&mut self) -> Option<(usize, Vec<u8>)> {
        let who = self.waiting.pop()?;
        let line = &mut self.lines[who];
        line.waiting = false;
        Some((who, mem::take(&mut line.out)))
    }

    /// Gives the buffer of [`Lines::take`] back.
    pub(crate) fn give_back(&mut self, who: usize, buffer: Vec<u8>) {
        self.lines[who].out = buffer;
    }
}
