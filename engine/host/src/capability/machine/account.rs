//! Users of this machine, by name.

use std::fs;

/// What running as a user needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) home: String,
}

/// The user of that name.
pub(super) fn of(name: &str) -> Result<Account, String> {
    let passwd = fs::read_to_string("/etc/passwd").map_err(|error| format!("cannot read /etc/passwd: {error}"))?;
    find(&passwd, name).ok_or_else(|| format!("the user `{name}` does not exist on this machine"))
}

fn find(passwd: &str, name: &str) -> Option<Account> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then_some(())?;
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(Account { uid, gid, home: fields.nth(1)?.to_owned() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_the_whole_name() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\npostgres:x:105:110:PostgreSQL,,,:/var/lib/postgresql:/bin/sh\n";
        let found = find(passwd, "postgres").unwrap();
        assert_eq!(found, Account { uid: 105, gid: 110, home: "/var/lib/postgresql".to_owned() });
        assert_eq!(find(passwd, "post"), None);
    }
}
