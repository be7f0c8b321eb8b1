//! Seeded random walks over every kind of input: nothing panics, every token is resolved once, and
//! what is in memory is what is stored (P1, P5, P7, D1, D2, D4, D8 of the simulation's catalogue).

use std::collections::BTreeMap;
use std::time::Duration;

use quorate_core::request::{DeleteGroups, OffsetDelete, TopicPartitions};
use quorate_core::*;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::support::*;

struct Walk {
    bench: Bench,
    random: ChaCha12Rng,
    /// Member ids that were seen, with instance and generation as last heard.
    members: Vec<(MemberId, i32)>,
    expected_batch: u64,
}

impl Walk {
    fn new(seed: u64) -> Walk {
        let mut random = ChaCha12Rng::seed_from_u64(seed);
        let config = Config {
            initial_rebalance_delay: Duration::from_millis(
                [0, 3_000][random.next_u32() as usize % 2],
            ),
            max_group_size: [2, 4, 1_000][random.next_u32() as usize % 3],
            max_in_flight: [4, 4_096][random.next_u32() as usize % 2],
            in_flight_reserve: 1,
            timers_per_step: [1, 1_000][random.next_u32() as usize % 2],
            sweep_keys_per_step: [1, 1_000][random.next_u32() as usize % 2],
            offsets_retention: Duration::from_secs(600),
            retention_check_interval: Duration::from_secs(60),
            ..quick()
        };
        let members = vec![(MemberId::default(), -1), (MemberId::from("stranger"), 1)];
        Walk { bench: Bench::new(config), random, members, expected_batch: 1 }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random.next_u32() as usize % bound
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    fn learn(&mut self) {
        let mut found = Vec::new();
        for answer in self.bench.answers.values() {
            if let Response::JoinGroup(join) = answer {
                found.push((join.member_id.clone(), join.generation.0));
            }
        }
        for (id, generation) in found {
            match self.members.iter_mut().find(|(known, _)| *known == id) {
                Some(known) => known.1 = known.1.max(generation),
                None => self.members.push((id, generation)),
            }
        }
        let start = self.members.len().saturating_sub(8);
        self.members.drain(2..start.max(2));
    }

    fn request(&mut self) -> Request {
        let members = self.members.clone();
        let (member, generation) = self.one(&members);
        let generation = generation + self.one(&[0, 0, 0, 0, 1, -1]);
        let instance = self.one(&[None, None, Some("i"), Some("j")]);
        let offset = self.below(100) as i64;
        match self.below(10) {
            0..3 => self.join(&member, instance),
            3 => sync(
                &member,
                generation,
                instance.map(InstanceId::from),
                shares(std::slice::from_ref(&member)),
            ),
            4 => beat(&member, generation, instance),
            5 => leave(&[(member.as_str(), instance)]),
            6 => Request::OffsetCommit(Box::new(commit(
                member.as_str(),
                generation,
                &[("t", 0, offset)],
            ))),
            7 => Request::OffsetCommit(Box::new(commit(
                "",
                -1,
                &[("t", 1, offset), ("u", 0, offset)],
            ))),
            8 => fetch(self.one(&[true, false])),
            _ if self.below(2) == 0 => {
                Request::DeleteGroups(DeleteGroups { groups: vec!["g".into()] })
            }
            _ => {
                let partitions = vec![0, 1];
                let topics = vec![TopicPartitions { name: "t".into(), partitions }];
                Request::OffsetDelete(OffsetDelete { group_id: "g".into(), topics })
            }
        }
    }

    fn join(&mut self, member: &MemberId, instance: Option<&str>) -> Request {
        let protocols = self.one(&[[("range", "a"), ("rr", "a")], [("range", "b"), ("rr", "a")]]);
        let count = 1 + self.below(2);
        let session = self.one(&[2_000, 10_000]);
        let join = Join::new().member(member).instance(instance);
        let join = join.protocols(&protocols[..count]).timeouts(session, session * 2);
        if self.below(2) == 0 { join.v3() } else { join.v9() }
    }

    fn step(&mut self) {
        match self.below(20) {
            0..11 => {
                let request = self.request();
                self.bench.send(request);
            }
            11..15 if !self.bench.pending.is_empty() => {
                self.bench.append();
                self.expected_batch += 1;
            }
            15 if !self.bench.pending.is_empty() => {
                let causes = [RejectCause::Storage, RejectCause::NotEnoughReplicas];
                let cause = self.one(&causes);
                self.bench.reject(cause);
            }
            16 => {
                let open = 1 + self.random.next_u64() % 1_000;
                if self.bench.is_parked(open) {
                    self.bench.step(Input::Abandoned { token: Token(open) });
                }
            }
            17 if self.below(4) == 0 => self.topics(),
            18 if self.below(4) == 0 => {
                let pending = self.bench.pending.len();
                self.bench.step(Input::Fenced { by: None });
                assert_eq!((self.bench.pending.len(), self.bench.shard.parked()), (pending, 0));
                self.bench.reload();
                self.expected_batch = 1;
            }
            _ => {
                let ms = self.one(&[0, 100, 1_000, 5_000, 70_000]);
                self.bench.tick(Duration::from_millis(ms));
                self.bench.step(Input::Deadline);
            }
        }
        self.learn();
        for (n, batch) in self.bench.pending.iter().enumerate() {
            assert_eq!(batch.id.0, self.expected_batch + n as u64, "P5: batches are consecutive");
        }
    }

    fn topics(&mut self) {
        let id = 10 + self.random.next_u64() as u128;
        let delta = match self.bench.topics.get(&"t".into()) {
            Some(_) => self.bench.topics.change(vec![], &["t".into()]),
            None => self.bench.topics.change(vec![topic("t", id)], &[]),
        };
        self.bench.topics = delta.view.clone();
        self.bench.step(Input::Topics(delta));
    }

    /// All that is pending is stored: then memory holds the rows of the log.
    fn settle(&mut self) {
        while !self.bench.pending.is_empty() {
            self.bench.append();
            self.expected_batch += 1;
        }
        let mut rows: BTreeMap<RecordKey, RecordValue> = BTreeMap::new();
        for record in &self.bench.log {
            match &record.value {
                Some(value) => rows.insert(record.key.clone(), value.clone()),
                None => rows.remove(&record.key),
            };
        }
        assert_eq!(self.bench.shard.in_flight(), 0);
        let stored: Vec<(RecordKey, RecordValue)> = rows.into_iter().collect();
        assert_eq!(self.bench.shard.rows(), stored, "D1: memory is the fold of the log");
    }
}

#[test]
fn random_walks_keep_memory_and_log_in_step() {
    for seed in 0..300 {
        let mut walk = Walk::new(seed);
        for n in 0..400 {
            walk.bench.stores = false;
            walk.step();
            if n % 100 == 99 {
                walk.settle();
            }
        }
    }
}
