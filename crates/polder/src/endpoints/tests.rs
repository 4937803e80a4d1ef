use uuid::Uuid;

use super::{Endpoints, reachable};

const INSTANCE: Uuid = Uuid::from_u128(7);
const INSTANCE_TEXT: &str = "00000000-0000-0000-0000-000000000007";

#[test]
fn written_read_removed() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    assert_eq!(Endpoints::read(data), None);
    let endpoints = Endpoints {
        instance: INSTANCE,
        http: "127.0.0.1:7400".parse().unwrap(),
        postgres: None,
        kafka: None,
        aws: None,
    };
    endpoints.write(data).unwrap();
    let text = format!("{{\"instance\":\"{INSTANCE_TEXT}\",\"http\":\"127.0.0.1:7400\"}}\n");
    assert_eq!(std::fs::read_to_string(data.join("endpoints.json")).unwrap(), text);
    assert_eq!(Endpoints::read(data), Some(endpoints));
    let endpoints = Endpoints {
        instance: INSTANCE,
        http: "127.0.0.1:7400".parse().unwrap(),
        postgres: Some("127.0.0.1:7432".parse().unwrap()),
        kafka: Some("127.0.0.1:7492".parse().unwrap()),
        aws: Some("127.0.0.1:7466".parse().unwrap()),
    };
    endpoints.write(data).unwrap();
    assert_eq!(Endpoints::read(data), Some(endpoints));
    Endpoints::remove(data).unwrap();
    Endpoints::remove(data).unwrap();
    assert_eq!(std::fs::read_dir(data).unwrap().count(), 0);
}

#[test]
fn what_is_not_understood_is_not_known() {
    let folder = tempfile::tempdir().unwrap();
    for text in ["", "{", "{}", "{\"http\":\"127.0.0.1:7400\"}", "{\"http\":\"nowhere\"}"] {
        std::fs::write(folder.path().join("endpoints.json"), text).unwrap();
        assert_eq!(Endpoints::read(folder.path()), None, "{text}");
    }
    // A later version may have more servers.
    let text = format!(r#"{{"instance":"{INSTANCE_TEXT}","http":"[::1]:1","flight":"x"}}"#);
    std::fs::write(folder.path().join("endpoints.json"), text).unwrap();
    assert!(Endpoints::read(folder.path()).is_some());
}

#[test]
fn any_address_is_reached_here() {
    let check = |from: &str, to: &str| assert_eq!(reachable(from.parse().unwrap()).to_string(), to);
    check("0.0.0.0:7400", "127.0.0.1:7400");
    check("[::]:7400", "[::1]:7400");
    check("10.0.0.7:7400", "10.0.0.7:7400");
}
