//! `riverrun group`: list, describe and delete consumer groups of a cluster.

use std::collections::HashMap;

use anyhow::{Result, bail};
use clap::Subcommand;
use riverrun::{
    client::{
        Client,
        admin::{GroupDescription, OffsetSpec},
    },
    core::TopicPartition,
};

use super::{Cluster, columns, report};

/// Flags of `riverrun group`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    cluster: Cluster,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// List groups with their states
    List,
    /// Show members, offsets and lag of groups
    Describe {
        /// The groups
        #[arg(required = true)]
        groups: Vec<String>,
    },
    /// Delete groups that have no members, with their offsets
    Delete {
        /// The groups
        #[arg(required = true)]
        groups: Vec<String>,
    },
}

/// Does what was asked for, and prints it.
pub(crate) async fn run(args: Args) -> Result<()> {
    let client = args.cluster.client().await?;
    match args.action {
        Action::List => {
            let groups = client.admin().list_groups().await?;
            let rows: Vec<_> = groups.into_iter().map(|g| vec![g.group_id, g.state, g.protocol_type]).collect();
            print!("{}", columns(&["GROUP", "STATE", "PROTOCOL"], &rows));
            Ok(())
        }
        Action::Describe { groups } => describe(&client, &groups).await,
        Action::Delete { groups } => report("delete group", "deleted", client.admin().delete_groups(&groups).await?),
    }
}

async fn describe(client: &Client, groups: &[String]) -> Result<()> {
    let mut failures = 0;
    for (name, described) in client.admin().describe_groups(groups).await? {
        match described {
            // Kafka describes a group it has never heard of as dead.
            Ok(group) if group.state != "Dead" => print_group(client, &group).await?,
            Ok(_) => {
                eprintln!("riverrun: group {name} does not exist");
                failures += 1;
            }
            Err(refused) => {
                eprintln!("riverrun: cannot describe group {name}: {refused}");
                failures += 1;
            }
        }
    }
    if failures > 0 {
        bail!("{failures} groups could not be described; riverrun group list shows what there is")
    } else {
        Ok(())
    }
}

async fn print_group(client: &Client, group: &GroupDescription) -> Result<()> {
    println!(
        "group {}, {}, {} members, assignor '{}'",
        group.group_id,
        group.state,
        group.members.len(),
        group.assignor
    );
    let owner_of = |partition: &TopicPartition| {
        let owner = group.members.iter().find(|member| member.assignment.contains(partition));
        owner.map_or("-".to_owned(), |member| format!("{} {}", member.client_id, member.client_host))
    };
    let committed = client.admin().list_group_offsets(&group.group_id, None).await?;
    let specs = committed.keys().map(|partition| (partition.clone(), OffsetSpec::Latest)).collect();
    let ends: HashMap<_, _> = client.admin().list_offsets(&specs).await.unwrap_or_default();
    let mut rows = Vec::new();
    for (partition, committed) in committed {
        let committed = committed?.offset;
        let end = ends.get(&partition).and_then(|end| end.as_ref()).map(|end| end.offset);
        rows.push(vec![
            partition.topic.to_string(),
            partition.partition.to_string(),
            committed.to_string(),
            end.map_or("?".to_owned(), |end| end.to_string()),
            end.map_or("?".to_owned(), |end| (end - committed).max(0).to_string()),
            owner_of(&partition),
        ]);
    }
    print!("{}", columns(&["TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "MEMBER"], &rows));
    Ok(())
}
