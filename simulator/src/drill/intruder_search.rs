//! What of an intruder is left in the server that serves at the end: what it has planted, and the passwords that it knows.

use std::time::Duration;

use tokio_postgres::{Client, Config, error::SqlState};

use super::{
    episode::Episode,
    evidence::{Reading, Remains},
    stage::Stage,
};
use crate::{fault::Intrusion, store::postgres::connect, testbed::Door};

const CONNECT_WITHIN: Duration = Duration::from_secs(10);

impl Stage<'_> {
    /// Looks for what the intruders of all episodes have left; `None` without any.
    pub(super) async fn look_for_intruders(&self, episodes: &[Episode]) -> Option<Reading<Remains>> {
        let struck = episodes.iter().flat_map(|episode| &episode.struck);
        let intrusions: Vec<&Intrusion> = struck.filter_map(|struck| struck.intrusion.as_ref()).collect();
        if intrusions.is_empty() { None } else { Some(self.remains(&intrusions).await) }
    }

    async fn remains(&self, intrusions: &[&Intrusion]) -> Reading<Remains> {
        let server = self.store_now().to_owned();
        let login = self.testbed.login(&server, Door::Observer).ok_or("there is no server to look at")?;
        let client = connect(&login, CONNECT_WITHIN).await.map_err(|error| error.to_string())?;
        let mut remains = Remains { server, ..Remains::default() };
        for planted in intrusions.iter().flat_map(|intrusion| &intrusion.planted) {
            remains.looked_for += 1;
            if has(&client, planted.sql).await? {
                remains.planted.push(planted.what);
            }
        }
        for (role, password) in intrusions.iter().flat_map(|intrusion| &intrusion.stolen) {
            remains.tried += 1;
            let mut stolen = login.clone();
            stolen.user(role).password(password);
            match try_in(&stolen).await {
                Admission::Open => remains.let_in.push(role.clone()),
                Admission::Refused => {}
                Admission::Unclear(why) => remains.unclear.push(format!("{role}: {why}")),
            }
        }
        Ok(remains)
    }
}

async fn has(client: &Client, sql: &str) -> Reading<bool> {
    let row = client.query_one(sql, &[]).await.map_err(|error| error.to_string())?;
    Ok(row.get(0))
}

/// What became of a login.
enum Admission {
    Open,
    /// The server itself refused the password or the role.
    Refused,
    Unclear(String),
}

async fn try_in(login: &Config) -> Admission {
    match login.connect(tokio_postgres::NoTls).await {
        Ok(_) => Admission::Open,
        Err(error) => match error.code() {
            Some(code)
                if [&SqlState::INVALID_PASSWORD, &SqlState::INVALID_AUTHORIZATION_SPECIFICATION].contains(&code) =>
            {
                Admission::Refused
            }
            _ => Admission::Unclear(error.to_string()),
        },
    }
}
