//! Addresses within a bucket, signed by version 4 of Amazon's signatures, in the address itself
//! ("Authenticating Requests: Using Query Parameters"). The crates that do all of this bring forty others.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use crate::sha256::{hex, sha256_hex};

/// How long a signed address is good for, in seconds.
const SIGNED_FOR: u64 = 600;

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

/// RFC 2104, over SHA-256.
fn hmac(key: &[u8], text: &str) -> [u8; 32] {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.chain_update(text).finalize().into_bytes().into()
}

/// A time as `20130524` and `20130524T000000Z`.
fn stamp(seconds: u64) -> (String, String) {
    let time = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds));
    let time = time.to_string().replace(['-', ':'], "");
    (time[..8].to_owned(), time)
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

    #[test]
    fn times_are_days_and_seconds_without_marks() {
        let (day, time) = stamp(1_709_251_199);
        assert_eq!(
            (day.as_str(), time.as_str()),
            ("20240229", "20240229T235959Z")
        );
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
