//! Whole groups through random orders of joins, heartbeats, lost answers, leaves, crashes, changing topics and restarts.
//!
//! The clients here keep their own books: what each holds from the moment it is told until it lets go. What must hold:
//! - no partition is held by two clients that live: after every step;
//! - what a restart would find is what the live coordinator has (the world sees to that);
//! - once nothing changes any more, everybody comes to rest, and each partition of what is subscribed to is held.

use std::collections::BTreeSet;

use proptest::{prelude::*, test_runner::RngSeed};

use super::world::{GROUP, REBALANCE_MS, SESSION_MS, World, joining, staying};
use crate::{
    Uuid,
    group::{ConsumerHeartbeat, Epoch, GroupError, GroupState, PartitionSet},
};

const CLIENT_COUNT: usize = 4;
const TOPICS: [&str; 3] = ["a", "b", "c"];

/// A client: what it holds, and what it has been told to hold.
#[derive(Debug, Clone, Default)]
struct Client {
    member: String,
    lives: bool,
    epoch: i32,
    topics: Vec<&'static str>,
    holds: PartitionSet,
    told: Option<PartitionSet>,
    /// It has not yet said that it let go: the coordinator may put it out for that.
    owes: bool,
    /// The last answer did not come: it tells everything again.
    tells_all: bool,
    runs: u32,
    heard_ms: i64,
}

#[derive(Debug, Clone)]
enum Step {
    Join {
        client: usize,
        topics: u8,
    },
    Beat {
        client: usize,
        is_lost: bool,
    },
    /// The client lets go of what it is not to have, and takes what it is to have.
    Settle {
        client: usize,
    },
    Leave {
        client: usize,
    },
    Crash {
        client: usize,
    },
    Subscribe {
        client: usize,
        topics: u8,
    },
    Topic {
        topic: usize,
        partitions: i32,
    },
    RemoveTopic {
        topic: usize,
    },
    Pass {
        delay_ms: i64,
    },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let client = 0..CLIENT_COUNT;
    prop_oneof![
        4 => (client.clone(), 1..8u8).prop_map(|(client, topics)| Step::Join { client, topics }),
        12 => (client.clone(), proptest::bool::weighted(0.2)).prop_map(|(client, is_lost)| Step::Beat { client, is_lost }),
        8 => client.clone().prop_map(|client| Step::Settle { client }),
        1 => client.clone().prop_map(|client| Step::Leave { client }),
        1 => client.clone().prop_map(|client| Step::Crash { client }),
        1 => (client, 1..8u8).prop_map(|(client, topics)| Step::Subscribe { client, topics }),
        1 => (0..3usize, 1..6i32).prop_map(|(topic, partitions)| Step::Topic { topic, partitions }),
        1 => (0..3usize).prop_map(|topic| Step::RemoveTopic { topic }),
        3 => (0..20_000i64).prop_map(|delay_ms| Step::Pass { delay_ms }),
        1 => Just(Step::Restart),
    ]
}

fn chosen(bits: u8) -> Vec<&'static str> {
    TOPICS.iter().enumerate().filter(|(n, _)| bits >> n & 1 == 1).map(|(_, topic)| *topic).collect()
}

struct Schedule {
    world: World,
    clients: Vec<Client>,
}

