//! Two environments of one project, heard in every hour of the last sixty days, and flags of every kind.

use bytes::Bytes;
use counting::cells::{LastSeenChange, SdkChange};
use schemas::id::Environment;
use schemas::record::StoredVariation;

use crate::EnvironmentAccess;
use crate::tests::world::{DAY, HOUR, NOW, PARTITIONS, World, development};
use crate::{Access, hash_key};

pub(in crate::tests) const PATH: &str = "/v1/projects/default/stale-flags";

pub(in crate::tests) fn production() -> Environment {
    Environment::new("default", "production").unwrap()
}

/// Nothing seen, both environments open.
pub(in crate::tests) fn empty() -> World {
    let mut world = World::empty();
    world.access.environments.push(EnvironmentAccess { environment: production(), read_keys: vec![] });
    world
}

/// A read key for each of the two, and an admin key.
pub(in crate::tests) fn guard(access: &mut Access) {
    access.environments[0].read_keys = vec![hash_key("read-development")];
    access.environments[2].read_keys = vec![hash_key("read-production")];
    access.admin_keys = vec![hash_key("admin")];
}

/// Reports of an application in every hour but those of `blind` days ago.
pub(in crate::tests) fn heard(world: &World, environment: &Environment, blind: std::ops::Range<i64>) {
    for hours_ago in 0..60 * 24 {
        let at_ms = NOW - hours_ago * HOUR;
        if !blind.contains(&(hours_ago / 24)) {
            let hour = u32::try_from(at_ms % DAY / HOUR).unwrap();
            world.report(environment, at_ms, SdkChange { hour, ..report() });
        }
    }
}

fn report() -> SdkChange<'static> {
    let (application, sdk, sdk_version) = (b"web", b"NodeJSClient", b"9.13.7");
    SdkChange { application, sdk, sdk_version, hour: 0, instance: None, diagnostics: 0, dropped_events: 0 }
}

/// A sight of variation 1, so many days ago.
pub(in crate::tests) fn at(days_ago: i64) -> LastSeenChange<'static> {
    LastSeenChange {
        variation: StoredVariation::Index(1),
        version: Some(3),
        value: None,
        hour: u32::try_from((NOW - days_ago * DAY) / HOUR).unwrap(),
        error: false,
        bulk: false,
        client_side: false,
        application: b"web",
        application_version: b"9.1",
        sdk: b"NodeJSClient",
        sdk_version: b"9.13.7",
    }
}

/// As [`at`], first and last.
pub(in crate::tests) fn from_to(
    world: &World,
    environment: &Environment,
    flag: &str,
    days: [i64; 2],
    like: LastSeenChange<'_>,
) {
    for days_ago in days {
        world.sight(environment, flag, LastSeenChange { hour: at(days_ago).hour, ..like });
    }
}

/// Flags of every kind in development; production is heard and knows two of them.
pub(in crate::tests) async fn full() -> World {
    fill(empty()).await
}

pub(in crate::tests) async fn fill(world: World) -> World {
    let here = development();
    let value = Bytes::from_static(b"\"blue\"");
    heard(&world, &here, 0..0);
    heard(&world, &production(), 0..0);
    let served = LastSeenChange { value: Some(&value), ..at(0) };
    from_to(&world, &here, "launched", [50, 0], served);
    from_to(&world, &here, "active", [50, 0], at(0));
    from_to(&world, &here, "active", [50, 1], LastSeenChange { variation: StoredVariation::Index(0), ..at(0) });
    from_to(&world, &here, "gone", [50, 40], at(0));
    from_to(&world, &here, "quiet-lately", [50, 10], at(0));
    let bulk = LastSeenChange { bulk: true, ..at(0) };
    from_to(&world, &here, "read-in-bulk", [50, 0], bulk);
    from_to(&world, &here, "young", [2, 0], bulk);
    from_to(&world, &here, "failing", [50, 0], LastSeenChange { error: true, ..at(0) });
    let default = LastSeenChange { variation: StoredVariation::Default, version: None, value: Some(&value), ..at(0) };
    from_to(&world, &here, "defaulted", [50, 0], default);
    from_to(&world, &here, "old-app", [58, 0], LastSeenChange { application_version: b"8.0", ..at(0) });
    from_to(&world, &production(), "launched", [50, 0], at(0));
    from_to(&world, &production(), "gone", [50, 0], at(0));
    world.flush().await;
    for partition in 0..PARTITIONS {
        world.stand(partition, 10, 10).await;
    }
    world
}
