//! The turn, driven by hand: a journal in memory that the tests hold back as they like.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use quorate_core::request::{Heartbeat, JoinGroup, OffsetCommit, Protocol};
use quorate_core::response::{self, Response};
use quorate_core::{
    Config, ErrorCode, Generation, GroupId, Input, Instant, MemberId, Millis, NoteKinds, Now,
    Origin, RejectCause, Request, ShardId, Text, Token, Topics, WallTime,
};

use super::{Fault, Out, Turn};
use crate::journal::{Append, Completion, Journal, JournalStore, MemoryJournal, Outcome as Stored};
use crate::open::Outcome;

thread_local! {
    /// The next step of a shard on this thread is to panic.
    static PANIC: Cell<bool> = const { Cell::new(false) };
}

/// Stands for a fault in the coordinator, for it is not known to have one that panics.
pub(super) fn panic_if_told_to() {
    assert!(!PANIC.take(), "told to");
}

fn at(millis: u64) -> Now {
    let mono = Instant::after_start(Duration::from_millis(millis));
    Now { mono, wall: WallTime(1_700_000_000_000 + i64::try_from(millis).expect("small")) }
}

/// Two shards on one thread, and a journal.
struct World {
    turn: Turn,
    out: Out,
    journal: Box<dyn Journal>,
    completions: Vec<Completion>,
}

impl World {
    fn new() -> World {
        let config = Config { initial_rebalance_delay: Duration::ZERO, ..Config::default() };
        let mut turn = Turn::new(config, [7; 32], 0, 1, 2, NoteKinds::NONE);
        let mut out = Out::default();
        turn.start(&mut out);
        let journal = MemoryJournal::new().handle(Arc::new(|| {}));
        World { turn, out, journal, completions: Vec::new() }
    }

    /// A world whose shards serve.
    fn loaded() -> World {
        let mut world = World::new();
        for _ in 0..5 {
            world.carry_out();
            world.turn(at(0));
        }
        assert_eq!(world.turn.not_yet_loaded(), 0);
        world
    }

    fn turn(&mut self, now: Now) {
        let topics = Arc::new(Topics::default());
        self.turn.run(now, &mut self.completions, &topics, &mut self.out);
    }

    /// Takes turns until all shards serve.
    fn load(&mut self, now: Now) {
        while self.turn.not_yet_loaded() > 0 {
            self.carry_out();
            self.turn(now);
        }
    }

    /// Stores an offset.
    fn store(&mut self, token: u64, shard: u32, now: Now) {
        self.ask(token, shard, commit("a"));
        self.turn(now);
        self.carry_out();
        self.turn(now);
        assert_eq!(self.outcomes(), [(token, committed(ErrorCode::None))]);
    }

    /// Asks something and lets the shard panic over it.
    fn panic(&mut self, token: u64, shard: u32, now: Now) -> Vec<(ShardId, Fault)> {
        PANIC.set(true);
        self.ask(token, shard, heartbeat("a"));
        self.turn(now);
        assert_eq!(self.outcomes(), []);
        assert_eq!(std::mem::take(&mut self.out.lost), [ShardId(shard)]);
        std::mem::take(&mut self.out.faults)
    }

    fn carry_out(&mut self) {
        self.journal.acquire(&std::mem::take(&mut self.out.acquire));
        for (shard, epoch) in self.out.replay.drain(..) {
            self.journal.replay(shard, epoch);
        }
        self.journal.append(std::mem::take(&mut self.out.appends));
        self.journal.poll(&mut self.completions);
    }

    fn ask(&mut self, token: u64, shard: u32, body: Request) {
        let input = Input::Request { token: Token(token), origin: Origin::default(), body };
        self.turn.push(ShardId(shard), input);
    }

    fn outcomes(&mut self) -> Vec<(u64, Outcome)> {
        self.out.outcomes.drain(..).map(|(token, outcome)| (token.0, outcome)).collect()
    }
}

