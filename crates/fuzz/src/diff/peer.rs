//! The two servers: started on free ports with the same data, asked over one connection each.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use model::MetricBatch;
use serde_json::Value;

use super::data::{LENGTH_MS, START_MS, Series};
use super::generate::When;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// One request of remote write holds this much time, so that no sample is late for the head.
const SLICE_MS: i64 = 10 * 60_000;

/// A server that is killed when this is dropped.
pub(crate) struct Peer {
    child: Child,
    address: SocketAddr,
    connection: Option<BufReader<TcpStream>>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Both fail only when the process is gone already.
        let _gone = self.child.kill().is_err();
        let _reaped = self.child.wait().is_err();
    }
}

impl Peer {
    /// Starts `eino server` over an empty directory.
    pub(crate) fn eino(program: &Path, dir: &Path) -> anyhow::Result<Self> {
        let config = dir.join("eino.yaml");
        std::fs::write(&config, "storage: {tsdb: {retention: {time: 100y}}}\n")?;
        let mut child = Command::new(program)
            .args(["server", "--listen=127.0.0.1:0", "--otlp-grpc=off", "--otlp-http=off", "-o", "json"])
            .args(["--enable-feature=promql-experimental-functions"])
            .arg(format!("--config={}", config.display()))
            .arg(format!("--data={}", dir.join("eino").display()))
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(dir.join("eino.log"))?)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let mut line = String::new();
        let stdout = child.stdout.take().context("standard output is piped")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let ready: Value = serde_json::from_str(&line).with_context(|| format!("eino said {line:?}"))?;
        let address = ready["listeners"]["http"].as_str().context("eino named no address")?.parse()?;
        Ok(Self { child, address, connection: None })
    }

    /// Starts Prometheus over an empty directory.
    pub(crate) fn prometheus(program: &Path, dir: &Path) -> anyhow::Result<Self> {
        let config = dir.join("prometheus.yml");
        std::fs::write(&config, "scrape_configs: []\n")?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let child = Command::new(program)
            .args(["--web.enable-remote-write-receiver", "--storage.tsdb.retention.time=100y"])
            .arg("--enable-feature=promql-experimental-functions")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", dir.join("prometheus").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(dir.join("prometheus.log"))?)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let mut peer = Self { child, address, connection: None };
        for _ in 0..1_500 {
            if peer.exchange("GET /-/ready HTTP/1.1", &[], b"").is_ok_and(|(status, _)| status == 200) {
                return Ok(peer);
            }
            if let Some(status) = peer.child.try_wait()? {
                bail!("{} ended with {status}", program.display());
            }
            // Between two questions; nothing depends on its length.
            std::thread::park_timeout(Duration::from_millis(20));
        }
        bail!("{} is not ready within 30 s", program.display())
    }

    /// Its version, as `2.42.0`.
    pub(crate) fn version(&mut self) -> anyhow::Result<String> {
        let (_, body) = self.exchange("GET /api/v1/status/buildinfo HTTP/1.1", &[], b"")?;
        let info: Value = serde_json::from_slice(&body)?;
        Ok(info["data"]["version"].as_str().unwrap_or_default().to_owned())
    }

    /// Writes all series, a slice of time after the other.
    pub(crate) fn write(&mut self, series: &[Series]) -> anyhow::Result<()> {
        let headers = [
            ("Content-Type", "application/x-protobuf"),
            ("Content-Encoding", "snappy"),
            ("X-Prometheus-Remote-Write-Version", "0.1.0"),
        ];
        let mut start_ms = START_MS;
        while start_ms < START_MS + LENGTH_MS + SLICE_MS {
            let body = wire::remote_write::encode(&batch_of(series, start_ms..start_ms + SLICE_MS)?);
            let body = snap::raw::Encoder::new().compress_vec(&body)?;
            let (status, text) = self.exchange("POST /api/v1/write HTTP/1.1", &headers, &body)?;
            if !(200..300).contains(&status) {
                bail!("remote write was answered {status}: {}", String::from_utf8_lossy(&text));
            }
            start_ms += SLICE_MS;
        }
        Ok(())
    }

    /// Asks a query; the answer is JSON whatever its status.
    pub(crate) fn query(&mut self, query: &str, when: When) -> anyhow::Result<Value> {
        let seconds = |ms: i64| format!("{}.{:03}", ms / 1_000, ms % 1_000);
        let mut form = format!("query={}", encode(query));
        let path = match when {
            When::Instant(time_ms) => {
                form += &format!("&time={}", seconds(time_ms));
                "query"
            }
            When::Range { start_ms, end_ms, step_ms } => {
                form += &format!(
                    "&start={}&end={}&step={}",
                    seconds(start_ms),
                    seconds(end_ms),
                    seconds(step_ms)
                );
                "query_range"
            }
        };
        let line = format!("POST /api/v1/{path} HTTP/1.1");
        let headers = [("Content-Type", "application/x-www-form-urlencoded")];
        let (status, body) = self.exchange(&line, &headers, form.as_bytes())?;
        serde_json::from_slice(&body)
            .with_context(|| format!("answer {status} is not JSON: {}", String::from_utf8_lossy(&body)))
    }

    /// One exchange; a connection that was closed meanwhile is opened again.
    fn exchange(
        &mut self,
        line: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> anyhow::Result<(u16, Vec<u8>)> {
        let mut request = format!("{line}\r\nHost: {}\r\nContent-Length: {}\r\n", self.address, body.len());
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += "\r\n";
        if let Some(mut connection) = self.connection.take()
            && let Ok(answer) = exchange_on(&mut connection, &request, body)
        {
            self.connection = Some(connection);
            return Ok(answer);
        }
        let stream =
            TcpStream::connect(self.address).with_context(|| format!("cannot reach {}", self.address))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let mut connection = BufReader::new(stream);
        let answer = exchange_on(&mut connection, &request, body)?;
        self.connection = Some(connection);
        Ok(answer)
    }
}

