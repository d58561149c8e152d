//! Buckets: where they are, who asks, what lies in them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

use ureq::Body;
use ureq::http::Response;

use super::listing::{self, Element};
use super::signature::{Bucket, Credentials};
use super::trouble::{Failed, Trouble};
use super::{Address, Entry};

/// Where a bucket is looked for first; the answer says where it is.
const FIRST_REGION: &str = "us-east-1";

/// A folder of a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BucketPlace {
    bucket: String,
    /// The region, where the address names one.
    region: Option<String>,
    /// The folder's key with a slash at its end, or nothing.
    prefix: String,
}

/// The bucket's folder at `address`: `s3://…`, or Amazon's https addresses of buckets.
pub(super) fn bucket_of(address: &Address) -> Option<BucketPlace> {
    let (bucket, region, key) = match address {
        Address::S3 { bucket, key } => (bucket.clone(), None, key.clone()),
        Address::Web(url) => {
            let rest = url.strip_prefix("https://")?;
            let (host, key) = rest.split_once('/').unwrap_or((rest, ""));
            let own = host.strip_suffix(".amazonaws.com")?;
            let (bucket, region) = match own.split_once(".s3") {
                Some((bucket, region)) => (bucket.to_owned(), region),
                None => return path_style(own, key),
            };
            (bucket, region_of(region), key.to_owned())
        }
    };
    Some(BucketPlace {
        bucket,
        region,
        prefix: folder(&key),
    })
}

/// `s3.eu-west-1` with `bucket/key`.
fn path_style(host: &str, path: &str) -> Option<BucketPlace> {
    let region = region_of(host.strip_prefix("s3")?);
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    Some(BucketPlace {
        bucket: bucket.to_owned(),
        region,
        prefix: folder(key),
    })
}

/// Of `.eu-west-1` and `-eu-west-1`.
fn region_of(text: &str) -> Option<String> {
    let region = text.strip_prefix(['.', '-'])?;
    let region = region.strip_prefix("dualstack.").unwrap_or(region);
    (!region.is_empty()).then(|| region.to_owned())
}

fn folder(key: &str) -> String {
    match key.trim_end_matches('/') {
        "" => String::new(),
        key => format!("{key}/"),
    }
}

/// How one bucket is asked.
#[derive(Clone)]
pub(super) struct Access {
    bucket: Bucket,
    credentials: Option<Credentials>,
}

impl Access {
    /// The address of an object, signed where there are credentials.
    pub fn object(&self, key: &str) -> String {
        self.bucket.address(key, &[], self.credentials.as_ref())
    }

    fn listing(&self, prefix: &str, token: Option<&str>) -> String {
        let mut query = vec![
            ("list-type", "2"),
            ("encoding-type", "url"),
            ("prefix", prefix),
            ("delimiter", "/"),
        ];
        query.extend(token.map(|token| ("continuation-token", token)));
        self.bucket.address("", &query, self.credentials.as_ref())
    }
}

/// What was found out about each bucket.
pub(super) struct Buckets {
    /// The server; Amazon's where there is none.
    endpoint: Option<String>,
    known: Mutex<HashMap<String, Access>>,
    credentials: OnceLock<Option<Credentials>>,
}

impl Buckets {
    pub fn new(endpoint: Option<String>) -> Self {
        Self {
            endpoint,
            known: Mutex::default(),
            credentials: OnceLock::new(),
        }
    }

    /// Sends a request to a bucket, once more where the answer says that the bucket is in another
    /// region, or that its credentials are no good for it while others may read it.
    pub fn get(
        &self,
        bucket: &str,
        send: impl Fn(&Access) -> Result<Response<Body>, Failed>,
    ) -> Result<Response<Body>, Failed> {
        self.ask(bucket, None, send)
    }

    /// A page of a listing.
    pub fn list(
        &self,
        place: &BucketPlace,
        token: Option<&str>,
        send: impl Fn(String) -> Result<Response<Body>, Failed>,
    ) -> Result<Response<Body>, Failed> {
        self.ask(&place.bucket, place.region.as_deref(), |access| {
            send(access.listing(&place.prefix, token))
        })
    }

