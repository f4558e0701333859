//! aws-lc is C and asks the C library for memory. Here it is made to ask Rust's allocator, so that
//! the keys of a TLS session are counted as well. In the server they lie in the C library's heap.

// Functions that C calls, and memory whose length stands in front of it.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc, dealloc, realloc};
use std::ffi::{c_char, c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// In front of each block stands its length, as aws-lc does it itself.
const PREFIX: usize = size_of::<usize>();

static WAS_ASKED: AtomicBool = AtomicBool::new(false);

/// Must run before anything uses aws-lc.
pub fn count() {
    // SAFETY: the functions keep what `malloc`, `realloc` and `free` promise.
    let taken =
        unsafe { aws_lc_sys::CRYPTO_set_mem_functions(Some(get), Some(resize), Some(give)) };
    assert_eq!(taken, 1, "aws-lc does not take another allocator");
}

/// Whether aws-lc asked for memory here. If not, rustls uses another version of it.
pub fn was_asked() -> bool {
    WAS_ASKED.load(Relaxed)
}

fn layout(size: usize) -> Option<Layout> {
    Layout::from_size_align(size.checked_add(PREFIX)?, PREFIX).ok()
}

/// # Safety
///
/// `block` is null or has room for the prefix and is aligned for it.
unsafe fn with_prefix(block: *mut u8, size: usize) -> *mut c_void {
    if block.is_null() {
        return ptr::null_mut();
    }
    unsafe {
        block.cast::<usize>().write(size);
        block.add(PREFIX).cast()
    }
}

/// # Safety
///
/// `pointer` came from [`with_prefix`].
unsafe fn without_prefix(pointer: *mut c_void) -> (*mut u8, Layout) {
    unsafe {
        let block = pointer.cast::<u8>().sub(PREFIX);
        let size = block.cast::<usize>().read() + PREFIX;
        (block, Layout::from_size_align_unchecked(size, PREFIX))
    }
}

unsafe extern "C" fn get(size: usize, _: *const c_char, _: c_int) -> *mut c_void {
    WAS_ASKED.store(true, Relaxed);
    match layout(size) {
        // SAFETY: no layout here is of size 0, for the prefix is in it.
        Some(layout) => unsafe { with_prefix(alloc(layout), size) },
        None => ptr::null_mut(),
    }
}

unsafe extern "C" fn resize(
    pointer: *mut c_void,
    size: usize,
    file: *const c_char,
    line: c_int,
) -> *mut c_void {
    if pointer.is_null() {
        // SAFETY: `realloc` of nothing is `malloc`.
        return unsafe { get(size, file, line) };
    }
    let Some(resized) = layout(size) else {
        return ptr::null_mut();
    };
    // SAFETY: aws-lc resizes what it was given by `get` or here.
    unsafe {
        let (block, layout) = without_prefix(pointer);
        with_prefix(realloc(block, layout, resized.size()), size)
    }
}

unsafe extern "C" fn give(pointer: *mut c_void, _: *const c_char, _: c_int) {
    if !pointer.is_null() {
        // SAFETY: aws-lc frees what it was given by `get` or `resize`.
        unsafe {
            let (block, layout) = without_prefix(pointer);
            dealloc(block, layout);
        }
    }
}
