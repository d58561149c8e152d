use std::sync::{Arc, Mutex, PoisonError};

/// What passes need that no weight enters, such as a table of angles: made by the first pass, and kept for those
/// that ask with an equal key, which names the device and sizes. Copies of a network share it.
#[derive(Clone, Debug)]
pub struct Constant<K, T>(Arc<Mutex<Option<(K, T)>>>);

impl<K, T> Default for Constant<K, T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: PartialEq, T: Clone> Constant<K, T> {
    /// What is kept for `key`, or what `make` makes, in place of what was kept for another key.
    pub fn of(&self, key: K, make: impl FnOnce() -> T) -> T {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some((own, made)) if *own == key => made.clone(),
            _ => kept.insert((key, make())).1.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_is_kept_until_another_key_asks() {
        let constant = Constant::default();
        assert_eq!(constant.of("small", || 1), 1);
        assert_eq!(constant.clone().of("small", || 2), 1);
        assert_eq!(constant.of("large", || 3), 3);
        assert_eq!(constant.of("small", || 4), 4);
    }
}
