//! What the clients of a plan do, beside what consumers do of their own accord.

use std::time::Duration;

use super::{Draw, Profile, push};
use crate::plan::{Action, Ask, ClientId, ClientSpec, ClientVersion, Drive, Op, Plan, Step, Who};
use crate::random::Stream;

/// Kinds of operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Leave,
    Crash,
    Pause,
    Subscribe,
    Rejoin,
    RetryElsewhere,
    Commit,
    CommitStale,
    Fetch,
    Stale,
    Admin,
    Delete,
    Remove,
    LastWord,
}

const ALL: [Kind; 14] = [
    Kind::Leave,
    Kind::Crash,
    Kind::Pause,
    Kind::Subscribe,
    Kind::Rejoin,
    Kind::RetryElsewhere,
    Kind::Commit,
    Kind::CommitStale,
    Kind::Fetch,
    Kind::Stale,
    Kind::Admin,
    Kind::Delete,
    Kind::Remove,
    Kind::LastWord,
];

/// What a profile has in any case.
fn always(profile: Profile) -> &'static [Kind] {
    match profile {
        Profile::Churn => &[Kind::Leave, Kind::Crash, Kind::Rejoin],
        Profile::Durability => &[Kind::Commit, Kind::Fetch],
        Profile::Sessions => &[Kind::Pause, Kind::LastWord],
        Profile::SplitBrain => &[Kind::CommitStale, Kind::Fetch, Kind::Stale],
        Profile::Storms => &[Kind::Rejoin, Kind::Subscribe, Kind::RetryElsewhere],
        Profile::Fencing => &[Kind::CommitStale, Kind::Rejoin, Kind::Commit],
        Profile::Expiry => &[Kind::Leave, Kind::Commit, Kind::Fetch],
        Profile::Everything => &ALL,
    }
}

pub(super) fn steps(draw: &Draw, plan: &Plan) -> Vec<Step> {
    let mut stream = draw.stream("swarm ops");
    let mut kinds = stream.swarm(&ALL, 35);
    for &kind in always(draw.profile) {
        kinds.push((kind, 50 + stream.below(50)));
    }
    let mut making = Making { steps: Vec::new(), plan, draw, stream };
    making.starts();
    let busy = *making.stream.pick(&[400_u64, 1_000, 2_500]);
    let mut at = Duration::from_millis(1_500);
    loop {
        at += Duration::from_millis(making.stream.below(busy * 2) + 1);
        if at >= draw.until {
            break;
        }
        let kind = making.stream.weighted(&kinds);
        making.one(at, kind);
    }
    making.steps
}

struct Making<'a> {
    steps: Vec<Step>,
    plan: &'a Plan,
    draw: &'a Draw,
    stream: Stream,
}

/// In some plans an administrator is handed an id, and a static member of the group joins with it
/// under its own instance id (spec classic 6.5, 3).
pub(super) fn leaked_id(draw: &Draw, plan: &Plan) -> Vec<Step> {
    let mut stream = draw.stream("leaked id");
    let clients = || (0..).map(ClientId).zip(&plan.clients);
    let is_handed_one = |client: &ClientSpec| {
        client.drive == Drive::Script
            && client.version == ClientVersion::New
            && client.instance.is_none()
    };
    let administrator = clients().find(|(_, client)| is_handed_one(client));
    let Some((administrator, of)) = administrator.filter(|_| stream.chance(25)) else {
        return Vec::new();
    };
    let is_static = |client: &ClientSpec| client.group == of.group && client.instance.is_some();
    let Some((member, _)) = clients().find(|(_, client)| is_static(client)) else {
        return Vec::new();
    };
    let mut steps = Vec::new();
    for _ in 0..3 {
        let at = stream.between(Duration::from_secs(2), draw.until);
        let later = at + stream.between(Duration::from_millis(50), Duration::from_secs(3));
        let (gets, leaks) = (Who::Nobody, Who::OtherAs(administrator));
        push(&mut steps, at, Action::Op(administrator, Op::Say(Ask::Join, gets)));
        push(&mut steps, later, Action::Op(member, Op::Say(Ask::Join, leaks)));
    }
    steps
}

