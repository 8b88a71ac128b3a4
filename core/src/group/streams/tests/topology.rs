//! Topologies: their checks, and what becomes of them on the topics there are. Random topologies are compared with what
//! Apache Kafka 4.3 made of them (`tests/fixtures/streams_group`).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::super::{
    ConfiguredTopology, CopartitionGroup, InvalidTopology, StatusCode, Subtopology, TopicInfo, TopicProblem, Topology,
    TopologyEpoch,
};

fn names(list: &[&str]) -> Vec<Arc<str>> {
    list.iter().map(|name| Arc::from(*name)).collect()
}

fn name_set(list: &[&str]) -> BTreeSet<Arc<str>> {
    names(list).into_iter().collect()
}

fn info(name: &str, partitions: i32) -> TopicInfo {
    TopicInfo { name: name.into(), partitions: (partitions != 0).then_some(partitions), ..TopicInfo::default() }
}

fn topology(parts: Vec<Subtopology>) -> Result<Topology, InvalidTopology> {
    let parts = parts.into_iter().enumerate().map(|(index, part)| (index.to_string().into(), part));
    Topology::from_parts(TopologyEpoch(3), parts)
}

fn configure(topology: &Topology, topics: &[(&str, i32)]) -> ConfiguredTopology {
    let topics: BTreeMap<&str, i32> = topics.iter().copied().collect();
    ConfiguredTopology::configure(topology, |topic| topics.get(topic).copied()).unwrap()
}

/// Words counted: what the Java client sends for `stream.groupBy(..).count()` on a topic of its own.
fn word_count() -> Topology {
    let split = Subtopology {
        source_topics: names(&["lines"]),
        repartition_sink_topics: names(&["app-counts-repartition"]),
        ..Subtopology::default()
    };
    let mut changelog = info("app-counts-changelog", 0);
    changelog.configs.insert("cleanup.policy".into(), "compact".into());
    changelog.replication_factor = Some(2);
    let count = Subtopology {
        state_changelog_topics: vec![changelog],
        repartition_source_topics: vec![info("app-counts-repartition", 0)],
        ..Subtopology::default()
    };
    topology(vec![split, count]).unwrap()
}

#[test]
fn internal_topics_follow_the_source_topic_and_are_awaited() {
    let topology = word_count();
    let configured = configure(&topology, &[("lines", 5)]);
    assert_eq!(configured.topology_epoch, TopologyEpoch(3));
    assert!(!configured.is_ready());
    assert_eq!(configured.assignable().count(), 0);
    let problem = configured.problem.unwrap();
    assert_eq!(problem.status(), StatusCode::MissingInternalTopics);
    assert_eq!(
        problem.to_string(),
        "these internal topics are not created yet: app-counts-changelog, app-counts-repartition"
    );
    let changelog = &configured.topics_to_create["app-counts-changelog"];
    assert_eq!((changelog.partitions, changelog.replication_factor), (5, Some(2)));
    assert_eq!(changelog.configs["cleanup.policy"], "compact");
    let repartition = &configured.topics_to_create["app-counts-repartition"];
    assert_eq!((repartition.partitions, repartition.replication_factor), (5, None));

    let created = [("lines", 5), ("app-counts-changelog", 5), ("app-counts-repartition", 5)];
    let configured = configure(&topology, &created);
    assert!(configured.is_ready() && configured.topics_to_create.is_empty());
    let tasks: Vec<_> =
        configured.assignable().map(|(id, part)| (&**id, part.task_count, part.is_stateful())).collect();
    assert_eq!(tasks, [("0", 5, false), ("1", 5, true)]);
}

#[test]
fn missing_source_topics_are_named_and_the_text_stays_short() {
    let part = Subtopology { source_topics: names(&["e", "d", "c", "b", "a"]), ..Subtopology::default() };
    let topology = topology(vec![part]).unwrap();
    let configured = configure(&topology, &[("c", 1)]);
    assert_eq!(configured.subtopologies, None);
    let problem = configured.problem.unwrap();
    assert_eq!(problem, TopicProblem::MissingSourceTopics { topics: name_set(&["a", "b", "d", "e"]) });
    assert_eq!(problem.status().code(), 1);
    assert_eq!(problem.to_string(), "these source topics do not exist: a, b, d and 1 more");
}

#[test]
fn topics_read_together_must_have_equally_many_partitions() {
    let part = Subtopology {
        source_topics: names(&["left", "right"]),
        copartition_groups: vec![CopartitionGroup { source_topics: vec![0, 1], ..CopartitionGroup::default() }],
        ..Subtopology::default()
    };
    let topology = topology(vec![part]).unwrap();
    assert!(configure(&topology, &[("left", 2), ("right", 2)]).is_ready());
    let problem = configure(&topology, &[("left", 2), ("right", 3)]).problem.unwrap();
    assert_eq!(problem.status(), StatusCode::IncorrectlyPartitionedTopics);
    assert_eq!(
        problem.to_string(),
        "these topics are read together, but their numbers of partitions differ: left (2), right (3)"
    );
}

#[test]
fn an_internal_topic_of_another_size_is_told() {
    let topics = [("lines", 5), ("app-counts-changelog", 4), ("app-counts-repartition", 5)];
    let problem = configure(&word_count(), &topics).problem.unwrap();
    let topic = "app-counts-changelog".into();
    assert_eq!(problem, TopicProblem::InternalTopicDiffers { topic, partitions: 4, expected: 5 });
    assert_eq!(problem.status().code(), 2);
}

