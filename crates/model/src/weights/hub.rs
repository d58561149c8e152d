//! Pretrained weights from the Hugging Face Hub, kept in its own cache, which Python shares.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hf_hub::api::Progress;
use hf_hub::api::sync::{Api, ApiBuilder, ApiError, ApiRepo, Metadata};
use hf_hub::{Cache, Repo, RepoType};

use super::file::sha256;
use crate::Error;

/// The organisation whose repositories are meant.
const PREFIX: &str = "timm/";
/// The file that holds a repository's weights.
const FILE: &str = "model.safetensors";
/// How often a broken transfer is taken up again before giving up. (The client's own retries
/// begin at the wrong byte when nothing had come yet.)
const RETRIES: u32 = 2;
/// The pause before the first retry; later ones wait longer.
const PAUSE: Duration = Duration::from_millis(500);

/// Where weights are fetched from and kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hub {
    /// The cache's folder.
    pub cache: PathBuf,
    /// The server, without a slash at the end.
    pub endpoint: String,
    /// Shown to the server, for repositories that are not public.
    pub token: Option<String>,
    /// Takes only what the cache holds.
    pub offline: bool,
}

impl Hub {
    /// The hub as the environment says: `HF_HOME`, `HF_HUB_CACHE`, `HF_ENDPOINT`, `HF_TOKEN` (or
    /// the token that `hf auth login` kept) and `HF_HUB_OFFLINE`, read as Python's
    /// huggingface_hub reads them.
    pub fn from_env() -> Self {
        Self::from_variables(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let folder = |name| variable(name).map(PathBuf::from);
        let home = folder("HF_HOME").unwrap_or_else(|| {
            let caches = folder("XDG_CACHE_HOME");
            let user = || std::env::home_dir().unwrap_or_default().join(".cache");
            caches.unwrap_or_else(user).join("huggingface")
        });
        let kept = || std::fs::read_to_string(home.join("token")).ok();
        let token = variable("HF_TOKEN").or_else(kept);
        let endpoint = variable("HF_ENDPOINT");
        let endpoint = endpoint.unwrap_or_else(|| "https://huggingface.co".to_owned());
        let yes = |text: String| ["1", "true", "yes", "on"].contains(&&*text.to_lowercase());
        Self {
            cache: folder("HF_HUB_CACHE").unwrap_or_else(|| home.join("hub")),
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            token: token
                .map(|token| token.trim().to_owned())
                .filter(|token| !token.is_empty()),
            offline: variable("HF_HUB_OFFLINE").is_some_and(yes),
        }
    }

    /// The file behind `pretrained = "…"`: `timm/<name>` is taken from the cache or fetched, a
    /// broken download being taken up where it ended; anything else is a path. `progress` is told
    /// the bytes that are there and the bytes in all.
    ///
    /// # Errors
    /// [`Error::Hub`] when the name, the network or the hub is at fault.
    pub fn find(&self, source: &str, progress: impl FnMut(u64, u64)) -> Result<PathBuf, Error> {
        match source.strip_prefix(PREFIX) {
            Some(name) if !Path::new(source).exists() => self.fetch(name, progress),
            _ => Ok(PathBuf::from(source)),
        }
    }

    fn fetch(&self, name: &str, progress: impl FnMut(u64, u64)) -> Result<PathBuf, Error> {
        let repo = Repo::new(format!("{PREFIX}{name}"), RepoType::Model);
        if !is_plain(name) {
            let found = "a name with odd characters".to_owned();
            return Err(self.error(
                name,
                found,
                "use a name that https://huggingface.co/timm lists",
            ));
        }
        let cache = Cache::new(self.cache.clone());
        if let Some(path) = cache.repo(repo.clone()).get(FILE) {
            return Ok(path);
        }
        if self.offline {
            let found = format!("nothing in the cache {}", self.cache.display());
            let mend = "unset HF_HUB_OFFLINE, or give the path of a file";
            return Err(self.error(name, found, mend));
        }
        let mut download = Download {
            hub: self,
            name,
            repo,
            progress,
        };
        download.run(&self.api().map_err(|error| self.explain(name, &error))?)
    }

    fn api(&self) -> Result<Api, ApiError> {
        ApiBuilder::from_cache(Cache::new(self.cache.clone()))
            .with_endpoint(self.endpoint.clone())
            .with_token(self.token.clone())
            .with_progress(false)
            .build()
    }

    fn error(&self, name: &str, found: String, mend: &str) -> Error {
        Error::Hub {
            name: format!("{PREFIX}{name}"),
            endpoint: self.endpoint.clone(),
            found,
            mend: mend.to_owned(),
        }
    }

    /// What an error of the hub's client means, and what helps.
    fn explain(&self, name: &str, error: &ApiError) -> Error {
        let request = match error {
            ApiError::RequestError(request) => Some(&**request),
            _ => None,
        };
        let found = match request {
            Some(ureq::Error::StatusCode(code)) => format!("the answer {code}"),
            _ => format!("a failing connection ({error})"),
        };
        let mend = match request {
            Some(ureq::Error::StatusCode(401 | 403)) => {
                "check the name (names end in the training's tag, such as \
                 maxvit_rmlp_base_rw_384.sw_in12k_ft_in1k); for a repository that is not public, \
                 set HF_TOKEN"
            }
            Some(ureq::Error::StatusCode(404)) => {
                "check the name; names end in the training's tag, such as \
                 maxvit_rmlp_base_rw_384.sw_in12k_ft_in1k, and https://huggingface.co/timm lists them"
            }
            Some(ureq::Error::StatusCode(_)) => "try again later, or set HF_ENDPOINT to a mirror",
            _ => {
                "check the network and HF_ENDPOINT and start again, what is there is kept; or \
                 give the path of a file"
            }
        };
        self.error(name, found, mend)
    }
}

/// One file on its way into the cache.
struct Download<'a, P> {
    hub: &'a Hub,
    name: &'a str,
    repo: Repo,
    progress: P,
}