impl Making<'_> {
    /// All start: at once, or one after the other.
    fn starts(&mut self) {
        let spread = *self.stream.pick(&[0_u64, 1_000, 4_000, 15_000]);
        for client in 0..self.plan.clients.len() as u16 {
            let at = Duration::from_millis(self.stream.below(spread + 1));
            push(&mut self.steps, at, Action::Op(ClientId(client), Op::Start));
        }
    }

    fn op(&mut self, at: Duration, client: ClientId, op: Op) {
        push(&mut self.steps, at, Action::Op(client, op));
    }

    fn one(&mut self, at: Duration, kind: Kind) {
        let client = self.consumer();
        match kind {
            Kind::Leave => self.ends(at, client, Op::Leave),
            Kind::Crash => self.ends(at, client, Op::Crash),
            Kind::Pause => {
                let lasts = self.pause(client);
                self.op(at, client, Op::Pause(lasts));
            }
            Kind::Subscribe => {
                let topics = self.topics();
                self.op(at, client, Op::Subscribe(topics));
            }
            Kind::Rejoin => self.op(at, client, Op::Rejoin),
            Kind::RetryElsewhere => self.op(at, client, Op::RetryElsewhere),
            Kind::Commit => {
                let ask = self.commit();
                let nobody = self.administrator_or(client);
                let (who, client) = *self.stream.pick(&[
                    (Who::Itself, client),
                    (Who::Itself, client),
                    (Who::Nobody, nobody),
                ]);
                self.op(at, client, Op::Say(ask, who));
            }
            Kind::CommitStale => {
                let (ask, who) = (self.commit(), self.somebody());
                self.op(at, client, Op::Say(ask, who));
            }
            Kind::Fetch => {
                let stable = self.stream.chance(50);
                self.op(at, client, Op::Say(Ask::Fetch { stable }, Who::Itself));
            }
            Kind::Stale => {
                let asks = [Ask::Join, Ask::Sync, Ask::Heartbeat, Ask::Heartbeat, Ask::LeaveGroup];
                let (ask, mut who) = (self.stream.pick(&asks).clone(), self.somebody());
                if ask == Ask::Sync && self.stream.chance(50) {
                    who = Who::Itself;
                }
                self.op(at, client, Op::Say(ask, who));
            }
            Kind::Admin => {
                let foreign = Ask::JoinAs { protocol_type: "connect".to_owned() };
                let asks = [Ask::Describe, Ask::List, Ask::FindCoordinator, foreign];
                let (ask, who) = (self.stream.pick(&asks).clone(), self.administrator_or(client));
                self.op(at, who, Op::Say(ask, Who::Nobody));
            }
            Kind::Delete => self.deletion(at, client),
            Kind::Remove => {
                let who = self.administrator_or(client);
                self.op(at, who, Op::Say(Ask::Remove(client), Who::Nobody));
            }
            Kind::LastWord => self.last_word(at, client),
        }
    }

    /// A client ends, and most of the time another process takes its place.
    fn ends(&mut self, at: Duration, client: ClientId, how: Op) {
        self.op(at, client, how);
        if self.stream.chance(85) {
            let session = self.plan.clients[usize::from(client.0)].session;
            let away = self.stream.between(Duration::from_millis(100), session * 2);
            if at + away < self.draw.until {
                self.op(at + away, client, Op::Start);
            }
        }
    }

    /// A client ends, and another one keeps it alive, the second time in the instant in which the
    /// session is over, if all takes the same time.
    fn last_word(&mut self, at: Duration, client: ClientId) {
        let spec = &self.plan.clients[usize::from(client.0)];
        let others = (0..).zip(&self.plan.clients);
        let peers: Vec<ClientId> = others
            .filter(|(number, other)| ClientId(*number) != client && other.group == spec.group)
            .map(|(number, _)| ClientId(number))
            .collect();
        if peers.is_empty() || at + spec.session * 2 >= self.draw.until {
            return;
        }
        let (session, peer) = (spec.session, *self.stream.pick(&peers));
        self.op(at, client, Op::Crash);
        let first = at + Duration::from_millis(200);
        for at in [first, first + session] {
            self.op(at, peer, Op::Say(Ask::Heartbeat, Who::Other(client)));
        }
        self.op(first + session * 2, client, Op::Start);
    }

    /// At times all clients of a group end, so that it is empty, and then it is deleted.
    fn deletion(&mut self, at: Duration, client: ClientId) {
        let who = self.administrator_or(client);
        if self.stream.chance(40) {
            let (topic, partitions) = (self.topic(), 1 + self.stream.below(6) as i32);
            let ask = Ask::DeleteOffsets { topic, partitions };
            self.op(at, who, Op::Say(ask, Who::Nobody));
            return;
        }
        if self.stream.chance(60) {
            let group = self.plan.clients[usize::from(who.0)].group.clone();
            for client in 0..self.plan.clients.len() as u16 {
                let spec = &self.plan.clients[usize::from(client)];
                if spec.group == group && spec.drive == Drive::Consumer {
                    self.ends(at, ClientId(client), Op::Leave);
                }
            }
        }
        let later = at + Duration::from_millis(self.stream.below(500));
        self.op(later, who, Op::Say(Ask::DeleteGroup, Who::Nobody));
    }

    /// About a session or a rebalance, to the tenth of a second in rounded plans.
    fn pause(&mut self, client: ClientId) -> Duration {
        let spec = &self.plan.clients[usize::from(client.0)];
        let whole = *self.stream.pick(&[
            spec.session,
            spec.session,
            spec.session - spec.heartbeat,
            spec.rebalance,
            Duration::from_millis(700),
        ]);
        let off = *self.stream.pick(&[0_i64, 0, -100, 100, -1, 1, 1_500, -600]);
        let millis = (whole.as_millis() as i64 + off).max(10);
        Duration::from_millis(millis as u64)
    }

    fn commit(&mut self) -> Ask {
        let metadata = *self.stream.pick(&[0, 0, 0, 5, 4_096, 4_097]);
        let (topic, partitions) = (self.topic(), 1 + self.stream.below(4) as i32);
        Ask::Commit { topic, partitions, offset: self.stream.below(1_000_000) as i64, metadata }
    }

    fn somebody(&mut self) -> Who {
        let other = self.consumer();
        *self.stream.pick(&[
            Who::OldGeneration,
            Who::OldGeneration,
            Who::NextGeneration,
            Who::OldMember,
            Who::Nobody,
            Who::Other(other),
            Who::Stranger,
        ])
    }

    fn topic(&mut self) -> String {
        self.stream.pick(&self.plan.topics).name.clone()
    }

    fn topics(&mut self) -> Vec<String> {
        let mut topics = vec![self.topic()];
        let more = self.topic();
        if more != topics[0] {
            topics.push(more);
        }
        topics
    }

    fn consumer(&mut self) -> ClientId {
        self.any(Drive::Consumer).unwrap_or_default()
    }

    /// An administrator; that client if there is none.
    fn administrator_or(&mut self, client: ClientId) -> ClientId {
        self.any(Drive::Script).unwrap_or(client)
    }

    fn any(&mut self, drive: Drive) -> Option<ClientId> {
        let clients = self.plan.clients.iter().enumerate();
        let of: Vec<ClientId> = clients
            .filter(|(_, client)| client.drive == drive)
            .map(|(number, _)| ClientId(number as u16))
            .collect();
        (!of.is_empty()).then(|| *self.stream.pick(&of))
    }
}
