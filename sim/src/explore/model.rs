//! The situations of an exploration, and what can happen in each: one shard, its journal, its
//! clients, and how many faults are left.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::FixedState;
use litemap::LiteMap;
use quorate_core::request::DeleteGroups;
use quorate_core::{
    Batch, BatchId, Config, Effect, Effects, Epoch, GroupView, Input, Instant, Loader, MemberId,
    NoteKind, NoteKinds, Now, Offset, Origin, Record, RecordKey, RecordValue, RejectCause, Request,
    Seed, Shard, ShardId, Token, WallTime,
};

use super::alias::{Alias, asker, client_name, token};
use super::client::{Ask, Client, HALF, Open, Phase, group};
use super::{Plant, Scope};

/// The token's number of the administrator.
pub const ADMIN: usize = 3;

/// Something that can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// A client asks.
    Ask(u8, Ask),
    /// A client's process restarts, and forgets its member id.
    Restart(u8),
    /// An administrator deletes the group.
    Delete,
    /// The journal has stored the oldest batch.
    Store,
    /// The journal refuses a batch, counted from the oldest, and all later ones.
    Refuse(u8),
    /// Time passes until something is due.
    Pass,
    /// What is due runs.
    Fire,
    /// The process dies; so many batches are found in the journal when another loads the shard.
    Crash(u8),
    /// Planted: the journal says that it has stored the oldest batch, and has not.
    Lie,
}

/// What may still happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Left {
    pub crashes: u8,
    pub refusals: u8,
    pub commits: u8,
    pub deletions: u8,
}

/// A situation.
#[derive(Debug, Clone)]
pub struct State {
    /// In a box, for it is large and situations are moved about.
    pub shard: Box<Shard>,
    pub now: Instant,
    pub epoch: u64,
    /// The journal: the last value of each key. Shared, as the rest that seldom changes is.
    pub log: Arc<Stored>,
    /// Batches whose fate is open.
    pub unstored: Vec<Arc<Vec<Record>>>,
    pub clients: Vec<Client>,
    pub left: Left,
    /// The newest offset that a commit was acknowledged for, since the group last went.
    pub acknowledged: i64,
    /// An unanswered deletion.
    pub deleting: bool,
    /// Ids that clients without one were given in their answers. Not part of the situation.
    pub given: Arc<Vec<MemberId>>,
}

type Stored = LiteMap<RecordKey, RecordValue>;

/// What an action led to.
pub struct Stepped {
    pub state: State,
    pub effects: Vec<Effect>,
    /// How many batches and records the shard has just been told of, and still counts.
    pub told: (u64, u64),
}

pub fn config(scope: &Scope) -> Config {
    Config {
        // Requests may come before it passes all the same: what is due does not run at once.
        initial_rebalance_delay: Duration::ZERO,
        write_timeout: HALF.duration(),
        max_group_size: scope.clients.len().max(2),
        // Nothing is old enough to go.
        retention_check_interval: Duration::MAX,
        ..Config::default()
    }
}

fn load(scope: &Scope, epoch: u64, log: &Stored) -> (Box<Shard>, Vec<Effect>) {
    let seed = Seed { node_secret: [7; 32], load: epoch };
    let mut loader = Loader::new(config(scope), ShardId(0), Epoch(epoch), &seed, Offset(0));
    for (at, (key, value)) in log.iter().enumerate() {
        let record = Record { key: key.clone(), value: Some(value.clone()) };
        loader.replay(Offset(at as u64), record).expect("what was written can be read");
    }
    let mut out = Effects::wanting(NoteKinds::NONE.with(NoteKind::Transition));
    let shard = loader.activate(Now::default(), Arc::default(), &mut out);
    (Box::new(shard), out.drain().collect())
}

impl State {
    pub fn start(scope: &Scope) -> State {
        let log = Arc::<Stored>::default();
        let (shard, _) = load(scope, 1, &log);
        let client = |is_static: &bool| Client::new(*is_static, scope.joins);
        State {
            shard,
            now: Instant::default(),
            epoch: 1,
            log,
            unstored: Vec::new(),
            clients: scope.clients.iter().map(client).collect(),
            left: Left {
                crashes: scope.crashes,
                refusals: scope.refusals,
                commits: scope.commits,
                deletions: scope.deletions,
            },
            acknowledged: 0,
            deleting: false,
            given: Arc::default(),
        }
    }

