//! Listeners: bound first, so that a taken port is an error before anything else starts; served later.

use std::io;
use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::options::Listen;

/// A listener that holds its port.
pub(crate) struct Bound {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    listener: TcpListener,
}

/// A port that can't be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for {name}: {}", reason(source))]
pub struct BindError {
    pub name: &'static str,
    pub address: SocketAddr,
    pub source: io::Error,
}

fn reason(source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            "the port is taken; stop the other program or choose another port (0 = any free one)".into()
        }
        io::ErrorKind::PermissionDenied => "no permission; choose a port above 1023".into(),
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".into(),
        _ => source.to_string(),
    }
}

/// Binds, unless it is off.
pub(crate) async fn bind(name: &'static str, listen: Listen) -> Result<Option<Bound>, BindError> {
    let Listen::At(address) = listen else { return Ok(None) };
    let error = |source| BindError { name, address, source };
    let listener = TcpListener::bind(address).await.map_err(error)?;
    let address = listener.local_addr().map_err(error)?;
    Ok(Some(Bound { name, address, listener }))
}

/// Serves until `stop` says so, then lets running requests finish.
pub(crate) fn serve(bound: Bound, router: Router, mut stop: watch::Receiver<bool>) -> JoinHandle<()> {
    let stopped = async move {
        // An error means the sender is gone, which is a stop too.
        let _gone = stop.wait_for(|stop| *stop).await.is_err();
    };
    tokio::spawn(async move {
        let served = axum::serve(bound.listener, router).with_graceful_shutdown(stopped).await;
        if let Err(error) = served {
            tracing::error!(%error, listener = bound.name, "a listener ended");
        }
    })
}