fn join(group: &str) -> Request {
    Request::JoinGroup(Box::new(JoinGroup {
        group_id: GroupId::from(group),
        session_timeout: Millis(10_000),
        rebalance_timeout: Millis(10_000),
        member_id: MemberId::default(),
        instance_id: None,
        protocol_type: Text::from("consumer"),
        protocols: vec![Protocol { name: Text::from("range"), metadata: Default::default() }],
        reason: None,
        may_be_handed_an_id: false,
        may_skip_assignment: false,
    }))
}

fn heartbeat(group: &str) -> Request {
    Request::Heartbeat(Heartbeat {
        group_id: GroupId::from(group),
        generation: Generation(1),
        member_id: MemberId::from("nobody"),
        instance_id: None,
    })
}

fn commit(group: &str) -> Request {
    Request::OffsetCommit(Box::new(OffsetCommit {
        group_id: GroupId::from(group),
        generation: Generation::NONE,
        member_id: MemberId::default(),
        instance_id: None,
        retention: None,
        missing_group_has_a_code: false,
        checked: Default::default(),
        topics: vec![quorate_core::request::CommitTopic {
            name: "t".into(),
            topic_id: Default::default(),
            partitions: vec![quorate_core::request::CommitPartition {
                partition: 0,
                offset: 5,
                leader_epoch: -1,
                metadata: None,
            }],
        }],
    }))
}

fn committed(error: ErrorCode) -> Outcome {
    let partitions = vec![(0, error)];
    let topics = vec![response::TopicErrors { name: "t".into(), partitions }];
    Outcome::Reply(Response::OffsetCommit(response::OffsetCommit { topics }))
}

#[test]
fn while_a_shard_loads_heartbeats_get_none_and_the_rest_is_told_to_wait() {
    let mut world = World::new();
    assert_eq!(world.out.acquire, [ShardId(0), ShardId(1)]);
    world.ask(1, 0, heartbeat("a"));
    world.ask(2, 0, commit("a"));
    world.turn(at(0));
    let none = Outcome::Reply(Response::Heartbeat(ErrorCode::None));
    let wait = committed(ErrorCode::CoordinatorLoadInProgress);
    assert_eq!(world.outcomes(), [(1, none), (2, wait)]);
}

#[test]
fn what_many_shards_store_is_one_append_and_answered_when_it_is_stored() {
    let mut world = World::loaded();
    world.ask(1, 0, commit("a"));
    world.ask(2, 1, commit("b"));
    world.turn(at(1));
    assert_eq!(world.outcomes(), []);
    let shards: Vec<ShardId> = world.out.appends.iter().map(|append| append.shard).collect();
    assert_eq!(shards, [ShardId(0), ShardId(1)]);
    world.carry_out();
    world.turn(at(2));
    let done = || committed(ErrorCode::None);
    assert_eq!(world.outcomes(), [(1, done()), (2, done())]);
}

#[test]
fn what_comes_while_an_append_is_in_flight_goes_into_the_next() {
    let mut world = World::loaded();
    world.ask(1, 0, commit("a"));
    world.turn(at(1));
    let first = std::mem::take(&mut world.out.appends);
    for token in 2..5 {
        world.ask(token, 0, commit("a"));
        world.turn(at(token));
    }
    assert_eq!(world.out.appends, []);
    let batches = |appends: &[Append]| appends.iter().map(|a| a.batches.len()).collect::<Vec<_>>();
    assert_eq!(batches(&first), [1]);
    world.journal.append(first);
    world.journal.poll(&mut world.completions);
    world.turn(at(6));
    assert_eq!(world.outcomes(), [(1, committed(ErrorCode::None))]);
    assert_eq!(batches(&world.out.appends), [3]);
    assert!(!world.turn.is_quiet());
}

#[test]
fn after_a_refusal_what_was_not_sent_is_dropped_and_everything_is_answered() {
    let mut world = World::loaded();
    world.ask(1, 0, commit("a"));
    world.turn(at(1));
    world.carry_out();
    world.turn(at(2));
    assert_eq!(world.outcomes(), [(1, committed(ErrorCode::None))]);
    world.ask(2, 0, commit("a"));
    world.turn(at(3));
    let sent = std::mem::take(&mut world.out.appends).remove(0);
    world.ask(3, 0, commit("a"));
    world.turn(at(4));
    assert_eq!(world.outcomes(), []);
    let cause = RejectCause::NotEnoughReplicas;
    let outcome = Stored::Rejected { stored: None, from: sent.batches[0].id, cause };
    let epoch = sent.batches[0].epoch;
    world.completions.push(Completion::Append { shard: ShardId(0), epoch, outcome });
    world.turn(at(5));
    assert_eq!(world.out.appends, []);
    let refused = || committed(ErrorCode::CoordinatorNotAvailable);
    assert_eq!(world.outcomes(), [(2, refused()), (3, refused())]);
    assert!(world.turn.is_quiet());
}

