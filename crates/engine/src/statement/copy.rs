//! COPY … FROM: a load, by SQL.

use datafusion::sql::sqlparser::ast::{CopyOption, CopySource, CopyTarget, Statement};
use polder_capability::{LoadMode, LoadOptions, LoadRequest, LoadSource, LoadState};
use polder_types::{Error, LoadId, Result};

use super::Context;
use super::names::table_name;
use crate::session::Outcome;

impl Context<'_> {
    pub(super) async fn copy_from(&self, statement: &Statement) -> Result<Outcome> {
        let Statement::Copy { source, to: false, target, options, legacy_options, .. } = statement else {
            return Err(Error::internal("COPY … TO came the wrong way"));
        };
        let CopySource::Table { table_name: name, columns } = source else {
            return Err(Error::invalid("COPY … FROM goes into a table").with_code("42601"));
        };
        if !columns.is_empty() || !legacy_options.is_empty() {
            return Err(Error::unsupported("COPY … FROM with a list of columns or old options is not supported")
                .with_hint("write COPY table FROM 'file' (FORMAT csv, HEADER true, …); columns are matched by name"));
        }
        let location = match target {
            CopyTarget::File { filename } => filename.clone(),
            other => {
                return Err(
                    Error::unsupported(format!("COPY … FROM {other} is not supported")).with_hint("name a file")
                );
            }
        };
        let name = table_name(name, &self.settings.schema)?;
        let exists = self.engine.lake.newest().await?.table(&name).is_some();
        let request = LoadRequest {
            load_id: LoadId::new(),
            caller: self.caller.clone(),
            sources: vec![LoadSource::Location(location)],
            into: Some(name.to_string()),
            mode: if exists { LoadMode::Append } else { LoadMode::Create },
            strict: true,
            again: true,
            options: load_options(options)?,
        };
        let loader = self.engine.loader()?;
        let id = loader.start(request)?;
        // A caller who gives up takes the load along.
        let guard = CancelOnDrop { loader: &loader, id, armed: true };
        let status = loader.wait(id).await.ok_or_else(|| Error::internal("the load is forgotten"))?;
        guard.disarm();
        if let (LoadState::Failed | LoadState::Cancelled, Some(error)) = (status.state, &status.error) {
            let mut failed = Error::invalid(&error.message);
            if let Some(hint) = &error.hint {
                failed = failed.with_hint(hint);
            }
            return Err(failed);
        }
        let report = status.report.unwrap_or_default();
        let rows = report.tables.iter().map(|table| table.rows_loaded).sum();
        let snapshot = match report.snapshot {
            Some(snapshot) => snapshot,
            None => self.engine.lake.newest().await?.id,
        };
        let mut outcome = Outcome::done("COPY", Some(rows), snapshot);
        for remark in report.tables.into_iter().flat_map(|table| table.remarks) {
            outcome = outcome.notice(remark);
        }
        Ok(outcome)
    }
}

fn load_options(options: &[CopyOption]) -> Result<LoadOptions> {
    let mut out = LoadOptions::default();
    for option in options {
        match option {
            CopyOption::Format(format) => out.format = Some(format.value.to_lowercase()),
            CopyOption::Delimiter(delimiter) => out.delimiter = Some(*delimiter),
            CopyOption::Quote(quote) => out.quote = Some(*quote),
            CopyOption::Header(header) => out.header = Some(*header),
            CopyOption::Encoding(encoding) => out.encoding = Some(encoding.clone()),
            CopyOption::Null(null) => out.nulls = Some(vec![null.clone()]),
            other => return Err(Error::unsupported(format!("COPY … FROM ({other}) is not supported"))),
        }
    }
    Ok(out)
}

struct CancelOnDrop<'a> {
    loader: &'a std::sync::Arc<dyn polder_capability::Loader>,
    id: LoadId,
    armed: bool,
}

impl CancelOnDrop<'_> {
    fn disarm(mut self) {
        self.armed = false;
    }
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        if self.armed {
            self.loader.cancel(self.id);
        }
    }
}
