use std::sync::Arc;

use polder_capability::Caller;
use polder_capability::schemas::{
    Compatibility, Deleted, NewSchema, RegistryMode, Schema, SchemaError, SchemaForm, SchemaKind, SchemaReference,
    SchemaRegistry, SubjectConfig, ValueSchemas, VersionChoice, framed_schema_id,
};
use polder_capability::topics::{TopicClient, TopicRight, TopicRights, TopicThing};
use polder_metastore::{Metastore, MetastoreOptions};
use polder_runtime::{Clock, ManualClock};
use tempfile::TempDir;

use crate::StoredSchemas;

/// `ann` may all, `bob` reads the topic `seen`, `eve` nothing.
struct Some3;

impl TopicRights for Some3 {
    fn may(&self, caller: &Caller, right: TopicRight, thing: TopicThing<'_>) -> bool {
        let reads = matches!(right, TopicRight::Describe | TopicRight::Read);
        match caller.user.as_str() {
            "ann" => true,
            "bob" => reads && thing == TopicThing::Topic("seen"),
            _ => false,
        }
    }

    fn refused(&self, _client: &TopicClient, _right: TopicRight, _thing: TopicThing<'_>) {}
}

struct World {
    registry: Arc<StoredSchemas>,
    ann: Caller,
    _folder: TempDir,
}

async fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at("2026-01-02T03:00:00Z".parse().unwrap()));
    let options =
        MetastoreOptions { data_dir: folder.path().to_owned(), url: None, tables_path: "tables/".to_owned(), clock };
    let metastore = Metastore::open(options).await.unwrap();
    let registry = Arc::new(StoredSchemas::new(metastore, Arc::new(Some3)));
    World { registry, ann: Caller::new("ann", "http"), _folder: folder }
}

fn avro(text: &str) -> Schema {
    Schema { kind: SchemaKind::Avro, text: text.to_owned(), references: Vec::new() }
}

fn record(fields: &str) -> Schema {
    avro(&format!("{{\"type\": \"record\", \"name\": \"R\", \"fields\": [{fields}]}}"))
}

const A: &str = r#"{"name": "a", "type": "int"}"#;
const B: &str = r#"{"name": "b", "type": "int"}"#;

fn new(schema: Schema) -> NewSchema {
    NewSchema { schema, id: None, version: None, normalizes: false }
}

impl World {
    async fn register(&self, subject: &str, schema: Schema) -> Result<(i32, i32), SchemaError> {
        let registered = self.registry.register(&self.ann, subject, new(schema)).await;
        registered.map(|found| (found.id, found.version)).map_err(|failure| failure.error)
    }
}

#[tokio::test]
async fn the_same_text_has_the_same_id() {
    let world = world().await;
    assert_eq!(world.register("x-value", record(A)).await, Ok((1, 1)));
    assert_eq!(world.register("x-value", record(A)).await, Ok((1, 1)));
    assert_eq!(world.register("y", record(A)).await, Ok((1, 1)));
    assert_eq!(world.register("x-value", record("")).await, Ok((2, 2)));
    let spaced = avro("{\"name\":\"R\",\"type\":\"record\",\"fields\":[]}");
    assert_eq!(world.register("x-value", spaced).await, Ok((2, 2)));
    assert_eq!(world.register("x-value", record(&format!("{A},{B}"))).await, Err(SchemaError::Incompatible));
}

#[tokio::test]
async fn many_at_once() {
    let world = Arc::new(world().await);
    let tasks: Vec<_> = (0..8)
        .map(|number| {
            let world = Arc::clone(&world);
            let schema = avro(&format!("{{\"type\": \"fixed\", \"name\": \"F\", \"size\": {}}}", number % 2 + 1));
            let level = SubjectConfig { compatibility: Some(Compatibility::None), normalizes: None };
            tokio::spawn(async move {
                world.registry.set_config(&world.ann, Some("x"), level).await.unwrap();
                world.register("x", schema).await
            })
        })
        .collect();
    let mut told = Vec::new();
    for task in tasks {
        told.push(task.await.unwrap().unwrap());
    }
    told.sort_unstable();
    told.dedup();
    assert_eq!(told, [(1, 1), (2, 2)]);
}

#[tokio::test]
async fn deleted_first_and_then_for_good() {
    let world = world().await;
    let (registry, ann) = (&world.registry, &world.ann);
    world.register("x", record(A)).await.unwrap();
    let one = VersionChoice::Number(1);
    let error = registry.delete_version(ann, "x", one, true).await.unwrap_err().error;
    assert_eq!(error, SchemaError::VersionNotDeleted);
    assert_eq!(registry.delete_version(ann, "x", one, false).await, Ok(1));
    assert_eq!(registry.versions(ann, "x", Deleted::Without).await.unwrap_err().error, SchemaError::UnknownSubject);
    assert_eq!(registry.versions(ann, "x", Deleted::With).await, Ok(vec![1]));
    // It can still be read by those who have its id.
    assert!(registry.decoder(1).await.unwrap().is_some());
    assert_eq!(world.register("x", record(A)).await, Ok((1, 2)));
    assert_eq!(registry.delete_subject(ann, "x", false).await, Ok(vec![2]));
    assert_eq!(registry.delete_subject(ann, "x", true).await, Ok(vec![1, 2]));
    assert!(registry.decoder(1).await.unwrap().is_none());
    assert_eq!(world.register("x", record(A)).await, Ok((2, 1)), "an id is never given twice");
}

