//! Whole groups through random schedules of joins, syncs, heartbeats, leaves, silence, failed appends and restarts.
//!
//! What must hold after every step:
//! - a generation has one leader, and its number never falls while the broker runs (G2);
//! - a member is given what the leader of its generation decided for it, nothing else (G1);
//! - no ticket is answered twice (the harness sees to that) nor lost: once the schedule ends and time passes, nobody is
//!   left waiting (G5);
//! - what a restart would find is what the live coordinator has: positions always (G3), a stable group entirely.
//!
//! A failing schedule is shrunk and printed by proptest, and its seed kept beside the crate's other regressions.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{prelude::*, strategy::ValueTree};

use super::harness::{Broker, GROUP, subscribing};
use crate::group::{
    GenerationId, GroupConfig, GroupError, GroupState, HeartbeatRequest, InstanceId, JoinRequest, JoinResponse,
    LeavingMember, MemberId, OffsetCommitRequest, OffsetSelection, Response, SyncRequest, Ticket,
};

const CLIENT_COUNT: usize = 4;

#[derive(Debug, Clone)]
enum Step {
    Join {
        client: usize,
        requires_id: bool,
        topic: bool,
    },
    Sync {
        client: usize,
    },
    Heartbeat {
        client: usize,
    },
    Leave {
        client: usize,
    },
    Commit {
        client: usize,
        offset: i64,
    },
    /// The client's process restarts: it forgets its member id, and whatever it waits for.
    Forget {
        client: usize,
    },
    Pass {
        delay_ms: i64,
    },
    FailAppends {
        fails: bool,
    },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let client = 0..CLIENT_COUNT;
    prop_oneof![
        6 => (client.clone(), any::<bool>(), proptest::bool::weighted(0.1))
            .prop_map(|(client, requires_id, topic)| Step::Join { client, requires_id, topic }),
        6 => client.clone().prop_map(|client| Step::Sync { client }),
        3 => client.clone().prop_map(|client| Step::Heartbeat { client }),
        1 => client.clone().prop_map(|client| Step::Leave { client }),
        3 => (client.clone(), 0i64..1_000).prop_map(|(client, offset)| Step::Commit { client, offset }),
        1 => client.prop_map(|client| Step::Forget { client }),
        3 => prop_oneof![0i64..4_000, 0i64..70_000].prop_map(|delay_ms| Step::Pass { delay_ms }),
        1 => proptest::bool::weighted(0.3).prop_map(|fails| Step::FailAppends { fails }),
        1 => Just(Step::Restart),
    ]
}

/// A client as it sees itself. The last two are static members.
#[derive(Debug, Default)]
struct Client {
    member_id: Option<MemberId>,
    joined: Option<JoinResponse>,
    waits: Option<Ticket>,
}

struct World {
    broker: Broker,
    clients: Vec<Client>,
    /// Who leads a generation, and what it decided; cleared by a restart, which may lose a generation.
    leaders: BTreeMap<GenerationId, MemberId>,
    decided: BTreeMap<(GenerationId, MemberId), String>,
    newest: GenerationId,
    /// Members that took over the place of another one: their share was decided for that one.
    heirs: BTreeSet<MemberId>,
}

fn instance(client: usize) -> Option<InstanceId> {
    (client >= 2).then(|| format!("i{client}").into())
}

