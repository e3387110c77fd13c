//! Memory for activations that is used again and again.
//!
//! A step asks for the same sizes as the one before it. Fresh memory would
//! have to be cleared and mapped page by page each time (10% of a step), so
//! a [`Buffer`] goes back to its [`Pool`] when it is dropped.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

/// Passes for which memory that nobody asks for is kept.
const KEPT_PASSES: u64 = 4;

/// Memory that waits for its next use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pool(Arc<Mutex<Free>>);

#[derive(Debug, Default)]
struct Free {
    /// Ascending by length, each with the pass that last used it.
    buffers: Vec<(Vec<f32>, u64)>,
    pass: u64,
}

impl Pool {
    /// `length` values, whatever they are.
    pub(crate) fn take(&self, length: usize) -> Buffer {
        let values = self.reuse(length).unwrap_or_else(|| room_for(length));
        Buffer {
            values,
            length,
            home: Home::Pool(self.clone()),
        }
    }

    /// `length` zeros.
    pub(crate) fn zeros(&self, length: usize) -> Buffer {
        let mut buffer = self.take(length);
        buffer.fill(0.0);
        buffer
    }

    /// Begins a pass: what was not used for some is given back to the system.
    pub(crate) fn next_pass(&self) {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        free.pass += 1;
        let oldest = free.pass.saturating_sub(KEPT_PASSES);
        free.buffers.retain(|&(_, used)| used >= oldest);
    }

    /// The smallest that is large enough and not much too large. Where there is
    /// none, the next smaller one makes room: batches that grow would otherwise
    /// leave behind what earlier ones used.
    fn reuse(&self, length: usize) -> Option<Vec<f32>> {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = free.buffers.partition_point(|(b, _)| b.len() < length);
        let fits = |(b, _): &(Vec<f32>, u64)| b.len() <= 2 * class(length);
        if free.buffers.get(at).is_some_and(fits) {
            return Some(free.buffers.remove(at).0);
        }
        if at > 0 && free.buffers[at - 1].0.len() >= length / 2 {
            free.buffers.remove(at - 1);
        }
        None
    }

    fn give_back(&self, values: Vec<f32>) {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pass = free.pass;
        let at = free
            .buffers
            .partition_point(|(b, _)| b.len() < values.len());
        free.buffers.insert(at, (values, pass));
    }
}

/// Zeros whose memory the system may map in large pages: fewer faults when it
/// is first written, fewer misses of the address cache ever after.
pub(crate) fn zeroed(length: usize) -> Vec<f32> {
    let values = vec![0.0; length];
    prefer_large_pages(&values);
    values
}

/// Zeros with room for a little more than `length`. What nobody asks for yet
/// isn't in a large page, or it would take memory from the first write on.
fn room_for(length: usize) -> Vec<f32> {
    let values = vec![0.0; class(length)];
    prefer_large_pages(&values[..length]);
    values
}

fn prefer_large_pages(values: &[f32]) {
    #[cfg(target_os = "linux")]
    if size_of_val(values) >= LARGE {
        advise_large_pages(values);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = values;
}

/// Bytes of a large page, on the usual processors.
#[cfg(target_os = "linux")]
const LARGE: usize = 2 << 20;

#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "a system call on a range of memory")]
fn advise_large_pages(values: &[f32]) {
    let range = values.as_ptr_range();
    let start = range.start.addr().next_multiple_of(LARGE);
    let end = range.end.addr() / LARGE * LARGE;
    if start < end {
        let at = values
            .as_ptr()
            .cast::<u8>()
            .wrapping_add(start - range.start.addr());
        // SAFETY: the range lies in `values`; the advice changes no content. A
        // system that can't follow it is no worse off.
        unsafe { libc::madvise(at.cast_mut().cast(), end - start, libc::MADV_HUGEPAGE) };
    }
}

/// Room that is made for so many values: batches of nearly equal size can use
/// the same memory, and at most an eighth of it is too much.
fn class(length: usize) -> usize {
    let step = 1 << (length / 8).max(64).ilog2();
    length.next_multiple_of(step)
}

/// Values in memory that is used again.
#[derive(Debug)]
pub(crate) struct Buffer {
    values: Vec<f32>,
    length: usize,
    home: Home,
}

/// Where memory goes back to.
#[derive(Debug)]
enum Home {
    /// To the system.
    None,
    Pool(Pool),
    /// To the thread that drops it.
    Thread,
}

thread_local! {
    /// Memory of this thread's tasks, the last used at the end: it is still in
    /// the caches of this thread's core.
    static SCRATCH: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Buffers that a thread keeps for its tasks.
const SCRATCH_BUFFERS: usize = 8;

/// `length` values, whatever they are, for use within one task.
pub(crate) fn scratch(length: usize) -> Buffer {
    let reused = SCRATCH.with_borrow_mut(|free| {
        let fits = |values: &Vec<f32>| (length..=2 * class(length)).contains(&values.len());
        free.iter().rposition(fits).map(|at| free.remove(at))
    });
    Buffer {
        values: reused.unwrap_or_else(|| room_for(length)),
        length,
        home: Home::Thread,
    }
}

impl Buffer {
    /// Values that no pool waits for.
    pub(crate) fn alone(values: Vec<f32>) -> Self {
        Buffer {
            length: values.len(),
            values,
            home: Home::None,
        }
    }

    /// Forgets all but the first values.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[..self.length]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[..self.length]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let values = std::mem::take(&mut self.values);
        match &self.home {
            Home::None => {}
            Home::Pool(pool) => pool.give_back(values),
            Home::Thread => {
                // A thread that ends has nowhere to put it.
                let _ = SCRATCH.try_with(|free| {
                    let mut free = free.borrow_mut();
                    if free.len() == SCRATCH_BUFFERS {
                        free.remove(0);
                    }
                    free.push(values);
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_and_given_back_when_nobody_wants_it() {
        let pool = Pool::default();
        let first = pool.take(1_000);
        let at = first.as_ptr();
        assert_eq!(first.len(), 1_000);
        drop(first);
        let again = pool.take(990);
        assert_eq!((again.as_ptr(), again.len()), (at, 990));
        let other = pool.take(1_000);
        assert_ne!(other.as_ptr(), at, "in use");
        drop((again, other));
        // Far too large is not taken.
        assert_ne!(pool.take(10).as_ptr(), at);
        // A larger one takes the place of the next smaller one.
        assert_eq!(pool.0.lock().expect("no panic").buffers.len(), 3);
        drop(pool.take(1_100));
        assert_eq!(pool.0.lock().expect("no panic").buffers.len(), 3);
        for _ in 0..=KEPT_PASSES {
            pool.next_pass();
        }
        assert!(pool.reuse(1_000).is_none());
    }

    #[test]
    fn a_task_gets_the_memory_that_its_thread_used_last() {
        let (first, second) = (scratch(500), scratch(500));
        let at = first.as_ptr();
        drop((second, first));
        assert_eq!(scratch(490).as_ptr(), at);
        for _ in 0..3 * SCRATCH_BUFFERS {
            drop((scratch(100), scratch(1_000_000)));
        }
        SCRATCH.with_borrow(|free| assert!(free.len() <= SCRATCH_BUFFERS));
    }

    #[test]
    fn room_is_at_most_an_eighth_too_large() {
        for length in [1usize, 100, 1_000, 12_345, 7_000_000] {
            let class = class(length);
            assert!(
                class >= length && class <= length + (length / 8).max(64),
                "{length}: {class}"
            );
        }
    }
}
