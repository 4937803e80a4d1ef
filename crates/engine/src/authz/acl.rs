//! Lists of grants: what is in them for somebody, and how GRANT and REVOKE change them. As PostgreSQL does it.

use polder_lake::{EVERYBODY, Grant};
use polder_types::{Error, Result};

use super::who::Who;

/// What a list gives somebody.
pub(crate) fn rights_in(grants: &[Grant], who: &Who) -> u32 {
    let of = |grant: &&Grant| grant.role == EVERYBODY || who.memberships.contains(&grant.role);
    grants.iter().filter(of).fold(0, |rights, grant| rights | grant.rights)
}

/// In whose name somebody grants: the owner, if it has the owner's rights; else the role of its own that may grant most.
/// Beside it the rights that may be granted so.
pub(crate) fn grantor(grants: &[Grant], owner: i64, all: u32, wanted: u32, who: &Who) -> (i64, u32) {
    if who.has(owner) {
        return (owner, all);
    }
    let of_role =
        |role: i64| grants.iter().filter(|grant| grant.role == role).fold(0, |rights, grant| rights | grant.grantable);
    let mut best = (who.role, of_role(who.role) & all);
    for role in who.memberships.iter() {
        let rights = of_role(*role) & all;
        if (rights & wanted).count_ones() > (best.1 & wanted).count_ones() {
            best = (*role, rights);
        }
    }
    best
}

/// Adds rights. Nothing is granted to an owner that it has not lost.
pub(crate) fn grant(grants: &mut Vec<Grant>, role: i64, grantor: i64, rights: u32, grantable: bool) {
    let grantable = if grantable { rights } else { 0 };
    add(grants, &Grant { role, grantor, rights, grantable });
}

/// # Errors
/// 0LP01 when somebody would have the right to grant by whom it has been granted to.
pub(crate) fn check_not_circular(grants: &[Grant], owner: i64, role: i64, grantor: i64, rights: u32) -> Result<()> {
    // Owners have it from nobody.
    if grantor == owner {
        return Ok(());
    }
    let mut without = grants.to_vec();
    while let Some(held) = without.iter().find(|grant| grant.role == role && grant.grantable != 0).cloned() {
        let taken = Revoked { rights: held.grantable, option_only: true, cascade: true };
        revoke(&mut without, owner, role, held.grantor, taken)?;
    }
    let left = without.iter().filter(|grant| grant.role == grantor).fold(0, |all, grant| all | grant.grantable);
    if rights & !left == 0 {
        return Ok(());
    }
    Err(Error::invalid("grant options cannot be granted back to your own grantor").with_code("0LP01"))
}

/// Adds what a grant gives to what is there.
pub(crate) fn add(grants: &mut Vec<Grant>, added: &Grant) {
    match grants.iter_mut().find(|known| known.role == added.role && known.grantor == added.grantor) {
        Some(known) => {
            known.rights |= added.rights;
            known.grantable |= added.grantable;
        }
        None => grants.push(added.clone()),
    }
}

/// What REVOKE takes away.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Revoked {
    pub rights: u32,
    /// Only the right to grant it on.
    pub option_only: bool,
    /// What was granted on by whoever loses it goes too.
    pub cascade: bool,
}

/// Takes rights away that one role has granted another.
///
/// # Errors
/// 2BP01 when somebody has granted them on, unless that is to go too.
pub(crate) fn revoke(grants: &mut Vec<Grant>, owner: i64, role: i64, grantor: i64, taken: Revoked) -> Result<()> {
    if let Some(known) = grants.iter_mut().find(|grant| grant.role == role && grant.grantor == grantor) {
        known.grantable &= !taken.rights;
        if !taken.option_only {
            known.rights &= !taken.rights;
        }
    }
    grants.retain(|grant| grant.rights != 0 || grant.grantable != 0);
    // The owner may always grant.
    if role == owner || role == EVERYBODY {
        return Ok(());
    }
    let left = grants.iter().filter(|grant| grant.role == role).fold(0, |rights, grant| rights | grant.grantable);
    let lost = taken.rights & !left;
    let dependents: Vec<i64> = grants
        .iter()
        .filter(|grant| grant.grantor == role && grant.rights & lost != 0)
        .map(|grant| grant.role)
        .collect();
    if !dependents.is_empty() && !taken.cascade {
        return Err(Error::invalid("dependent privileges exist")
            .with_code("2BP01")
            .with_hint("Use CASCADE to revoke them too."));
    }
    for dependent in dependents {
        revoke(grants, owner, dependent, role, Revoked { rights: lost, option_only: false, cascade: true })?;
    }
    Ok(())
}

