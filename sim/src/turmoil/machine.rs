//! The host of a broker: a machine that is on or off, and on it a process that runs or not.
//!
//! Decided here: a process is a task set of its own within the host, so that it can end while the
//! machine stays on (its connections end, new ones are refused), and can stand still: then nothing
//! polls it, while its clocks go on and bytes reach its sockets.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ::turmoil::net::TcpListener;
use quorate_io::broker::{Broker, Stores};
use quorate_io::cli::Settings;
use quorate_io::clock::Clock;
use quorate_io::core_thread::Entropy;
use tokio::task::LocalSet;

use super::socket::Door;
use super::stage::Stage;
use super::unruly::Unruly;

/// Where brokers listen.
pub(super) const PORT: u16 = 9092;

/// How often a broker is asked whether something in it has panicked.
const LOOK: Duration = Duration::from_secs(1);

/// What a process is started with.
pub(super) struct Start {
    pub settings: Settings,
    pub cores: usize,
    pub stores: Stores,
    pub wall: quorate_io::clock::Wall,
    pub entropy: Entropy,
    pub unruly: Unruly,
    pub stage: Stage,
    /// Where it says that it has ended in order.
    pub life: Rc<Life>,
}

/// What a process and the world tell each other.
#[derive(Default)]
pub(super) struct Life {
    stopping: tokio::sync::Notify,
    stopped: std::cell::Cell<bool>,
}

impl Life {
    /// Asks the process to end in order.
    pub fn stop(&self) {
        self.stopping.notify_one();
    }

    /// Whether it has ended in order.
    pub fn has_stopped(&self) -> bool {
        self.stopped.get()
    }
}

/// What a machine is told, from outside of it. Clones are the same one.
#[derive(Clone, Default)]
pub(super) struct Control(Rc<RefCell<Orders>>);

#[derive(Default)]
struct Orders {
    queue: VecDeque<Order>,
    is_paused: bool,
    waker: Option<Waker>,
}

enum Order {
    Start(Box<Start>),
    Kill,
}

impl Control {
    /// Starts a process, in place of one that runs.
    pub fn start(&self, start: Start) {
        self.order(Order::Start(Box::new(start)));
    }

    /// Ends the process.
    pub fn kill(&self) {
        self.order(Order::Kill);
    }

    /// The process stands still, or goes on.
    pub fn pause(&self, is_paused: bool) {
        let mut orders = self.0.borrow_mut();
        orders.is_paused = is_paused;
        orders.wake();
    }

    /// The machine has lost power: what it was told is forgotten.
    pub fn forget(&self) {
        *self.0.borrow_mut() = Orders::default();
    }

    fn order(&self, order: Order) {
        let mut orders = self.0.borrow_mut();
        orders.queue.push_back(order);
        orders.wake();
    }
}

impl Orders {
    fn wake(&mut self) {
        self.waker.take().into_iter().for_each(Waker::wake);
    }
}

/// Runs a machine, until it loses power.
pub(super) async fn run(control: Control) -> ::turmoil::Result {
    let mut process: Option<Pin<Box<dyn Future<Output = ()>>>> = None;
    poll_fn(|cx| turn(&control, &mut process, cx)).await;
    Ok(())
}

fn turn(
    control: &Control,
    process: &mut Option<Pin<Box<dyn Future<Output = ()>>>>,
    cx: &mut Context<'_>,
) -> Poll<()> {
    loop {
        let order = {
            let mut orders = control.0.borrow_mut();
            orders.waker = Some(cx.waker().clone());
            orders.queue.pop_front()
        };
        match order {
            Some(Order::Start(start)) => {
                drop(process.take());
                let local = LocalSet::new();
                *process = Some(Box::pin(async move { local.run_until(serve(*start)).await }));
            }
            Some(Order::Kill) => drop(process.take()),
            None => break,
        }
    }
    let is_paused = control.0.borrow().is_paused;
    if !is_paused
        && let Some(running) = process
        && running.as_mut().poll(cx).is_ready()
    {
        *process = None;
    }
    Poll::Pending
}

/// A process, from its start to its end in order.
async fn serve(start: Start) {
    let Start { settings, cores, stores, wall, entropy, unruly, stage, life } = start;
    let here = SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT));
    let listener = match TcpListener::bind(here).await {
        Ok(listener) => Door { listener, unruly: unruly.clone() },
        Err(error) => return stage.crashed(format!("a broker cannot listen: {error}")),
    };
    let spawn = |_, run: quorate_io::broker::Loop| {
        drop(tokio::task::spawn_local(unruly.clone().task(run())));
    };
    let clock = Clock::with_wall(wall);
    let mut broker =
        Broker::start::<Door>(settings, cores, spawn, vec![listener], stores, clock, entropy);
    if let Err(error) = broker.listening().await {
        return stage.crashed(format!("a broker does not listen: {error}"));
    }
    let mut stopping = std::pin::pin!(life.stopping.notified());
    loop {
        tokio::select! {
            biased;
            () = &mut stopping => break,
            () = tokio::time::sleep(LOOK) => {}
        }
        // Those of shards are told by the watcher as well, in more words.
        let panics = broker.panics();
        if panics > 0 {
            stage.crashed(format!("{panics} panics were caught in a broker"));
        }
    }
    // A stop that is not clean is said to an operator; the next start checks more.
    let _ = broker.stop().await;
    life.stopped.set(true);
}
