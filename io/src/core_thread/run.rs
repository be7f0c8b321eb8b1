//! The loop of a thread: a turn, then one sleep to the earliest deadline or the next message.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use quorate_core::{Input, Instant, NodeId, NoteKinds, Router};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::catalog::{OWNER, Owner, core_topics, dynamic_settings};
use super::{Bell, SCRATCH, Shared, Thread};
use crate::catalog::{Catalog, Configs, Topics};
use crate::compaction;
use crate::connections::Connections;
use crate::disk::Wake;
use crate::homes::Homes;
use crate::journal::{Completion, Journal, JournalStore};
use crate::log::{LogStore, Recovered, TailBudget};
use crate::message::Message;
use crate::metrics::Counters;
use crate::open::Open;
use crate::retention;
use crate::tap::Tap;
use crate::telemetry::{self, Advised};
use crate::turn::Turn;

/// What a thread is made from, sent to it when it starts.
pub(crate) struct Core {
    pub index: usize,
    pub shared: Arc<Shared>,
    pub inbox: mpsc::UnboundedReceiver<Message>,
    pub journal: Arc<dyn JournalStore>,
    pub log: Arc<dyn LogStore>,
    /// Those that have their home here.
    pub partitions: Vec<Recovered>,
    pub tails: TailBudget,
    pub catalog: Option<Box<dyn Catalog>>,
    pub topics: Topics,
    pub configs: Configs,
    pub config: quorate_core::Config,
    pub node_secret: [u8; 32],
    pub notes: NoteKinds,
    pub tap: Option<Arc<dyn Tap>>,
}

impl Core {
    /// The thread's state, on the thread itself, and what its loop owns.
    fn open(self) -> (Rc<Thread>, Loop) {
        let Core { index, shared, inbox, topics, configs, config, node_secret, notes, .. } = self;
        let shards = shared.settings.offsets_topic_num_partitions;
        let leader = NodeId(shared.identity.node_id);
        let seen = Arc::new(core_topics(&topics));
        let leaders = vec![Some(leader); shards as usize];
        let cores = u32::try_from(shared.boxes.len()).expect("few threads");
        let core = u32::try_from(index).expect("few threads");
        let own = shared.boxes[index].clone();
        let wake = Arc::new(move || {
            // Once the thread has ended nobody takes completions.
            let _ = own.send(Message::Wake);
        });
        let log = self.log.handle(Arc::clone(&wake) as Wake);
        let homes = Homes::new(log, shared.leader_epoch, self.tails, self.partitions);
        let settings = dynamic_settings(&shared, &configs);
        shared.admission.configure(&settings);
        let turn = Turn::new(config.clone(), node_secret, core, cores, shards, notes);
        let thread = Rc::new(Thread {
            index,
            router: Router::new(config, leaders, Arc::clone(&seen)).into(),
            open: Open::new(index).into(),
            turn: turn.watched_by(self.tap).into(),
            out: RefCell::default(),
            topics: topics.into(),
            settings: settings.into(),
            configs: configs.into(),
            rules: RefCell::default(),
            coordinator_topics: seen.into(),
            owner: self.catalog.map(Owner::new).into(),
            homes: homes.into(),
            watches: Cell::default(),
            counters: Counters::default(),
            fetch_sessions: RefCell::default(),
            connections: Connections::new(shared.settings.connections_max_idle).into(),
            acceptors: RefCell::default(),
            scratch: RefCell::new(vec![0; SCRATCH].into_boxed_slice()),
            bell: Bell::default(),
            shared,
        });
        let rest = Loop {
            inbox,
            journal: self.journal.handle(wake),
            completions: Vec::new(),
            advised: Advised::default(),
            sweeps: JoinSet::new(),
            stopping: None,
        };
        (thread, rest)
    }
}

struct Loop {
    inbox: mpsc::UnboundedReceiver<Message>,
    journal: Box<dyn Journal>,
    completions: Vec<Completion>,
    advised: Advised,
    /// What goes over partitions now and then; a stop does not wait for it.
    sweeps: JoinSet<()>,
    /// Told when this thread is quiet, while the broker stops.
    stopping: Option<oneshot::Sender<()>>,
}

