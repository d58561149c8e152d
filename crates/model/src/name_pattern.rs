use serde::{Deserialize, Serialize};

/// A pattern of names: `*` stands for any run of characters, dots included, `?` for one; the rest
/// for itself. `encoder.*` is the whole encoder, `*.norm?.weight` the numbered norms' weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct NamePattern(String);

impl NamePattern {
    /// A pattern as people write it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole of `name` is of this pattern.
    pub fn matches(&self, name: &str) -> bool {
        let (pattern, name) = (self.0.as_bytes(), name.as_bytes());
        let (mut p, mut n) = (0, 0);
        // The last star and the first byte that it does not swallow yet.
        let mut star: Option<(usize, usize)> = None;
        while n < name.len() {
            match pattern.get(p) {
                Some(b'*') => {
                    star = Some((p, n));
                    p += 1;
                }
                Some(&byte) if byte == b'?' || byte == name[n] => (p, n) = (p + 1, n + 1),
                _ => {
                    let Some((at, swallowed)) = star else {
                        return false;
                    };
                    star = Some((at, swallowed + 1));
                    (p, n) = (at + 1, swallowed + 1);
                }
            }
        }
        pattern[p..].iter().all(|&byte| byte == b'*')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_stand_for_other_characters() {
        let cases = [
            ("encoder.*", "encoder.stages_0.blocks.1.norm.weight", true),
            ("encoder.*", "decoder.blocks.0.conv1.0.weight", false),
            ("encoder.stages_?.*", "encoder.stages_3.x", true),
            ("encoder.stages_?.*", "encoder.stages_10.x", false),
            ("*.norm*.weight", "encoder.a.norm1.weight", true),
            ("*.norm*.weight", "encoder.a.norm1.bias", false),
            ("*a*b*c", "xxaxbxbxxc", true),
            ("*a*b*c", "xxaxbxbxx", false),
            ("", "", true),
            ("", "a", false),
            ("*", "anything", true),
            ("head.0.bias", "head.0.bias", true),
            ("head.0.bias", "head.0.biases", false),
        ];
        for (pattern, name, expected) in cases {
            let found = NamePattern::new(pattern).matches(name);
            assert_eq!(found, expected, "{pattern} {name}");
        }
    }
}
