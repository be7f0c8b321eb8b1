//! From events to lines.
//!
//! Decided here: what a line is about. A reply is shown where its client hears it; a batch where it
//! is appended and where its writer hears of its fate. What the journal or a broker's door knows is
//! shown only where no other line tells it.

use std::collections::BTreeSet;
use std::time::Duration;

use litemap::LiteMap;
use quorate_core::{
    BatchId, Effect, Epoch, Input, Now, Record, RecordKey, RecordValue, Request, Response, ShardId,
    Token,
};

use super::names::Names;
use super::{Line, fold, requests, shards, words};
use crate::event::{Call, ClientNote, Ended, Event, NotStored, Phase, Place, Unheard, What};
use crate::plan::{ClientId, NodeIndex};

/// The lines of some events, none folded.
pub(super) fn tell(events: &[Event]) -> Vec<Line> {
    told(events).lines
}

/// The aliases that the lines of some events use.
pub(super) fn names_of(events: &[Event]) -> Names {
    told(events).names
}

fn told(events: &[Event]) -> Teller {
    let mut teller = Teller { many_nodes: has_many_nodes(events), ..Teller::default() };
    for event in events {
        teller.at = event.at;
        teller.event(&event.what);
    }
    teller
}

fn has_many_nodes(events: &[Event]) -> bool {
    let node = |event: &Event| match &event.what {
        What::Loaded { place, .. } | What::Stepped { place, .. } => Some(place.node),
        What::Leader { node, .. } | What::Acquired { node, .. } => Some(*node),
        _ => None,
    };
    events.iter().filter_map(node).collect::<BTreeSet<NodeIndex>>().len() > 1
}

/// A request on its way.
struct Open {
    since: Duration,
    /// Which broker it went to, where there are several.
    to: String,
    api: &'static str,
    words: String,
}

#[derive(Default)]
struct Teller {
    many_nodes: bool,
    at: Duration,
    names: Names,
    lines: Vec<Line>,
    open: LiteMap<(ClientId, Call), Open>,
    /// Requests that shards have, and in whose name.
    asked: LiteMap<(Place, Token), String>,
    appended: LiteMap<Place, BatchId>,
    /// Incarnations that are gone: nobody tells them any more.
    ended: BTreeSet<(ShardId, Epoch)>,
    /// What each shard's log says of its groups.
    stored: LiteMap<ShardId, LiteMap<RecordKey, RecordValue>>,
}

impl Teller {
    fn line(&mut self, who: impl Into<String>, glyph: &'static str, what: impl Into<String>) {
        let (who, what) = (who.into(), what.into());
        let at = Some(self.at);
        self.lines.push(Line { at, who, glyph, what, call: None, repeats: None });
    }

    fn place(&self, place: &Place) -> String {
        self.shard(place.node, place.shard)
    }

    fn shard(&self, node: NodeIndex, shard: ShardId) -> String {
        if self.many_nodes { format!("n{}s{shard}", node.0 + 1) } else { format!("s{shard}") }
    }

    fn event(&mut self, what: &What) {
        match what {
            What::Script(words) => self.line("%%", "", words),
            What::Fault(fault) => self.line("xx", "", words::fault(&fault.0)),
            What::Phase(Phase::Healed) => self.line("xx", "", "faults are over"),
            What::Phase(Phase::Converged) => self.line("xx", "", "all must be well from now on"),
            What::Sent { client, call, node, request } => {
                self.sent(*client, *call, *node, request);
            }
            What::Heard { client, call, response } => self.heard(*client, *call, response),
            What::Unheard { client, call, why } => self.unheard(*client, *call, *why),
            What::Client { client, note } => self.client(*client, note),
            What::Loaded { place, now, effects } => self.loaded(place, *now, effects),
            What::Stepped { place, now, input, effects } => {
                self.input(place, input);
                self.effects(place, *now, effects);
            }
            What::Ended { place, why } => self.ended(place, why),
            What::Stored { shard, batch } => {
                if self.ended.contains(&(*shard, batch.epoch)) {
                    let what = format!("b{}  stored, its writer is gone", batch.id);
                    self.line(format!("j{shard}"), "<<", what);
                }
                self.store(*shard, &batch.records);
            }
            What::Refused { shard, from, why, .. } => {
                let why = match why {
                    NotStored::Unknown => "its fate is not told",
                    NotStored::Lost => "lost",
                    NotStored::Rejected(_) | NotStored::Fenced(_) => return,
                };
                self.line(format!("j{shard}"), "!!", format!("b{from}  {why}"));
            }
            What::Compacted { shard, left } => {
                let what = format!("compacted, {} left", words::count(left.len(), "record"));
                self.line(format!("j{shard}"), "::", what);
            }
            What::Topics { view } => self.topics(view),
            What::Leader { shard, node } if self.many_nodes => {
                self.line(format!("s{shard}"), "::", format!("led by n{}", node.0 + 1));
            }
            What::Leader { .. }
            | What::Acquired { .. }
            | What::Arrived { .. }
            | What::TurnedAway { .. } => {}
        }
    }

