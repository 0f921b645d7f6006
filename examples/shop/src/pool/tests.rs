use super::*;
use std::sync::mpsc;

const SELECT: Statement = Statement { operation: "SELECT", table: "t", sql: "SELECT 1" };

fn pool(dir: &tempfile::TempDir, size: usize) -> (Arc<Pool>, Registry) {
    let registry = Registry::new();
    let metrics = PoolMetrics::register(&registry);
    let schema = |db: &mut Connection| db.execute_batch("CREATE TABLE t (n INTEGER)");
    let pool = Pool::open("payment", &dir.path().join("test.db"), size, schema, metrics).unwrap();
    (Arc::new(pool), registry)
}

#[track_caller]
fn check_used(registry: &Registry, used: usize, idle: usize) {
    let text = registry.encode_text();
    for (state, count) in [("used", used), ("idle", idle)] {
        let line = format!(r#"db_pool_connections{{pool="payment",state="{state}"}} {count}"#);
        assert!(text.lines().any(|seen| seen == line), "{line} is not in {text}");
    }
}

#[tokio::test]
async fn no_more_than_its_size_and_first_come_first_served() {
    let dir = tempfile::tempdir().unwrap();
    let (pool, registry) = pool(&dir, 2);
    let (first, second) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    check_used(&registry, 2, 0);
    let (mut third, mut fourth) = (Box::pin(pool.acquire()), Box::pin(pool.acquire()));
    assert!(is_pending_now(&mut third).await && is_pending_now(&mut fourth).await);
    drop(first);
    assert!(is_pending_now(&mut fourth).await, "the third came before");
    let third = third.await.unwrap();
    check_used(&registry, 2, 0);
    drop((second, third));
    fourth.await.unwrap();
    check_used(&registry, 0, 2);
    assert!(registry.encode_text().contains(r#"db_pool_wait_seconds_count{pool="payment"} 4"#));
}

#[tokio::test]
async fn a_cancelled_request_gives_its_connection_back_when_the_statement_ends() {
    let dir = tempfile::tempdir().unwrap();
    let (pool, registry) = pool(&dir, 1);
    let connection = pool.acquire().await.unwrap();
    let (go_on, wait) = mpsc::channel::<()>();
    let (tell, begun) = tokio::sync::oneshot::channel();
    let statement = tokio::spawn(connection.run(SELECT, move |_| {
        tell.send(()).unwrap();
        wait.recv().unwrap();
        Ok(())
    }));
    begun.await.unwrap();
    statement.abort();
    assert!(statement.await.unwrap_err().is_cancelled());
    check_used(&registry, 1, 0);
    go_on.send(()).unwrap();
    pool.acquire().await.unwrap();
    check_used(&registry, 0, 1);
}

#[tokio::test]
async fn an_error_or_a_panic_costs_no_connection() {
    let dir = tempfile::tempdir().unwrap();
    let (pool, registry) = pool(&dir, 1);
    let failed = pool.acquire().await.unwrap().run(SELECT, |db| db.execute_batch("NONSENSE")).await;
    assert!(matches!(failed, Err(Error::Sqlite(_))));
    let panicked =
        pool.acquire().await.unwrap().run(SELECT, |_| -> rusqlite::Result<()> { panic!("on purpose") });
    assert!(matches!(panicked.await, Err(Error::Panicked)));
    let (connection, one) = pool
        .acquire()
        .await
        .unwrap()
        .run(SELECT, |db| db.query_row(SELECT.sql, [], |row| row.get::<_, i64>(0)))
        .await
        .unwrap();
    assert_eq!(one, 1);
    drop(connection);
    check_used(&registry, 0, 1);
}

/// Polls once; whether it is not ready.
async fn is_pending_now<F: Future + Unpin>(future: &mut F) -> bool {
    std::future::poll_fn(|cx| std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx).is_pending()))
        .await
}
