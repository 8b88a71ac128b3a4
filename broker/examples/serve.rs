//! Learn how to run a broker inside a program: it serves in memory, or a folder if one is given, until Ctrl-C.
//! `cargo run -p riverrun-broker --example serve -- 127.0.0.1:9092 [folder] [name=value]...`

use riverrun_broker::Broker;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:9092".to_owned());
    let mut builder = Broker::builder().in_memory().listen(address);
    for argument in arguments {
        builder = match argument.split_once('=') {
            Some((name, value)) => builder.set(name, value)?,
            None => builder.data_dir(argument),
        };
    }
    let broker = builder.start().await?;
    println!("listening on {:?}", broker.addresses());
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminated.recv() => {}
    }
    Ok(broker.shutdown().await?)
}
