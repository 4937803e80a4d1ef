//! Deliveries in memory, and two users: `polder`, who is a superuser, and `other`, who is none.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use polder_capability::deliveries::{
    AlterDelivery, Deliveries, DeliveryDefinition, DeliveryState, DeliveryStatus, DeliveryTarget, HistoryHold,
    OfferedRecord, Redriven, Secrets, TableTarget, TopicHistory,
};
use polder_capability::{Accounts, ApiToken, Caller, IfExists, NewApiToken, Origin, Reach};
use polder_types::{Error, ErrorKind, Result};
use uuid::Uuid;

type Time = chrono::DateTime<chrono::Utc>;

fn none<T>() -> Result<T> {
    Err(Error::new(ErrorKind::Unsupported, "not in these tests"))
}

struct One {
    definition: DeliveryDefinition,
    offered: Vec<String>,
}

#[derive(Default)]
pub struct Fakes(Mutex<BTreeMap<String, One>>);

impl Fakes {
    pub fn with<T>(&self, name: &str, with: impl FnOnce(&mut DeliveryDefinition) -> T) -> T {
        with(&mut self.0.lock().unwrap().get_mut(name).unwrap().definition)
    }

    pub fn definition(&self, name: &str) -> DeliveryDefinition {
        self.with(name, |definition| definition.clone())
    }

    pub fn secrets(&self, name: &str) -> Secrets {
        self.definition(name).secrets
    }

    pub fn offered(&self, name: &str) -> Vec<String> {
        self.0.lock().unwrap()[name].offered.clone()
    }

    pub fn made_by_sql(&self, name: &str, owner: &str) {
        let table = TableTarget { schema: "public".to_owned(), name: name.to_owned() };
        let definition = DeliveryDefinition::new(name, owner, "t", DeliveryTarget::Table(table));
        self.0.lock().unwrap().insert(name.to_owned(), One { definition, offered: Vec::new() });
    }

    fn status(&self, name: &str) -> Option<DeliveryStatus> {
        let all = self.0.lock().unwrap();
        let definition = DeliveryDefinition { secrets: Secrets::default(), ..all.get(name)?.definition.clone() };
        Some(DeliveryStatus {
            id: Uuid::from_u128(1),
            definition,
            state: DeliveryState::Running,
            created_at: Time::default(),
            counts: Default::default(),
            lag_records: None,
            lag_ms: None,
            held_bytes: None,
            buffered_bytes: 0,
            last_delivery_at: None,
            last_error: None,
            last_error_at: None,
            next_attempt_at: None,
            run: None,
        })
    }
}

#[async_trait]
impl Deliveries for Fakes {
    async fn create(&self, definition: DeliveryDefinition, _: IfExists) -> Result<(DeliveryStatus, bool)> {
        let name = definition.name.clone();
        self.0.lock().unwrap().insert(name.clone(), One { definition, offered: Vec::new() });
        Ok((self.status(&name).unwrap(), true))
    }

    async fn alter(&self, name: &str, change: AlterDelivery) -> Result<DeliveryStatus> {
        self.with(name, |definition| {
            definition.buffer.bytes = change.buffer_bytes.unwrap_or(definition.buffer.bytes);
            definition.buffer.seconds = change.buffer_seconds.unwrap_or(definition.buffer.seconds);
            definition.target = change.target.unwrap_or_else(|| definition.target.clone());
            definition.backup = change.backup.unwrap_or_else(|| definition.backup.clone());
            definition.about = change.about.or_else(|| definition.about.clone());
            definition.secrets = change.secrets.unwrap_or_else(|| definition.secrets.clone());
        });
        Ok(self.status(name).unwrap())
    }

    async fn pause(&self, _: &str) -> Result<DeliveryStatus> {
        none()
    }

    async fn resume(&self, _: &str) -> Result<DeliveryStatus> {
        none()
    }

    async fn remove(&self, name: &str) -> Result<bool> {
        Ok(self.0.lock().unwrap().remove(name).is_some())
    }

    async fn list(&self) -> Result<Vec<DeliveryStatus>> {
        let names: Vec<String> = self.0.lock().unwrap().keys().cloned().collect();
        Ok(names.iter().filter_map(|name| self.status(name)).collect())
    }

    async fn find(&self, name: &str) -> Result<Option<DeliveryStatus>> {
        Ok(self.status(name))
    }

    async fn redrive(&self, _: &str) -> Result<Redriven> {
        none()
    }

    fn hold(&self, name: &str, topic: Uuid) -> Arc<HistoryHold> {
        Arc::new(HistoryHold::new(name.to_owned(), topic))
    }

    async fn history(&self, _: &str) -> Result<Option<TopicHistory>> {
        Ok(None)
    }

    async fn offer(&self, caller: &Caller, name: &str, records: Vec<OfferedRecord>) -> Result<Vec<(i32, i64)>> {
        if caller.user != "polder" {
            return Err(Error::new(ErrorKind::Forbidden, "topics: it is another's"));
        }
        let mut all = self.0.lock().unwrap();
        let offered = &mut all.get_mut(name).unwrap().offered;
        let first = offered.len();
        offered.extend(records.iter().map(|record| String::from_utf8(record.value.to_vec()).unwrap()));
        Ok((first..offered.len()).map(|offset| (0, offset as i64)).collect())
    }
}

pub struct People;

#[async_trait]
impl Accounts for People {
    async fn login(&self, _: &str, _: &str, _: Origin<'_>) -> Result<String> {
        none()
    }
    async fn redeem_link(&self, _: &str) -> Result<String> {
        none()
    }
    async fn start_session(&self, _: &str) -> Result<String> {
        none()
    }
    async fn session_user(&self, _: &str) -> Result<Option<String>> {
        none()
    }
    async fn end_session(&self, _: &str) -> Result<()> {
        none()
    }
    async fn create_token(&self, _: &str, _: &str, _: Option<Time>) -> Result<NewApiToken> {
        none()
    }
    async fn list_tokens(&self, _: &str) -> Result<Vec<ApiToken>> {
        none()
    }
    async fn delete_token(&self, _: &str, _: &str) -> Result<bool> {
        none()
    }
    async fn token_user(&self, _: &str) -> Result<Option<String>> {
        none()
    }
    async fn change_password(&self, _: &str, _: &str, _: &str) -> Result<()> {
        none()
    }
    async fn reaches(&self, user: &str, owner: &str, reach: Reach) -> Result<bool> {
        assert_eq!(reach, Reach::Own);
        Ok(user == "polder" || user == owner)
    }
    async fn is_superuser(&self, user: &str) -> Result<bool> {
        Ok(user == "polder")
    }
}
