use std::sync::Arc;
use std::time::Duration;

use quorate_core::request::{Heartbeat, JoinGroup};
use quorate_core::{
    Batch, BatchId, Cause, Effect, Epoch, ErrorCode, Generation, Input, Instant, Note, Now, Offset,
    Record, RecordKey, Request, Response, ShardId, Token, WallTime,
};

use super::grammar::{Parsed, parse};
use super::{full_lines, lines, mermaid, ribbon};
use crate::event::{Call, Event, FaultText, Place, What};
use crate::plan::{ClientId, Fault, NodeIndex};

fn at(ms: u64, what: What) -> Event {
    Event { at: Duration::from_millis(ms), what }
}

fn sent(ms: u64, call: u32, request: Request) -> Event {
    let (client, node) = (ClientId(0), NodeIndex(0));
    at(ms, What::Sent { client, call: Call(call), node, request: Arc::new(request) })
}

fn heard(ms: u64, call: u32, response: Response) -> Event {
    let response = Arc::new(response);
    at(ms, What::Heard { client: ClientId(0), call: Call(call), response })
}

fn stepped(ms: u64, input: Input, effects: Vec<Effect>) -> Event {
    let place = Place { node: NodeIndex(0), shard: ShardId(7), epoch: Epoch(1), load: 1 };
    let mono = Instant::after_start(Duration::from_millis(ms + 500));
    at(ms, What::Stepped { place, now: Now { mono, wall: WallTime(0) }, input, effects })
}

fn join(member: &str) -> Request {
    Request::JoinGroup(Box::new(JoinGroup {
        group_id: "orders".into(),
        member_id: member.into(),
        protocol_type: "consumer".into(),
        ..JoinGroup::default()
    }))
}

fn beat(member: &str) -> Request {
    Request::Heartbeat(Heartbeat {
        group_id: "orders".into(),
        generation: Generation(1),
        member_id: member.into(),
        instance_id: None,
    })
}

fn refused(member: &str) -> Response {
    use quorate_core::response::JoinGroup;
    Response::JoinGroup(Box::new(JoinGroup::refused(ErrorCode::MemberIdRequired, member.into())))
}

/// A first join, what it writes, two heartbeats and a fault.
fn some_events() -> Vec<Event> {
    let record = Record { key: RecordKey::Group("orders".into()), value: None };
    let append = Effect::Append(Batch {
        id: BatchId(1),
        epoch: Epoch(1),
        base: Offset(0),
        records: vec![record],
    });
    let transition = Effect::Note(Note::Transition {
        group: "orders".into(),
        from: Some("Empty"),
        to: Some("PreparingRebalance"),
        generation: Generation(0),
        members: 1,
        cause: Cause::MemberJoined { member: "x-19".into(), reason: None },
    });
    let asked = Input::Abandoned { token: Token(1) };
    vec![
        sent(0, 1, join("")),
        heard(1, 1, refused("x-19")),
        sent(2, 2, join("x-19")),
        stepped(3, asked, vec![transition, append]),
        stepped(8, Input::Appended { through: BatchId(1) }, Vec::new()),
        sent(1_000, 3, beat("x-19")),
        heard(1_001, 3, Response::Heartbeat(ErrorCode::None)),
        sent(4_000, 4, beat("x-19")),
        heard(4_001, 4, Response::Heartbeat(ErrorCode::None)),
        at(5_000, What::Fault(FaultText(Fault::Cut(ClientId(0))))),
    ]
}

/// The lines of [`some_events`], with the numbers of requests in their column.
fn some_lines() -> String {
    let lines = [
        ("  0.000   c1   ->  Join      orders  m=-  proto=", "#1"),
        ("  0.001   c1   <-  Join      MEMBER_ID_REQUIRED  m=m1", "#1  0.001s"),
        ("  0.002   c1   ->  Join      orders  m=m1  proto=", "#2"),
        ("  0.003   s7   ::  orders  Empty -> PreparingRebalance   gen 0   +m1", ""),
        ("  0.003   s7   >>  b1@0     Group orders gone", ""),
        ("  0.008   s7   <<  b1", ""),
        ("          c1   ..  Heartbeat orders  m1  gen 1 x2 ok  (1.0 - 4.0)", ""),
        ("  5.000   xx   cut connections of c1", ""),
    ];
    lines.map(|(line, call)| format!("{line:<96}{call}").trim_end().to_owned() + "\n").concat()
}

