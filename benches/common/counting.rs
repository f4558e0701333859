//! An allocator that counts what passes through it and hands everything on to another.
//!
//! A program that measures sets it: `#[global_allocator] static A: Counting<System> = …`.

// A global allocator can only be written with `unsafe`.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

static BLOCKS: AtomicI64 = AtomicI64::new(0);
static BYTES: AtomicI64 = AtomicI64::new(0);

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static LEFT_OUT: Cell<bool> = const { Cell::new(false) };
}

/// See the [module](self).
pub struct Counting<A>(pub A);

/// What is allocated at a moment, by all threads that are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Live {
    /// Blocks.
    pub blocks: i64,
    /// Bytes, as they were asked for: without what the allocator rounds up.
    pub bytes: i64,
}

/// Allocations that this thread has made so far; a block that is resized counts again.
#[must_use]
pub fn allocations() -> u64 {
    ALLOCATIONS.get()
}

/// What is allocated now.
#[must_use]
pub fn live() -> Live {
    Live {
        blocks: BLOCKS.load(Relaxed),
        bytes: BYTES.load(Relaxed),
    }
}

/// From now on [`live`] knows nothing of what this thread allocates or frees. It must not free
/// what another thread allocated, nor the other way round.
pub fn leave_this_thread_out() {
    LEFT_OUT.set(true);
}

fn note(allocations: u64, blocks: i64, bytes: i64) {
    ALLOCATIONS.set(ALLOCATIONS.get() + allocations);
    if !LEFT_OUT.get() {
        BLOCKS.fetch_add(blocks, Relaxed);
        BYTES.fetch_add(bytes, Relaxed);
    }
}

/// No block is larger than `isize::MAX`.
fn signed(size: usize) -> i64 {
    size as i64
}

// SAFETY: every call goes to the other allocator as it came. Counting allocates nothing: atomics,
// and cells of the thread that need neither be made nor be destroyed.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Counting<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(1, 1, signed(layout.size()));
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(1, 1, signed(layout.size()));
        unsafe { self.0.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(0, -1, -signed(layout.size()));
        unsafe { self.0.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(1, 0, signed(size) - signed(layout.size()));
        unsafe { self.0.realloc(pointer, layout, size) }
    }
}
