//! Users of this machine, by name.

use std::fs;

/// What running as a user needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Name of the user.
    pub name: String,
    /// Number of the user.
    pub uid: u32,
    /// Number of the user's own group.
    pub gid: u32,
    /// Home folder.
    pub home: String,
}

impl Account {
    /// The user of that name.
    ///
    /// # Errors
    /// This machine has no such user, or its list of users cannot be read.
    pub fn of(name: &str) -> Result<Self, String> {
        let passwd = fs::read_to_string("/etc/passwd").map_err(|error| format!("cannot read /etc/passwd: {error}"))?;
        Self::find(&passwd, name).ok_or_else(|| format!("the user `{name}` does not exist on this machine"))
    }

    fn find(passwd: &str, name: &str) -> Option<Self> {
        passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next() == Some(name)).then_some(())?;
            let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
            Some(Self { name: name.to_owned(), uid, gid, home: fields.nth(1)?.to_owned() })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_the_whole_name() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\npostgres:x:105:110:PostgreSQL,,,:/var/lib/postgresql:/bin/sh\n";
        let found = Account::find(passwd, "postgres").unwrap();
        let (name, home) = ("postgres".to_owned(), "/var/lib/postgresql".to_owned());
        assert_eq!(found, Account { name, uid: 105, gid: 110, home });
        assert_eq!(Account::find(passwd, "post"), None);
    }
}
