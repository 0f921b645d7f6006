//! The smallest service: `cargo run -p eino --example hello`, then `curl 127.0.0.1:8080/hello/world`.

use eino::prelude::*;

#[tokio::main]
async fn main() -> Result<(), eino::Error> {
    App::new("hello").observe().route("/hello/{name}", get(hello)).run().await
}

async fn hello(Path(name): Path<String>) -> String {
    format!("Hello, {name}!")
}
