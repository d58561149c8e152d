use std::ops::Range;

use inkling_fragment::{Panic, catch_panic};

use crate::Error;

/// Calls `look` on all of `0..count`, at most `limit` at once, with that limit. Devices say by a panic that their
/// memory is full: then `limit` is halved, for good, and the rest is tried again.
///
/// # Errors
/// [`Error::Memory`] when not even one fits; [`Error::Fault`] for any other panic; those of `look`.
pub(crate) fn with_batch_backoff(
    count: usize,
    limit: &mut usize,
    mut look: impl FnMut(Range<usize>, usize) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut first = 0;
    while first < count {
        let end = count.min(first + *limit);
        match catch_panic(|| look(first..end, *limit)) {
            Ok(outcome) => {
                outcome?;
                first = end;
            }
            Err(panic) if !is_out_of_memory(&panic) => {
                let what = format!("a batch of {}", end - first);
                return Err(Error::Fault { what, panic });
            }
            Err(_) if *limit == 1 => return Err(Error::Memory),
            Err(_) => *limit /= 2,
        }
    }
    Ok(())
}

fn is_out_of_memory(panic: &Panic) -> bool {
    let text = panic.text().to_lowercase();
    [
        "out of memory",
        "outofmemory",
        "out_of_memory",
        "not enough memory",
    ]
    .iter()
    .any(|words| text.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_looked_at_once_in_pieces_that_fit() {
        let (mut seen, mut limit) = (Vec::new(), 16);
        with_batch_backoff(21, &mut limit, |range, size| {
            assert!(size <= 5, "CUDA error: Out of Memory");
            assert!(range.len() <= size);
            seen.push(range);
            Ok(())
        })
        .unwrap();
        assert_eq!(limit, 4);
        assert_eq!(seen.iter().map(Range::len).sum::<usize>(), 21);
        assert!(seen.windows(2).all(|pair| pair[0].end == pair[1].start));
    }

    #[test]
    fn one_that_does_not_fit_and_other_panics_are_errors() {
        let never = with_batch_backoff(3, &mut 2, |_, _| panic!("device out of memory"));
        assert!(matches!(never, Err(Error::Memory)));
        let other = with_batch_backoff(3, &mut 2, |_, _| panic!("a bug"));
        assert!(other.unwrap_err().to_string().contains("a bug"));
    }
}