#[test]
fn required_topics_are_those_read_and_the_changelogs() {
    let topology = word_count();
    let required: Vec<&str> = topology.required_topics().into_iter().map(|name| &**name).collect();
    assert_eq!(required, ["app-counts-changelog", "app-counts-repartition", "lines"]);
}

#[test]
fn what_no_group_can_have_is_refused() {
    let refused = |part: Subtopology| topology(vec![part]).unwrap_err();
    let reads = || Subtopology { source_topics: names(&["in"]), ..Subtopology::default() };

    let part = Subtopology { source_topic_regex: names(&["in.*"]), ..reads() };
    assert!(matches!(refused(part), InvalidTopology::RegexUnsupported { .. }));
    let part = Subtopology { state_changelog_topics: vec![info("log", 3)], ..reads() };
    assert!(matches!(refused(part), InvalidTopology::ChangelogPartitionsSet { partitions: 3, .. }));
    let part = Subtopology { repartition_source_topics: vec![info("again", -1)], ..reads() };
    assert!(matches!(refused(part), InvalidTopology::NegativePartitions { partitions: -1, .. }));
    for index in [1, -1, i16::MAX] {
        let group = CopartitionGroup { source_topics: vec![index], ..CopartitionGroup::default() };
        let part = Subtopology { copartition_groups: vec![group], ..reads() };
        assert_eq!(refused(part), InvalidTopology::CopartitionIndex { subtopology: "0".into(), index });
    }
    let twice = Topology::from_parts(TopologyEpoch(0), [("0".into(), reads()), ("0".into(), reads())]);
    assert!(matches!(twice, Err(InvalidTopology::DuplicateSubtopology { .. })));
}

#[test]
fn order_of_subtopologies_makes_no_difference() {
    let part = |topic: &str| Subtopology { source_topics: names(&[topic]), ..Subtopology::default() };
    let parts = [("0".into(), part("a")), ("1".into(), part("b"))];
    let mut reversed = parts.clone();
    reversed.reverse();
    let epoch = TopologyEpoch(1);
    assert_eq!(Topology::from_parts(epoch, parts), Topology::from_parts(epoch, reversed));
}

/// A case of the fixture: topics, subtopologies, and what Kafka said.
struct Case {
    topics: BTreeMap<String, i32>,
    topology: Topology,
    expected: String,
}

fn split<'a>(text: &'a str, by: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(by).map(str::trim).filter(|part| !part.is_empty())
}

fn counted(text: &str) -> impl Iterator<Item = (&str, i32)> {
    split(text, ",").filter_map(|item| item.split_once(':')).map(|(name, count)| (name, count.parse().unwrap()))
}

fn parse(line: &str) -> Case {
    let (input, expected) = line.split_once(" => ").unwrap();
    let mut fields = input.strip_prefix("T ").unwrap().split(" | ");
    let topics = counted(fields.next().unwrap()).map(|(name, count)| (name.to_owned(), count)).collect();
    let mut parts = Vec::new();
    for field in fields {
        let lists: Vec<&str> = field.split(';').map(str::trim).collect();
        let [id, sources, repartitioned, sinks, changelogs, groups] = lists[..] else { panic!("fields of {field}") };
        let group = |group: &str| {
            let index = |prefix: char| {
                split(group, ",").filter_map(move |item| item.strip_prefix(prefix)).map(|index| index.parse().unwrap())
            };
            CopartitionGroup {
                source_topics: index('s').collect(),
                repartition_source_topics: index('r').collect(),
                ..CopartitionGroup::default()
            }
        };
        let part = Subtopology {
            source_topics: split(sources, ",").map(Arc::from).collect(),
            source_topic_regex: Vec::new(),
            state_changelog_topics: split(changelogs, ",").map(|name| info(name, 0)).collect(),
            repartition_sink_topics: split(sinks, ",").map(Arc::from).collect(),
            repartition_source_topics: counted(repartitioned).map(|(name, count)| info(name, count)).collect(),
            copartition_groups: split(groups, "+").map(group).collect(),
        };
        parts.push((Arc::from(id), part));
    }
    Case {
        topics,
        topology: Topology::from_parts(TopologyEpoch(0), parts).unwrap(),
        expected: expected.trim().to_owned(),
    }
}

/// What became of a topology, in the fixture's form.
fn outcome(case: &Case) -> String {
    let Ok(configured) = ConfiguredTopology::configure(&case.topology, |topic| case.topics.get(topic).copied()) else {
        return "invalid".into();
    };
    let status = configured.problem.as_ref().map_or("ok".into(), |problem| problem.status().code().to_string());
    let tasks = configured.subtopologies.as_ref().map_or("-".into(), |parts| {
        let tasks: Vec<String> = parts.iter().map(|(id, part)| format!("{id}:{}", part.task_count)).collect();
        tasks.join(",")
    });
    let create: Vec<String> =
        configured.topics_to_create.values().map(|topic| format!("{}:{}", topic.name, topic.partitions)).collect();
    format!("{status} | {tasks} | {}", create.join(",")).trim().to_owned()
}

#[test]
fn random_topologies_become_what_kafka_made_of_them() {
    let mut cases = 0;
    for line in include_str!("../../../../tests/fixtures/streams_group/topologies.txt").lines() {
        let Some(line) = line.strip_prefix("T ").map(|_| line) else { continue };
        let case = parse(line);
        assert_eq!(outcome(&case), case.expected, "of {line}");
        cases += 1;
    }
    assert!(cases > 0);
}
