//! The requests of one thread's connections that wait for a shard.
//!
//! Decided here: how tokens are made. One names the thread, a place in a table and how often the
//! place was used, so that it is unique over all threads, an answer finds its way back by the
//! token alone, and one that comes too late finds nothing. Nothing is allocated for a request once
//! the table has grown.

use std::task::{Context, Poll, Waker};

use quorate_core::router::GatherId;
use quorate_core::{Response, Router, ShardId, Token};

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is answered.
    Reply(Response),
    /// It is never answered, as Kafka does; its connection stays as it is.
    Dropped,
    /// Its shard is gone, and with it what was asked: the connection is to be closed.
    Lost,
}

/// The table. See the module for what it decides.
#[derive(Debug)]
pub struct Open {
    core: u16,
    entries: Vec<Entry>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Entry {
    uses: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    Free,
    Waiting { shard: Option<ShardId>, waker: Option<Waker> },
    Part { shard: ShardId, parent: Token, gather: GatherId, part: usize },
    Done(Outcome),
}

const INDEX_BITS: u32 = 24;
const USES_BITS: u32 = 24;
const MASK: u64 = (1 << 24) - 1;

/// The thread that made a token.
#[must_use]
pub fn core_of(token: Token) -> usize {
    usize::try_from(token.0 >> (INDEX_BITS + USES_BITS)).expect("16 bits fit")
}

impl Open {
    /// The empty table of a thread.
    #[must_use]
    pub fn new(core: usize) -> Open {
        let core = u16::try_from(core).expect("there are fewer than 65536 threads");
        Open { core, entries: Vec::new(), free: Vec::new() }
    }

    /// Opens a request of one shard.
    pub fn request(&mut self, shard: ShardId) -> Token {
        self.insert(State::Waiting { shard: Some(shard), waker: None })
    }

    /// Opens a request whose answer is gathered from parts.
    pub fn gathering(&mut self) -> Token {
        self.insert(State::Waiting { shard: None, waker: None })
    }

    /// Opens a part of a gathered request.
    pub fn part(&mut self, shard: ShardId, parent: Token, gather: GatherId, part: usize) -> Token {
        self.insert(State::Part { shard, parent, gather, part })
    }

