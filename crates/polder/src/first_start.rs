//! What the first start makes: the user, a password, an access key pair, a token for the command line.

use std::path::Path;

use anyhow::Result;
use polder_metastore::principals::random_password;

use crate::credentials::{Credentials, USER};
use crate::wiring::House;

/// Makes what is missing. True if the user was made now.
///
/// The file is written before the user is made, and filled up after: a process that dies in between is continued
/// by the next one, with the password that the file has.
pub async fn prepare(house: &House, data: &Path) -> Result<bool> {
    let principals = house.metastore.principals();
    let known = Credentials::read(data)?;
    let is_first = principals.list_users().await?.is_empty();
    let mut credentials = match (known, is_first) {
        (Some(known), _) => known,
        (None, true) => Credentials {
            user: USER.to_owned(),
            password: random_password(),
            access_key_id: String::new(),
            secret_access_key: String::new(),
            api_token: String::new(),
        },
        // Somebody took the file away on purpose, or the users came with a shared metastore.
        (None, false) => return Ok(false),
    };
    if is_first {
        credentials.write(data)?;
        principals.create_user(&credentials.user, &credentials.password).await?;
    }
    let complete = !credentials.access_key_id.is_empty() && !credentials.api_token.is_empty();
    if complete && !is_first {
        return Ok(false);
    }
    let key = principals.create_access_key(&credentials.user, &credentials.user, "").await?;
    credentials.access_key_id = key.id;
    credentials.secret_access_key = key.secret;
    credentials.api_token = house.accounts.create_token(&credentials.user, "command line", None).await?.secret;
    credentials.write(data)?;
    Ok(is_first)
}