impl<P: FnMut(u64, u64)> Download<'_, P> {
    fn run(&mut self, api: &Api) -> Result<PathBuf, Error> {
        let explain = |error: ApiError| self.hub.explain(self.name, &error);
        let repository = api.repo(self.repo.clone());
        let about = api.metadata(&repository.url(FILE)).map_err(explain)?;
        if !is_plain(about.etag()) || !is_plain(about.commit_hash()) {
            let found = "an answer with odd characters in its headers".to_owned();
            return Err(self.hub.error(self.name, found, "check HF_ENDPOINT"));
        }
        let blob = Cache::new(self.hub.cache.clone())
            .repo(self.repo.clone())
            .blob_path(about.etag());
        let mut result = self.transfer(&repository);
        for retry in 1..=RETRIES {
            match &result {
                Err(error) if is_stale(error) => {
                    // What was kept of an earlier download is as long as the file, or longer.
                    let _ = std::fs::remove_file(blob.with_extension("part"));
                }
                Err(error) if is_passing(error) => std::thread::sleep(PAUSE * retry),
                _ => break,
            }
            result = self.transfer(&repository);
        }
        let path = result.map_err(|error| self.hub.explain(self.name, &error))?;
        self.verify(&path, &about).inspect_err(|_| {
            let _ = std::fs::remove_file(&path);
            let _ = std::fs::remove_file(&blob);
        })?;
        Ok(path)
    }

    fn transfer(&mut self, repository: &ApiRepo) -> Result<PathBuf, ApiError> {
        let watch = Watch {
            progress: &mut self.progress,
            done: 0,
            total: 0,
        };
        repository.download_with_progress(FILE, watch)
    }

    /// Whether the file is as long as the hub said, and its own checksum.
    fn verify(&self, path: &Path, about: &Metadata) -> Result<(), Error> {
        let length = std::fs::metadata(path).map_or(0, |file| file.len());
        let again = "start again; the damaged file is removed";
        if length != about.size() as u64 {
            let found = format!("{length} bytes instead of {}", about.size());
            return Err(self.hub.error(self.name, found, again));
        }
        // Large files are named by their SHA-256, small ones by git's hash.
        let is_sha256 = about.etag().len() == 64;
        if is_sha256 && sha256(path)? != about.etag() {
            let found = "a file with another checksum than announced".to_owned();
            return Err(self.hub.error(self.name, found, again));
        }
        Ok(())
    }
}

