//! A server of files that also answers as buckets do, and fails as servers do when it is told to.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// What goes wrong with an answer.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// Another status than 200.
    Status(u16),
    /// The line is cut after so many of the promised bytes.
    Cut(usize),
    /// The line is cut before the answer.
    NoAnswer,
}

/// What was asked and sent, of all paths with a prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    pub requests: u64,
    pub bytes: u64,
}

#[derive(Default)]
struct State {
    /// Faults of the next answers for paths with a prefix; the last stays where it is to.
    faults: HashMap<String, (Vec<Fault>, bool)>,
    traffic: HashMap<String, Traffic>,
}

/// Serves a folder.
pub struct Server {
    port: u16,
    folder: PathBuf,
    state: Arc<Mutex<State>>,
    /// Numbers ETags anew.
    edition: Arc<AtomicU64>,
}

impl Server {
    pub fn start(folder: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            folder: folder.to_owned(),
            state: Arc::default(),
            edition: Arc::default(),
        };
        let (folder, state, edition) = (
            server.folder.clone(),
            server.state.clone(),
            server.edition.clone(),
        );
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (folder, state, edition) = (folder.clone(), state.clone(), edition.clone());
                std::thread::spawn(move || {
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    let mut stream = stream;
                    while let Some(request) = Request::read(&mut reader) {
                        let edition = edition.load(Ordering::SeqCst);
                        if answer(&mut stream, &request, &folder, &state, edition).is_none() {
                            return;
                        }
                    }
                });
            }
        });
        server
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The address of a file or folder.
    pub fn address(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("{}/{path}", self.endpoint()))
    }

    /// Lets the next answers for paths with `prefix` fail, one after the other.
    pub fn fail(&self, prefix: &str, faults: &[Fault]) {
        let mut state = self.state.lock().unwrap();
        state
            .faults
            .insert(prefix.to_owned(), (faults.to_vec(), false));
    }

    /// Lets all answers for paths with `prefix` fail; none any more without a fault.
    pub fn fail_always(&self, prefix: &str, fault: Option<Fault>) {
        let mut state = self.state.lock().unwrap();
        match fault {
            Some(fault) => state.faults.insert(prefix.to_owned(), (vec![fault], true)),
            None => state.faults.remove(prefix),
        };
    }

    /// Gives all files new ETags.
    pub fn renew(&self) {
        self.edition.fetch_add(1, Ordering::SeqCst);
    }

    /// What was sent so far of paths with `prefix`.
    pub fn traffic(&self, prefix: &str) -> Traffic {
        let state = self.state.lock().unwrap();
        let own = state
            .traffic
            .iter()
            .filter(|(path, _)| path.starts_with(prefix));
        own.fold(Traffic::default(), |sum, (_, one)| Traffic {
            requests: sum.requests + one.requests,
            bytes: sum.bytes + one.bytes,
        })
    }
}

struct Request {
    path: String,
    query: String,
    range: Option<(u64, u64)>,
}

impl Request {
    fn read(reader: &mut BufReader<TcpStream>) -> Option<Self> {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let target = line.split(' ').nth(1)?.to_owned();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let mut request = Self {
            path: path.trim_start_matches('/').to_owned(),
            query: query.to_owned(),
            range: None,
        };
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            let header = header.trim().to_ascii_lowercase();
            if header.is_empty() {
                return Some(request);
            }
            if let Some(range) = header.strip_prefix("range: bytes=") {
                let (first, last) = range.split_once('-').unwrap();
                request.range = Some((first.parse().unwrap(), last.parse().unwrap()));
            }
        }
    }

    /// A value of the query, the `%2F` of its slashes undone.
    fn value(&self, name: &str) -> Option<String> {
        let mut pairs = self
            .query
            .split('&')
            .filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.find(|(key, _)| *key == name)?;
        Some(value.replace("%2F", "/"))
    }
}

/// `None` where the line is cut.
fn answer(
    stream: &mut TcpStream,
    request: &Request,
    folder: &Path,
    state: &Mutex<State>,
    edition: u64,
) -> Option<()> {
    let fault = {
        let mut state = state.lock().unwrap();
        let traffic = state.traffic.entry(request.path.clone()).or_default();
        traffic.requests += 1;
        let found = state
            .faults
            .iter_mut()
            .find(|(prefix, (faults, _))| request.path.starts_with(*prefix) && !faults.is_empty());
        found.map(|(_, (faults, always))| match always {
            true => faults[0],
            false => faults.remove(0),
        })
    };
    let (mut status, body) = match body(request, folder) {
        Some(body) => (200, body),
        None => (404, b"no such file".to_vec()),
    };
    let all = body.len() as u64;
    let mut headers = format!("ETag: \"{all}-{edition}\"\r\n");
    let mut sent = &body[..];
    if let (200, Some((first, last))) = (status, request.range) {
        let end = (last + 1).min(all);
        if first >= all {
            (status, sent) = (416, &[]);
        } else {
            (status, sent) = (206, &body[first as usize..end as usize]);
            headers += &format!("Content-Range: bytes {first}-{}/{all}\r\n", end - 1);
        }
    }
    if let Some(Fault::Status(other)) = fault {
        (status, sent) = (other, b"<Error/>");
    }
    if matches!(fault, Some(Fault::NoAnswer)) {
        return None;
    }
    let head = format!(
        "HTTP/1.1 {status} -\r\nContent-Length: {}\r\n{headers}\r\n",
        sent.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    if let Some(Fault::Cut(bytes)) = fault {
        stream.write_all(&sent[..bytes.min(sent.len() - 1)]).ok()?;
        return None;
    }
    stream.write_all(sent).ok()?;
    let mut state = state.lock().unwrap();
    state.traffic.entry(request.path.clone()).or_default().bytes += sent.len() as u64;
    Some(())
}

fn body(request: &Request, folder: &Path) -> Option<Vec<u8>> {
    if let Some(prefix) = request.value("prefix") {
        let bucket = folder.join(&request.path);
        return bucket
            .is_dir()
            .then(|| listing(&bucket, &prefix).into_bytes());
    }
    let path = folder.join(&request.path);
    match path.is_dir() {
        // Only some folders have a page.
        true if request.path.contains("listed") => Some(page(&path).into_bytes()),
        true => None,
        false => std::fs::read(path).ok(),
    }
}

fn names(folder: &Path) -> Vec<(String, bool)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let name = |entry: std::fs::DirEntry| {
        (
            entry.file_name().into_string().unwrap(),
            entry.path().is_dir(),
        )
    };
    let mut names: Vec<_> = entries.map(name).collect();
    names.sort();
    names
}

/// As Apache and nginx show a folder.
fn page(folder: &Path) -> String {
    let mut page = "<html><body><a href=\"../\">../</a>".to_owned();
    for (name, is_folder) in names(folder) {
        let end = if is_folder { "/" } else { "" };
        page += &format!("<a href=\"{name}{end}\">{name}{end}</a>\n");
    }
    page
}

/// As buckets list what lies below a prefix.
fn listing(bucket: &Path, prefix: &str) -> String {
    let mut text = "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                    <IsTruncated>false</IsTruncated><EncodingType>url</EncodingType>"
        .to_owned();
    let mut folders = String::new();
    for (name, is_folder) in names(&bucket.join(prefix)) {
        match is_folder {
            true => {
                folders +=
                    &format!("<CommonPrefixes><Prefix>{prefix}{name}/</Prefix></CommonPrefixes>");
            }
            false => {
                text += &format!("<Contents><Key>{prefix}{name}</Key><Size>1</Size></Contents>");
            }
        }
    }
    format!("{text}{folders}</ListBucketResult>")
}
