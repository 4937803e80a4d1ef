//! The same cases against SQLite and against a real PostgreSQL, which the tests start themselves.

mod accounts;
mod catalog;
mod commits;
mod deliveries;
mod faults;
mod jobs;
mod place;
mod postgres_server;
mod proxy;
mod records;
mod values;

use futures::FutureExt;
use futures::future::BoxFuture;
use place::Place;
use postgres_server::PostgresServer;

type Case = (&'static str, fn(Place) -> BoxFuture<'static, ()>);

/// One test a case for SQLite; one test with all cases for PostgreSQL, because starting a server takes seconds.
macro_rules! cases {
    ($($module:ident :: $name:ident,)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                crate::$module::$name(crate::Place::sqlite()).await;
            })*
        }

        const CASES: &[Case] = &[$((stringify!($name), |place| $module::$name(place).boxed())),*];
    };
}

cases! {
    catalog::created_and_opened_again,
    catalog::a_moved_directory_is_noticed,
    catalog::held_by_one_server_only,
    catalog::a_catalog_made_elsewhere_is_adopted,
    catalog::a_newer_database_is_refused,
    catalog::another_catalog_version_is_refused,
    commits::committed_or_stale,
    commits::a_failed_commit_leaves_nothing,
    commits::a_dropped_commit_harms_nobody,
    commits::eight_committers_lose_nothing,
    commits::reads_together_see_one_moment,
    commits::a_dropped_read_harms_nobody,
    commits::closed_means_closed,
    values::every_value_comes_back,
    values::null_fits_every_column,
    values::a_parameter_may_be_used_twice,
    values::what_does_not_fit_is_refused,
    accounts::passwords,
    accounts::roles,
    accounts::users_become_roles,
    accounts::topics_have_owners,
    accounts::guessing_is_slowed_down,
    accounts::sessions_slide,
    accounts::tokens,
    accounts::links_work_once,
    accounts::access_keys,
    records::settings,
    records::saved_queries,
    records::audit,
    records::bytes_scanned,
    jobs::jobs_are_kept,
    jobs::runs_are_listed_and_pruned,
    jobs::version_1_is_upgraded,
    records::query_history,
    records::loaded_content_and_checksums,
    deliveries::places_move_step_by_step,
    deliveries::secrets_are_sealed,
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres() {
    let server = PostgresServer::start();
    let mut failed = Vec::new();
    for (name, case) in CASES {
        let place = Place::postgres(server.url(&server.create_database()));
        if tokio::spawn(case(place)).await.is_err() {
            eprintln!("failed on PostgreSQL: {name}");
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "failed on PostgreSQL: {failed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_connections_that_break() {
    let server = PostgresServer::start();
    faults::a_terminated_connection_is_replaced(&server).await;
    faults::a_commit_whose_answer_is_lost_is_known_as_committed(&server).await;
    faults::a_commit_that_never_arrived_is_done_again(&server).await;
    faults::a_second_server_is_refused_and_told_who(&server).await;
    faults::a_silent_database_leaves_an_honest_answer(server).await;
}
