//! payment-service: charges an account.
//!
//! It holds a database connection while the card processor thinks. With few connections that is the shop's
//! limit; the fix is to ask the card processor before taking a connection, or more connections.

use std::sync::Arc;

use eino::prelude::*;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use crate::api::{Authorization, Authorized, Charge, Charged, Failure};
use crate::args::PaymentArgs;
use crate::pool::{self, Pool, PoolMetrics, Statement};
use crate::process::configured;

/// Accounts that exist.
pub(crate) const ACCOUNTS: u32 = 1000;

const READ_CARD: Statement =
    Statement { operation: "SELECT", table: "accounts", sql: "SELECT card FROM accounts WHERE id = ?1" };
const WRITE_CHARGE: Statement = Statement {
    operation: "INSERT",
    table: "charges",
    sql: "INSERT INTO charges (account, amount_cents, code) VALUES (?1, ?2, ?3)",
};

#[derive(Clone)]
struct Payment {
    pool: Arc<Pool>,
    client: Client,
}

pub(crate) fn app(args: &PaymentArgs) -> anyhow::Result<App<impl Clone + Send + Sync + 'static>> {
    let app = configured(App::new("payment-service"), &args.service);
    std::fs::create_dir_all(&args.service.data)?;
    let path = args.service.data.join("payment.db");
    let pool =
        Pool::open("payment", &path, args.pool.into(), create_schema, PoolMetrics::register(app.metrics()))?;
    let payment = Payment { pool: Arc::new(pool), client: app.client()? };
    Ok(app.observe().state(payment).route("/charges", post(charge)))
}

async fn charge(
    State(payment): State<Payment>,
    Json(charge): Json<Charge>,
) -> Result<Json<Charged>, Failure> {
    let Charge { account, amount_cents } = charge;
    let connection = payment.pool.acquire().await?;
    let (connection, card) = connection.run(READ_CARD, move |db| read_card(db, account)).await?;
    let card = card.ok_or_else(|| Failure(StatusCode::NOT_FOUND, format!("no account {account}")))?;
    let code = authorize(&payment.client, &Authorization { card, amount_cents }).await?;
    let (connection, charge_id) =
        connection.run(WRITE_CHARGE, move |db| write_charge(db, account, amount_cents, code)).await?;
    drop(connection);
    Ok(Json(Charged { charge_id }))
}

async fn authorize(client: &Client, authorization: &Authorization) -> Result<u64, Failure> {
    let answer = client.post("http://card-processor/authorizations").json(authorization).send().await?;
    let authorized: Authorized = answer.json()?;
    Ok(authorized.code)
}

fn read_card(db: &mut Connection, account: u32) -> rusqlite::Result<Option<String>> {
    db.prepare_cached(READ_CARD.sql)?.query_row([account], |row| row.get(0)).optional()
}

/// Only now it locks the database for writing.
fn write_charge(db: &mut Connection, account: u32, amount_cents: u64, code: u64) -> rusqlite::Result<i64> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.prepare_cached(WRITE_CHARGE.sql)?.execute(params![account, amount_cents, code])?;
    let id = transaction.last_insert_rowid();
    transaction.commit()?;
    Ok(id)
}

fn create_schema(db: &mut Connection) -> rusqlite::Result<()> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS accounts (id INTEGER PRIMARY KEY, card TEXT NOT NULL);
         CREATE TABLE IF NOT EXISTS charges (
             id INTEGER PRIMARY KEY,
             account INTEGER NOT NULL REFERENCES accounts (id),
             amount_cents INTEGER NOT NULL,
             code INTEGER NOT NULL
         );",
    )?;
    for account in 0..ACCOUNTS {
        let card = format!("card-{account:04}");
        transaction
            .execute("INSERT OR IGNORE INTO accounts (id, card) VALUES (?1, ?2)", params![account, card])?;
    }
    transaction.commit()
}

impl From<pool::Error> for Failure {
    fn from(error: pool::Error) -> Self {
        Self(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}