    /// All that can happen.
    pub fn actions(&self, scope: &Scope) -> Vec<Action> {
        let mut all = Vec::new();
        let next_commit = (self.left.commits > 0).then(|| self.newest_commit() + 1);
        for (number, client) in (0..).zip(&self.clients) {
            let asks = client.asks(next_commit).into_iter();
            all.extend(asks.map(|ask| Action::Ask(number, ask)));
            let may_restart = client.is_static && client.joins > 0 && client.open.is_none();
            if may_restart && client.member.is_some() {
                all.push(Action::Restart(number));
            }
        }
        if self.left.deletions > 0 && !self.deleting {
            all.push(Action::Delete);
        }
        let open = self.unstored.len() as u8;
        if open > 0 {
            all.push(Action::Store);
            if scope.plant == Plant::LyingJournal {
                all.push(Action::Lie);
            }
        }
        if self.left.refusals > 0 {
            all.extend((0..open).map(Action::Refuse));
        }
        match self.shard.next_deadline().filter(|at| at.since_start() < Duration::MAX) {
            Some(at) if at <= self.now => all.push(Action::Fire),
            Some(_) => all.push(Action::Pass),
            None => {}
        }
        if self.left.crashes > 0 {
            all.extend((0..=open).map(Action::Crash));
        }
        all
    }

    /// The highest offset that is known anywhere.
    fn newest_commit(&self) -> i64 {
        let is = |value: &RecordValue| match value {
            RecordValue::Offset(row) => row.offset,
            RecordValue::Group(_) => 0,
        };
        let unstored = self.unstored.iter().flat_map(|batch| batch.iter());
        let values = unstored.filter_map(|record| record.value.as_ref()).chain(self.log.values());
        let asked = self.clients.iter().map(|client| match client.open {
            Some(Open { ask: Ask::Commit(offset), .. }) => offset,
            _ => 0,
        });
        values.map(is).chain(asked).max().unwrap_or(0).max(self.acknowledged)
    }

    /// The group as it is.
    pub fn view(&self) -> Option<GroupView> {
        self.shard.group(&group())
    }

    /// Lets it happen. The journal's state is changed before the shard hears of it.
    pub fn after(&self, scope: &Scope, before: Option<&GroupView>, action: Action) -> Stepped {
        match action {
            // Nothing of the shard is left, so nothing of it is copied.
            Action::Crash(stored) => self.crash(scope, usize::from(stored)),
            action => self.clone().lives_on(before, action),
        }
    }

    fn lives_on(self, before: Option<&GroupView>, action: Action) -> Stepped {
        let mut state = self;
        let told = match action {
            Action::Store | Action::Lie => (1, state.unstored[0].len() as u64),
            _ => (0, 0),
        };
        let input = match action {
            Action::Ask(client, ask) => state.ask(usize::from(client), ask, before),
            Action::Restart(client) => {
                state.clients[usize::from(client)].end(Phase::Out);
                return Stepped { state, effects: Vec::new(), told: (0, 0) };
            }
            Action::Delete => {
                state.left.deletions -= 1;
                state.deleting = true;
                let body = Request::DeleteGroups(DeleteGroups { groups: vec![group()] });
                Input::Request { token: token(ADMIN), origin: Origin::default(), body }
            }
            Action::Store => {
                state.store();
                Input::Appended { through: BatchId(1) }
            }
            Action::Lie => {
                state.unstored.remove(0);
                Input::Appended { through: BatchId(1) }
            }
            Action::Refuse(from) => {
                state.left.refusals -= 1;
                state.unstored.truncate(usize::from(from));
                let cause = RejectCause::NotEnoughReplicas;
                Input::Rejected { from: BatchId(u64::from(from) + 1), cause }
            }
            Action::Pass => {
                state.now = state.shard.next_deadline().unwrap_or(state.now);
                state.rebase();
                return Stepped { state, effects: Vec::new(), told: (0, 0) };
            }
            Action::Fire => Input::Deadline,
            Action::Crash(_) => unreachable!("it does not live on"),
        };
        let mut out = Effects::wanting(NoteKinds::NONE.with(NoteKind::Transition));
        state.shard.step(Now { mono: state.now, wall: WallTime(0) }, input, &mut out);
        Stepped { state, effects: out.drain().collect(), told }
    }

    fn ask(&mut self, number: usize, ask: Ask, before: Option<&GroupView>) -> Input {
        self.left.commits -= u8::from(matches!(ask, Ask::Commit(_)));
        let body = self.clients[number].request(number, ask);
        let entitled = self.entitled(number, before);
        self.clients[number].asked(ask, entitled);
        let client_id = client_name(number).as_str().into();
        let origin = Origin { client_id, client_host: "/".into() };
        Input::Request { token: token(number), origin, body }
    }

    /// Whether the client is a member of the generation that it names.
    fn entitled(&self, number: usize, before: Option<&GroupView>) -> bool {
        let client = &self.clients[number];
        let Some(group) = before else { return false };
        let is_member = client.member.as_ref().is_some_and(|id| group.member(id).is_some());
        group.held_by.is_some() || is_member && group.generation == client.generation
    }

    fn store(&mut self) {
        let records = self.unstored.remove(0);
        put(Arc::make_mut(&mut self.log), &mut self.acknowledged, &records);
        for client in &mut self.clients {
            if let Some(open) = &mut client.open {
                open.behind = open.behind.saturating_sub(1);
            }
        }
    }

