//! Settings: each is tiny, as delivered, or huge.

use std::time::Duration;

use super::{Draw, Profile};
use crate::plan::{ClientSpec, Knobs, Latency};
use crate::random::Stream;

/// Draws the settings of a plan.
pub(super) fn knobs(draw: &Draw, clients: &[ClientSpec]) -> Knobs {
    let dice = &mut draw.stream("swarm knobs");
    let (ms, s) = (Duration::from_millis, Duration::from_secs);
    let usual = Knobs::default();
    let (max_in_flight, in_flight_reserve) =
        of(dice, 20, (4, 2), (usual.max_in_flight, usual.in_flight_reserve), (100_000, 1_000));
    let expires = matches!(draw.profile, Profile::Expiry) || dice.chance(15);
    let retention = if expires { of(dice, 70, s(3), s(15), s(60)) } else { usual.retention };
    let sweep_interval =
        if expires { of(dice, 70, s(1), s(5), s(20)) } else { usual.sweep_interval };
    let delay = *dice.pick(&[ms(0), ms(500)]);
    let slow = if draw.is_for_shell() { 10 } else { 25 };
    let knobs = Knobs {
        initial_delay: of(dice, 50, delay, ms(3_000), ms(8_000)),
        max_group_size: of(dice, 12, 2, usual.max_group_size, 1_000_000),
        max_batch_bytes: of(dice, 15, 4_096, usual.max_batch_bytes, 10 << 20),
        max_in_flight,
        in_flight_reserve,
        timers_per_step: of(dice, 30, 1, usual.timers_per_step, 100_000),
        sweep_keys_per_step: of(dice, 30, 1, usual.sweep_keys_per_step, 100_000),
        retention,
        sweep_interval,
        write_timeout: of(dice, 20, ms(500), usual.write_timeout, s(20)),
        // The shortest session of any client is still allowed.
        min_session: clients.iter().map(|client| client.session).min().unwrap_or(ms(1_000)),
        server_assigns: dice.chance(85),
        network: network(draw, dice, slow),
        journal: journal(draw, dice, slow),
        load: of(dice, 20, Latency::fixed(ms(1)), usual.load, spread(100, 900, 3_000)),
        metadata: of(dice, 25, Latency::fixed(ms(1)), usual.metadata, spread(50, 800, 3_000)),
        request_timeout: of(dice, 25, s(2), if draw.is_for_shell() { s(4) } else { s(10) }, s(30)),
        retry_backoff: of(dice, 20, ms(20), usual.retry_backoff, ms(1_000)),
        unruly: draw.is_for_shell() && draw.stream("unruly run").chance(50),
    };
    if draw.is_for_shell() { with_delivered_limits(knobs, &usual) } else { knobs }
}

/// These are no settings of a broker: it has them as they are delivered.
fn with_delivered_limits(knobs: Knobs, usual: &Knobs) -> Knobs {
    Knobs {
        max_in_flight: usual.max_in_flight,
        in_flight_reserve: usual.in_flight_reserve,
        timers_per_step: usual.timers_per_step,
        sweep_keys_per_step: usual.sweep_keys_per_step,
        ..knobs
    }
}

/// Tiny or huge in so many of a hundred seeds, as delivered in the rest.
fn of<T>(stream: &mut Stream, percent: u8, tiny: T, usual: T, huge: T) -> T {
    let (is_odd, is_tiny) = (stream.chance(percent), stream.chance(70));
    match (is_odd, is_tiny) {
        (false, _) => usual,
        (true, true) => tiny,
        (true, false) => huge,
    }
}

fn network(draw: &Draw, stream: &mut Stream, slow: u8) -> Latency {
    let ms = Duration::from_millis;
    if draw.is_rounded {
        let (near, far) = (Latency::fixed(ms(1)), Latency::fixed(ms(100)));
        return of(stream, slow, far, near, Latency::fixed(ms(50)));
    }
    of(stream, slow, Latency::fixed(ms(1)), spread(1, 5, 100), spread(20, 150, 1_500))
}

fn journal(draw: &Draw, stream: &mut Stream, slow: u8) -> Latency {
    let ms = Duration::from_millis;
    if draw.is_rounded {
        let (near, far) = (Latency::fixed(ms(6)), Latency::fixed(ms(100)));
        return of(stream, slow, far, near, Latency::fixed(ms(1_000)));
    }
    of(stream, slow, Latency::fixed(ms(1)), spread(2, 10, 200), spread(50, 400, 3_000))
}

fn spread(min: u64, mean: u64, max: u64) -> Latency {
    let ms = Duration::from_millis;
    Latency { min: ms(min), mean: ms(mean), max: ms(max) }
}