    fn ask(
        &self,
        bucket: &str,
        region: Option<&str>,
        send: impl Fn(&Access) -> Result<Response<Body>, Failed>,
    ) -> Result<Response<Body>, Failed> {
        let mut access = self.access(bucket, region)?;
        let mut response = send(&access)?;
        let elsewhere = response.headers().get("x-amz-bucket-region");
        let elsewhere = elsewhere.and_then(|region| region.to_str().ok().map(str::to_owned));
        if let Some(region) = elsewhere
            && !response.status().is_success()
            && response.status() != 404
            && region != access.bucket.region
        {
            access.bucket = self.endpoint_of(bucket, &region)?;
            response = send(&access)?;
            self.remember(bucket, &access);
        }
        let refused = [400, 401, 403].contains(&response.status().as_u16());
        if refused && access.credentials.is_some() {
            let anonymous = Access {
                credentials: None,
                ..access
            };
            let public = send(&anonymous)?;
            if public.status().is_success() || public.status() == 404 {
                self.remember(bucket, &anonymous);
                return Ok(public);
            }
        }
        Ok(response)
    }

    fn access(&self, bucket: &str, region: Option<&str>) -> Result<Access, Failed> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(access) = known.get(bucket) {
            return Ok(access.clone());
        }
        drop(known);
        let region = region
            .map(str::to_owned)
            .or_else(|| variable("AWS_REGION"))
            .or_else(|| variable("AWS_DEFAULT_REGION"));
        let access = Access {
            bucket: self.endpoint_of(bucket, region.as_deref().unwrap_or(FIRST_REGION))?,
            credentials: self.credentials.get_or_init(credentials).clone(),
        };
        self.remember(bucket, &access);
        Ok(access)
    }

    /// The bucket at the server.
    fn endpoint_of(&self, bucket: &str, region: &str) -> Result<Bucket, Failed> {
        if bucket.is_empty() {
            return Err(Trouble::Address("a bucket without a name".to_owned()).into());
        }
        if let Some(endpoint) = &self.endpoint {
            let endpoint = endpoint.trim_end_matches('/');
            let base = format!("{endpoint}/{bucket}/");
            return Bucket::new(&base, region).ok_or_else(|| {
                Trouble::Address(format!("no address of a server, {endpoint:?}")).into()
            });
        }
        // Certificates are for names without dots.
        let is_plain =
            !bucket.contains(|letter: char| letter == '.' || letter.is_ascii_uppercase());
        let base = match is_plain {
            true => format!("https://{bucket}.s3.{region}.amazonaws.com/"),
            false => format!("https://s3.{region}.amazonaws.com/{bucket}/"),
        };
        Bucket::new(&base, region)
            .ok_or_else(|| Trouble::Address(format!("no name of a bucket, {bucket:?}")).into())
    }

    fn remember(&self, bucket: &str, access: &Access) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(bucket.to_owned(), access.clone());
    }
}

/// Those of the environment, or of the profile `AWS_PROFILE` in the shared file of credentials.
fn credentials() -> Option<Credentials> {
    let token = variable("AWS_SESSION_TOKEN");
    let of_environment = variable("AWS_ACCESS_KEY_ID").zip(variable("AWS_SECRET_ACCESS_KEY"));
    if let Some((key, secret)) = of_environment {
        return Some(Credentials { key, secret, token });
    }
    let own = || Some(std::env::home_dir()?.join(".aws").join("credentials"));
    let file = variable("AWS_SHARED_CREDENTIALS_FILE")
        .map(PathBuf::from)
        .or_else(own)?;
    let text = crate::read_text(&file, 1 << 20).ok()?;
    let profile = variable("AWS_PROFILE").unwrap_or_else(|| "default".to_owned());
    of_profile(&text, &profile)
}

fn of_profile(text: &str, profile: &str) -> Option<Credentials> {
    let mut values: HashMap<&str, &str> = HashMap::new();
    let mut is_own = false;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            is_own = name.trim() == profile;
        } else if let Some((key, value)) = line.split_once('=').filter(|_| is_own) {
            values.insert(key.trim(), value.trim());
        }
    }
    let value = |key: &str| values.get(key).copied();
    let (key, secret) = (value("aws_access_key_id")?, value("aws_secret_access_key")?);
    Some(Credentials {
        key: key.to_owned(),
        secret: secret.to_owned(),
        token: value("aws_session_token").map(str::to_owned),
    })
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A page of a listing.
pub(super) struct Page {
    pub entries: Vec<Entry>,
    /// What the next page is asked for with.
    pub next: Option<String>,
}

