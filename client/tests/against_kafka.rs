//! Every story against the cluster that `RIVERRUN_TEST_BOOTSTRAP` names, which is meant to be Apache Kafka. Without it
//! the stories are passed over, and say so.

mod scenarios;

use riverrun_client::Client;

async fn remote() -> Option<(Client, ())> {
    let Ok(bootstrap) = std::env::var("RIVERRUN_TEST_BOOTSTRAP") else {
        eprintln!("SKIPPED: set RIVERRUN_TEST_BOOTSTRAP=host:port to run this against a Kafka cluster");
        return None;
    };
    Some((Client::connect(&bootstrap).await.expect("the cluster answers"), ()))
}

scenarios::run_all!(remote);
