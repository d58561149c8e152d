use half::f16;

/// The type of an array's voxels or pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ElementType {
    Bool,
    Unsigned(usize),
    Signed(usize),
    Float(usize),
}

impl ElementType {
    /// Bits of one element.
    pub fn bits(self) -> u8 {
        match self {
            Self::Bool => 8,
            Self::Unsigned(bytes) | Self::Signed(bytes) | Self::Float(bytes) => 8 * bytes as u8,
        }
    }

    /// By Zarr 2's name, `<u2`, with whether the most significant byte comes first.
    pub fn of_version_2(name: &str) -> Option<(Self, bool)> {
        let big = match name.get(..1)? {
            "<" | "|" => false,
            ">" => true,
            _ => return None,
        };
        let bytes: usize = name.get(2..)?.parse().ok()?;
        let kind = match (name.get(1..2)?, bytes) {
            ("b", 1) => Self::Bool,
            ("u", 1 | 2 | 4 | 8) => Self::Unsigned(bytes),
            ("i", 1 | 2 | 4 | 8) => Self::Signed(bytes),
            ("f", 2 | 4 | 8) => Self::Float(bytes),
            _ => return None,
        };
        Some((kind, big))
    }

    /// By Zarr 3's name, `uint16`.
    pub fn of_version_3(name: &str) -> Option<Self> {
        let kinds = [Self::Bool]
            .into_iter()
            .chain([1, 2, 4, 8].map(Self::Unsigned))
            .chain([1, 2, 4, 8].map(Self::Signed))
            .chain([2, 4, 8].map(Self::Float));
        kinds.into_iter().find(|kind| kind.to_string() == name)
    }

    /// Bytes of an element.
    pub fn width(self) -> usize {
        match self {
            Self::Bool => 1,
            Self::Unsigned(bytes) | Self::Signed(bytes) | Self::Float(bytes) => bytes,
        }
    }
}

impl std::fmt::Display for ElementType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool => f.write_str("bool"),
            Self::Unsigned(bytes) => write!(f, "uint{}", 8 * bytes),
            Self::Signed(bytes) => write!(f, "int{}", 8 * bytes),
            Self::Float(bytes) => write!(f, "float{}", 8 * bytes),
        }
    }
}

/// What arrays are decoded to.
pub(crate) trait Element: Copy + Send + Sync + 'static {
    /// Bytes of an element.
    const WIDTH: usize;

    /// All elements of `bytes`, in which the most significant byte comes first where `big`.
    fn all(bytes: &[u8], big: bool) -> Vec<Self>;
}

macro_rules! elements {
    ($($kind:ty),*) => {$(
        impl Element for $kind {
            const WIDTH: usize = size_of::<$kind>();

            fn all(bytes: &[u8], big: bool) -> Vec<Self> {
                let (whole, _) = bytes.as_chunks::<{ size_of::<$kind>() }>();
                match big {
                    true => whole.iter().map(|&bytes| Self::from_be_bytes(bytes)).collect(),
                    false => whole.iter().map(|&bytes| Self::from_le_bytes(bytes)).collect(),
                }
            }
        }
    )*};
}

elements!(u8, u16, u32, u64, i8, i16, i32, i64, f16, f32, f64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_known_by_both_versions_names() {
        let unsigned = ElementType::Unsigned(2);
        assert_eq!(ElementType::of_version_2(">u2"), Some((unsigned, true)));
        assert_eq!(ElementType::of_version_3("uint16"), Some(unsigned));
        let boolean = ElementType::of_version_2("|b1");
        assert_eq!(boolean, Some((ElementType::Bool, false)));
        assert_eq!(ElementType::of_version_3("bool"), Some(ElementType::Bool));
        assert_eq!(ElementType::Float(4).to_string(), "float32");
        for odd in ["<U4", "<M8[ns]", "", "<u3", "é", "u2"] {
            assert_eq!(ElementType::of_version_2(odd), None, "{odd}");
        }
    }

    #[test]
    fn bytes_come_in_either_order() {
        assert_eq!(u16::all(&[1, 2, 3, 4], true), [0x0102, 0x0304]);
        assert_eq!(u16::all(&[1, 2, 3, 4], false), [0x0201, 0x0403]);
        assert_eq!(i8::all(&[255, 1], false), [-1, 1]);
        assert_eq!(f16::all(&[0x3C, 0x00], true), [f16::ONE]);
    }
}
