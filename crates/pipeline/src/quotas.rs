//! How often each training fragment is drawn, as `train.quotas` says.

use crate::{Recipe, Usage};

/// The shares of the samples of the training fragments `names`, which are among `all` of the recipe, of so
/// much `papyrus` each; none without quotas. A scroll's share is divided among its fragments by their papyrus.
///
/// # Errors
/// [`Usage`] for a fragment without a share, with two, or a name that is neither a fragment's nor a scroll's.
pub fn quota_shares(
    recipe: &Recipe,
    all: &[&str],
    names: &[&str],
    papyrus: &[usize],
) -> Result<Option<Vec<f64>>, Usage> {
    let quotas = &recipe.train.quotas;
    if quotas.is_empty() {
        return Ok(None);
    }
    let mut shares = vec![None; names.len()];
    for (quota, &share) in quotas {
        let scroll = recipe.data.scrolls.get(quota);
        let is_meant = |name: &str| match scroll {
            Some(ids) => ids.iter().any(|id| id == name),
            None => quota == name,
        };
        let meant: Vec<usize> = (0..names.len()).filter(|&at| is_meant(names[at])).collect();
        // A fold may hold a scroll out as a whole.
        if meant.is_empty() && scroll.is_none() && !all.contains(&quota.as_str()) {
            return Err(Usage(format!(
                "train.quotas: found {quota}; expected names of data.fragments or of [data.scrolls]. hint: \
                 correct the name"
            )));
        }
        let whole: usize = meant.iter().map(|&at| papyrus[at]).sum();
        for at in meant {
            let part = share * papyrus[at] as f64 / whole.max(1) as f64;
            if shares[at].replace(part).is_some() {
                return Err(Usage(format!(
                    "train.quotas: found two shares for {}; expected one, its own or its scroll's. hint: leave \
                     one out",
                    names[at]
                )));
            }
        }
    }
    let each = shares.iter().zip(names).map(|(share, name)| {
        share.ok_or_else(|| {
            Usage(format!(
                "train.quotas: found no share for {name}; expected one for each fragment that is trained on, or \
                 for its scroll. hint: add {name} = 0.1, or leave train.quotas out"
            ))
        })
    });
    each.collect::<Result<_, _>>().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(quotas: &[(&str, f64)]) -> Recipe {
        let mut recipe = Recipe::default();
        let scroll = vec!["b".to_owned(), "c".to_owned()];
        recipe.data.scrolls.insert("1667".to_owned(), scroll);
        let quotas = quotas.iter().map(|&(name, share)| (name.to_owned(), share));
        recipe.train.quotas = quotas.collect();
        recipe
    }

    #[test]
    fn a_scrolls_share_goes_by_papyrus() {
        let all = ["a", "b", "c", "d"];
        let shares =
            |quotas: &[(&str, f64)]| quota_shares(&recipe(quotas), &all, &all[..3], &[50, 30, 10]);
        assert_eq!(shares(&[]).unwrap(), None);
        let found = shares(&[("1667", 0.8), ("a", 0.2)]).unwrap().unwrap();
        for (found, expected) in found.iter().zip([0.2, 0.6, 0.2]) {
            assert!((found - expected).abs() < 1e-12);
        }
        // What is held out needs no share, and may have one.
        assert!(shares(&[("1667", 0.8), ("a", 0.2), ("d", 0.5)]).is_ok());
        let wrong = |quotas: &[(&str, f64)]| shares(quotas).unwrap_err().to_string();
        assert!(wrong(&[("1667", 1.0)]).contains("no share for a"));
        assert!(wrong(&[("1667", 1.0), ("b", 1.0), ("a", 1.0)]).contains("two shares for b"));
        assert!(wrong(&[("1668", 1.0), ("a", 1.0)]).contains("found 1668"));
    }
}
