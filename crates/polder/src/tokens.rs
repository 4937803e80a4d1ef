//! `polder token` and `polder password`.

use std::io::{Read, Write};

use anyhow::Result;
use chrono::{Duration, Utc};
use polder_metastore::principals::random_password;

use crate::cli::{EXIT_DONE, EXIT_FAILED, PasswordArgs, TokenAction, TokenArgs};
use crate::client::{self, Server};
use crate::connection::Connected;
use crate::credentials::{self, Credentials, USER};
use crate::failure::Failure;
use crate::settings::Directory;
use crate::terminal;
use crate::wiring::House;

const PASSWORD_BYTES_MAX: u64 = 1024;

pub fn main(args: &TokenArgs) -> Result<u8> {
    let (TokenAction::Create { directory, server, .. }
    | TokenAction::List { directory, server }
    | TokenAction::Delete { directory, server, .. }) = &args.action;
    let connected = Connected::open(directory, server)?;
    let done = act(&connected, &args.action);
    connected.close();
    done
}

fn act(connected: &Connected, action: &TokenAction) -> Result<u8> {
    let Connected { runtime, connection } = connected;
    let mut out = std::io::stdout().lock();
    match action {
        TokenAction::Create { name, days, .. } => {
            let expires_at = days.map(|days| Utc::now() + Duration::days(i64::from(days)));
            let made = runtime.block_on(connection.create_token(name, expires_at))?;
            if terminal::stdout() {
                eprintln!("keep it now, it is not shown again:");
            }
            writeln!(out, "{}", made.secret).map_err(Failure::output)?;
        }
        TokenAction::List { .. } => {
            for token in runtime.block_on(connection.list_tokens())? {
                let day = |time: chrono::DateTime<Utc>| time.format("%Y-%m-%d").to_string();
                let used = token.last_used_at.map_or("never used".to_owned(), |time| format!("used {}", day(time)));
                let ends = token.expires_at.map_or("no end".to_owned(), |time| format!("until {}", day(time)));
                let name = terminal::printable(&token.name, false);
                writeln!(out, "{}  {name}  made {}  {used}  {ends}", token.id, day(token.created_at))
                    .map_err(Failure::output)?;
            }
        }
        TokenAction::Delete { id, .. } => {
            if !runtime.block_on(connection.delete_token(id))? {
                return Err(Failure::new(format!("there is no token {id}"))
                    .with_hint("`polder token list` shows them")
                    .into());
            }
        }
    }
    Ok(EXIT_DONE)
}

/// Sets a new password: through the server that runs, else in the directory itself.
pub fn password(args: &PasswordArgs) -> Result<u8> {
    let directory = Directory::from_args(&args.directory)?;
    if !directory.exists() {
        return Err(Failure::new(format!("there is no data directory {}", directory.data.display()))
            .with_hint("name it with --data; `polder up` makes one")
            .into());
    }
    let new = if args.stdin { given()? } else { random_password() };
    let known = Credentials::read(&directory.data)?;
    let running = client::running(&directory.data);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let user = known.as_ref().map_or_else(|| USER.to_owned(), |known| known.user.clone());
    runtime.block_on(async {
        match (running, &known) {
            (Some(address), Some(known)) => {
                let server = Server::here(address, Some(known.clone()))?;
                server.change_password(&known.password, &new).await?;
            }
            (Some(_), None) => {
                return Err(Failure::new("the old password is not known: there is no credentials.toml")
                    .with_hint("stop the server first")
                    .into());
            }
            (None, _) => {
                let house = House::open(&directory).await?;
                let set = house.metastore.principals().set_password(&user, &new).await;
                house.close().await;
                set?;
            }
        }
        anyhow::Ok(())
    })?;
    let path = credentials::path(&directory.data);
    if let Some(known) = known {
        Credentials { password: new, ..known }.write(&directory.data)?;
    } else {
        // Without a file there is no other place to learn a random one from.
        writeln!(std::io::stdout(), "{new}").map_err(Failure::output)?;
        return Ok(EXIT_DONE);
    }
    eprintln!("the password of {user} is changed; it is in {}", path.display());
    Ok(EXIT_DONE)
}

fn given() -> Result<String> {
    let mut text = String::new();
    std::io::stdin()
        .take(PASSWORD_BYTES_MAX + 2)
        .read_to_string(&mut text)
        .map_err(|error| Failure::new(format!("cannot read the password: {error}")))?;
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() || password.contains('\n') {
        return Err(Failure {
            exit: Some(EXIT_FAILED),
            ..Failure::usage("standard input holds no password of one line")
        }
        .into());
    }
    Ok(password.to_owned())
}