    fn topics(&mut self, view: &quorate_core::Topics) {
        let mut topics = Vec::new();
        for topic in view.iter() {
            let alias = self.names.topic(topic.id);
            topics.push(format!("{}[{}] id {alias}", topic.name, topic.partitions));
        }
        let topics = if topics.is_empty() { "no topics".to_owned() } else { topics.join("   ") };
        self.line("meta", "::", topics);
    }

    fn sent(&mut self, client: ClientId, call: Call, node: NodeIndex, request: &Request) {
        let api = requests::api(request);
        let words = requests::request(&mut self.names, request);
        let to = if self.many_nodes { format!("n{} ", node.0 + 1) } else { String::new() };
        self.line(words::client(client), "->", format!("{to}{api:<9} {words}"));
        let line = self.lines.last_mut().expect("a line was pushed");
        line.call = Some(format!("#{}", call.0));
        if matches!(request, Request::Heartbeat(_) | Request::FindCoordinator(_)) {
            let (request, answer) = (api.to_owned(), String::new());
            let request = if words.is_empty() { request } else { format!("{api} {words}") };
            line.repeats = Some(fold::Key { client, call, request, answer });
        }
        self.open.entry((client, call)).or_insert(Open { since: self.at, to, api, words });
    }

    fn heard(&mut self, client: ClientId, call: Call, response: &Response) {
        let api = requests::api_of(response);
        let words = requests::response(&mut self.names, response);
        let open = self.open.remove(&(client, call));
        let from = open.as_ref().map_or("", |open| open.to.as_str());
        self.line(words::client(client), "<-", format!("{from}{api:<9} {words}"));
        let line = self.lines.last_mut().expect("a line was pushed");
        let Some(open) = open else { return };
        line.call = Some(took(call, open.since, self.at));
        if matches!(response, Response::Heartbeat(_) | Response::FindCoordinator(_)) {
            let request = format!("{}{api} {}", open.to, open.words);
            line.repeats = Some(fold::Key { client, call, request, answer: words });
        }
    }

    fn unheard(&mut self, client: ClientId, call: Call, why: Unheard) {
        let why = match why {
            Unheard::Disconnected => "disconnected",
            Unheard::TimedOut => "timed out",
            Unheard::GivenUp => "given up",
        };
        let open = self.open.remove(&(client, call));
        let (to, api) = open.as_ref().map_or(("", ""), |open| (open.to.as_str(), open.api));
        self.line(words::client(client), "~>", format!("{to}{api:<9} {why}"));
        let since = open.map_or(self.at, |open| open.since);
        let line = self.lines.last_mut().expect("a line was pushed");
        line.call = Some(took(call, since, self.at));
    }

    fn client(&mut self, client: ClientId, note: &ClientNote) {
        let text = match note {
            ClientNote::Started => "starts".to_owned(),
            ClientNote::Stopped => "ends".to_owned(),
            ClientNote::Paused => "sleeps".to_owned(),
            ClientNote::Resumed => "wakes up".to_owned(),
            ClientNote::Joined { .. } => return,
            ClientNote::Assigned { generation, owned } => {
                format!("gen {generation} owns {}", words::owns(owned))
            }
            ClientNote::Lost => "is no member any more, owns nothing".to_owned(),
            ClientNote::Fenced { instance } => format!("is fenced, {instance} is somebody else"),
            ClientNote::Committed { .. } | ClientNote::ReadBack { .. } => return,
        };
        self.line(words::client(client), "::", text);
    }

