//! An outage of the gateway of ten minutes, during which people go on writing, with some rows that never succeed.

use std::time::Duration;

use mission_control_runtime::clock::Millis;

use super::world::{Fate, World};

const TRACKS: usize = 50;
const ROWS: usize = 200;
const AWAY: Duration = Duration::from_mins(10);

/// At most 60 probes in the first minute, then one in 15 s. In that time no row starts and none loses an attempt. Then all
/// rows are delivered in order, despite the failing ones.
#[test]
fn an_outage_of_ten_minutes_costs_only_probes() {
    for poisoned in [0, 5, 20] {
        let mut world = World::new(10);
        world.turns_take(50);
        for n in 0..poisoned {
            for row in 0..4 {
                let id = format!("poison{n}-{row}");
                world.arrive(&format!("p{n}"), "mention", &id);
                world.fates.insert(id, Fate::Fail { pause_ms: 60_000 });
            }
        }
        // Half of the rows exist before the outage, and the other half arrives during it.
        let good = |world: &mut World, n: usize| {
            world.arrive(&format!("t{}", n % TRACKS), "mention", &format!("m{n:03}"));
        };
        (0..ROWS / 2).for_each(|n| good(&mut world, n));
        world.run_for(Duration::from_millis(220));
        world.gateway_is_away(true);
        let left_at = world.now();
        // Running rows end, and rows that start now find the gateway away.
        world.run_for(Duration::from_millis(200));
        let (begun, settled) = (world.starts.len(), world.settled.len());
        assert!((1..ROWS / 2).contains(&settled), "it leaves in the middle of the work: {settled}");
        for n in ROWS / 2..ROWS {
            good(&mut world, n);
            world.run_for(Duration::from_secs(6));
        }
        world.run_until(left_at + AWAY);
        assert_eq!((world.starts.len(), world.settled.len()), (begun, settled), "nothing begins");
        let early = world.probed.iter().filter(|at| at.since(left_at) <= Duration::from_mins(1)).count();
        let late: Vec<Millis> = world.probed[early..].to_vec();
        assert!((50..=60).contains(&early), "{early} probes in the first minute");
        assert!(late.windows(2).all(|pair| pair[1].since(pair[0]) >= Duration::from_secs(15)), "{late:?}");
        assert!(late.len() >= 35, "{} probes later", late.len());
        assert_eq!(world.failures_most, 0, "no attempt is lost");

        world.gateway_is_away(false);
        let good = |world: &World| world.settled.iter().filter(|id| id.starts_with('m')).count();
        let back_at = world.now();
        while good(&world) < ROWS {
            world.run_for(Duration::from_millis(100));
            assert!(world.now().since(back_at) < Duration::from_secs(20), "{} of {ROWS}", good(&world));
        }
        for track in 0..TRACKS {
            let name = format!("t{track}");
            let order = world.settled_of(&name);
            assert!(order.is_sorted() && order.len() == ROWS / TRACKS, "{order:?}");
            assert_eq!(world.most_at_once(&name), 1);
        }
        assert_eq!(world.failures_most, 0, "no attempt is lost");
    }
}
