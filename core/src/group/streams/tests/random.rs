//! Whole groups through random orders of joins, heartbeats, lost answers, leaves, crashes, growing topics, other settings
//! and restarts.
//!
//! The clients here keep their own books: what each has from the moment it is told until it lets go. What must hold:
//! - no task is active with two clients that live: after every step;
//! - no process has a task twice, and what a restart would find is what the live coordinator has (the world sees to that);
//! - once nothing changes any more, everybody comes to rest, and each task is active with somebody.

use std::collections::BTreeSet;

use proptest::{prelude::*, test_runner::RngSeed};

use super::world::{GROUP, REBALANCE_MS, SESSION_MS, World, counting, joining, owning, staying};
use crate::group::{
    Epoch, GroupError, GroupState,
    streams::{StreamsHeartbeat, Tasks, task_count},
};

const CLIENT_COUNT: usize = 5;
const PROCESSES: [&str; CLIENT_COUNT] = ["p0", "p0", "p1", "p1", "p2"];

/// A client: what it has, and what it has been told to have.
#[derive(Debug, Clone, Default)]
struct Client {
    member: String,
    lives: bool,
    epoch: i32,
    has: Tasks,
    told: Option<Tasks>,
    /// It has not yet said that it let go: the coordinator may put it out for that.
    owes: bool,
    /// The last answer did not come: it joins anew with what it has given up.
    begins_anew: bool,
    runs: u32,
    heard_ms: i64,
}

#[derive(Debug, Clone)]
enum Step {
    Join { client: usize },
    Beat { client: usize, is_lost: bool },
    Settle { client: usize },
    Leave { client: usize },
    Crash { client: usize },
    Grow { partitions: i32 },
    Standbys { count: u8 },
    Pass { delay_ms: i64 },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let client = 0..CLIENT_COUNT;
    prop_oneof![
        4 => client.clone().prop_map(|client| Step::Join { client }),
        12 => (client.clone(), proptest::bool::weighted(0.2)).prop_map(|(client, is_lost)| Step::Beat { client, is_lost }),
        8 => client.clone().prop_map(|client| Step::Settle { client }),
        1 => client.clone().prop_map(|client| Step::Leave { client }),
        1 => client.prop_map(|client| Step::Crash { client }),
        1 => (1..6i32).prop_map(|partitions| Step::Grow { partitions }),
        1 => (0..3u8).prop_map(|count| Step::Standbys { count }),
        3 => (0..20_000i64).prop_map(|delay_ms| Step::Pass { delay_ms }),
        1 => Just(Step::Restart),
    ]
}

struct Schedule {
    world: World,
    clients: Vec<Client>,
    partitions: i32,
}

