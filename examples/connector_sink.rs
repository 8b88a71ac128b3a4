//! Learn to write a sink connector: records are posted to a web server, and what it refuses for now is tried again.
//!
//! The server and the broker are in this program too. Run it with `cargo run --example connector_sink`.

use riverrun::{
    broker::Broker,
    client::ProducerRecord,
    connect::{Connectors, Properties, Sink, SinkContext, SinkRecord, TaskError, Worker, config},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

config! {
    /// What the webhook can be told.
    struct WebhookConfig {
        /// Where the server is, `host:port`.
        address: String = "address", High;
        /// What to post to.
        path: String = "path", Medium, default "/";
    }
}

struct Webhook(WebhookConfig);

impl Sink for Webhook {
    type Config = WebhookConfig;

    async fn start(config: WebhookConfig, _: SinkContext) -> Result<Self, TaskError> {
        Ok(Self(config))
    }

    async fn put(&mut self, batch: &[SinkRecord]) -> Result<(), TaskError> {
        let WebhookConfig { address, path } = &self.0;
        let values: Vec<&[u8]> = batch.iter().filter_map(|record| record.raw_value.as_deref()).collect();
        let body = values.join(&b'\n');
        let head = format!("POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {}\r\n\r\n", body.len());
        let mut stream = BufReader::new(TcpStream::connect(address).await?);
        stream.write_all(&[head.as_bytes(), &body].concat()).await?;
        let mut status = String::new();
        stream.read_line(&mut status).await?;
        match status.split(' ').nth(1).and_then(|code| code.chars().next()) {
            Some('2') => Ok(()),
            Some('5') => Err(TaskError::retriable(status)),
            _ => Err(TaskError::fatal(status)),
        }
    }

    /// The server's answer to `put` says that it has the records; there is nothing left to wait for.
    async fn flush(&mut self) -> Result<(), TaskError> {
        Ok(())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let server = TcpListener::bind("127.0.0.1:0").await?;
    let broker = Broker::builder().in_memory().start().await?;
    let producer = broker.client().producer().build()?;
    for order in ["3 apples", "1 pear"] {
        producer.send(ProducerRecord::to("orders").value(order)).await?.await?;
    }
    producer.close().await;

    let hook = Properties::connector("shop", "webhook").set("topics", "orders").set("value.converter", "string");
    let worker = Worker::builder(&broker)
        .connectors(Connectors::builtin().with_sink::<Webhook>("webhook"))
        .connector(hook.set("address", server.local_addr()?).set("path", "/orders"))
        .start()?;

    let refused = serve(&server, "503 Service Unavailable").await?;
    let accepted = serve(&server, "200 OK").await?;
    assert_eq!(refused, "POST /orders HTTP/1.1: 3 apples\n1 pear");
    assert_eq!(accepted, refused, "the same batch again");
    println!("{accepted}");

    let status = &worker.stop().await[0];
    assert_eq!(status.tasks[0].records, 2);
    broker.shutdown().await?;
    Ok(())
}

/// Answers one request; gives its first line and its body.
async fn serve(server: &TcpListener, status: &str) -> anyhow::Result<String> {
    let mut stream = BufReader::new(server.accept().await?.0);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        stream.read_line(&mut head).await?;
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or_default();
    let mut body = vec![0; length.parse()?];
    stream.read_exact(&mut body).await?;
    stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes()).await?;
    Ok(format!("{}: {}", head.lines().next().unwrap_or_default(), String::from_utf8(body)?))
}
