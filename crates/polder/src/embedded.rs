//! The data directory opened by this process: no server, the same engine.

use std::sync::Arc;

use anyhow::Result;
use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt};
use polder_capability::{
    ApiToken, Caller, LoadRequest, LoadSource, LoadStatus, NewApiToken, QueryProgress, SqlRunner, SqlSession,
    StatementRequest,
};
use polder_types::{LoadId, QueryId};
use tempfile::NamedTempFile;
use tokio::sync::Mutex;

use crate::connection::{Connection, LoadOrder, Reply, Request, Source};
use crate::credentials::{self, Credentials};
use crate::failure::Failure;
use crate::first_start;
use crate::settings::Directory;
use crate::wiring::House;

pub struct Embedded {
    name: String,
    caller: Caller,
    session: Arc<dyn SqlSession>,
    /// Standard input on its way into a table; deleted with this.
    spooled: Mutex<Vec<NamedTempFile>>,
    house: House,
}

impl Embedded {
    pub async fn open(directory: &Directory) -> Result<Self> {
        let house = House::open(directory).await?;
        first_start::prepare(&house, &directory.data).await?;
        let user = Credentials::read(&directory.data)?.map_or_else(|| credentials::USER.to_owned(), |known| known.user);
        let caller = Caller::new(user, "cli");
        let session = house.engine.open_session(caller.clone());
        let name = directory.data.display().to_string();
        Ok(Self { name, caller, session, spooled: Mutex::default(), house })
    }

    async fn spool(&self, source: Source) -> Result<LoadSource, Failure> {
        match source {
            Source::Location(location) => Ok(LoadSource::Location(location)),
            Source::StandardInput => {
                let failed = |error: std::io::Error| Failure::new(format!("standard input cannot be kept: {error}"));
                let file = NamedTempFile::new_in(self.house.temp_dir()).map_err(failed)?;
                let mut sink = tokio::fs::File::from_std(file.reopen().map_err(failed)?);
                tokio::io::copy(&mut tokio::io::stdin(), &mut sink).await.map_err(failed)?;
                tokio::io::AsyncWriteExt::flush(&mut sink).await.map_err(failed)?;
                let path = file.path().to_owned();
                self.spooled.lock().await.push(file);
                Ok(LoadSource::Spooled { path, name: "stdin".to_owned() })
            }
        }
    }
}

#[async_trait::async_trait]
impl Connection for Embedded {
    fn name(&self) -> String {
        format!("{} (no server)", self.name)
    }

    async fn run(&self, request: Request<'_>) -> Result<Reply, Failure> {
        let statement = StatementRequest {
            sql: request.sql.to_owned(),
            query_id: request.query_id,
            row_limit: request.row_limit,
            sent: None,
        };
        let answer = self.session.run(statement).await?;
        Ok(Reply {
            verb: answer.tag.verb,
            rows_changed: answer.tag.rows,
            schema: answer.schema,
            batches: answer.batches.map_err(Failure::from).boxed(),
            notices: answer.notices,
        })
    }

    async fn progress(&self, id: QueryId) -> Option<QueryProgress> {
        self.house.engine.progress(id)
    }

    async fn cancel(&self, id: QueryId) {
        self.house.engine.cancel(id);
    }

    async fn start_load(&self, order: LoadOrder) -> Result<LoadId, Failure> {
        let mut sources = Vec::with_capacity(order.sources.len());
        for source in order.sources {
            sources.push(self.spool(source).await?);
        }
        Ok(self.house.loader.start(LoadRequest {
            load_id: LoadId::new(),
            caller: self.caller.clone(),
            sources,
            into: order.into,
            mode: order.mode,
            strict: order.strict,
            again: order.again,
            options: order.options,
        })?)
    }

    async fn load_status(&self, id: LoadId) -> Result<LoadStatus, Failure> {
        self.house.loader.status(id).ok_or_else(|| Failure::new("the load is gone"))
    }

    async fn cancel_load(&self, id: LoadId) {
        self.house.loader.cancel(id);
    }

    async fn create_token(&self, name: &str, expires_at: Option<DateTime<Utc>>) -> Result<NewApiToken, Failure> {
        Ok(self.house.accounts.create_token(&self.caller.user, name, expires_at).await?)
    }

    async fn list_tokens(&self) -> Result<Vec<ApiToken>, Failure> {
        Ok(self.house.accounts.list_tokens(&self.caller.user).await?)
    }

    async fn delete_token(&self, id: &str) -> Result<bool, Failure> {
        Ok(self.house.accounts.delete_token(&self.caller.user, id).await?)
    }

    async fn close(&self) {
        self.house.close().await;
    }
}
