//! The `endpoint` capability: where the application's traffic goes, and switching it, by an HTTP resource or by programs of
//! the operator.

use std::{io, process::Stdio, time::Duration};

use lifeboat_core::{
    action::Effect,
    bindings::{Endpoint, System},
    failure::Reason,
    name::RoleName,
};
use lifeboat_programs::Group;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Command,
};

use super::{
    Outward,
    client::{self, Client},
    lifetimes,
};
use crate::{
    call::{CallContext, CallState},
    secret::Secrets,
    wit::lifeboat::endpoint::endpoint::{self as wit, Error},
};

const ANSWER_BYTES_MAX: usize = 4096;
/// A program is given this much longer than the engine waits for it, so that the engine is first.
const MARGIN: Duration = Duration::from_secs(5);

/// What an HTTP endpoint shows and takes.
#[derive(Serialize, Deserialize)]
struct Direction {
    address: String,
}

/// What the capability keeps for all calls of a run.
#[derive(Default)]
pub(crate) struct Session {
    client: Client,
}

/// It keeps nothing for a call.
pub(crate) type Own = ();

impl lifetimes::Session for Session {}

impl wit::Host for CallState {
    async fn current(&mut self, role: String) -> wasmtime::Result<Result<String, Error>> {
        self.context.serve("endpoint.current", current(&self.context, &role)).await
    }

    async fn switch(&mut self, role: String, address: String) -> wasmtime::Result<Result<(), Error>> {
        self.context.serve("endpoint.switch", switch(&self.context, &role, address)).await
    }
}

impl Outward for Error {
    fn scrubbed(self, secrets: &Secrets) -> Self {
        match self {
            Self::Denied(reason) => Self::Denied(reason.scrubbed(secrets)),
            Self::Connection(reason) => Self::Connection(reason.scrubbed(secrets)),
            Self::Invalid(reason) => Self::Invalid(reason.scrubbed(secrets)),
        }
    }

    fn code(&self) -> &str {
        let (Self::Denied(reason) | Self::Connection(reason) | Self::Invalid(reason)) = self;
        reason.code()
    }
}

fn endpoint<'a>(context: &'a CallContext, role: &str, needed: Effect) -> Result<&'a Endpoint, Error> {
    context.grants.check(role, needed).map_err(|reason| Error::Denied(reason.into()))?;
    let binding = RoleName::new(role).ok().and_then(|role| context.bindings.targets.get(&role));
    match binding.map(|binding| &binding.system) {
        Some(System::Endpoint(endpoint)) => Ok(endpoint),
        Some(_) => Err(invalid("host-refused-role", format!("the target `{role}` is not an endpoint"))),
        None => {
            Err(invalid("host-refused-role", format!("{} does not bind the target `{role}`", context.bindings.source)))
        }
    }
}

async fn current(context: &CallContext, role: &str) -> Result<String, Error> {
    let text = match endpoint(context, role, Effect::Read)? {
        Endpoint::Http { url } => {
            let answer = request(context, url, reqwest::Method::GET, None).await?;
            let direction: Direction = serde_json::from_str(&answer).map_err(|error| {
                invalid("endpoint-answer", format!("the answer of `{role}` is not an address: {error}"))
            })?;
            direction.address
        }
        Endpoint::Command { show, .. } => run(context, role, show, None).await?,
    };
    checked(text.trim())
}

async fn switch(context: &CallContext, role: &str, address: String) -> Result<(), Error> {
    let endpoint = endpoint(context, role, Effect::Mutate)?;
    let address = checked(&address)?;
    context.change().map_err(|reason| Error::Denied(reason.into()))?;
    match endpoint {
        Endpoint::Http { url } => {
            request(context, url, reqwest::Method::PUT, Some(Direction { address })).await.map(drop)
        }
        Endpoint::Command { switch, .. } => run(context, role, switch, Some(address)).await.map(drop),
    }
    .inspect_err(|error| {
        if matches!(error, Error::Connection(_)) {
            context.note_uncertain();
        }
    })
}

/// `host:port`, and nothing that a program could take for an option.
fn checked(address: &str) -> Result<String, Error> {
    let valid = address.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty()
            && port.parse::<u16>().is_ok()
            && host.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '[')
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte))
    });
    if valid {
        Ok(address.to_owned())
    } else {
        Err(invalid("endpoint-address", format!("`{address}` is not of the form host:port")))
    }
}

