//! What the command line decides; everything else stands in the configuration file.

use std::net::SocketAddr;
use std::path::PathBuf;

use http_api::WebSettings;

/// Where a listener binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// This address; port 0 picks a free one.
    At(SocketAddr),
    /// Not at all.
    Off,
}

impl std::str::FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let with_host = if text.starts_with(':') { format!("127.0.0.1{text}") } else { text.to_owned() };
        let with_host = with_host.replace("localhost:", "127.0.0.1:");
        let address = with_host.parse();
        address.map(Self::At).map_err(|_| format!("{text:?} is not HOST:PORT with a numeric host, nor `off`"))
    }
}

/// Settings of one server process.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// A `prometheus.yml` or `eino.yaml`; none = all defaults.
    pub config: Option<PathBuf>,
    /// Where everything is kept. Created when absent.
    pub data: PathBuf,
    /// All HTTP: UI and every API.
    pub listen: SocketAddr,
    /// OTLP/gRPC.
    pub otlp_grpc: Listen,
    /// OTLP/HTTP.
    pub otlp_http: Listen,
    /// Seeds jitter and ids.
    pub seed: u64,
    /// Which parts of the HTTP API are open, and to whom.
    pub web: WebSettings,
    /// What `/api/v1/status/flags` shows.
    pub flags: Vec<(&'static str, String)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_addresses() {
        assert_eq!("off".parse(), Ok(Listen::Off));
        assert_eq!("127.0.0.1:0".parse(), Ok(Listen::At(([127, 0, 0, 1], 0).into())));
        assert_eq!(":4317".parse(), Ok(Listen::At(([127, 0, 0, 1], 4317).into())));
        assert_eq!("localhost:4317".parse(), Ok(Listen::At(([127, 0, 0, 1], 4317).into())));
        assert!("4317".parse::<Listen>().is_err() && "host:port".parse::<Listen>().is_err());
    }
}
