use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Error;

/// What a run is made of. A checkpoint carries it, so that a run goes on only with what it began
/// with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFingerprint {
    /// The settings that training depends on, as text, one value per line.
    pub settings: String,
    /// The program's version.
    pub version: String,
    /// Each fragment's part in the fold and its name, and a hash of its data.
    pub data: Vec<(String, String)>,
}

impl RunFingerprint {
    /// Compares a checkpoint's fingerprint, read from `path`, with this run's.
    ///
    /// # Errors
    /// [`Error::Run`] for other settings, and, unless `allow_changed_data`, for other data; each
    /// names the first difference.
    pub(crate) fn accept(
        &self,
        found: &Self,
        allow_changed_data: bool,
        path: &Path,
    ) -> Result<(), Error> {
        let refuse = |found: String, expected: String, hint: &str| {
            Err(Error::Run {
                path: path.to_owned(),
                found,
                expected,
                hint: hint.to_owned(),
            })
        };
        if self.settings != found.settings && !same_under_old_names(&self.settings, &found.settings)
        {
            let (old, new) = first_difference(&found.settings, &self.settings);
            return refuse(
                format!("a checkpoint of other settings ({old})"),
                format!("those given now ({new})"),
                "restore the settings, or give --out another folder for a new run",
            );
        }
        if self.data != found.data && !allow_changed_data {
            return refuse(
                format!(
                    "a checkpoint of other data ({})",
                    names(&found.data, &self.data)
                ),
                format!("the data given now ({})", names(&self.data, &found.data)),
                "restore the fragments, give --allow-changed-data to continue with these, or give \
                 --out another folder for a new run",
            );
        }
        Ok(())
    }
}

/// Whether `old` settings, of a checkpoint of the version before, are `new` under other names; a key
/// that was renamed stands in another line.
fn same_under_old_names(new: &str, old: &str) -> bool {
    if !old.contains("\nspoil = ") {
        return false;
    }
    let renamed = old.replace("\nspoil = ", "\nnoise_or_blur = ");
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    sorted(&renamed) == sorted(new)
}

/// The first lines that differ, the old and the new.
fn first_difference<'a>(old: &'a str, new: &'a str) -> (&'a str, &'a str) {
    let (mut olds, mut news) = (old.lines(), new.lines());
    loop {
        match (olds.next(), news.next()) {
            (Some(old), Some(new)) if old == new => {}
            (None, None) => return ("", ""),
            (old, new) => return (old.unwrap_or("no more"), new.unwrap_or("no more")),
        }
    }
}

/// The entries of `these` that `others` lacks.
fn names(these: &[(String, String)], others: &[(String, String)]) -> String {
    let odd = these.iter().filter(|entry| !others.contains(entry));
    let named: Vec<String> = odd
        .map(|(name, hash)| format!("{name} {}", hash.get(..8).unwrap_or(hash)))
        .collect();
    match named.is_empty() {
        true => "the same fragments in another order".to_owned(),
        false => named.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(rate: f64, hash: &str) -> RunFingerprint {
        RunFingerprint {
            settings: format!("epochs = 3\nlearning_rate = {rate}\nseed = 0"),
            version: "1".to_owned(),
            data: vec![("training 1".to_owned(), hash.to_owned())],
        }
    }

    #[test]
    fn a_checkpoint_with_an_old_name_is_accepted() {
        let of = |settings: &str| RunFingerprint {
            settings: settings.to_owned(),
            ..fingerprint(0.1, "aa")
        };
        let now = of("[augment]\nmotion_blur = 3\nnoise_or_blur = 0.4\ntilt = 0.0");
        let accept = |text: &str| now.accept(&of(text), false, Path::new("run"));
        accept("[augment]\nmotion_blur = 3\ntilt = 0.0\nspoil = 0.4").unwrap();
        accept("[augment]\nmotion_blur = 3\ntilt = 0.0\nspoil = 0.5").unwrap_err();
        accept("[augment]\nmotion_blur = 3\nspoil = 0.4").unwrap_err();
    }

    #[test]
    fn what_differs_is_named() {
        let now = fingerprint(0.1, "aa");
        let refusal = |found, allowed| {
            let outcome = now.accept(&found, allowed, Path::new("run"));
            outcome.map_err(|error| error.to_string())
        };
        assert_eq!(refusal(fingerprint(0.1, "aa"), false), Ok(()));
        assert_eq!(refusal(fingerprint(0.1, "bb"), true), Ok(()));
        let message = refusal(fingerprint(0.1, "bb"), false).unwrap_err();
        assert!(message.contains("training 1 bb"), "{message}");
        assert!(message.contains("--allow-changed-data"), "{message}");
        let message = refusal(fingerprint(0.2, "aa"), true).unwrap_err();
        assert!(message.contains("learning_rate = 0.2"), "{message}");
    }
}
