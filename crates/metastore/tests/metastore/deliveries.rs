//! How far deliveries have come.

use std::collections::BTreeMap;

use polder_metastore::{DeliveredTo, Deliveries};
use polder_runtime::Clock;
use polder_types::ErrorKind;
use uuid::Uuid;

use crate::place::Place;

pub async fn places_move_step_by_step(place: Place) {
    let metastore = place.open().await;
    let now = place.clock.now();
    let (one, other, topic) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
    let to = |partition, next| DeliveredTo { topic, partition, next };
    let first = [
        Deliveries::step_write(one, None, to(0, 5), now),
        Deliveries::step_write(one, None, to(1, 7), now),
        Deliveries::step_write(other, None, to(0, 1), now),
    ];
    metastore.write(&first).await.unwrap();
    assert_eq!(metastore.deliveries().offsets(one).await.unwrap(), [to(0, 5), to(1, 7)]);
    // One that is wrong takes the right one along.
    for wrong in [Deliveries::step_write(one, None, to(1, 8), now), Deliveries::step_write(one, Some(6), to(1, 8), now)]
    {
        let right = Deliveries::step_write(one, Some(5), to(0, 9), now);
        let error = metastore.write(&[right, wrong]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
    }
    metastore.write(&[Deliveries::step_write(one, Some(5), to(0, 9), now)]).await.unwrap();
    assert_eq!(metastore.deliveries().offsets(one).await.unwrap(), [to(0, 9), to(1, 7)]);
    metastore.write(&[Deliveries::forget_write(one, Some(Uuid::from_u128(4)))]).await.unwrap();
    assert_eq!(metastore.deliveries().offsets(one).await.unwrap().len(), 2);
    metastore.write(&[Deliveries::forget_write(one, Some(topic))]).await.unwrap();
    assert_eq!(metastore.deliveries().offsets(one).await.unwrap(), []);
    assert_eq!(metastore.deliveries().offsets(other).await.unwrap(), [to(0, 1)]);
    metastore.write(&[Deliveries::forget_write(other, None)]).await.unwrap();
    assert_eq!(metastore.deliveries().offsets(other).await.unwrap(), []);
}

pub async fn secrets_are_sealed(place: Place) {
    let metastore = place.open().await;
    let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let secrets = BTreeMap::from([("token".to_owned(), "open sesame".to_owned())]);
    let writes = metastore.deliveries().secrets_writes(one, &secrets).unwrap();
    metastore.write(&writes).await.unwrap();
    assert_eq!(metastore.deliveries().secrets(one).await.unwrap(), secrets);
    assert!(metastore.deliveries().secrets(other).await.unwrap().is_empty());
    let row = &metastore.query("SELECT sealed FROM polder_delivery_secret", &[]).await.unwrap()[0];
    assert!(!row.bytes(0).unwrap().windows(4).any(|part| part == b"open"));
    // A row that somebody moves to another delivery is good for nothing.
    let moved = polder_metastore::Write::new("UPDATE polder_delivery_secret SET delivery_id = $1", vec![other.into()]);
    metastore.write(&[moved]).await.unwrap();
    assert_eq!(metastore.deliveries().secrets(other).await.unwrap_err().kind(), ErrorKind::Corrupt);
    let writes = metastore.deliveries().secrets_writes(other, &BTreeMap::new()).unwrap();
    metastore.write(&writes).await.unwrap();
    assert!(metastore.deliveries().secrets(other).await.unwrap().is_empty());
}