/// The revision (commit) of a file that lies in a hub's cache, `snapshots/<commit>/<file>`; `None`
/// for any other file.
pub fn revision_of(path: &Path) -> Option<String> {
    let folder = path.parent()?;
    let is_snapshot = folder.parent()?.file_name()? == "snapshots";
    is_snapshot.then(|| {
        folder
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
    })?
}

/// Whether the kept part of an earlier download cannot be gone on with.
fn is_stale(error: &ApiError) -> bool {
    match error {
        ApiError::InvalidResume => true,
        ApiError::RequestError(request) => matches!(**request, ureq::Error::StatusCode(416)),
        _ => false,
    }
}

/// Whether the same request may succeed a moment later.
fn is_passing(error: &ApiError) -> bool {
    match error {
        ApiError::IoError(_) => true,
        ApiError::RequestError(request) => match **request {
            ureq::Error::StatusCode(code) => code >= 500 || code == 429,
            _ => true,
        },
        _ => false,
    }
}

/// Whether `text` can stand in a path or an address as it is.
fn is_plain(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    !text.is_empty() && !text.starts_with('.') && text.chars().all(plain)
}

/// Counts bytes.
struct Watch<'a, P> {
    progress: &'a mut P,
    done: u64,
    total: u64,
}

impl<P: FnMut(u64, u64)> Progress for Watch<'_, P> {
    fn init(&mut self, size: usize, _file: &str) {
        (self.done, self.total) = (0, size as u64);
    }

    fn update(&mut self, size: usize) {
        self.done += size as u64;
        (self.progress)(self.done, self.total);
    }

    fn finish(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn hub(variables: &[(&str, &str)]) -> Hub {
        let variables: HashMap<&str, &str> = variables.iter().copied().collect();
        Hub::from_variables(|name| variables.get(name).map(|&value| value.to_owned()))
    }

    #[test]
    fn the_environment_is_read_as_python_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap();
        std::fs::write(folder.path().join("token"), "kept\n").unwrap();
        let plain = hub(&[("HF_HOME", home)]);
        assert_eq!(plain.cache, folder.path().join("hub"));
        assert_eq!(plain.endpoint, "https://huggingface.co");
        assert_eq!(plain.token.as_deref(), Some("kept"));
        assert!(!plain.offline);
        let set = hub(&[
            ("HF_HOME", home),
            ("HF_HUB_CACHE", "/elsewhere"),
            ("HF_ENDPOINT", "http://mirror/"),
            ("HF_TOKEN", "given"),
            ("HF_HUB_OFFLINE", "True"),
        ]);
        assert_eq!(set.cache, Path::new("/elsewhere"));
        assert_eq!(set.endpoint, "http://mirror");
        assert_eq!(set.token.as_deref(), Some("given"));
        assert!(set.offline);
        assert_eq!(
            hub(&[("XDG_CACHE_HOME", "/x")]).cache,
            Path::new("/x/huggingface/hub")
        );
    }

    #[test]
    fn what_is_no_name_of_timm_is_a_path() {
        let hub = hub(&[("HF_HOME", "/nowhere")]);
        let path = hub.find("weights/a.pth", |_, _| ()).unwrap();
        assert_eq!(path, Path::new("weights/a.pth"));
    }

    #[test]
    fn a_name_cannot_leave_the_cache() {
        let hub = hub(&[("HF_HOME", "/nowhere")]);
        for name in ["timm/../x", "timm/", "timm/a/b", "timm/a?b"] {
            let error = hub.find(name, |_, _| ()).unwrap_err();
            assert!(error.to_string().contains("odd characters"), "{error}");
        }
    }
}
