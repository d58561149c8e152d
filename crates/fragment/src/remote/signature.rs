//! Addresses within a bucket, signed by version 4 of Amazon's signatures, in the address itself
//! ("Authenticating Requests: Using Query Parameters"). The crates that do this bring forty others.

use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use crate::sha256::{hex, sha256_hex};

/// How long a signed address is good for, in seconds.
const SIGNED_FOR: u64 = 600;
/// Bytes that HMAC takes of SHA-256 at a time.
const BLOCK: usize = 64;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Credentials {
    pub key: String,
    pub secret: String,
    pub token: Option<String>,
}

/// Where a bucket is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bucket {
    /// `https` or `http`.
    scheme: String,
    /// With its port, if that is an unusual one.
    host: String,
    /// Encoded, with slashes at both ends.
    path: String,
    pub region: String,
}

impl Bucket {
    /// At an address that ends with a slash; `None` for what is no such address.
    pub fn new(base: &str, region: &str) -> Option<Self> {
        let (scheme, rest) = base.split_once("://")?;
        let (host, path) = rest.split_once('/')?;
        let is_odd = |letter: char| !letter.is_ascii_graphic() || "?#@\\%".contains(letter);
        let is_plain = ["http", "https"].contains(&scheme) && !host.is_empty();
        (is_plain && !host.contains(is_odd)).then(|| Self {
            scheme: scheme.to_owned(),
            host: host.to_ascii_lowercase(),
            path: format!("/{}", encoded(path, true)),
            region: region.to_owned(),
        })
    }

    /// The address of an object, or of the bucket with a `query`; signed with `credentials`.
    pub fn address(
        &self,
        key: &str,
        query: &[(&str, &str)],
        credentials: Option<&Credentials>,
    ) -> String {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH);
        let seconds = seconds.map_or(0, |since| since.as_secs());
        self.address_at(seconds, SIGNED_FOR, key, query, credentials)
    }

    /// As [`address`](Self::address), at a time in seconds since 1970.
    fn address_at(
        &self,
        seconds: u64,
        signed_for: u64,
        key: &str,
        query: &[(&str, &str)],
        credentials: Option<&Credentials>,
    ) -> String {
        let path = format!("{}{}", self.path, encoded(key, true));
        let mut query: Vec<(String, String)> = query
            .iter()
            .map(|(name, value)| (encoded(name, false), encoded(value, false)))
            .collect();
        if let Some(credentials) = credentials {
            let (day, time) = stamp(seconds);
            let scope = format!("{day}/{}/s3/aws4_request", self.region);
            let mut add = |name: &str, value: &str| {
                query.push((format!("X-Amz-{name}"), encoded(value, false)));
            };
            add("Algorithm", "AWS4-HMAC-SHA256");
            add("Credential", &format!("{}/{scope}", credentials.key));
            add("Date", &time);
            add("Expires", &signed_for.to_string());
            if let Some(token) = &credentials.token {
                add("Security-Token", token);
            }
            add("SignedHeaders", "host");
            query.sort();
            let request = format!(
                "GET\n{path}\n{}\nhost:{}\n\nhost\nUNSIGNED-PAYLOAD",
                joined(&query),
                self.host
            );
            let request = sha256_hex(Sha256::new().chain_update(request));
            let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{request}");
            let secret = format!("AWS4{}", credentials.secret);
            let parts = [day.as_str(), &self.region, "s3", "aws4_request", &text];
            let signature = parts
                .iter()
                .fold(secret.into_bytes(), |key, part| hmac(&key, part).to_vec());
            query.push(("X-Amz-Signature".to_owned(), hex(&signature)));
        }
        let query = joined(&query);
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}://{}{path}{mark}{query}", self.scheme, self.host)
    }
}

fn joined(query: &[(String, String)]) -> String {
    let pairs = query.iter().map(|(name, value)| format!("{name}={value}"));
    pairs.collect::<Vec<_>>().join("&")
}

/// Every byte but letters, digits, `-`, `_`, `.` and `~` (and, in a path, `/`) by its number.
fn encoded(text: &str, is_path: bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for &byte in text.as_bytes() {
        let is_plain = byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        match is_plain || (is_path && byte == b'/') {
            true => encoded.push(char::from(byte)),
            false => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// RFC 2104.
fn hmac(key: &[u8], text: &str) -> [u8; 32] {
    let mut block = [0; BLOCK];
    match key.len() > BLOCK {
        true => block[..32].copy_from_slice(&Sha256::digest(key)),
        false => block[..key.len()].copy_from_slice(key),
    }
    let padded = |pad: u8| Sha256::new().chain_update(block.map(|byte| byte ^ pad));
    let inner = padded(0x36).chain_update(text).finalize();
    padded(0x5c).chain_update(inner).finalize().into()
}

/// A time as `20130524` and `20130524T000000Z`.
fn stamp(seconds: u64) -> (String, String) {
    let (mut days, within) = (seconds / 86_400, seconds % 86_400);
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while days >= months[month] {
        days -= months[month];
        month += 1;
    }
    let day = format!("{year:04}{:02}{:02}", month + 1, days + 1);
    let (hour, minute, second) = (within / 3600, within / 60 % 60, within % 60);
    let time = format!("{day}T{hour:02}{minute:02}{second:02}Z");
    (day, time)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Amazon's documentation.
    #[test]
    fn the_documentations_address_is_signed_as_there() {
        let bucket = Bucket::new("https://examplebucket.s3.amazonaws.com/", "us-east-1").unwrap();
        let credentials = Credentials {
            key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
            token: None,
        };
        let address = bucket.address_at(1_369_353_600, 86_400, "test.txt", &[], Some(&credentials));
        assert_eq!(
            address,
            "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
             &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
             &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
             &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        );
    }

    /// RFC 4231, cases 2 and 6.
    #[test]
    fn the_rfcs_sums() {
        let hex = |key: &[u8], text: &str| {
            let digits = hmac(key, text).map(|byte| format!("{byte:02x}"));
            digits.concat()
        };
        assert_eq!(
            hex(b"Jefe", "what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            hex(
                &[0xaa; 131],
                "Test Using Larger Than Block-Size Key - Hash Key First"
            ),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn times_of_leap_years_and_turns_of_years() {
        let times = [
            (0, "19700101T000000Z"),
            (951_782_400, "20000229T000000Z"),
            (1_709_251_199, "20240229T235959Z"),
            (1_735_689_600, "20250101T000000Z"),
            (4_107_542_400, "21000301T000000Z"),
        ];
        for (seconds, wanted) in times {
            assert_eq!(stamp(seconds).1, wanted);
        }
    }

    #[test]
    fn anonymous_addresses_are_plain_and_odd_keys_encoded() {
        let bucket = Bucket::new("http://localhost:9000/open-data/", "us-east-1").unwrap();
        assert_eq!(
            bucket.address("a b/ü+=%.tif", &[], None),
            "http://localhost:9000/open-data/a%20b/%C3%BC%2B%3D%25.tif"
        );
        assert_eq!(
            bucket.address("", &[("prefix", "a/b"), ("list-type", "2")], None),
            "http://localhost:9000/open-data/?prefix=a%2Fb&list-type=2"
        );
        for odd in [
            "localhost:9000",
            "ftp://a/b/",
            "http://a@b/c/",
            "http:///x/",
            "http://a?b/",
        ] {
            assert_eq!(Bucket::new(odd, "r"), None, "{odd}");
        }
    }
}
