//! Everything the demo starts, and its orderly end.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clock::Clock;
use futures_util::future::select_all;
use serde_json::Value;

use super::child::Child;
use super::progress::step;
use crate::client::Client;

/// The services, in the order they start: who is called comes first.
const SERVICES: [&str; 5] = ["card", "inventory", "payment", "order", "gateway"];
/// Those that are instrumented, so scraped. The card processor is somebody else's.
const SCRAPED: [&str; 4] = ["inventory", "payment", "order", "gateway"];

pub(crate) struct StageOptions {
    pub(crate) listen: Option<String>,
    pub(crate) data: Option<PathBuf>,
    pub(crate) pool: u32,
    pub(crate) rate: f64,
    pub(crate) seed: u64,
}

/// The running demo.
pub(crate) struct Stage {
    options: StageOptions,
    dir: PathBuf,
    /// Whether `dir` is ours to remove.
    is_temporary: bool,
    children: Vec<Child>,
    load: Option<Load>,
    url: String,
    otlp_url: String,
    targets: Vec<(&'static str, String)>,
    pub(crate) clock: Clock,
}

struct Load {
    stop: tokio::sync::watch::Sender<bool>,
    task: tokio::task::JoinHandle<shop::LoadStats>,
}

impl Stage {
    pub(crate) fn new(options: StageOptions) -> anyhow::Result<Self> {
        let (dir, is_temporary) = match &options.data {
            Some(dir) => (dir.clone(), false),
            None => (std::env::temp_dir().join(format!("eino-demo-{}", std::process::id())), true),
        };
        for part in ["logs", "registry", "shop"] {
            let path = dir.join(part);
            fs::create_dir_all(&path).with_context(|| {
                format!("cannot create {}: is the disk there, writable and not full? choose another with --data DIR", path.display())
            })?;
        }
        Ok(Self {
            options,
            dir,
            is_temporary,
            children: Vec::new(),
            load: None,
            url: String::new(),
            otlp_url: String::new(),
            targets: Vec::new(),
            clock: Clock::system(),
        })
    }

    /// Starts server, shop and load.
    pub(crate) async fn start(&mut self) -> anyhow::Result<()> {
        self.start_server().await?;
        for service in SERVICES {
            let pool = self.options.pool;
            self.start_service(service, pool).await?;
        }
        self.write_targets()?;
        step(&format!(
            "the shop runs: {} services, {} orders per second",
            SERVICES.len() - 1,
            self.options.rate
        ));
        self.start_load()
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Where everything is kept.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.url)
    }

    pub(crate) fn pool(&self) -> u32 {
        self.options.pool
    }

    /// Starts the payment service anew with another pool.
    pub(crate) async fn restart_payment(&mut self, pool: u32) -> anyhow::Result<()> {
        let position = self
            .children
            .iter()
            .position(|child| child.name == "payment")
            .context("BUG: payment does not run")?;
        self.children.remove(position).stop().await;
        self.start_service("payment", pool).await?;
        self.write_targets()
    }

    /// Resolves with an error when any child ends.
    pub(crate) async fn first_to_die(&mut self) -> anyhow::Result<()> {
        let deaths: Vec<_> = self.children.iter_mut().map(|child| Box::pin(child.death())).collect();
        Err(select_all(deaths).await.0)
    }

    /// Ends load, shop and server, in this order.
    pub(crate) async fn stop(mut self) {
        if let Some(load) = self.load.take() {
            // A receiver that is gone has stopped already.
            let _stopped = load.stop.send(true).is_err();
            if let Err(error) = load.task.await {
                tracing::warn!(%error, "the load generator failed");
            }
        }
        while let Some(child) = self.children.pop() {
            child.stop().await;
        }
        if self.is_temporary
            && let Err(error) = fs::remove_dir_all(&self.dir)
        {
            tracing::warn!(%error, path = %self.dir.display(), "cannot remove the demo's directory");
        }
    }

