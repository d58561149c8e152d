use std::fmt;
use std::path::Path;

/// Where a file or folder lies on a server, without a slash at its end unless it is a folder's page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// `https://…` or `http://…`.
    Web(String),
    /// `s3://bucket/key`.
    S3 { bucket: String, key: String },
}

impl Address {
    /// Of a path that begins as addresses do.
    pub fn of(path: &Path) -> Option<Self> {
        // Paths are joined by the system's own separator, which need not be a slash.
        let text = path.to_str()?.replace(std::path::MAIN_SEPARATOR, "/");
        if let Some(rest) = text.strip_prefix("s3://") {
            let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
            return Some(Self::S3 {
                bucket: bucket.to_owned(),
                key: key.trim_end_matches('/').to_owned(),
            });
        }
        let is_web = text.starts_with("https://") || text.starts_with("http://");
        is_web.then(|| Self::Web(text.trim_end_matches('/').to_owned()))
    }

    /// What lies in this folder under `name`; the folder's own page under no name.
    pub fn join(&self, name: &str) -> Self {
        match self {
            Self::Web(url) => Self::Web(format!("{url}/{name}")),
            Self::S3 { bucket, key } => Self::S3 {
                bucket: bucket.clone(),
                key: match key.is_empty() {
                    true => name.to_owned(),
                    false => format!("{key}/{name}"),
                },
            },
        }
    }

    /// The folder that it lies in; none of a server or a bucket.
    pub fn parent(&self) -> Option<Self> {
        match self {
            Self::Web(url) => {
                let (parent, _) = url.rsplit_once('/')?;
                (!parent.ends_with('/') && !parent.ends_with(':'))
                    .then(|| Self::Web(parent.to_owned()))
            }
            Self::S3 { key, .. } if key.is_empty() => None,
            Self::S3 { bucket, key } => Some(Self::S3 {
                bucket: bucket.clone(),
                key: key
                    .rsplit_once('/')
                    .map_or("", |(parent, _)| parent)
                    .to_owned(),
            }),
        }
    }

    /// What stands after the last slash.
    pub fn name(&self) -> &str {
        let whole = match self {
            Self::Web(url) => url,
            Self::S3 { key, .. } => key,
        };
        whole.rsplit('/').next().unwrap_or_default()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Web(url) => f.write_str(url),
            Self::S3 { bucket, key } => write!(f, "s3://{bucket}/{key}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<Address> {
        Address::of(Path::new(text))
    }

    #[test]
    fn addresses_are_told_from_paths_and_joined_as_paths() {
        for path in [
            "scan.zarr",
            "/data/https:/x",
            "C:\\scan",
            "ftp://a/b",
            "s3:/x",
        ] {
            assert_eq!(of(path), None, "{path}");
        }
        let web = of("https://host:8/a/b.zarr/").unwrap();
        assert_eq!(web.name(), "b.zarr");
        assert_eq!(
            web.join("0/.zarray").to_string(),
            "https://host:8/a/b.zarr/0/.zarray"
        );
        let parent = web.parent().unwrap();
        assert_eq!(parent.to_string(), "https://host:8/a");
        let server = parent.parent().unwrap();
        assert_eq!(
            (server.to_string().as_str(), server.parent()),
            ("https://host:8", None)
        );
        let key = of("s3://bucket/a/b.zarr").unwrap();
        assert_eq!(key.join("0").to_string(), "s3://bucket/a/b.zarr/0");
        assert_eq!(key.parent().unwrap().parent(), of("s3://bucket"));
        assert_eq!(
            of("s3://bucket").unwrap().join("a"),
            of("s3://bucket/a").unwrap()
        );
        assert_eq!(of("s3://bucket/").unwrap().parent(), None);
        // As `Path` joins them.
        let joined = Path::new("https://host/a.zarr").join("0/c/0/1");
        assert_eq!(
            Address::of(&joined).unwrap().to_string(),
            "https://host/a.zarr/0/c/0/1"
        );
    }
}
