//! The image file directory at the end of a TIFF: classic below four gigabytes, BigTIFF above.

/// A field's values.
pub(crate) enum Values {
    Short(u16),
    Long(u32),
    /// Text, which gets its zero at the end.
    Text(String),
    /// A fraction.
    Rational(u32, u32),
    /// Places and lengths in the file.
    Offsets(Vec<u64>),
}

/// Whether a file of `bytes` needs BigTIFF; some room is left for the directory.
pub(crate) fn is_big(bytes: u64) -> bool {
    bytes + (16 << 20) > u64::from(u32::MAX)
}

/// The bytes at a file's beginning, little-endian; the directory's place is filled in at the end.
pub(crate) fn header(big: bool) -> &'static [u8] {
    match big {
        true => b"II\x2b\x00\x08\x00\x00\x00\0\0\0\0\0\0\0\0",
        false => b"II\x2a\x00\0\0\0\0",
    }
}

/// Where in the header the directory's place goes, and as which bytes.
pub(crate) fn pointer(place: u64, big: bool) -> (u64, Vec<u8>) {
    match big {
        true => (8, place.to_le_bytes().to_vec()),
        false => (4, (place as u32).to_le_bytes().to_vec()),
    }
}

/// The directory of `fields` (tag and values, tags rising) at `place`, followed by the arrays that
/// it points to.
pub(crate) fn directory(fields: &[(u16, Values)], place: u64, big: bool) -> Vec<u8> {
    let (entry, own) = if big { (20, 8 + 8) } else { (12, 2 + 4) };
    let mut arrays = place + own + entry * fields.len() as u64;
    let number = |value: u64| -> Vec<u8> {
        match big {
            true => value.to_le_bytes().to_vec(),
            false => (value as u32).to_le_bytes().to_vec(),
        }
    };
    let count = fields.len() as u64;
    let mut bytes = match big {
        true => count.to_le_bytes().to_vec(),
        false => (count as u16).to_le_bytes().to_vec(),
    };
    let mut outside = Vec::new();
    for (tag, values) in fields {
        let (kind, length, mut inline): (u16, u64, Vec<u8>) = match values {
            Values::Short(value) => (3, 1, value.to_le_bytes().to_vec()),
            Values::Long(value) => (4, 1, value.to_le_bytes().to_vec()),
            Values::Text(text) => {
                let mut bytes = text.clone().into_bytes();
                bytes.push(0);
                let length = bytes.len() as u64;
                let room = number(0).len();
                let inline = match bytes.len() <= room {
                    true => bytes,
                    false => {
                        // What follows begins at an even place.
                        bytes.resize(bytes.len().next_multiple_of(8), 0);
                        let begin = number(arrays);
                        arrays += bytes.len() as u64;
                        outside.extend(bytes);
                        begin
                    }
                };
                (2, length, inline)
            }
            Values::Rational(above, below) => {
                let bytes = [above.to_le_bytes(), below.to_le_bytes()].concat();
                let inline = match big {
                    true => bytes,
                    false => {
                        let begin = number(arrays);
                        arrays += bytes.len() as u64;
                        outside.extend(bytes);
                        begin
                    }
                };
                (5, 1, inline)
            }
            Values::Offsets(places) => {
                let kind = if big { 16 } else { 4 };
                let inline = match places[..] {
                    [only] => number(only),
                    _ => {
                        let begin = number(arrays);
                        let list: Vec<u8> = places.iter().flat_map(|&at| number(at)).collect();
                        arrays += list.len() as u64;
                        outside.extend(list);
                        begin
                    }
                };
                (kind, places.len() as u64, inline)
            }
        };
        inline.resize(number(0).len(), 0);
        bytes.extend(tag.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend(number(length));
        bytes.extend(inline);
    }
    bytes.extend(number(0));
    bytes.extend(outside);
    bytes
}