    fn loaded(&mut self, place: &Place, now: Now, effects: &[Effect]) {
        let is_first = place.load <= 1 || (place.epoch.0 <= 1 && self.at.is_zero());
        if !is_first {
            let groups = self.stored.get(&place.shard);
            let groups = groups.map(|rows| shards::rows(&mut self.names, rows)).unwrap_or_default();
            let what = format!("loaded   epoch {}{groups}", place.epoch);
            self.line(self.place(place), "::", what);
        }
        self.effects(place, now, effects);
    }

    fn store(&mut self, shard: ShardId, records: &[Record]) {
        let rows = self.stored.entry(shard).or_default();
        for record in records {
            match &record.value {
                Some(value) => rows.insert(record.key.clone(), value.clone()),
                None => rows.remove(&record.key),
            };
        }
    }

    fn ended(&mut self, place: &Place, why: &Ended) {
        self.ended.insert((place.shard, place.epoch));
        let why = match why {
            Ended::Killed => "killed".to_owned(),
            Ended::Fenced => "fenced".to_owned(),
            Ended::Resigned => "resigned".to_owned(),
            Ended::Panicked(message) => format!("panicked: {message}"),
        };
        self.line(self.place(place), "::", format!("ends   epoch {}   {why}", place.epoch));
    }

    fn input(&mut self, place: &Place, input: &Input) {
        let who = self.place(place);
        match input {
            Input::Request { token, body, .. } => {
                let asked = self.in_whose_name(body);
                self.asked.insert((*place, *token), asked);
            }
            Input::Abandoned { token } => {
                self.asked.remove(&(*place, *token));
            }
            Input::Appended { through } => {
                let before = self.appended.insert(*place, *through).unwrap_or_default();
                let batches = match before.0 + 1 {
                    first if first < through.0 => format!("b{first}-b{through}"),
                    _ => format!("b{through}"),
                };
                self.line(who, "<<", batches);
            }
            Input::Rejected { from, cause } => {
                self.line(who, "!!", format!("b{from}  refused: {cause:?}"));
            }
            Input::Fenced { by: Some(by) } => {
                self.line(who, "!!", format!("fenced by epoch {by}"));
            }
            Input::Fenced { by: None } => self.line(who, "!!", "fenced: the fate is unknown"),
            Input::Resign => self.line(who, "::", "resigns"),
            Input::Topics(_) | Input::Deadline => {}
        }
    }

    fn in_whose_name(&mut self, body: &Request) -> String {
        let api = requests::api(body);
        let member = match body {
            Request::JoinGroup(join) => &join.member_id,
            Request::SyncGroup(sync) => &sync.member_id,
            _ => return api.to_owned(),
        };
        format!("{api:<9} of {}", self.names.member(member))
    }

    fn effects(&mut self, place: &Place, now: Now, effects: &[Effect]) {
        let who = self.place(place);
        for effect in effects {
            match effect {
                Effect::Reply { token, .. } => {
                    self.asked.remove(&(*place, *token));
                }
                Effect::Dropped { token, why } => {
                    let asked = self.asked.remove(&(*place, *token)).unwrap_or_default();
                    let why = match why {
                        quorate_core::Dropped::Replaced => "asked again",
                        quorate_core::Dropped::MemberLeft => "the member left",
                    };
                    self.line(&who, "~>", format!("{asked}  never answered: {why}"));
                }
                Effect::Append(batch) => {
                    let what = shards::batch(&mut self.names, batch);
                    self.line(&who, ">>", what);
                }
                Effect::Note(note) => {
                    let clock = shards::Clock { world: self.at, broker: now.mono };
                    let (glyph, what) = shards::note(&mut self.names, note, clock);
                    self.line(&who, glyph, what);
                }
            }
        }
    }
}

fn took(call: Call, since: Duration, at: Duration) -> String {
    format!("#{}  {:.3}s", call.0, at.saturating_sub(since).as_secs_f64())
}
