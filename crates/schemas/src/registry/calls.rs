//! The contract, call by call.

use async_trait::async_trait;
use polder_capability::Caller;
use polder_capability::schemas::{
    Deleted, NewSchema, Page, RegistryMode, Schema, SchemaForm, SchemaRegistry, SchemaResult, SchemaVersion,
    SubjectConfig, VersionChoice,
};

use crate::StoredSchemas;

#[async_trait]
impl SchemaRegistry for StoredSchemas {
    async fn subjects(&self, caller: &Caller, prefix: &str, deleted: Deleted) -> SchemaResult<Vec<String>> {
        self.names(caller, prefix, deleted).await
    }

    async fn versions(&self, caller: &Caller, subject: &str, deleted: Deleted) -> SchemaResult<Vec<i32>> {
        self.numbers(caller, subject, deleted).await
    }

    async fn version(
        &self,
        caller: &Caller,
        subject: &str,
        version: VersionChoice,
        deleted: Deleted,
        form: SchemaForm,
    ) -> SchemaResult<SchemaVersion> {
        self.one(caller, subject, version, deleted, form).await
    }

    async fn referenced_by(&self, caller: &Caller, subject: &str, version: VersionChoice) -> SchemaResult<Vec<i32>> {
        self.referring(caller, subject, version).await
    }

    async fn look_up(
        &self,
        caller: &Caller,
        subject: &str,
        schema: Schema,
        normalizes: bool,
        deleted: Deleted,
    ) -> SchemaResult<SchemaVersion> {
        self.look_up_schema(caller, subject, schema, normalizes, deleted).await
    }

    async fn register(&self, caller: &Caller, subject: &str, schema: NewSchema) -> SchemaResult<SchemaVersion> {
        self.register_schema(caller, subject, schema).await
    }

    async fn delete_version(
        &self,
        caller: &Caller,
        subject: &str,
        version: VersionChoice,
        permanent: bool,
    ) -> SchemaResult<i32> {
        self.delete_one(caller, subject, version, permanent).await
    }

    async fn delete_subject(&self, caller: &Caller, subject: &str, permanent: bool) -> SchemaResult<Vec<i32>> {
        self.delete_all(caller, subject, permanent).await
    }

    async fn schema(&self, caller: &Caller, id: i32, form: SchemaForm) -> SchemaResult<Schema> {
        self.by_id(caller, id, form).await
    }

    async fn uses(&self, caller: &Caller, id: i32, deleted: Deleted) -> SchemaResult<Vec<(String, i32)>> {
        self.uses_of(caller, id, deleted).await
    }

    async fn list(
        &self,
        caller: &Caller,
        prefix: &str,
        deleted: Deleted,
        latest_only: bool,
        page: Page,
    ) -> SchemaResult<Vec<SchemaVersion>> {
        self.listed(caller, prefix, deleted, latest_only, page).await
    }

    async fn check(
        &self,
        caller: &Caller,
        subject: &str,
        version: Option<VersionChoice>,
        schema: Schema,
        normalizes: bool,
    ) -> SchemaResult<Vec<String>> {
        self.check_schema(caller, subject, version, schema, normalizes).await
    }

    async fn config(&self, caller: &Caller, subject: Option<&str>, falls_back: bool) -> SchemaResult<SubjectConfig> {
        self.config_of(caller, subject, falls_back).await
    }

    async fn set_config(
        &self,
        caller: &Caller,
        subject: Option<&str>,
        config: SubjectConfig,
    ) -> SchemaResult<SubjectConfig> {
        self.set_config_of(caller, subject, config).await
    }

    async fn delete_config(&self, caller: &Caller, subject: Option<&str>) -> SchemaResult<SubjectConfig> {
        self.delete_config_of(caller, subject).await
    }

    async fn mode(&self, caller: &Caller, subject: Option<&str>, falls_back: bool) -> SchemaResult<RegistryMode> {
        self.mode_for(caller, subject, falls_back).await
    }

    async fn set_mode(
        &self,
        caller: &Caller,
        subject: Option<&str>,
        mode: RegistryMode,
        force: bool,
    ) -> SchemaResult<RegistryMode> {
        self.set_mode_of(caller, subject, mode, force).await
    }

    async fn delete_mode(&self, caller: &Caller, subject: Option<&str>) -> SchemaResult<RegistryMode> {
        self.delete_mode_of(caller, subject).await
    }
}
