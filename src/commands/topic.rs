//! `riverrun topic`: list, create, describe and delete topics of a cluster.

use std::collections::HashMap;

use anyhow::{Result, bail};
use clap::Subcommand;
use riverrun::{
    client::{
        Client,
        admin::{Admin, ConfigResource, ConfigSource, NewTopic, OffsetSpec, TopicListing},
    },
    core::TopicPartition,
};

use super::{Cluster, columns, pair, report};

/// Flags of `riverrun topic`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    cluster: Cluster,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// List topics
    List {
        /// Also those the brokers keep for themselves
        #[arg(long)]
        internal: bool,
    },
    /// Create a topic
    Create {
        /// The new topic's name
        name: String,
        /// How many partitions [default: the broker's num.partitions]
        #[arg(long, short)]
        partitions: Option<i32>,
        /// How many replicas of each [default: the broker's default.replication.factor]
        #[arg(long, short)]
        replication_factor: Option<i16>,
        /// A topic config, as name=value; repeatable
        #[arg(long, value_parser = pair)]
        config: Vec<(String, String)>,
    },
    /// Show partitions, offsets and configs of topics
    Describe {
        /// The topics
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Delete topics with all their records
    Delete {
        /// The topics
        #[arg(required = true)]
        names: Vec<String>,
    },
}

/// Does what was asked for, and prints it.
pub(crate) async fn run(args: Args) -> Result<()> {
    let client = args.cluster.client().await?;
    let admin = client.admin();
    match args.action {
        Action::List { internal } => {
            let mut topics = admin.list_topics().await?;
            topics.retain(|topic| internal || !topic.is_internal);
            topics.sort_by(|a, b| a.name.cmp(&b.name));
            let row = |topic: &TopicListing| vec![topic.name.to_string(), topic.partitions.to_string(), id(topic.id)];
            print!("{}", columns(&["TOPIC", "PARTITIONS", "ID"], &topics.iter().map(row).collect::<Vec<_>>()));
            Ok(())
        }
        Action::Create { name, partitions, replication_factor, config } => {
            let topic = NewTopic { name, partitions, replication_factor, configs: config.into_iter().collect() };
            report("create topic", "created", admin.create_topics(&[topic]).await?)
        }
        Action::Describe { names } => describe(&client, &names).await,
        Action::Delete { names } => report("delete topic", "deleted", admin.delete_topics(&names).await?),
    }
}

fn id(id: Option<riverrun::core::Uuid>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}

async fn describe(client: &Client, names: &[String]) -> Result<()> {
    let admin = client.admin();
    let mut failures = 0;
    for (name, described) in admin.describe_topics(names).await? {
        let topic = match described {
            Ok(topic) => topic,
            Err(refused) => {
                eprintln!("riverrun: cannot describe topic {name}: {refused}");
                failures += 1;
                continue;
            }
        };
        println!("topic {name}, id {}, {} partitions", id(topic.id), topic.partitions.len());
        let partitions: Vec<TopicPartition> =
            topic.partitions.iter().map(|info| info.topic_partition.clone()).collect();
        // A partition without a leader has nobody to ask, and is shown as such at once.
        let led = topic.partitions.iter().filter(|info| info.leader.is_some());
        let led: Vec<TopicPartition> = led.map(|info| info.topic_partition.clone()).collect();
        let earliest = offsets(&admin, &led, OffsetSpec::Earliest).await?;
        let latest = offsets(&admin, &led, OffsetSpec::Latest).await?;
        let rows: Vec<_> = topic
            .partitions
            .iter()
            .zip(&partitions)
            .map(|(info, partition)| {
                let offset = |of: &HashMap<_, i64>| of.get(partition).map_or("?".to_owned(), i64::to_string);
                vec![
                    partition.partition.to_string(),
                    info.leader.map_or("none".to_owned(), |leader| leader.to_string()),
                    offset(&earliest),
                    offset(&latest),
                ]
            })
            .collect();
        print!("{}", columns(&["PARTITION", "LEADER", "START", "END"], &rows));
        print_overrides(&admin, &name).await?;
    }
    if failures > 0 {
        bail!("{failures} topics could not be described; riverrun topic list shows what there is")
    } else {
        Ok(())
    }
}

async fn offsets(
    admin: &Admin,
    partitions: &[TopicPartition],
    spec: OffsetSpec,
) -> Result<HashMap<TopicPartition, i64>> {
    let specs = partitions.iter().map(|partition| (partition.clone(), spec)).collect();
    let found = admin.list_offsets(&specs).await?;
    Ok(found.into_iter().filter_map(|(partition, offset)| Some((partition, offset?.offset))).collect())
}

/// The configs that were set for this topic.
async fn print_overrides(admin: &Admin, name: &str) -> Result<()> {
    let resource = ConfigResource::Topic(name.into());
    for (_, entries) in admin.describe_configs(&[resource]).await? {
        for (key, entry) in entries? {
            if entry.source == ConfigSource::Topic {
                println!("config {key}={}", entry.value.as_deref().unwrap_or("(secret)"));
            }
        }
    }
    Ok(())
}
