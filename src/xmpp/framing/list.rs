//! A list whose first items need no heap.

/// Items that fit without a heap allocation: enough for what clients send.
const INLINE: usize = 16;

/// A list that starts inline and goes on in a `Vec`.
pub(super) struct List<T> {
    inline: [T; INLINE],
    len: usize,
    rest: Vec<T>,
}

impl<T: Copy + Default> List<T> {
    pub(super) fn new() -> Self {
        Self {
            inline: [T::default(); INLINE],
            len: 0,
            rest: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, index: usize) -> Option<T> {
        if index >= self.len {
            return None;
        }
        match self.inline.get(index) {
            Some(item) => Some(*item),
            None => self.rest.get(index - INLINE).copied(),
        }
    }

    pub(super) fn last(&self) -> Option<T> {
        self.get(self.len.checked_sub(1)?)
    }

    pub(super) fn push(&mut self, item: T) {
        match self.inline.get_mut(self.len) {
            Some(slot) => *slot = item,
            None => self.rest.push(item),
        }
        self.len += 1;
    }

    /// Replaces an item, if it is there.
    pub(super) fn set(&mut self, index: usize, item: T) {
        let slot = match index.checked_sub(INLINE) {
            None => self.inline.get_mut(index),
            Some(index) => self.rest.get_mut(index),
        };
        if let Some(slot) = slot {
            *slot = item;
        }
    }

    /// Keeps the first `len` items.
    pub(super) fn truncate(&mut self, len: usize) {
        if len < self.len {
            self.len = len;
            self.rest.truncate(len.saturating_sub(INLINE));
        }
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        let inline = &self.inline[..self.len.min(INLINE)];
        inline.iter().chain(&self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_list() {
        let mut list = List::new();
        assert_eq!(list.last(), None);
        for n in 0..40 {
            list.push(n);
        }
        assert!(list.iter().copied().eq(0..40));
        assert!(list.iter().rev().copied().eq((0..40).rev()));
        for len in (0..40).rev() {
            list.truncate(len);
            assert_eq!(list.len(), len);
            assert!(list.iter().copied().eq(0..len));
            assert_eq!(list.last(), len.checked_sub(1));
            assert_eq!(list.get(len), None);
        }
        for n in 0..20 {
            list.push(n);
        }
        list.set(0, 70);
        list.set(19, 71);
        list.set(20, 72);
        assert_eq!(
            (list.get(0), list.get(19), list.get(20)),
            (Some(70), Some(71), None)
        );
    }
}
