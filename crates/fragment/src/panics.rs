//! Panics as errors: of decoders of other people's, which may panic at damaged data, and of
//! workers.

use std::any::Any;
use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// What a panic said, and where in the program it arose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panic {
    text: String,
    /// File and line, where [`silence_panics`] is in force.
    place: Option<String>,
}

/// The last panics that the hook heard of, the latest at the end.
static LAST: Mutex<VecDeque<Panic>> = Mutex::new(VecDeque::new());

/// How many are kept: several threads may panic at once.
const KEPT: usize = 32;

/// Does `work`; a panic in it becomes an error. Whatever `work` was changing must not be used after
/// an error.
///
/// # Errors
/// What the panic said.
pub fn catch_panic<T>(work: impl FnOnce() -> T) -> Result<T, Panic> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| Panic::of(payload.as_ref()))
}

/// Keeps panics off stderr, for a program that catches all of them and says itself what happened.
/// They speak all the same where the environment's `RUST_BACKTRACE` asks for it, those of damaged
/// files' decoders excepted.
pub fn silence_panics() {
    let aloud = std::panic::take_hook();
    let asked = std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0");
    std::panic::set_hook(Box::new(move |info| {
        let panic = Panic {
            text: panic_text(info.payload()),
            place: info.location().map(ToString::to_string),
        };
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == KEPT {
            last.pop_front();
        }
        last.push_back(panic);
        drop(last);
        if asked && !panics_are_caught() {
            aloud(info);
        }
    }));
}

impl Panic {
    /// The panic that a caught `payload` tells of.
    pub fn of(payload: &(dyn Any + Send)) -> Self {
        let text = panic_text(payload);
        let last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        match last.iter().rfind(|panic| panic.text == text) {
            Some(last) => last.clone(),
            None => Self { text, place: None },
        }
    }

    /// One that says `text`.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { text, place: None }
    }

    /// Its words.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{} ({place})", self.text),
            None => f.write_str(&self.text),
        }
    }
}

impl std::error::Error for Panic {}

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
    catch_panic(decode).map_err(|panic| panic.text)
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
fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without words").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_with_its_words() {
        assert_eq!(catch_panic(|| 3), Ok(3));
        let empty: Vec<u8> = Vec::new();
        let panic = catch_panic(|| empty[4]).unwrap_err();
        assert!(panic.to_string().contains("index is 4"), "{panic}");
        let panic = catch_panic(|| panic!("torn")).unwrap_err();
        assert_eq!(panic.text(), "torn");
        let panic = catch_panic(|| std::panic::panic_any(7)).unwrap_err();
        assert_eq!(panic.text(), "a panic without words");
    }

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
