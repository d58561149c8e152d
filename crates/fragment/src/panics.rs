use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use crate::{panic_text, panics_are_caught};

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
}