impl World {
    fn new() -> Self {
        let config = GroupConfig { initial_rebalance_delay_ms: 500, members_max: 6, ..GroupConfig::default() };
        Self {
            broker: Broker::with(config),
            clients: (0..CLIENT_COUNT).map(|_| Client::default()).collect(),
            leaders: BTreeMap::new(),
            decided: BTreeMap::new(),
            newest: GenerationId(0),
            heirs: BTreeSet::new(),
        }
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Join { client, requires_id, topic } => self.join(client, requires_id, topic),
            Step::Sync { client } => self.sync(client),
            Step::Heartbeat { client } => {
                if let Some(joined) = self.clients[client].joined.clone() {
                    let request = HeartbeatRequest {
                        group_id: GROUP.into(),
                        generation: joined.generation,
                        member_id: joined.member_id,
                        group_instance_id: instance(client),
                    };
                    let result = self.broker.shard.heartbeat(&request, self.broker.now());
                    self.learn(client, result.err().as_ref());
                }
            }
            Step::Leave { client } => {
                let member_id = self.clients[client].member_id.take();
                let _ = self.broker.leave(&[LeavingMember { member_id, group_instance_id: instance(client) }]);
                self.clients[client].joined = None;
            }
            Step::Commit { client, offset } => self.commit(client, offset),
            Step::Forget { client } => self.clients[client] = Client::default(),
            Step::Pass { delay_ms } => self.broker.pass(delay_ms),
            Step::FailAppends { fails } => self.broker.append_fails = fails,
            Step::Restart => {
                self.broker.restart();
                let stable = self.broker.shard.describe(&GROUP.into()).is_ok_and(|g| g.state == GroupState::Stable);
                self.leaders.clear();
                self.newest = GenerationId(0);
                if !stable {
                    self.decided.clear();
                }
            }
        }
        self.collect();
        self.check();
    }

    fn join(&mut self, client: usize, requires_id: bool, topic: bool) {
        if self.clients[client].waits.is_some() {
            return;
        }
        let topics: &[&str] = if topic { &["t", "u"] } else { &["t"] };
        let request = JoinRequest {
            member_id: self.clients[client].member_id.clone(),
            group_instance_id: instance(client),
            requires_known_member_id: requires_id,
            protocols: vec![subscribing("range", topics)],
            ..self.broker.newcomer()
        };
        self.clients[client].joined = None;
        self.clients[client].waits = Some(self.broker.join(&request));
    }

    fn sync(&mut self, client: usize) {
        let Some(joined) = self.clients[client].joined.clone() else { return };
        if self.clients[client].waits.is_some() {
            return;
        }
        let generation = joined.generation;
        let mut assignments = BTreeMap::new();
        if joined.leader == joined.member_id && !joined.skip_assignment {
            for member in &joined.members {
                let share = format!("{generation}/{}", member.member_id);
                assignments.insert(member.member_id.clone(), share.clone().into());
                self.decided.insert((generation, member.member_id.clone()), share);
            }
        }
        self.clients[client].waits = Some(self.broker.sync_with(&SyncRequest {
            group_id: GROUP.into(),
            generation,
            member_id: joined.member_id,
            group_instance_id: instance(client),
            protocol_type: joined.protocol_type,
            protocol_name: joined.protocol_name,
            assignments,
        }));
    }

    fn commit(&mut self, client: usize, offset: i64) {
        let joined = self.clients[client].joined.clone();
        let mut request = super::harness::commit_request(joined.as_ref(), &[("t", 0, offset)]);
        if joined.is_some() {
            request = OffsetCommitRequest { group_instance_id: instance(client), ..request };
        }
        let before = self.broker.committed("t");
        let acknowledged = self.broker.commit_with(&request).is_ok();
        assert_eq!(self.broker.committed("t"), if acknowledged { Some(offset) } else { before });
    }

    /// Hands out the answers.
    fn collect(&mut self) {
        for (ticket, response) in std::mem::take(&mut self.broker.answers) {
            let Some(client) = self.clients.iter().position(|c| c.waits == Some(ticket)) else { continue };
            self.clients[client].waits = None;
            match response {
                Response::Join(Ok(joined)) => self.on_joined(client, joined),
                Response::Join(Err(GroupError::MemberIdRequired { member_id })) => {
                    self.clients[client].member_id = Some(member_id);
                }
                Response::Sync(Ok(synced)) => self.on_synced(client, &synced.assignment),
                Response::Join(Err(error)) | Response::Sync(Err(error)) => self.learn(client, Some(&error)),
            }
        }
    }

    fn on_joined(&mut self, client: usize, joined: JoinResponse) {
        assert!(joined.generation >= self.newest, "generation fell from {} to {}", self.newest, joined.generation);
        self.newest = joined.generation;
        if joined.members.is_empty() {
            assert_ne!(joined.leader, joined.member_id, "a leader must see the members");
        } else if !joined.skip_assignment {
            let leader = self.leaders.entry(joined.generation).or_insert_with(|| joined.leader.clone());
            assert_eq!(leader, &joined.member_id, "two leaders in generation {}", joined.generation);
        }
        if instance(client).is_some() && self.clients[client].member_id.as_ref() != Some(&joined.member_id) {
            self.heirs.insert(joined.member_id.clone());
        }
        self.clients[client].member_id = Some(joined.member_id.clone());
        self.clients[client].joined = Some(joined);
    }

    fn on_synced(&self, client: usize, assignment: &[u8]) {
        let Some(joined) = &self.clients[client].joined else { return };
        let share = std::str::from_utf8(assignment).unwrap();
        match self.decided.get(&(joined.generation, joined.member_id.clone())) {
            Some(decided) => assert_eq!(share, decided),
            // A successor has its predecessor's share, of this generation; or none if that one had none.
            None if self.heirs.contains(&joined.member_id) => {
                assert!(share.is_empty() || share.starts_with(&format!("{}/i", joined.generation)), "{share}");
            }
            None => panic!("{} has the share {share:?}, which nobody decided", joined.member_id),
        }
    }

    fn learn(&mut self, client: usize, error: Option<&GroupError>) {
        match error {
            Some(GroupError::UnknownMember | GroupError::FencedInstance { .. }) => {
                self.clients[client] = Client::default();
            }
            Some(GroupError::IllegalGeneration { .. } | GroupError::RebalanceInProgress) => {
                self.clients[client].joined = None;
            }
            _ => {}
        }
    }

    fn check(&self) {
        let (live, found) = (&self.broker.shard, self.broker.recovered());
        let group = GROUP.into();
        let positions = |shard: &crate::group::GroupShard| shard.fetch_offsets(&group, &OffsetSelection::All, false);
        assert_eq!(positions(live), positions(&found));
        if self.broker.state() == GroupState::Stable {
            assert_eq!(live.describe(&group), found.describe(&group));
        }
        live.assert_invariants();
    }

    /// Time passes without any client doing anything.
    fn finish(&mut self) {
        self.broker.append_fails = false;
        self.broker.pass(3_600_000);
        assert!(self.broker.parked.is_empty(), "lost: {:?}", self.broker.parked);
        assert!(matches!(self.broker.state(), GroupState::Empty | GroupState::Dead));
        self.collect();
        self.check();
    }
}

fn run(steps: &[Step]) -> Vec<crate::group::GroupRecord> {
    let mut world = World::new();
    for step in steps {
        world.run(step);
    }
    world.finish();
    world.broker.log
}

proptest! {
    #[test]
    fn random_schedules_keep_the_promises(steps in proptest::collection::vec(step(), 1..120)) {
        run(&steps);
    }
}

#[test]
fn the_same_schedule_writes_the_same_log() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let steps = proptest::collection::vec(step(), 200).new_tree(&mut runner).unwrap().current();
    let log = run(&steps);
    assert!(!log.is_empty());
    assert_eq!(log, run(&steps));
}
