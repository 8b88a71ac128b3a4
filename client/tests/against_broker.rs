//! Every story against our broker in the same process, without sockets: requests are handed over as they are.

mod scenarios;

use riverrun_broker::Broker;
use riverrun_client::Client;

async fn in_process() -> Option<(Client, Broker)> {
    let builder = Broker::builder().in_memory().set("group.initial.rebalance.delay.ms", "0").expect("a setting");
    let broker = builder.start().await.expect("the broker starts");
    Some((broker.client(), broker))
}

scenarios::run_all!(in_process);
