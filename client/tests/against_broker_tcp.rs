//! Every story against our broker over TCP, on a free port.

mod scenarios;

use riverrun_broker::Broker;
use riverrun_client::Client;

async fn over_tcp() -> Option<(Client, Broker)> {
    let builder = Broker::builder().in_memory().listen("127.0.0.1:0");
    let builder = builder.set("group.initial.rebalance.delay.ms", "0").expect("a setting");
    let broker = builder.start().await.expect("the broker starts");
    let address = broker.addresses().first().copied().expect("it listens");
    Some((Client::connect(&address.to_string()).await.expect("the broker answers"), broker))
}

scenarios::run_all!(over_tcp);