impl Schedule {
    fn new() -> Self {
        let mut world = World::new();
        world.topic("a", 3);
        world.topic("b", 2);
        Self { world, clients: vec![Client::default(); CLIENT_COUNT] }
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Join { client, topics } => self.join(client, chosen(topics)),
            Step::Beat { client, is_lost } => self.beat(client, is_lost),
            Step::Settle { client } => self.settle(client),
            Step::Leave { client } => {
                let client = &mut self.clients[client];
                if client.lives {
                    let member = client.member.clone();
                    *client = Client { runs: client.runs, ..Client::default() };
                    let _ = self.world.beat(&staying(&member, Epoch::LEAVING.0));
                }
            }
            // Until its session ends the coordinator counts with it; it holds nothing any more.
            Step::Crash { client } => {
                let client = &mut self.clients[client];
                *client = Client { runs: client.runs, ..Client::default() };
            }
            Step::Subscribe { client, topics } => {
                if self.clients[client].lives {
                    self.clients[client].topics = chosen(topics);
                    self.clients[client].tells_all = true;
                }
            }
            Step::Topic { topic, partitions } => drop(self.world.topic(TOPICS[topic], partitions)),
            Step::RemoveTopic { topic } => self.world.remove_topic(TOPICS[topic]),
            Step::Pass { delay_ms } => self.pass(delay_ms),
            Step::Restart => self.world.restart(),
        }
        self.check();
    }

    fn join(&mut self, index: usize, topics: Vec<&'static str>) {
        let client = &mut self.clients[index];
        if client.lives {
            return;
        }
        let runs = client.runs + 1;
        let member = format!("c{index}-{runs}");
        *client = Client { lives: true, topics, member, runs, ..Client::default() };
        self.beat(index, false);
    }

    fn beat(&mut self, index: usize, is_lost: bool) {
        let client = self.clients[index].clone();
        if !client.lives {
            return;
        }
        let request = if client.epoch == 0 {
            joining(&client.member, &client.topics)
        } else if client.tells_all {
            // What it says that it holds is what the coordinator goes by: it takes nothing it was told before.
            self.clients[index].told = None;
            ConsumerHeartbeat {
                rebalance_timeout_ms: Some(REBALANCE_MS),
                topic_names: Some(client.topics.iter().map(|topic| (*topic).to_owned()).collect()),
                owned: Some(client.holds.clone()),
                ..staying(&client.member, client.epoch)
            }
        } else {
            let settled = client.told.is_none().then(|| client.holds.clone());
            ConsumerHeartbeat { owned: settled, ..staying(&client.member, client.epoch) }
        };
        let answer = self.world.beat(&request);
        let now_ms = self.world.now_ms;
        let client = &mut self.clients[index];
        if answer.is_ok() {
            client.heard_ms = now_ms;
        }
        if is_lost {
            client.tells_all = true;
            return;
        }
        match answer {
            Ok(answer) => {
                client.tells_all = false;
                client.owes &= client.told.is_some();
                client.epoch = answer.member_epoch.0;
                if let Some(assignment) = answer.assignment {
                    client.told = Some(assignment);
                    client.owes = true;
                }
            }
            Err(
                GroupError::FencedMemberEpoch { .. } | GroupError::UnknownMember | GroupError::GroupNotFound { .. },
            ) => {
                client.holds.clear();
                client.told = None;
                client.epoch = 0;
            }
            Err(error) => panic!("{}: {error}", client.member),
        }
    }

    fn settle(&mut self, index: usize) {
        if let Some(told) = self.clients[index].told.take() {
            self.clients[index].holds = told;
        }
    }

    /// Time passes. A client that was silent for its session, or did not let go in time, may be out: it notices by itself,
    /// as clients do, so that what it held may be with others.
    fn pass(&mut self, delay_ms: i64) {
        self.world.pass(delay_ms);
        let group = self.world.shard.consumers.get(GROUP);
        for client in self.clients.iter_mut().filter(|client| client.lives) {
            let is_member = group.is_some_and(|group| group.members.contains_key(client.member.as_str()));
            let was_silent = self.world.now_ms - client.heard_ms >= i64::from(REBALANCE_MS).min(SESSION_MS);
            if !is_member && (was_silent || client.owes) {
                *client = Client { runs: client.runs, ..Client::default() };
            }
        }
    }

    fn check(&self) {
        let mut held: BTreeSet<(Uuid, i32)> = BTreeSet::new();
        for client in self.clients.iter().filter(|client| client.lives) {
            for (topic, partitions) in &client.holds {
                for partition in partitions {
                    let is_first = held.insert((*topic, *partition));
                    assert!(is_first, "{} holds {topic}-{partition}, and so does another", client.member);
                }
            }
        }
    }

    /// Nothing changes any more: everybody calls, in turns, and lets go.
    fn settle_down(&mut self) {
        for _ in 0..30 {
            for index in 0..CLIENT_COUNT {
                self.beat(index, false);
                self.settle(index);
                self.check();
            }
            self.pass(5_000);
        }
        let living: Vec<_> = self.clients.iter().filter(|client| client.lives).collect();
        let Some(group) = self.world.shard.consumers.get(GROUP) else {
            assert!(living.is_empty(), "the group is gone");
            return;
        };
        assert_eq!(group.members.len(), living.len(), "{group:?}");
        assert_eq!(group.state(), if living.is_empty() { GroupState::Empty } else { GroupState::Stable }, "{group:?}");
        let held: BTreeSet<_> = living
            .iter()
            .flat_map(|client| client.holds.iter().flat_map(|(topic, ps)| ps.iter().map(|p| (*topic, *p))))
            .collect();
        let topics: BTreeSet<_> = living.iter().flat_map(|client| client.topics.iter()).collect();
        let known = topics.iter().filter_map(|name| self.world.image.topic(name));
        let all: BTreeSet<_> = known.flat_map(|topic| topic.partitions.keys().map(|p| (topic.id, *p))).collect();
        assert_eq!(held, all);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, rng_seed: RngSeed::Fixed(848), failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_partition_is_held_twice_and_everybody_comes_to_rest(steps in proptest::collection::vec(step(), 1..80)) {
        let mut schedule = Schedule::new();
        for step in &steps {
            schedule.run(step);
        }
        schedule.settle_down();
    }
}

/// Found once: a member lets go, and its time is up before it has said so.
#[test]
fn who_is_put_out_before_it_said_that_it_let_go_holds_nothing() {
    let mut schedule = Schedule::new();
    for step in [
        Step::Join { client: 3, topics: 7 },
        Step::Pass { delay_ms: 1_000 },
        Step::Join { client: 0, topics: 3 },
        Step::Beat { client: 3, is_lost: false },
        Step::Pass { delay_ms: 25_000 },
    ] {
        schedule.run(&step);
    }
    schedule.settle_down();
}
