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
    /// Experimental parts that are switched on.
    pub features: Features,
    /// What `/api/v1/status/flags` shows.
    pub flags: Vec<(&'static str, String)>,
}

/// Experimental parts of PromQL, by the names of Prometheus's `--enable-feature`.
#[derive(Clone, Debug, Default)]
pub struct Features {
    pub syntax: promql::Syntax,
    /// The times at which counters began count as resets.
    pub use_start_times: bool,
    /// Names that switch nothing: unknown here, or always on.
    pub without_effect: Vec<String>,
}

impl Features {
    /// Of names as Prometheus has them.
    pub fn from_names<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let mut features = Self::default();
        for name in names {
            match name {
                "promql-experimental-functions" => features.syntax.experimental_functions = true,
                "promql-duration-expr" => features.syntax.duration_expressions = true,
                "promql-extended-range-selectors" => features.syntax.extended_range_selectors = true,
                "promql-binop-fill-modifiers" => features.syntax.fill_modifiers = true,
                "use-start-timestamps" => features.use_start_times = true,
                other => features.without_effect.push(other.to_owned()),
            }
        }
        features
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_have_prometheuss_names() {
        let names = ["promql-experimental-functions", "native-histograms", "use-start-timestamps"];
        let features = Features::from_names(names);
        assert!(features.syntax.experimental_functions && features.use_start_times);
        assert!(!features.syntax.fill_modifiers && features.syntax.duration_expressions);
        assert_eq!(features.without_effect, ["native-histograms"]);
    }

    #[test]
    fn listen_addresses() {
        assert_eq!("off".parse(), Ok(Listen::Off));
        assert_eq!("127.0.0.1:0".parse(), Ok(Listen::At(([127, 0, 0, 1], 0).into())));
        assert_eq!(":4317".parse(), Ok(Listen::At(([127, 0, 0, 1], 4317).into())));
        assert_eq!("localhost:4317".parse(), Ok(Listen::At(([127, 0, 0, 1], 4317).into())));
        assert!("4317".parse::<Listen>().is_err() && "host:port".parse::<Listen>().is_err());
    }
}
