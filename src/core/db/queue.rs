//! A queue between the tasks that ask and the threads that work: first in, first out, bounded in
//! number and in bytes. At a bound, and once it is closed, it gives the item back with the reason.

use std::collections::VecDeque;

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::DbError;

/// What an item counts towards the bounds.
pub(super) trait Weigh {
    /// Statements in it.
    fn statements(&self) -> usize;
    /// Bytes it holds.
    fn bytes(&self) -> usize;
}

pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    ready: Condvar,
    max_statements: usize,
    max_bytes: usize,
}

struct State<T> {
    items: VecDeque<T>,
    statements: usize,
    bytes: usize,
    idle_workers: usize,
    closed: Option<DbError>,
}

impl<T: Weigh> Queue<T> {
    pub(super) fn new(max_statements: usize, max_bytes: usize) -> Self {
        let state = State {
            items: VecDeque::new(),
            statements: 0,
            bytes: 0,
            idle_workers: 0,
            closed: None,
        };
        Queue {
            state: Mutex::new(state),
            ready: Condvar::new(),
            max_statements,
            max_bytes,
        }
    }

    /// Puts `item` at the end. An item is taken whenever the bound is not yet reached, however
    /// large it is itself.
    pub(super) fn push(&self, item: T) -> Result<(), (T, DbError)> {
        let mut state = self.state.lock();
        if let Some(reason) = &state.closed {
            let reason = reason.clone();
            return Err((item, reason));
        }
        if state.statements >= self.max_statements || state.bytes >= self.max_bytes {
            return Err((item, DbError::Busy));
        }
        state.statements += item.statements();
        state.bytes += item.bytes();
        state.items.push_back(item);
        let wake = state.idle_workers > 0;
        drop(state);
        if wake {
            self.ready.notify_one();
        }
        Ok(())
    }

    /// Waits for work. `false`: the queue is closed and empty.
    pub(super) fn wait(&self) -> bool {
        self.filled().is_some()
    }

    fn filled(&self) -> Option<MutexGuard<'_, State<T>>> {
        let mut state = self.state.lock();
        while state.items.is_empty() {
            if state.closed.is_some() {
                return None;
            }
            state.idle_workers += 1;
            self.ready.wait(&mut state);
            state.idle_workers -= 1;
        }
        Some(state)
    }

    /// Waits for work and moves it to `into`: at least one item, and more while they stay under
    /// both limits. `false`: the queue is closed and empty.
    pub(super) fn take(&self, into: &mut Vec<T>, statements: usize, bytes: usize) -> bool {
        let Some(mut state) = self.filled() else {
            return false;
        };
        let (mut taken_statements, mut taken_bytes) = (0, 0);
        let State {
            items,
            statements: left,
            bytes: left_bytes,
            ..
        } = &mut *state;
        while let Some(item) = items.front() {
            taken_statements += item.statements();
            taken_bytes += item.bytes();
            if !into.is_empty() && (taken_statements > statements || taken_bytes > bytes) {
                break;
            }
            *left -= item.statements();
            *left_bytes -= item.bytes();
            into.extend(items.pop_front());
        }
        true
    }

    /// Takes no further items, for this reason; those inside are still worked on.
    pub(super) fn close(&self, reason: DbError) {
        self.state.lock().closed.get_or_insert(reason);
        self.ready.notify_all();
    }

    /// Statements that wait.
    pub(super) fn len(&self) -> usize {
        self.state.lock().statements
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Item(usize);

    impl Weigh for Item {
        fn statements(&self) -> usize {
            1
        }
        fn bytes(&self) -> usize {
            self.0
        }
    }

    #[test]
    fn it_refuses_at_either_bound() {
        let queue = Queue::new(2, 100);
        assert!(queue.push(Item(1)).is_ok());
        assert!(queue.push(Item(1)).is_ok());
        assert_eq!(queue.push(Item(1)), Err((Item(1), DbError::Busy)));
        let queue = Queue::new(10, 100);
        assert!(
            queue.push(Item(150)).is_ok(),
            "a large item passes an empty queue"
        );
        assert_eq!(queue.push(Item(1)), Err((Item(1), DbError::Busy)));
    }

    #[test]
    fn it_hands_out_in_order_up_to_the_limits() {
        let queue = Queue::new(100, 1000);
        for bytes in [10, 20, 30, 40] {
            queue.push(Item(bytes)).unwrap();
        }
        let mut taken = Vec::new();
        assert!(queue.take(&mut taken, 2, 1000));
        assert_eq!(taken, [Item(10), Item(20)]);
        taken.clear();
        assert!(queue.take(&mut taken, 100, 30));
        assert_eq!(taken, [Item(30)]);
        taken.clear();
        assert!(queue.take(&mut taken, 100, 5), "one item always goes");
        assert_eq!((taken.as_slice(), queue.len()), (&[Item(40)][..], 0));
    }

    #[test]
    fn closing_keeps_what_is_inside() {
        let queue = Queue::new(10, 1000);
        queue.push(Item(1)).unwrap();
        queue.close(DbError::Closed);
        assert_eq!(queue.push(Item(2)), Err((Item(2), DbError::Closed)));
        let mut taken = Vec::new();
        assert!(queue.take(&mut taken, 10, 1000));
        assert!(!queue.take(&mut taken, 10, 1000));
    }
}
