//! A stand-in for the hub: one file, served by ranges over HTTP/1.1, and what can go wrong.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// How a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// What was asked for.
    Whole,
    /// The announced length, but only half the bytes; then the line is cut.
    Half,
    /// What was asked for, the last byte altered.
    Altered,
    /// An error.
    Status(u16),
    /// The file's checksum and commit, and where it lies.
    Redirect(&'static str),
}

#[derive(Default)]
struct State {
    answers: VecDeque<Answer>,
    requests: Vec<String>,
}

/// The server; it runs until the test's process ends.
pub struct StandIn {
    address: String,
    state: Arc<Mutex<State>>,
}

impl StandIn {
    /// Serves `file` under any name, `etag` being its announced checksum.
    pub fn start(file: Vec<u8>, etag: String, answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let _ = serve(&stream.unwrap(), &file, &etag, &shared);
            }
        });
        let server = Self { address, state };
        server.answer(answers);
        server
    }

    pub fn address(&self) -> String {
        self.address.clone()
    }

    /// Answers the coming requests so, the last for ever.
    pub fn answer(&self, answers: Vec<Answer>) {
        self.state.lock().unwrap().answers = answers.into();
    }

    /// The requests so far, headers included.
    pub fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.clone()
    }

    /// Where the requested ranges began.
    pub fn ranges(&self) -> Vec<u64> {
        let requests = self.requests();
        requests
            .iter()
            .map(|request| range(request, u64::MAX).0)
            .collect()
    }
}

/// The first and the last byte asked for, of `size`.
fn range(request: &str, size: u64) -> (u64, u64) {
    let lower = request.to_lowercase();
    let Some((_, rest)) = lower.split_once("range: bytes=") else {
        return (0, size - 1);
    };
    let (first, last) = rest.lines().next().unwrap().split_once('-').unwrap();
    let last = last.trim().parse().unwrap_or(size - 1);
    (first.parse().unwrap(), last.min(size - 1))
}

/// One request per connection.
fn serve(
    mut stream: &TcpStream,
    file: &[u8],
    etag: &str,
    state: &Mutex<State>,
) -> std::io::Result<()> {
    let mut request = String::new();
    let mut reader = BufReader::new(stream);
    while !request.ends_with("\r\n\r\n") {
        if reader.read_line(&mut request)? == 0 {
            return Ok(());
        }
    }
    let answer = {
        let mut state = state.lock().unwrap();
        state.requests.push(request.clone());
        let last = state.answers.len() <= 1;
        let next = state
            .answers
            .front()
            .copied()
            .unwrap_or(Answer::Status(500));
        if !last {
            state.answers.pop_front();
        }
        next
    };
    if let Answer::Status(code) = answer {
        return write!(
            stream,
            "HTTP/1.1 {code} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    }
    if let Answer::Redirect(location) = answer {
        return write!(
            stream,
            "HTTP/1.1 302 Found\r\nLocation: {location}\r\nX-Linked-ETag: \"{etag}\"\r\n\
             X-Repo-Commit: 0123abcd\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    }
    let size = file.len() as u64;
    let (first, last) = range(&request, size);
    if first >= size {
        return write!(
            stream,
            "HTTP/1.1 416 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    }
    write!(
        stream,
        "HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\nContent-Range: bytes {first}-{last}/{size}\r\n\
         ETag: \"{etag}\"\r\nX-Repo-Commit: 0123abcd\r\nConnection: close\r\n\r\n",
        last - first + 1
    )?;
    let mut body = file[first as usize..=last as usize].to_vec();
    match answer {
        Answer::Half => body.truncate(body.len() / 2),
        Answer::Altered => *body.last_mut().unwrap() ^= 1,
        _ => {}
    }
    stream.write_all(&body)
}