#[test]
fn events_become_aligned_lines_with_aliases_and_repeats_folded() {
    assert_eq!(lines(&some_events()).join("\n") + "\n", some_lines());
}

#[test]
fn what_is_folded_is_there_in_full() {
    let full = full_lines(&some_events());
    let beats: Vec<_> = full.iter().filter(|line| line.contains("Heartbeat")).collect();
    assert_eq!(beats.len(), 4);
    assert_eq!(full.len(), some_lines().lines().count() + 3);
}

#[test]
fn a_line_that_is_read_back_has_its_parts() {
    let text =
        format!("---\nsource: x\n---\n# head\n  time    who  what\n{}# end  x\n", some_lines());
    let lines = parse(&text).expect("a trace");
    assert_eq!(lines.len(), some_lines().lines().count());
    let second = Parsed {
        at: Some(Duration::from_millis(1)),
        who: "c1".to_owned(),
        glyph: "<-".to_owned(),
        what: "Join      MEMBER_ID_REQUIRED  m=m1".to_owned(),
        call: Some(1),
    };
    assert_eq!(lines[1], second);
    assert_eq!((lines[6].at, lines[7].who.as_str()), (None, "xx"));
}

#[test]
fn a_text_that_is_no_trace_is_refused_with_its_line() {
    let error = parse("# head\nhello, world: this is something else\n").expect_err("no trace");
    assert_eq!(error.line, 2);
}

#[test]
fn a_trace_becomes_a_sequence_diagram() {
    let expected = "\
sequenceDiagram
    participant c1
    participant s7
    participant journal
    c1->>s7: Join orders m=- proto=
    s7-->>c1: Join MEMBER_ID_REQUIRED m=m1
    c1->>s7: Join orders m=m1 proto=
    Note over s7: 0.003: orders Empty to PreparingRebalance gen 0 +m1
    s7->>journal: b1@0 Group orders gone
    journal-->>s7: b1
    loop 2 times, 1.0 to 4.0
        c1->>s7: Heartbeat orders m1 gen 1
        s7-->>c1: ok
    end
    rect rgb(255, 225, 225)
        Note over c1,journal: 5.000: cut connections of c1
    end
";
    assert_eq!(mermaid::draw(&some_lines(), Duration::ZERO).expect("a trace"), expected);
}

#[test]
fn a_trace_becomes_a_ribbon_of_a_character_for_each_100_ms() {
    let trace = "  0.000   s7   ::  orders  Empty -> PreparingRebalance   gen 0   +m1
  0.000   c1   ->  Join      orders  m=m1  proto=range      #2
  0.300   s7   ::  orders  PreparingRebalance -> CompletingRebalance   gen 1   all joined
  0.300   c1   <-  Join      ok  m=m1  gen 1  leader m1     #2  0.300s
  0.400   c1   ->  Sync      orders  m1  gen 1              #3
  0.600   s7   ::  orders  CompletingRebalance -> Stable   gen 1   assigned
  0.600   c1   <-  Sync      ok  0B.0000                    #3  0.200s
          c1   ..  Heartbeat orders  m1  gen 1 x2 ok  (0.8 - 1.0)
  1.300   s7   ::  orders  Stable -> PreparingRebalance   gen 1   -m1 expired
";
    let expected = "\
one character is 100 ms
    0.0s
      c1  JJJJSSS.h.h..x
  orders  PPPCCCSSSSSSSP
";
    assert_eq!(ribbon::draw(trace).expect("a trace"), expected);
}
