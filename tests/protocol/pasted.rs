//! A plan as a report gives it; see `report.rs`.

use quorate_sim::plan::*;
use quorate_sim::scenario::{Scenario, consumer, ms, s, scripted};

pub fn pasted() -> Scenario {
    let about = "It can be pasted.";
    let plan = Plan {
        seed: 0x1,
        knobs: Knobs { initial_delay: s(0), network: Latency::fixed(s(0)), ..Knobs::default() },
        nodes: vec![NodeSpec::default(), NodeSpec::default()],
        shards: 1,
        topics: vec![TopicSpec { name: "t".to_owned(), partitions: 4 }],
        clients: vec![
            ClientSpec { instance: Some("i".to_owned()), ..scripted() },
            ClientSpec { topics: vec!["u".to_owned()], ..consumer() },
        ],
        steps: vec![
            Step { at: s(0), what: Action::Op(ClientId(0), Op::Start) },
            Step { at: s(1), what: Action::Op(ClientId(0), Op::Say(Ask::Join, Who::Itself)) },
            Step { at: s(1), what: Action::Op(ClientId(1), Op::Pause(ms(2500))) },
            Step { at: s(2), what: Action::Fault(Fault::Kill { node: NodeIndex(1), down: s(3) }) },
            Step {
                at: s(3),
                what: Action::Op(
                    ClientId(0),
                    Op::Say(Ask::Fetch { stable: true }, Who::Other(ClientId(1))),
                ),
            },
        ],
        ending: Ending::Heal {
            after: s(4),
            nodes: vec![NodeIndex(0)],
            clients: vec![ClientId(1)],
            outside: Outside::Deaf,
        },
        only: vec![],
    };
    Scenario::of("pasted", about, plan)
}