    fn crash(&self, scope: &Scope, stored: usize) -> Stepped {
        let (mut log, mut acknowledged) = (self.log.clone(), self.acknowledged);
        for records in &self.unstored[..stored] {
            put(Arc::make_mut(&mut log), &mut acknowledged, records);
        }
        let epoch = self.epoch + 1;
        let (shard, effects) = load(scope, epoch, &log);
        let mut clients = self.clients.clone();
        clients.iter_mut().for_each(Client::lost);
        let left = Left { crashes: self.left.crashes - 1, ..self.left };
        let (now, unstored, deleting) = (Instant::default(), Vec::new(), false);
        let given = self.given.clone();
        let state = State {
            shard,
            now,
            epoch,
            log,
            unstored,
            clients,
            left,
            acknowledged,
            deleting,
            given,
        };
        Stepped { state, effects, told: (0, 0) }
    }

    /// Makes equal situations equal.
    pub fn rebase(&mut self) {
        self.shard.rebase(self.now);
        self.now = Instant::default();
    }

    /// Takes a batch over from the shard.
    pub fn append(&mut self, batch: Batch) {
        self.unstored.push(Arc::new(batch.records));
    }

    /// Who waits: clients, and the administrator.
    pub fn open(&self) -> usize {
        self.clients.iter().filter(|client| client.open.is_some()).count()
            + usize::from(self.deleting)
    }

    /// Whose request that is, if it is open.
    pub fn asker(&self, of: Token) -> Option<usize> {
        let number = asker(of);
        let open = match self.clients.get(number) {
            Some(client) => client.open.is_some(),
            None => number == ADMIN && self.deleting,
        };
        open.then_some(number)
    }

    /// Whether the group cannot begin anew: it is stored, and not deleted any more.
    fn generations_only_rise(&self) -> bool {
        let mut records = self.unstored.iter().flat_map(|batch| batch.iter());
        let is_stored = self.log.contains_key(&RecordKey::Group(group()));
        let is_kept = records.all(|record| record.value.is_some());
        is_stored && self.left.deletions == 0 && !self.deleting && is_kept
    }

    /// The same for situations that differ only in who is who.
    pub fn print(&self) -> Print {
        let (situation, left) = self.printed(false);
        let shifted = self.generations_only_rise().then(|| self.printed(true).0);
        Print { situation, shifted, left }
    }

    fn printed(&self, relative: bool) -> (u64, MayStill) {
        let mut state = Alias::new(FixedState::default().build_hasher(), relative);
        self.shard.hash(&mut state);
        (&self.unstored, &self.log, self.acknowledged, self.deleting).hash(&mut state);
        let alone = |client: &Client| {
            let phase = std::mem::discriminant(&client.phase);
            let id = client.member.is_some();
            let own = (client.is_static, id, client.generation, phase, client.open);
            (FixedState::default().hash_one(own), client.joins)
        };
        let mut order: Vec<usize> = (0..self.clients.len()).collect();
        order.sort_by_key(|number| match state.seen(*number) {
            Some(alias) => (0, (u64::from(alias), 0)),
            None => (1, alone(&self.clients[*number])),
        });
        let mut left = MayStill::of(self.left);
        for number in order {
            state.client(number as u8);
            let client = &self.clients[number];
            client.hash(&mut state);
            left.push(client.joins);
        }
        (state.finish(), left)
    }
}

/// Stores a batch. An offset that goes was acknowledged in vain.
fn put(log: &mut Stored, acknowledged: &mut i64, records: &[Record]) {
    for Record { key, value } in records {
        match value {
            Some(value) => _ = log.insert(key.clone(), value.clone()),
            None => {
                if matches!(key, RecordKey::Offset { .. }) {
                    *acknowledged = 0;
                }
                log.remove(key);
            }
        }
    }
}

/// What a situation is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Print {
    /// A hash of it, without how much may still happen.
    pub situation: u64,
    /// One in which generations count by their distance only, if the group cannot begin anew.
    pub shifted: Option<u64>,
    /// How much may still happen.
    pub left: MayStill,
}

/// How often what may still happen may, in four bits each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MayStill(u32);

impl MayStill {
    fn of(left: Left) -> MayStill {
        let mut all = MayStill(0);
        let Left { crashes, refusals, commits, deletions } = left;
        [crashes, refusals, commits, deletions].into_iter().for_each(|count| all.push(count));
        all
    }

    fn push(&mut self, count: u8) {
        self.0 = self.0 << 4 | u32::from(count.min(15));
    }

    /// Whether as much may happen as in the other, of everything.
    pub fn covers(self, other: MayStill) -> bool {
        let of = |all: u32, place: u32| all >> (4 * place) & 15;
        (0..8).all(|place| of(self.0, place) >= of(other.0, place))
    }
}
