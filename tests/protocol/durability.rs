//! What is answered when: nothing before it is stored.

use quorate_sim::plan::{Ask, ClientSpec, Fault, Refusal, ShardIndex, Who};
use quorate_sim::scenario::{Scenario, ms, s, scripted};

const SHARD: ShardIndex = ShardIndex(0);

fn commit(offset: i64) -> Ask {
    Ask::Commit { topic: "t".to_owned(), partitions: 1, offset, metadata: 0 }
}

pub fn commit_while_an_append_is_in_flight() -> Scenario {
    let mut run = Scenario::new(
        "commit_while_an_append_is_in_flight",
        "While a commit is in flight, a fetch has the offset before it, one that wants stable \
         offsets waits, and so do the heartbeats of the group.",
    );
    let (a, b) = (run.client(scripted()), run.client(scripted()));
    let (reader, careful) = (run.client(scripted()), run.client(scripted()));
    run.at(s(1)).forms(&[a, b]);
    run.at(s(8)).say(a, commit(1));
    run.at(s(9)).fault(Fault::Stall { shard: SHARD, lasts: s(1) }).say(a, commit(2));
    run.at(ms(9_200)).say(reader, Ask::Fetch { stable: false });
    run.at(ms(9_400)).say(careful, Ask::Fetch { stable: true });
    run.at(ms(9_600)).say(b, Ask::Heartbeat);
    run.at(s(11)).say(reader, Ask::Fetch { stable: false });
    run.at(s(12));
    run
}

pub fn a_stall_and_then_a_burst() -> Scenario {
    let mut run = Scenario::new(
        "a_stall_and_then_a_burst",
        "Appends that waited are told together; each answer waits for its own, and all come.",
    );
    let (a, b) = (run.client(scripted()), run.client(scripted()));
    let other = run.client(ClientSpec { group: "payments".to_owned(), ..scripted() });
    run.at(s(1)).forms(&[a, b]);
    run.at(s(8)).fault(Fault::Stall { shard: SHARD, lasts: s(3) });
    run.at(ms(8_500)).say(a, commit(1));
    run.at(s(9)).say(b, commit(2));
    run.at(ms(9_500)).say_as(other, commit(3), Who::Nobody);
    run.at(s(12)).say(a, Ask::Heartbeat).say(b, Ask::Fetch { stable: true });
    run.at(s(13));
    run
}

pub fn an_append_takes_too_long() -> Scenario {
    let mut run = Scenario::new(
        "an_append_takes_too_long",
        "A commit that is not stored within the write timeout is answered with an error; its \
         offset may still be stored, and is.",
    )
    .at_once();
    let a = run.client(scripted());
    run.at(s(1)).forms(&[a]);
    run.at(s(2)).fault(Fault::Stall { shard: SHARD, lasts: s(7) }).say(a, commit(5));
    run.at(s(8)).say(a, Ask::Fetch { stable: false });
    run.at(s(10)).say(a, Ask::Fetch { stable: false });
    run.at(s(11));
    run
}

pub fn commit_is_refused_by_the_journal() -> Scenario {
    let mut run = Scenario::new(
        "commit_is_refused_by_the_journal",
        "A commit that could not be stored is not there: a fetch has the offset before it.",
    )
    .at_once();
    let a = run.client(scripted());
    let cause = Refusal::NotEnoughReplicas;
    run.at(s(1)).forms(&[a]);
    run.at(s(2)).say(a, commit(1));
    run.at(s(3)).fault(Fault::Refuse { shard: SHARD, appends: 1, cause }).say(a, commit(2));
    run.at(s(4)).say(a, Ask::Fetch { stable: true });
    run.at(s(5));
    run
}

pub fn fate_of_an_append_is_unknown() -> Scenario {
    let mut run = Scenario::new(
        "fate_of_an_append_is_unknown",
        "When nobody can tell what became of an append, its writer is over and nothing is said to \
         be stored; what is loaded then is the truth.",
    )
    .at_once();
    let a = run.client(scripted());
    run.at(s(1)).forms(&[a]);
    run.at(s(2)).say(a, commit(1));
    run.at(s(3)).fault(Fault::Unknown { shard: SHARD, stored: true }).say(a, commit(2));
    run.at(s(4)).say(a, Ask::Fetch { stable: true });
    run.at(s(5)).fault(Fault::Unknown { shard: SHARD, stored: false }).say(a, commit(3));
    run.at(s(6)).say(a, Ask::Fetch { stable: true });
    run.at(s(7)).say(a, Ask::Heartbeat);
    run.at(s(8));
    run
}

pub fn compaction_between_two_loads() -> Scenario {
    let mut run = Scenario::new(
        "compaction_between_two_loads",
        "A load finds the same whether the log was compacted before or not.",
    )
    .at_once();
    let a = run.client(scripted());
    let delete = Ask::DeleteOffsets { topic: "t".to_owned(), partitions: 1 };
    let all = Ask::Commit { topic: "t".to_owned(), partitions: 3, offset: 7, metadata: 0 };
    run.at(s(1)).forms(&[a]);
    run.at(s(2)).say(a, all);
    run.after(ms(10)).say(a, Ask::LeaveGroup);
    run.after(ms(10)).say(a, delete);
    run.at(s(3)).fault(Fault::Resign(SHARD));
    run.at(s(4)).say(a, Ask::Fetch { stable: true }).say(a, Ask::Describe);
    run.at(s(5)).fault(Fault::Compact { shard: SHARD, up_to: 100, tombstones: true });
    run.fault(Fault::Resign(SHARD));
    run.at(s(6)).say(a, Ask::Fetch { stable: true }).say(a, Ask::Describe);
    run.at(s(7));
    run
}

mod tests {
    crate::checked![
        commit_while_an_append_is_in_flight,
        a_stall_and_then_a_burst,
        an_append_takes_too_long,
        commit_is_refused_by_the_journal,
        fate_of_an_append_is_unknown,
        compaction_between_two_loads,
    ];
}
