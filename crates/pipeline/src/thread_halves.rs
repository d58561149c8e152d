//! Two pieces of work at once, on half of the threads each.

/// Stack of a thread, in bytes: what a program's first thread has on Linux and macOS.
pub const THREAD_STACK: usize = 8 << 20;

/// Does both kinds of work, each on half of the current pool's threads where there are two or more,
/// else one after the other.
///
/// # Errors
/// What a panic in either said.
pub fn in_two_halves<A: Send, B: Send>(
    first: impl FnOnce() -> A + Send,
    second: impl FnOnce() -> B + Send,
) -> anyhow::Result<(A, B)> {
    let threads = rayon::current_num_threads();
    if threads == 1 {
        return Ok((first(), second()));
    }
    let half = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().stack_size(THREAD_STACK);
        pool.num_threads(threads).build()
    };
    let (one, other) = (half(threads - threads / 2)?, half(threads / 2)?);
    let (first, second) = std::thread::scope(|scope| {
        let second = scope.spawn(|| other.install(second));
        (one.install(first), second.join())
    });
    let second = second.map_err(|panic| inkling_fragment::Panic::of(panic.as_ref()))?;
    Ok((first, second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_halves_share_the_threads() {
        for threads in 1..5 {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let count = rayon::current_num_threads;
            let (first, second) = pool
                .unwrap()
                .install(|| in_two_halves(count, count))
                .unwrap();
            let together = if threads == 1 { 2 } else { threads };
            assert_eq!(first + second, together);
        }
    }

    #[test]
    fn a_panic_in_a_half_is_an_error() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build();
        let halves = pool
            .unwrap()
            .install(|| in_two_halves(|| 1, || -> u8 { panic!("torn") }));
        assert!(halves.unwrap_err().to_string().starts_with("torn"));
    }
}
