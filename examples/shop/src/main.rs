//! A member of the shop as a program of its own: `shop gateway --registry DIR --data DIR`.

use clap::Parser;

#[derive(Parser)]
#[command(name = "shop", about = "A member of the demo shop")]
struct Program {
    #[command(flatten)]
    args: shop::ShopArgs,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    shop::run(Program::parse().args).await
}
