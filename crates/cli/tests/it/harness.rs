//! Starts `eino server` as a child process and talks to it over plain sockets.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long a state may take to come about before the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The binary under test.
pub(crate) fn eino() -> Command {
    Command::new(env!("CARGO_BIN_EXE_eino"))
}

/// A running server with its data directory.
pub(crate) struct TestServer {
    child: Child,
    pub(crate) dir: PathBuf,
    pub(crate) http: SocketAddr,
    pub(crate) otlp_grpc: SocketAddr,
    pub(crate) otlp_http: SocketAddr,
    _temporary: Option<tempfile::TempDir>,
}

impl TestServer {
    /// A server on free ports with an empty data directory; `config` is the text of its configuration file.
    pub(crate) fn start(config: &str) -> Self {
        Self::start_config_with(config, &[])
    }

    /// As [`start`](Self::start), with more arguments.
    pub(crate) fn start_config_with(config: &str, arguments: &[&str]) -> Self {
        let temporary = tempfile::tempdir().expect("temporary directory");
        std::fs::write(temporary.path().join("eino.yaml"), config).expect("configuration is written");
        let mut server = Self::start_with(temporary.path(), arguments);
        server._temporary = Some(temporary);
        server
    }

    /// A server on free ports over what is in `dir`.
    pub(crate) fn start_in(dir: &Path) -> Self {
        Self::start_with(dir, &[])
    }

    /// Likewise, with more arguments.
    pub(crate) fn start_with(dir: &Path, arguments: &[&str]) -> Self {
        let mut child = eino()
            .args([
                "server",
                "--listen=127.0.0.1:0",
                "--otlp-grpc=127.0.0.1:0",
                "--otlp-http=127.0.0.1:0",
                "-o",
                "json",
            ])
            .arg(format!("--config={}", dir.join("eino.yaml").display()))
            .arg(format!("--data={}", dir.join("data").display()))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(
                std::fs::File::options()
                    .create(true)
                    .append(true)
                    .open(dir.join("server.log"))
                    .expect("log file"),
            )
            .spawn()
            .expect("eino starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut line).expect("the server says its addresses");
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|error| {
            let log = std::fs::read_to_string(dir.join("server.log")).unwrap_or_default();
            panic!("the server said {line:?} ({error}) and logged:\n{log}")
        });
        let address = |name: &str| {
            ready["listeners"][name].as_str().and_then(|text| text.parse().ok()).expect("an address")
        };
        Self {
            child,
            dir: dir.to_owned(),
            http: address("http"),
            otlp_grpc: address("otlp_grpc"),
            otlp_http: address("otlp_http"),
            _temporary: None,
        }
    }

    /// Ends it as a power button would end the process, and starts another one over the same data.
    pub(crate) fn kill_and_restart(mut self) -> Self {
        self.child.kill().expect("SIGKILL");
        self.child.wait().expect("the killed process is reaped");
        let mut next = Self::start_in(&self.dir.clone());
        next._temporary = self._temporary.take();
        next
    }

    /// Asks it to stop and gives back its exit status and how long that took.
    pub(crate) fn terminate(&mut self) -> (std::process::ExitStatus, Duration) {
        let started = now();
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs").success());
        (self.child.wait().expect("the process ends"), started.elapsed())
    }

    /// Waits until it ends by itself.
    pub(crate) fn wait(&mut self) -> std::process::ExitStatus {
        self.child.wait().expect("the process ends")
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory in MiB.
    pub(crate) fn resident_mib(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("the process runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number") / 1_024
    }

    /// `GET path`, which must answer 200 with JSON.
    pub(crate) fn get_json(&self, path: &str) -> Value {
        let answer = request(self.http, "GET", path, &[], b"");
        assert_eq!(answer.status, 200, "GET {path}: {}", answer.text());
        serde_json::from_slice(&answer.body)
            .unwrap_or_else(|error| panic!("GET {path}: {error}: {}", answer.text()))
    }

    /// Result of an instant PromQL query.
    pub(crate) fn query(&self, promql: &str) -> Value {
        self.get_json(&format!("/api/v1/query?query={}", encode(promql)))["data"]["result"].clone()
    }

    /// The value of a query that gives one series, or `None`.
    pub(crate) fn query_value(&self, promql: &str) -> Option<f64> {
        self.query(promql)[0]["value"][1].as_str().and_then(|text| text.parse().ok())
    }

    /// Sum of a metric of the server itself over the series that contain all of `labels`.
    pub(crate) fn own_metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = request(self.http, "GET", "/metrics", &[], b"").text();
        let lines = text
            .lines()
            .filter(|line| line.starts_with(name) && labels.iter().all(|label| line.contains(label)));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        // Both fail only when the process is gone already.
        let _gone = self.child.kill().is_err();
        let _reaped = self.child.wait().is_err();
    }
}

/// An HTTP answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One HTTP/1.1 exchange on its own connection. A server that answers and closes before the whole body is sent is
/// heard too.
pub(crate) fn request(
    to: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let mut stream = TcpStream::connect(to).expect("connects");
    stream.set_read_timeout(Some(PATIENCE)).expect("timeout is set");
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
    let mut raw = Vec::new();
    let heard = stream.read_to_end(&mut raw);
    assert!(!raw.is_empty(), "no answer to {method} {path}: sent {sent:?}, heard {heard:?}");
    parse_answer(&raw)
}

fn parse_answer(raw: &[u8]) -> Answer {
    let split = raw.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&raw[..split]).into_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let body = raw[split + 4..].to_vec();
    let is_chunked = head.to_lowercase().contains("transfer-encoding: chunked");
    Answer { status, head, body: if is_chunked { unchunk(&body) } else { body } }
}

fn unchunk(mut raw: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = raw.windows(2).position(|two| two == b"\r\n") {
        let len = usize::from_str_radix(std::str::from_utf8(&raw[..end]).expect("a size").trim(), 16)
            .expect("a size");
        if len == 0 {
            break;
        }
        body.extend_from_slice(&raw[end + 2..end + 2 + len]);
        raw = &raw[end + 2 + len + 2..];
    }
    body
}

/// Percent-encodes a query parameter.
pub(crate) fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// Asks again until `state` gives an answer.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut state: impl FnMut() -> Option<T>) -> T {
    let started = now();
    loop {
        if let Some(reached) = state() {
            return reached;
        }
        assert!(started.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        // Between two questions; nothing depends on its length.
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Reference data beside the repository; says so when they are not there.
pub(crate) fn shared(part: &str) -> Option<PathBuf> {
    let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared"));
    let path = variable("EINO_SHARED").map_or_else(beside, PathBuf::from).join(part);
    if path.exists() {
        return Some(path);
    }
    say(&format!("skipped: {} is not there", path.display()));
    None
}

/// A tool that `cargo xtask test` installs; says so when it is not there.
pub(crate) fn tool(variable_name: &str) -> Option<PathBuf> {
    let found = variable(variable_name).map(PathBuf::from);
    if found.is_none() {
        say(&format!("skipped: {variable_name} is not set; `cargo xtask test` installs what it names"));
    }
    found
}

/// Writes a line that also shows when the test passes.
fn say(text: &str) {
    // A closed stderr leaves nobody to tell.
    let _closed = writeln!(std::io::stderr(), "{text}").is_err();
}

#[expect(clippy::disallowed_methods, reason = "tests are told by the environment where their tools are")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[expect(clippy::disallowed_methods, reason = "a real process is watched in real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Wall-clock time in milliseconds.
pub(crate) fn unix_ms() -> i64 {
    clock::Clock::system().unix_ms()
}
