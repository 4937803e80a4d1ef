//! What the audit is told of statements that change who is shown what.

use polder_lake::{TableName, Transaction};
use polder_metastore::AuditEvent;

use super::super::Context;

/// A change of who is shown what: what it is called, and what else there is to say.
pub(super) struct Told {
    pub event: &'static str,
    pub message: Option<String>,
}

impl Told {
    pub fn of(event: &'static str, message: impl Into<String>) -> Self {
        Self { event, message: Some(message.into()) }
    }
}

impl Context<'_> {
    /// The row goes with the transaction, as those of grants do.
    pub(super) fn tell(&self, transaction: &mut Transaction, name: &TableName, told: Told) {
        self.tell_of(transaction, &name.to_string(), told);
    }

    /// The same of something that is no table or view.
    pub(super) fn tell_of(&self, transaction: &mut Transaction, object: &str, told: Told) {
        let mut event = AuditEvent::new(told.event, self.settings.who.user_name(), &self.caller.via).of(object);
        event.message = told.message;
        transaction.attach(event.write(self.engine.audit.now()));
    }
}
