//! How a generation gets its assignment.

use quorate_sim::plan::{Ask, Assignor, ClientSpec, Fault, Refusal, ShardIndex, Who};
use quorate_sim::scenario::{Scenario, ms, s, scripted};

pub fn syncs_that_do_not_fit() -> Scenario {
    let mut run = Scenario::new(
        "syncs_that_do_not_fit",
        "A SyncGroup of a stranger or of another generation is refused; one that comes again is \
         answered as before.",
    )
    .at_once()
    .recorded_as("sync_errors");
    let a = run.client(scripted());
    run.at(s(1)).say_as(a, Ask::Sync, Who::Stranger);
    run.at(s(2)).enters(a);
    run.at(s(3)).say_as(a, Ask::Sync, Who::Stranger);
    run.at(s(4)).say_as(a, Ask::Sync, Who::NextGeneration);
    run.at(s(5)).say(a, Ask::Sync);
    run.at(s(6)).say(a, Ask::Sync);
    run.at(s(7)).say_as(a, Ask::Sync, Who::OldGeneration);
    run.at(s(8));
    run
}

pub fn sync_names_another_protocol() -> Scenario {
    let mut run = Scenario::new(
        "sync_names_another_protocol",
        "A SyncGroup that names another protocol than that of the generation is refused.",
    )
    .at_once()
    .recorded_as("sync_names_another_protocol");
    let a = run.client(scripted());
    let other = run.client(ClientSpec { assignors: vec![Assignor::RoundRobin], ..scripted() });
    run.at(s(1)).enters(a);
    run.at(s(2)).say_as(other, Ask::Sync, Who::Other(a));
    run.at(s(3)).say(a, Ask::Sync);
    run.at(s(4));
    run
}

pub fn leader_syncs_again() -> Scenario {
    let mut run = Scenario::new(
        "leader_syncs_again",
        "Once the group is stable, another SyncGroup of the leader gets what is stored and changes \
         nothing.",
    )
    .at_once()
    .recorded_as("leader_syncs_again");
    let (a, b) = (run.client(scripted()), run.client(scripted()));
    run.at(s(1)).forms(&[a, b]);
    run.at(s(2)).say(a, Ask::Sync);
    run.at(s(3)).say(b, Ask::Sync);
    run.at(s(4));
    run
}

pub fn server_deals() -> Scenario {
    let mut run = Scenario::new(
        "server_deals",
        "A leader of consumers that sends no assignment leaves it to the server, which deals all \
         partitions.",
    );
    let simple = ClientSpec { leaves_assignment_to_server: true, ..scripted() };
    let (a, b) = (run.client(simple.clone()), run.client(simple));
    run.at(s(1)).forms(&[a, b]);
    run.at(s(8));
    run
}

pub fn assignment_is_refused_by_the_journal() -> Scenario {
    let mut run = Scenario::new(
        "assignment_is_refused_by_the_journal",
        "An assignment that could not be stored is given to nobody, and the group joins again.",
    );
    let (a, b) = (run.client(scripted()), run.client(scripted()));
    let cause = Refusal::NotEnoughReplicas;
    run.at(s(1)).enters(a);
    run.after(ms(10)).enters(b);
    run.at(s(8)).fault(Fault::Refuse { shard: ShardIndex(0), appends: 1, cause });
    run.say(a, Ask::Sync).say(b, Ask::Sync);
    run.at(s(9)).say(a, Ask::Join).say(b, Ask::Join);
    run.after(ms(10)).say(a, Ask::Sync).say(b, Ask::Sync);
    run.at(s(10));
    run
}

mod tests {
    crate::checked![
        syncs_that_do_not_fit,
        sync_names_another_protocol,
        leader_syncs_again,
        server_deals,
        assignment_is_refused_by_the_journal,
    ];
}