#[test]
fn a_shard_whose_append_has_an_unknown_outcome_is_loaded_again() {
    let mut world = World::loaded();
    world.ask(1, 0, commit("a"));
    world.turn(at(1));
    let sent = std::mem::take(&mut world.out.appends).remove(0);
    let (shard, epoch) = (sent.shard, sent.batches[0].epoch);
    world.completions.push(Completion::Append { shard, epoch, outcome: Stored::Unknown });
    world.turn(at(2));
    assert_eq!(world.outcomes(), [(1, committed(ErrorCode::NotCoordinator))]);
    assert_eq!(world.out.acquire, [ShardId(0)]);
    let reason = "the outcome of an append is unknown".to_owned();
    assert_eq!(world.out.faults, [(ShardId(0), Fault::Fenced { reason })]);
    world.ask(2, 0, commit("a"));
    world.turn(at(3));
    assert_eq!(world.outcomes(), [(2, committed(ErrorCode::CoordinatorLoadInProgress))]);
}

#[test]
fn who_is_parked_when_a_shard_resigns_is_told_to_look_elsewhere() {
    let mut world = World::loaded();
    world.ask(1, 0, join("a"));
    world.turn(at(1));
    let mut joined = Vec::new();
    while joined.is_empty() {
        world.carry_out();
        let due = world.turn.next_deadline().expect("something is to happen");
        world.turn(Now { mono: due, wall: at(0).wall });
        joined = world.outcomes();
    }
    assert_eq!(joined.len(), 1);
    world.ask(2, 0, join("a"));
    world.turn(at(100));
    world.turn.resign();
    for _ in 0..3 {
        world.carry_out();
        world.turn(at(101));
    }
    let outcomes = world.outcomes();
    let [(2, Outcome::Reply(Response::JoinGroup(refused)))] = &outcomes[..] else {
        panic!("{outcomes:?}");
    };
    let same = response::JoinGroup::refused(ErrorCode::NotCoordinator, refused.member_id.clone());
    assert_eq!(*refused, Box::new(same));
    assert!(world.turn.is_quiet());
}

#[test]
fn a_shard_that_panics_is_loaded_again_with_all_that_was_stored() {
    let mut world = World::loaded();
    world.store(1, 0, at(1));
    let rows = world.turn.active().next().expect("it serves").rows();
    assert_eq!(rows.len(), 1);
    let message = "told to".to_owned();
    assert_eq!(world.panic(2, 0, at(2)), [(ShardId(0), Fault::Panicked { message })]);
    assert_eq!(world.out.acquire, [ShardId(0)]);
    world.ask(3, 0, commit("a"));
    world.ask(4, 1, heartbeat("b"));
    world.turn(at(3));
    let wait = committed(ErrorCode::CoordinatorLoadInProgress);
    let serves = Outcome::Reply(Response::Heartbeat(ErrorCode::UnknownMemberId));
    assert_eq!(world.outcomes(), [(3, wait), (4, serves)]);
    world.load(at(4));
    assert_eq!(world.turn.active().next().expect("it serves").rows(), rows);
}

#[test]
fn the_third_panic_of_a_shard_within_a_minute_is_its_end() {
    let mut world = World::loaded();
    let message = || "told to".to_owned();
    for (token, time) in [(1, 0), (2, 30_000)] {
        let again = Fault::Panicked { message: message() };
        assert_eq!(world.panic(token, 0, at(time)), [(ShardId(0), again)]);
        world.load(at(time));
    }
    let end = Fault::PanickedTooOften { message: message() };
    assert_eq!(world.panic(3, 0, at(59_999)), [(ShardId(0), end)]);
    assert_eq!(world.out.acquire, []);
    world.ask(4, 0, commit("a"));
    world.turn(at(60_000));
    assert_eq!(world.outcomes(), [(4, committed(ErrorCode::NotCoordinator))]);
    world.store(5, 1, at(60_001));
    assert!(world.turn.is_quiet());
}

