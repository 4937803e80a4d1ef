//! Topics as tables.
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use polder_types::Result;
use uuid::Uuid;

use crate::{BatchStream, Caller};

pub fn topic_schema() -> SchemaRef {
    Arc::new(arrow::datatypes::Schema::empty())
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicScan {
    pub columns: Vec<usize>,
    pub partitions: Option<Vec<i32>>,
    pub from_offset: Option<i64>,
    pub until_offset: Option<i64>,
    pub from_time: Option<i64>,
    pub until_time: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicPart {
    pub topic: Uuid,
    pub partition: i32,
    pub from: i64,
    pub until: i64,
}

#[async_trait]
pub trait TopicRows: Send + Sync {
    fn names(&self, caller: &Caller) -> Vec<Arc<str>>;
    async fn scan(&self, caller: &Caller, topic: &str, scan: &TopicScan) -> Result<Vec<TopicPart>>;
    fn read(&self, part: TopicPart, columns: &[usize]) -> BatchStream;
}
