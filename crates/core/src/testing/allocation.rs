//! A global allocator that knows the peak, for tests which bound what hostile input may cost.
//!
//! `unsafe` is needed to implement [`GlobalAlloc`]; every call is handed to the system's allocator unchanged.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static CURRENT: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// Counts, per thread, the bytes that are allocated at a time. Install it with `#[global_allocator]`.
#[derive(Debug)]
pub struct PeakAllocator;

impl PeakAllocator {
    /// Runs `work` and returns how many bytes this thread held at most, above what it held before.
    pub fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
        let before = CURRENT.get();
        PEAK.set(before);
        let result = work();
        (result, usize::try_from(PEAK.get() - before).unwrap_or_default())
    }

    fn count(change: isize) {
        // A thread that ends may free after its counters are gone.
        let _ = CURRENT.try_with(|current| {
            current.set(current.get() + change);
            let _ = PEAK.try_with(|peak| peak.set(peak.get().max(current.get())));
        });
    }
}

// SAFETY: every method passes its arguments to `System` and returns what it returns; counting allocates nothing.
unsafe impl GlobalAlloc for PeakAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count(layout.size().cast_signed());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        Self::count(-layout.size().cast_signed());
        // SAFETY: the caller keeps the contract of `dealloc`, and the pointer came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Old and new may exist at the same time.
        Self::count(size.cast_signed());
        // SAFETY: the caller keeps the contract of `realloc`, and the pointer came from `System`.
        let moved = unsafe { System.realloc(pointer, layout, size) };
        Self::count(-layout.size().cast_signed());
        moved
    }
}
