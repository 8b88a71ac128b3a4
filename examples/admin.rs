//! Learn to administer a cluster from a program: topics, their settings, records, groups and their offsets.
//!
//! Run it with `cargo run --example admin`.

use std::{
    collections::{BTreeMap, HashMap},
    slice::from_ref,
};

use riverrun::{
    broker::Broker,
    client::{AlterConfig, ConfigResource, NewTopic, OffsetAndMetadata, OffsetSpec, ProducerRecord, TopicPartition},
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let broker = Broker::builder().in_memory().start().await?;
    let client = broker.client();
    let admin = client.admin();

    // Every call takes several items and answers for each of them.
    let orders = NewTopic::new("orders", 2).config("retention.ms", "60000");
    let results = admin.create_topics(&[orders, NewTopic::new("no such name!", 1)]).await?;
    assert!(results["orders"].is_ok());
    println!("refused: {}", results["no such name!"].as_ref().err().map(ToString::to_string).unwrap_or_default());

    admin.create_partitions(&[("orders", 3)]).await?["orders"].clone()?;
    let description = admin.describe_topics(&["orders"]).await?["orders"].clone()?;
    assert_eq!(description.partitions.len(), 3);

    // Settings: those given, and the defaults of all others.
    let topic = ConfigResource::Topic("orders".to_owned());
    let change = BTreeMap::from([("max.message.bytes".to_owned(), AlterConfig::Set("5000".to_owned()))]);
    admin.alter_configs(&BTreeMap::from([(topic.clone(), change)])).await?[&topic].clone()?;
    let configs = admin.describe_configs(from_ref(&topic)).await?[&topic].clone()?;
    for name in ["retention.ms", "max.message.bytes", "segment.bytes"] {
        println!("{name} = {} ({:?})", configs[name].value.as_deref().unwrap_or_default(), configs[name].source);
    }
    assert_eq!(configs["max.message.bytes"].value.as_deref(), Some("5000"));

    // Records and their offsets.
    let producer = client.producer().build()?;
    for n in 0..10 {
        producer.send(ProducerRecord::to("orders").partition(0).value(n.to_string())).await?.await?;
    }
    producer.close().await;
    let partition = TopicPartition::new("orders", 0);
    admin.delete_records(&HashMap::from([(partition.clone(), Some(4))])).await?[&partition].clone()?;
    for (spec, expected) in [(OffsetSpec::Earliest, 4), (OffsetSpec::Latest, 10)] {
        let found = admin.list_offsets(&HashMap::from([(partition.clone(), spec)])).await?;
        assert_eq!(found[&partition].map(|at| at.offset), Some(expected));
    }

    // Groups: where one begins can be set before it first runs.
    let begin = HashMap::from([(partition.clone(), OffsetAndMetadata::new(7))]);
    admin.alter_group_offsets("billing", &begin).await?[&partition].clone()?;
    assert_eq!(admin.list_group_offsets("billing", None).await?[&partition].clone()?.offset, 7);
    for group in admin.list_groups().await? {
        println!("group {} is {}", group.group_id, group.state);
    }
    admin.delete_groups(&["billing"]).await?["billing"].clone()?;
    assert!(admin.list_groups().await?.is_empty());

    admin.delete_topics(&["orders"]).await?["orders"].clone()?;
    assert!(admin.list_topics().await?.iter().all(|topic| &*topic.name != "orders"));
    broker.shutdown().await?;
    Ok(())
}