#[test]
fn a_shard_that_panics_now_and_then_is_always_loaded_again() {
    let mut world = World::loaded();
    for n in 0..5 {
        let now = at(n * 30_000);
        let again = Fault::Panicked { message: "told to".to_owned() };
        assert_eq!(world.panic(n, 0, now), [(ShardId(0), again)]);
        world.load(now);
    }
}

/// The journal's answers to what was asked of it are lost; instead it gives nothing.
fn gives_nothing(world: &mut World) {
    let acquire = std::mem::take(&mut world.out.acquire).into_iter();
    let replay = std::mem::take(&mut world.out.replay).into_iter().map(|(shard, _)| shard);
    let none = acquire.chain(replay).map(|shard| Completion::Unavailable { shard });
    world.completions.extend(none);
}

#[test]
fn a_shard_that_the_journal_does_not_give_is_asked_for_again_each_second() {
    let mut world = World::new();
    gives_nothing(&mut world);
    world.turn(at(0));
    let away = [(ShardId(0), Fault::Away), (ShardId(1), Fault::Away)];
    assert_eq!(std::mem::take(&mut world.out.faults), away);
    assert!(world.turn.is_quiet());
    assert_eq!(world.turn.next_deadline(), Some(at(1_000).mono));
    world.turn(at(999));
    assert_eq!(world.out.acquire, []);
    for second in 1..4 {
        world.turn(at(second * 1_000));
        assert_eq!(world.out.acquire, [ShardId(0), ShardId(1)]);
        // While the journal is asked, and after it has said no.
        for token in [1, 2] {
            world.ask(token, 0, heartbeat("a"));
            world.turn(at(second * 1_000));
            let elsewhere = Outcome::Reply(Response::Heartbeat(ErrorCode::NotCoordinator));
            assert_eq!(world.outcomes(), [(token, elsewhere)]);
            gives_nothing(&mut world);
        }
        assert_eq!(world.out.faults, [], "an operator is told once");
    }
    world.turn(at(4_000));
    world.carry_out();
    world.turn(at(4_001));
    world.load(at(4_001));
    world.store(3, 0, at(4_002));
}

#[test]
fn a_load_that_fails_half_way_begins_again_a_second_later() {
    let mut world = World::loaded();
    world.store(1, 0, at(1));
    let message = || "told to".to_owned();
    assert_eq!(world.panic(2, 0, at(2)), [(ShardId(0), Fault::Panicked { message: message() })]);
    world.carry_out();
    world.turn(at(3));
    assert_eq!(world.out.replay.len(), 1);
    gives_nothing(&mut world);
    world.turn(at(4));
    assert_eq!(std::mem::take(&mut world.out.faults), [(ShardId(0), Fault::Away)]);
    world.ask(3, 0, commit("a"));
    world.turn(at(5));
    assert_eq!(world.outcomes(), [(3, committed(ErrorCode::NotCoordinator))]);
    world.turn(at(1_004));
    assert_eq!(world.out.acquire, [ShardId(0)]);
    world.carry_out();
    world.turn(at(1_005));
    world.load(at(1_005));
    assert_eq!(world.turn.active().next().expect("it serves").rows().len(), 1);
    // What fails again later is told again.
    assert_eq!(
        world.panic(4, 0, at(1_006)),
        [(ShardId(0), Fault::Panicked { message: message() })]
    );
    gives_nothing(&mut world);
    world.turn(at(1_007));
    assert_eq!(world.out.faults, [(ShardId(0), Fault::Away)]);
}

#[test]
fn who_stops_no_longer_asks_for_what_the_journal_does_not_give() {
    let mut world = World::new();
    gives_nothing(&mut world);
    world.turn(at(0));
    world.turn.resign();
    assert_eq!(world.turn.next_deadline(), None);
    world.turn(at(2_000));
    assert_eq!(world.out.acquire, []);
    assert!(world.turn.is_quiet());
}