impl Schedule {
    fn new() -> Self {
        let mut world = World::new();
        world.topic("in", 3);
        Self { world, clients: vec![Client::default(); CLIENT_COUNT], partitions: 3 }
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Join { client } => {
                let known = &mut self.clients[client];
                if !known.lives {
                    let runs = known.runs + 1;
                    *known = Client { lives: true, member: format!("c{client}-{runs}"), runs, ..Client::default() };
                    self.beat(client, false);
                }
            }
            Step::Beat { client, is_lost } => self.beat(client, is_lost),
            Step::Settle { client } => self.settle(client),
            Step::Leave { client } => {
                let member = self.end(client);
                if let Some(member) = member {
                    let _ = self.world.beat(&staying(&member, Epoch::LEAVING.0));
                }
            }
            // Until its session ends the coordinator counts with it; it has nothing any more.
            Step::Crash { client } => drop(self.end(client)),
            Step::Grow { partitions } => {
                self.partitions = self.partitions.max(partitions);
                // Both grow at once, as an operator would see to it.
                if self.world.image.topic("g-count-changelog").is_some() {
                    self.world.topic("g-count-changelog", self.partitions);
                }
                self.world.topic("in", self.partitions);
            }
            Step::Standbys { count } => self.world.set("streams.num.standby.replicas", &count.to_string()),
            Step::Pass { delay_ms } => self.pass(delay_ms),
            Step::Restart => self.world.restart(),
        }
        self.check();
    }

    fn end(&mut self, client: usize) -> Option<String> {
        let client = &mut self.clients[client];
        let ended = std::mem::replace(client, Client { runs: client.runs, ..Client::default() });
        ended.lives.then_some(ended.member)
    }

    fn request(&mut self, index: usize) -> StreamsHeartbeat {
        let client = &mut self.clients[index];
        if client.epoch == 0 {
            return joining(&client.member, PROCESSES[index], counting());
        }
        if client.begins_anew {
            // What it says that it has is what the coordinator goes by: it takes nothing it was told before.
            client.told = None;
            return owning(&client.member, client.epoch, &client.has);
        }
        match &client.told {
            None => owning(&client.member, client.epoch, &client.has),
            Some(_) => staying(&client.member, client.epoch),
        }
    }

    fn beat(&mut self, index: usize, is_lost: bool) {
        if !self.clients[index].lives {
            return;
        }
        let request = self.request(index);
        let answer = self.world.beat(&request);
        let now_ms = self.world.now_ms;
        let client = &mut self.clients[index];
        if answer.is_ok() {
            client.heard_ms = now_ms;
        }
        if is_lost {
            // As the Java client does: after a lost answer it tells everything.
            client.begins_anew = true;
            return;
        }
        match answer {
            Ok(answer) => {
                let is_behind = client.begins_anew && answer.tasks.is_none() && client.epoch != 0;
                client.begins_anew = false;
                client.owes &= client.told.is_some();
                client.epoch = answer.member_epoch.0;
                if let Some(tasks) = answer.tasks {
                    client.told = Some(tasks);
                    client.owes = true;
                } else if is_behind {
                    // The tasks it was told with the lost answer are not told again: it gives all up and joins anew.
                    client.has = Tasks::default();
                    client.epoch = 0;
                }
            }
            Err(
                GroupError::FencedMemberEpoch { .. } | GroupError::UnknownMember | GroupError::GroupNotFound { .. },
            ) => {
                client.has = Tasks::default();
                client.told = None;
                client.epoch = 0;
            }
            Err(error) => panic!("{}: {error}", client.member),
        }
    }

    fn settle(&mut self, index: usize) {
        if let Some(told) = self.clients[index].told.take() {
            self.clients[index].has = told;
        }
    }

    /// Time passes. A client that was silent for its session, or did not let go in time, may be out: it notices by itself,
    /// as clients do, so that what it had may be with others.
    fn pass(&mut self, delay_ms: i64) {
        self.world.pass(delay_ms);
        let group = self.world.shard.streams.get(GROUP);
        for client in self.clients.iter_mut().filter(|client| client.lives) {
            let is_member = group.is_some_and(|group| group.members.contains_key(client.member.as_str()));
            let was_silent = self.world.now_ms - client.heard_ms >= i64::from(REBALANCE_MS).min(SESSION_MS);
            if !is_member && (was_silent || client.owes) {
                *client = Client { runs: client.runs, ..Client::default() };
            }
        }
    }

    fn living(&self) -> impl Iterator<Item = &Client> {
        self.clients.iter().filter(|client| client.lives)
    }

    fn check(&self) {
        let mut active = BTreeSet::new();
        for client in self.living() {
            for (part, partitions) in &client.has.active {
                for partition in partitions {
                    assert!(active.insert((part, *partition)), "{} has {part}_{partition}, as another", client.member);
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
        let living = self.living().count();
        let Some(group) = self.world.shard.streams.get(GROUP) else {
            assert_eq!(living, 0, "the group is gone");
            return;
        };
        assert_eq!(group.members.len(), living, "{group:?}");
        assert_eq!(group.state(), if living == 0 { GroupState::Empty } else { GroupState::Stable }, "{group:?}");
        let active: usize = self.living().map(|client| task_count(&client.has.active)).sum();
        let wanted = if living == 0 { 0 } else { usize::try_from(self.partitions).unwrap() };
        assert_eq!(active, wanted, "{:?}", self.clients);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, rng_seed: RngSeed::Fixed(1071), failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_task_is_active_twice_and_everybody_comes_to_rest(steps in proptest::collection::vec(step(), 1..80)) {
        let mut schedule = Schedule::new();
        for step in &steps {
            schedule.run(step);
        }
        schedule.settle_down();
    }
}
