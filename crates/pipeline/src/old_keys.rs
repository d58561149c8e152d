//! Settings under the names that they had before: read for one version, and said to be old.

use toml::{Table, Value};

/// The table, the key as it was, and as it is.
const RENAMED: [(&str, &str, &str); 1] = [("augment", "spoil", "noise_or_blur")];

/// Gives old keys their new names; where both are given, the old one stays, to be refused. `origin`
/// is the file or flag that `values` come from.
pub(crate) fn rename_old_keys(origin: &str, values: &mut Table) {
    for (table, old, new) in RENAMED {
        let Some(Value::Table(inner)) = values.get_mut(table) else {
            continue;
        };
        if !inner.contains_key(old) || inner.contains_key(new) {
            continue;
        }
        if let Some(value) = inner.remove(old) {
            tracing::warn!(
                "{origin}: {table}.{old} is now {table}.{new}; the old name is read for the last \
                 version. hint: rename it"
            );
            inner.insert(new.to_owned(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renamed(text: &str) -> String {
        let mut values: Table = toml::from_str(text).unwrap();
        rename_old_keys("a file", &mut values);
        toml::to_string(&values).unwrap()
    }

    #[test]
    fn old_names_are_read_as_new_ones() {
        assert_eq!(
            renamed("[augment]\nspoil = 0.3\n"),
            "[augment]\nnoise_or_blur = 0.3\n"
        );
        assert_eq!(
            renamed("[augment]\nrotate = 0.3\n"),
            "[augment]\nrotate = 0.3\n"
        );
        let both = renamed("[augment]\nnoise_or_blur = 0.1\nspoil = 0.3\n");
        assert!(both.contains("spoil"), "{both}");
    }
}
