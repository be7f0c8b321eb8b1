//! A journal that is slow or refuses, below a broker with several connections.

use quorate_sim::plan::{Ask, Fault, Refusal, ShardIndex};
use quorate_sim::scenario::{Scenario, ms, s, scripted};

use crate::{commit, form, scenario};

const SHARD: ShardIndex = ShardIndex(0);

pub fn burst_behind_a_stall() -> Scenario {
    let mut run = scenario(
        "burst_behind_a_stall",
        "While the journal stalls commits wait, and a read that does not ask for stable offsets \
         tells what was there before. Then all commits are answered, in the order in which their \
         turn came: a connection has one request at a time.",
    );
    let (a, b, c) = (run.client(scripted()), run.client(scripted()), run.client(scripted()));
    run.at(s(1)).say(a, commit(0)).say(b, Ask::FindCoordinator);
    run.at(s(2)).fault(Fault::Stall { shard: SHARD, lasts: s(1) });
    run.at(ms(2_100)).say(a, commit(1)).say(a, commit(2));
    run.at(ms(2_200)).say(b, commit(3)).say(b, commit(4));
    run.at(ms(2_300)).say(c, Ask::Fetch { stable: false });
    run.at(ms(2_400)).say(c, commit(5));
    run.at(s(4)).say(c, Ask::Fetch { stable: true });
    run.at(s(5));
    run
}

pub fn refused_assignment_over_frames() -> Scenario {
    let mut run = scenario(
        "refused_assignment_over_frames",
        "An assignment that the journal refuses is refused to all who wait for it, each over its \
         own connection; the group tries again with the next generation.",
    );
    let (a, b) = (run.client(scripted()), run.client(scripted()));
    run.at(s(1));
    form(&mut run, &[a]);
    run.at(s(3)).say(b, Ask::Join);
    run.after(ms(50)).say(b, Ask::Join);
    run.after(ms(50)).say(a, Ask::Join);
    let refused = Fault::Refuse { shard: SHARD, appends: 1, cause: Refusal::NotEnoughReplicas };
    run.after(ms(50)).fault(refused).say(b, Ask::Sync);
    run.after(ms(50)).say(a, Ask::Sync);
    run.at(s(4)).say(a, Ask::Join).say(b, Ask::Join);
    run.after(ms(50)).say(a, Ask::Sync).say(b, Ask::Sync);
    run.at(s(5));
    run
}

mod checks {
    crate::checked![burst_behind_a_stall, refused_assignment_over_frames];
}