/// Runs a thread until it is told to quit. `started` is called first, with the thread.
pub(crate) async fn run(core: Core, started: impl FnOnce(&Rc<Thread>)) {
    let (thread, mut own) = core.open();
    debug_assert!(thread.index != OWNER || thread.owner.borrow().is_some());
    started(&thread);
    thread.create_offsets_topic();
    own.sweeps.spawn_local(retention::sweep_again_and_again(Rc::clone(&thread)));
    own.sweeps.spawn_local(compaction::sweep_again_and_again(Rc::clone(&thread)));
    thread.turn.borrow_mut().start(&mut thread.out.borrow_mut());
    own.carry_out(&thread);
    let mut sleep = pin!(thread.clock().sleep_until(Instant::default()));
    loop {
        own.turn(&thread);
        let deadline = thread.next_deadline();
        if let Some(at) = deadline {
            sleep.as_mut().reset(thread.clock().tokio(at));
        }
        let quit = poll_fn(|cx| {
            let mut woken = false;
            while let Poll::Ready(message) = own.inbox.poll_recv(cx) {
                match message {
                    None | Some(Message::Quit) => return Poll::Ready(true),
                    Some(message) => own.take(&thread, message),
                }
                woken = true;
            }
            woken |= thread.bell.heard(cx.waker());
            woken |= deadline.is_some() && sleep.as_mut().poll(cx).is_ready();
            if woken { Poll::Ready(false) } else { Poll::Pending }
        });
        if quit.await {
            return;
        }
    }
}

impl Loop {
    fn turn(&mut self, thread: &Rc<Thread>) {
        thread.poll_catalog();
        self.journal.poll(&mut self.completions);
        let now = thread.now();
        thread.homes.borrow_mut().turn(now);
        let topics = Arc::clone(&thread.coordinator_topics.borrow());
        let turn = &mut *thread.turn.borrow_mut();
        turn.run(now, &mut self.completions, &topics, &mut thread.out.borrow_mut());
        self.carry_out(thread);
        thread.connections.borrow_mut().expire(now.mono);
        let idle = turn.is_quiet() && thread.connections.borrow().is_empty();
        if self.stopping.is_some() && idle && thread.homes.borrow_mut().is_quiet() {
            // Who asked may have given up waiting.
            let _ = self.stopping.take().map(|quiet| quiet.send(()));
        }
    }

    /// Does what a turn left to be done.
    fn carry_out(&mut self, thread: &Rc<Thread>) {
        let out = &mut *thread.out.borrow_mut();
        for (token, outcome) in out.outcomes.drain(..) {
            thread.complete(token, outcome);
        }
        if !out.appends.is_empty() {
            self.journal.append(std::mem::take(&mut out.appends));
        }
        if !out.acquire.is_empty() {
            self.journal.acquire(&out.acquire);
            out.acquire.clear();
        }
        for (shard, epoch) in out.replay.drain(..) {
            self.journal.replay(shard, epoch);
        }
        for shard in out.lost.drain(..) {
            (0..thread.cores()).for_each(|core| thread.send(core, Message::Lost(shard)));
        }
        for (shard, fault) in out.faults.drain(..) {
            if fault.is_panic() {
                thread.shared.panics.fetch_add(1, Ordering::Relaxed);
            }
            telemetry::fault(shard, &fault);
        }
        for took in out.append_times.drain(..) {
            thread.counters.appended(took);
        }
        for (shard, note) in out.notes.drain(..) {
            thread.counters.note(&note);
            telemetry::note(shard, &note, &mut self.advised);
        }
    }

    fn take(&mut self, thread: &Rc<Thread>, message: Message) {
        match message {
            Message::Request { shard, token, origin, body } => {
                let input = Input::Request { token, origin, body };
                thread.turn.borrow_mut().push(shard, input);
            }
            Message::Abandoned { shard, token } => {
                thread.turn.borrow_mut().push(shard, Input::Abandoned { token });
            }
            Message::Outcome { token, outcome } => thread.complete(token, outcome),
            Message::Lost(shard) => thread.lose(shard),
            Message::Run(work) => work(thread),
            Message::Wake => {}
            Message::Stop(quiet) => {
                self.stopping = Some(quiet);
                self.sweeps.abort_all();
                thread.acceptors.borrow_mut().drain(..).for_each(|task| task.abort());
                thread.turn.borrow_mut().resign();
                thread.homes.borrow_mut().stop();
                thread.connections.borrow_mut().stop();
            }
            Message::Quit => unreachable!("the loop ends with it"),
        }
    }
}

impl Thread {
    fn next_deadline(&self) -> Option<Instant> {
        let idle = self.connections.borrow().next_deadline();
        let turn = self.turn.borrow().next_deadline();
        let homes = self.homes.borrow().next_deadline();
        [turn, idle, homes].into_iter().flatten().min()
    }
}
