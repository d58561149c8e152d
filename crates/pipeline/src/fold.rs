//! One split of the fragments into training and validation.

/// One fold: which fragments are held out, by their places in the recipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fold {
    /// The held-out fragments' names, joined by `+`; `validation` for the fold of all validation
    /// masks.
    pub name: String,
    /// Their places in `data.fragments`.
    pub held_out: Vec<usize>,
    /// Whether only their validation masks are held out, and what lies outside is trained on.
    pub by_masks: bool,
}

impl Fold {
    /// Whether the fragment at a place in `data.fragments` is trained on.
    pub fn trains_on(&self, index: usize) -> bool {
        self.by_masks || !self.holds_out(index)
    }

    /// Whether the fragment at a place in `data.fragments` is validated on.
    pub fn holds_out(&self, index: usize) -> bool {
        self.held_out.contains(&index)
    }
}
