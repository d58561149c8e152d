//! Integers of any length as 16 bits.

/// `value` where 16 bits hold it: below 0 is 0, above 65535 is 65535.
pub(crate) fn cut_to_sixteen<T: TryInto<i64>>(value: T) -> u16 {
    // What is beyond an i64 is beyond 65535, too.
    value
        .try_into()
        .map_or(u16::MAX, |value| value.clamp(0, 65_535) as u16)
}
