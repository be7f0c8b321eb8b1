//! Scenarios: plans by hand, one idea each, whose traces people review.
//!
//! Decided here: how one is written down. Steps are given in the order of time; networks are
//! instant unless a scenario says otherwise, so that times in a trace are those of the script and
//! what is later than its request waited for something.

mod code;

use std::time::Duration;

pub use code::code;

use crate::plan::{
    Action, Ask, Assignor, ClientId, ClientSpec, ClientVersion, Drive, Ending, Fault, Knobs,
    Latency, NodeSpec, Op, Plan, Step, TopicSpec, Who,
};
use crate::recorder::Outcome;
use crate::trace::{self, Options};

/// The group of clients unless they say otherwise.
pub const GROUP: &str = "orders";

/// The topic of clients unless they say otherwise; it has four partitions.
pub const TOPIC: &str = "t";

/// Between two requests of which one needs the other's answer, where a group is being made: longer
/// than an append takes.
const BETWEEN: Duration = ms(10);

/// A plan in the making.
#[derive(Debug, Clone)]
pub struct Scenario {
    name: String,
    about: String,
    plan: Plan,
    now: Duration,
    /// How it ends, if not when its script does.
    ending: Option<Ending>,
}

/// A scripted client: it says what the script makes it say.
#[must_use]
pub fn scripted() -> ClientSpec {
    ClientSpec {
        group: GROUP.to_owned(),
        instance: None,
        topics: vec![TOPIC.to_owned()],
        assignors: vec![Assignor::Range],
        session: Duration::from_secs(10),
        rebalance: Duration::from_secs(30),
        heartbeat: Duration::from_secs(3),
        commit_every: None,
        version: ClientVersion::New,
        leaves_assignment_to_server: false,
        drive: Drive::Script,
    }
}

/// A client that behaves as a consumer does.
#[must_use]
pub fn consumer() -> ClientSpec {
    ClientSpec { drive: Drive::Consumer, ..scripted() }
}