impl Page {
    pub fn parse(bytes: &[u8], place: &BucketPlace) -> Result<Self, Failed> {
        let text = String::from_utf8_lossy(bytes);
        let elements = listing::elements(&text)
            .ok_or_else(|| Trouble::Answer("no listing of a bucket".to_owned()))?;
        let is_encoded = elements.iter().any(|element| {
            element.is(&["ListBucketResult", "EncodingType"]) && element.text == "url"
        });
        let within = |element: &Element| {
            let key = match is_encoded {
                true => listing::decoded(&element.text),
                false => element.text.clone(),
            };
            let name = key.strip_prefix(&place.prefix)?.trim_end_matches('/');
            let is_own = !name.is_empty() && !name.contains('/');
            // Consoles leave objects of no bytes for folders.
            let is_folder = key.ends_with('/');
            is_own.then(|| Entry {
                name: name.to_owned(),
                is_folder,
            })
        };
        let all = |path: [&'static str; 3]| {
            let found = elements.iter().filter(move |element| element.is(&path));
            found.filter_map(within)
        };
        let files = all(["ListBucketResult", "Contents", "Key"]);
        let folders = all(["ListBucketResult", "CommonPrefixes", "Prefix"]);
        let next = elements
            .iter()
            .find(|element| element.is(&["ListBucketResult", "NextContinuationToken"]));
        Ok(Self {
            entries: files.chain(folders).collect(),
            next: next.map(|next| next.text.clone()),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn buckets_are_known_by_all_their_addresses() {
        let of = |text: &str| {
            let place = bucket_of(&Address::of(Path::new(text)).unwrap())?;
            Some((place.bucket, place.region, place.prefix))
        };
        let some = |region: Option<&str>, prefix: &str| {
            Some((
                "open-data".to_owned(),
                region.map(str::to_owned),
                prefix.to_owned(),
            ))
        };
        assert_eq!(of("s3://open-data/a/b.zarr"), some(None, "a/b.zarr/"));
        assert_eq!(of("s3://open-data"), some(None, ""));
        let east = Some("us-east-1");
        for address in [
            "https://open-data.s3.us-east-1.amazonaws.com/a/b/",
            "https://open-data.s3-us-east-1.amazonaws.com/a/b",
            "https://s3.us-east-1.amazonaws.com/open-data/a/b",
            "https://open-data.s3.dualstack.us-east-1.amazonaws.com/a/b",
        ] {
            assert_eq!(of(address), some(east, "a/b/"), "{address}");
        }
        assert_eq!(of("https://open-data.s3.amazonaws.com/a"), some(None, "a/"));
        assert_eq!(of("https://s3.amazonaws.com/open-data"), some(None, ""));
        for other in ["https://dl.host.org/a/b", "https://ec2.amazonaws.com/a"] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn credentials_are_those_of_the_profile() {
        let text = "[default]\naws_access_key_id = A\naws_secret_access_key=B=\n\n[ other ]\n\
                    aws_access_key_id=C\naws_secret_access_key=D\naws_session_token=E\n[empty]\n";
        let of = |profile| {
            let found = of_profile(text, profile)?;
            Some((found.key, found.secret, found.token))
        };
        assert_eq!(of("default"), Some(("A".to_owned(), "B=".to_owned(), None)));
        let other = ("C".to_owned(), "D".to_owned(), Some("E".to_owned()));
        assert_eq!(of("other"), Some(other));
        assert_eq!((of("empty"), of("none")), (None, None));
    }

    #[test]
    fn a_listing_has_files_and_folders_and_says_what_comes_next() {
        let text = r#"<?xml version="1.0" encoding="UTF-8"?>
            <ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>open</Name>
            <Prefix>a/</Prefix><KeyCount>3</KeyCount><MaxKeys>1000</MaxKeys><Delimiter>/</Delimiter>
            <IsTruncated>true</IsTruncated><NextContinuationToken>t+/=</NextContinuationToken>
            <EncodingType>url</EncodingType>
            <Contents><Key>a/</Key><Size>0</Size></Contents>
            <Contents><Key>a/00%20b.tif</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>
            <ETag>"1"</ETag><Size>9</Size><StorageClass>STANDARD</StorageClass></Contents>
            <CommonPrefixes><Prefix>a/0/</Prefix></CommonPrefixes></ListBucketResult>"#;
        let place = bucket_of(&Address::of(Path::new("s3://open/a")).unwrap()).unwrap();
        let page = Page::parse(text.as_bytes(), &place).unwrap();
        let entry = |name: &str, is_folder| Entry {
            name: name.to_owned(),
            is_folder,
        };
        assert_eq!(page.entries, [entry("00 b.tif", false), entry("0", true)]);
        assert_eq!(page.next.as_deref(), Some("t+/="));
        assert!(Page::parse(b"<html>", &place).is_err());
    }
}