#[tokio::test]
async fn imported_with_their_ids() {
    let world = world().await;
    let (registry, ann) = (&world.registry, &world.ann);
    let import = |id, version| NewSchema { id, version, ..new(record(A)) };
    let error = registry.register(ann, "x", import(Some(5), None)).await.unwrap_err().error;
    assert_eq!(error, SchemaError::WrongMode);
    registry.set_mode(ann, Some("x"), RegistryMode::Import, false).await.unwrap();
    let found = registry.register(ann, "x", import(Some(5), Some(3))).await.unwrap();
    assert_eq!((found.id, found.version), (5, 3));
    let other = NewSchema { schema: record(B), ..import(Some(5), Some(4)) };
    assert_eq!(registry.register(ann, "x", other).await.unwrap_err().error, SchemaError::IdTaken);
    assert_eq!(registry.delete_mode(ann, Some("x")).await, Ok(RegistryMode::Import));
    assert_eq!(world.register("x", record("")).await, Ok((6, 4)));
    let error = registry.set_mode(ann, None, RegistryMode::Import, false).await.unwrap_err().error;
    assert_eq!(error, SchemaError::WrongMode);
    registry.set_mode(ann, None, RegistryMode::ReadOnlyOverride, false).await.unwrap();
    assert_eq!(world.register("x", record(B)).await, Err(SchemaError::WrongMode));
}

#[tokio::test]
async fn what_is_referred_to_stays() {
    let world = world().await;
    let (registry, ann) = (&world.registry, &world.ann);
    world.register("colour", avro(r#"{"type": "enum", "name": "Colour", "symbols": ["RED"]}"#)).await.unwrap();
    let reference = |version| SchemaReference { name: "Colour".to_owned(), subject: "colour".to_owned(), version };
    let car = |version| Schema { references: vec![reference(version)], ..record(r#"{"name": "c", "type": "Colour"}"#) };
    assert_eq!(world.register("car-value", car(2)).await, Err(SchemaError::InvalidSchema));
    assert_eq!(world.register("car-value", car(1)).await, Ok((2, 1)));
    let error = registry.delete_subject(ann, "colour", false).await.unwrap_err().error;
    assert_eq!(error, SchemaError::Referenced);
    assert_eq!(registry.referenced_by(ann, "colour", VersionChoice::Latest).await, Ok(vec![2]));
    let decoder = registry.decoder(2).await.unwrap().unwrap();
    assert_eq!(decoder.decode(&[0, 0, 0, 0, 2, 0]).unwrap(), r#"{"c":"RED"}"#);
    let resolved = registry.schema(ann, 2, SchemaForm::Resolved).await.unwrap().text;
    assert!(resolved.contains("RED"), "{resolved}");
}

#[tokio::test]
async fn who_knows_of_what() {
    let world = world().await;
    let (registry, ann) = (&world.registry, &world.ann);
    let (bob, eve) = (Caller::new("bob", "http"), Caller::new("eve", "http"));
    world.register("seen-value", record(A)).await.unwrap();
    world.register("hidden-value", record(B)).await.unwrap();
    assert_eq!(registry.subjects(&bob, "", Deleted::Without).await, Ok(vec!["seen-value".to_owned()]));
    assert!(registry.schema(&bob, 1, SchemaForm::AsIs).await.is_ok());
    assert_eq!(registry.schema(&bob, 2, SchemaForm::AsIs).await.unwrap_err().error, SchemaError::UnknownSchema);
    let refused = registry.register(&bob, "seen-value", new(record(B))).await.unwrap_err();
    assert_eq!(refused.error, SchemaError::Forbidden);
    let reference = SchemaReference { name: "R".to_owned(), subject: "hidden-value".to_owned(), version: 1 };
    let refers = Schema { references: vec![reference], ..avro("\"R\"") };
    let error = registry.look_up(&bob, "seen-value", refers, false, Deleted::Without).await.unwrap_err().error;
    assert_eq!(error, SchemaError::InvalidSchema);
    for subject in ["seen-value", "nobody"] {
        let error = registry.versions(&eve, subject, Deleted::With).await.unwrap_err().error;
        assert_eq!(error, SchemaError::UnknownSubject);
    }
    assert_eq!(registry.uses(ann, 1, Deleted::Without).await, Ok(vec![("seen-value".to_owned(), 1)]));
}

#[tokio::test]
async fn normal_forms_are_one_schema() {
    let world = world().await;
    let level = SubjectConfig { compatibility: None, normalizes: Some(true) };
    world.registry.set_config(&world.ann, None, level).await.unwrap();
    let long = record(r#"{"name": "a", "type": {"type": "int"}}"#);
    assert_eq!(world.register("x", long).await, Ok((1, 1)));
    assert_eq!(world.register("x", record(A)).await, Ok((1, 1)));
}

#[test]
fn ids_before_values() {
    for (value, id) in [
        (&[0, 0, 0, 1, 2, 9][..], Some(258)),
        (&[0, 0, 0, 0, 0], None),
        (&[0, 0xff, 0, 0, 0], None),
        (&[0, 0, 0, 1], None),
        (b"{\"a\":1}", None),
    ] {
        assert_eq!(framed_schema_id(value), id, "{value:?}");
    }
}