/// Milliseconds.
#[must_use]
pub const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Seconds.
#[must_use]
pub const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Scenario {
    /// A scenario with one broker and one shard; `about` says what must be true.
    #[must_use]
    pub fn new(name: &str, about: &str) -> Scenario {
        let knobs = Knobs { network: Latency::fixed(Duration::ZERO), ..Knobs::default() };
        Scenario {
            name: name.to_owned(),
            about: about.to_owned(),
            plan: Plan {
                seed: 1,
                knobs,
                nodes: vec![NodeSpec::default()],
                shards: 1,
                topics: vec![TopicSpec { name: TOPIC.to_owned(), partitions: 4 }],
                clients: Vec::new(),
                steps: Vec::new(),
                ending: Ending::At(Duration::ZERO),
                only: Vec::new(),
            },
            now: Duration::ZERO,
            ending: None,
        }
    }

    /// A scenario of a whole plan, such as [`code()`] writes one down.
    #[must_use]
    pub fn of(name: &str, about: &str, plan: Plan) -> Scenario {
        let now = plan.steps.last().map_or(Duration::ZERO, |step| step.at);
        let ending = Some(plan.ending.clone());
        Scenario { name: name.to_owned(), about: about.to_owned(), plan, now, ending }
    }

    /// Says which recording of Apache Kafka has the same exchange.
    #[must_use]
    pub fn recorded_as(mut self, recording: &str) -> Scenario {
        self.about += &format!("\nRecorded from Apache Kafka: {recording}.");
        self
    }

    /// Changes settings.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Knobs)) -> Scenario {
        change(&mut self.plan.knobs);
        self
    }

    /// Without an initial delay, as recordings of Apache Kafka have it.
    #[must_use]
    pub fn at_once(self) -> Scenario {
        self.with(|knobs| knobs.initial_delay = Duration::ZERO)
    }

    /// So many brokers rather than one.
    #[must_use]
    pub fn brokers(mut self, brokers: usize) -> Scenario {
        self.plan.nodes = vec![NodeSpec::default(); brokers];
        self
    }

    /// One topic more, there from the start.
    #[must_use]
    pub fn topic(mut self, topic: TopicSpec) -> Scenario {
        self.plan.topics.push(topic);
        self
    }

    /// A client. A scripted one runs from now on.
    pub fn client(&mut self, spec: ClientSpec) -> ClientId {
        let id = u16::try_from(self.plan.clients.len()).expect("a scenario has few clients");
        if spec.drive == Drive::Script {
            self.op(ClientId(id), Op::Start);
        }
        self.plan.clients.push(spec);
        ClientId(id)
    }

    /// What follows happens then.
    ///
    /// # Panics
    ///
    /// If it is earlier than what came before: scripts are read from top to bottom.
    pub fn at(&mut self, at: Duration) -> &mut Scenario {
        assert!(at >= self.now, "{at:?} is before {:?}", self.now);
        self.now = at;
        self
    }

    /// What follows happens so much later.
    pub fn after(&mut self, wait: Duration) -> &mut Scenario {
        self.now += wait;
        self
    }

    /// A client does something.
    pub fn op(&mut self, client: ClientId, op: Op) -> &mut Scenario {
        self.step(Action::Op(client, op))
    }

    /// A client says something in its own name.
    pub fn say(&mut self, client: ClientId, ask: Ask) -> &mut Scenario {
        self.say_as(client, ask, Who::Itself)
    }

    /// A client says something in some name.
    pub fn say_as(&mut self, client: ClientId, ask: Ask, who: Who) -> &mut Scenario {
        self.op(client, Op::Say(ask, who))
    }

    /// A client joins: it asks, is handed an id, and asks again with it. An old one and a static
    /// member ask once.
    pub fn enters(&mut self, client: ClientId) -> &mut Scenario {
        let spec = &self.plan.clients[usize::from(client.0)];
        let is_handed_an_id = spec.version == ClientVersion::New && spec.instance.is_none();
        self.say(client, Ask::Join);
        if is_handed_an_id {
            self.after(BETWEEN).say(client, Ask::Join);
        }
        self
    }

    /// Clients make a group: they are in one generation, and all have synced. Without an initial
    /// delay the first one is in a generation of its own before.
    pub fn forms(&mut self, clients: &[ClientId]) -> &mut Scenario {
        let (first, others) = clients.split_first().expect("a group has members");
        let delay = self.plan.knobs.initial_delay;
        self.enters(*first);
        if delay.is_zero() {
            self.after(BETWEEN).say(*first, Ask::Sync);
        }
        for other in others {
            self.after(BETWEEN).enters(*other);
        }
        match (delay.is_zero(), others.is_empty()) {
            (true, true) => return self.after(BETWEEN),
            (true, false) => self.after(BETWEEN).say(*first, Ask::Join),
            (false, alone) => self.after(if alone { delay } else { delay * 2 }),
        };
        self.after(BETWEEN);
        for client in clients {
            self.say(*client, Ask::Sync);
        }
        self.after(BETWEEN)
    }

    /// Clients heartbeat every three seconds, from now on until then.
    pub fn beat(&mut self, clients: &[ClientId], until: Duration) -> &mut Scenario {
        while self.now < until {
            for client in clients {
                self.say(*client, Ask::Heartbeat);
            }
            self.after(s(3));
        }
        self.now = until;
        self
    }

    /// Something goes wrong.
    pub fn fault(&mut self, fault: Fault) -> &mut Scenario {
        self.step(Action::Fault(fault))
    }

    fn step(&mut self, what: Action) -> &mut Scenario {
        self.plan.steps.push(Step { at: self.now, what });
        self
    }

    /// Its name, that of the snapshot.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What must be true.
    #[must_use]
    pub fn about(&self) -> &str {
        &self.about
    }

    /// The plan, which ends now unless it is a whole one.
    #[must_use]
    pub fn plan(&self) -> Plan {
        let ending = self.ending.clone().unwrap_or(Ending::At(self.now));
        Plan { ending, ..self.plan.clone() }
    }

    /// Its trace.
    #[must_use]
    pub fn trace(&self, outcome: &Outcome) -> String {
        trace::render(outcome, &self.name, &self.about, Options::default())
    }
}