    fn insert(&mut self, state: State) -> Token {
        let index = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry { uses: 0, state: State::Free });
            u32::try_from(self.entries.len() - 1).expect("checked below")
        });
        assert!(u64::from(index) <= MASK, "there are fewer than 16 million open requests");
        let entry = &mut self.entries[index as usize];
        entry.state = state;
        let core = u64::from(self.core) << (INDEX_BITS + USES_BITS);
        Token(core | u64::from(entry.uses) << INDEX_BITS | u64::from(index))
    }

    fn get(&mut self, token: Token) -> Option<&mut Entry> {
        let index = usize::try_from(token.0 & MASK).expect("24 bits fit");
        let uses = token.0 >> INDEX_BITS & MASK;
        let mine = core_of(token) == usize::from(self.core);
        self.entries.get_mut(index).filter(|entry| mine && u64::from(entry.uses) == uses)
    }

    /// The outcome, if it is there; the token is closed by it.
    pub fn poll(&mut self, token: Token, cx: &mut Context<'_>) -> Poll<Outcome> {
        let entry = self.get(token).expect("a token is polled while it is open");
        match &mut entry.state {
            State::Waiting { waker, .. } => {
                if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
                    *waker = Some(cx.waker().clone());
                }
                Poll::Pending
            }
            State::Done(_) => match self.close(token) {
                Some(State::Done(outcome)) => Poll::Ready(outcome),
                _ => unreachable!("the state was just seen"),
            },
            State::Free | State::Part { .. } => unreachable!("nobody polls these"),
        }
    }

    /// Closes a token; the shard that still works on it is to be told.
    pub fn abandon(&mut self, token: Token) -> Option<ShardId> {
        match self.close(token)? {
            State::Waiting { shard, .. } => shard,
            State::Part { shard, .. } => Some(shard),
            State::Free | State::Done(_) => None,
        }
    }

    fn close(&mut self, token: Token) -> Option<State> {
        let entry = self.get(token)?;
        let state = std::mem::replace(&mut entry.state, State::Free);
        entry.uses = (entry.uses + 1) & MASK as u32;
        self.free.push((token.0 & MASK) as u32);
        Some(state)
    }

    /// Takes an outcome in and wakes who waits for it. One that is too late changes nothing.
    pub fn complete(&mut self, token: Token, outcome: Outcome, router: &mut Router) {
        let Some(entry) = self.get(token) else { return };
        match &mut entry.state {
            State::Waiting { waker, .. } => {
                let waker = waker.take();
                entry.state = State::Done(outcome);
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            &mut State::Part { parent, gather, part, .. } => {
                self.close(token);
                let whole = match outcome {
                    Outcome::Reply(answer) => router.gather(gather, part, answer),
                    Outcome::Dropped | Outcome::Lost => {
                        router.forget(gather);
                        return self.complete(parent, Outcome::Lost, router);
                    }
                };
                if let Some(whole) = whole {
                    self.complete(parent, Outcome::Reply(whole), router);
                }
            }
            State::Free | State::Done(_) => {}
        }
    }

    /// Tells everybody who waits for a shard that it is gone.
    pub fn lose(&mut self, lost: ShardId, router: &mut Router) {
        for index in 0..self.entries.len() {
            let entry = &self.entries[index];
            let hit = match &entry.state {
                State::Waiting { shard, .. } => *shard == Some(lost),
                State::Part { shard, .. } => *shard == lost,
                State::Free | State::Done(_) => false,
            };
            if hit {
                let core = u64::from(self.core) << (INDEX_BITS + USES_BITS);
                let token = core | u64::from(entry.uses) << INDEX_BITS | index as u64;
                self.complete(Token(token), Outcome::Lost, router);
            }
        }
    }

    /// How many requests are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Whether no request is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::Wake;

    use quorate_core::{Config, ErrorCode, Request, Routed};

    use super::*;

    struct Nobody;

    impl Wake for Nobody {
        fn wake(self: Arc<Self>) {}
    }

    fn router() -> Router {
        Router::new(Config::default(), vec![None; 2], Arc::default())
    }

    fn poll(open: &mut Open, token: Token) -> Poll<Outcome> {
        open.poll(token, &mut Context::from_waker(&Waker::from(Arc::new(Nobody))))
    }

    const BEAT: Response = Response::Heartbeat(ErrorCode::None);

    #[test]
    fn an_answer_reaches_its_request_once() {
        let (mut open, mut router) = (Open::new(3), router());
        let token = open.request(ShardId(1));
        assert_eq!(core_of(token), 3);
        assert_eq!(poll(&mut open, token), Poll::Pending);
        open.complete(token, Outcome::Reply(BEAT), &mut router);
        open.complete(token, Outcome::Dropped, &mut router);
        assert_eq!(poll(&mut open, token), Poll::Ready(Outcome::Reply(BEAT)));
        assert_eq!(open.len(), 0);
    }

    #[test]
    fn an_answer_to_an_abandoned_request_does_not_reach_the_next_one_in_its_place() {
        let (mut open, mut router) = (Open::new(0), router());
        let old = open.request(ShardId(1));
        assert_eq!(open.abandon(old), Some(ShardId(1)));
        let new = open.request(ShardId(1));
        assert_ne!(old, new);
        open.complete(old, Outcome::Reply(BEAT), &mut router);
        assert_eq!(poll(&mut open, new), Poll::Pending);
        assert_eq!(open.abandon(old), None);
        assert_eq!(open.len(), 1);
    }

    #[test]
    fn a_gathered_answer_is_there_when_its_last_part_is() {
        let (mut open, mut router) = (Open::new(0), router());
        let list = Request::ListGroups(quorate_core::request::ListGroups::default());
        let Routed::Gather(gather, parts) = router.request(list) else { panic!("two shards") };
        let parent = open.gathering();
        let tokens: Vec<Token> = parts
            .iter()
            .enumerate()
            .map(|(part, (shard, _))| open.part(*shard, parent, gather, part))
            .collect();
        let answer = || {
            let groups = Vec::new();
            let error = ErrorCode::None;
            Response::ListGroups(quorate_core::response::ListGroups { error, groups })
        };
        open.complete(tokens[0], Outcome::Reply(answer()), &mut router);
        assert_eq!(poll(&mut open, parent), Poll::Pending);
        open.complete(tokens[1], Outcome::Reply(answer()), &mut router);
        assert_eq!(poll(&mut open, parent), Poll::Ready(Outcome::Reply(answer())));
        assert!(open.is_empty());
    }

    #[test]
    fn who_waits_for_a_shard_that_is_gone_is_told() {
        let (mut open, mut router) = (Open::new(0), router());
        let (gone, stays) = (open.request(ShardId(0)), open.request(ShardId(1)));
        open.lose(ShardId(0), &mut router);
        assert_eq!(poll(&mut open, gone), Poll::Ready(Outcome::Lost));
        assert_eq!(poll(&mut open, stays), Poll::Pending);
    }
}
