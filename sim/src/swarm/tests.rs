use std::collections::BTreeSet;
use std::time::Duration;

use super::{Profile, plan, profile, shell_plan};
use crate::plan::{Action, Ending, Fault, FaultClass, Plan};

fn last(plan: &Plan) -> Duration {
    match &plan.ending {
        Ending::At(at) | Ending::Heal { after: at, .. } => *at,
    }
}

#[test]
fn a_seed_always_makes_the_same_plan() {
    for seed in 0..20 {
        assert_eq!(plan(seed), plan(seed));
        assert_eq!(shell_plan(seed), shell_plan(seed));
    }
}

#[test]
fn steps_are_in_the_order_of_time_and_over_at_the_end() {
    for seed in 0..200 {
        for plan in [plan(seed), shell_plan(seed)] {
            let times: Vec<Duration> = plan.steps.iter().map(|step| step.at).collect();
            assert!(times.is_sorted(), "seed {seed}");
            let end = times.last().is_some_and(|&at| at <= last(&plan) + Duration::from_secs(1));
            assert!(end, "seed {seed}");
        }
    }
}

#[test]
fn worlds_are_small_and_whole() {
    for seed in 0..500 {
        for plan in [plan(seed), shell_plan(seed)] {
            assert!((1..=3).contains(&plan.nodes.len()), "seed {seed}");
            assert!((1..=4).contains(&plan.shards), "seed {seed}");
            assert!((2..=20).contains(&plan.clients.len()), "seed {seed}");
            let groups: BTreeSet<&str> = plan.clients.iter().map(|c| c.group.as_str()).collect();
            assert!((1..=3).contains(&groups.len()), "seed {seed}");
            if let Ending::Heal { nodes, clients, .. } = &plan.ending {
                assert!(!nodes.is_empty() && !clients.is_empty(), "seed {seed}");
            }
        }
    }
}

#[test]
fn plans_of_the_shell_are_short_and_have_only_what_it_can_do() {
    for seed in 0..200 {
        let plan = shell_plan(seed);
        assert!(last(&plan) <= Duration::from_secs(60), "seed {seed}");
        assert!(plan.nodes.len() <= 2 && plan.clients.len() <= 5, "seed {seed}");
        assert!(!plan.classes().contains(&FaultClass::Clock), "seed {seed}");
    }
}

#[test]
fn all_profiles_and_classes_come_up_and_most_seeds_have_two_classes_or_more() {
    let seeds = 0..400;
    let profiles: BTreeSet<Profile> = seeds.clone().map(profile).collect();
    assert_eq!(profiles, Profile::ALL.into_iter().collect());
    let mut classes = BTreeSet::new();
    let mut mixed = 0;
    for seed in seeds {
        let of = plan(seed).classes();
        mixed += u32::from(of.len() >= 2);
        classes.extend(of);
    }
    assert_eq!(classes.len(), 7);
    assert!(mixed >= 300, "{mixed}");
}

#[test]
fn only_the_shell_has_clients_that_write_byte_by_byte() {
    let is_of_shell = |fault: &Fault| matches!(fault, Fault::Trickle { .. } | Fault::HalfFrame(_));
    let has = |plan: Plan| {
        plan.steps.iter().any(|step| match &step.what {
            Action::Fault(fault) => is_of_shell(fault),
            Action::Op(..) => false,
        })
    };
    assert!((0..200).all(|seed| !has(plan(seed))));
    assert!((0..200).any(|seed| has(shell_plan(seed))));
}