/// The list once another role owns the thing: what the old owner had and granted is the new one's.
pub(crate) fn handed_over(grants: &[Grant], from: i64, to: i64) -> Vec<Grant> {
    let mut all: Vec<Grant> = Vec::with_capacity(grants.len());
    let named = |role: i64| if role == from { to } else { role };
    for grant in grants {
        let (role, grantor) = (named(grant.role), named(grant.grantor));
        add(&mut all, &Grant { role, grantor, ..grant.clone() });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::rights::{INSERT, Kind, SELECT, in_letters};
    use super::*;
    use crate::authz::book::RoleBook;

    const OWNER: i64 = 10;

    fn check(grants: &[Grant], expected: &[&str]) {
        assert_eq!(in_letters(grants, &RoleBook::default()), expected);
    }

    fn all(rights: u32, option_only: bool, cascade: bool) -> Revoked {
        Revoked { rights, option_only, cascade }
    }

    #[test]
    fn rights_are_added_and_taken_away() {
        let mut grants = Kind::Table.usual(OWNER);
        grant(&mut grants, 1, OWNER, SELECT | INSERT, false);
        grant(&mut grants, EVERYBODY, OWNER, SELECT, false);
        check(&grants, &["polder=arwdDxt/polder", "1=ar/polder", "=r/polder"]);
        grant(&mut grants, 1, OWNER, SELECT, true);
        check(&grants, &["polder=arwdDxt/polder", "1=ar*/polder", "=r/polder"]);
        revoke(&mut grants, OWNER, 1, OWNER, all(SELECT, true, false)).unwrap();
        revoke(&mut grants, OWNER, EVERYBODY, OWNER, all(SELECT, false, false)).unwrap();
        check(&grants, &["polder=arwdDxt/polder", "1=ar/polder"]);
        // An owner may take from itself, and give it back.
        revoke(&mut grants, OWNER, OWNER, OWNER, all(INSERT, false, false)).unwrap();
        check(&grants, &["polder=rwdDxt/polder", "1=ar/polder"]);
    }

    #[test]
    fn what_was_granted_on_goes_too_or_stands_in_the_way() {
        let mut grants = Kind::Table.usual(OWNER);
        grant(&mut grants, 1, OWNER, SELECT, true);
        grant(&mut grants, 2, 1, SELECT, true);
        grant(&mut grants, 3, 2, SELECT, false);
        let before = grants.clone();
        let refused = revoke(&mut grants, OWNER, 1, OWNER, all(SELECT, false, false)).unwrap_err();
        assert_eq!((refused.code(), refused.message()), ("2BP01", "dependent privileges exist"));
        grants = before;
        revoke(&mut grants, OWNER, 1, OWNER, all(SELECT, true, true)).unwrap();
        check(&grants, &["polder=arwdDxt/polder", "1=r/polder"]);
    }

    #[test]
    fn a_new_owner_has_what_the_old_one_had() {
        let mut grants = Kind::Table.usual(OWNER);
        grant(&mut grants, 1, OWNER, SELECT, false);
        check(&handed_over(&grants, OWNER, 2), &["2=arwdDxt/2", "1=r/2"]);
        check(&handed_over(&grants, OWNER, 1), &["1=arwdDxt/1"]);
    }
}
