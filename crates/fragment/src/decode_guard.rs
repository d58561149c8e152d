//! Calls into decoders of other people's, which may panic at damaged data.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Guarded calls under way in the whole process.
static GUARDS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Guarded calls under way on this thread, one within the other.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Runs a decoder that may panic at damaged data; a panic becomes its text.
///
/// Whether the panic is also printed is the panic hook's affair: a program whose hook asks
/// [`panics_are_caught`] first stays quiet, another one prints the panic as ever and goes on.
///
/// # Errors
/// The panic's text, for an error that names the file.
pub fn guard_decoder<T>(decode: impl FnOnce() -> T) -> Result<T, String> {
    let _entered = Entered::new();
    catch_unwind(AssertUnwindSafe(decode)).map_err(|panic| panic_text(&*panic))
}

/// Whether a panic on this thread, at this moment, ends in a [`guard_decoder`]: on a thread within
/// such a call, and on rayon's workers while any such call is under way, since a worker's panic
/// goes to the thread that waits for it. For panic hooks.
pub fn panics_are_caught() -> bool {
    let is_worker = || rayon::current_thread_index().is_some();
    DEPTH.get() > 0 || (GUARDS.load(Ordering::Relaxed) > 0 && is_worker())
}

/// Counts a guarded call for as long as it lives.
struct Entered;

impl Entered {
    fn new() -> Self {
        GUARDS.fetch_add(1, Ordering::Relaxed);
        DEPTH.set(DEPTH.get() + 1);
        Self
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        GUARDS.fetch_sub(1, Ordering::Relaxed);
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// What a panic said.
pub fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without words").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_text_and_the_guard_ends_with_the_call() {
        let decoded = guard_decoder(|| {
            assert!(panics_are_caught());
            // The inner guard's end must not end the outer one.
            assert_eq!(guard_decoder(|| 1), Ok(1));
            assert!(panics_are_caught());
            let palette: &[u8] = &[1, 2];
            palette[std::hint::black_box(2)]
        });
        let text = decoded.unwrap_err();
        assert!(text.contains("index out of bounds"), "{text}");
        assert_eq!(DEPTH.get(), 0);
    }

    #[test]
    fn a_workers_panic_is_caught_where_it_is_waited_for() {
        let decoded = guard_decoder(|| {
            rayon::join(
                || assert!(panics_are_caught(), "within the guard"),
                || std::panic::panic_any("shard".to_owned()),
            )
        });
        assert_eq!(decoded.unwrap_err(), "shard");
    }
}