async fn request(
    context: &CallContext,
    url: &str,
    method: reqwest::Method,
    body: Option<Direction>,
) -> Result<String, Error> {
    let refused = |reason: Reason| Error::Invalid(reason.into());
    let url = client::url(url, true).map_err(refused)?;
    let client = context.sessions.endpoint.client.get().map_err(refused)?;
    let mut request = client.request(method, url);
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = context.bounded(async {
        let response = request.send().await?;
        Ok((response.status(), client::body(response, ANSWER_BYTES_MAX).await))
    });
    match answer.await {
        Ok(Ok((status, body))) if status.is_success() => Ok(body),
        Ok(Ok((status, body))) => {
            Err(invalid("endpoint-answer", format!("the endpoint answered with status {status}: {body}")))
        }
        Ok(Err(error)) => Err(Error::Connection(client::unanswered(error).into())),
        Err(cut) => Err(Error::Connection(cut.reason().into())),
    }
}

async fn run(context: &CallContext, role: &str, words: &[String], last: Option<String>) -> Result<String, Error> {
    let [program, arguments @ ..] = words else {
        return Err(invalid("endpoint-command", format!("the binding of `{role}` does not name a program")));
    };
    let mut command = Command::new("timeout");
    // Should the engine be killed, nothing else would end a program that hangs.
    command.args(["-s", "KILL", &format!("{:.3}", (context.left() + MARGIN).as_secs_f64())]);
    command.arg(program).args(arguments).args(last);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Group::lead(&mut command);
    let broken = |error: io::Error| invalid("endpoint-command", format!("`{program}`: {error}"));
    let mut child = command.spawn().map_err(broken)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let mut group = Group::of(child);
    let work = async { tokio::join!(group.wait(), read(stdout), read(stderr)) };
    // What is cut off is dropped, with everything that it started.
    let (status, stdout, stderr) = context.bounded(work).await.map_err(|cut| Error::Connection(cut.reason().into()))?;
    let status = status.map_err(broken)?;
    if status.success() {
        return Ok(stdout);
    }
    let said = stderr.trim().lines().last().unwrap_or("nothing").to_owned();
    Err(invalid("endpoint-command", format!("`{program}` ended with {status}: {said}")))
}

/// What a program prints, so far as anybody wants to read it.
async fn read(stream: Option<impl AsyncRead + Unpin>) -> String {
    let mut text = Vec::new();
    if let Some(mut stream) = stream {
        let _so_far = (&mut stream).take(ANSWER_BYTES_MAX as u64).read_to_end(&mut text).await;
        let _rest = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn invalid(code: &str, message: impl Into<String>) -> Error {
    Error::Invalid(Reason::new(code, message).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{self, Fixture};

    fn words(text: &[&str]) -> Vec<String> {
        text.iter().map(|word| (*word).to_owned()).collect()
    }

    #[tokio::test]
    async fn a_switch_is_a_program_with_its_whole_family() {
        let show = words(&["sh", "-c", "echo db2:5432; echo fine >&2"]);
        // It tells its number, which is also that of its group, and leaves a child behind.
        let hang = words(&["sh", "-c", "ps -o pgid= -p $$ >$0; sleep 3600 & wait", "FILE"]);
        let told = tempfile::NamedTempFile::new().unwrap();
        let hang = [&hang[..3], &[told.path().display().to_string()]].concat();
        let endpoint = System::Endpoint(Endpoint::Command { show, switch: hang });
        let fixture = Fixture::new(fixture::bindings([("app", endpoint)]));
        let context = fixture.context(&[("app", Effect::Mutate)]);
        assert_eq!(current(&context, "app").await.unwrap(), "db2:5432");

        let switching = switch(&context, "app", "db1:5432".to_owned());
        let stopping = async {
            let group = loop {
                let text = std::fs::read_to_string(&told).unwrap();
                if let Some(group) = text.trim().parse::<i32>().ok().filter(|_| text.ends_with('\n')) {
                    break group;
                }
                tokio::task::yield_now().await;
            };
            assert_ne!(Some(group), rustix::process::getpgid(None).ok().map(|own| own.as_raw_nonzero().get()));
            fixture.cancel.cancel();
            group
        };
        let (switched, group) = tokio::join!(switching, stopping);
        assert!(matches!(switched, Err(Error::Connection(_))) && context.is_uncertain(), "{switched:?}");
        let group = rustix::process::Pid::from_raw(group).unwrap();
        while rustix::process::test_kill_process_group(group).is_ok() {
            tokio::task::yield_now().await;
        }
    }

    #[test]
    fn an_address_is_host_and_port() {
        let cases = [
            ("db1:5432", true),
            ("127.0.0.1:5432", true),
            ("[::1]:5432", true),
            ("db1", false),
            ("--help:1", false),
            ("db1:99999", false),
            ("a b:1", false),
        ];
        for (address, expect) in cases {
            assert_eq!(checked(address).is_ok(), expect, "{address}");
        }
    }
}