    async fn start_server(&mut self) -> anyhow::Result<()> {
        let config = self.dir.join("eino.yaml");
        let targets = self.dir.join("targets.json");
        fs::write(&targets, "[]").with_context(|| format!("cannot write {}", targets.display()))?;
        fs::write(&config, server_config(&targets))
            .with_context(|| format!("cannot write {}", config.display()))?;
        let listen = match &self.options.listen {
            Some(explicit) => explicit.clone(),
            None => free_or_any("UI and APIs", 9090),
        };
        let arguments = [
            "server".to_owned(),
            format!("--config={}", config.display()),
            format!("--data={}", self.dir.join("data").display()),
            format!("--listen={listen}"),
            format!("--otlp-grpc={}", free_or_any("OTLP/gRPC", 4317)),
            format!("--otlp-http={}", free_or_any("OTLP/HTTP", 4318)),
            "--die-with-parent".to_owned(),
            "--output=json".to_owned(),
        ];
        let (child, ready) = Child::start("server", &arguments, &self.dir.join("logs")).await?;
        self.children.push(child);
        self.url = format!("http://{}", listener(&ready, "http")?);
        self.otlp_url = format!("http://{}", listener(&ready, "otlp_http")?);
        step(&format!("the server runs at {}", self.url));
        Ok(())
    }

    async fn start_service(&mut self, service: &'static str, pool: u32) -> anyhow::Result<()> {
        let mut arguments = vec![
            "shop".to_owned(),
            service.to_owned(),
            "--listen=127.0.0.1:0".to_owned(),
            format!("--registry={}", self.dir.join("registry").display()),
            format!("--otlp={}", self.otlp_url),
            format!("--data={}", self.dir.join("shop").display()),
            format!("--seed={}", self.options.seed),
            "--die-with-parent".to_owned(),
        ];
        if service == "payment" {
            arguments.push(format!("--pool={pool}"));
        }
        let (child, ready) = Child::start(service, &arguments, &self.dir.join("logs")).await?;
        self.children.push(child);
        let Some(address) = ready["addr"].as_str() else {
            bail!("{service} did not say its address: {ready}")
        };
        self.targets.retain(|(name, _)| *name != service);
        self.targets.push((service, address.to_owned()));
        Ok(())
    }

    /// Tells the server's file discovery what to scrape. Renamed into place, so that it is never read half written.
    fn write_targets(&self) -> anyhow::Result<()> {
        let scraped = self.targets.iter().filter(|(service, _)| SCRAPED.contains(service));
        let groups: Vec<Value> = scraped
            .map(|(service, address)| serde_json::json!({"targets": [address], "labels": {"service": service}}))
            .collect();
        let (path, new) = (self.dir.join("targets.json"), self.dir.join("targets.json.new"));
        fs::write(&new, Value::from(groups).to_string())
            .with_context(|| format!("cannot write {}", new.display()))?;
        fs::rename(&new, &path).with_context(|| format!("cannot write {}", path.display()))
    }

    fn start_load(&mut self) -> anyhow::Result<()> {
        let gateway = self
            .targets
            .iter()
            .find(|(service, _)| *service == "gateway")
            .context("BUG: the gateway does not run")?;
        let config = shop::LoadConfig {
            url: format!("http://{}/orders", gateway.1),
            rate_per_s: self.options.rate,
            seed: self.options.seed,
            ..shop::LoadConfig::default()
        };
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let task = tokio::spawn(shop::run_load(config, stopped));
        self.load = Some(Load { stop, task });
        Ok(())
    }
}

fn listener(ready: &Value, name: &str) -> anyhow::Result<SocketAddr> {
    let address = ready["listeners"][name].as_str().and_then(|address| address.parse().ok());
    address.with_context(|| format!("the server did not say its {name} address: {ready}"))
}

/// The default port if nobody has it, else "any free one", which is said.
fn free_or_any(what: &str, port: u16) -> String {
    if TcpListener::bind(("127.0.0.1", port)).is_ok() {
        return format!("127.0.0.1:{port}");
    }
    step(&format!("port {port} is taken: {what} gets a free one"));
    "127.0.0.1:0".to_owned()
}

fn server_config(targets: &Path) -> String {
    format!(
        "global:\n  scrape_interval: 2s\nscrape_configs:\n  - job_name: shop\n    file_sd_configs:\n      - files: [{:?}]\n        \
         refresh_interval: 2s\n",
        targets.display().to_string()
    )
}
