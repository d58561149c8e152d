//! SHA-256 as people read it.

use sha2::digest::Output;
use sha2::{Digest, Sha256};

/// The SHA-256 of all that `hash` was fed, in 64 hexadecimal digits.
pub fn sha256_hex(hash: Sha256) -> String {
    let digest: Output<Sha256> = hash.finalize();
    hex(&digest)
}

/// Two hexadecimal digits for each byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_nothing_is_the_known_one() {
        assert_eq!(
            sha256_hex(Sha256::new()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