fn exchange_on(
    connection: &mut BufReader<TcpStream>,
    request: &str,
    body: &[u8],
) -> anyhow::Result<(u16, Vec<u8>)> {
    let mut whole = request.as_bytes().to_vec();
    whole.extend_from_slice(body);
    connection.get_mut().write_all(&whole)?;
    let status_line = read_line(connection)?;
    let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.with_context(|| format!("no status in {status_line:?}"))?;
    let (mut length, mut is_chunked) = (0_usize, false);
    loop {
        let line = read_line(connection)?.to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
        is_chunked |= line.starts_with("transfer-encoding:") && line.contains("chunked");
    }
    if !is_chunked {
        let mut body = vec![0; length];
        connection.read_exact(&mut body)?;
        return Ok((status, body));
    }
    let mut body = Vec::new();
    loop {
        let size = usize::from_str_radix(read_line(connection)?.trim(), 16)?;
        let start = body.len();
        body.resize(start + size, 0);
        connection.read_exact(&mut body[start..])?;
        read_line(connection)?;
        if size == 0 {
            return Ok((status, body));
        }
    }
}

fn read_line(connection: &mut BufReader<TcpStream>) -> anyhow::Result<String> {
    let mut line = String::new();
    if connection.read_line(&mut line)? == 0 {
        bail!("the connection was closed");
    }
    Ok(line.trim_end().to_owned())
}

fn encode(text: &str) -> String {
    let encoded = text.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    });
    encoded.collect()
}

/// The samples of `range_ms`.
fn batch_of(series: &[Series], range_ms: std::ops::Range<i64>) -> anyhow::Result<MetricBatch> {
    let mut batch = MetricBatch::new();
    for Series { labels, samples, histograms } in series {
        let mut pairs: Vec<(&str, &str)> =
            labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
        batch.start_series(&mut pairs)?;
        for (ts_ms, value) in samples.iter().filter(|(ts_ms, _)| range_ms.contains(ts_ms)) {
            batch.push_sample(*ts_ms, *value);
        }
        for sample in histograms.iter().filter(|sample| range_ms.contains(&sample.ts_ms)) {
            batch.push_histogram(sample.clone());
        }
    }
    Ok(batch)
}
